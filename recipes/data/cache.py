"""A cache on disk of decoded and resized images, for later epochs and runs: `data.cache`."""

import hashlib
import importlib.metadata
import io
import zlib
from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np

from crossband.recipes.basics.files import replacing
from crossband.recipes.data.geometry import Sides, loaded, resize
from crossband.recipes.kinds.source import DataError, Source

FORMAT = 1  # of the entries; another number replaces all of them
LIBRARIES = ("imagecodecs", "numpy", "Pillow", "tifffile", "torch")  # pixels depend on their versions
HEAD = 1024  # bytes in which the header of an entry lies
CHECK = 4  # bytes of the checksum that an entry ends with


class Cached(Source):
    """A source whose images are resized to `load` and kept in `folder`, which any number of processes may share.

    An entry is a memory-mapped `.npy` file, named by a hash of all that its pixels depend on: the source's fingerprint
    (the content of the image file, the meaning of its numbers), the size, the libraries that decode and resize. It is
    therefore never out of date; a changed image has another entry. The hash is of the content, not of path, size and
    date, which another file may take over: that costs a small part of decoding, and images may be moved.

    Entries are written under a temporary name and renamed. They end in a checksum, and are written anew if it is
    wrong. Nothing is ever removed: the folder may be deleted at any time.

    Raises DataError if the source gives no fingerprints, or if the folder cannot be used.
    """

    def __init__(self, source: Source, folder: Path, load: Sides | None) -> None:
        self.bands, self.splits, self.unpaired = source.bands, source.splits, source.unpaired
        self._source, self._folder, self._load = source, folder, load
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: a file, not a folder for a cache")
        name, band = next(iter(next(iter(self.splits.values())))), next(iter(self.bands))
        if source.fingerprint(name, band) is None:
            raise DataError("images of this data source cannot be kept in a cache", hint="take `cache` out of `data`")

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises, resized. Raises what the source raises, and DataError."""
        return {band: self._image(name, band) for band in (self.bands if bands is None else bands)}

    def size(self, name: str) -> tuple[int, int]:
        """Height and width after resizing."""
        return loaded(self._load, self._source.size(name))

    def _image(self, name: str, band: str) -> np.ndarray:
        path = self._entry(name, band)
        try:
            if (image := _read(path)) is None:
                image = self._source.read(name, [band])[band]
                image = resize(image, loaded(self._load, (image.shape[1], image.shape[2])))
                _write(path, image)
        except OSError as error:
            why = error.strerror or error
            hint = "name another folder in `data.cache`"
            raise DataError(f"{path}: the cache cannot be used: {why}", hint=hint) from None
        return image

    def _entry(self, name: str, band: str) -> Path:
        content = self._source.fingerprint(name, band) or b""
        size = loaded(self._load, (0, 0))  # 64 and [64, 64] share entries
        key = hashlib.sha256(repr((FORMAT, _versions(), size)).encode() + content).hexdigest()
        return self._folder / key[:2] / f"{key}.npy"


@cache
def _versions() -> tuple[str, ...]:
    return tuple(importlib.metadata.version(name) for name in LIBRARIES)


def _read(path: Path) -> np.ndarray | None:
    """The image of an entry, None if there is no whole one. Writing to the image does not change the file."""
    try:
        content = np.memmap(path, np.uint8, "c")  # opened once: another process may put another file in its place
    except (FileNotFoundError, ValueError):  # there is none, or it is empty
        return None
    checksum = int.from_bytes(content[-CHECK:].tobytes(), "little")
    if content.size <= CHECK or zlib.crc32(content.data[:-CHECK]) != checksum:
        return None
    head = io.BytesIO(content[:HEAD].tobytes())
    np.lib.format.read_magic(head)
    shape, _, dtype = np.lib.format.read_array_header_1_0(head)
    return content[head.tell() : -CHECK].view(dtype).reshape(shape)


def _write(path: Path, image: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, image, allow_pickle=False)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content.getbuffer())
        file.write(zlib.crc32(content.getbuffer()).to_bytes(CHECK, "little"))
