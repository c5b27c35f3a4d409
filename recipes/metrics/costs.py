"""What translations cost, beside how good they are: found in `crossband.recipes.model.cost`, shown here."""

from collections.abc import Mapping
from dataclasses import dataclass

from crossband.recipes.basics.parts import Grid
from crossband.recipes.language.columns import FIGURES

ABSENT = "–"


@dataclass(frozen=True)
class Cost:
    """What it costs to translate images of one size.

    `figures` are by the names and in the units of `FIGURES`; the latency is the median, `quartiles` are the first and
    the third. `size` is what was translated, `on` the device and how it was used, `runs` how often.
    """

    figures: Mapping[str, float]
    size: str
    on: str
    quartiles: tuple[float, float] | None = None
    runs: str = ""


def grid(costs: Mapping[str, Cost]) -> Grid:
    """A row for each figure, a column for each run; a latency has its quartiles."""
    rows = []
    for name, column in FIGURES.items():
        if any(name in cost.figures for cost in costs.values()):
            rows.append([f"{column.title} ({column.unit})", *(_cell(name, cost) for cost in costs.values())])
    return Grid(["cost", *costs], rows)


def _cell(name: str, cost: Cost) -> str:
    if name not in cost.figures:
        return ABSENT
    text = FIGURES[name].format(cost.figures[name])
    if name != "latency" or cost.quartiles is None:
        return text
    low, high = map(FIGURES[name].format, cost.quartiles)
    return f"{text} [{low}, {high}]"


def notes(costs: Mapping[str, Cost]) -> list[str]:
    """How the figures were found, and on what."""
    named = [name for name in FIGURES if any(name in cost.figures for cost in costs.values())]
    lines = [f"{FIGURES[name].title}: {FIGURES[name].doc}." for name in named]
    found: dict[str, list[str]] = {}
    for run, cost in costs.items():
        words = [f"of {cost.size}"]
        if {"latency", "memory"} & {*cost.figures}:
            words.append(f"on {cost.on}")
        if "latency" in cost.figures:
            words.append(f"the latency is the median and the quartiles of {cost.runs}")
        found.setdefault("; ".join(words), []).append(run)
    return lines + [f"Cost of {', '.join(runs)}: {words}." for words, runs in found.items()]
