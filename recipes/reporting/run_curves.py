"""Curves of several runs in one plot: a smoothed line over the raw one, how much it fluctuates, when it has converged.

For a curve with points (x, y) and a window of the width w in x:

    smoothed(x)  the mean of all y whose x lies within w / 2
    end          smoothed at the last point
    fluctuation  the standard deviation of y - smoothed over the second half of the curve, divided by the mean size of
                 the smoothed line there: 0.1 is 10%
    converged    the first x from which on smoothed stays at the level or below it (of a metric that is better higher,
                 above)

Unless it is given, the level is what all of them reach: of the curve with the worst end, the value at 95% of its way
from the first smoothed value to that end. Points that are not finite are left out of every figure, and leave a gap.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from crossband.recipes.basics.files import replacing
from crossband.recipes.kinds.metric import MetricEntry
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.reporting.curves import TERMS, WORDS, curves, log_scale, metric_of, read_log
from crossband.registry import CrossbandError, suggest

Against = Literal["steps", "epochs", "seconds"]
AXIS: Mapping[Against, str] = {"steps": "step", "epochs": "epoch", "seconds": "seconds of training"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A6D00")  # Okabe and Ito
STYLES = ("-", "--", "-.", ":")
MOST = len(COLOURS)  # lines that can be told apart
PARTS = 20  # of the longest curve, of which the window is one
WAY = 0.95  # of the way to the end of the worst curve: the level
FEW = 12  # points in the second half of a curve below which nothing is said of its fluctuation
GROUPED = ("seed",)  # keys of a recipe in which runs of one group may differ


@dataclass(frozen=True)
class Curve:
    """One quantity of one run, or of several seeds: raw points, the smoothed line, and what follows from them.

    `x` and `y` are the raw points; `smoothed` belongs to `x`. Of several seeds `y` is their mean, and `low` and `high`
    the least and largest of their smoothed lines. `converged` is None where it has not, or where nothing can be said.
    """

    label: str
    name: str
    x: np.ndarray
    y: np.ndarray
    smoothed: np.ndarray
    fluctuation: float | None = None
    converged: float | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    runs: int = 1

    @property
    def end(self) -> float:
        """The smoothed value at the last point."""
        return float(self.smoothed[-1])


@dataclass(frozen=True)
class Panel:
    """Curves of one quantity, in one plot; `level` is that of their convergence."""

    name: str
    curves: tuple[Curve, ...]
    level: float | None
    metric: MetricEntry | None = None

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self.metric is not None and self.metric.better == "higher"


# ---------------------------------------------------------------------- what runs have


def runs_of(paths: Iterable[Path]) -> dict[str, "Logged"]:
    """Runs by label, which is the name of the folder, or its path where two are called alike.

    A run may still be training. Raises CheckpointError for what is no run, CrossbandError where it has no log yet.
    """
    paths = list(dict.fromkeys(paths))
    names = [path.resolve().name for path in paths]
    found = {}
    for path, name in zip(paths, names, strict=True):
        run = RunFolder(path)
        run.check()
        if not run.log.is_file():
            raise CrossbandError(
                f"{path}: has no `{run.log.name}` yet", hint="wait for its first step, or leave it out"
            )
        found[name if names.count(name) == 1 else str(path)] = Logged(run, read_log(run.log))
    return found


@dataclass(frozen=True)
class Logged:
    """A run with the lines of its log."""

    run: RunFolder
    log: Sequence[Mapping[str, Any]]

    @cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """All its curves, by their whole names."""
        return curves(self.log)

    def named(self, names: Sequence[str]) -> str | None:
        """The whole name of the first of these quantities that it has; None if it has none of them.

        A name is the end of that: `cycle` or `generators/cycle` for `losses/generators/cycle`. Raises CrossbandError
        where it is that of several.
        """
        for name in names:
            own = [each for each in self.curves if f"/{each}".endswith(f"/{name}")]
            own = [name] if name in own else own
            if len(own) > 1:
                few = ", ".join(f"`{each}`" for each in own)
                raise CrossbandError(f"{self.run}: `{name}` is several: {few}", hint="write more of it, with its `/`")
            if own:
                return own[0]
        return None

    def points(self, name: str, against: Against) -> tuple[np.ndarray, np.ndarray]:
        """The points of a quantity, of which the first comes again where the log has a step twice."""
        steps, values = zip(*self.curves[name], strict=True)
        x = np.asarray(steps, dtype=float)
        if against == "seconds":
            x = np.interp(x, *self._seconds())
        elif against == "epochs":
            x = x / self._steps_of_an_epoch()
        return x, np.asarray(values, dtype=float)

    def _seconds(self) -> tuple[list[float], list[float]]:
        """Steps of the log, and the seconds of training until then, of which evaluating and drawing are no part."""
        steps, seconds = [0.0], [0.0]
        for line in self.log:
            if (taken := line.get("compute_seconds")) is not None:
                steps.append(float(line["step"]))
                seconds.append(seconds[-1] + taken + line.get("data_seconds", 0.0))
        return steps, seconds

    def _steps_of_an_epoch(self) -> int:
        """How many steps an epoch has: the largest number that fits every line, each of which tells step and epoch."""
        most = [(line["step"] - 1) // line["epoch"] for line in self.log if line.get("epoch")]
        if not most:
            raise CrossbandError(f"{self.run}: has not ended its first epoch", hint="draw it `--against steps`")
        return max(1, min(most))


def quantities(runs: Mapping[str, Logged]) -> dict[str, list[str]]:
    """The whole names of all that runs have as curves, each with the labels of the runs that have it."""
    found: dict[str, list[str]] = {}
    for label, run in runs.items():
        for name, points in run.curves.items():
            if len(points) > 1:
                found.setdefault(name, []).append(label)
    return found


# ---------------------------------------------------------------------- what follows


def panel_of(
    names: Sequence[str],
    runs: Mapping[str, Logged],
    *,
    against: Against = "steps",
    window: float | None = None,
    level: float | None = None,
    seeds: bool = False,
) -> Panel:
    """The curves of one quantity, the first of `names` that each run has.

    `window` is the width over which they are smoothed, in units of `against`: by default a twentieth of the longest
    curve. With `seeds`, runs whose recipes differ in nothing but their seed are one curve. Raises CrossbandError.
    """
    points: dict[str, tuple[str, np.ndarray, np.ndarray]] = {}
    for label, run in runs.items():
        name = run.named(names)
        if name is None:
            hint = suggest(names[0], [each.rpartition("/")[2] for each in quantities({label: run})])
            raise CrossbandError(f"{run.run}: has no `{' or '.join(names)}` in its log", hint=hint)
        x, y = run.points(name, against)
        if len(x) < 2:
            raise CrossbandError(f"{run.run}: has one point of `{name}`, which is no curve", hint="draw it later")
        points[label] = (name, x, y)
    width: float = window or max(x[-1] - x[0] for _, x, _ in points.values()) / PARTS
    drawn = [_curve(label, name, x, y, width) for label, (name, x, y) in points.items()]
    if seeds:
        drawn = [_together(group) for group in _groups(drawn, runs)]
    if len(drawn) > MOST:
        hint = "draw fewer of them" if seeds else "draw fewer of them, or seeds of one recipe as one, `--seeds`"
        raise CrossbandError(f"{MOST} curves can be told apart in a plot, and these are {len(drawn)}", hint=hint)
    metric = metric_of(drawn[0].name)
    panel = Panel(" or ".join(dict.fromkeys(each.name for each in drawn)), (), None, metric)
    if metric is not None and metric.better is None:
        return replace(panel, curves=tuple(drawn))
    level = _level(drawn, panel.rises) if level is None else level
    found = tuple(replace(each, converged=_converged(each, level, panel.rises)) for each in drawn)
    return replace(panel, curves=found, level=level)


def smooth(x: np.ndarray, y: np.ndarray, window: float) -> np.ndarray:
    """The mean of all finite y within half a window of each x; nan where there is none."""
    finite = np.isfinite(y)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, y, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    slack = 1e-9 * max(1.0, abs(x[-1]))
    first = np.searchsorted(x, x - window / 2 - slack, side="left")
    last = np.searchsorted(x, x + window / 2 + slack, side="right")
    count = counts[last] - counts[first]
    return np.where(count > 0, (sums[last] - sums[first]) / np.maximum(count, 1), np.nan)


def fluctuation(x: np.ndarray, y: np.ndarray, smoothed: np.ndarray) -> float | None:
    """How much y varies about its smoothed line in the second half, as a part of that line; None of too few points."""
    late = (x >= (x[0] + x[-1]) / 2) & np.isfinite(y) & np.isfinite(smoothed)
    size = float(np.abs(smoothed[late]).mean()) if late.sum() >= FEW else 0.0
    return float(np.sqrt(np.mean((y[late] - smoothed[late]) ** 2))) / size if size > 0 else None


def _curve(label: str, name: str, x: np.ndarray, y: np.ndarray, window: float) -> Curve:
    line = smooth(x, y, window)
    return Curve(label, name, x, y, line, fluctuation(x, y, line))


def _level(drawn: Sequence[Curve], rises: bool) -> float | None:
    """The value that all of these curves reach: see the head of this module."""
    sign = -1.0 if rises else 1.0
    ended = [each for each in drawn if math.isfinite(each.end)]
    if not ended:
        return None
    worst = max(ended, key=lambda each: sign * each.end)
    began = next(value for value in worst.smoothed if math.isfinite(value))
    return float(began + WAY * (worst.end - began))


def _converged(curve: Curve, level: float | None, rises: bool) -> float | None:
    """The first x from which on the smoothed line stays at a level or better; None where it is not so at the end."""
    if level is None:
        return None
    sign = -1.0 if rises else 1.0
    worse = ~(sign * curve.smoothed <= sign * level)  # nan is worse
    if worse[-1]:
        return None
    last = np.flatnonzero(worse)
    return float(curve.x[last[-1] + 1 if len(last) else 0])


def _groups(drawn: Sequence[Curve], runs: Mapping[str, Logged]) -> list[list[Curve]]:
    """Curves whose recipes differ in nothing but what `GROUPED` names."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.reader import read

    found: dict[str, list[Curve]] = {}
    for curve in drawn:
        problems = Problems()
        document = problems.value(read(str(runs[curve.label].run.recipe), problems))
        written = {key: value for key, value in document.data.items() if key not in GROUPED}
        found.setdefault(repr(written), []).append(curve)
    return list(found.values())


