"""Inner maps as a picture: each beside the input and over it, at its own resolution, with its range."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from crossband.recipes.basics.files import replacing
from crossband.recipes.model.inspecting import Inspection, View
from crossband.registry import CrossbandError, suggest

Channels = Literal["mean", "pca"] | Sequence[int]
Ends = tuple[float, float]
ALL = 8  # channels of an inner map up to which each is drawn
MOST = 24  # maps in a picture
ACROSS = 5  # columns, the first of which is the input
LONGEST = 34  # letters of a title
RISING, SIGNED, BROKEN = "viridis", "RdBu_r", "magenta"
COLOURS = 3


@dataclass(frozen=True)
class Panel:
    """One map to draw: numbers `h w`, colours `h w 3` from 0 to 1, or a number for each channel `n`.

    `ends` are the numbers at the ends of its scale; `note` stands below the title.
    """

    name: str
    note: str
    values: np.ndarray
    ends: Ends


def panels(found: Inspection, channels: Channels | None = None, ends: Ends | None = None) -> list[Panel]:
    """What is drawn of an inspection.

    Of a map: its only channel, each of up to 8 of an inner map, three of an output as colours, else the mean of all; or
    what `channels` says: `mean`, `pca` (the first three principal components as colours), or their numbers from 0. The
    maps of one name share a scale, from their least number to their largest unless `ends` are given. Raises
    CrossbandError where a channel is not there, or where there are more maps than a picture can show.
    """
    drawn = [
        panel for name, values in found.items() for panel in _panels(name, found.views[name], values, channels, ends)
    ]
    if len(drawn) > MOST:
        hint = "name fewer of them, or `--channels mean`"
        raise CrossbandError(f"a picture shows up to {MOST} maps, and these are {len(drawn)}", hint=hint)
    return drawn


def draw_inspection(found: Inspection, drawn: Sequence[Panel], path: str | os.PathLike[str], *, title: str) -> Path:
    """Draw the input, the result, and each map above what it is over the input, to a PNG, whole or not at all."""
    bands = math.ceil((1 + len(drawn)) / ACROSS)
    across = math.ceil((1 + len(drawn)) / bands)
    height, width = found.image.shape[-2:]
    side = 2.6
    tall = side * min(max(height / width, 0.4), 2.0)
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        size = (0.3 + (side + 0.15) * across, 0.4 + bands * (2 * tall + 1.35))
        figure = Figure(figsize=size, dpi=110, layout="constrained")
        figure.get_layout_engine().set(h_pad=0.08)  # type: ignore[union-attr,call-arg]
        grid = figure.add_gridspec(2 * bands, across)
        above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
        for ax, image, words in ((above, found.image, "input"), (below, found.result, "result")):
            ax.imshow(_picture(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            _frame(ax, found)
            ax.set_title(f"\n{words}\n{image.shape[-2]}x{image.shape[-1]}", loc="left")
        for number, panel in enumerate(drawn, 1):
            row, column = 2 * (number // across), number % across
            if panel.values.ndim == 1:
                _bars(figure.add_subplot(grid[row : row + 2, column]), panel)
            else:
                axes = figure.add_subplot(grid[row, column]), figure.add_subplot(grid[row + 1, column])
                _map(figure, axes, panel, found)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")
    return Path(path)


def _panels(name: str, view: View, values: Tensor, channels: Channels | None, ends: Ends | None) -> list[Panel]:
    values = values.float().cpu()
    if values.ndim <= 1:
        numbers = values.reshape(-1).numpy()
        found = [("", numbers)]
    elif values.ndim != 3:
        raise CrossbandError(f"`{name}` is no map: it has the shape {' x '.join(map(str, values.shape))}")
    else:
        found = _channels(name, view, values, channels)
    numbers = np.concatenate([each.ravel() for _, each in found if each.ndim < 3] or [np.zeros(1)])
    scale = ends or _scale(numbers)
    return [Panel(name, _note(words, each), each, scale) for words, each in found]


def _channels(name: str, view: View, values: Tensor, channels: Channels | None) -> list[tuple[str, np.ndarray]]:
    """The parts of a map that are drawn, with what they are."""
    count = len(values)
    what = "head" if view.map and view.map.form == "places" else "map" if view.map else "channel"
    if channels is None:
        few = view.map is not None and count <= ALL
        channels = "mean" if not few and count not in (1, COLOURS) else range(count)
        if count == COLOURS and view.map is None:
            image = values.permute(1, 2, 0).numpy()
            low, high = _scale(image, signed=False)
            return [(f"as colours, {low:.3g} to {high:.3g}", _stretched(image))]
    if channels == "mean":
        return [(f"mean of {count} {what}s", values.mean(0).numpy())]
    if channels == "pca":
        return [_components(name, values)]
    if odd := [each for each in channels if not 0 <= int(each) < count]:
        there = f"the numbers of its {what}s are 0 to {count - 1}" if count > 1 else f"its only {what} is 0"
        raise CrossbandError(f"`{name}` has no {what} {odd[0]}", hint=there)
    label = f" of {count}" if count > 1 else ""
    return [(f"{what} {each}{label}" if label else "", values[int(each)].numpy()) for each in channels]


def _components(name: str, values: Tensor) -> tuple[str, np.ndarray]:
    """The first three principal components of the channels as colours, each with its largest weight positive."""
    flat = values.double().flatten(1)
    if len(flat) < COLOURS or not bool(torch.isfinite(flat).all()):
        raise CrossbandError(f"`{name}` has {len(flat)} finite channels, and three components need three", hint=None)
    flat = flat - flat.mean(1, keepdim=True)
    strengths, axes = torch.linalg.eigh(flat @ flat.T)
    axes = axes[:, -COLOURS:].flip(1)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    parts = (axes * largest.sign()).T @ flat
    share = (strengths[-COLOURS:].sum() / strengths.sum().clamp_min(1e-300)).item()
    image = parts.T.reshape(*values.shape[1:], COLOURS).numpy()
    return f"3 components, {share:.0%} of variance", np.stack(
        [_stretched(each) for each in np.moveaxis(image, 2, 0)], 2
    )


def _stretched(values: np.ndarray) -> np.ndarray:
    """Values from 0 to 1, the least and the largest at the ends."""
    low, high = _scale(values, signed=False)
    return (values - low) / (high - low)


def _scale(values: np.ndarray, *, signed: bool = True) -> Ends:
    """The ends of a scale for these numbers: equally far from 0 where some are negative and some positive."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if signed and low < 0 < high:
        return -max(-low, high), max(-low, high)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _note(words: str, values: np.ndarray) -> str:
    """What a part is, its size, and between which numbers it lies."""
    finite = values[np.isfinite(values)]
    span = f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else "nothing finite"
    if values.ndim == 3:
        size, span = f"{values.shape[0]}x{values.shape[1]}", ""
    else:
        size = f"{values.size} channels" if values.ndim == 1 else f"{values.shape[0]}x{values.shape[1]}"
    broken = f", {values.size - finite.size} not finite" if finite.size < values.size else ""
    return "\n".join(filter(None, (words, ", ".join(filter(None, (size, span))) + broken)))


