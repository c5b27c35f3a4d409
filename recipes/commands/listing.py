"""Everything that has a name, described, without importing torch: what `ls`, `show`, `cite` and `schema` know of it.

What the library itself has is described in `index.json`, which `python tests/write_index.py` writes and a test
holds to the truth. Each part of it, a kind of registered things or one YAML file, is kept with a fingerprint of the
files that it follows from. Where one of them was edited since, or plugins add to a kind, things are described
afresh: right, and slow. The index is in this room since only what lists and shows reads it.
"""

import fnmatch
import hashlib
import inspect
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossband import registry
from crossband.graphs.language.catalog import GRAPHS, KEYS, Catalog
from crossband.graphs.language.keys import keys
from crossband.recipes.basics.readback import parsed
from crossband.recipes.language.catalog import RECIPES, TABLES
from crossband.registry import ROOT, CrossbandError, Description, Entry, summary

if TYPE_CHECKING:
    from crossband.graphs.plans.cost import Cost
    from crossband.graphs.plans.plan import Plan

FILE = Path(__file__).parent / "index.json"
CATALOGS: Mapping[str, Catalog] = {catalog.kind: catalog for catalog in (GRAPHS, RECIPES, TABLES, KEYS)}
KINDS: Mapping[str, str] = {  # every kind that can be listed, and one thing of it
    **{kind.plural: kind.name for kind in registry.KINDS.values()},
    **{"graphs": "graph", "recipes": "recipe", "tables": "table", "keys": "key map", "formats": "format"},
}
SYNONYMS = {"discriminator": "critic", "thermal": "infrared"}  # what others call the things of these docs
_WORD = re.compile(r"\w+")


def items(kind: str) -> list[Description]:
    """Everything of a kind (a key of KINDS), by name; of the graphs, the example hybrids last."""
    if kind == "formats":
        return formats()
    if kind in registry.KINDS:
        found = None if registry.KINDS[kind].extended else _kept(kind)
        return _registered(registry.KINDS[kind].values()) if found is None else found
    found = [each for path in CATALOGS[kind].files().values() for each in _kept(_name(path)) or [_written(kind, path)]]
    return sorted(found, key=lambda item: "hybrid" in item.details)


def formats() -> list[Description]:
    """The formats of YAML files; the parameters of one are its keys, by their paths."""
    from crossband.graphs.language.schema import graph_schema
    from crossband.recipes.language.schema import NEEDED, recipe_schema
    from crossband.recipes.language.table_schema import table_schema

    graph, recipe = graph_schema(arguments=False), recipe_schema(arguments=False) | {"required": NEEDED}
    return [
        Description(kind="format", name=name, doc=doc, origin=f"{floor}/language/schema.py", parameters=keys(schema))
        for name, floor, schema, doc in (
            ("graph", "graphs", graph, "A network: named nodes, each of blocks. `graphs/README.md` shows each key."),
            (
                "recipe",
                "recipes",
                recipe,
                "An experiment: networks, losses and data. `recipes/FORMAT.md` shows each key.",
            ),
            (
                "table",
                "recipes",
                table_schema({"metrics": {}}),
                "Recipes side by side, under settings that all share. `recipes/FORMAT.md` shows each key.",
            ),
        )
    ]


def keys_named(word: str) -> list[str]:
    """The keys of formats with this path, or this last word: `recipe data.batch` for `batch`."""
    return [
        f"{item.name} {path}"
        for item in formats()
        for path in item.parameters
        if word in (path, path.rpartition(".")[2])
    ]


def names(kind: str | None = None, pattern: str = "*") -> list[str]:
    """The names of a kind, such as `graphs` or `losses`, that fit a pattern with `*`; without a kind, the kinds.

    This is `crossband.list`; `crossband show NAME` tells more of each. Raises CrossbandError for an unknown kind.
    """
    if kind is None:
        return list(KINDS)
    if kind not in KINDS:
        raise CrossbandError(f"there are no `{kind}` to list", hint=f"choose from {', '.join(KINDS)}")
    return [item.name for item in items(kind) if fnmatch.fnmatchcase(item.name.lower(), pattern.lower())]


def known(kind: str) -> dict[str, Description]:
    """As `items`, by name."""
    return {item.name: item for item in items(kind)}


def find(word: str, kinds: Iterable[str] = KINDS) -> dict[str, list[Description]]:
    """What has a word, or what we call it instead, in its name or its documentation, by kind."""
    words = {word.lower(), SYNONYMS.get(word.lower(), word)}
    return {kind: [item for item in items(kind) if any(map(item.mentions, words))] for kind in kinds}


def about(path: str | Path) -> str:
    """What a graph or recipe file says of itself in one sentence: its `doc`, or the comment that it begins with."""
    return summary(_doc(Path(path)))


# ---------------------------------------------------------------------- the index


def compute() -> str:
    """What `index.json` is to say of all that the library has. Takes seconds."""
    parts: dict[str, tuple[set[Path], list[Description]]] = {}
    for name, kind in registry.KINDS.items():
        ours = [entry for entry in kind.values() if entry.ours]
        homes = {Path(str(sys.modules[home].__file__)) for home in kind.homes}
        parts[name] = (homes.union(*map(_files_of, ours)), _registered(ours))
    for kind, catalog in CATALOGS.items():
        paths = {name: path for name, path in catalog.files().items() if path.is_relative_to(ROOT)}
        for path, sources in _sources(paths).items():
            parts[_name(path)] = (sources, [_written(kind, path)])
    index = {}
    for part, (paths, found) in parts.items():
        files = sorted(map(_name, paths))
        index[part] = {"fingerprint": _fingerprint(files), "files": files, "items": [each.as_dict() for each in found]}
    index["costs"] = _costs()
    return json.dumps(index, indent=1, ensure_ascii=False) + "\n"


