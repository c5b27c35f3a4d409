"""A cache on disk of decoded and resized images, for later epochs and runs: `data.cache`."""

import hashlib
import importlib.metadata
import io
import math
import stat
import zlib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from crossband.graphs.language.files import FileError, named, open_file
from crossband.recipes.basics.files import replacing
from crossband.recipes.data.geometry import Sides, loaded, resize
from crossband.recipes.kinds.source import Box, DataError, Source

FORMAT = 1  # of the entries; another number replaces all of them
LIBRARIES = ("imagecodecs", "numpy", "Pillow", "tifffile", "torch")  # pixels depend on their versions
TYPES = tuple(map(np.dtype, (np.uint8, np.uint16, np.float32)))  # of the pixels that a source gives
CHECK = 4  # bytes of the checksum that an entry ends with


class Cached(Source):
    """A source whose images are resized to `load` and kept in `folder`, which any number of processes may share.

    An entry is a memory-mapped `.npy` file, named by a hash of all that its pixels depend on: the source's fingerprint
    (the content of the image file, the meaning of its numbers), the size, the libraries that decode and resize. It is
    therefore never out of date; a changed image has another entry. The hash is of the content, not of path, size and
    date, which another file may take over: that costs a small part of decoding, and images may be moved.

    Entries are written under a temporary name and renamed. They end in a checksum, and are written anew if it is
    wrong, or if they are not of the shape that the source says. Nothing is ever removed: the folder may be deleted at
    any time.

    Raises DataError if the source gives no fingerprints, or if the folder cannot be used.
    """

    def __init__(self, source: Source, folder: Path, load: Sides | None) -> None:
        self.bands, self.splits, self.unpaired = source.bands, source.splits, source.unpaired
        self._source, self._folder, self._load = source, folder, load
        try:
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise DataError(f"{folder}: a file, not a folder for a cache")
        except FileNotFoundError:
            pass  # it is made with its first entry
        except (OSError, ValueError) as error:  # the name is too long, or holds a NUL
            raise _unusable(folder, FileError.of(folder, error).why) from None
        name, band = next(iter(next(iter(self.splits.values())))), next(iter(self.bands))
        if source.fingerprint(name, band) is None:
            raise DataError("images of this data source cannot be kept in a cache", hint="take `cache` out of `data`")

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises, resized. Raises what the source raises, and DataError."""
        return {band: self._image(name, band) for band in (self.bands if bands is None else bands)}

    def size(self, name: str) -> tuple[int, int]:
        """Height and width after resizing."""
        return loaded(self._load, self._source.size(name))

    def labels(self, name: str) -> Mapping[str, str]:
        """Those of the source."""
        return self._source.labels(name)

    def boxes(self, name: str) -> Sequence[Box] | None:
        """Those of the source, resized as the images are."""
        found = self._source.boxes(name)
        return found and [box.resized(self._source.size(name), self.size(name)) for box in found]

    def _image(self, name: str, band: str) -> np.ndarray:
        path = self._entry(name, band)
        shape = (self.bands[band].channels, *self.size(name))
        if (image := _read(path, shape)) is None:
            image = self._source.read(name, [band])[band]
            image = resize(image, loaded(self._load, (image.shape[1], image.shape[2])))
            try:
                _write(path, image)
            except FileError as error:
                raise _unusable(path, error.why) from None
        return image

    def _entry(self, name: str, band: str) -> Path:
        content = self._source.fingerprint(name, band) or b""
        size = loaded(self._load, (0, 0))  # 64 and [64, 64] share entries
        key = hashlib.sha256(repr((FORMAT, _versions(), size)).encode() + content).hexdigest()
        return self._folder / key[:2] / f"{key}.npy"


@cache
def _versions() -> tuple[str, ...]:
    return tuple(importlib.metadata.version(name) for name in LIBRARIES)


def _unusable(path: Path, why: str) -> DataError:
    return DataError(f"{named(path)}: the cache cannot be used: {why}", hint="name another folder in `data.cache`")


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The image of an entry, None if there is no whole one of this shape. Writing to it does not change the file."""
    try:
        with open_file(path) as stream:  # opened once: another process may put another file in its place
            content = np.memmap(stream, np.uint8, "c")
    except (FileError, ValueError):  # there is none, or it is empty
        return None
    checksum = int.from_bytes(content[-CHECK:].tobytes(), "little")
    if content.size <= CHECK or zlib.crc32(content.data[:-CHECK]) != checksum:
        return None
    for head, dtype in ((_head(shape, dtype), dtype) for dtype in TYPES):
        size = len(head) + math.prod(shape) * dtype.itemsize + CHECK
        if content.size == size and content[: len(head)].tobytes() == head:
            return content[len(head) : -CHECK].view(dtype).reshape(shape)
    return None


def _write(path: Path, image: np.ndarray) -> None:
    content = _head(image.shape, image.dtype) + np.ascontiguousarray(image).tobytes()
    with replacing(path, durable=False) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.write(zlib.crc32(content).to_bytes(CHECK, "little"))


def _head(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """What stands before the pixels in a `.npy` file: known to the byte, so that no entry has to be interpreted."""
    head = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
    return head.getvalue()
