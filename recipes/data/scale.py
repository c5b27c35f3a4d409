"""How images use the scale of their values: too little of it, or a range that they do not lie in.

A wrong scale makes wrong figures without a word: images that differ by a hundredth of the scale are alike to every
metric, and a range beside the values makes of every image one grey.
"""

import math
from collections.abc import Iterator

import numpy as np

from crossband import registry
from crossband.recipes.kinds.source import DataError, Source
from crossband.recipes.language.syntax import Data

Range = tuple[float, float]

PROBES = 16  # images of a band that are decoded before training
LEAST = 0.25  # the part of 16 bits that images without a range use at least: 14 bits
MOST = 0.5  # the part of the pixels outside of a range from which on it is told
LOST = 0.99  # and from which on nothing is left of an image
ODD = 0.1  # percent of the pixels at either end that are perhaps dead, and do not tell the range


def scale_faults(source: Source, data: Data, split: str = "train") -> Iterator[DataError]:
    """An error for each band whose images of a split use little of their scale, or lie outside of their range.

    At most PROBES images of a band are decoded. Raises ImageError where one cannot be.
    """
    by_range = data.source == "memory" or "range" in registry.sources[data.source].parameters
    for band, kind in source.bands.items():
        declared = data.scale.get(band)
        if declared is None and not (by_range and kind.pixels == "uint16"):
            continue
        names = source.names(split, band)
        chosen = sorted({int(at) for at in np.linspace(0, len(names) - 1, PROBES)})
        values = np.concatenate([source.raw(names[at], band).ravel() for at in chosen])
        images = f"{len(chosen)} {'training ' * (split == 'train')}image{'s' * (len(chosen) > 1)}"
        if declared is None:
            yield from _narrow(band, values, images, given=data.source == "memory")
        elif (share := outside(values, declared)[0]) >= LOST:
            low, high = rounded(values.min(), values.max())
            message = f"{share:.0%} of the pixels of {band} are outside of `range`, by {images}"
            yield DataError(message, hint=f"their values are within `range: {{{band}: [{low}, {high}]}}`")


def _narrow(band: str, values: np.ndarray, images: str, *, given: bool) -> Iterator[DataError]:
    """An error where images of 16 bits use a small part of them. Such as are `given` from Python have no `range`."""
    top = np.iinfo(np.uint16).max
    low, high = values.min(), values.max()
    if (high - low) / top >= LEAST:
        low, high = np.percentile(values, [ODD, 100 - ODD])
    share = float(high - low) / top
    if share < LEAST:
        least, most = rounded(low, high)
        hint = f"declare `range: {{{band}: [{least}, {most}]}}`; or [0, {top}], if all of it is meant"
        if given:
            hint = f"give floating-point numbers, `((image - {least}) / {most - least}).clip(0, 1)`"
        yield DataError(f"{band} uses {100 * share:.2g}% of 16 bits, by {images}", hint=hint)


def outside(values: np.ndarray, range: Range) -> tuple[float, str]:
    """The part of the pixels that are outside of a range, and in words on which side."""
    low, high = sorted(range)
    parts = {f"above {high:.10g}": float((values > high).mean()), f"below {low:.10g}": float((values < low).mean())}
    words = [f"{part:.0%} of the pixels are {side}" for side, part in parts.items() if part >= 0.005]
    return sum(parts.values()), " and ".join(words)


def rounded(low: float, high: float) -> tuple[int, int]:
    """The round numbers around a range, such as a user would declare: `[28003, 30998]` gives `(28000, 31000)`."""
    step = max(1, 10 ** int(math.log10(max(1.0, float(high) - float(low))))) // 10 or 1
    least = math.floor(low / step) * step
    return least, max(math.ceil(high / step) * step, least + 1)