def _together(group: Sequence[Curve]) -> Curve:
    """Several seeds as one curve, as far as all of them go: the mean, and between which values they are."""
    first = group[0]
    if len(group) == 1:
        return first
    shared = first.x[(first.x >= max(each.x[0] for each in group)) & (first.x <= min(each.x[-1] for each in group))]
    lines = np.stack([np.interp(shared, each.x, each.smoothed) for each in group])
    raw = np.stack([np.interp(shared, each.x, each.y) for each in group]).mean(0)
    known = [each.fluctuation for each in group if each.fluctuation is not None]
    return Curve(
        label=f"{first.label} and {len(group) - 1} more seed{'s' if len(group) > 2 else ''}",
        name=first.name,
        x=shared,
        y=raw,
        smoothed=lines.mean(0),
        fluctuation=sum(known) / len(known) if known else None,
        low=lines.min(0),
        high=lines.max(0),
        runs=len(group),
    )


# ---------------------------------------------------------------------- figures


def headings(against: Against) -> list[str]:
    """The heads of the table."""
    unit = {"steps": "step", "epochs": "epoch", "seconds": "s"}[against]
    return ["curve", "run", "points", f"last {unit}", "end", "fluctuation", "level", f"converged at {unit}"]


def figures(panels: Sequence[Panel]) -> list[list[Any]]:
    """A row for each curve, None where nothing can be said."""
    return [
        [
            curve.name.removeprefix(f"{TERMS}/"),
            curve.label,
            len(curve.x),
            float(curve.x[-1]),
            curve.end,
            curve.fluctuation,
            panel.level,
            curve.converged,
        ]
        for panel in panels
        for curve in panel.curves
    ]


