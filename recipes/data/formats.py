"""The kinds of image files that are read: what a file holds is known before any of it is decoded.

Pillow reads JPEG, BMP and 8-bit PNG; imagecodecs 16-bit PNG, which Pillow reduces to 8 bits where it has colour;
tifffile TIFF. Which it is follows from the first bytes of a file, and not from its name. Of a TIFF every part is held
to the size that its header says before a decoder gets it.
"""

import io
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
from einops import rearrange
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile, jpeg_factory
from PIL.PngImagePlugin import PngImageFile

from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".wmv", ".mpg", ".mpeg", ".seq")
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")  # of Pillow, that become grey or RGB without a guess
GREY = ("1", "L", "LA", "I;16")
SIDEWAYS = (5, 6, 7, 8)  # the orientations that exchange height and width
TAIL = 4096  # bytes at the end of a file in which its end mark is looked for
MANY = 100  # images in one TIFF that are counted
WHOLE_BYTES = 8  # of a pixel, such as 16 bits of red, green, blue and alpha; one that has more counts as several
# Compressions of TIFF whose decoders are told how much they may give; that of JPEG is looked at first.
# None, CCITT (3), LZW, JPEG, deflate, PackBits, deflate, LZMA, Zstandard
COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000)
JPEG, YCBCR = 7, 6  # a compression of TIFF, and a photometric interpretation

