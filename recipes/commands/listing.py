"""What has a name: read off the source and the YAML files, so that a list needs no import of torch.

What the library registers itself follows from the import lines of three `__init__.py` and from the decorators in
the modules they name. With plugins that is not all, and the registry itself is asked: right, and slow.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from crossband import registry
from crossband.graphs.building import facts
from crossband.graphs.language.catalog import Catalog
from crossband.graphs.language.resolve import GRAPHS
from crossband.recipes.commands import PLUGGED
from crossband.recipes.language.catalog import RECIPES
from crossband.registry import Entry

ROOT = Path(registry.__file__).parent
DECORATED = {  # the kinds of registered things: their decorators, and the module, or the package that imports them
    "blocks": {"block": "blocks"},
    "wrappers": {"wrapper": "blocks", "graph_wrapper": "graphs.building.multiscale"},
    "losses": {"loss": "recipes.losses"},
    "sources": {"source": "recipes.data"},
}
WRITTEN = {"graphs": GRAPHS, "recipes": RECIPES}  # the kinds of YAML files, and where they are
KINDS = ("blocks", "wrappers", "losses", "sources", "graphs", "recipes")
_HEADER = ("graph", "recipe", "doc", "cite", "extends")


@dataclass(frozen=True)
class Item:
    """A named thing. `required` and `optional` name its parameters; a graph or recipe lists none.

    `parameters` and `sizes` are the learned numbers and the admissible image sizes of a graph, where they are known.
    """

    name: str
    summary: str
    cite: tuple[str, ...] = ()
    contract: str | None = None
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    hybrid: bool | None = None
    parameters: int | None = None
    sizes: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The item for a program; what does not apply to its kind, or is not known, is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def items(kind: str) -> list[Item]:
    """All things of a kind by name: from the registry where there are plugins, else from the source."""
    if kind == "graphs":
        return _graphs()
    if kind in WRITTEN:
        return [_file_item(path, WRITTEN[kind]) for path in WRITTEN[kind].files().values()]
    return registered(kind) if plugged() else declared(kind)


def plugged() -> bool:
    """Whether anything may be registered that is not part of the library."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(PLUGGED)) or _installed()


@cache
def _installed() -> bool:
    """Whether the environment has plugins, which takes a look at every installed package."""
    return bool(entry_points(group="crossband.plugins"))


def registered(kind: str) -> list[Item]:
    """The things of a kind in the registry, with everything imported that registers."""
    import_all()
    return [_entry_item(entry) for entry in getattr(registry, kind).values()]


def import_all() -> None:
    """Import all of the library that registers something, and with it torch."""
    for kind in registry.KINDS.values():
        len(kind)


@cache
def declared(kind: str) -> list[Item]:
    """The things of a kind that the library declares, read off its source. Raises ValueError where it cannot be."""
    places = DECORATED[kind].items()
    found = [item for decorator, name in places for tree in _modules(name) for item in _declarations(tree, decorator)]
    return sorted(found, key=lambda item: item.name)


