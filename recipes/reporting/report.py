"""The page that a run ends with: figures against baselines, pictures, the recipe and its environment.

A report is a list of parts, written twice from the same list: `report.md`, whose pictures are links,
and `report.html`, which holds its pictures and needs no other file. The parts with figures are those of
`crossband.recipes.metrics.results`.
"""

import base64
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crossband.recipes.basics.files import write_text
from crossband.recipes.basics.parts import Code, Grid, Heading, Notes, Part, Picture, markdown
from crossband.recipes.model.run_folder import RunFolder
from crossband.registry import CrossbandError, visible


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


def write_report(report: Report, folder: str | os.PathLike[str]) -> Path:
    """Write `report.md` and `report.html` into a run folder, each whole or not at all; returns the path of `report.md`.

    Raises CrossbandError, before anything is written, if a picture is missing.
    """
    run, parts = RunFolder(Path(folder)), report.parts()
    if missing := [str(part.file) for part in parts if isinstance(part, Picture) and not part.file.is_file()]:
        raise CrossbandError(f"{', '.join(missing)}: no such picture")
    page = "\n".join(_html(part) for part in parts)
    texts = {
        run.report: markdown(parts, run.path) + "\n",
        run.page: PAGE.format(title=_text(report.title), body=page),
    }
    for file, text in texts.items():
        write_text(file, text)
    return run.report


def _text(text: str) -> str:
    """A text of anybody in HTML: it makes no tag, and turns no direction of what is read."""
    return html.escape(visible(text))


def _html(part: Part) -> str:
    match part:
        case Heading(text, level):
            return f"<h{level}>{_text(text)}</h{level}>"
        case Notes(lines):
            return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>"
        case Code(text, _):
            return f"<pre>{_text(text.rstrip())}</pre>"
        case Picture(caption, file):
            data, words = base64.b64encode(file.read_bytes()).decode("ascii"), _text(caption)
            image = f'<img alt="{words}" src="data:image/png;base64,{data}">'
            return f"<figure>{image}<figcaption>{words}</figcaption></figure>"
        case Grid():
            return _html_table(part)
        case str(text):
            return f"<p>{_text(text)}</p>"


def _html_table(grid: Grid) -> str:
    def line(cells: Sequence[str], tag: str, row: int) -> str:
        found = []
        for column, text in enumerate(cells):
            word = f"<b>{_text(text)}</b>" if (row, column) in grid.best else _text(text)
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
