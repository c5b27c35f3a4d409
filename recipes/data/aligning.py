"""The transforms of all scenes of a source: `crossband data align`."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from crossband.recipes.data.alignment import Alignment, window_of
from crossband.recipes.data.loader import leave_signals
from crossband.recipes.data.registration import Model, Offset, confirmed, corner_error
from crossband.recipes.kinds.source import DataError, Source
from crossband.registry import CrossbandError

LEAST = 0.5  # the part of an image that both bands must show
FEWEST = 3  # scenes of which `together` takes the median
Measured = tuple[str, dict[str, Offset], str]  # a scene, the offsets of its bands, or why there are none


class _Offsets(Dataset[Measured]):
    """The offset of every other band from the band `to`, scene by scene."""

    def __init__(self, source: Source, names: Sequence[str], model: Model, to: str) -> None:
        self._source, self._names, self._to = source, names, to
        self._model: Model = model

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, at: int) -> Measured:
        torch.set_num_threads(1)
        name = self._names[at]
        try:
            images = self._source.read(name)
        except CrossbandError as error:
            return name, {}, error.message
        others = [band for band in images if band != self._to]
        return name, {band: confirmed(images[self._to], images[band], self._model) for band in others}, ""


def align_all(
    source: Source, model: Model, to: str, limit: float, *, together: bool = False, workers: int = 0
) -> Alignment:
    """The transforms of all scenes whose error is below `limit` pixels; the others are refused.

    With `together` all scenes get one transform a band: the median of the matrices of those that are certain, in units
    of the size of the images. Raises DataError where scenes show different things.
    """
    if source.unpaired:
        raise DataError("images that show different scenes cannot be aligned")
    names = [name for own in source.splits.values() for name in own]
    scenes = _Offsets(source, names, model, to)
    start = leave_signals if workers else None
    found = list(DataLoader(scenes, batch_size=None, num_workers=workers, worker_init_fn=start))
    refused, offsets = dict[str, str](), dict[str, dict[str, Offset]]()
    for name, bands, fault in found:
        if why := fault or _refusal(bands, limit, source.size(name)):
            refused[name] = why
        else:
            offsets[name] = bands
    errors = {name: max(offset.error for offset in bands.values()) for name, bands in offsets.items()}
    matrices = {name: {band: offset.matrix for band, offset in bands.items()} for name, bands in offsets.items()}
    if together and offsets:
        if len(offsets) < FEWEST:
            raise DataError(f"only {len(offsets)} scenes are certain enough to tell one transform for all")
        readable = [name for name, _, fault in found if not fault]
        one, spread = _in_common(matrices, {name: source.size(name) for name in readable})
        refused = {name: why for name, why in refused.items() if name not in readable}
        matrices, errors = one, dict.fromkeys(readable, spread)
    rounded = {name: round(error, 4) for name, error in errors.items()}
    return Alignment(model, to, matrices, rounded, refused)


def _refusal(bands: Mapping[str, Offset], limit: float, size: tuple[int, int]) -> str:
    """Why the transforms of a scene are not to be trusted; empty where they are."""
    for band, offset in bands.items():
        if not offset.error <= limit:
            error = f"{offset.error:.1f} pixels" if offset.error < max(size) else "as large as the image"
            return f"{band}: its error is {error}, more than {limit:g}"
        top, left, bottom, right = window_of(offset.matrix, size)
        if (bottom - top) < LEAST * size[0] or (right - left) < LEAST * size[1]:
            return f"{band}: it would leave less than half of the image"
    return ""


def _in_common(
    matrices: Mapping[str, Mapping[str, np.ndarray]], sizes: Mapping[str, tuple[int, int]]
) -> tuple[dict[str, dict[str, np.ndarray]], float]:
    """The median transform, in the pixels of each scene, and the standard error of its corners."""
    units = {name: _units(size) for name, size in sizes.items()}
    result: dict[str, dict[str, np.ndarray]] = {name: {} for name in sizes}
    spread = 0.0
    for band in next(iter(matrices.values())):
        own = [units[name] @ bands[band] @ np.linalg.inv(units[name]) for name, bands in matrices.items()]
        middle = np.median([matrix / matrix[2, 2] for matrix in own], 0)
        apart = []
        for name in sizes:
            result[name][band] = np.linalg.inv(units[name]) @ middle @ units[name]
            if name in matrices:
                apart.append(corner_error(result[name][band], matrices[name][band], sizes[name]))
        spread = max(spread, 1.2533 * float(np.median(apart)) / len(apart) ** 0.5)  # of a median of normal numbers
    return result, spread


def _units(size: tuple[int, int]) -> np.ndarray:
    """The matrix that takes pixels to parts of the image, so that scenes of several sizes can be compared."""
    return np.diag([1 / size[1], 1 / size[0], 1.0])
