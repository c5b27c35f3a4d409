"""Scenes, geometry and the loader: joint geometry, and batches that depend on seed, epoch and scene alone."""

from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossband.recipes.data import Band, DataError, ImageError, Source, source
from crossband.recipes.data.loader import Batches, Geometry, Scenes, collate, epoch_of, make_loader
from crossband.registry import ArgumentError, CrossbandError, RegistryError


class Coordinates(Source):
    """Every pixel says where it is: rows and columns in the visible image, both in the infrared one."""

    def __init__(self, count: int = 7, size: tuple[int, int] = (20, 30), sizes: Sequence[tuple[int, int]] = ()):
        self.bands = {"visible": Band(3), "infrared": Band(1)}
        self.splits = {"train": [f"s{index}" for index in range(count)]}
        self.sizes = sizes or [size] * count

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        index = int(name[1:])
        height, width = self.sizes[index]
        rows, columns = np.mgrid[:height, :width].astype(np.uint16)
        images = {
            "visible": np.stack([rows, columns, np.full_like(rows, index)]).astype(np.uint8),
            "infrared": (rows * 256 + columns)[None],
        }
        return {band: images[band] for band in (self.bands if bands is None else bands)}


class Broken(Coordinates):
    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        if name == "s3":
            raise ImageError("s3.png: not a readable image")
        return super().read(name, bands)


