"""The results of evaluations for readers: figures side by side, differences with intervals, and the paper's figures.

`Results` are those of one run, or of several that `together` has joined. Its `parts` go into a report and onto the
command line; `as_dict` is for programs.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from crossband import registry
from crossband.recipes.basics.parts import Grid, Notes, Part, markdown
from crossband.recipes.kinds.metric import MetricEntry
from crossband.recipes.language.syntax import Figure, Paper
from crossband.recipes.metrics.comparable import Conditions, alike, obstacle
from crossband.recipes.metrics.costs import Cost
from crossband.recipes.metrics.costs import grid as grid_of_costs
from crossband.recipes.metrics.costs import notes as notes_on
from crossband.recipes.metrics.evaluation import EvaluationError, Summary, Table, declared
from crossband.recipes.metrics.gain import HOW as HOW_OF_GAINS
from crossband.recipes.metrics.gain import gains
from crossband.recipes.metrics.gain import grid as grid_of_gains
from crossband.recipes.metrics.intervals import FEW, LEVEL, RESAMPLES, Difference, paired
from crossband.recipes.metrics.metrics import in_order
from crossband.recipes.metrics.verdict import verdicts
from crossband.registry import CrossbandError, suggest

ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
ABSENT = "–"
SHOWN = 6  # metrics on the one line that stands for all results
STRANGERS = "Not all of these runs can be compared; why not is said below."
HOW = "Each metric is computed for each image on [0, 1] and then averaged: mean ± standard deviation over n images."


@dataclass(frozen=True, repr=False)
class Results:
    """Tables of systems by name: runs, and the trivial baselines of each run. Printed, they are Markdown.

    `baselines` has every run with the names of its baselines, `papers` the figures that papers print for its recipe,
    `conditions` under which it was measured, `costs` what its translations cost, where that was asked for. With
    `against`, the name of a system, the gains over it are given. `subsets` are the results of a part of the images for
    each value of a label that the source tells of them, `by` its name.
    """

    tables: Mapping[str, Table]
    baselines: Mapping[str, Sequence[str]]
    papers: Mapping[str, Sequence[Paper]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)
    against: str | None = None
    by: str = ""
    subsets: Mapping[str, "Results"] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tables: Mapping[str, Table],
        papers: Sequence[Paper] = (),
        warnings: Sequence[str] = (),
        conditions: Conditions | None = None,
        cost: Cost | None = None,
    ) -> "Results":
        """The results of one run: the first table is its own, the others are its baselines."""
        run, *others = tables
        costs = {run: cost} if cost else {}
        return cls(tables, {run: others}, {run: papers}, warnings, {run: conditions or Conditions()}, costs)

    @property
    def table(self) -> Table:
        """What was measured of the run, of several the first."""
        return self.tables[next(iter(self.baselines))]

    def __getitem__(self, metric: str) -> Summary:
        """A metric over the images of the run, such as `results["psnr"].mean`.

        Raises EvaluationError, with the reason, where it was not measured.
        """
        if metric in self.table.summary:
            return self.table.summary[metric]
        reason = self.table.absent.get(declared(metric).name, "it was not asked for")
        raise EvaluationError(f"`{metric}` was not measured: {reason}", hint=suggest(metric, self.table.summary))

    def __iter__(self) -> Iterator[str]:
        """The metrics that were measured."""
        return iter(self.table.summary)

    def __repr__(self) -> str:
        count = len(self.table.images)
        found = [f"{name} {registry.metrics[name].format(each.mean)}" for name, each in self.table.summary.items()]
        words = ", ".join(found if len(found) <= SHOWN else [*found[:SHOWN], f"and {len(found) - SHOWN} more"])
        return f"<Results of {', '.join(self.baselines)} on {count} image{'s' * (count > 1)}: {words}>"

    def __str__(self) -> str:
        return markdown(self.parts())

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return str(self)

    def verdicts(self) -> dict[str, list[str]]:
        """The failures that the images of each run show, if any: see `crossband.recipes.metrics.verdict`."""
        return {run: found for run in self.baselines if (found := verdicts(self.tables[run]))}

    def obstacle(self, run: str, other: str) -> str | None:
        """Why a run cannot be compared with another one, in words that follow its name; None where it can."""
        own, others = (self.conditions.get(each, Conditions()) for each in (run, other))
        trivial = [self.tables[names[0]] if (names := self.baselines[each]) else None for each in (run, other)]
        return obstacle(own, others, *trivial)

    @cached_property
    def groups(self) -> list[list[str]]:
        """The runs that can be compared with each other, in order: of one direction, on the same images."""
        found: list[list[str]] = []
        for run in self.baselines:
            group = next((group for group in found if self.obstacle(run, group[0]) is None), None)
            if group is None:
                found.append([run])
            else:
                group.append(run)
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """The pairs to compare: each run with its own baselines, and with each run before it that it can be."""
        trivial = [(run, baseline) for run, baselines in self.baselines.items() for baseline in baselines]
        runs = [pair for group in self.groups for pair in itertools.combinations(group, 2)]
        return trivial + [(second, first) for first, second in runs]

    @cached_property
    def differences(self) -> dict[tuple[str, str], dict[str, Difference]]:
        """First minus second of each pair, for each per-image metric that has a better direction."""
        return {
            (first, second): {
                metric.name: found
                for metric in in_order(registry.metrics)
                if metric.better and (found := paired(self.tables[first], self.tables[second], metric.name))
            }
            for first, second in self.pairs()
        }

    def gains_over(self, system: str) -> "Results":
        """The same results with the gains over a system, a run or a baseline, in percent: see `gain`.

        Raises CrossbandError, with the names of all systems, where there is none of that name.
        """
        if system not in self.tables:
            hint = suggest(system, self.tables) or f"choose from {', '.join(f'`{name}`' for name in self.tables)}"
            raise CrossbandError(f"there is no `{system}` among these results", hint=hint)
        parts = {
            value: part.gains_over(system) if system in part.tables else part for value, part in self.subsets.items()
        }
        return replace(self, against=system, subsets=parts)

    @cached_property
    def gains(self) -> dict[str, dict[str, float]]:
        """The gain of each system over `against` in percent, by metric; of those alone that can be compared with it."""
        if self.against is None:
            return {}
        names = next(names for names in map(self._systems, self.groups) if self.against in names)
        return gains({name: self.tables[name] for name in names}, self.against)

    def _systems(self, runs: Sequence[str]) -> list[str]:
        """These runs and their baselines."""
        return list(dict.fromkeys([*runs, *(name for run in runs for name in self.baselines[run])]))

    def parts(self) -> list[Part]:
        """The figures, verdicts, differences, the figures of papers, and notes on how to read all of them."""
        several = len(self.groups) > 1
        found: list[Part] = [STRANGERS] if several else []
        for group in self.groups:
            if several:
                found.append(f"**{', '.join(group)}**: {self.conditions[group[0]]}")
            found += self._of_group(group)
        notes = dict.fromkeys(self._notes())
        for value, part in self.subsets.items():
            count = len(part.table.images)
            few = f": fewer than {FEW}, of which no interval is marked" if count < FEW else ""
            found += [f"**{self.by}: {value}**, {count} image{'s' * (count > 1)}{few}"]
            found += [each for group in part.groups for each in part._of_group(group)]
            notes |= {f"{self.by} {value}: {note}": None for note in part._notes() if note not in notes}
        return [*found, "How the figures are made:", Notes(list(notes))]

    def _notes(self) -> list[str]:
        lines = [*remarks(self.tables), *on_differences(self.differences)]
        lines += [*([HOW_OF_GAINS] if self.gains else []), *(notes_on(self.costs) if self.costs else [])]
        return [*lines, *self.warnings]

    def _of_group(self, runs: Sequence[str]) -> list[Part]:
        """The parts with figures of runs that can be compared."""
        names = self._systems(runs)
        found: list[Part] = [comparison({name: table for name, table in self.tables.items() if name in names})]
        verdicts = self.verdicts()
        found += [f"{run} {text}." for run in runs for text in verdicts.get(run, ())]
        differences = {pair: each for pair, each in self.differences.items() if pair[0] in runs}
        if any(differences.values()):
            found += [
                f"Differences, image by image: the mean over n images and its {LEVEL:.0%} interval.",
                _grid_of(differences),
            ]
        if own := {name: each for name, each in self.gains.items() if name in names}:
            found += [f"Gain over {self.against}, in percent of it; above zero is better.", grid_of_gains(own)]
        if costs := {run: self.costs[run] for run in runs if run in self.costs}:
            found += ["What a translation costs:", grid_of_costs(costs)]
        papers = {run: self.papers[run] for run in runs if self.papers.get(run)}
        if papers:
            caveats = Notes([*_caveats(papers), *_not_measured(self.tables, papers)])
            found += ["Beside the figures that the paper prints:", _beside(self.tables, runs, papers), caveats]
        return found

    def as_dict(self) -> dict[str, Any]:
        """All results for JSON, without the figures of each image."""
        systems = {name: table.as_dict() for name, table in self.tables.items()}
        return {
            "systems": {
                name: {key: row[key] for key in ("summary", "absent", "notes")} for name, row in systems.items()
            },
            "verdicts": self.verdicts(),
            "differences": [
                {"first": first, "second": second, "metrics": {name: asdict(each) for name, each in found.items()}}
                for (first, second), found in self.differences.items()
            ],
            "paper": {run: [asdict(paper) for paper in papers] for run, papers in self.papers.items()},
            "cautions": {
                metric.name: metric.caution
                for metric in in_order({name for table in self.tables.values() for name in table.summary})
                if metric.caution
            },
            "costs": {run: asdict(each) for run, each in self.costs.items()},
            "gains": {"against": self.against, "percent": self.gains} if self.against else {},
            "conditions": {run: asdict(each) for run, each in self.conditions.items()},
            "warnings": list(self.warnings),
            "by": self.by,
            "subsets": {value: part.as_dict() for value, part in self.subsets.items()},
        }


def together(runs: Mapping[str, Results]) -> Results:
    """Join the results of several runs, each run under the name given here; equal baselines appear once."""
    if len(runs) == 1:
        return next(iter(runs.values()))
    by = next((results.by for results in runs.values() if results.by), "")
    alike = {label: results.subsets for label, results in runs.items() if results.by == by}
    values = dict.fromkeys(value for subsets in alike.values() for value in subsets)
    parts = {
        value: _joined({label: subsets[value] for label, subsets in alike.items() if value in subsets})
        for value in values
    }
    return replace(_joined(runs), by=by, subsets=parts)


def _joined(runs: Mapping[str, Results]) -> Results:
    """The results of all images of several runs."""
    own = {label: next(iter(results.baselines)) for label, results in runs.items()}
    tables = {label: results.tables[own[label]] for label, results in runs.items()}
    baselines: dict[str, list[str]] = {label: [] for label in runs}
    for label, results in runs.items():
        for name in results.baselines[own[label]]:
            table = results.tables[name]
            first = tables.setdefault(name, table)
            equal = first.images.keys() == table.images.keys() and alike(first, table, table.images)
            place = name if equal else f"{name} ({label})"
            tables.setdefault(place, table)
            baselines[label].append(place)
    papers = {label: results.papers.get(own[label], ()) for label, results in runs.items()}
    conditions = {label: results.conditions[own[label]] for label, results in runs.items()}
    warnings = list(dict.fromkeys(line for results in runs.values() for line in results.warnings))
    costs = {label: results.costs[own[label]] for label, results in runs.items() if own[label] in results.costs}
    found = Results(tables, baselines, papers, warnings, conditions, costs)
    return replace(found, warnings=[*_warnings(found), *warnings])


def _warnings(results: Results) -> list[str]:
    """What is to be known of runs that stand side by side: that they cannot be compared, or not as a whole."""
    (first, *_), *others = results.groups
    found = [f"{run} cannot be compared with {first}: {results.obstacle(run, first)}." for run, *_ in others]
    for group in results.groups:
        if len({frozenset(results.tables[run].images) for run in group}) > 1:
            found.append(
                f"{', '.join(group)}: measured on different images; differences are over those that they share."
            )
    return found


def comparison(tables: Mapping[str, Table]) -> Grid:
    """A row for each metric, a column for each system, cells of `mean ± std`; the best mean of several is marked.

    The last column is the number of images, given once if all systems agree. A metric that a system
    lacks is a dash; one that no system has does not appear (`remarks` gives the reasons).
    """
    rows, best = [], set()
    for metric in in_order({name for table in tables.values() for name in table.summary}):
        found = [table.summary.get(metric.name) for table in tables.values()]
        means = {column: summary.mean for column, summary in enumerate(found, 1) if summary}
        if metric.better and len(means) > 1:
            goal = (max if metric.better == "higher" else min)(means.values())
            best |= {(len(rows), column) for column, mean in means.items() if mean == goal}
        counts = [str(summary.n) if summary else ABSENT for summary in found]
        cells = [cell(metric, summary.mean, summary.std) if summary else ABSENT for summary in found]
        rows.append([heading(metric), *cells, counts[0] if len(set(counts)) == 1 else ", ".join(counts)])
    return Grid(["metric", *tables, "n"], rows, frozenset(best))


def heading(metric: MetricEntry) -> str:
    """The title of a metric with its unit and the direction that is better."""
    return f"{metric.title}{f' ({metric.unit})' if metric.unit else ''}{ARROWS[metric.better]}"


def cell(metric: MetricEntry, mean: float, std: float | None) -> str:
    """A mean and its spread, with the digits of the metric."""
    if math.isinf(mean):
        return "∞"
    return metric.format(mean) + (f" ± {metric.format(std)}" if std is not None else "")


def remarks(tables: Mapping[str, Table]) -> list[str]:
    """Notes on the figures: how they are made, what they do not mean, which ones are missing and why."""
    lines = [HOW]
    cautions: dict[str, list[str]] = {}
    for metric in in_order({name for table in tables.values() for name in table.summary}):
        if metric.caution:
            cautions.setdefault(metric.caution, []).append(metric.title)
    lines += [f"{', '.join(titles)}: {caution}." for caution, titles in cautions.items()]
    found: dict[str, list[str]] = {}
    for system, table in tables.items():
        for name, remark in table.notes.items():
            found.setdefault(f"{registry.metrics[name].title}: {remark}", []).append(system)
        for name, reason in table.absent.items():
            found.setdefault(f"{registry.metrics[name].title} is absent: {reason}", []).append(system)
    return lines + [
        (line if len(systems) == len(tables) else f"{', '.join(systems)}: {line}").replace("\n", "; ")
        for line, systems in found.items()
    ]


def _grid_of(differences: Mapping[tuple[str, str], Mapping[str, Difference]]) -> Grid:
    """A row for each metric, a column for each pair; an interval of enough images on the better side is marked."""
    rows, best = [], set()
    for metric in in_order({name for found in differences.values() for name in found}):
        row, counts = [heading(metric)], []
        for column, found in enumerate(differences.values(), 1):
            each = found.get(metric.name)
            row.append(difference_text(metric, each) if each else ABSENT)
            counts.append(str(each.n) if each else ABSENT)
            if each and each.surely(metric.better):
                best.add((len(rows), column))
        rows.append([*row, counts[0] if len(set(counts)) == 1 else ", ".join(counts)])
    headers = [f"{first} − {second}" for first, second in differences]
    return Grid(["metric", *headers, "n"], rows, frozenset(best))


def difference_text(metric: MetricEntry, found: Difference) -> str:
    """A difference and its interval, with the digits of the metric."""
    mean = f"{found.mean:+.{metric.digits}f}"
    if found.low is None or found.high is None:
        return mean
    return f"{mean} [{found.low:+.{metric.digits}f}, {found.high:+.{metric.digits}f}]"


def on_differences(differences: Mapping[tuple[str, str], Mapping[str, Difference]]) -> list[str]:
    """Notes on the intervals: how they are made, and why some are missing."""
    counts = [each.n for found in differences.values() for each in found.values()]
    if not counts:
        return []
    lines = []
    if max(counts) > 1:
        lines.append(
            f"Intervals: percentile bootstrap of the mean difference, {RESAMPLES:,} resamples of the images, which are "
            "taken as independent (neighbouring frames of a video are not, and make it too narrow); marked where all "
            f"of it is on the better side, over at least {FEW} images."
        )
    if 1 < min(counts) < FEW:
        lines.append(
            f"Intervals over fewer than {FEW} images are narrower than they should be: none of them is marked."
        )
    if min(counts) < 2:
        lines.append("A difference over one image has no interval: one value has no spread.")
    return lines


def _beside(tables: Mapping[str, Table], runs: Sequence[str], own: Mapping[str, Sequence[Paper]]) -> Grid:
    """A row for each metric, a column for each run and paper row; brackets mark figures that cannot be compared."""
    papers, rows = _titled(own), []
    for metric in in_order({name for paper in papers.values() for name in paper.values}):
        found = [tables[run].summary.get(metric.name) for run in runs]
        ours = [cell(metric, summary.mean, summary.std) if summary else ABSENT for summary in found]
        theirs = [
            printed(paper.values.get(metric.name), bracketed=all(_reasons(paper, own).values()))
            for paper in papers.values()
        ]
        rows.append([heading(metric), *ours, *theirs])
    return Grid(["metric", *runs, *papers], rows)


def _not_measured(tables: Mapping[str, Table], papers: Mapping[str, Sequence[Paper]]) -> list[str]:
    """What was not asked for of the figures that papers print, and how to ask for it."""
    printed = {run: {name for paper in rows for name in paper.values} for run, rows in papers.items()}
    left = {name for run, names in printed.items() for name in names - {*tables[run].summary, *tables[run].absent}}
    lacking = [metric.name for metric in in_order(left)]
    return [f"Not measured, since others were asked for: `--metrics {','.join(lacking)}`."] if lacking else []


def _reasons(paper: Paper, own: Mapping[str, Sequence[Paper]]) -> dict[str, str]:
    """Why a row of a paper cannot be compared with each run that has it; empty text where it can."""
    return {run: each.differs for run, rows in own.items() for each in rows if replace(each, differs="") == paper}


def _titled(papers: Mapping[str, Sequence[Paper]]) -> dict[str, Paper]:
    """Each row of a paper once, by its title, with the data set if the same row has figures for several."""
    found: list[Paper] = []
    for paper in (replace(paper, differs="") for papers in papers.values() for paper in papers):
        found += [] if paper in found else [paper]
    titles = [f"{paper.source}, {paper.table}" for paper in found]
    named = zip(titles, found, strict=True)
    return {title if titles.count(title) == 1 else f"{title}, {paper.data}": paper for title, paper in named}


def printed(figure: Figure | None, *, bracketed: bool) -> str:
    """A figure with the digits that the paper gives; a star leads to its note, brackets to why it is not comparable."""
    if figure is None:
        return ABSENT
    text = f"{figure.value:.10g}"
    return f"({text})" if bracketed or not figure.comparable else f"{text}*" if figure.note else text


def _caveats(papers: Mapping[str, Sequence[Paper]]) -> list[str]:
    """Notes on comparing our figures with those of papers; a note on several papers appears once."""
    found: dict[str, list[str]] = {}
    for title, paper in _titled(papers).items():
        lines = [f"measured on {paper.data}; only a run on the same images can be compared with it."]
        reasons = _reasons(paper, papers)
        for run, reason in ((run, reason) for run, reason in reasons.items() if reason):
            what = "it, in brackets," if all(reasons.values()) else "it"
            lines.append(f"{what} cannot be compared with {run}: {reason}.")
        lines += [f"{paper.note}."] if paper.note else []
        for name, figure in paper.values.items():
            if not figure.comparable:
                lines.append(f"its {registry.metrics[name].title}, in brackets, cannot be compared: {figure.note}.")
            elif figure.note:
                lines.append(f"its {registry.metrics[name].title}*: {figure.note}.")
        for line in lines:
            found.setdefault(line, []).append(title)
    return [f"{'; '.join(titles)}: {line}" for line, titles in found.items()]
