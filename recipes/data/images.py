"""Image files to arrays and back: 8- and 16-bit PNG, TIFF (also float), JPEG and BMP.

Nothing is repaired or guessed: a truncated file is an error. Nothing is decoded before the header of its file says that
it is no larger than is allowed.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import numpy as np
from PIL import Image

from crossband.graphs.language.files import FileError, open_file
from crossband.graphs.language.limits import MAX_PIXELS
from crossband.recipes.basics.files import replacing
from crossband.recipes.data.formats import WHOLE_BYTES, Header, ImageError, ImageFile, open_image
from crossband.registry import CrossbandError

T = TypeVar("T")

METADATA = 2**26  # bytes that a file may have beside its pixels
_limit: ContextVar[int] = ContextVar("max_pixels", default=MAX_PIXELS)


class ChangedImage(ImageError):
    """An image file is no longer what it was when the data was opened."""


@contextmanager
def at_most(pixels: int | None) -> Iterator[None]:
    """Read images of so many pixels at most, here and in what is called; None leaves the limit as it is.

    A pixel of more than 8 bytes counts as several. Raises ImageError unless it is a positive whole number.
    """
    if pixels is None:
        yield
        return
    if not isinstance(pixels, int) or isinstance(pixels, bool) or pixels < 1:
        raise ImageError(f"`max_pixels` is a positive whole number, got {pixels!r}")
    token = _limit.set(pixels)
    try:
        yield
    finally:
        _limit.reset(token)


def read_image(path: str | os.PathLike[str], header: Header | None = None) -> np.ndarray:
    """The image of a file, `h w c` with 1 or 3 channels, in the file's own type and units.

    Turned upright as EXIF or the TIFF tag says; palettes become colours, two-tone images 0 and 255; an
    alpha channel is dropped. What kind of file it is follows from its content.

    Raises ImageError, naming the file, if it is not a whole, readable image, or has more pixels than are allowed: see
    `at_most`. With the `header` that was read before, and allowed, it raises ChangedImage where the file has changed.
    """
    return _read(path, _decoded, header)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Size, channels and type without decoding; a file cut short is noticed. Raises ImageError as read_image does."""
    return _read(path, _checked)


def file_hash(path: str | os.PathLike[str], header: Header | None = None) -> bytes:
    """A hash of the bytes of an image file. Raises ImageError, and ChangedImage as read_image does."""
    with _named(Path(path)), open_file(path) as file:
        _check_unchanged(Path(path), file, header)
        return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]  # a BinaryIO in all but name


def full_scale(dtype: np.dtype | type) -> float:
    """The value that means 1.0: 255 for uint8, 65535 for uint16, 1.0 for float. Raises ImageError on other types."""
    kind = np.dtype(dtype)
    if kind in (np.uint8, np.uint16):
        return float(np.iinfo(kind).max)
    if kind.kind == "f":
        return 1.0
    raise ImageError(f"{kind} has no full scale", hint="declare the range of values of the file")


