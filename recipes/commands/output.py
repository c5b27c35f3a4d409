"""What commands print: tables and JSON to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from crossband.recipes.basics.terminal import coloured
from crossband.registry import CrossbandError, show, visible

if TYPE_CHECKING:
    from crossband.graphs.language.diagnostics import Problems


def colourful(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Talk to the user, on stderr."""
    click.echo(text, err=True)


def report(error: CrossbandError) -> None:
    """Print an error meant for the user, on stderr."""
    if problems := getattr(error, "problems", None):  # of an InvalidFile
        print_problems(problems, sys.stderr)
    else:
        say(str(error))


def refuse_existing(*files: Path | None) -> None:
    """Raise CrossbandError, before anything is worked out, where a file that is to be written is there already."""
    for file in filter(None, files):
        if file.exists():
            raise CrossbandError(f"{file}: is there already", hint="name another file")


def refuse_unwritable(sheet: Path | None, picture: Path | None) -> None:
    """Raise CrossbandError, before anything is worked out, where a sheet or a PNG could not be written afterwards."""
    refuse_existing(sheet, picture)
    if picture and picture.suffix.lower() != ".png":
        raise CrossbandError(f"{picture}: a picture is written as PNG", hint=f"name it `{picture.with_suffix('.png')}`")


def print_problems(problems: "Problems", stream: TextIO) -> None:
    """Print every fault of a file."""
    _coloured(problems.render(colour=colourful(stream)), stream)


def plain(value: Any) -> str:
    """A value as YAML writes it, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {plain(item)}" for name, item in value.items()) + "}"
    return show(value).replace("`", "")


def print_json(data: Any) -> None:
    """Print data for a program."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    click.echo("".join(sign if sign == "\n" or sign.isprintable() else json.dumps(sign)[1:-1] for sign in text))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table: fitted to the terminal, or whole where stdout is not one. `right` names what is right-aligned."""
    if sys.stdout.isatty():
        _rich_table(headings, rows, right)
        return
    from crossband.graphs.picture.columns import table_lines

    for line in table_lines(headings, rows, right):
        click.echo(line)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names with their values, one a line; empty values are left out."""
    clean = {visible(name): visible(value) for name, value in facts.items()}
    width = max(map(len, clean), default=0)
    bold = colourful(sys.stdout)
    for name, value in clean.items():
        if value:
            head = name.ljust(width)
            _coloured(f"{click.style(head, bold=True) if bold else head}  {value}", sys.stdout)


def _coloured(text: str, stream: TextIO) -> None:
    """Print a text that is clean, with its colours."""
    click.echo(text, file=coloured(stream), color=True)


def _rich_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        side = "right" if heading in right else "left"
        table.add_column(heading, justify=side, overflow="fold", no_wrap=number == 0 or heading in right)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))  # as text: brackets are no markup here
    Console(file=coloured(sys.stdout), color_system="auto" if colourful(sys.stdout) else None).print(table)