def cells(row: Sequence[Any], against: Against) -> list[str]:
    """A row as text: fluctuation in percent, places in whole steps, a tenth of an epoch or a second."""
    name, label, points, last, end, varies, level, converged = row
    place = "{:,.0f}" if against == "steps" else "{:,.1f}"

    def text(value: float | None, form: str) -> str:
        return "-" if value is None or not math.isfinite(value) else form.format(value)

    percent = "-" if varies is None else f"{varies:.1%}"
    numbers = [text(last, place), text(end, "{:.4g}"), percent, text(level, "{:.4g}"), text(converged, place)]
    return [name, label, str(points), *numbers]


def uneven(panels: Sequence[Panel]) -> bool:
    """Whether the points of some curves are means of more steps than those of others: they fluctuate less for it."""
    gaps = [float(np.median(np.diff(curve.x))) for panel in panels for curve in panel.curves]
    return max(gaps) > 1.5 * min(gaps)


# ---------------------------------------------------------------------- drawing


def draw_panels(panels: Sequence[Panel], path: str | os.PathLike[str], *, against: Against, title: str = "") -> Path:
    """Draw a plot for each quantity, one below the other, to a PNG, whole or not at all; the legend is beside them."""
    labels = list(dict.fromkeys(curve.label for panel in panels for curve in panel.curves))
    look = {label: (COLOURS[n], STYLES[n % len(STYLES)]) for n, label in enumerate(labels)}
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10}):
        figure = Figure(figsize=(8.4, 0.7 + 3.4 * len(panels)), dpi=120, layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for ax, panel in zip(axes, panels, strict=True):
            _draw(ax, panel, look)
            ax.xaxis.set_tick_params(labelbottom=True)
            ax.set_xlabel(AXIS[against], color="0.35")
        handles = [Line2D([], [], color=c, linestyle=s, linewidth=2) for c, s in look.values()]  # type: ignore[arg-type]
        figure.legend(
            handles,
            [_short(label) for label in labels],
            loc="outside lower center",
            ncols=min(3, len(labels)),
            frameon=False,
        )
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")
    return Path(path)


def _draw(ax: Axes, panel: Panel, look: Mapping[str, tuple[str, str]]) -> None:
    for order, curve in enumerate(panel.curves):
        colour, style = look[curve.label]
        if curve.low is not None and curve.high is not None:
            ax.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        else:
            ax.plot(curve.x, curve.y, color=colour, alpha=0.4, linewidth=0.7, zorder=2)
        marker = "o" if len(curve.x) < FEW else ""
        ax.plot(
            curve.x,
            curve.smoothed,
            color=colour,
            linestyle=style,
            linewidth=1.9,
            marker=marker,
            markersize=3,
            zorder=3 + order,
        )
        if curve.converged is not None:
            at = curve.smoothed[np.searchsorted(curve.x, curve.converged)]
            ax.plot(curve.converged, at, "o", color=colour, markeredgecolor="white", markersize=7, zorder=20)
    if panel.level is not None:
        ax.axhline(panel.level, color="0.4", linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
        side = "above" if panel.rises else "below"
        ax.set_title(f"dots: {side} {panel.level:.3g} from here on", loc="right", fontsize=8, color="0.35")
    values = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in panel.curves] or [np.zeros(0)])
    if values.size and values.min() > 0 and values.max() > 20 * values.min():
        log_scale(ax, values.max() / values.min())
    unit = f" ({panel.metric.unit})" if panel.metric and panel.metric.unit else ""
    heading = f"{panel.metric.title}{unit}" if panel.metric else panel.name.replace(f"{TERMS}/", "").replace("/", " · ")
    ax.set_title(heading, loc="left")
    ax.set_ylabel(WORDS[panel.metric.better] if panel.metric else "loss", color="0.35")
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.margins(x=0.01)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, alpha=0.2, linewidth=0.6)


def _short(label: str) -> str:
    return label if len(label) <= 40 else f"{label[:19]}…{label[-20:]}"
