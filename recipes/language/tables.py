"""Read a table file into a `Comparison`: recipes side by side, under settings that all of them share."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossband import registry
from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.document import Document
from crossband.graphs.language.reader import read
from crossband.graphs.language.validate import is_of_kind, validate
from crossband.recipes.language.catalog import RECIPES, TABLES
from crossband.recipes.language.checker import check_recipe
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.layers import Setting, read_setting
from crossband.recipes.language.reading import figures, load_recipe_into
from crossband.recipes.language.syntax import Figure, Recipe
from crossband.recipes.language.table_schema import FORMS, table_schema
from crossband.registry import nearest

OWN = {  # settings that a table makes itself
    "seed": "seeds stand at the top of the table: `seeds: [0, 1]`",
    "paper": "figures of a paper stand at the top of the table, under `paper`",
}


@dataclass(frozen=True)
class Row:
    """A row: the recipe that it names, by shipped name or path, and its settings, the strongest last.

    `written` are those that the table file says by itself, without variants and what was given beside. `own` are what
    this row alone says, `departs` the keys of it in which it departs from the protocol.
    """

    name: str
    recipe: str
    settings: tuple[Setting, ...] = ()
    written: tuple[Setting, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    departs: tuple[str, ...] = ()
    note: str = ""

    @property
    def folder(self) -> str:
        """Its name as that of a folder: letters, digits, and `_` for all else."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_") or "row"

    def load(self, problems: Problems, *, written: bool = False) -> Recipe | None:
        """Its recipe, as it is run, or as the table file alone says it. Faults are added to `problems`."""
        return load_recipe_into(self.recipe, problems, self.written if written else self.settings)


@dataclass(frozen=True)
class Printed:
    """The figures that a paper prints, by row, and what they are bound to."""

    source: str
    table: str
    data: str
    values: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    task: Mapping[str, str] | None = None
    size: int | tuple[int, int] | None = None
    note: str = ""


@dataclass(frozen=True, repr=False)
class Comparison:
    """A table with a valid structure, whose names are known."""

    name: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    document: Document
    seeds: tuple[int, ...] = (0,)
    reference: str = ""
    paper: Printed | None = None
    doc: str = ""
    cite: tuple[str, ...] = ()
    protocol: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Comparison {self.name}: {', '.join(row.name for row in self.rows)}>"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns that are measured on images."""
        return tuple(column for column in self.columns if column not in FIGURES)

    def at(self, *path: str | int, key: bool = False) -> Place:
        """The place of a part of this table in its file."""
        return self.document.place(*path, key=key)


def load_table(name: str | Path, overrides: Sequence[str] = ()) -> Comparison:
    """The table of a shipped name or a path, with `key=value` overrides of every row; `variant` is one of the table.

    Raises InvalidFile with every fault of the file. The recipes themselves are checked by `check_rows`.
    """
    problems = Problems()
    return problems.value(load_table_into(name, problems, overrides))


def load_table_into(name: str | Path, problems: Problems, overrides: Sequence[str] = ()) -> Comparison | None:
    """Like `load_table`, but add faults to `problems`, and return None if there are any."""
    given = [setting for text in overrides if (setting := read_setting(text, problems))]
    path = TABLES.look_up(str(name), None, problems, "E087")
    document = read(path, problems) if path else None
    if document is None or problems:
        return None
    if not isinstance(document.data, dict):
        problems.add("E006", "a table is a mapping of keys", document.place(), "it begins with `table: its_name`")
        return None
    if not is_of_kind(document, "table", problems) or not validate(document, table_schema(), problems, "table", FORMS):
        return None
    found = _Parser(document, given, problems).table()
    return None if problems else found


def check_rows(table: Comparison) -> dict[str, Experiment]:
    """The checked recipe of each row as it is run. Raises InvalidFile with every fault of all of them."""
    problems, found = Problems(), {}
    for row in table.rows:
        own = Problems()
        recipe = row.load(own)
        experiment = check_recipe(recipe, own) if recipe else None
        for each in own:
            problems.take(each, [(f"in the row `{row.name}`", table.at("rows", row.name))])
        if experiment:
            found[row.name] = experiment
    problems.raise_if_any()
    return found


