"""What a NAME on the command line means: a thing of the registry, a shipped YAML file, or a file of one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from crossband.recipes.commands import listing
from crossband.registry import CrossbandError, suggest

KINDS = ("graph", "recipe", "block", "wrapper", "loss", "source")  # the first that knows a name is meant
_PLURAL = {kind: f"{kind}es" if kind == "loss" else f"{kind}s" for kind in KINDS}
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Named:
    """One meaning of a name: for a graph or recipe, `path` is its file."""

    kind: str
    name: str
    path: Path | None = None


def meanings(name: str, kinds: Sequence[str] = KINDS) -> list[Named]:
    """Everything of these kinds that `name` names, the likeliest first.

    Raises CrossbandError where it names nothing, and InvalidFile for a file that cannot be read or is neither.
    """
    if name.endswith(SUFFIXES):
        return [Named(kind_of(name), name, Path(name))]
    found, known = [], []
    for kind in kinds:
        names = [item.name for item in listing.items(_PLURAL[kind])]
        known += names
        if name in names:
            catalog = listing.WRITTEN.get(_PLURAL[kind])
            found.append(Named(kind, name, catalog.find(name) if catalog else None))
    if not found:
        hint = suggest(name, known) or "`crossband ls` lists every name; a file is named by its path"
        if Path(f"{name}.yaml").is_file():
            hint = f"for the file, write `{name}.yaml`"
        what = "nothing" if len(kinds) == len(KINDS) else f"no {' or '.join(kinds)}"
        raise CrossbandError(f"{what} named `{name}`", hint=hint)
    return found


def kind_of(file: str) -> str:
    """`graph` or `recipe`, by the key at the top of a YAML file. Raises InvalidFile where it is neither."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.reader import read

    problems = Problems()
    document = read(file, problems)
    keys = list(document.data) if document and isinstance(document.data, Mapping) else []
    if document and not {"graph", "recipe"} & {*keys}:
        problems.add(
            "E007", "a file needs the key `graph` or `recipe`", document.place(), "begin with `graph: its_name`"
        )
    problems.raise_if_any()
    return "graph" if "graph" in keys else "recipe"


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """The params of a graph from `name=value` on the command line. Raises InvalidFile where one cannot be read."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.recipes.language.layers import read_setting

    problems = Problems()
    found = [setting for text in texts if (setting := read_setting(text, problems))]
    problems.raise_if_any()
    return {".".join(setting.path): setting.document.data for setting in found}


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
