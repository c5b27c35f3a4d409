"""The figures of every image as CSV, for a spreadsheet or a statistics program."""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crossband.recipes.basics.files import replacing
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.metrics.costs import Cost
from crossband.recipes.metrics.evaluation import Table

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # what a cell begins with that is one


def write_sheet(
    file: Path,
    tables: Mapping[str, Table],
    costs: Mapping[str, Cost] | None = None,
    *,
    by: str = "",
    subsets: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> int:
    """Write a line for each system and image, a column for each metric, empty where there is no value.

    Behind them stands what the translations of a system cost, the same in each of its lines, by name and unit. With
    `by` a column of this name says which of the `subsets`, the images of each by name, an image is in.

    The file is written whole or not at all, in place of an existing one. A text that a spreadsheet would take for a
    formula begins with `'`. Returns the number of lines below the heading.
    """
    images = [(system, name, row) for system, table in tables.items() for name, row in table.images.items()]
    metrics = list(dict.fromkeys(metric for _, _, row in images for metric in row))
    known = costs or {}
    columns = [name for name in FIGURES if any(name in cost.figures for cost in known.values())]
    own = {system: [cost.figures.get(name) for name in columns] for system, cost in known.items()}
    values = {name: value for value, names in subsets.items() for name in names}
    said = [by] if by else []
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        headers = (f"{name} ({FIGURES[name].unit})" for name in columns)
        writer.writerow(["system", "image", *map(_cell, [*said, *metrics]), *headers])
        writer.writerows(
            [
                *map(_cell, [system, name, *(values.get(name, "") for _ in said)]),
                *map(row.get, metrics),
                *own.get(system, [None] * len(columns)),
            ]
            for system, name, row in images
        )
    return len(images)


def write_rows(file: Path, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table of texts and numbers, empty where there is None, as `write_sheet` does."""
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(headings)
        writer.writerows([_cell(each) if isinstance(each, str) else each for each in row] for row in rows)


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: before what it would, it has the `'` that says "text"."""
    return f"'{text}" if text.startswith(FORMULA) else text