def kept_cost(plan: "Plan", numbers: Mapping[str, int]) -> "Cost | None":
    """What the index has of the cost of a graph for images of this size: counting it takes seconds at first.

    Torch loads its compiler for that. The index has the shipped graphs as they are written, at their usual size.
    """
    from crossband.graphs.language.serial import digest
    from crossband.graphs.plans.cost import Cost

    kept = _index(FILE).get("costs", {"files": (), "fingerprint": None})
    if _fingerprint(kept["files"]) != kept["fingerprint"]:
        return None
    found = kept["items"].get(digest(plan.graph))
    return Cost(**found["cost"]) if found and found["numbers"] == numbers else None


def _costs() -> dict[str, Any]:
    """The cost of each shipped graph, by its digest. It follows from the blocks."""
    from crossband.graphs.checking.checker import check
    from crossband.graphs.language.serial import digest
    from crossband.graphs.plans.cost import cost
    from crossband.graphs.plans.image_size import usual

    blocks = [path for path in (ROOT / "blocks").rglob("*.py") if "laws" not in path.parts]  # which cost nothing
    files = sorted(_name(path) for path in [*blocks, ROOT / "graphs" / "plans" / "cost.py"])
    plans = [check(path) for path in CATALOGS["graphs"].files().values() if path.is_relative_to(ROOT)]
    items = {}
    for plan in plans:
        if plan.sizes.admits(**(numbers := usual(plan))):
            items[digest(plan.graph)] = {"numbers": numbers, "cost": asdict(cost(plan, numbers))}
    return {"fingerprint": _fingerprint(files), "files": files, "items": items}


def _kept(part: str) -> list[Description] | None:
    """What the index has of a part, if the files that it follows from are as they were."""
    found = _index(FILE).get(part)
    if found is None or _fingerprint(found["files"]) != found["fingerprint"]:
        return None
    return [Description.from_dict(item) for item in found["items"]]


@cache
def _index(file: Path) -> Mapping[str, Any]:
    return parsed(file.read_bytes(), file, "install crossband again") if file.is_file() else {}


def _fingerprint(files: Iterable[str]) -> str:
    """A hash of the texts of files of the library; one that is not there counts as empty."""
    texts = [path.read_text("utf-8") if (path := ROOT / file).is_file() else "" for file in files]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _name(path: Path) -> str:
    """A file of the library as the index names it; any other as it is."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


# ---------------------------------------------------------------------- what is registered


def _registered(entries: Iterable[Entry]) -> list[Description]:
    return [entry.describe() for entry in entries]


def _files_of(entry: Entry) -> Iterator[Path]:
    """Where a thing of the library is defined, and where it is said what there is to tell of it."""
    yield Path(entry.origin.rpartition(":")[0])
    yield Path(inspect.getfile(type(entry)))


# ---------------------------------------------------------------------- YAML files


def _sources(paths: Mapping[str, Path]) -> dict[Path, set[Path]]:
    """For each file itself and those that it may follow from: every other that its words name, and so on.

    A name in a comment counts too: what is thrown away for nothing costs little.
    """
    texts = {name: path.read_text("utf-8") for name, path in paths.items()}
    named = {name: texts.keys() & {*_WORD.findall(text)} for name, text in texts.items()}
    found = {}
    for name, path in paths.items():
        reached, new = {name}, {name}
        while new := set[str]().union(*(named[each] for each in new)) - reached:
            reached |= new
        found[path] = {paths[each] for each in reached}
    return found


def _written(kind: str, path: Path) -> Description:
    """What there is to read of a graph, recipe or key map. Of a graph that is wrong, what it says of itself."""
    more = {"graphs": _graph, "keys": _key_map}.get(kind)
    return Description(
        kind=KINDS[kind],
        name=path.stem,
        doc=_doc(path),
        cite=_cited(path, CATALOGS[kind]),
        origin=_name(path),
        details=more(path) if more else {},
    )


def _graph(path: Path) -> dict[str, Any]:
    """The learned numbers of a graph as it is written, its image sizes and the ranges of its outputs."""
    from crossband.graphs.checking.checker import check
    from crossband.graphs.plans.cost import count_parameters

    hybrid = {"hybrid": True} if path.parent.name == "hybrids" else {}
    try:
        plan = check(path)
    except CrossbandError:
        return hybrid
    ranges = {name: str(plan.range(name)) for name in plan.outputs}
    return {**hybrid, "parameters": count_parameters(plan), "sizes": str(plan.sizes), "ranges": ranges}


def _key_map(path: Path) -> dict[str, Any]:
    data = _data(path)
    return {key: data[key] for key in ("for", "fills", "inside", "rename", "drop") if key in data}


def _doc(path: Path) -> str:
    """The `doc` of a YAML file, or the comment that it begins with."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text("utf-8").lstrip().splitlines())
    said = (line.lstrip("# ") for line in lines if "yaml-language-server" not in line)
    comment = " ".join(line for line in said if line != path.name)
    return str(_data(path).get("doc") or comment)


def _cited(path: Path, catalog: Catalog) -> tuple[str, ...]:
    """The sources that a YAML file names, or else those of the file that it extends."""
    data = _data(path)
    if "cite" not in data and "extends" in data and (parent := catalog.find(str(data["extends"]), path.parent)):
        return _cited(parent, catalog)
    cite = data.get("cite", ())
    return (cite,) if isinstance(cite, str) else tuple(cite)


def _data(path: Path) -> Mapping[str, Any]:
    """What a YAML file says; nothing where it cannot be read, which `crossband check` tells."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.reader import read

    document = read(path, Problems())
    return document.data if document and isinstance(document.data, Mapping) else {}
