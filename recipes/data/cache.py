"""Images kept on disk as they are after decoding and resizing, for the epochs and runs to come: `data.cache`."""

import hashlib
import importlib.metadata
import io
import zlib
from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np

from crossband.recipes.basics.files import replacing
from crossband.recipes.data.geometry import Size, loaded, resize
from crossband.recipes.kinds.source import DataError, Source

FORMAT = 1  # of the files below; another number makes all entries anew
LIBRARIES = ("imagecodecs", "numpy", "Pillow", "tifffile", "torch")  # what pixels depend on, beside the file
HEAD = 1024  # bytes in which the header of an entry lies
CHECK = 4  # bytes of the checksum that an entry ends with


class Cached(Source):
    """A source with its images resized as `load` says, from files in `folder` that any number of processes may share.

    An entry is a `.npy` file, memory-mapped, and called after all that its pixels follow from: the source's fingerprint
    (the content of the image file, what its numbers mean), the size, the libraries that decode and resize. So it is
    never out of date; an image that changes is another entry. Content is hashed, and not path, size and date, which
    another file may have in turn: that costs a small part of decoding, and the images may move.

    Entries are written under a temporary name and renamed, end in a checksum, and are made anew where it is wrong.
    Nothing is ever removed: the folder may be deleted at any time.

    Raises DataError if the source cannot tell what its images follow from, or if the folder cannot be used.
    """

    def __init__(self, source: Source, folder: Path, load: Size | None) -> None:
        self.bands, self.splits, self.unpaired = source.bands, source.splits, source.unpaired
        self._source, self._folder, self._load = source, folder, load
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: a file, and no folder for a cache")
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
        size = loaded(self._load, (0, 0))  # so that 64 and [64, 64] are one
        key = hashlib.sha256(repr((FORMAT, _versions(), size)).encode() + content).hexdigest()
        return self._folder / key[:2] / f"{key}.npy"


@cache
def _versions() -> tuple[str, ...]:
    return tuple(importlib.metadata.version(name) for name in LIBRARIES)


def _read(path: Path) -> np.ndarray | None:
    """The image of an entry, which may be written to without changing the file; None if there is no whole entry."""
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
