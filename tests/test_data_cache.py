"""The cache: the same pixels bit for bit, never old, never half, for any number of processes."""

import io
import multiprocessing
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import write_files

from crossband.recipes import check, train
from crossband.recipes.data import Box, DataError, Source, demo, pairs, write_image
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.loader import Geometry, Scenes, epoch_of, make_loader
from crossband.recipes.data.opening import open_source, training_scenes

COUNT = 4


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour of 8 bits beside infrared of 16, in TIFF."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for at in range(COUNT):
        for band, channels, bits in (("visible", 3, 8), ("infrared", 1, 16)):
            (folder / band).mkdir(exist_ok=True)
            image = rng.integers(0, 2**bits, (20, 30, channels), f"uint{bits}")
            write_image(folder / band / f"{at}.{'png' if bits == 8 else 'tif'}", image, bits)  # type: ignore[arg-type]
    return folder


def entries(cache: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(cache.rglob("*.npy"))}


geometries = st.builds(
    Geometry,
    load=st.sampled_from([None, 24, (17, 40)]),
    size=st.sampled_from([None, (9, 12)]),
    crop=st.sampled_from(["random", "centre"]),
    flip=st.booleans(),
)


cases = st.tuples(st.sampled_from([{}, {"infrared": (1000.0, 50000.0)}]), st.sampled_from(["paired", "unpaired"]))


@given(geometries, cases, st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pixels_are_the_same_with_and_without(folder: Path, tmp_path: Path, geometry: Geometry, case, seed: int):
    limits, pairing = case
    source = pairs(folder=str(folder), range=limits)
    cached = Cached(source, tmp_path, geometry.load)
    plain, kept, again = (
        Scenes(each, "train", geometry=geometry, pairing=pairing, seed=seed, range=(-1, 1))
        for each in (source, cached, cached)
    )
    assert len(plain) == len(kept)
    for at in range(len(plain)):
        for other in (kept[at], again[at]):  # made, then read
            assert other["name"] == plain[at]["name"]
            assert all(torch.equal(other[band], plain[at][band]) for band in source.bands)
            assert {band: other[band].dtype for band in source.bands} == dict.fromkeys(source.bands, torch.float32)
    assert all(cached.size(name) == geometry.loaded(20, 30) for name in cached.splits["train"])


def test_entries_are_small_and_may_be_written_to(folder: Path, tmp_path: Path):
    cached = Cached(pairs(folder=str(folder)), tmp_path, None)
    first = {band: image.copy() for band, image in cached.read("0").items()}
    before = entries(tmp_path)
    again = cached.read("0")
    assert {band: image.dtype for band, image in again.items()} == {"visible": np.uint8, "infrared": np.uint16}
    assert all(isinstance(image, np.memmap) for image in again.values())
    for image in again.values():
        image[:] = 0
    assert entries(tmp_path) == before
    assert all(np.array_equal(image, first[band]) for band, image in cached.read("0").items())


def test_what_changes_the_pixels_changes_the_entry(folder: Path, tmp_path: Path):
    def count(load: int | tuple[int, int] | None = None, **parameters) -> int:
        Cached(pairs(folder=str(folder), **parameters), tmp_path, load).read("1")
        return len(entries(tmp_path))

    assert count() == 2
    assert count(split={"test": {"first": 2}}) == 2
    assert count(12) == 4
    assert count((12, 12)) == 4
    assert count(range={"infrared": [0, 1000]}) == 5
    assert count(channels={"visible": 3, "infrared": 3}) == 6


def test_an_image_that_changes_is_read_anew(tmp_path: Path):
    """Even where size and date stay the same."""
    for band, channels in (("visible", 3), ("infrared", 1)):
        (tmp_path / band).mkdir()
        for at in range(2):
            write_image(tmp_path / band / f"{at}.bmp.tif", np.full((4, 4, channels), 10 * at, np.uint8))
    source = pairs(folder=str(tmp_path))
    cached, path = Cached(source, tmp_path / "cache", None), tmp_path / "infrared/0.bmp.tif"
    assert cached.read("0.bmp")["infrared"].max() == 0
    stat = path.stat()
    write_image(path, np.full((4, 4, 1), 77, np.uint8))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert cached.read("0.bmp")["infrared"].min() == 77


@pytest.mark.parametrize("damage", ["empty", "zero", "short", "half", "long", "flipped", "text", "zip"])
def test_a_damaged_entry_is_made_anew(folder: Path, tmp_path: Path, damage: str):
    cached = Cached(pairs(folder=str(folder)), tmp_path, 16)
    expected = {band: image.copy() for band, image in cached.read("0").items()}
    whole = entries(tmp_path)
    for path, content in whole.items():
        middle = len(content) * 2 // 3
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        damaged = {
            "empty": b"",
            "zero": bytes(len(content)),
            "short": bytes(4),
            "half": content[:middle],
            "long": content + b"x",
            "flipped": flipped,
            "text": b"not an array",
            "zip": b"PK\x03\x04" + content[4:],
        }
        path.write_bytes(damaged[damage])
    assert all(np.array_equal(image, expected[band]) for band, image in cached.read("0").items())
    assert entries(tmp_path) == whole


def read_often(source: Source, cache: Path, breaking: bool) -> None:
    """What one process does: read everything again and again, and perhaps spoil what is there, as a crash may."""
    cached = Cached(source, cache, 18)
    for _ in range(40):
        for name in source.splits["train"]:
            images = cached.read(name)
            assert {band: image.shape[1:] for band, image in images.items()} == dict.fromkeys(images, (18, 18))
        for path in cache.rglob("*.npy") if breaking else ():
            temporary = path.with_name("broken")
            temporary.write_bytes(path.read_bytes()[:-9])
            temporary.replace(path)


def test_two_processes_read_and_write_at_once(folder: Path, tmp_path: Path):
    source, context = pairs(folder=str(folder)), multiprocessing.get_context("fork")
    running = [context.Process(target=read_often, args=(source, tmp_path, breaking)) for breaking in (False, True)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0]
    kept, plain = (Scenes(each, "train", geometry=Geometry(load=18)) for each in (Cached(source, tmp_path, 18), source))
    for at in range(len(plain)):
        assert all(torch.equal(kept[at][band], plain[at][band]) for band in source.bands)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".npy"]