def write_image(
    path: str | os.PathLike[str], array: np.ndarray, bits: Literal[8, 16, 32] = 8, *, over: bool = True
) -> None:
    """Write `h w` or `h w c` (1 or 3 channels) as PNG, TIFF or JPEG, by the name's ending.

    Float arrays are in [0, 1] (values outside are clipped) and are scaled to `bits`; integer arrays
    must have that many bits already. JPEG takes 8 bits; 32 is float TIFF, written unclipped. The file
    appears whole or not at all, and replaces one of the same name, which without `over` is an error. Raises ImageError.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    allowed = {".png": (8, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32), ".jpg": (8,), ".jpeg": (8,)}.get(suffix)
    if allowed is None:
        raise ImageError(f"{path}: cannot write `{suffix}` images", hint="choose `.png`, `.tif` or `.jpg`")
    if bits not in allowed:
        raise ImageError(f"{path}: `{suffix}` cannot hold {bits} bits", hint=f"choose `.tif`, or {allowed[-1]} bits")
    pixels = _pixels(path, np.asarray(array), bits)
    if not path.parent.is_dir():
        raise ImageError(f"{path}: cannot be written: there is no such folder")
    try:
        with replacing(path, over=over) as temporary:
            _encode(temporary, suffix, pixels)
    except FileError as error:
        raise ImageError(error.message, hint=error.hint) from error


def _pixels(path: Path, array: np.ndarray, bits: int) -> np.ndarray:
    """`array` as it goes into the file, `h w` or `h w 3`."""
    array = np.ascontiguousarray(array)  # the encoders need it, and rounding keeps the order
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] != 3):
        raise ImageError(f"{path}: an image is `h w`, `h w 1` or `h w 3`, got the shape {array.shape}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ImageError(f"{path}: the image has values that are not finite")
        if bits == 32:
            return array.astype(np.float32)
        dtype = np.dtype(f"uint{bits}")
        return np.rint(array.clip(0, 1) * np.float64(np.iinfo(dtype).max)).astype(dtype)
    if array.dtype != np.dtype(f"uint{bits}"):
        raise ImageError(
            f"{path}: {array.dtype} pixels cannot be written with {bits} bits", hint="give float in [0, 1]"
        )
    return array


def _encode(path: Path, suffix: str, pixels: np.ndarray) -> None:
    if suffix in (".tif", ".tiff"):
        import tifffile

        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    elif pixels.dtype == np.uint16:
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(pixels))
    else:
        kind = "PNG" if suffix == ".png" else "JPEG"
        Image.fromarray(pixels).save(path, format=kind, quality=95)  # PNG ignores `quality`


def _read(path: str | os.PathLike[str], work: Callable[[ImageFile, Header], T], expected: Header | None = None) -> T:
    """Do `work` on an image and its header; every error is an ImageError that names the file.

    An image with an `expected` header was allowed when that was read.
    """
    path = Path(path)
    with _named(path), open_file(path) as file:
        size, _ = stamp = _stamp(file)
        _check_unchanged(path, file, expected)
        if not expected:
            _admit(path, f"{size:,} bytes", math.ceil((size - METADATA) / WHOLE_BYTES))
        image = open_image(path, file)
        if not expected:
            _admit(path, f"{image.sides[0]}x{image.sides[1]} pixels", image.counted)
        header = replace(image.header, stamp=stamp)
        if expected not in (None, header):
            raise _changed(path)
        return work(image, header)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Every error within becomes an ImageError that names the file."""
    try:
        yield
    except FileError as error:
        raise ImageError(error.message, hint=error.hint or "replace the file or take it out") from None
    except CrossbandError:
        raise
    except Exception as error:  # the decoders raise a dozen unrelated types on bad bytes
        why = str(error).strip().splitlines()[0].removesuffix(".") if str(error).strip() else type(error).__name__
        raise ImageError(f"{path}: not a readable image: {why}", hint="replace the file or take it out") from error


def _decoded(image: ImageFile, header: Header) -> np.ndarray:
    array = image.decode()
    if array.shape != (header.height, header.width, header.channels):
        raise ValueError("its pixels are not as many as its header says")
    return array


def _checked(image: ImageFile, header: Header) -> Header:
    image.check_whole()
    return header


def _admit(path: Path, what: str, counted: int) -> None:
    """Raise ImageError where what is to be read counts as more pixels than are allowed."""
    if counted > (limit := _limit.get()):
        message = f"{path}: {what} count as {counted:,}, and at most {limit:,} are read"
        hint = f"`--max-pixels {counted}` reads it, from Python `max_pixels={counted}`; or make the image smaller"
        raise ImageError(message, hint=hint)


def _stamp(file: BinaryIO) -> tuple[int, int]:
    """The bytes of an open file and the time of its last change."""
    facts = os.fstat(file.fileno())
    return facts.st_size, facts.st_mtime_ns


def _check_unchanged(path: Path, file: BinaryIO, header: Header | None) -> None:
    """Raise ChangedImage where an open file is no longer the one of which this header was read."""
    if header and _stamp(file) != header.stamp:
        raise _changed(path)


def _changed(path: Path) -> ChangedImage:
    hint = "put back the file as it was, or begin anew with the file as it is"
    return ChangedImage(f"{path}: the file has changed since the data was opened", hint=hint)
