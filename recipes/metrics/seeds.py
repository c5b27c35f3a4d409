"""Several runs of one system, which differ by their seed alone, as one: their mean, and how far they spread."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from crossband.recipes.metrics.evaluation import Summary, Table
from crossband.recipes.metrics.results import Results

Row = Mapping[str, float | None]


def over_seeds(name: str, runs: Sequence[Results]) -> Results:
    """The results of a system, called `name`, from those of its runs: of one run, its own.

    A metric of an image is its mean over the runs, so that intervals over images hold for the mean of the seeds. The
    summary of a metric is the mean of those of the runs, with the standard deviation (n - 1) between runs in the place
    of that between images. What some run has no finite value of has none.
    """
    first = runs[0]
    [(own, baselines)] = first.baselines.items()
    tables = [run.table for run in runs]
    table = tables[0] if len(tables) == 1 else _mean_of(tables)
    others = {baseline: first.tables[baseline] for baseline in baselines}
    return replace(
        first,
        tables={name: table, **others},
        baselines={name: baselines},
        papers={name: first.papers.get(own, ())},
        conditions={name: first.conditions[own]},
        costs={name: first.costs[own]} if own in first.costs else {},
    )


def _mean_of(tables: Sequence[Table]) -> Table:
    first, *others = tables
    shared = [image for image in first.images if all(image in table.images for table in others)]
    images = {image: _mean_row([table.images[image] for table in tables]) for image in shared}
    summary = {}
    for metric, found in first.summary.items():
        means = [table.summary[metric].mean for table in tables if metric in table.summary]
        if len(means) == len(tables):
            finite = all(map(math.isfinite, means))
            spread = statistics.stdev(means) if finite else None
            summary[metric] = Summary(statistics.fmean(means), spread, found.n)
    absent = {metric: reason for table in tables for metric, reason in table.absent.items()}
    return Table(images, summary, absent, first.notes)


def _mean_row(rows: Sequence[Row]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for metric in rows[0]:
        values = [value for row in rows if (value := row.get(metric)) is not None and math.isfinite(value)]
        found[metric] = statistics.fmean(values) if len(values) == len(rows) else None
    return found
