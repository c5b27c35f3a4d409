"""A table of recipes for readers: our figures beside those of the paper, differences with intervals, what failed.

`TableRun` prints as Markdown. `as_dict`, `write_csv` and `latex` give the same to programs, spreadsheets and papers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from crossband import registry
from crossband.recipes.basics.latex import latex_table
from crossband.recipes.basics.parts import Grid, Notes, Part, markdown
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.language.syntax import Figure, Paper
from crossband.recipes.language.tables import Comparison, Row
from crossband.recipes.metrics.costs import notes as notes_on_costs
from crossband.recipes.metrics.evaluation import Summary
from crossband.recipes.metrics.gain import HOW as HOW_OF_GAINS
from crossband.recipes.metrics.gain import gain
from crossband.recipes.metrics.intervals import LEVEL, Difference, paired
from crossband.recipes.metrics.results import (
    ABSENT,
    Results,
    cell,
    difference_text,
    heading,
    on_differences,
    printed,
    remarks,
    together,
)
from crossband.recipes.metrics.seeds import over_seeds
from crossband.recipes.reporting.sheet import write_rows

FAILED = "failed"


@dataclass(frozen=True)
class Measured:
    """What became of a row: the folders and the results of its runs by seed, what they say where they failed.

    `paper` is what the paper prints for it, with why that cannot be compared.
    """

    row: Row
    runs: Mapping[int, Path] = field(default_factory=dict)
    results: Mapping[int, Results] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    paper: Paper | None = None


@dataclass(frozen=True, repr=False)
class TableRun:
    """A table of which every row was trained and measured, or failed. `folder` is that of its runs."""

    table: Comparison
    rows: tuple[Measured, ...]
    folder: Path

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} of them failed" if self.failed else ""
        return f"<TableRun {self.table.name}: {len(self.rows)} rows{failed}, in {self.folder}>"

    def __str__(self) -> str:
        return markdown(self.parts())

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return str(self)

    @cached_property
    def failed(self) -> dict[str, str]:
        """What went wrong, by the name of the row, with its seed where there are several."""
        several = len(self.table.seeds) > 1
        return {
            f"{each.row.name}, seed {seed}" if several else each.row.name: message
            for each in self.rows
            for seed, message in each.failed.items()
        }

    @cached_property
    def systems(self) -> dict[str, Results]:
        """The results of each row that has some, over its seeds."""
        return {
            each.row.name: over_seeds(each.row.name, list(each.results.values())) for each in self.rows if each.results
        }

    @cached_property
    def results(self) -> Results | None:
        """All rows together, each over its seeds, as `crossband evaluate` puts runs together; None if all failed."""
        return together(self.systems) if self.systems else None

    @cached_property
    def reference(self) -> str | None:
        """The row that others are compared with: that of the table, or if it failed the first that did not."""
        return self.table.reference if self.table.reference in self.systems else next(iter(self.systems), None)

    @cached_property
    def papers(self) -> dict[str, Paper]:
        """What the paper prints for each row, with all reasons why it cannot be compared with ours."""
        found = {}
        for each in self.rows:
            if each.paper:
                reasons = [each.paper.differs] if each.paper.differs else []
                reasons += self._other_size(each.row.name)
                found[each.row.name] = replace(each.paper, differs="; ".join(reasons))
        return found

    def _other_size(self, row: str) -> Iterator[str]:
        """That the paper measured images of another size."""
        size = self.table.paper.size if self.table.paper else None
        if size is not None and row in self.systems:
            theirs = "x".join(map(str, size if isinstance(size, tuple) else (size, size)))
            ours = self.systems[row].conditions[row].size
            if ours != theirs:
                yield f"its images are {ours}, not {theirs}"

    # ------------------------------------------------------------------ figures

    def summary(self, row: str, column: str) -> Summary | None:
        """A figure of a row: its mean, its spread and over how many images; None where there is none."""
        if column in FIGURES:
            cost = self.systems[row].costs.get(row) if row in self.systems else None
            return Summary(cost.figures[column], None, 0) if cost and column in cost.figures else None
        return self.systems[row].table.summary.get(column) if row in self.systems else None

    @cached_property
    def differences(self) -> dict[str, dict[str, Difference]]:
        """Each row minus the reference, image by image, by metric: of the rows that can be compared with it."""
        results, reference = self.results, self.reference
        if results is None or reference is None:
            return {}
        metrics = [name for name in self.table.metrics if registry.metrics[name].better]
        rows = [row for row in self.systems if row != reference and results.obstacle(row, reference) is None]
        tables = {row: self.systems[row].table for row in (reference, *rows)}
        return {
            row: {name: found for name in metrics if (found := paired(tables[row], tables[reference], name))}
            for row in rows
        }

    def gain(self, row: str, metric: str) -> float | None:
        """By how many percent a row is better than the reference, below zero where it is worse: see `gain`."""
        own, other = (self.summary(each, metric) for each in (row, self.reference or row))
        return gain(registry.metrics[metric], own.mean, other.mean) if own and other else None

    # ------------------------------------------------------------------ what is printed

    def parts(self) -> list[Part]:
        """The table beside the paper's, the differences, what failed, and notes on how to read all of it."""
        found: list[Part] = [self.grid()]
        results = self.results
        if self.failed:
            found += ["Failed:", Notes([f"{name}: {message}" for name, message in self.failed.items()])]
        if any(self.differences.values()):
            found += [
                f"Each row minus {self.reference}, image by image: the mean, its {LEVEL:.0%} interval, and the gain in "
                f"percent of the mean of {self.reference}, above zero where the row is better.",
                self._differences_grid(),
            ]
        if results:
            found += [f"{run} {text}." for run, texts in results.verdicts().items() for text in texts]
        return [*found, "How to read it:", Notes(self.notes())]

    def grid(self) -> Grid:
        """A row for each row, then for the two trivial translations; a column for ours, and one for the paper's."""
        shown = {column: any(column in paper.values for paper in self.papers.values()) for column in self.table.columns}
        headers, rows, best = [""], [], set()
        for column, beside in shown.items():
            headers += [_heading(column), "paper"] if beside else [_heading(column)]
        for each in self.rows:
            cells = [each.row.name]
            for column, beside in shown.items():
                cells.append(self._cell(each, column))
                cells += [self._of_paper(each.row.name, column)] if beside else []
            rows.append(cells)
        for name, table in self._baselines().items():
            cells = [name]
            for column, beside in shown.items():
                found = table.get(column)
                cells += [_text(column, found) if found else ABSENT, *([ABSENT] if beside else [])]
            rows.append(cells)
        for column in self.table.metrics:
            place = headers.index(_heading(column))
            best |= {(number, place) for number in self._best(column)}
        return Grid(headers, rows, frozenset(best))

    def _cell(self, each: Measured, column: str) -> str:
        found = self.summary(each.row.name, column)
        if found is None:
            return FAILED if each.failed and not each.results else ABSENT
        return _text(column, found)

    def _of_paper(self, row: str, column: str) -> str:
        paper = self.papers.get(row)
        return printed(paper.values.get(column), bracketed=bool(paper.differs)) if paper else ABSENT

    def _baselines(self) -> dict[str, Mapping[str, Summary]]:
        """The trivial translations of all rows, each once."""
        results = self.results
        if results is None:
            return {}
        names = dict.fromkeys(name for own in results.baselines.values() for name in own)
        return {name: results.tables[name].summary for name in names}

    def _best(self, column: str) -> list[int]:
        """The numbers of the rows with the best mean, among those that can be compared with the reference."""
        metric, rivals = registry.metrics[column], {self.reference, *self.differences}
        means = {
            number: found.mean
            for number, each in enumerate(self.rows)
            if each.row.name in rivals and (found := self.summary(each.row.name, column))
        }
        if not metric.better or len(means) < 2:
            return []
        goal = (max if metric.better == "higher" else min)(means.values())
        return [number for number, mean in means.items() if mean == goal]

    def _differences_grid(self) -> Grid:
        metrics = [name for name in self.table.metrics if any(name in found for found in self.differences.values())]
        rows, best = [], set()
        for row, found in self.differences.items():
            cells = [row]
            for name in metrics:
                each, gain = found.get(name), self.gain(row, name)
                text = difference_text(registry.metrics[name], each) if each else ABSENT
                cells.append(f"{text}, {gain:+.1f} %" if each and gain is not None else text)
                if each and each.surely(registry.metrics[name].better):
                    best.add((len(rows), len(cells) - 1))
            counts = {str(each.n) for each in found.values()}
            rows.append([*cells, ", ".join(sorted(counts)) or ABSENT])
        return Grid(["", *map(_heading, metrics), "n"], rows, frozenset(best))

    def notes(self) -> list[str]:
        """What is to be known before the figures are read: how they were made, what they cannot be compared with."""
        lines: list[str] = []
        if results := self.results:
            how, *others = remarks({run: results.tables[run] for run in results.baselines})
            lines += [_over(self.table.seeds) if len(self.table.seeds) > 1 else how, *others]
            measured: dict[str, list[str]] = {}
            for run, conditions in results.conditions.items():
                measured.setdefault(str(conditions), []).append(run)
            lines += [
                f"Measured of {_all_or(rows, len(results.conditions))}: {where}." for where, rows in measured.items()
            ]
            lines += results.warnings
            pairs = {(row, str(self.reference)): found for row, found in self.differences.items()}
            lines += on_differences(pairs)
            lines += [HOW_OF_GAINS] if any(self.differences.values()) else []
            lines += notes_on_costs(results.costs) if results.costs else []
        if self.reference and self.reference != self.table.reference:
            lines.append(f"{self.table.reference} failed: the others are compared with {self.reference}.")
        for each in self.rows:
            if each.row.departs:
                keys = " and ".join(f"`{key}`" for key in each.row.departs)
                lines.append(f"{each.row.name} departs from the protocol of the table: {keys}.")
            lines += [f"{each.row.name}: {each.row.note.rstrip('.')}."] if each.row.note else []
        return [*lines, *self._on_the_paper()]

    def _on_the_paper(self) -> list[str]:
        """Notes on the figures of the paper; what holds for several rows is said once."""
        printed_table = self.table.paper
        if printed_table is None or not self.papers:
            return []
        found: dict[str, list[str]] = {}
        for row, paper in self.papers.items():
            lines = [f"cannot be compared with ours: {paper.differs}"] if paper.differs else []
            lines += [paper.note.rstrip(".")] if paper.note else []
            for name, figure in paper.values.items():
                if name in self.table.columns and figure.note:
                    sign = "*" if figure.comparable else ", in brackets"
                    lines.append(f"its {_title(name)}{sign}: {figure.note.rstrip('.')}")
            for line in lines:
                found.setdefault(line, []).append(row)
        where = f"{printed_table.source}, {printed_table.table}"
        first = f"The paper's figures ({where}) were measured on {printed_table.data}; only runs on the same images, "
        lines = [f"{first}of the same size, can be compared with them. Those in brackets cannot."]
        for line, rows in found.items():
            lines.append(f"The paper's figures of {_all_or(rows, len(self.papers))}: {line}.")
        return lines

    # ------------------------------------------------------------------ for programs

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        results = self.results
        return {
            "table": self.table.name,
            "protocol": dict(self.table.protocol),
            "seeds": list(self.table.seeds),
            "reference": self.reference,
            "rows": [self._row_as_dict(each) for each in self.rows],
            "baselines": {
                name: {column: asdict(found) for column, found in table.items()}
                for name, table in self._baselines().items()
            },
            "differences": {
                row: {name: {**asdict(each), "gain_percent": self.gain(row, name)} for name, each in found.items()}
                for row, found in self.differences.items()
            },
            "verdicts": results.verdicts() if results else {},
            "conditions": {run: asdict(each) for run, each in results.conditions.items()} if results else {},
            "notes": self.notes(),
        }

    def _row_as_dict(self, each: Measured) -> dict[str, Any]:
        name, paper = each.row.name, self.papers.get(each.row.name)
        columns = {}
        for column in self.table.columns:
            if found := self.summary(name, column):
                seeds = {
                    seed: results.table.summary[column].mean
                    for seed, results in each.results.items()
                    if column in results.table.summary
                }
                columns[column] = {**asdict(found), "seeds": seeds} if seeds else {"mean": found.mean}
        return {
            "name": name,
            "recipe": each.row.recipe,
            "runs": {seed: str(folder) for seed, folder in each.runs.items()},
            "failed": dict(each.failed),
            "columns": columns,
            "paper": asdict(paper) if paper else None,
        }

    def write_csv(self, file: Path) -> None:
        """Write a line for each row and column, whole or not at all, in place of an existing file. Raises FileError."""
        head = ["row", "column", "mean", "std", "images", "seeds", "paper", "comparable", "remark"]
        write_rows(file, head, self._lines())

    def _lines(self) -> Iterator[list[Any]]:
        for each in self.rows:
            paper = self.papers.get(each.row.name)
            for column in self.table.columns:
                found = self.summary(each.row.name, column)
                ours = [found.mean, found.std, found.n or None] if found else [None, None, None]
                figure = paper.values.get(column) if paper else None
                remarks = [*each.failed.values(), *_reasons(paper, figure)]
                theirs = [figure.value, not _reasons(paper, figure)] if figure else [None, None]
                yield [each.row.name, column, *ours, len(each.results), *theirs, "; ".join(remarks)]

    def latex(self) -> str:
        """The table in LaTeX, with the rules of booktabs, and its notes below."""
        failed = [f"{name} failed: {message}" for name, message in self.failed.items()]
        caption = self.table.doc or self.table.name
        return latex_table(self.grid(), label=self.table.name, caption=caption, notes=[*failed, *self.notes()])


def _all_or(rows: Sequence[str], every: int) -> str:
    """The names of rows, or that they are all."""
    return "all rows" if len(rows) == every > 1 else ", ".join(rows)


def _reasons(paper: Paper | None, figure: Figure | None) -> list[str]:
    """Why a figure of a paper cannot be compared with ours."""
    if paper is None or figure is None:
        return []
    return [*filter(None, [paper.differs]), *([] if figure.comparable else [figure.note])]


def _over(seeds: Sequence[int]) -> str:
    return (
        "Each metric is computed for each image on [0, 1] and then averaged: mean ± standard deviation over the seeds "
        f"{', '.join(map(str, seeds))}. The figure of an image is its mean over the seeds."
    )


def _title(column: str) -> str:
    return FIGURES[column].title if column in FIGURES else registry.metrics[column].title


def _heading(column: str) -> str:
    if column in FIGURES:
        return f"{FIGURES[column].title}{f' ({FIGURES[column].unit})' if FIGURES[column].unit else ''}"
    return heading(registry.metrics[column])


def _text(column: str, found: Summary) -> str:
    if column in FIGURES:
        return FIGURES[column].format(found.mean)
    return cell(registry.metrics[column], found.mean, found.std)
