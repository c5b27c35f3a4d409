"""Image files: what is written is read back, orientation is heeded, and no broken file passes."""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from crossband.recipes.data.formats import ORIENTATION
from crossband.recipes.data.images import (
    ImageError,
    full_scale,
    read_header,
    read_image,
    write_image,
)


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(shape)
    return rng.random(shape, np.float32) if dtype == "float32" else rng.integers(0, np.iinfo(dtype).max, shape, dtype)


@pytest.mark.parametrize("shape", [(7, 5, 1), (7, 5, 3)], ids=str)
@pytest.mark.parametrize(
    ("suffix", "bits"), [(".png", 8), (".png", 16), (".tif", 8), (".tif", 16), (".tiff", 16), (".tif", 32)]
)
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str, bits: int, shape: tuple[int, ...]):
    path = tmp_path / f"a{suffix}"
    image = noise(*shape, dtype={8: "uint8", 16: "uint16", 32: "float32"}[bits])
    write_image(path, image, bits)  # type: ignore[arg-type]
    found = read_image(path)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)
    header = read_header(path)
    assert (header.height, header.width, header.channels, header.dtype) == (*shape, image.dtype)
    assert list(tmp_path.iterdir()) == [path]


def test_jpeg_is_read_back_nearly(tmp_path: Path):
    ramp = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[:, None], (64, 48))
    write_image(tmp_path / "a.jpg", ramp / 255)
    assert np.abs(read_image(tmp_path / "a.jpg")[..., 0].astype(int) - ramp).max() <= 3


