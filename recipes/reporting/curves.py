"""Loss curves: a run's `metrics.jsonl` drawn as one PNG.

Each line of the file is a JSON object with a whole number `step`. Numbers inside its mappings are
curves, under their path (`{"step": 9, "losses": {"generators": {"l1": 0.1}}}` is the curve
`losses/generators/l1`); numbers beside `step` are book-keeping and are not drawn. Curves with one
parent share a panel, except that each metric outside `losses` has its own: they differ in scale.
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from crossband.graphs.language.files import read_bytes
from crossband.recipes.basics.files import replacing
from crossband.recipes.basics.formats import LOG_LINE
from crossband.recipes.basics.readback import checked, parsed
from crossband.recipes.kinds.metric import MetricEntry
from crossband.registry import CrossbandError, metrics

Curves = Mapping[str, Sequence[tuple[int, float]]]

WORDS = {"lower": "lower is better", "higher": "higher is better", None: ""}
TERMS = "losses"  # the key of the training losses: a term called `mse` there is not the metric
PIECES = 30  # of a smoothed curve; curves of fewer than twice as many points are drawn as they are


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`. An unfinished last line, of an interrupted run, is left out.

    Raises FileError if it cannot be read, Damaged, with the line, if another one is not as a run writes it.
    """
    *lines, _ = read_bytes(path).split(b"\n")  # behind the last line end is nothing, or an unfinished line
    places = [f"{path}:{number}" for number in range(1, len(lines) + 1)]
    return [
        checked(parsed(line, place, LOG_LINE.hint), LOG_LINE, place) for place, line in zip(places, lines, strict=True)
    ]


def curves(log: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """The curves of a log: points `(step, value)` under the path of each number, in the order of the log."""
    found = defaultdict(list)
    for entry in log:
        for name, value in entry.items():
            if isinstance(value, Mapping):
                for path, number in _leaves(name, value):
                    found[path].append((entry["step"], number))
    return dict(found)


def _leaves(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(f"{path}/{name}", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}/{name}", float(value)


def draw_curves(found: Curves, path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw curves to a PNG, panel by panel, whole or not at all. Raises CrossbandError if there are none.

    Single points are left out if there are curves. A long noisy curve is drawn pale with the median of each
    thirtieth over it; a panel whose values span more than a factor of 20 has a logarithmic scale. Points that are
    not finite leave a gap.
    """
    panels = defaultdict(list)
    lines = {name: points for name, points in found.items() if len(points) > 1}  # one point is no curve
    for name in lines or found:
        panels[name if metric_of(name) else name.rpartition("/")[0]].append(name)
    if not panels:
        raise CrossbandError(f"{path}: there is nothing to draw: no line of the log has curves")
    across = min(3, len(panels))
    down = math.ceil(len(panels) / across)
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10}):
        figure = Figure(figsize=(1.0 + 4.2 * across, 0.4 + 2.9 * down), dpi=110, layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flat
        for ax, (panel, names) in zip(axes, panels.items(), strict=False):
            _panel(ax, panel, {name: found[name] for name in names})
        for ax in list(axes)[len(panels) :]:
            ax.set_axis_off()
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")
    return Path(path)


def metric_of(name: str) -> MetricEntry | None:
    """The metric that a curve shows, or None."""
    return None if name.partition("/")[0] == TERMS else metrics.get(name.rpartition("/")[2])


def _panel(ax: Axes, panel: str, found: Curves) -> None:
    metric = metric_of(panel)
    for name, points in found.items():
        steps, values = zip(*points, strict=True)
        label = name.rpartition("/")[2]
        if len(points) < 2 * PIECES:
            ax.plot(steps, values, label=label, linewidth=1.6, marker="o" if len(points) < 30 else "", markersize=3)
        else:
            [pale] = ax.plot(steps, values, linewidth=0.7, alpha=0.25)
            ax.plot(*_medians(points), label=label, linewidth=1.6, color=pale.get_color())
    values = [value for points in found.values() for _, value in points if math.isfinite(value)]
    if values and min(values) > 0 and max(values) > 20 * min(values):
        log_scale(ax, max(values) / min(values))
    if metric:
        unit = f" ({metric.unit})" if metric.unit else ""
        ax.set_title(f"{panel.rpartition('/')[0]} · {metric.title}{unit}", loc="left")
        ax.set_ylabel(WORDS[metric.better], color="0.45")
    else:
        ax.set_title(panel.replace("/", " · "), loc="left")
        ax.legend(frameon=False, fontsize=8, loc="best")
    ax.set_xlabel("step", color="0.45")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, alpha=0.2, linewidth=0.6)


def log_scale(ax: Axes, span: float) -> None:
    """A logarithmic axis with plain numbers: 1, 2, 5 within each decade if there are few decades."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span < 1e3 else (1.0,)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def _medians(points: Sequence[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """The curve as 30 pieces, each at its middle step with its median: no lag, and a spike has no leverage."""
    pieces = np.array_split(np.asarray(points, dtype=float), PIECES)
    values = [
        np.median(piece[:, 1][np.isfinite(piece[:, 1])]) if np.isfinite(piece[:, 1]).any() else np.nan
        for piece in pieces
    ]
    return np.array([piece[:, 0].mean() for piece in pieces]), np.array(values)
