"""Image files to arrays and back: 8- and 16-bit PNG, TIFF (also float), JPEG and BMP.

Pillow reads JPEG, BMP and 8-bit PNG; imagecodecs 16-bit PNG, which Pillow reduces to 8 bits where
it has colour; tifffile TIFF. Nothing is repaired or guessed: a truncated file is an error.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from einops import rearrange
from PIL import Image, UnidentifiedImageError

from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

T = TypeVar("T")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".wmv", ".mpg", ".mpeg", ".seq")
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")  # of Pillow, that become grey or RGB without a guess
SIDEWAYS = (5, 6, 7, 8)  # the orientations that exchange height and width


class ImageError(CrossbandError):
    """An image file cannot be read or written."""


@dataclass(frozen=True)
class Header:
    """The facts of an image file that need no decoding: `height` and `width` as displayed."""

    height: int
    width: int
    channels: int
    dtype: np.dtype


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """The image of a file, `h w c` with 1 or 3 channels, in the file's own type and units.

    Turned upright as EXIF or the TIFF tag says; palettes become colours, two-tone images 0 and 255; an
    alpha channel is dropped. Raises ImageError, naming the file, if it is not a whole, readable image.
    """
    return _guarded(path, _read_tiff if _is_tiff(path) else _read_pillow)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Size, channels and type without decoding; a file cut short is noticed. Raises ImageError as read_image does."""
    return _guarded(path, _tiff_header if _is_tiff(path) else _pillow_header)


def full_scale(dtype: np.dtype | type) -> float:
    """The value that means 1.0: 255 for uint8, 65535 for uint16, 1.0 for float. Raises ImageError on other types."""
    kind = np.dtype(dtype)
    if kind in (np.uint8, np.uint16):
        return float(np.iinfo(kind).max)
    if kind.kind == "f":
        return 1.0
    raise ImageError(f"{kind} has no full scale", hint="declare the range of values of the file")


