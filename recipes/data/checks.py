"""What is odd in images: bits that are not there, grey for colour, test images in the training set, bands apart.

`look_at` looks at each scene once, in several processes; `findings` says what is odd. A file that cannot be read is
told and does not end the rest.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from crossband.recipes.data.aligned import ColourImage
from crossband.recipes.data.loader import leave_signals
from crossband.recipes.data.registration import Offset, grey, measure
from crossband.recipes.kinds.source import Source
from crossband.registry import CrossbandError

SIDE = 256  # pixels of the longer side on which the offset is measured: a quarter of a pixel of it can be told
FAR = 2.0  # pixels: a smaller offset is not told
SURE = 3.0  # standard errors: nor one that is less certain
UNKNOWN = 4.0  # pixels: the bands of a scene with a larger standard error have too little in common
HASH = 16  # rows and columns of comparisons in a perceptual hash
ALIKE = 16  # bits of HASH^2 in which near copies differ at most
FRAMES = 30  # numbers that two frames of one video are apart at most
FLAT = 0.02  # spread of the grey values, below which an image is too flat for a hash
SATURATED = 0.05  # the part of the pixels at the end of the scale from which on it is told
MOST = 0.9  # of the images: as good as all
SHOWN = 5  # scenes that a finding names


@dataclass(frozen=True)
class Values:
    """What the numbers of one image are: their type, least and largest, how many differ, and what divides them all."""

    pixels: str
    least: float
    largest: float
    different: int  # 257 stands for more
    divisor: int  # of whole numbers, else 0
    saturated: float  # the part of the pixels at the largest number of the type, if these are 8 or 16 bits
    coloured: bool


@dataclass(frozen=True)
class Look:
    """What was seen of a scene: by band the values, or why there are none, and how far bands lie from the first."""

    name: str
    values: dict[str, Values] = field(default_factory=dict)
    faults: dict[str, CrossbandError] = field(default_factory=dict)
    offsets: dict[str, Offset] = field(default_factory=dict)
    hash: np.ndarray | None = None  # bits of the first band


@dataclass(frozen=True)
class Finding:
    """Something odd: `broken` where it is certainly wrong, else worth a look. `scenes` are all that it is about."""

    text: str
    scenes: Sequence[str] = ()
    broken: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        return {"text": self.text, "broken": self.broken, "scenes": list(self.scenes)}

    def __str__(self) -> str:
        shown = ", ".join(f"`{name}`" for name in self.scenes[:SHOWN])
        return self.text + (f": {shown}" if shown else "") + (", ..." if len(self.scenes) > SHOWN else "")


class _Looks(Dataset[Look]):
    """The scenes of a source, each looked at when it is asked for. `aligned` ones have their offset measured."""

    def __init__(self, source: Source, names: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        self._source, self._names = source, names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, at: int) -> Look:
        torch.set_num_threads(1)
        name, bands = self._names[at]
        look, images = Look(name), {}
        for band in bands:
            try:
                images[band] = self._source.raw(name, band)
            except CrossbandError as error:
                look.faults[band] = error
                continue
            look.values[band] = values_of(images[band])
        first, *others = bands
        if first not in images:
            return look
        hash = hash_of(images[first])
        for band in others:
            same = band in images and images[band].shape[1:] == images[first].shape[1:]
            if same and min(images[first].shape[1:]) >= HASH:
                look.offsets[band] = measure(images[first], images[band], "shift", SIDE)
        return Look(name, look.values, look.faults, look.offsets, hash)


def look_at(source: Source, workers: int = 0) -> Iterator[Look]:
    """Every scene of a source, looked at in several processes; the order is that of its splits."""
    names: list[tuple[str, tuple[str, ...]]] = []
    for split, scenes in source.splits.items():
        if split in source.unpaired:
            names += [(name, (band,)) for band, own in source.unpaired[split].items() for name in own]
        else:
            names += [(name, tuple(source.bands)) for name in scenes]
    start = leave_signals if workers else None
    yield from DataLoader(_Looks(source, names), batch_size=None, num_workers=workers, worker_init_fn=start)


def values_of(image: np.ndarray) -> Values:
    """What the numbers of an image `c h w` are."""
    flat = image.ravel()
    whole = image.dtype.kind in "iu"
    if image.dtype in (np.uint8, np.uint16):
        counts = np.bincount(flat, minlength=2)
        found = counts.nonzero()[0]
        top = float(counts[np.iinfo(image.dtype).max :].sum()) / flat.size
    else:
        found, top = np.unique(flat), 0.0
    coloured = len(image) > 1 and bool((image[0] != image[1]).any() or (image[0] != image[2]).any())
    divisor = int(np.gcd.reduce(found.astype(np.int64))) if whole else 0
    return Values(str(image.dtype), float(found[0]), float(found[-1]), min(len(found), 257), divisor, top, coloured)


def hash_of(image: np.ndarray) -> np.ndarray | None:
    """Whether each part of an image is brighter than that to its right, as bits; None of an image that is flat.

    The difference hash of N. Krawetz (2013), with 16x16 comparisons.
    """
    small = F.interpolate(grey(image)[None, None], (HASH, HASH + 1), mode="bilinear", antialias=True)[0, 0]
    if float(small.std()) < FLAT:
        return None
    return (small[:, 1:] > small[:, :-1]).flatten().numpy()


def findings(source: Source, looks: Sequence[Look]) -> list[Finding]:
    """Everything odd that was seen."""
    found = [Finding(str(error), broken=True) for look in looks for error in look.faults.values()]
    for band in source.bands:
        seen = {look.name: look.values[band] for look in looks if band in look.values}
        found += _of_band(band, source.bands[band].channels, seen)
    first, *others = source.bands
    coloured = sum(any(isinstance(error, ColourImage) for error in look.faults.values()) for look in looks)
    without = sum(first in look.values and not look.values[first].coloured for look in looks)
    if source.bands[first].channels == 3 and min(coloured, without) >= MOST * len(looks) > 0:
        found.append(Finding(f"{first} has no colour and {' or '.join(others)} has: perhaps the two are swapped"))
    found += _apart(looks)
    found += _copies(source, looks)
    return found


def _of_band(band: str, channels: int, seen: dict[str, Values]) -> Iterator[Finding]:
    """What is odd in the values of a band."""
    wide = {name: own for name, own in seen.items() if own.pixels not in ("uint8", "int8") and own.divisor}
    rules = {
        "images are of one value": [name for name, own in seen.items() if own.different == 1],
        "images of 16 bits hold values below 256: 8 bits": [
            name for name, own in wide.items() if own.largest < 256 and own.different > 1
        ],
        "images of 16 bits hold multiples of a larger number only, as 8 bits stretched do": [
            name for name, own in wide.items() if own.divisor >= 16 and own.different > 1
        ],
        "images of 16 bits hold 256 different values at most, as 8 bits stretched do": [
            name for name, own in wide.items() if own.divisor < 16 and own.largest >= 256 and 1 < own.different <= 256
        ],
        f"images have {SATURATED:.0%} or more of their pixels at the end of the scale": [
            name for name, own in seen.items() if own.saturated >= SATURATED and own.different > 1
        ],
    }
    if channels == 3:
        grey_ones = [name for name, own in seen.items() if not own.coloured and own.different > 1]
        rules["images have three equal channels: grey, in a band of colour"] = grey_ones
    for text, names in rules.items():
        if names:
            yield Finding(f"{len(names)} of {len(seen)} {band} {text}", names)
    types = Counter(own.pixels for own in seen.values())
    if len(types) > 1:
        yield Finding(f"{band} has files of {' and '.join(f'{kind} ({count})' for kind, count in types.items())}")


def worst(looks: Sequence[Look]) -> list[tuple[Look, str]]:
    """The scenes and bands that certainly lie apart, the farthest first."""
    pairs = [(look, band) for look in looks for band, offset in look.offsets.items() if is_apart(offset)]
    return sorted(pairs, key=lambda pair: -pair[0].offsets[pair[1]].corners)


def is_apart(offset: Offset) -> bool:
    """Whether two images certainly lie apart."""
    return offset.error <= UNKNOWN and offset.corners > max(FAR, SURE * offset.error)


def _apart(looks: Sequence[Look]) -> Iterator[Finding]:
    measured = [offset for look in looks for offset in look.offsets.values()]
    if far := worst(looks):
        share = f"{len(far)} of {len(measured)} pairs lie more than {FAR:g} pixels apart, the farthest"
        names = [f"{look.name} ({look.offsets[band].corners:.1f})" for look, band in far]
        yield Finding(share, names)
    if unsure := [look.name for look in looks if any(own.error > UNKNOWN for own in look.offsets.values())]:
        yield Finding(f"the offset of {len(unsure)} of {len(measured)} pairs cannot be told", unsure)


def _copies(source: Source, looks: Sequence[Look]) -> Iterator[Finding]:
    """Near copies across the splits, neighbouring frames of a video by themselves."""
    by_name = {look.name: look for look in looks if look.hash is not None}
    first = next(iter(source.bands))
    parts = {split: [name for name in source.names(split, first) if name in by_name] for split in source.splits}
    for (one, names), (other, others) in itertools.combinations(parts.items(), 2):
        if not names or not others:
            continue
        left, right = (_signs([by_name[name] for name in each]) for each in (names, others))
        near: list[tuple[str, str]] = []
        for at in range(0, len(names), 1024):  # a part at a time: ten thousand by ten thousand do not fit in memory
            differ = (HASH**2 - left[at : at + 1024] @ right.T) / 2
            near += [(names[at + int(i)], others[int(j)]) for i, j in (differ <= ALIKE).nonzero().tolist()]
        frames = {copy for name, copy in near if _are_frames(name, copy)}
        copies = {copy: name for name, copy in near if copy not in frames}
        if copies:
            text = f"{len(copies)} scenes of `{other}` have near copies in `{one}`"
            yield Finding(text, [f"{copy} = {name}" for copy, name in copies.items()])
        if frames:
            text = f"{len(frames)} scenes of `{other}` are neighbouring frames of scenes in `{one}`, and near copies"
            yield Finding(text, [name for name in others if name in frames])


def _signs(looks: Sequence[Look]) -> torch.Tensor:
    return torch.from_numpy(np.stack([look.hash for look in looks if look.hash is not None])).float() * 2 - 1


def _are_frames(one: str, other: str) -> bool:
    """Whether two names differ in one number, by little."""
    left, right = (re.split(r"(\d+)", name) for name in (one, other))
    if len(left) != len(right):
        return False
    differ = [at for at, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
    if not differ or differ[0] % 2 == 0 or differ[1:]:
        return False
    return abs(int(left[differ[0]]) - int(right[differ[0]])) <= FRAMES