def test_workers_share_it(folder: Path, tmp_path: Path):
    def batches(source: Source, workers: int) -> list:
        scenes = Scenes(source, "train", geometry=Geometry(load=20, size=12, flip=True))
        loader = make_loader(scenes, batch=1, shuffle=True, workers=workers)
        return [batch for epoch in range(2) for batch in epoch_of(loader, epoch)]

    source = pairs(folder=str(folder))
    expected = batches(source, 0)
    for one, other in zip(expected, batches(Cached(source, tmp_path, 20), 2), strict=True):
        assert all(torch.equal(one[band], other[band]) for band in source.bands)


@pytest.mark.slow
def test_recipes_train_the_same_with_a_cache(folder: Path, tmp_path: Path):
    write_files(tmp_path)
    cache, weights = tmp_path / "cache", []
    settings = [f"data.source={{pairs: {{folder: {folder}}}}}", "data.load=18", "steps=2", "evaluate.metrics=[mae]"]
    for run, more in (("plain", []), ("made", [f"data.cache={cache}"]), ("kept", [f"data.cache={cache}"])):
        train(tmp_path / "paired.yaml", settings=[*settings, *more], run=tmp_path / run, silent=True)
        weights.append((tmp_path / run / "weights/generator.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]
    trained, evaluated = COUNT - 1, COUNT  # at 18, and at 16 for the test and the mean image
    assert len(entries(cache)) == 2 * (trained + evaluated)


def test_messages(folder: Path, tmp_path: Path):
    source = pairs(folder=str(folder))
    with pytest.raises(DataError, match="cannot be kept in a cache\nhint: take `cache` out of `data`"):
        Cached(demo(train=1, test=1, size=16), tmp_path, None)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="/file: a file, not a folder for a cache"):
        Cached(source, tmp_path / "file", None)
    cached = Cached(source, tmp_path / "cache", None)
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(
        DataError,
        match=r"the cache cannot be used: a part of its path is a file, and not a folder\nhint: name another folder",
    ):
        cached.read("0")
    write_files(tmp_path)
    experiment = check(tmp_path / "paired.yaml", [f"data.cache={tmp_path / 'other'}"])
    with pytest.raises(DataError, match="cannot be kept in a cache"):
        training_scenes(experiment.recipe, open_source(experiment.recipe.data))


def test_entries_of_another_shape_or_type_are_made_anew(folder: Path, tmp_path: Path):
    """Whatever their checksum says: an entry is taken only where it is to the byte what this image would make."""
    cached = Cached(pairs(folder=str(folder)), tmp_path, 16)
    expected = {band: image.copy() for band, image in cached.read("0").items()}
    whole = entries(tmp_path)
    image = np.zeros((3, 16, 16), np.uint8)
    objects = io.BytesIO()
    np.save(objects, np.array([[1], "x"], object), allow_pickle=True)
    crafted = [
        *(saved(each) for each in (image[:, :8], image[None], image.astype(np.float64), image.astype("S1"), image.T)),
        *(objects.getvalue(), b"", b"\x93NUMPY", b"\x93NUMPY\x01\0\xff\xff{", b"\x93NUMPY\x09\0" + bytes(99)),
        *(saved(image)[:-1], saved(image).replace(b"(3, 16, 16)", b"(9**9,1,1) ")),
    ]
    for content in crafted:
        for path in whole:
            path.write_bytes(content + zlib.crc32(content).to_bytes(4, "little"))
        assert all(np.array_equal(image, expected[band]) for band, image in cached.read("0").items())
        assert entries(tmp_path) == whole


def saved(array: np.ndarray) -> bytes:
    """An array as numpy writes it."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def test_entries_that_are_no_files_are_made_anew(folder: Path, tmp_path: Path):
    cached = Cached(pairs(folder=str(folder)), tmp_path, 16)
    cached.read("0")
    whole = entries(tmp_path)
    for path in whole:
        path.unlink()
        os.mkfifo(path)
    cached.read("0")
    assert entries(tmp_path) == whole


@pytest.mark.parametrize("name", ["x" * 300, "x\0y", "x/" * 3000])
def test_names_that_no_folder_has_are_refused(folder: Path, name: str):
    with pytest.raises(DataError, match=r"the cache cannot be used: .*\nhint: name another folder"):
        Cached(pairs(folder=str(folder)), Path(name), None)


def test_what_is_told_of_a_scene_passes_through_and_boxes_are_resized(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = pairs(folder=str(folder))
    cached = Cached(source, tmp_path, (40, 15))
    assert cached.labels("0") == {}
    assert cached.boxes("0") is None
    monkeypatch.setattr(source, "labels", {"0": {"subset": "day"}}.get)
    monkeypatch.setattr(source, "boxes", {"0": [Box("person", 4, 4, 6, 6)]}.get)
    assert cached.labels("0") == {"subset": "day"}
    assert cached.boxes("0") == [Box("person", 2, 8, 3, 12)]
    assert cached.boxes("1") is None
