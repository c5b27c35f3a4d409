"""What a NAME on the command line means: a thing of the registry, a shipped YAML file, or a file of one's own."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crossband.recipes.commands import listing
from crossband.registry import CrossbandError, Description, suggest

if TYPE_CHECKING:
    from crossband.graphs.language.document import Place

KINDS = {  # one thing of each kind, the likeliest to be meant first, and many
    **{"graph": "graphs", "recipe": "recipes", "table": "tables"},
    **{one: many for many, one in listing.KINDS.items()},
}
FILES = ("graph", "recipe", "table")  # the kinds of YAML files of one's own
SUFFIXES = (".yaml", ".yml")
FEW = 6  # names that a hint lists


@dataclass(frozen=True)
class Named:
    """One meaning of a name: what is known of the thing, and where it is a YAML file, the path of that."""

    kind: str
    name: str
    path: Path | None = None
    item: Description | None = None


def meanings(name: str, kinds: Collection[str] = KINDS) -> list[Named]:
    """Everything of these kinds that `name` names, the likeliest first.

    Raises CrossbandError where it names nothing, and InvalidFile for a file that cannot be read or is neither.
    """
    if name.endswith(SUFFIXES):
        stem = Path(name).stem
        if not Path(name).exists() and any(stem in listing.known(KINDS[kind]) for kind in kinds):
            raise CrossbandError(f"{name}: no such file", hint=f"what is shipped is called by its name: `{stem}`")
        return [Named(kind_of(name), name, Path(name))]
    known = {kind: listing.known(KINDS[kind]) for kind in kinds}
    found = []
    for kind, items in known.items():
        if item := items.get(name):
            catalog = listing.CATALOGS.get(KINDS[kind])
            found.append(Named(kind, name, catalog.files()[name] if catalog else None, item))
    if not found:
        what = "nothing" if len(kinds) == len(KINDS) else f"no {_either(kinds)}"
        hint = _hint(name, [each for items in known.values() for each in items], [KINDS[kind] for kind in kinds])
        raise CrossbandError(f"{what} named `{name}`", hint=hint)
    return found


def _either(words: Iterable[str]) -> str:
    """One of these: `graph, recipe or table`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _hint(name: str, known: Sequence[str], kinds: Sequence[str]) -> str:
    """The file or the name that may be meant, or what has the word in its documentation."""
    if Path(f"{name}.yaml").is_file():
        return f"for the file, write `{name}.yaml`"
    if Path(name).is_file():
        return "a graph or recipe is a YAML file: its name ends in `.yaml`"
    if meant := suggest(name, known):
        return meant
    if keys := listing.keys_named(name):
        return f"it is a key: `crossband show format {keys[0]}`"
    if near := [item.name for items in listing.find(name, kinds).values() for item in items]:
        more = f" and {len(near) - FEW} more" if len(near) > FEW else ""
        return f"`crossband ls --find {name}` finds {', '.join(f'`{each}`' for each in near[:FEW])}{more}"
    return "`crossband ls` lists every name; a file is named by its path"


def kind_of(file: str) -> str:
    """`graph`, `recipe` or `table`, by the key at the top of a YAML file. Raises InvalidFile where it is none."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.reader import read
    from crossband.graphs.language.validate import is_of_kind

    problems = Problems()
    document = read(file, problems)
    keys = document.data if document and isinstance(document.data, Mapping) else {}
    kind = next((kind for kind in FILES if kind in keys), "graph")
    if document and is_of_kind(document, kind, problems) and not {*FILES} & {*keys}:
        hint = "begin with `graph: its_name`, a recipe with `recipe: its_name`, a table with `table: its_name`"
        problems.add("E007", "a file needs the key `graph`, `recipe` or `table`", document.place(), hint)
    problems.raise_if_any()
    return kind


def settings(texts: Sequence[str]) -> "tuple[dict[str, Any], Callable[[str], Place | None]]":
    """The params of a graph from `name=value` on the command line, and where each is given.

    Raises InvalidFile where one cannot be read.
    """
    from crossband.graphs.language.diagnostics import Problems
    from crossband.recipes.language.layers import read_setting

    problems = Problems()
    found = [setting for text in texts if (setting := read_setting(text, problems))]
    problems.raise_if_any()
    places = {".".join(setting.path): setting.place(setting.path, key=False) for setting in found}
    return {".".join(setting.path): setting.document.data for setting in found}, places.get


class ImageSize(click.ParamType):
    """The size of an image as `HxW`, or one number for both sides."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Height and width."""
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().replace("×", "x").split("x")
        if len(sides) not in (1, 2) or not all(
            side.isascii() and side.isdigit() and 0 < int(side) < 1 << 16 for side in sides
        ):
            self.fail(
                f"`{value}` is no image size\nhint: write height x width in pixels, such as `512x640`", param, ctx
            )
        return int(sides[0]), int(sides[-1])


SET = click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Give a param another value (repeatable)"
)
SIZE = click.option("--size", type=ImageSize(), help="The size of an image, height first, such as `512x640`")
JSON = click.option("--json", "as_json", is_flag=True, help="For a program")
