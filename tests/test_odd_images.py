"""Odd images: whatever bytes a file holds, it is read right or refused by name, before it takes time or memory."""

import errno
import os
import resource
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commandline
import imagecodecs
import numpy as np
import pytest
import tifffile
import tiny
import torch
from PIL import Image

from crossband.graphs import build, check
from crossband.graphs.plans.memory import least_memory, memory_at_hand
from crossband.recipes import load, save_weights, train
from crossband.recipes.data import read_image, write_image
from crossband.recipes.data.images import ChangedImage, ImageError, at_most, read_header
from crossband.recipes.data.pairs import pairs
from crossband.recipes.kinds.source import DataError
from crossband.recipes.model.jobs import TranslationError
from crossband.recipes.model.memory import TooLarge
from crossband.recipes.model.model import Model
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.tiles import tiling_of
from crossband.recipes.training.runs import begin, prepare
from crossband.registry import CrossbandError

GREY = np.arange(0, 240, 5).astype(np.uint8).reshape(6, 8)
COLOUR = np.dstack([GREY, GREY + 3, 255 - GREY])
LARGE = 400  # MB that no file of a few bytes may take


# ---------------------------------------------------------------------- files made by hand


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8, colour: int = 2, *, extra: bytes = b"", pixels: bytes = b"") -> bytes:
    """A PNG whose header says what it likes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def bmp(width: int, height: int, *, bits: int = 24, kind: int = 0, pixels: bytes = b"") -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, kind, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + head + pixels


def jpeg(width: int, height: int) -> bytes:
    data = bytearray(imagecodecs.jpeg_encode(np.zeros((16, 16), np.uint8)))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


Tag = tuple[int, int, int] | None  # its type, how many values it has, and the value or where it stands
SHORT, LONG, TEXT, SIGNED, FLOAT = 3, 4, 2, 9, 11
TILES: dict[int, Tag] = {278: None, 273: None, 279: None, 324: (LONG, 1, 200), 325: (LONG, 1, 48)}


def tiff(
    changed: dict[int, Tag] | None = None, *, width: int = 8, height: int = 6, pixels: bytes = GREY.tobytes()
) -> bytes:
    """A grey TIFF of 8 bits whose pixels stand at byte 200, with some of its tags changed."""
    tags: dict[int, Tag] = {256: (LONG, 1, width), 257: (LONG, 1, height), 258: (SHORT, 1, 8), 259: (SHORT, 1, 1)}
    tags |= {262: (SHORT, 1, 1), 273: (LONG, 1, 200), 277: (SHORT, 1, 1), 278: (LONG, 1, height)}
    tags |= {279: (LONG, 1, len(pixels))} | (changed or {})
    return b"II*\0" + struct.pack("<I", 8) + ifd(tags).ljust(192, b"\0") + pixels


def ifd(tags: dict[int, Tag], following: int = 0) -> bytes:
    kept = {code: tag for code, tag in sorted(tags.items()) if tag}
    values = b"".join(struct.pack("<HHII", code, kind, count, value) for code, (kind, count, value) in kept.items())
    return struct.pack("<H", len(kept)) + values + struct.pack("<I", following)


def pages(count: int, *, loop: bool) -> bytes:
    """A TIFF of many pages, the last of which may lead to the first."""
    plain: dict[int, Tag] = {256: (LONG, 1, 2), 257: (LONG, 1, 2), 258: (SHORT, 1, 8), 262: (SHORT, 1, 1)}
    plain |= {273: (LONG, 1, 8), 277: (SHORT, 1, 1), 278: (LONG, 1, 2), 279: (LONG, 1, 4)}
    size = len(ifd(plain))
    following = [8 + at * size for at in range(1, count)] + [8 if loop else 0]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(ifd(plain, after) for after in following) + bytes(100)


def overlapping() -> bytes:
    """Strips of one row each, which are all the same megabyte of the file."""
    rows = 20_000
    tags: dict[int, Tag] = {256: (LONG, 1, 100), 257: (LONG, 1, rows), 258: (SHORT, 1, 8), 259: (SHORT, 1, 8)}
    tags |= {262: (SHORT, 1, 1), 273: (LONG, rows, 200), 277: (SHORT, 1, 1), 278: (LONG, 1, 1)}
    tags |= {279: (LONG, rows, 200 + 4 * rows)}
    body = struct.pack("<I", 200) * rows + struct.pack("<I", 150_000) * rows
    return b"II*\0" + struct.pack("<I", 8) + ifd(tags).ljust(192, b"\0") + body


def saved(array: np.ndarray, **options: Any) -> Callable[[Path], object]:
    return lambda path: tifffile.imwrite(path, array, **options)


def pillow(mode: str, **options: Any) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(COLOUR).convert(mode).save(path, **options)


def bound(path: Path) -> None:
    """Leave a socket, by a short name: its address holds a hundred letters."""
    here = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)
    os.chdir(here)


BOMB = zlib.compress(bytes(100_000_000), 9)
COUNT = "count as "  # more pixels than are read
NO_SIZE, PIXELS = "its header gives it", "cannot use this kind of TIFF pixels"
REFUSED: dict[str, tuple[bytes | Callable[[Path], object], str]] = {
    # headers that ask for more than is allowed
    "bomb.tif": (
        saved(np.zeros((9000, 9000), np.uint8), compression="zlib", rowsperstrip=9000),
        "9000x9000 pixels count",
    ),
    "deep.png": (png(12_000, 12_000, 16, 0), "12000x12000 pixels count as 144,000,000, and at most 67,108,864"),
    "lie.png": (png(30_000, 30_000), COUNT),
    "most.png": (png(2**31 - 1, 2**31 - 1), COUNT),
    "twice.png": (png(1, 1, extra=chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))), COUNT),
    "wide.bmp": (bmp(100_000, -100_000), COUNT),
    "least.bmp": (bmp(100, -(2**31)), COUNT),
    "back.bmp": (bmp(-4, 4), COUNT),
    "most.jpg": (jpeg(65_500, 65_500), COUNT),
    "tiles.tif": (tiff(TILES | {322: (LONG, 1, 2**30), 323: (LONG, 1, 2**30)}), COUNT),
    "tile.tif": (tiff(TILES | {322: (LONG, 1, 2**16), 323: (LONG, 1, 2**16)}), COUNT),
    # headers that lie otherwise
    "cut.bmp": (bmp(8000, 8000), "not a readable image: "),
    "run.bmp": (bmp(8000, 8000, bits=8, kind=1, pixels=b"\xff\x01" * 50), "not a readable image: "),
    "cut.png": (png(8000, 8000), "not a readable image: "),
    "none.png": (png(0, 5), "not a readable image: "),
    "text.png": (png(2, 2, extra=chunk(b"zTXt", b"a\0\0" + BOMB)), "Decompressed data too large"),
    "colours.png": (png(2, 2, extra=chunk(b"iCCP", b"a\0\0" + BOMB)), "Decompressed data too large"),
    "first.png": (png(30_000, 30_000, 16, extra=chunk(b"IHDR", bytes([0, 0, 0, 1] * 2 + [16, 2, 0, 0, 0]))), ""),
    "no_tiles.tif": (tiff(TILES | {322: (LONG, 1, 0), 323: (LONG, 1, 0)}), "its header gives its parts no size"),
    "deep_tiles.tif": (tiff(TILES | {322: (LONG, 1, 16), 323: (LONG, 1, 16), 32998: (LONG, 1, 2**20)}), "no size"),
    "before.tif": (tiff({273: (SIGNED, 1, 2**32 - 200)}), "a part of its pixels is missing"),
    "less.tif": (tiff({279: (SIGNED, 1, 2**32 - 16)}), "a part of its pixels is missing"),
    "nothing.tif": (tiff({279: (LONG, 1, 0)}), "a part of its pixels is missing"),
    "behind.tif": (tiff({273: (LONG, 1, 10**9)}), "the file is cut short"),
    "parts.tif": (tiff({278: (LONG, 1, 1)}), "it has 1 parts, and its header says 6"),
    "overlap.tif": (overlapping(), "its parts overlap"),
    "high.tif": (tiff({257: (SIGNED, 1, 2**32 - 4)}), NO_SIZE),
    "flat.tif": (tiff({257: (LONG, 1, 0)}), NO_SIZE),
    "half.tif": (tiff({256: (FLOAT, 1, 0x41000000)}), NO_SIZE),
    "words.tif": (tiff({256: (TEXT, 4, 0x00636261)}), NO_SIZE),
    "absent.tif": (tiff({256: None}), NO_SIZE),
    "no_parts.tif": (tiff({273: None}), "it has 0 parts"),
    "many.tif": (tiff({277: (SHORT, 1, 65_535)}), PIXELS),
    "bits.tif": (tiff({258: (SHORT, 1, 65_535)}), PIXELS),
    "volume.tif": (tiff({32997: (LONG, 1, 100_000)}), PIXELS),
    "ink.tif": (pillow("CMYK"), PIXELS),
    "lab.tif": (pillow("LAB"), PIXELS),
    "palette.tif": (pillow("P"), PIXELS),
    "luma.tif": (tiff({262: (SHORT, 1, 6), 277: (SHORT, 1, 3)}), PIXELS),
    "complex.tif": (saved(np.ones((4, 4), np.complex64)), PIXELS),
    "wavelets.tif": (tiff({259: (SHORT, 1, 34712)}), "cannot use the compression JPEG2000 of TIFF"),
    "unknown.tif": (tiff({259: (SHORT, 1, 9999)}), "cannot use the compression 9999 of TIFF"),
    "loop.tif": (pages(1, loop=True), "holds 100 or more images"),
    "long_loop.tif": (pages(150, loop=True), "holds 100 or more images"),
    "book.tif": (pages(5000, loop=False), "holds 100 or more images"),
    "three.tif": (saved(np.zeros((3, 6, 8), np.uint8), photometric="minisblack"), "holds 3 images"),
    "tags.tif": (b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) + bytes(500), "not a readable image: "),
    "head.tif": (b"II*\0\x08\0\0\0", "not a readable image: it holds no image"),
    "ring.tif": (b"MM\0*\0\0\0\0" + bytes(50), "not a readable image: it holds no image"),
    "moving.png": (
        lambda path: Image.fromarray(COLOUR).save(path, save_all=True, append_images=[Image.fromarray(255 - COLOUR)]),
        "holds 2 images",
    ),
    "ink.jpg": (pillow("CMYK"), "cannot use CMYK pixels"),
    # no images
    "empty.png": (b"", "not a readable image: the file is empty"),
    "empty.tif": (b"", "not a readable image: the file is empty"),
    "words.png": (b"no image " * 90, "its content is neither PNG nor TIFF, JPEG or BMP"),
    "moving.tif": (b"GIF89a" + bytes(90), "its content is neither PNG nor TIFF, JPEG or BMP"),
    "folder.png": (lambda path: path.mkdir(), "a folder, and not a file"),
    "pipe.png": (os.mkfifo, "not a regular file"),
    "broken.png": (lambda path: path.symlink_to("nothing.png"), "no such file"),
    "itself.png": (lambda path: path.symlink_to(path.name), "they lead in a circle"),
    "socket.png": (bound, "not a regular file"),
}


def put(path: Path, content: bytes | Callable[[Path], object]) -> Path:
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_an_image_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    content, words = REFUSED[name]
    path = put(tmp_path / name, content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value).startswith(f"{path}: ")
    assert words in error.value.message
    assert "\nhint: " in str(error.value)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < LARGE


def test_the_parts_of_a_tiff_are_held_to_its_header(tmp_path: Path) -> None:
    whole, lie = jpeg(16, 16), jpeg(65_500, 65_500)
    for name, data in (("whole.tif", whole), ("lie.tif", lie)):
        (tmp_path / name).write_bytes(tiff({259: (SHORT, 1, 7)}, width=16, height=16, pixels=data))
    assert read_image(tmp_path / "whole.tif").shape == (16, 16, 1)
    with pytest.raises(ImageError, match="a part of 16x16 pixels says that it has 65500x65500"):
        read_image(tmp_path / "lie.tif")


READ: dict[str, tuple[bytes | Callable[[Path], object], np.ndarray]] = {
    "upside.bmp": (bmp(8, -6, pixels=COLOUR[..., ::-1].tobytes()), COLOUR),
    "named.png": (saved(GREY), GREY),
    "named.tif": (pillow("L", format="PNG"), np.asarray(Image.fromarray(COLOUR).convert("L"))),
    "UPPER.PNG": (pillow("RGB"), COLOUR),
    "one.png": (png(1, 1, pixels=b"\0\1\2\3"), np.array([[[1, 2, 3]]], np.uint8)),
    "row.tif": (tiff(height=1, pixels=GREY[0].tobytes()), GREY[:1]),
    "alpha.png": (pillow("RGBA"), COLOUR),
    "alpha.tif": (pillow("RGBA"), COLOUR),
    "planes.tif": (saved(COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), COLOUR),
    "zip.tif": (saved(COLOUR, photometric="rgb", compression="zlib", predictor=True), COLOUR),
    "tiles.tif": (saved(GREY, tile=(16, 16), compression="lzw"), GREY),
    "signed.tif": (saved(GREY.astype(np.int32) - 9), GREY.astype(np.int32) - 9),
    "long.tif": (saved(GREY.astype(np.uint64)), GREY.astype(np.uint64)),
    "half.tif": (saved(GREY.astype(np.float16)), GREY.astype(np.float16)),
    "turned.tif": (tiff({274: (SHORT, 1, 99)}), GREY),  # an orientation that there is not
    "turned_by_words.tif": (tiff({274: (TEXT, 4, 0x00636261)}), GREY),
    "noted.png": (
        png(1, 1, extra=chunk(b"teXt", bytes(3_000_000)), pixels=b"\0\1\2\3"),
        np.array([[[1, 2, 3]]], np.uint8),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_an_odd_but_clear_file_is_read(tmp_path: Path, name: str) -> None:
    content, expected = READ[name]
    path = put(tmp_path / name, content)
    expected = expected[..., None] if expected.ndim == 2 else expected
    np.testing.assert_array_equal(read_image(path), expected, strict=True)
    header = read_header(path)
    assert (header.height, header.width, header.channels, header.dtype) == (*expected.shape, expected.dtype)


KINDS: dict[str, Callable[[Path], object]] = {
    "a.png": pillow("RGB"),
    "b.png": pillow("P"),
    "c.png": lambda path: write_image(path, GREY.astype(np.uint16), 16),
    "a.jpg": pillow("L"),
    "a.bmp": pillow("RGB"),
    "a.tif": saved(GREY, compression="zlib"),
    "b.tif": saved(COLOUR.astype(np.float32), photometric="rgb"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("flipped", [False, True], ids=["cut", "flipped"])
def test_a_file_cut_or_changed_at_every_byte_is_read_or_refused(tmp_path: Path, name: str, flipped: bool) -> None:
    whole = put(tmp_path / name, KINDS[name]).read_bytes()
    path = tmp_path / f"odd{Path(name).suffix}"
    for at in range(0, len(whole), 1 + len(whole) // 100):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] if flipped else whole[:at])
        for read in (read_header, read_image):
            try:
                read(path)
            except ImageError as error:
                assert error.message.startswith(f"{path}: ")  # noqa: PT017  it may as well be read


# ---------------------------------------------------------------------- the limit


def test_the_limit_is_set_for_what_is_called_and_its_cure_works(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", pillow("RGB"))
    with at_most(47), pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value) == (
        f"{path}: 6x8 pixels count as 48, and at most 47 are read\n"
        "hint: `--max-pixels 48` reads it, from Python `max_pixels=48`; or make the image smaller"
    )
    with at_most(47), at_most(48):
        assert read_image(path).shape == (6, 8, 3)
    with at_most(None):
        assert read_image(path).shape == (6, 8, 3)
    for wrong in (0, -1, True, 2.5, "9"):
        with pytest.raises(ImageError, match="`max_pixels` is a positive whole number"), at_most(wrong):  # type: ignore[arg-type]
            pass


def test_a_pixel_of_many_bytes_counts_as_several(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tif", saved(COLOUR.astype(np.float64), photometric="rgb"))
    with at_most(3 * 48 - 1), pytest.raises(ImageError, match="6x8 pixels count as 144"):
        read_header(path)


def test_a_file_of_far_more_bytes_than_its_pixels_can_have_is_not_read(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", pillow("RGB"))
    with path.open("ab") as file:
        file.truncate(2**26 + 8 * 48 + 9)  # with a hole, which takes no room on the disk
    with at_most(48), pytest.raises(ImageError, match=r"67,109,257 bytes count as 50, and at most 48 are read"):
        read_header(path)


# ---------------------------------------------------------------------- the commands


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a network that makes grey of colour, in a folder of graphs and recipes."""
    folder = tiny.write_files(tmp_path_factory.mktemp("weights"))
    save_weights(folder / "plain.safetensors", build(str(folder / "plain.yaml")), {})
    return folder / "plain.safetensors"


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load(weights)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of ten pairs, with room for odd ones."""
    for at in range(10):
        for band, pixels in (("visible", COLOUR), ("infrared", GREY)):
            (tmp_path / "images" / band).mkdir(parents=True, exist_ok=True)
            write_image(
                tmp_path / "images" / band / f"{at}.png",
                np.kron(pixels + at, np.ones((3, 3, 1)[: pixels.ndim], np.uint8)),
            )
    return tmp_path / "images"


ODD = [
    "deep.png",
    "bomb.tif",
    "long_loop.tif",
    "most.jpg",
    "back.bmp",
    "empty.png",
    "pipe.png",
    "itself.png",
    "ink.jpg",
]


def test_every_command_refuses_odd_files_by_their_names(tmp_path: Path, weights: Path, images: Path) -> None:
    for name in ODD:
        for band in ("visible", "infrared"):
            put(images / band / name, REFUSED[name][0])
    recipe = weights.parent / "paired.yaml"
    source = ["--set", f"data.source={{pairs: {{folder: {images}}}}}"]
    for arguments in (
        ["translate", weights, images / "visible", tmp_path / "out"],
        ["train", recipe, *source, "--run", tmp_path / "run"],
        ["check", recipe, *source],
    ):
        result = commandline.run(*arguments)
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.output
        assert "fault of crossband" not in result.output
        named = [name for name in ODD if result.output.count(f"visible/{name}: ") == 1]
        assert len(named) == len(ODD) or f"and {len(ODD) - len(named)} more" in result.output, result.output
        assert "`--max-pixels 144000000` reads it" in result.output
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "run").exists()


def test_commands_take_the_limit(tmp_path: Path, weights: Path, images: Path) -> None:
    recipe, source = weights.parent / "paired.yaml", images / "visible" / "0.png"
    for limit, code in (("431", 1), ("432", 0)):
        options = ["--max-pixels", limit]
        assert commandline.run("translate", weights, source, tmp_path / "a.png", *options).exit_code == code
        data = ["--data", images, "--max-pixels", limit]
        assert commandline.run("check", recipe, *data).exit_code == code
        assert commandline.run("train", recipe, *data, "--set", "steps=1", "--run", tmp_path / "run").exit_code == code
    assert commandline.run("evaluate", tmp_path / "run", "--max-pixels", "431").exit_code == 1
    assert commandline.run("evaluate", tmp_path / "run", "--max-pixels", "432").exit_code == 0
    with pytest.raises(TranslationError, match="at most 9 are read"):
        load(weights).translate(source, tmp_path / "b.png", max_pixels=9)
    with pytest.raises(DataError, match="at most 9 are read"):
        load(tmp_path / "run").evaluate(max_pixels=9)
    with pytest.raises(DataError, match="at most 9 are read"):
        train(recipe, images, max_pixels=9)


NAMES = ["a\nb", "\x1b[31mred", "a b\t", "ünïcode", "-rf", "*", "'\"", "n" * 251]


def test_names_of_every_kind_are_kept(tmp_path: Path, weights: Path, images: Path) -> None:
    names = [*NAMES, os.fsdecode(b"\xff\xfe")]
    for name in names:
        os.link(images / "visible" / "0.png", images / "visible" / f"{name}.png")
    done = load(weights).translate(images / "visible", tmp_path / "out", silent=True)
    assert {file.stem for file in done.files} == {*names, *map(str, range(10))}
    for name in NAMES:
        os.link(images / "infrared" / "0.png", images / "infrared" / f"{name}.png")
    with pytest.raises(DataError, match="the name is no UTF-8 text"):
        pairs(folder=str(images))
    os.unlink(images / "visible" / f"{names[-1]}.png")
    assert {*NAMES} <= {*pairs(folder=str(images)).splits["train"], *pairs(folder=str(images)).splits["test"]}


def test_links_in_a_circle_are_no_way_into_a_folder(tmp_path: Path, weights: Path, images: Path) -> None:
    (images / "visible" / "circle").symlink_to("circle")
    (images / "visible" / "folder.png").mkdir()
    assert len(load(weights).translate(images / "visible", tmp_path / "out", silent=True).files) == 10
    (images / "visible" / "again").symlink_to(images / "visible", target_is_directory=True)
    (tmp_path / "loop").symlink_to("loop")
    for path in (images / "visible", tmp_path / "loop"):
        result = commandline.run("translate", weights, path, tmp_path / "b")
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        assert "they lead in a circle" in result.output


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, weights: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, scandir = images / "visible" / "closed", os.scandir
    closed.mkdir()

    def refuse(path: str) -> Any:  # as the system does, but to root
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for call in (
        lambda: pairs(folder=str(images)),
        lambda: load(weights).translate(images / "visible", tmp_path / "out"),
    ):
        with pytest.raises(CrossbandError, match=f"{closed}: permission denied"):
            call()


# ---------------------------------------------------------------------- arrays

REFUSED_ARRAYS: dict[str, Any] = {
    "text": np.array([["a", "b"]]),
    "objects": np.array([[None, 1]], dtype=object),
    "complex": np.ones((4, 4), np.complex64),
    "signed": np.ones((4, 4), np.int32),
    "large": np.ones((4, 4), np.uint64),
    "dates": np.zeros((4, 4), "datetime64[s]"),
    "structured": np.zeros((4, 4), [("a", "u1")]),
    "boolean": np.ones((4, 4), bool),
    "empty": np.zeros((0, 4), np.uint8),
    "no_width": np.zeros((4, 0, 3), np.uint8),
    "scalar": np.array(3, np.uint8),
    "row": np.zeros(4, np.uint8),
    "channels": np.zeros((4, 4, 2), np.uint8),
    "batch": np.zeros((2, 4, 4, 3), np.uint8),
    "nan": np.full((4, 4), np.nan),
    "infinite": np.full((4, 4), np.inf, np.float32),
    "beyond": np.full((4, 4), 255.0),
    "tensor_nan": torch.full((1, 4, 4), torch.nan),
    "tensor_whole": torch.zeros(1, 4, 4, dtype=torch.int64),
    "tensor_empty": torch.zeros(1, 0, 4),
    "tensor_flat": torch.zeros(4, 4),
    "tensor_complex": torch.zeros(1, 4, 4, dtype=torch.complex64),
    "meta": torch.zeros(1, 4, 4, device="meta"),
    "sparse": torch.zeros(1, 4, 4).to_sparse(),
    "ink": Image.new("CMYK", (4, 4)),
    "no_picture": Image.new("L", (0, 4)),
    "path": "a.png",
    "none": None,
    "list": [[1, 2], [3, 4]],
}


@pytest.mark.parametrize("name", REFUSED_ARRAYS)
def test_arrays_that_are_no_images_are_refused(model: Model, name: str) -> None:
    with pytest.raises(ImageError):
        model(REFUSED_ARRAYS[name])


def test_arrays_of_every_layout_are_translated_alike(model: Model) -> None:
    whole = np.kron(COLOUR, np.ones((2, 2, 1), np.uint8))
    expected = model(whole)
    locked = whole.copy()
    locked.flags.writeable = False
    backwards = whole[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
    for odd in (
        locked,
        backwards,
        np.asfortranarray(whole),
        np.repeat(whole, 2, 0)[::2],
        whole.astype(np.uint8, copy=True),
    ):
        np.testing.assert_array_equal(model(odd), expected)
    swapped = (whole.astype(np.uint16) * 257).astype(">u2")
    np.testing.assert_array_equal(model(swapped), model(swapped.astype(np.uint16)))
    assert not locked.flags.writeable


# ---------------------------------------------------------------------- images that change, images that do not fit


def write_anew(path: Path) -> None:
    """Another image under the same name."""
    write_image(path, np.zeros((30, 40, 3) if path.parent.name == "visible" else (30, 40), np.uint8))


QUICK = ["evaluate.metrics=[mae]", "every.sample=0", "every.checkpoint=0"]
CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another, seen by a worker": (write_anew, "data.workers=2"),
    "another, in the cache": (write_anew, "data.cache=cache"),
    "cut": (lambda path: path.write_bytes(b"cut"), "data.workers=0"),
    "gone": (Path.unlink, "data.workers=0"),
    "touched": (os.utime, "data.workers=0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_an_image_that_changes_stops_the_run_which_goes_on_once_it_is_back(
    tmp_path: Path, weights: Path, images: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, setting = CHANGES[name]
    monkeypatch.chdir(tmp_path)
    path, run = images / "visible" / "3.png", tmp_path / "run"
    content, times = path.read_bytes(), path.stat()
    recipe = str(weights.parent / "paired.yaml")
    experiment, source = prepare(recipe, ["steps=6", setting, *QUICK], images)
    if "cache" in setting:  # of which an entry holds the image as it was
        train(recipe, images, settings=["steps=4", setting, *QUICK], run=tmp_path / "before", silent=True)
    session = begin(experiment, source, silent=True)
    run.mkdir()
    change(path)
    with pytest.raises(ImageError) as error:
        session.run(RunFolder(run))
    assert isinstance(error.value, ChangedImage) == (name != "gone")
    assert str(path) in error.value.message
    assert f"`crossband train --resume {run}` goes on" in str(error.value)
    saved = torch.load(run / "state.pt", weights_only=True)["step"]
    assert f"keeps the checkpoint of step {saved}" in str(error.value)
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert train(resume=run, silent=True).steps == 6


def test_the_memory_of_a_network_is_known_before_it_is_taken() -> None:
    """Of a chain of convolutions: at its widest, the input and the output of one."""
    plan = check("unet")
    one, four = (least_memory(plan, {"H": side, "W": side}) for side in (256, 512))
    assert one
    assert four
    assert 3.9 < four / one < 4.1
    assert least_memory(plan, {"H": 256, "W": 256}, batch=4) == pytest.approx(4 * one, rel=0.05)
    kept = least_memory(plan, {"H": 256, "W": 256}, training=True)
    assert kept
    assert kept > 2 * one
    free = memory_at_hand()
    assert free is None or 2**20 < free < 2**50


def test_images_that_no_memory_holds_are_refused_with_numbers(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossband.recipes.model.memory.memory_at_hand", lambda *_: 10**9)
    model, large = load(weights), np.zeros((8000, 8000), np.uint8)
    tifffile.imwrite(tmp_path / "large.tif", large, compression="zlib")
    with pytest.raises(
        TooLarge, match=r"8000x8000 pixels take at least 1\.\d GB in the network `plain`, and cpu has 1\.0 GB"
    ) as error:
        model(large)
    assert "`--tile 512`" in str(error.value)
    result = commandline.run("translate", weights, tmp_path / "large.tif", tmp_path / "a.png")
    assert result.exit_code == 1
    assert "large.tif: 8000x8000 pixels take at least" in result.output
    model.check_size(8000, 8000, tiling_of(model.task.plans.values(), 512))


@pytest.mark.parametrize(
    "settings",
    [["data.size=100000", "data.load=100000"], ["data.batch=100000", "data.load=512", "data.size=512"]],
    ids=str,
)
def test_a_recipe_that_asks_for_absurd_memory_is_refused(
    tmp_path: Path, weights: Path, images: Path, settings: list[str]
) -> None:
    with pytest.raises(TooLarge, match=r"take at least [\d,.]+ GB .*this machine has"):
        train(weights.parent / "paired.yaml", images, settings=settings, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