class _Parser:
    def __init__(self, document: Document, given: Sequence[Setting], problems: Problems) -> None:
        self.document, self.data, self.problems = document, document.data, problems
        self.given = [setting for setting in given if setting.path != ("variant",)]
        self.chosen = list(self.variants([setting for setting in given if setting.path == ("variant",)]))

    def table(self) -> Comparison:
        data = self.data
        rows = tuple(row for name in data["rows"] if (row := self.row(name)))
        seeds, cite = data.get("seeds", 0), data.get("cite", ())
        self.columns()
        self.folders(rows)
        reference = data.get("reference", next(iter(data["rows"])))
        if reference not in data["rows"]:
            self.unknown("row", reference, data["rows"], "reference")
        return Comparison(
            name=data["table"],
            rows=rows,
            columns=tuple(data["columns"]),
            document=self.document,
            seeds=tuple(seeds) if isinstance(seeds, list) else (seeds,),
            reference=reference,
            paper=self.paper(data["paper"]) if "paper" in data else None,
            doc=data.get("doc", ""),
            cite=(cite,) if isinstance(cite, str) else tuple(cite),
            protocol=data.get("protocol", {}),
            variants=tuple(data.get("variants", ())),
        )

    def variants(self, given: Sequence[Setting]) -> Iterator[str]:
        """The names of the chosen variants of the table."""
        known = self.data.get("variants", {})
        for setting in given:
            for name in setting.value if isinstance(setting.value, list) else [setting.value]:
                if name in known:
                    yield name
                else:
                    hint = nearest(str(name), known, otherwise="the table has no variants")
                    place = setting.place(setting.path, key=False)
                    self.problems.add("E070", f"no variant named `{name}`", place, hint)

    def row(self, name: str) -> Row | None:
        written = self.data["rows"][name]
        data: Mapping[str, Any] = {"recipe": written} if isinstance(written, str) else written
        place = self.document.place("rows", name, *(() if isinstance(written, str) else ("recipe",)))
        path = RECIPES.look_up(data["recipe"], place, self.problems, "E078")
        protocol, own = self.settings("protocol"), self.settings("rows", name, "settings")
        variants = [setting for each in self.chosen for setting in self.settings("variants", each)]
        if path is None:
            return None
        departs = [key for key in map(_dotted, own) if any(_touch(key, each) for each in map(_dotted, protocol))]
        return Row(
            name=name,
            recipe=data["recipe"] if RECIPES.ships(path) else str(path),
            settings=_together([*protocol, *own, *variants, *self.given]),
            written=_together([*protocol, *own]),
            own=data.get("settings", {}),
            departs=tuple(departs),
            note=data.get("note", ""),
        )

    def settings(self, *path: str) -> list[Setting]:
        """The settings of a section of the file; those that a table makes itself are reported."""
        found: Any = self.data
        for step in path:
            found = found.get(step, {}) if isinstance(found, dict) else {}
        for key in found:
            if key in OWN:
                self.problems.add("E005", f"a table sets `{key}`", self.document.place(*path, key, key=True), OWN[key])
        return [Setting(tuple(key.split(".")), self.document, (*path, key)) for key in found]

    def columns(self) -> None:
        known = [*FIGURES, *registry.metrics]
        for number, name in enumerate(self.data["columns"]):
            if name not in known:
                self.unknown("column", name, known, "columns", number)

    def folders(self, rows: Sequence[Row]) -> None:
        """Report rows whose runs would lie in one folder."""
        first: dict[str, str] = {}
        for row in rows:
            other = first.setdefault(row.folder, row.name)
            if other != row.name:
                message = f"the rows `{other}` and `{row.name}` would have one folder, `{row.folder}`"
                place = self.document.place("rows", row.name, key=True)
                self.problems.add("E016", message, place, "a folder has letters and digits alone: rename one of them")

    def paper(self, data: Mapping[str, Any]) -> Printed:
        """The figures of the paper; those of rows and metrics that there are not are reported."""
        known = [*FIGURES, *registry.metrics]
        for row, values in data.get("values", {}).items():
            if row not in self.data["rows"]:
                self.unknown("row", row, self.data["rows"], "paper", "values", row, key=True)
            for name in values:
                if name not in known:
                    self.unknown("metric", name, known, "paper", "values", row, name, key=True)
        values = {row: figures(own) for row, own in data.get("values", {}).items()}
        size = tuple(data["size"]) if isinstance(data.get("size"), list) else data.get("size")
        return Printed(**{**data, "values": values, "size": size})

    def unknown(self, what: str, name: str, known: Any, *path: str | int, key: bool = False) -> None:
        place = self.document.place(*path, key=key)
        self.problems.add("E070", f"no {what} named `{name}`", place, nearest(name, known))


def _together(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """Settings in their order, but for `variant`: those of several levels are all chosen."""
    chosen = [setting for setting in settings if setting.path == ("variant",)]
    others = [setting for setting in settings if setting.path != ("variant",)]
    if len(chosen) > 1:
        names = [name for each in chosen for name in (each.value if isinstance(each.value, list) else [each.value])]
        chosen = [found for found in (read_setting(f"variant={json.dumps(names)}", Problems()),) if found]
    return (*chosen, *others)


def _dotted(setting: Setting) -> str:
    return ".".join(setting.path)


def _touch(one: str, other: str) -> bool:
    """Whether two settings are of one thing, or one of them of a part of the other's."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
