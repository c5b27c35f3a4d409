"""What is said of scenes as a whole, such as day or night: by the folders that they lie in, or in a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from crossband.graphs.language.files import FileError, read_utf8
from crossband.recipes.kinds.source import DataError
from crossband.registry import ArgumentError

LARGEST = 1 << 28  # bytes of a table
SCENE = "scene"  # the column that names it


class Labelling(Protocol):
    """Says the labels of a scene; it goes to other processes, pickled."""

    def __call__(self, name: str, /) -> Mapping[str, str]:
        """Value by name of the label."""
        ...


def unlabelled(name: str) -> Mapping[str, str]:
    """The labels of scenes of which nothing is said."""
    return {}


@dataclass(frozen=True)
class Labels:
    """Labels by the `folders` of a scene's name from the outermost on, and by the columns of a CSV `table`.

    A folder called `_` stands for none. The column `scene` of the table has the names of scenes; every other one is a
    label, which an empty cell leaves out. It is read when a scene is asked about.
    """

    folders: Sequence[str] = ()
    table: Path | None = None

    def __call__(self, name: str, /) -> Mapping[str, str]:
        """The labels of a scene. Raises DataError, naming the line, where the table cannot be read."""
        parts = name.split("/")[:-1]
        found = {label: part for label, part in zip(self.folders, parts, strict=False) if label != "_"}
        return {**found, **self._rows.get(name, {})}

    @cached_property
    def _rows(self) -> dict[str, dict[str, str]]:
        return {} if self.table is None else read_table(self.table)


def labelling(source: str, folders: Sequence[str], table: str | None) -> Labels:
    """The labels that a recipe asks for. Raises ArgumentError for one without a name, DataError for a missing table."""
    for label in folders:
        if not label or (folders.count(label) > 1 and label != "_"):
            raise ArgumentError(f"{source}: `labels` names each folder once, got {', '.join(folders)}")
    if table is not None and not Path(table).is_file():
        raise DataError(f"{source}: `table`: {table}: no such file")
    return Labels(tuple(folders), None if table is None else Path(table))


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """The labels of each scene in a CSV file. Raises DataError, naming the line."""
    try:
        text = read_utf8(path, LARGEST)
    except FileError as error:
        raise DataError(error.message, hint=error.hint) from None
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        if SCENE not in head or len({*head}) < len(head) or not all(head):
            hint = "`scene,subset` and below it `train/0001,night`"
            raise DataError(f"{path}:1: its first line names the columns, one of them `{SCENE}`", hint=hint)
        rows: dict[str, dict[str, str]] = {}
        for cells in reader:
            if len(cells) != len(head) and cells:
                raise DataError(f"{path}:{reader.line_num}: {len(cells)} cells for {len(head)} columns")
            row = {name: cell.strip() for name, cell in zip(head, cells, strict=False) if cell.strip()}
            if (name := row.pop(SCENE, "")) in rows:
                raise DataError(f"{path}:{reader.line_num}: the scene `{name}` has a line already")
            rows[name] = row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: no CSV: {error}") from None
    return rows
