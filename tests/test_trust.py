"""Data one can trust: what is odd in images is told, bands that lie apart are measured and brought over each other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import run, succeed
from PIL import Image

from crossband.recipes.data import demo, pairs, read_image, write_image
from crossband.recipes.data.alignment import Aligned, read_alignment, warp, window_of
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.checks import hash_of, values_of
from crossband.recipes.data.opening import open_source
from crossband.recipes.data.registration import Model, corner_error, measure
from crossband.recipes.kinds.source import DataError
from crossband.recipes.language.syntax import Data
from crossband.recipes.losses import l1, shift_l1

HEIGHT, WIDTH, MARGIN = 176, 224, 24


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two bands of one drawn scene, with a margin: the same shapes, grey values that have nothing in common."""
    random = np.random.default_rng(seed)
    high, wide = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    y, x = np.mgrid[:high, :wide]
    visible, infrared = np.full((2, high, wide), 110.0)
    for _ in range(60):
        middle, radii = random.uniform((0, 0), (high, wide)), random.uniform(6, 36, 2)
        turn = random.uniform(0, np.pi)
        u = (y - middle[0]) * np.cos(turn) + (x - middle[1]) * np.sin(turn)
        v = (x - middle[1]) * np.cos(turn) - (y - middle[0]) * np.sin(turn)
        inside = np.maximum(abs(u) / radii[0], abs(v) / radii[1]) < 1
        visible[inside], infrared[inside] = random.uniform(20, 235, 2)
    noise = random.normal(0, 3, (2, high, wide))
    bands = (np.stack([visible, infrared]) + noise).clip(0, 255).astype(np.uint8)
    return bands[:1], bands[1:]