# Pillow's own `open` has a limit of its own, which is one for all of the program, and warns below it
_PILLOW: dict[bytes, Callable[[BinaryIO], Image.Image]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": jpeg_factory,
    b"BM": BmpImageFile,
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class ImageError(CrossbandError):
    """An image file cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of an image file that need no decoding: `height` and `width` as displayed.

    `stamp` are its bytes and the time of its last change, in nanoseconds: it changes where the file does.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype
    stamp: tuple[int, int] = (0, 0)


class Picture:
    """A PNG, JPEG or BMP."""

    def __init__(self, path: Path, file: BinaryIO, factory: Callable[[BinaryIO], Image.Image]) -> None:
        self.file = file
        head = file.read(25)
        end = file.seek(0, io.SEEK_END)
        file.seek(max(0, end - TAIL))
        self.tail = file.read()
        file.seek(0)
        self.image = factory(file)
        self.png16 = factory is PngImageFile and head[24] == 16  # the depth stands in the first chunk, IHDR
        if self.image.mode not in MODES:
            raise ImageError(f"{path}: cannot use {self.image.mode} pixels", hint="save it as grey or RGB")
        if factory is PngImageFile and (count := getattr(self.image, "n_frames", 1)) > 1:
            raise _several(path, str(count))
        self.sides = (self.image.height, self.image.width)
        self.counted = math.prod(self.sides)

    @cached_property
    def header(self) -> Header:
        """What it holds; without the stamp of its file."""
        height, width = reversed(self.sides) if self.orientation in SIDEWAYS else self.sides
        kind = np.dtype(np.uint16 if self.png16 else np.uint8)
        return Header(height, width, 1 if self.image.mode in GREY else 3, kind)

    @cached_property
    def orientation(self) -> int:
        """How it is turned, 1 to 8."""
        # PNG may carry EXIF after the pixels, and Pillow decodes them all to look there: only if there is some
        exif = self.image.getexif() if b"eXIf" in self.tail else Image.Image.getexif(self.image)
        return exif.get(ORIENTATION, 1)

    def check_whole(self) -> None:
        """Raise an error where the file is cut short; it is decoded where that does not show otherwise."""
        end = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}.get(self.image.format or "", b"")
        if not end or end not in self.tail:
            self.image.load()

    def decode(self) -> np.ndarray:
        """The pixels `h w c`, upright."""
        if not self.png16:
            return _upright(pixels_of(self.image), self.orientation)
        import imagecodecs

        orientation = self.orientation
        self.file.seek(0)
        return _upright(_channels_last(imagecodecs.png_decode(self.file.read())), orientation)


class Tiff:
    """A TIFF of one image."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        import tifffile

        logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else what it remarks goes to stderr
        self.file = file
        self.page = page = _only_page(path, tifffile.TiffFile(file, name=path.name))
        self.sides = (page.imagelength, page.imagewidth)
        if not all(isinstance(side, int) and side > 0 for side in (*self.sides, page.samplesperpixel)):
            raise ValueError("its header gives it no size")
        self.dtype = np.dtype(np.uint8) if page.dtype == bool else np.dtype(page.dtype)
        high, wide = self.part
        rows, columns = math.ceil(self.sides[0] / high), math.ceil(self.sides[1] / wide)
        planes = page.samplesperpixel if page.planarconfig == 2 else 1  # of their own
        bytes_of_pixel = page.samplesperpixel * self.dtype.itemsize
        self.counted = rows * high * columns * wide * max(1, math.ceil(bytes_of_pixel / WHOLE_BYTES))
        self._check_parts(rows * columns * planes, self.counted * WHOLE_BYTES)

    @property
    def part(self) -> tuple[int, int]:
        """Height and width of the tiles or strips in which its pixels are stored."""
        page = self.page
        high, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        if not all(isinstance(side, int) and side > 0 for side in (high, wide)) or page.tiledepth > 1:
            raise ValueError("its header gives its parts no size")
        return high, wide

    def _check_parts(self, count: int, most: int) -> None:
        """Raise ValueError unless there are so many parts, all of them in the file, with `most` bytes when decoded."""
        offsets, lengths = self.page.dataoffsets, self.page.databytecounts
        if not len(offsets) == len(lengths) == count:
            raise ValueError(f"it has {len(offsets)} parts, and its header says {count}")
        if min(offsets) <= 0 or min(lengths) <= 0:
            raise ValueError("a part of its pixels is missing")
        size = self.file.seek(0, io.SEEK_END)
        if max(map(sum, zip(offsets, lengths, strict=True))) > size:
            raise ValueError("the file is cut short")
        if sum(lengths) > size + most:
            raise ValueError("its parts overlap")

    @property
    def header(self) -> Header:
        """What it holds; without the stamp of its file."""
        height, width = reversed(self.sides) if self.orientation in SIDEWAYS else self.sides
        return Header(height, width, 3 if self.page.samplesperpixel >= 3 else 1, self.dtype)

    @property
    def orientation(self) -> int:
        """How it is turned, 1 to 8."""
        tag = self.page.tags.get(ORIENTATION)
        return tag.value if tag is not None and isinstance(tag.value, int) else 1

    def check_whole(self) -> None:
        """Do nothing: that every part lies in the file was seen when it was opened."""

    def decode(self) -> np.ndarray:
        """The pixels `h w c`, upright."""
        import tifffile

        if self.page.compression == JPEG:
            self._check_jpegs()
        array = self.page.asarray()
        if self.page.axes == "SYX":
            array = rearrange(array, "c h w -> h w c")
        if self.page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in "bu":
            array = ~array
        if array.dtype == bool:
            array = array * np.uint8(255)
        return _upright(_channels_last(array), self.orientation)

    def _check_jpegs(self) -> None:
        """Raise ValueError where a part, which has a header of its own, says that it is larger than a part is."""
        high, wide = self.part
        for offset, length in zip(self.page.dataoffsets, self.page.databytecounts, strict=True):
            self.file.seek(offset)
            width, height = JpegImageFile(io.BytesIO(self.file.read(length))).size
            if height > high or width > wide:
                raise ValueError(f"a part of {high}x{wide} pixels says that it has {height}x{width}")


ImageFile: TypeAlias = Picture | Tiff


def open_image(path: Path, file: BinaryIO) -> ImageFile:
    """The image in a file, of which nothing is decoded. Raises ImageError, ValueError and all that decoders raise."""
    head = file.read(8)
    file.seek(0)
    if not head:
        raise ValueError("the file is empty")
    if head[:4] in _TIFF:
        return Tiff(path, file)
    for start, factory in _PILLOW.items():
        if head.startswith(start):
            return Picture(path, file, factory)
    raise no_image(path)


def no_image(path: Path) -> ImageError:
    """The error for a file that is no image of a kind that can be read."""
    if path.suffix.lower() in VIDEOS:
        hint = f"make images of its frames: `ffmpeg -i {path} frames/%06d.png`"
        return ImageError(f"{path}: not a readable image: videos are not read", hint=hint)
    message = f"{path}: not a readable image: its content is neither PNG nor TIFF, JPEG or BMP"
    return ImageError(message, hint="replace the file or take it out")


def pixels_of(image: Image.Image) -> np.ndarray:
    """The pixels `h w c` of a picture in one of MODES, 1 or 3 channels; an alpha channel is dropped."""
    if image.mode == "I;16":
        return np.array(image)[..., None]
    wanted = "L" if image.mode in GREY else "RGB"
    return _channels_last(np.array(image if image.mode == wanted else image.convert(wanted)))


def _only_page(path: Path, file: "TiffFile") -> "TiffPage":
    """The image of a TIFF. Raises ImageError where it has several, or pixels that are neither grey nor RGB."""
    from tifffile import PHOTOMETRIC, TiffPage

    count = next((at for at in range(MANY) if not _has_page(file, at)), MANY)  # its own count may never end
    if not count:
        raise ValueError("it holds no image")
    page = file.pages[0]
    if count > 1 or not isinstance(page, TiffPage):
        raise _several(path, str(count) if count < MANY else f"{MANY} or more")
    known = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    usual = page.photometric != YCBCR or page.compression == JPEG  # whose decoder makes RGB of it
    form = page.samplesperpixel in (1, 2, 3, 4) and page.axes in ("YX", "YXS", "SYX")
    number = page.dtype is not None and np.dtype(page.dtype).kind in "buif" and isinstance(page.bitspersample, int)
    if page.photometric not in known or not (usual and form and number):
        raise ImageError(f"{path}: cannot use this kind of TIFF pixels", hint="save it as grey or RGB")
    if page.compression not in COMPRESSIONS or page.jpegheader is not None:
        name = getattr(page.compression, "name", page.compression)
        hint = "save it with deflate, LZW, Zstandard or JPEG, or uncompressed"
        raise ImageError(f"{path}: cannot use the compression {name} of TIFF", hint=hint)
    return page


def _has_page(file: "TiffFile", at: int) -> bool:
    try:
        file.pages[at]
    except IndexError:
        return False
    return True


def _several(path: Path, count: str) -> ImageError:
    return ImageError(f"{path}: holds {count} images", hint="save each as a file of its own")


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
