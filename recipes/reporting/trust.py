"""What `crossband data check` saw, as Markdown, for a program, and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossband.recipes.basics.parts import Grid, Heading, Part, markdown
from crossband.recipes.data.checks import Finding, Look, worst
from crossband.recipes.data.registration import grey
from crossband.recipes.kinds.source import Source
from crossband.recipes.reporting.pictures import sample_grid, save
from crossband.registry import CrossbandError

EDGES = 0.92  # the part of the pixels that are no edge
RED = (0.95, 0.2, 0.1)


def as_text(what: str, source: Source, looks: Sequence[Look], found: Sequence[Finding]) -> str:
    """The whole of a check as Markdown."""
    parts: list[Part] = [Heading(f"Data: {what}"), _counts(source, looks)]
    if rows := _offsets(source, looks):
        parts += [Heading("Offsets", 3), Grid(["band", "pairs", "median", "90%", "largest", "median error"], rows)]
    for title, broken in (("Broken", True), ("Notes", False)):
        if own := [finding for finding in found if finding.broken == broken]:
            parts += [Heading(title, 3), *(f"- {finding}" for finding in own)]
    if not found:
        parts.append("Nothing odd was found.")
    return markdown(parts)


def as_dict(source: Source, looks: Sequence[Look], found: Sequence[Finding]) -> dict[str, Any]:
    """The whole of a check for a program. Offsets are of a band from the first, in pixels; null where not known."""
    offsets = {
        look.name: {
            band: {
                **{"right": float(offset.matrix[0, 2]), "down": float(offset.matrix[1, 2])},
                "error": offset.error if np.isfinite(offset.error) else None,
                "likeness": offset.likeness,
            }
            for band, offset in look.offsets.items()
        }
        for look in looks
        if look.offsets
    }
    counts = {split: {band: len(source.names(split, band)) for band in source.bands} for split in source.splits}
    return {"counts": counts, "offsets": offsets, "findings": [finding.as_dict() for finding in found]}


def draw_apart(file: Path, source: Source, looks: Sequence[Look], count: int) -> int:
    """Draw the pairs that lie farthest apart to a new PNG: both images, and the edges of one on the other."""
    far = worst(looks)[:count]
    if not far:
        measured = [(look, band) for look in looks for band in look.offsets]
        far = sorted(measured, key=lambda pair: -pair[0].offsets[pair[1]].corners)[:count]
    if not far:
        raise CrossbandError(
            "no pair could be measured, so that there is nothing to draw", hint="leave out `--picture`"
        )
    first = next(iter(source.bands))
    columns: dict[str, list[Tensor]] = {first: [], "the other band": [], f"its edges on {first}": []}
    captions = []
    for look, band in far:
        one, other = (grey(source.raw(look.name, each)).clamp(0, 1) for each in (first, band))
        for column, image in zip(columns.values(), (one[None], other[None], _overlay(one, other)), strict=True):
            column.append(image)
        offset = look.offsets[band]
        captions.append(f"{look.name}, {band}: {offset.corners:.1f} ± {offset.error:.1f} pixels")
    save(sample_grid(columns, captions, errors=(), width=384), file)
    return len(far)


def _overlay(one: Tensor, other: Tensor) -> Tensor:
    """The strongest edges of `other` in red on `one`, `3 h w`."""
    down, across = torch.gradient(other)
    strength = (down.square() + across.square()).sqrt()
    edges = (strength > np.quantile(strength.numpy(), EDGES)).float()
    return one.expand(3, *one.shape) * (1 - edges) + one.new_tensor(RED).view(3, 1, 1) * edges


def _counts(source: Source, looks: Sequence[Look]) -> Grid:
    """The scenes of each split and band, and how many could not be read."""
    unread = {(look.name, band) for look in looks for band in look.faults}
    rows = []
    for split in source.splits:
        for band, kind in source.bands.items():
            names = source.names(split, band)
            lost = sum((name, band) in unread for name in names)
            rows.append([split, band, f"{len(names):,}", str(kind.channels), kind.pixels, str(lost)])
    return Grid(["split", "band", "images", "channels", "pixels", "unreadable"], rows, align="llrrlr")


def _offsets(source: Source, looks: Sequence[Look]) -> list[list[str]]:
    """A row for each band but the first: how far its images lie from those of the first, in pixels."""
    rows = []
    for band in source.bands:
        known = [look.offsets[band] for look in looks if band in look.offsets]
        if known:
            far, errors = [own.corners for own in known], [own.error for own in known]
            figures = [np.median(far), np.quantile(far, 0.9), max(far), float(np.median(errors))]
            rows.append([band, f"{len(known):,}", *(f"{figure:.1f}" for figure in figures)])
    return rows