def summary(doc: str) -> str:
    """The first sentence of a documentation, without its full stop and without the shapes that may end it."""
    first = " ".join(doc.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<! al)(?<!e\.g)\.\s+(?=[A-Z`])", first)[0].removesuffix(".")
    return re.sub(r": `[a-z0-9 ,.]+( -> [^`]*)?`( to the same)?(,.*)?$", "", sentence)


def _entry_item(entry: Entry) -> Item:
    contract = getattr(entry, "contract", None)
    return Item(
        entry.name,
        summary(entry.doc),
        (entry.cite,) if entry.cite else (),
        contract.text if contract else None,
        tuple(name for name, parameter in entry.parameters.items() if parameter.required),
        tuple(name for name, parameter in entry.parameters.items() if not parameter.required),
    )


# ---------------------------------------------------------------------- source


@cache
def _modules(name: str) -> list[ast.Module]:
    """A module; or of a package the modules that its `__init__` imports by name, those of packages inside it too."""
    path = ROOT / name.replace(".", "/")
    if not path.is_dir():
        return [ast.parse(path.with_suffix(".py").read_text("utf-8"))]
    found = []
    for node in ast.parse((path / "__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"crossband.{name}."):
            found += _modules(node.module.removeprefix("crossband."))
    return found


def _declarations(tree: ast.Module, decorator: str) -> Iterator[Item]:
    """The classes and functions under `@decorator("name", ...)`."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator:
                yield _declaration(node, decorator, call)


def _declaration(node: ast.ClassDef | ast.FunctionDef, decorator: str, call: ast.Call) -> Item:
    options = {word.arg: word.value for word in call.keywords if word.arg in ("contract", "cite")}
    literal = {name: ast.literal_eval(value) for name, value in options.items()}
    required, optional = _parameters(node, decorator, literal.get("contract"))
    return Item(
        ast.literal_eval(call.args[0]),
        summary(ast.get_docstring(node) or ""),
        (literal["cite"],) if literal.get("cite") else (),
        literal.get("contract"),
        tuple(required),
        tuple(optional),
    )


def _parameters(
    node: ast.ClassDef | ast.FunctionDef, decorator: str, contract: str | None
) -> tuple[list[str], list[str]]:
    """The names of the parameters that YAML may give: those that must be given, and the others.

    The rules are those of the decorators: tensors of a loss are positional, the network or graph comes first in a
    wrapper. The axes of the contract and the number of its inputs are known to a block; without a contract, its
    positional parameters are its channels.
    """
    constructor = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    function = constructor[0] if isinstance(node, ast.ClassDef) else node
    positional = [*function.args.posonlyargs, *function.args.args][isinstance(node, ast.ClassDef) :]
    named = dict(zip([p.arg for p in reversed(positional)], reversed(function.args.defaults), strict=False))
    named |= {
        p.arg: default
        for p, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if default
    }
    skipped = {
        "block": _axes(contract) if contract else {p.arg for p in positional},
        "wrapper": {p.arg for p in positional[:1]},
        "graph_wrapper": {p.arg for p in positional[:1]},
        "loss": {p.arg for p in positional},
        "source": set(),
    }[decorator]
    names = [p.arg for p in (*positional, *function.args.kwonlyargs) if p.arg not in skipped]
    return [name for name in names if name not in named], [name for name in names if name in named]


def _axes(contract: str) -> set[str]:
    """The names that a contract gives to sizes of its inputs, and to how many inputs there are."""
    left = contract.partition("->")[0]
    return {*re.findall(r"[a-z]\w*", left), *(("inputs",) if "..." in left else ())}


# ---------------------------------------------------------------------- YAML files


def about(path: str | Path) -> str:
    """What a graph or recipe file says of itself in one sentence: its `doc`, or the comment that it begins with."""
    data, comment = header(Path(path).read_text("utf-8"))
    return summary(str(data.get("doc") or comment))


def _graphs() -> list[Item]:
    """The shipped graphs with what is known of each, the example hybrids last."""
    known = {name: asdict(each) for name, each in facts.known().items()}
    found = [
        replace(_file_item(path, GRAPHS), hybrid=path.parent.name == "hybrids", **known.get(name, {}))
        for name, path in GRAPHS.files().items()
    ]
    return sorted(found, key=lambda item: bool(item.hybrid))


def _file_item(path: Path, catalog: Catalog) -> Item:
    return Item(path.stem, about(path), _cited(path, catalog))


def _cited(path: Path, catalog: Catalog) -> tuple[str, ...]:
    """The sources that a shipped file names, or else those of the file that it extends."""
    data, _ = header(path.read_text("utf-8"))
    if "cite" not in data and "extends" in data and (parent := catalog.find(data["extends"], path.parent)):
        return _cited(parent, catalog)
    cite = data.get("cite", ())
    return (cite,) if isinstance(cite, str) else tuple(cite)


def header(text: str) -> tuple[Mapping[str, Any], str]:
    """What a graph or recipe file says of itself: the keys at its head, and the comment that it begins with.

    Only these keys are parsed: a list of all files is to be quick.
    """
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.reader import read_text

    lines = text.lstrip().splitlines()
    kept, keep = [], False
    for line in lines:
        if line[:1].strip() and line[0] not in "#-]}":  # a key at the margin begins another part
            keep = line.partition(":")[0] in _HEADER
        kept += [line] if keep else []
    document = read_text("\n".join(kept), Problems())
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    comment = [line.lstrip("# ") for line in lines[:first] if "yaml-language-server" not in line]
    return (document.data if document and isinstance(document.data, Mapping) else {}), " ".join(comment)
