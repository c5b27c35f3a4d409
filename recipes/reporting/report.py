"""The page that a run ends with: figures against baselines, pictures, the recipe and its environment.

A report is a list of parts, written twice from the same list: `report.md`, whose pictures are links,
and `report.html`, which holds its pictures and needs no other file. `markdown` also serves the
command line, and `crossband.recipes.reporting.results` has the parts that tell figures.
"""

import base64
import html
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crossband.recipes.basics.files import replacing
from crossband.registry import CrossbandError


@dataclass(frozen=True)
class Grid:
    """A table of text. `best` are the cells `(row, column)` to be set off; `align` has `l` or `r` for each
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
    """Text set as it is: a recipe, a command."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG file with a caption."""

    caption: str
    file: Path


Part = Heading | Notes | Code | Picture | Grid | str


@dataclass(frozen=True)
class Report:
    """The content of the page. `results` are the parts with figures; `pictures` maps captions to PNG files."""

    title: str
    summary: str = ""
    results: Sequence[Part] = ()
    pictures: Mapping[str, Path] = field(default_factory=dict)
    recipe: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> list[Part]:
        """The parts in reading order."""
        found: list[Part] = [Heading(self.title, 1)]
        if self.summary:
            found.append(self.summary)
        if self.results:
            found += [Heading("Results"), *self.results]
        if self.pictures:
            found += [Heading("Pictures"), *(Picture(caption, Path(file)) for caption, file in self.pictures.items())]
        if self.recipe:
            found += [Heading("Recipe"), Code(self.recipe, "yaml")]
        if self.environment:
            found += [
                Heading("Environment"),
                Grid(["", ""], [list(pair) for pair in self.environment.items()], align="ll"),
            ]
        return found


def markdown_table(grid: Grid) -> str:
    """A table in Markdown whose source is lined up as well; the best cells are bold."""
    rows = [
        [f"**{text}**" if (i, j) in grid.best else text for j, text in enumerate(row)]
        for i, row in enumerate(grid.rows)
    ]
    align = grid.align
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in [grid.headers, *rows]]
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


def write_report(report: Report, folder: str | os.PathLike[str]) -> Path:
    """Write `report.md` and `report.html` into a run folder, each whole or not at all; returns the path of `report.md`.

    Raises CrossbandError, before anything is written, if a picture is missing.
    """
    folder, parts = Path(folder), report.parts()
    if missing := [str(part.file) for part in parts if isinstance(part, Picture) and not part.file.is_file()]:
        raise CrossbandError(f"{', '.join(missing)}: no such picture")
    page = "\n".join(_html(part) for part in parts)
    texts = {
        "report.md": markdown(parts, folder) + "\n",
        "report.html": PAGE.format(title=html.escape(report.title), body=page),
    }
    for name, text in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / "report.md"


def markdown(parts: Sequence[Part], folder: Path = Path()) -> str:
    """Parts of a report in Markdown; links to pictures are as seen from `folder`."""
    return "\n\n".join(_markdown(part, folder) for part in parts)


def _markdown(part: Part, folder: Path) -> str:
    match part:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Notes(lines):
            return "\n".join(f"- {line}" for line in lines)
        case Code(text, language):
            fence = "```"
            while fence in text:
                fence += "`"
            return f"{fence}{language}\n{text.rstrip()}\n{fence}"
        case Picture(caption, file):
            link = os.path.relpath(file, folder).replace(os.sep, "/")
            words = re.sub(r"([\\[\]*_`])", r"\\\1", caption)
            return f"![{words}](<{link}>)\n\n*{words}*"
        case Grid():
            return markdown_table(part)
        case str(text):
            return text


def _html(part: Part) -> str:
    match part:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Notes(lines):
            return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"
        case Code(text, _):
            return f"<pre>{html.escape(text.rstrip())}</pre>"
        case Picture(caption, file):
            data, words = base64.b64encode(file.read_bytes()).decode("ascii"), html.escape(caption)
            image = f'<img alt="{words}" src="data:image/png;base64,{data}">'
            return f"<figure>{image}<figcaption>{words}</figcaption></figure>"
        case Grid():
            return _html_table(part)
        case str(text):
            return f"<p>{html.escape(text)}</p>"


def _html_table(grid: Grid) -> str:
    def line(cells: Sequence[str], tag: str, row: int) -> str:
        found = []
        for column, text in enumerate(cells):
            word = f"<b>{html.escape(text)}</b>" if (row, column) in grid.best else html.escape(text)
            found.append(f'<{tag} class="{grid.align[column]}">{word}</{tag}>')
        return f"<tr>{''.join(found)}</tr>"

    body = "\n".join(line(row, "td", index) for index, row in enumerate(grid.rows))
    return f"<table>\n{line(grid.headers, 'th', -1)}\n{body}\n</table>"


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #202124; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ font-weight: 600; line-height: 1.2; }}
h2 {{ margin-top: 2.5rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #dadce0; }}
.l {{ text-align: left; }}
.r {{ text-align: right; }}
ul {{ color: #5f6368; padding-left: 1.2rem; }}
pre {{ background: #f6f7f8; padding: 1rem; overflow-x: auto; font-size: 13px; }}
figure {{ margin: 1.5rem 0; }}
img {{ max-width: 100%; }}
figcaption {{ color: #5f6368; }}
</style>
<body>
{body}
</body>
</html>
"""