# ---------------------------------------------------------------------- drawing


def _map(figure: Figure, axes: tuple[Axes, Axes], panel: Panel, found: Inspection) -> None:
    """A map by itself, with its colour bar, and over the input."""
    height, width = found.image.shape[-2:]
    top, left = (found.inside[0] - height) // 2, (found.inside[1] - width) // 2
    place = (
        -left - 0.5,
        found.inside[1] - left - 0.5,
        found.inside[0] - top - 0.5,
        -top - 0.5,
    )  # padded as it was seen
    low, high = panel.ends
    colours = matplotlib.colormaps[SIGNED if low < 0 < high else RISING].with_extremes(bad=BROKEN)
    scale = Normalize(low, high)
    axes[1].imshow(_picture(found.image).mean(-1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for ax, alpha in zip(axes, (1.0, 0.6), strict=True):
        ax.imshow(panel.values, cmap=colours, norm=scale, extent=place, interpolation="nearest", alpha=alpha)
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_ylim(height - 0.5, -0.5)
        _frame(ax, found)
    axes[0].set_title(_title(panel), loc="left")
    if panel.values.ndim == 2:
        bar = figure.colorbar(ScalarMappable(scale, colours), ax=axes[0], location="bottom", pad=0.02, aspect=30)
        bar.set_ticks([low, (low + high) / 2, high], labels=[f"{each:.3g}" for each in (low, (low + high) / 2, high)])
        bar.ax.tick_params(labelsize=7, length=2)
        for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right"), strict=True):
            label.set_horizontalalignment(side)


def _bars(ax: Axes, panel: Panel) -> None:
    """A number for each channel, the first on top."""
    low, high = panel.ends
    ax.barh(np.arange(panel.values.size), panel.values, height=1.0, color=matplotlib.colormaps[RISING](0.35))
    ax.set_ylim(panel.values.size - 0.5, -0.5)
    ax.set_xlim(min(0.0, low), max(0.0, high) * 1.02 if high > 0 else 0.0)
    ax.set_ylabel("channel")
    ax.yaxis.set_major_locator(MaxNLocator(10, integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(_title(panel), loc="left")


def _frame(ax: Axes, found: Inspection) -> None:
    """No ticks; the pixel that was asked for is marked where maps tell of one."""
    ax.set_xticks([])
    ax.set_yticks([])
    if any(view.map and view.map.form == "places" for view in found.views.values()):
        row, column = found.pixel
        ax.plot(column, row, "o", markersize=7, markerfacecolor="none", markeredgecolor="white", markeredgewidth=2.6)
        ax.plot(column, row, "o", markersize=7, markerfacecolor="none", markeredgecolor="#d00000", markeredgewidth=1.2)


def _picture(image: Tensor) -> np.ndarray:
    """An image `c h w` in [0, 1] as `h w 3`."""
    pixels = image.float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    return pixels if pixels.shape[2] == COLOURS else pixels[..., :1].repeat(COLOURS, 2)


def _title(panel: Panel) -> str:
    """Three lines: the name, on two where it is long and the note has one, and the note."""
    note = panel.note.split("\n")
    name, rest = panel.name, ""
    if len(note) == 1:
        rest = name
        name = ""
        if len(rest) > LONGEST:
            cut = rest.rfind(".", 0, LONGEST) + 1 or LONGEST
            name, rest = rest[:cut], rest[cut:]
    return "\n".join([*map(_short, [name, rest] if len(note) == 1 else [name]), *note])


def _short(text: str) -> str:
    """A text shortened by an ellipsis in its middle."""
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"


def channels_of(text: str | None) -> Channels | None:
    """The channels that a text names: `mean`, `pca`, or numbers with commas between. Raises CrossbandError."""
    if text is None or text in ("mean", "pca"):
        return text  # type: ignore[return-value]
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        hint = suggest(text, ["mean", "pca"]) or "write `mean`, `pca`, or numbers such as `0,3,5`"
        raise CrossbandError(f"`{text}` names no channels", hint=hint)
    return [int(part) for part in parts]