@pytest.mark.parametrize("bits", [8, 16])
def test_float_images_are_scaled_rounded_and_clipped(tmp_path: Path, bits: int):
    scale = 2**bits - 1
    write_image(tmp_path / "a.png", np.array([[-0.5, 0.0, 0.4 / scale, 0.6 / scale, 1.0, 7.0]]), bits)  # type: ignore[arg-type]
    assert read_image(tmp_path / "a.png").ravel().tolist() == [0, 0, 0, 1, scale, scale]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_orientation_is_heeded(tmp_path: Path, suffix: str, orientation: int):
    path, stored = tmp_path / f"a{suffix}", np.kron(noise(2, 3, 3), np.ones((16, 16, 1), np.uint8))
    if suffix == ".tif":
        tifffile.imwrite(path, stored, photometric="rgb", extratags=[(ORIENTATION, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        Image.fromarray(stored).save(path, exif=exif, quality=100, subsampling=0)
    upright = Image.fromarray(stored)
    upright.getexif()[ORIENTATION] = orientation
    expected = np.asarray(ImageOps.exif_transpose(upright))
    found, header = read_image(path), read_header(path)
    assert found.shape == expected.shape == (header.height, header.width, 3)
    assert np.abs(found.astype(int) - expected).max() <= 8


def test_orientation_after_the_pixels_of_a_png_is_heeded(tmp_path: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(noise(4, 9, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:-12] + chunk + data[-12:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(noise(4, 9, 3), -1))
    assert read_header(tmp_path / "a.png").height == 9


def test_unusual_but_clear_files_are_read(tmp_path: Path):
    grey = noise(6, 5)
    cases = {
        "alpha.png": (np.dstack([grey, grey, grey, grey // 2]), np.dstack([grey] * 3)),
        "grey_alpha.png": (np.dstack([grey, grey // 2]), grey[..., None]),
        "colour.bmp": (np.dstack([grey] * 3), np.dstack([grey] * 3)),
    }
    for name, (stored, expected) in cases.items():
        Image.fromarray(stored).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name), expected, err_msg=name)
    Image.fromarray(np.dstack([grey] * 3)).quantize(256).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (6, 5, 3)
    Image.fromarray(grey > 128).save(tmp_path / "two.png")
    np.testing.assert_array_equal(read_image(tmp_path / "two.png")[..., 0], (grey > 128) * 255)
    tifffile.imwrite(tmp_path / "inverse.tif", 255 - grey, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "inverse.tif")[..., 0], grey)
    planes = noise(3, 6, 5, dtype="uint16")
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "planes.tif"), planes.transpose(1, 2, 0))


@pytest.mark.parametrize("name", ["a.png", "b.png", "c.png", "a.jpg", "a.bmp", "a.tif", "b.tif"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.6, 0.97])
def test_a_file_cut_short_is_noticed_by_both(tmp_path: Path, name: str, part: float):
    path, image = tmp_path / name, noise(70, 90, 3)
    if name == "b.png":
        path.write_bytes(imagecodecs.png_encode(image.astype(np.uint16) * 250))
    elif name == "c.png":
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image[..., 0].astype(np.uint16) * 250)))
    elif name.endswith(".tif"):
        tifffile.imwrite(path, image, photometric="rgb", compression="zlib" if name == "b.tif" else None)
    else:
        Image.fromarray(image).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    for read in (read_image, read_header):
        with pytest.raises(ImageError) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: not a readable image: ")
        assert "\nhint: " in str(error.value)


def test_faulty_reads_say_what_to_do(tmp_path: Path):
    (tmp_path / "text.png").write_text("not an image, but a long text " * 200)
    Image.fromarray(noise(4, 4, 3)).convert("CMYK").save(tmp_path / "ink.jpg")
    tifffile.imwrite(tmp_path / "stack.tif", noise(3, 4, 4), photometric="minisblack")
    cases = {
        "none.png": "no such file",
        "none.tif": "no such file",
        "text.png": "not a readable image: ",
        "ink.jpg": "cannot use CMYK pixels\nhint: save it as grey or RGB",
        "stack.tif": "holds 3 images\nhint: save each as a file of its own",
    }
    for name, message in cases.items():
        for read in (read_image, read_header):
            with pytest.raises(ImageError) as error:
                read(tmp_path / name)
            assert str(error.value).startswith(f"{tmp_path / name}: {message}"), name


@pytest.mark.parametrize(
    ("name", "image", "bits", "message"),
    [
        ("a.gif", noise(4, 4), 8, "cannot write `.gif` images\nhint: choose `.png`, `.tif` or `.jpg`"),
        ("a.jpg", noise(4, 4), 16, "`.jpg` cannot hold 16 bits\nhint: choose `.tif`, or 8 bits"),
        ("a.png", noise(4, 4, dtype="float32"), 32, "`.png` cannot hold 32 bits\nhint: choose `.tif`, or 16 bits"),
        ("a.png", noise(4, 4, 2), 8, "an image is `h w`, `h w 1` or `h w 3`, got the shape (4, 4, 2)"),
        ("a.png", noise(4, 4), 16, "uint8 pixels cannot be written with 16 bits\nhint: give float in [0, 1]"),
        ("a.png", np.full((2, 2), np.nan), 8, "the image has values that are not finite"),
        ("no/a.png", noise(4, 4), 8, "cannot be written: there is no such folder"),
    ],
)
def test_faulty_writes_leave_the_old_file_and_no_other(
    tmp_path: Path, name: str, image: np.ndarray, bits, message: str
):
    old = tmp_path / "a.png"
    old.write_bytes(b"old")
    with pytest.raises(ImageError) as error:
        write_image(tmp_path / name, image, bits)
    assert str(error.value) == f"{tmp_path / name}: {message}"
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"old"


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(self: Image.Image, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match="cannot be written: the disk is full; nothing was changed"):
        write_image(tmp_path / "a.png", noise(4, 4))
    assert not list(tmp_path.iterdir())


def test_full_scale():
    assert [full_scale(kind) for kind in (np.uint8, np.uint16, np.float32)] == [255, 65535, 1]
    with pytest.raises(ImageError, match="int16 has no full scale\nhint: declare the range"):
        full_scale(np.int16)
