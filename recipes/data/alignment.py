"""Images brought over each other as they are read: `data.align`, a file with a transform for each scene.

`crossband data align` writes the file. Image files are never touched.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from crossband.graphs.language.files import FileError, read_utf8
from crossband.recipes.basics.files import replacing
from crossband.recipes.basics.formats import ALIGNMENT
from crossband.recipes.basics.readback import checked, parsed
from crossband.recipes.data.images import full_scale
from crossband.recipes.kinds.source import Box, DataError, Source
from crossband.registry import suggest

VERSION = 1
WHOLE = 1e-9  # of a pixel, that rounding may add to what is cut off


@dataclass(frozen=True)
class Alignment:
    """The transforms of a file: by scene and band the 3x3 matrix that takes a pixel (x, y, 1) of the band `to`.

    Scenes in `refused` have none, for the reason that is given.
    """

    model: str
    to: str
    scenes: Mapping[str, Mapping[str, np.ndarray]]
    errors: Mapping[str, float]
    refused: Mapping[str, str]


def write_alignment(path: Path, found: Alignment, *, over: bool = False) -> None:
    """Write an alignment, a scene a line. Raises FileError, also where the file exists and may not be written over."""
    scenes = {
        name: {
            "error": found.errors[name],
            "bands": {band: np.round(matrix, 9).tolist() for band, matrix in bands.items()},
        }
        for name, bands in found.scenes.items()
    }
    head = {"version": VERSION, "model": found.model, "to": found.to}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    lines.append(f'  "refused": {json.dumps(found.refused, ensure_ascii=False, indent=4)},')
    each = ",\n".join(f"    {json.dumps(name, ensure_ascii=False)}: {json.dumps(own)}" for name, own in scenes.items())
    text = "{\n" + "\n".join(lines) + '\n  "scenes": {\n' + each + "\n  }\n}\n"
    with replacing(path, over=over) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_alignment(path: str | Path) -> Alignment:
    """The alignment of a file. Raises DataError where it cannot be read, and Damaged where it holds something else."""
    try:
        text = read_utf8(path)
    except FileError as error:
        raise DataError(f"`data.align`: {error.message}", hint="`crossband data align` writes it") from None
    held = checked(parsed(text, path, ALIGNMENT.hint), ALIGNMENT, path)
    scenes = {
        name: {band: np.array(matrix, np.float64) for band, matrix in own["bands"].items()}
        for name, own in held["scenes"].items()
    }
    for name, bands in scenes.items():
        for band, matrix in bands.items():
            if abs(np.linalg.det(matrix)) < 1e-6 or matrix[2, 2] == 0:
                raise DataError(f"{path}: the matrix of `{name}`, {band}, turns an image into a line")
    errors = {name: own["error"] for name, own in held["scenes"].items()}
    return Alignment(held["model"], held["to"], scenes, errors, held["refused"])


class Aligned(Source):
    """A source whose images are moved over each other as an alignment says, bicubically, and cut to what all have.

    Those of the band `to` stay as they are. Refused scenes are left out. Nothing is invented at the borders: an image
    is cut to the largest upright rectangle, in whole pixels, that every band covers.

    Raises DataError where the alignment lacks a scene or a band of the source, or leaves a split empty.
    """

    def __init__(self, source: Source, path: str | Path) -> None:
        found = read_alignment(path)
        if source.unpaired:
            message = f"{path}: images that show different scenes cannot be aligned"
            raise DataError(message, hint="leave out `data.align`")
        if found.to not in source.bands:
            hint = suggest(found.to, source.bands)
            raise DataError(f"{path}: the data has no band `{found.to}`, to which it aligns", hint=hint)
        self.bands, self._source, self._found = source.bands, source, found
        self.splits = {
            split: [name for name in names if name not in found.refused] for split, names in source.splits.items()
        }
        others = [band for band in source.bands if band != found.to]
        for split, names in self.splits.items():
            if not names:
                raise DataError(f"{path}: the split `{split}` is empty: all of its scenes were refused")
            for name in names:
                if missing := [band for band in others if band not in found.scenes.get(name, {})]:
                    message = f"{path}: the scene `{name}` has no transform of {missing[0]}"
                    raise DataError(message, hint="write the file anew: `crossband data align`")

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises, aligned. Raises what the source raises, and DataError."""
        images = self._source.read(name, bands)
        return {band: self._moved(name, band, image) for band, image in images.items()}

    def raw(self, name: str, band: str) -> np.ndarray:
        """The image of a band in the units of its file, where it lies there: values, not places, are asked for."""
        return self._source.raw(name, band)

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of what all bands have."""
        top, left, bottom, right = self._window(name)
        return bottom - top, right - left

    def fingerprint(self, name: str, band: str) -> bytes | None:
        """That of the source, with the transforms of the scene."""
        own = self._source.fingerprint(name, band)
        matrices = b"".join(key.encode() + matrix.tobytes() for key, matrix in self._found.scenes[name].items())
        return own and own + hashlib.sha256(matrices).digest()

    def labels(self, name: str) -> Mapping[str, str]:
        """Those of the source."""
        return self._source.labels(name)

    def boxes(self, name: str) -> Sequence[Box] | None:
        """Those of the source, which lie on the band that is not moved, where they are after cutting."""
        found = self._source.boxes(name)
        if found is None:
            return None
        top, left, *_ = self._window(name)
        placed = [Box(box.label, box.x - left, box.y - top, box.width, box.height) for box in found]
        return [inside for box in placed if (inside := box.clipped(*self.size(name)))]

    def _moved(self, name: str, band: str, image: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self._window(name)
        if band == self._found.to:
            return np.ascontiguousarray(image[:, top:bottom, left:right])
        return warp(image, self._found.scenes[name][band], (top, left, bottom, right))

    def _window(self, name: str) -> tuple[int, int, int, int]:
        size = self._source.size(name)
        windows = [window_of(matrix, size) for matrix in self._found.scenes[name].values()]
        top, left = (max(window[at] for window in windows) for at in (0, 1))
        bottom, right = (min(window[at] for window in windows) for at in (2, 3))
        if bottom - top < 1 or right - left < 1:
            raise DataError(f"{name}: its bands have nothing in common once they are aligned")
        return top, left, bottom, right


def window_of(matrix: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what an image of this size covers of the one that it is moved over."""
    height, width = size
    back = np.linalg.inv(matrix)
    ends = [back @ (x, y, 1.0) for y in (0, height - 1) for x in (0, width - 1)]
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (end[:2] / end[2] for end in ends)
    top, left = np.ceil([max(y0, y1, 0) - WHOLE, max(x0, x2, 0) - WHOLE])
    bottom, right = np.floor([min(y2, y3, height - 1) + WHOLE, min(x1, x3, width - 1) + WHOLE])
    return int(top), int(left), int(bottom) + 1, int(right) + 1


def warp(image: np.ndarray, matrix: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """What `image`, `c h w` of any Source type, has at the places to which a matrix takes the pixels of a window.

    Bicubic; the type stays.
    """
    top, left, bottom, right = window
    height, width = image.shape[1:]
    y, x = np.mgrid[top:bottom, left:right].astype(np.float64)
    if np.array_equal(matrix[:, :2], np.eye(3, 2)) and np.array_equal(matrix[:, 2], np.round(matrix[:, 2])):
        across, down = (int(by) for by in matrix[:2, 2])  # whole pixels: nothing to interpolate
        return np.ascontiguousarray(image[:, top + down : bottom + down, left + across : right + across])
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
    place = np.stack([(2 * u / w + 1) / width - 1, (2 * v / w + 1) / height - 1], -1)
    values = torch.from_numpy(image.astype(np.float32))[None]
    grid = torch.from_numpy(place.astype(np.float32))[None]
    found = F.grid_sample(values, grid, mode="bicubic", padding_mode="border", align_corners=False)[0].numpy()
    found = found.clip(0, full_scale(image.dtype))
    return np.rint(found).astype(image.dtype) if image.dtype.kind in "iu" else found.astype(image.dtype)