def write_image(path: str | os.PathLike[str], array: np.ndarray, bits: Literal[8, 16, 32] = 8) -> None:
    """Write `h w` or `h w c` (1 or 3 channels) as PNG, TIFF or JPEG, by the name's ending.

    Float arrays are in [0, 1] (values outside are clipped) and are scaled to `bits`; integer arrays
    must have that many bits already. JPEG takes 8 bits; 32 is float TIFF, written unclipped. The file
    appears whole or not at all, and replaces one of the same name. Raises ImageError.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    allowed = {".png": (8, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32), ".jpg": (8,), ".jpeg": (8,)}.get(suffix)
    if allowed is None:
        raise ImageError(f"{path}: cannot write `{suffix}` images", hint="choose `.png`, `.tif` or `.jpg`")
    if bits not in allowed:
        raise ImageError(f"{path}: `{suffix}` cannot hold {bits} bits", hint=f"choose `.tif`, or {allowed[-1]} bits")
    pixels = _pixels(path, np.asarray(array), bits)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{suffix}")
    try:
        _encode(temporary, pixels)
        os.replace(temporary, path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


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


def _encode(path: Path, pixels: np.ndarray) -> None:
    if _is_tiff(path):
        import tifffile

        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    elif pixels.dtype == np.uint16:
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(pixels))
    else:
        Image.fromarray(pixels).save(path, quality=95)  # PNG ignores `quality`


def _is_tiff(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() in (".tif", ".tiff")


def _guarded(path: str | os.PathLike[str], work: Callable[[Path], T]) -> T:
    """Do `work(path)`, and turn any error of the decoders into an ImageError that names the file."""
    try:
        return work(Path(path))
    except CrossbandError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise _no_image(Path(path)) from None
    except Exception as error:  # the decoders raise a dozen unrelated types on bad bytes
        why = str(error).splitlines()[0].removesuffix(".") if str(error) else type(error).__name__
        raise ImageError(f"{path}: not a readable image: {why}", hint="replace the file or take it out") from error


def _no_image(path: Path) -> ImageError:
    """The error for a file that is no image of a kind that can be read."""
    if path.suffix.lower() in VIDEOS:
        hint = f"make images of its frames: `ffmpeg -i {path} frames/%06d.png`"
        return ImageError(f"{path}: not a readable image: videos are not read", hint=hint)
    hint = f"replace the file or take it out; images are {', '.join(SUFFIXES)} files"
    return ImageError(f"{path}: not a readable image: its content is of no known kind", hint=hint)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, bool, bytes]]:
    """Open an image with Pillow. Also: whether it is a 16-bit PNG, and the end of its file, with the end mark."""
    with open(path, "rb") as file:
        head = file.read(25)
        file.seek(max(0, path.stat().st_size - 4096))
        tail = file.read()
        file.seek(0)
        image = Image.open(file, formats=["PNG", "JPEG", "BMP"])
        if image.mode not in MODES:
            raise ImageError(f"{path}: cannot use {image.mode} pixels", hint="save it as grey or RGB")
        yield image, head[24] == 16 and image.format == "PNG", tail  # the depth stands in the first chunk, IHDR


def _read_pillow(path: Path) -> np.ndarray:
    with _opened(path) as (image, png16, tail):
        orientation = _exif_orientation(image, tail)
        if png16:
            import imagecodecs

            array = _channels_last(imagecodecs.png_decode(path.read_bytes()))
        else:
            array = pixels_of(image)
        return _upright(array, orientation)


def pixels_of(image: Image.Image) -> np.ndarray:
    """The pixels `h w c` of a picture in one of MODES, 1 or 3 channels; an alpha channel is dropped."""
    if image.mode == "I;16":
        return np.array(image)[..., None]
    return _channels_last(np.array(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")))


def _pillow_header(path: Path) -> Header:
    with _opened(path) as (image, png16, tail):
        end = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}.get(image.format or "", b"")
        if not end or end not in tail:  # perhaps cut short: decoding will show
            image.load()
        height, width = image.height, image.width
        if _exif_orientation(image, tail) in SIDEWAYS:
            height, width = width, height
        grey = image.mode in ("1", "L", "LA", "I;16")
        return Header(height, width, 1 if grey else 3, np.dtype(np.uint16 if png16 else np.uint8))


def _exif_orientation(image: Image.Image, tail: bytes) -> int:
    # PNG may carry EXIF after the pixels, and Pillow decodes them all to look there: only if there is some
    exif = image.getexif() if b"eXIf" in tail else Image.Image.getexif(image)
    return exif.get(ORIENTATION, 1)


def _read_tiff(path: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = _only_page(path, file)
        array = page.asarray()
        if page.axes == "SYX":
            array = rearrange(array, "c h w -> h w c")
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in "bu":
            array = ~array
        if array.dtype == bool:
            array = array * np.uint8(255)
        return _upright(_channels_last(array), _tiff_orientation(page))


def _tiff_header(path: Path) -> Header:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = _only_page(path, file)
        if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > path.stat().st_size:
            raise ValueError("the file is cut short")
        height, width = page.imagelength, page.imagewidth
        if _tiff_orientation(page) in SIDEWAYS:
            height, width = width, height
        dtype = np.dtype(np.uint8) if page.dtype == bool else np.dtype(page.dtype)
        return Header(height, width, 3 if page.samplesperpixel >= 3 else 1, dtype)


def _only_page(path: Path, file: "TiffFile") -> "TiffPage":
    from tifffile import PHOTOMETRIC, TiffPage

    page = file.pages[0]
    if len(file.pages) != 1 or not isinstance(page, TiffPage):
        raise ImageError(f"{path}: holds {len(file.pages)} images", hint="save each as a file of its own")
    known = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    if page.photometric not in known or page.samplesperpixel > 4 or page.axes not in ("YX", "YXS", "SYX"):
        raise ImageError(f"{path}: cannot use this kind of TIFF pixels", hint="save it as grey or RGB")
    return page


def _tiff_orientation(page: "TiffPage") -> int:
    tag = page.tags.get(ORIENTATION)
    return 1 if tag is None else int(tag.value)


def _channels_last(array: np.ndarray) -> np.ndarray:
    """`h w` or `h w c` as `h w c` with 1 or 3 channels; a second or fourth channel is alpha."""
    array = array[..., None] if array.ndim == 2 else array
    return array[..., : 3 if array.shape[2] >= 3 else 1]


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror `h w c` as an EXIF orientation, 1 to 8, demands for display."""
    if orientation in SIDEWAYS:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)