def known(model: Model, seed: int) -> np.ndarray:
    """A matrix that moves no corner by more than 20 pixels."""
    random = np.random.default_rng(seed)
    centre = np.array([[1, 0, -WIDTH / 2], [0, 1, -HEIGHT / 2], [0, 0, 1]])
    move = np.eye(3)
    move[:2, 2] = random.uniform(-8, 8, 2) if model != "shift" else random.uniform(-14, 14, 2)
    if model != "shift":
        angle, scale = random.uniform(-0.03, 0.03), random.uniform(0.98, 1.02)
        move[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if model == "homography":
        move[2, :2] = random.uniform(-1e-4, 1e-4, 2)
    found = np.linalg.inv(centre) @ move @ centre
    assert corner_error(found, np.eye(3), (HEIGHT, WIDTH)) <= 20
    return found / found[2, 2]


def moved_scene(model: Model, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both bands, the second moved, and the matrix that leads from the first to the second."""
    visible, infrared = scene(seed)
    matrix, window = known(model, seed), (MARGIN, MARGIN, HEIGHT + MARGIN, WIDTH + MARGIN)
    to_window = np.array([[1, 0, MARGIN], [0, 1, MARGIN], [0, 0, 1.0]])
    back = to_window @ np.linalg.inv(matrix) @ np.linalg.inv(to_window)
    return visible[:, MARGIN:-MARGIN, MARGIN:-MARGIN], warp(infrared, back, window), matrix


def folder_of(folder: Path, count: int = 10, model: Model | None = None) -> Path:
    """Pairs in a folder, drawn; with a model, those of odd numbers are moved by a matrix that is `known`."""
    for at in range(count):
        visible, infrared, _ = moved_scene(model, at) if model and at % 2 else (*scene(at), None)
        if visible.shape[1] > HEIGHT:
            visible, infrared = (band[:, MARGIN:-MARGIN, MARGIN:-MARGIN] for band in (visible, infrared))
        colour = np.concatenate([visible // 2, visible, visible])
        for band, image in (("visible", colour), ("infrared", infrared)):
            (folder / band).mkdir(parents=True, exist_ok=True)
            write_image(folder / band / f"s{at}0.png", np.ascontiguousarray(image.transpose(1, 2, 0)))
    return folder


# ---------------------------------------------------------------------- how far two bands lie apart


@pytest.mark.parametrize("model", ["shift", "similarity", "homography"])
def test_known_warps_are_recovered_to_a_pixel(model: Model) -> None:
    far = []
    for seed in range(4):
        one, other, matrix = moved_scene(model, seed)
        found = measure(one, other, model)
        far.append(corner_error(found.matrix, matrix, (HEIGHT, WIDTH)))
        assert far[-1] <= max(1.0, 3 * found.error)
    assert sorted(far)[-2] <= 1, far


def test_bands_that_have_nothing_in_common_are_uncertain() -> None:
    errors = []
    for seed in range(4):
        one, other = (scene(at)[at % 2][:, MARGIN:-MARGIN, MARGIN:-MARGIN] for at in (2 * seed, 2 * seed + 21))
        errors.append(measure(one, other).error)
    assert sum(error > 4 for error in errors) >= 3, errors


@pytest.mark.parametrize("image", [np.zeros((1, 20, 30), np.uint8), np.full((3, 16, 16), 7, np.uint16)])
def test_flat_images_are_measured_without_an_error_and_are_uncertain(image: np.ndarray) -> None:
    found = measure(image, image)
    assert not found.error < 4
    assert np.isfinite(found.matrix).all()


# ---------------------------------------------------------------------- what is odd in values


def test_values_tell_bits_that_are_not_there() -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(1, 16, 16)
    assert values_of(ramp).largest == 255
    assert values_of(ramp * 256).divisor == 256
    assert values_of(ramp * 257).divisor == 257
    assert values_of(ramp * 251 + 3).different == 256
    assert values_of(np.arange(1024, dtype=np.uint16).reshape(1, 32, 32)).different == 257
    assert values_of(np.full((1, 4, 4), 255, np.uint8)).saturated == 1
    assert not values_of(np.ones((3, 4, 4), np.float32)).coloured


def test_near_copies_have_near_hashes_and_others_have_not() -> None:
    one, other = (hash_of(scene(seed)[0]) for seed in (1, 2))
    copy = hash_of((scene(1)[0] * 0.8 + 10).astype(np.uint8))
    assert one is not None
    assert other is not None
    assert copy is not None
    assert (one != copy).sum() <= 8
    assert (one != other).sum() > 40
    assert hash_of(np.full((1, 64, 64), 9, np.uint8)) is None


# ---------------------------------------------------------------------- crossband data check


def test_check_tells_what_is_odd(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    (folder / "infrared" / "s10.png").write_bytes((folder / "infrared" / "s10.png").read_bytes()[:-900])
    for at, factor in ((20, 1), (30, 257)):
        image = read_image(folder / "infrared" / f"s{at}.png").astype(np.uint16) * factor
        write_image(folder / "infrared" / f"s{at}.png", image, 16)
    shifted = read_image(folder / "infrared" / "s40.png")
    write_image(folder / "infrared" / "s40.png", np.roll(shifted, 9, 1))
    for band in ("visible", "infrared"):  # a copy of a training image under a name far away
        (folder / band / "s90.png").unlink()
        Image.open(folder / band / "s50.png").save(folder / band / "s900.png")
    result = run("data", "check", folder, "--workers", "0", "--picture", tmp_path / "apart.png", "--json")
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    texts = {finding["text"]: finding for finding in told["findings"]}
    broken = [finding["text"] for finding in told["findings"] if finding["broken"]]
    assert len(broken) == 3  # a file cut short, two of another type
    assert any("s10.png" in text for text in broken)
    assert any("near copies in `train`" in text and own["scenes"] == ["s900 = s50"] for text, own in texts.items())
    assert any("pixels apart" in text and own["scenes"][0].startswith("s40 (9") for text, own in texts.items())
    assert abs(told["offsets"]["s40"]["infrared"]["right"] - 9) < 0.5
    with Image.open(tmp_path / "apart.png") as picture:
        assert picture.width > 300


def test_check_tells_sixteen_bits_that_hold_eight(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 10)
    for at, file in enumerate(sorted((folder / "infrared").iterdir())):
        write_image(file, read_image(file).astype(np.uint16) * (1, 257)[at % 2], 16)
    output = succeed("data", "check", folder, "--workers", "0")
    assert "5 of 10 infrared images of 16 bits hold values below 256: 8 bits" in output
    assert "5 of 10 infrared images of 16 bits hold multiples of a larger number only" in output


def test_check_tells_swapped_bands_and_goes_on(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 10)
    (folder / "visible").rename(folder / "other")
    (folder / "infrared").rename(folder / "visible")
    (folder / "other").rename(folder / "infrared")
    result = run("data", "check", folder, "--workers", "0")
    assert result.exit_code == 1
    assert "visible has no colour and infrared has: perhaps the two are swapped" in result.output


def test_a_manifest_tells_what_has_changed(tmp_path: Path) -> None:
    folder, manifest = folder_of(tmp_path / "data"), tmp_path / "manifest.json"
    succeed("data", "check", folder, "--workers", "0", "--write-manifest", manifest)
    succeed("data", "check", folder, "--workers", "0", "--manifest", manifest)
    image = read_image(folder / "visible" / "s00.png")
    write_image(folder / "visible" / "s00.png", 255 - image)
    for band in ("visible", "infrared"):
        (folder / band / "s70.png").unlink()
    result = run("data", "check", folder, "--workers", "0", "--manifest", manifest)
    assert result.exit_code == 1
    assert "1 visible images have another content than in the manifest: `s00`" in result.output
    assert "1 infrared images are missing: `s70`" in result.output
    manifest.write_text('{"version": 1, "files": {"visible": {"s00": "none"}}}')
    result = run("data", "check", folder, "--workers", "0", "--manifest", manifest)
    assert result.exit_code == 1
    assert "SHA-256" in result.output
    assert "Traceback" not in result.output


def test_a_name_that_is_none_is_told() -> None:
    result = run("data", "check", "demmo")
    assert result.exit_code == 1
    assert "demo" in result.output


# ---------------------------------------------------------------------- crossband data align


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with moved scenes, one of which shows nothing, and the file that aligns them."""
    folder = folder_of(tmp_path_factory.mktemp("moved") / "data", 10, "similarity")
    write_image(folder / "infrared" / "s20.png", np.full((HEIGHT, WIDTH, 1), 90, np.uint8))
    file = folder.parent / "align.json"
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    result = run("data", "align", folder, "--model", "similarity", "--out", file, "--workers", "0")
    assert result.exit_code == 0, result.output
    assert "refused: s20: infrared: its error is as large as the image" in result.output
    assert before == {path: path.read_bytes() for path in folder.rglob("*.png")}
    return folder, file


def test_align_finds_the_transforms_and_refuses_by_name(aligned: tuple[Path, Path]) -> None:
    found = read_alignment(aligned[1])
    assert list(found.refused) == ["s20"]
    for at in (1, 3, 5, 7, 9):
        wanted = known("similarity", at)
        assert corner_error(found.scenes[f"s{at}0"]["infrared"], wanted, (HEIGHT, WIDTH)) < 1


def test_aligned_images_lie_over_each_other(aligned: tuple[Path, Path]) -> None:
    folder, file = aligned
    source = open_source(Data("pairs", {"folder": str(folder)}, {}, align=str(file)))
    assert "s20" not in source.names("train")
    images = source.read("s10")
    assert images["visible"].shape[1:] == images["infrared"].shape[1:] == source.size("s10")
    assert source.size("s10") < (HEIGHT, WIDTH)
    assert measure(images["visible"], images["infrared"]).corners < 0.5
    assert source.fingerprint("s10", "visible") != pairs(folder=str(folder)).fingerprint("s10", "visible")


def test_a_cache_knows_the_alignment(aligned: tuple[Path, Path], tmp_path: Path) -> None:
    folder, file = aligned
    plain, moved = pairs(folder=str(folder)), Aligned(pairs(folder=str(folder)), file)
    for source in (plain, moved, plain, moved):
        cached = Cached(source, tmp_path / "cache", None)
        assert np.array_equal(cached.read("s30")["infrared"], source.read("s30")["infrared"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda held: held["scenes"].pop("s10"), "the scene `s10` has no transform of infrared"),
        (lambda held: held.update(to="visble"), "the data has no band `visble`"),
        (lambda held: held["scenes"]["s10"]["bands"].update(infrared=[[1, 0], [0, 1]]), "a matrix of three rows"),
        (lambda held: held["scenes"]["s10"]["bands"].update(infrared=[[0.0] * 3] * 3), "turns an image into a line"),
        (lambda held: held.update(version=2), "version"),
    ],
)
def test_a_wrong_alignment_is_refused(aligned: tuple[Path, Path], tmp_path: Path, change, words: str) -> None:
    held = json.loads(aligned[1].read_text())
    change(held)
    (tmp_path / "a.json").write_text(json.dumps(held))
    with pytest.raises(Exception, match=words) as caught:
        Aligned(pairs(folder=str(aligned[0])), tmp_path / "a.json")
    assert "Traceback" not in str(caught.value)
    with pytest.raises(DataError, match="crossband data align"):
        Aligned(pairs(folder=str(aligned[0])), tmp_path / "none.json")


def test_whole_pixels_are_moved_without_a_change() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 14)).astype(np.uint8)
    matrix = np.array([[1, 0, 3], [0, 1, -2], [0, 0, 1.0]])
    window = window_of(matrix, (12, 14))
    assert window == (2, 0, 12, 11)
    assert np.array_equal(warp(image, matrix, window), image[:, :10, 3:])


def test_one_transform_for_all(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", 10)
    for file in (folder / "infrared").iterdir():
        write_image(file, np.roll(read_image(file), (4, -6), (0, 1)))
    succeed("data", "align", folder, "--together", "--out", tmp_path / "a.json", "--workers", "0")
    found = read_alignment(tmp_path / "a.json")
    assert len(found.scenes) == 10
    for bands in found.scenes.values():
        assert np.allclose(bands["infrared"][:2, 2], (-6, 4), atol=0.5)


# ---------------------------------------------------------------------- a loss that forgives a shift


def test_a_shifted_target_costs_nothing() -> None:
    image = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    moved = torch.stack([image[0].roll((2, -1), (1, 2)), image[1].roll((-3, 3), (1, 2))])
    assert shift_l1(image, moved, reach=3) == 0
    assert shift_l1(image, moved, reach=1) > 0.1
    assert l1(image, moved) > 0.1


def test_demo_is_known_to_be_aligned() -> None:
    source = demo()
    name = source.names("test")[0]
    images = source.read(name)
    assert measure(images["visible"], images["infrared"]).corners < 2