def places(visible: torch.Tensor, infrared: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row * 256 + column of each pixel, as either band says."""
    rows, columns, _ = (visible * 255).round().unbind(-3)
    return rows * 256 + columns, (infrared * 65535).round().squeeze(-3)


geometries = st.builds(
    Geometry,
    size=st.tuples(st.integers(1, 20), st.integers(1, 30)),
    crop=st.sampled_from(["random", "centre"]),
    flip=st.booleans(),
    flip_vertical=st.booleans(),
)


@given(geometries, st.integers(0, 5))
def test_both_bands_undergo_the_same_geometry(geometry: Geometry, seed: int):
    item = Scenes(Coordinates(), "train", geometry=geometry, seed=seed)[seed]
    one, other = places(item["visible"], item["infrared"])
    assert one.shape == geometry.size
    assert torch.equal(one, other)
    random = geometry.crop == "random"
    assert {int(step) for step in one.diff(dim=1).unique()} <= ({1, -1} if geometry.flip and random else {1})
    assert {int(step) for step in one.diff(dim=0).unique()} <= (
        {256, -256} if geometry.flip_vertical and random else {256}
    )


@given(st.integers(8, 40), st.integers(1, 8), st.integers(0, 5))
def test_resized_bands_stay_aligned(load: int, size: int, seed: int):
    class Ramp(Coordinates):
        def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
            row = np.linspace(0, 1, 20, dtype=np.float32)[:, None] * np.linspace(0.2, 1, 30, dtype=np.float32)
            return {"visible": row[None].repeat(3, 0), "infrared": np.rint(row * 65535).astype(np.uint16)[None]}

    item = Scenes(Ramp(), "train", geometry=Geometry(load=load, size=size, flip=True), seed=seed)[0]
    assert item["visible"].shape == (3, size, size)
    torch.testing.assert_close(item["visible"][:1], item["infrared"], atol=1e-4, rtol=0)


def test_all_windows_and_mirror_images_come_up():
    scenes = Scenes(Coordinates(1, (4, 5)), "train", geometry=Geometry(size=3, flip=True, flip_vertical=True))
    loader = make_loader(scenes, batch=1, shuffle=True)
    seen = set()
    for epoch in range(300):
        [batch] = epoch_of(loader, epoch)
        place, _ = places(batch["visible"], batch["infrared"])
        seen.add((int(place[0, 0, 0]), int(place[0, -1, -1])))
    assert len(seen) == 2 * 3 * 4


def test_without_chance_the_window_is_in_the_middle_or_all():
    place = {
        size: places(item["visible"], item["infrared"])[0][0, 0]
        for size in (10, None)
        for item in [Scenes(Coordinates(), "train", geometry=Geometry(size=size, crop="centre", flip=True))[0]]
    }
    assert place == {10: 5 * 256 + 10, None: 0}


def batches(workers: int = 0, epoch: int = 0, start: int = 0, *, seed: int = 1, **options) -> list[dict]:
    scenes = Scenes(Coordinates(), "train", geometry=Geometry(size=8, flip=True), seed=seed)
    loader = make_loader(scenes, batch=2, shuffle=True, workers=workers, **options)
    return list(epoch_of(loader, epoch, start))


def same(one: Sequence[dict], other: Sequence[dict]) -> bool:
    return len(one) == len(other) and all(
        first["name"] == second["name"]
        and all(torch.equal(first[band], second[band]) for band in ("visible", "infrared"))
        for first, second in zip(one, other, strict=True)
    )


def test_batches_follow_from_seed_and_epoch_alone():
    first = batches()
    torch.manual_seed(99)
    np.random.seed(99)
    assert same(first, batches())
    assert same(first, batches(workers=2))
    assert not same(first, batches(epoch=1))
    assert not same(first, batches(seed=2))


@pytest.mark.parametrize("workers", [0, 1])
def test_starting_in_the_middle_equals_going_on(workers: int):
    assert same(batches(epoch=3)[2:], batches(workers, epoch=3, start=2))


def test_an_epoch_left_early_does_not_disturb_the_next():
    scenes = Scenes(Coordinates(), "train", geometry=Geometry(size=8, flip=True), seed=1)
    loader = make_loader(scenes, batch=2, shuffle=True, workers=1)
    assert same(list(islice(epoch_of(loader, 0), 1)), batches()[:1])
    assert same(list(epoch_of(loader, 1)), batches(epoch=1))
    assert len(loader) == 4


def test_loading_leaves_the_global_generators_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches()
    batches(workers=1)
    assert torch.equal(before, torch.get_rng_state())


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.booleans())
def test_processes_share_an_epoch(count: int, batch: int, world: int, shuffle: bool, drop_last: bool):
    def sampler(**options) -> Batches:
        found = Batches(count, shuffle=shuffle, drop_last=drop_last, **options)
        found.seek(3)
        return found

    if drop_last and count < batch * world:
        message = f"{count} scenes do not fill one batch of {batch * world}\nhint: make `batch`"
        with pytest.raises(DataError, match=message):
            sampler(batch=batch, rank=0, world_size=world)
        return
    parts = [sampler(batch=batch, rank=rank, world_size=world) for rank in range(world)]
    lists = [list(part) for part in parts]
    assert [len(part) for part in parts] == [len(part) for part in lists]
    assert all(0 < len(draws) <= batch for part in lists for draws in part)
    alone = list(sampler(batch=batch * world))
    for at, together in enumerate(alone):
        shares = [draw for part in lists if at < len(part) for draw in part[at]]
        assert {draw.scene for draw in together} <= {draw.scene for draw in shares}
    drawn = [draw.scene for part in lists for draws in part for draw in draws]
    if drop_last:
        assert len(drawn) == len(set(drawn)) == count - count % (batch * world)
    else:
        assert set(drawn) == set(range(count))
        assert len(drawn) - count <= (world - 1 if shuffle else 0)
    if shuffle or drop_last:
        assert len({len(part) for part in lists}) == 1


def test_unpaired_bands_come_from_two_orders():
    scenes = Scenes(Coordinates(40, (9, 9)), "train", pairing="unpaired", geometry=Geometry(size=4, flip=True))
    loader = make_loader(scenes, batch=40, shuffle=True)
    [batch], [other] = epoch_of(loader, 0), epoch_of(loader, 1)
    one, partner = zip(*(name.split(" + ") for name in batch["name"]), strict=True)
    assert sorted(one) == sorted(partner) == sorted(scenes.names)
    assert one != partner
    assert other["name"] != batch["name"]
    visible, infrared = places(batch["visible"], batch["infrared"])
    assert not torch.equal(visible[:, 0, 0], infrared[:, 0, 0])


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0)])
def test_ranges(bounds: tuple[float, float]):
    class Extremes(Coordinates):
        def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
            bars = np.array([0, 1, 0, 1]).reshape(1, 1, 4).repeat(4, 1)
            return {"visible": (bars.repeat(3, 0) * 255).astype(np.uint8), "infrared": (bars * 65535).astype(np.uint16)}

    item = Scenes(Extremes(), "train", range=bounds)[0]
    for band in ("visible", "infrared"):
        assert item[band].dtype == torch.float32
        assert item[band].unique().tolist() == list(bounds)


def test_channels_are_repeated_or_reduced():
    item = Scenes(Coordinates(), "train", channels={"visible": 1, "infrared": 3})[2]
    plain = Scenes(Coordinates(), "train")[2]
    assert torch.equal(item["infrared"], plain["infrared"].repeat(3, 1, 1))
    red, green, blue = plain["visible"]
    torch.testing.assert_close(item["visible"][0], 0.299 * red + 0.587 * green + 0.114 * blue)
    with pytest.raises(ArgumentError, match="the data cannot give 4 channels of `visible`"):
        Scenes(Coordinates(), "train", channels={"visible": 4})


def test_messages():
    uneven = Coordinates(3, sizes=[(20, 30), (9, 30), (20, 8)])
    with pytest.raises(DataError) as error:
        Scenes(uneven, "train", geometry=Geometry(size=10))
    assert str(error.value) == (
        "2 scenes are smaller than the window 10x10:\n  s1: 9x30\n  s2: 20x8"
        "\nhint: make `size` smaller, or set `load` to resize first"
    )
    with pytest.raises(DataError, match="`load` 8 is smaller than `size` 10\nhint: raise `load`"):
        Scenes(uneven, "train", geometry=Geometry(load=8, size=10))
    with pytest.raises(DataError, match=r"the data has no split `trian`\nhint: did you mean `train`\?"):
        Scenes(uneven, "trian")
    scenes = Scenes(uneven, "train")
    with pytest.raises(DataError) as error:
        collate([scenes[0], scenes[1]])
    assert str(error.value) == (
        "one batch cannot hold images of different sizes: 20x30 (s0) and 9x30 (s1)"
        "\nhint: set `size` or `load`, or `batch: 1`"
    )


def failure(source: Source, workers: int) -> tuple[type[CrossbandError], str]:
    """What reading an epoch raises. The error itself would keep its loader, and with it the workers, from ending."""
    try:
        list(epoch_of(make_loader(Scenes(source, "train"), batch=2, workers=workers), 0))
    except CrossbandError as error:
        return type(error), str(error)
    raise AssertionError("no error")


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_workers_arrive_as_they_are(workers: int):
    assert failure(Broken(), workers) == (ImageError, "s3.png: not a readable image")
    kind, message = failure(Coordinates(2, sizes=[(4, 4), (5, 5)]), workers)
    assert kind is DataError
    assert message.startswith("one batch cannot hold images of different sizes")


def test_a_source_takes_keywords_only():
    with pytest.raises(
        RegistryError, match="the data source `odd`: the parameter `count` must be keyword-only\nhint: "
    ):
        source("odd")(Coordinates)
