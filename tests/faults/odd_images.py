"""Image files of every odd kind, as a strategy: what libraries can write, bombs made by hand, and what damage makes."""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".PNG", ".TIF")
SIDES = st.sampled_from([1, 2, 3, 12, 15, 16, 17, 33])
MODES = (
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
    "La",
    "RGBa",
)
FORMATS = (
    *("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "TGA", "ICO", "PCX", "SGI", "DIB", "IM", "MSP", "XBM"),
    *("PDF", "EPS", "JPEG2000", "AVIF", "SPIDER", "DDS", "ICNS", "MPO", "PALM", "BLP", "QOI"),
)
TYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
COMPRESSIONS = (
    "none",
    "lzw",
    "deflate",
    "packbits",
    "jpeg",
    "zstd",
    "lzma",
    "webp",
    "png",
    "jpeg2000",
    "lerc",
    "jpegxl",
)
WIDE = 12_000  # the side of a bomb


def _pixels(height: int, width: int, channels: int, kind: str, odd: str = "") -> np.ndarray:
    """Values of a type, reaching its ends; some of them not finite."""
    random = np.random.default_rng(height * width)
    values = random.random((height, width, channels))
    if kind.startswith(("uint", "int")):
        top = np.iinfo(kind).max
        values = (values * float(top)).clip(0, float(top) * 0.999).astype(kind)
    else:
        values = values.astype(kind)
        if odd and kind.startswith("float"):
            values.flat[0] = float(odd)
    return values[..., 0] if channels == 1 else values


@st.composite
def _pillow(draw: st.DrawFn) -> bytes:
    """What Pillow writes: any of its formats and modes, several frames, EXIF, text, transparency, progressive."""
    size, mode = (draw(SIDES), draw(SIDES)), draw(st.sampled_from(MODES))
    image = Image.new(mode, size) if mode in ("La", "RGBa", "PA", "I;16") else _noise(size).convert(mode)
    options: dict[str, Any] = {}
    exif = Image.Exif()
    exif[0x0112] = draw(st.sampled_from([0, 1, 3, 6, 8, 9, 77]))
    more = {
        "exif": exif,
        "progressive": True,
        "interlace": True,
        "transparency": 3,
        "save_all": True,
        "append_images": [Image.new("L", (5, 4))] * 2,
        "compression": draw(st.sampled_from(["tiff_lzw", "group4", "jpeg", "tiff_deflate", "packbits"])),
        "bits": 4,
        "icc_profile": b"nonsense",
        "dpi": (0, 0),
        "comment": b"\xff" * 300,
        "lossless": True,
    }
    for name in draw(st.lists(st.sampled_from(sorted(more)), max_size=3)):
        options[name] = more[name]
    return _saved(image, draw(st.sampled_from(FORMATS[:6]) | st.sampled_from(FORMATS)), options)


def _noise(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(_pixels(size[1], size[0], 3, "uint8"))


def _saved(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    """The file; one without options, or of another mode, where the format cannot hold it."""
    for attempt in (image, image.convert("RGB") if image.mode not in ("La", "RGBa", "PA", "I;16") else None):
        for chosen in (options, {}):
            file = io.BytesIO()
            try:
                (attempt or Image.new("L", image.size)).save(file, kind, **chosen)
            except Exception:  # whatever it raises: it cannot be written so
                continue
            return file.getvalue()
    return b"no such format"


@st.composite
def _tiff(draw: st.DrawFn) -> bytes:
    """What tifffile writes: any type, axes, compression, tiles, pages, byte order and orientation."""
    kind, channels = draw(st.sampled_from(TYPES)), draw(st.sampled_from([1, 2, 3, 4, 5, 7]))
    pixels = _pixels(
        draw(SIDES), draw(SIDES), channels, kind, draw(st.sampled_from(["", "nan", "inf", "-inf", "1e300"]))
    )
    options: dict[str, Any] = {
        "photometric": draw(st.sampled_from(["minisblack", "miniswhite", "rgb", "cielab", "separated", "ycbcr"])),
        "compression": draw(st.sampled_from(COMPRESSIONS)),
        "byteorder": draw(st.sampled_from("<>")),
        "bigtiff": draw(st.booleans()),
    }
    more = {
        "tile": (16, 16),
        "planarconfig": "separate",
        "predictor": True,
        "rowsperstrip": 1,
        "subifds": 1,
        "extrasamples": ["unassalpha"],
        "extratags": [(274, "H", 1, draw(st.sampled_from([0, 3, 6, 9, 500])), True)],
        "description": "\x1b[2J\x07 text",
        "resolution": (0, 0),
    }
    chosen = {name: more[name] for name in draw(st.lists(st.sampled_from(sorted(more)), max_size=2, unique=True))}
    for given in (options | chosen, options, {}):
        file = io.BytesIO()
        try:
            with tifffile.TiffWriter(
                file, bigtiff=given.get("bigtiff", False), byteorder=given.get("byteorder", "<")
            ) as writer:
                for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
                    writer.write(pixels, **{k: v for k, v in given.items() if k not in ("bigtiff", "byteorder")})
        except Exception:
            continue
        return file.getvalue()
    return b"II*\0"


@st.composite
def _png(draw: st.DrawFn) -> bytes:
    """PNG by hand: any depth and colour type, right or wrong, of any declared size."""
    depth, colour = draw(st.sampled_from([1, 2, 4, 8, 16, 3])), draw(st.sampled_from([0, 2, 3, 4, 6, 5]))
    sides = SIDES | st.sampled_from([0, WIDE, 2**31 - 1, 2**32 - 1])
    header = struct.pack(">IIBBBBB", draw(sides), draw(sides), depth, colour, 0, 0, draw(st.sampled_from([0, 1, 2])))
    row = bytes(17 * 8)
    extra = draw(st.sampled_from([b"", _chunk(b"tRNS", b"\0\3"), _chunk(b"PLTE", bytes(9)), _chunk(b"acTL", bytes(8))]))
    text = draw(st.sampled_from([b"", _long_text(), _chunk(b"eXIf", b"MM\0*")]))
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    return head + extra + text + _chunk(b"IDAT", zlib.compress(row * 17)) + _chunk(b"IEND", b"")


@functools.cache
def _long_text() -> bytes:
    return _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# ---------------------------------------------------------------------- bombs


@functools.cache
def _png_bomb(depth: int, colour: int) -> bytes:
    """A right PNG of WIDE times WIDE black pixels."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    size = 1 + WIDE * channels * depth // 8
    packer = zlib.compressobj(9, wbits=-15)
    row = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = b"\x78\xda" + row * WIDE + b"\3\0" + struct.pack(">HH", WIDE * size % 65521, 1)  # the sum of zeros
    header = struct.pack(">IIBBBBB", WIDE, WIDE, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")


@functools.cache
def _tiff_bomb(kind: str, compression: str, side: int) -> bytes:
    """A small TIFF whose header is changed to that of a large one, which one strip of zeros fills as far as it goes."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((16, 16), kind), compression=compression, photometric="minisblack", metadata=None)
    content = bytearray(file.getvalue())
    for tag in (256, 257, 278):  # width, length, rows in a strip
        at = content.find(struct.pack("<HHI", tag, 3, 1))
        at = at if at >= 0 else content.find(struct.pack("<HHI", tag, 4, 1))
        if at >= 0:
            content[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    return bytes(content)


@functools.cache
def _true_tiff_bomb() -> bytes:
    """A right TIFF of 10,000 times 10,000 pixels in a hundred kB."""
    file = io.BytesIO()
    strip = zlib.compress(bytes(10_000 * 10_000), 1)
    tags = [
        *((256, 4, 10_000), (257, 4, 10_000), (258, 3, 8), (259, 3, 8), (262, 3, 1)),
        *((273, 4, 122), (277, 3, 1), (278, 4, 10_000), (279, 4, len(strip))),
    ]
    file.write(b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)))
    for tag, kind, value in tags:
        file.write(struct.pack("<HHII", tag, kind, 1, value))
    file.write(bytes(4))
    assert file.tell() == 122, file.tell()
    return file.getvalue() + strip


@functools.cache
def _jpeg_bomb(side: int) -> bytes:
    """A JPEG whose frame header declares another size."""
    content = bytearray(_saved(_noise((16, 16)), "JPEG", {}))
    at = content.find(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(content)


@functools.cache
def _bmp_bomb(width: int, height: int, packed: bool) -> bytes:
    """A BMP of a declared size, perhaps run-length encoded, with few pixels."""
    head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 200, 0, 0, 54, 40, width, height, 1, 8, packed, 0, 0, 0, 0, 0)
    return head + bytes(1024) + b"\xff\0" * 50 + b"\0\1"


def bombs() -> st.SearchStrategy[bytes]:
    """Small files whose pixels would take gigabytes."""
    return st.one_of(
        st.sampled_from([(8, 0), (16, 0), (16, 2), (16, 6), (8, 2)]).map(lambda each: _png_bomb(*each)),
        st.builds(
            _tiff_bomb,
            st.sampled_from(["uint8", "uint16", "float32", "float64"]),
            st.sampled_from(["none", "deflate", "lzw", "packbits", "zstd"]),
            st.sampled_from([20_000, 65_535, 2**31 - 1, 2**32 - 1]),
        ),
        st.builds(_true_tiff_bomb),
        st.sampled_from([12_000, 40_000, 65_535]).map(_jpeg_bomb),
        st.builds(
            _bmp_bomb,
            st.sampled_from([40_000, 2**31 - 1, -5, 0]),
            st.sampled_from([40_000, -40_000, 0, 2**31 - 1]),
            st.booleans(),
        ),
    )


# ---------------------------------------------------------------------- damage


def _codecs() -> st.SearchStrategy[bytes]:
    """What imagecodecs writes: 16-bit PNG and others."""

    def encoded(how: Callable[..., bytes], channels: int, kind: str) -> bytes:
        try:
            return bytes(how(_pixels(16, 16, channels, kind)))
        except Exception:
            return b"\x89PNG\r\n\x1a\n"

    hows = [
        getattr(imagecodecs, name)
        for name in ("png_encode", "jpeg8_encode", "webp_encode", "jpegxl_encode", "bmp_encode")
    ]
    return st.builds(
        encoded, st.sampled_from(hows), st.sampled_from([1, 2, 3, 4]), st.sampled_from(["uint8", "uint16"])
    )


def _texts() -> st.SearchStrategy[bytes]:
    """What is no image at all."""
    return st.sampled_from(
        [
            *(b"", b"\0", b"text", b"\x89PNG", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"BM"),
            *(
                b"\xff\xd8\xff",
                b"\xff\xd8\xff\xe0\xff\xd9",
                b"GIF89a",
                b"RIFF....WEBP",
                b"%PDF-1.4",
                b"PK\3\4" + bytes(50),
            ),
            *(b"\0\0\0 ftypisom", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"8BPS" + bytes(30), bytes(100_000)),
            *(b"P6 16 16 255 " + bytes(768), b"\xff" * 5000, b"\x1b[2J\x1b]0;title\x07"),
        ]
    )


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file cut off, changed at some bytes, lengthened, or with a piece doubled, taken out or zeroed."""
    kind = draw(st.sampled_from(["nothing", "cut", "bytes", "bytes", "more", "double", "out", "zero", "numbers"]))
    if not content or kind == "nothing":
        return content
    at = draw(st.integers(0, min(len(content), 200) - 1) | st.integers(0, len(content) - 1))
    size = draw(st.integers(1, 40))
    found = bytearray(content)
    match kind:
        case "cut":
            return content[:at]
        case "bytes":
            for place in draw(
                st.lists(st.integers(0, min(len(content), 400) - 1) | st.just(at), min_size=1, max_size=4)
            ):
                found[place] = draw(st.sampled_from([0, 1, 2, 3, 127, 128, 254, 255]) | st.integers(0, 255))
        case "more":
            found += bytes(size) + content
        case "double":
            found[at:at] = content[at : at + size]
        case "out":
            del found[at : at + size]
        case "zero":
            found[at : at + size] = bytes(len(found[at : at + size]))
        case "numbers":
            value = draw(st.sampled_from([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
            found[at : at + 4] = struct.pack(draw(st.sampled_from(["<I", ">I"])), value)
    return bytes(found)


class Content(bytes):
    """The content of a file, of which not all is printed."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def odd_images() -> st.SearchStrategy[bytes]:
    """The content of an odd image file."""
    made = st.one_of(_pillow(), _pillow(), _tiff(), _tiff(), _png(), _codecs(), _texts())
    return st.one_of(made, made.flatmap(damaged), made.flatmap(damaged), bombs()).map(Content)
