"""The relative gain over one system, in percent, as papers print it."""

import math
from collections.abc import Mapping

from crossband.recipes.basics.parts import Grid
from crossband.recipes.kinds.metric import MetricEntry
from crossband.recipes.metrics.evaluation import Table
from crossband.recipes.metrics.metrics import in_order

ABSENT = "–"
HOW = (
    "A gain is the part of the other system's mean by which ours is better, in percent: a lower error is a gain, too. "
    "That of a logarithm, as PSNR is one, depends on its zero; the differences above do not."
)


def gain(metric: MetricEntry, value: float, reference: float) -> float | None:
    """By how many percent of `reference` a mean is better than it, below zero where it is worse.

    None for a metric without a better direction, and where there is no such part: of nothing, or of what is infinite.
    """
    if metric.better is None or reference == 0 or not (math.isfinite(value) and math.isfinite(reference)):
        return None
    rise = 100 * (value - reference) / abs(reference)
    return rise if metric.better == "higher" else -rise


def gains(tables: Mapping[str, Table], against: str) -> dict[str, dict[str, float]]:
    """The gain of each table over the one named `against`, by metric."""
    reference = tables[against].summary
    return {
        system: {
            metric.name: found
            for metric in in_order(table.summary)
            if metric.name in reference
            and (found := gain(metric, table.summary[metric.name].mean, reference[metric.name].mean)) is not None
        }
        for system, table in tables.items()
        if system != against
    }


def grid(found: Mapping[str, Mapping[str, float]]) -> Grid:
    """A row for each metric, a column for each system."""
    metrics = in_order({name for each in found.values() for name in each})
    cells = {
        system: [f"{each[m.name]:+.1f} %" if m.name in each else ABSENT for m in metrics]
        for system, each in found.items()
    }
    return Grid(
        ["gain", *found], [[m.title, *(column[row] for column in cells.values())] for row, m in enumerate(metrics)]
    )
