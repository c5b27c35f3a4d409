"""A text as a list of parts, such as headings, notes and tables, and what it looks like in Markdown."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from crossband.registry import visible


@dataclass(frozen=True)
class Grid:
    """A table of text. `best` are the cells `(row, column)` to highlight; `align` has `l` or `r` for each
    column, by default `l` for the first and `r` for the others."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: frozenset[tuple[int, int]] = frozenset()
    align: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "align", self.align or "l" + "r" * (len(self.headers) - 1))


@dataclass(frozen=True)
class Heading:
    """The title of a part of the report."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Notes:
    """A list of sentences."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Preformatted text: a recipe, a command."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG file with a caption."""

    caption: str
    file: Path


Part = Heading | Notes | Code | Picture | Grid | str


def markdown(parts: Sequence[Part], folder: Path = Path()) -> str:
    """Parts of a report in Markdown; links to pictures are relative to `folder`.

    Their texts hold names and command lines of anybody: none of them makes a tag, a link or a picture.
    """
    return visible("\n\n".join(_markdown(part, folder) for part in parts))


def _inert(text: str, also: str = "") -> str:
    """A text on one line that begins no tag and ends no name of a link; nor has it a sign of `also`."""
    acting = r"<(?=[A-Za-z/!?])|\](?=[(\[:])" + "".join(f"|{re.escape(sign)}" for sign in also)
    return re.sub(rf"(\\*)({acting})", r"\1\1\\\2", " ".join(text.split()))


def _markdown(part: Part, folder: Path) -> str:
    match part:
        case Heading(text, level):
            return f"{'#' * level} {_inert(text)}"
        case Notes(lines):
            return "\n".join(f"- {_inert(line)}" for line in lines)
        case Code(text, language):
            fence = "```"
            while fence in text:
                fence += "`"
            return f"{fence}{language}\n{text.rstrip()}\n{fence}"
        case Picture(caption, file):
            link = re.sub(
                r"[<>\\\r\n]", lambda sign: quote(sign[0]), os.path.relpath(file, folder).replace(os.sep, "/")
            )
            words = re.sub(r"([\\[\]*_`<])", r"\\\1", " ".join(caption.split()))
            return f"![{words}](<{link}>)\n\n*{words}*"
        case Grid():
            return markdown_table(part)
        case str(text):
            return _inert(text)


def markdown_table(grid: Grid) -> str:
    """A table in Markdown with its source lined up; the best cells are bold."""
    rows = [
        [f"**{text}**" if (i, j) in grid.best else text for j, text in enumerate(row)]
        for i, row in enumerate(grid.rows)
    ]
    align = grid.align
    cells = [[_inert(cell, "|") for cell in row] for row in [grid.headers, *rows]]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(align))]
    rule = ["-" * (width - 1) + ":" if side == "r" else "-" * width for side, width in zip(align, widths, strict=True)]
    lines = [
        [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, side, width in zip(row, align, widths, strict=True)
        ]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
