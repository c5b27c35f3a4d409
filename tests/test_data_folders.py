"""The source `folders`: two bands that know nothing of each other, and pairs to be tested on."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny import write_files

from crossband.recipes import check, load_recipe, train
from crossband.recipes.data import DataError, Source, folders, write_image
from crossband.recipes.data.loader import Geometry, Scenes, epoch_of, make_loader
from crossband.recipes.training.runs import folder_settings
from crossband.registry import ArgumentError


def save(path: Path, channels: int, value: int, size: tuple[int, int] = (6, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((*size, channels), value, np.uint8))


@pytest.fixture
def opened(tmp_path: Path) -> Source:
    """Three visible images and seven infrared ones of another size, some with equal names; two pairs."""
    for at in range(3):
        save(tmp_path / f"colour/a{at}.png", 3, at)
    for at in range(7):
        save(tmp_path / f"thermal/deep/a{at}.png", 1, at, (10, 12))
    for at in range(2):
        save(tmp_path / f"pairs/visible/a{at}.png", 3, 100 + at)
        save(tmp_path / f"pairs/infrared/a{at}.png", 1, 100 + at)
    return folders(visible=f"{tmp_path}/colour", infrared=f"{tmp_path}/thermal", test=f"{tmp_path}/pairs")


def test_each_band_has_names_and_sizes_of_its_own(opened: Source):
    assert opened.names("train") == opened.names("train", "visible") == [f"visible/a{at}" for at in range(3)]
    assert opened.names("train", "infrared") == [f"infrared/deep/a{at}" for at in range(7)]
    assert opened.names("test") == opened.names("test", "infrared") == ["test/a0", "test/a1"]
    assert (opened.size("visible/a0"), opened.size("infrared/deep/a0")) == ((6, 8), (10, 12))
    assert {band: int(image.max()) for band, image in opened.read("test/a1").items()} == {
        "visible": 101,
        "infrared": 101,
    }


@pytest.mark.parametrize("batch", [1, 3])
def test_an_epoch_goes_through_the_larger_folder_once(opened: Source, batch: int):
    scenes = Scenes(opened, "train", geometry=Geometry(size=4), pairing="unpaired", seed=3)
    loader = make_loader(scenes, batch=batch, shuffle=True)
    seen = [[name.split(" + ") for item in epoch_of(loader, epoch) for name in item["name"]] for epoch in range(3)]
    assert len(scenes) == 7
    for epoch in seen:
        assert sorted(infrared for _, infrared in epoch) == sorted(opened.names("train", "infrared"))
        assert sorted(Counter(visible for visible, _ in epoch).values()) == [2, 2, 3]
    assert seen[0] != seen[1] != seen[2]


def test_processes_share_it(opened: Source):
    scenes = Scenes(opened, "train", geometry=Geometry(size=4), pairing="unpaired")
    names = [
        [
            name
            for item in epoch_of(make_loader(scenes, batch=1, shuffle=True, rank=rank, world_size=2), 0)
            for name in item["name"]
        ]
        for rank in range(2)
    ]
    assert len(names[0]) == len(names[1]) == 4
    assert len({*names[0], *names[1]}) == 7


def test_windows_must_fit_both_bands(opened: Source):
    with pytest.raises(DataError, match=r"3 scenes are smaller than the window 8x8:\n  visible/a0: 6x8"):
        Scenes(opened, "train", geometry=Geometry(size=8), pairing="unpaired")


def test_a_recipe_trains_on_them_and_is_measured_on_the_pairs(opened: Source, tmp_path: Path):
    write_files(tmp_path)
    places = {"visible": "colour", "infrared": "thermal", "test": "pairs"}
    source = {"folders": {name: str(tmp_path / place) for name, place in places.items()}}
    settings = [f"data.source={json.dumps(source)}", "data.load=8", "data.size=8", "epochs=1", "steps=null"]
    settings += ["schedule=constant", "evaluate.metrics=[mae]", f"data.cache={tmp_path / 'cache'}"]
    result = train(tmp_path / "cycle.yaml", settings=settings, run=tmp_path / "run", silent=True)
    assert result.steps == 7
    assert list(result.tables["cycle"].images) == ["test/a0", "test/a1"]
    settings[0] = f"data.source={json.dumps({'folders': {**source['folders'], 'range': {'infrared': [0, 9]}}})}"
    instead = folder_settings(load_recipe(tmp_path / "cycle.yaml", settings).data, tmp_path / "pairs")
    data = check(tmp_path / "cycle.yaml", [*settings, *instead]).recipe.data
    assert (data.source, data.arguments["folder"], data.scale) == (
        "pairs",
        str(tmp_path / "pairs"),
        {"infrared": (0, 9)},
    )


def test_messages(opened: Source, tmp_path: Path):
    colour, thermal, pairs = (str(tmp_path / name) for name in ("colour", "thermal", "pairs"))
    with pytest.raises(ArgumentError, match="folders needs the parameter `test`"):
        folders(visible=colour, infrared=thermal)  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="`visible` and `infrared` are one folder"):
        folders(visible=colour, infrared=colour, test=pairs)
    with pytest.raises(DataError, match=r"/none: no such folder\nhint: "):
        folders(visible=colour, infrared=f"{tmp_path}/none", test=pairs)
    with pytest.raises(DataError, match="no folder of aligned pairs: it has no `visible` or `infrared`, only files"):
        folders(visible=colour, infrared=thermal, test=colour)
    (tmp_path / "thermal/bad.png").write_bytes(b"no image")
    save(tmp_path / "pairs/visible/a9.png", 3, 0)
    with pytest.raises(DataError, match=r"thermal/bad\.png: not a readable image"):
        folders(visible=colour, infrared=thermal, test=pairs)
