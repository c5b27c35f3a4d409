"""The source `pairs`: matching, value ranges, channels, and one report of everything that is wrong."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from crossband.recipes.data import DataError, ImageError, pairs, write_image
from crossband.registry import ArgumentError, CrossbandError, sources

SIZE = (12, 16)


def picture(channels: int, seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten scenes, `s_1` to `s_10`, PNG beside TIFF."""
    for band in ("visible", "infrared"):
        (tmp_path / band).mkdir()
    for number in range(1, 11):
        write_image(tmp_path / f"visible/s_{number}.png", picture(3, number))
        write_image(tmp_path / f"infrared/s_{number}.tif", picture(1, number))
    return tmp_path


def problems(**parameters: object) -> tuple[str, ...]:
    with pytest.raises(DataError) as error:
        pairs(**parameters)  # type: ignore[arg-type]
    return tuple(map(str, error.value.faults))


def test_scenes_are_matched_split_and_read(folder: Path):
    found = pairs(folder=str(folder))
    assert found.splits == {"train": [f"s_{number}" for number in range(1, 10)], "test": ["s_10"]}
    assert {band: info.channels for band, info in found.bands.items()} == {"visible": 3, "infrared": 1}
    scene = found.read("s_3")
    np.testing.assert_array_equal(scene["visible"], picture(3, 3).transpose(2, 0, 1))
    np.testing.assert_array_equal(scene["infrared"], picture(1, 3).transpose(2, 0, 1))
    assert found.size("s_3") == SIZE
    assert list(found.read("s_3", ["infrared"])) == ["infrared"]
    assert "pairs" in sources


def test_two_folders_mean_the_same_as_their_parent(folder: Path):
    both = pairs(visible=str(folder / "visible"), infrared=str(folder / "infrared"), split={"test": {"every": 2}})
    assert both.splits == pairs(folder=str(folder), split={"test": {"every": 2}}).splits


def test_one_folder_with_suffixes(tmp_path: Path):
    for number in range(3):
        write_image(tmp_path / f"a{number}.png", picture(3, number))
        write_image(tmp_path / f"a{number}_ir.png", picture(1, number))
    here = str(tmp_path)
    found = pairs(visible=here, infrared=here, suffix={"infrared": "_ir"})
    assert found.splits == {"train": ["a0", "a1"], "test": ["a2"]}
    with pytest.raises(ArgumentError, match="one folder for both bands needs two different `suffix`es"):
        pairs(visible=here, infrared=here)
    with pytest.raises(DataError, match="no visible images whose names end in `_vis`\nhint: "):
        pairs(visible=here, infrared=here, suffix={"visible": "_vis", "infrared": "_ir"})
    write_image(tmp_path / "a1_vis.png", picture(3, 0))
    names = {"visible": "_vis", "infrared": "_ir"}
    lines = problems(visible=here, infrared=here, suffix=names)
    assert sum("the name does not end in `_vis` or `_ir`" in line for line in lines) == 3
    assert sum("no visible image of this name" in line for line in lines) == 2
    with pytest.raises(DataError, match="the split `train` is empty"):
        pairs(visible=here, infrared=here, suffix=names, unmatched="ignore")


def test_subfolders_belong_to_the_name(tmp_path: Path):
    for name in ("train/1", "test/1"):
        for band, channels in (("visible", 3), ("infrared", 1)):
            (tmp_path / band / name).parent.mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / band / f"{name}.png", picture(channels, 0))
    assert pairs(folder=str(tmp_path), split={"test": {"under": "test"}}).splits == {
        "train": ["train/1"],
        "test": ["test/1"],
    }


def test_hidden_and_other_files_do_not_count(folder: Path):
    (folder / "visible/._s_1.png").write_bytes(b"junk of a file manager")
    (folder / "visible/readme.txt").write_text("hello")
    assert len(pairs(folder=str(folder)).splits["train"]) == 9


def infrared_only(folder: Path, dtype: str, values: list[float]) -> None:
    for number in range(1, 11):
        image = np.resize(np.array(values, dtype), SIZE)
        tifffile.imwrite(folder / f"infrared/s_{number}.tif", image)


@pytest.mark.parametrize(
    ("dtype", "bounds", "values", "expected"),
    [
        ("uint16", (1000, 3000), [0, 1000, 2000, 3000, 60000], [0, 0, 0.5, 1, 1]),
        ("uint16", (3000, 1000), [1000, 2000, 3000], [1, 0.5, 0]),  # the higher first: inverted
        ("uint8", (0, 200), [0, 100, 200, 255], [0, 0.5, 1, 1]),
        ("int16", (-100, 100), [-100, 0, 100], [0, 0.5, 1]),
        ("float32", (270.0, 320.0), [270.0, 295.0, 320.0], [0, 0.5, 1]),
        ("float64", (0.0, 1.0), [0.25, 0.75], [0.25, 0.75]),
    ],
)
def test_declared_ranges(folder: Path, dtype: str, bounds: tuple[float, float], values: list, expected: list):
    infrared_only(folder, dtype, values)
    image = pairs(folder=str(folder), range={"infrared": bounds}).read("s_1")["infrared"]
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[0, 0, : len(expected)], expected, atol=1e-7)


def test_the_scale_never_depends_on_the_image(folder: Path):
    infrared_only(folder, "uint16", [5, 6, 7])
    assert pairs(folder=str(folder)).read("s_1")["infrared"].max() == 7


def test_grey_in_colour_is_taken_and_colour_only_when_declared(folder: Path):
    for number in range(1, 11):
        (folder / f"infrared/s_{number}.tif").unlink()
        write_image(folder / f"infrared/s_{number}.png", picture(1, number).repeat(3, 2))
    scene = pairs(folder=str(folder)).read("s_1")
    np.testing.assert_array_equal(scene["infrared"], picture(1, 1).transpose(2, 0, 1))
    assert pairs(folder=str(folder), channels={"infrared": 3}).read("s_1")["infrared"].shape == (3, *SIZE)
    write_image(folder / "infrared/s_1.png", picture(3, 1))
    [line] = problems(folder=str(folder))
    assert line.startswith(f"{folder}/infrared/s_1.png: a colour image in a band of 1 channel\nhint: `channels: {{infr")
    grey = pairs(folder=str(folder), luminance=True).read("s_1")["infrared"]
    expected = np.asarray(Image.fromarray(picture(3, 1)).convert("L"), int)
    assert np.abs(grey[0] - expected).max() <= 1


def test_grey_files_of_a_colour_band_are_repeated(folder: Path):
    image = pairs(folder=str(folder), channels={"infrared": 3}).read("s_1")["infrared"]
    np.testing.assert_array_equal(image, picture(1, 1).transpose(2, 0, 1).repeat(3, 0))


def test_everything_wrong_is_reported_at_once(folder: Path):
    (folder / "visible/s_1.png").rename(folder / "visible/x.png")
    (folder / "visible/s_2.png").write_bytes(b"no image")
    whole = (folder / "visible/s_3.png").read_bytes()
    (folder / "visible/s_3.png").write_bytes(whole[:-40])
    write_image(folder / "infrared/s_4.tif", picture(1, 4, (12, 15)))
    write_image(folder / "infrared/s_5.tif", picture(1, 5).astype(np.uint16), 16)
    write_image(folder / "visible/s_6.jpg", picture(3, 6))
    with pytest.raises(DataError) as error:
        pairs(folder=str(folder))
    starts = [
        f"{folder}/visible/s_6.png: the scene `s_6` has another visible image, s_6.jpg",
        f"{folder}/visible/x.png: no infrared image of this name in {folder}/infrared",
        f"{folder}/infrared/s_1.tif: no visible image of this name in {folder}/visible",
        f"{folder}/visible/s_2.png: not a readable image: ",
        f"{folder}/visible/s_3.png: not a readable image: ",
        f"{folder}/infrared/s_4.tif: 12x15 pixels, but {folder}/visible/s_4.png has 12x16",
        f"{folder}/infrared/s_5.tif: uint16 pixels, where most infrared images have uint8",
    ]
    assert len(error.value.faults) == len(starts)
    for line, start in zip(error.value.faults, starts, strict=True):
        assert line.message.startswith(start)
    text = str(error.value)
    assert text.startswith("the data cannot be used, 7 files are at fault\n  ")
    assert text.count("hint: `unmatched: ignore` leaves out files that have no partner") == 1


def test_unmatched_files_can_be_left_out(folder: Path):
    (folder / "visible/s_1.png").unlink()
    assert pairs(folder=str(folder), unmatched="ignore").splits["train"][0] == "s_2"


def test_long_reports_are_cut_but_keep_every_name(tmp_path: Path):
    for band in ("visible", "infrared"):
        (tmp_path / band).mkdir()
        for number in range(30):
            write_image(tmp_path / band / f"{band}{number}.png", picture(1, 0, (2, 2)))
        write_image(tmp_path / band / "scene.png", picture(1, 0, (2, 2)))
    with pytest.raises(DataError) as error:
        pairs(folder=str(tmp_path))
    assert len(error.value.faults) == 60
    assert "\n  and 40 more\n" in str(error.value)


def test_files_without_a_scale_need_a_range(folder: Path):
    infrared_only(folder, "float32", [280.0])
    [line] = problems(folder=str(folder))
    assert line == (
        f"{folder}/infrared: float32 pixels have no full scale"
        "\nhint: declare what becomes 0 and 1: `range: {infrared: [LOW, HIGH]}`"
    )


def test_damage_that_headers_do_not_show_names_the_file(folder: Path):
    infrared_only(folder, "float32", [280.0, np.nan])
    found = pairs(folder=str(folder), range={"infrared": [270, 320]})  # type: ignore[dict-item]
    with pytest.raises(ImageError, match=r"infrared/s_2\.tif: has pixels that are not finite\nhint: "):
        found.read("s_2")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "pairs: needs either `folder`, or both `visible` and `infrared`"),
        ({"visible": "a"}, "pairs: needs either `folder`, or both `visible` and `infrared`"),
        ({"folder": ".", "visible": "a"}, "pairs: needs either `folder`, or both `visible` and `infrared`"),
        (
            {"folder": "/none"},
            "/none/visible: no such folder\n/none/infrared: no such folder\nhint: a path in a YAML file is relative",
        ),
        ({"fodler": "."}, "pairs has no parameter `fodler`\nhint: did you mean `folder`?"),
        ({"folder": ".", "channels": {"infrared": 2}}, "pairs: `channels.infrared` must be one of 1, 3, got 2"),
        ({"folder": ".", "channels": {"infared": 1}}, "pairs: `channels` has no band `infared`\nhint: did you mean"),
        (
            {"folder": ".", "range": {"infrared": [5, 5]}},
            "pairs: `range` of infrared must be two different finite numb",
        ),
    ],
    ids=str,
)
def test_messages_of_parameters(parameters: dict, message: str):
    with pytest.raises(CrossbandError) as error:
        pairs(**parameters)
    assert str(error.value).startswith(message)


def test_messages_of_folders(tmp_path: Path):
    (tmp_path / "visible").mkdir()
    with pytest.raises(DataError) as error:
        pairs(folder=str(tmp_path))
    assert str(error.value) == (
        f"{tmp_path}/infrared: no such folder\nhint: {tmp_path} must have the subfolders `visible` and `infrared`"
    )
    (tmp_path / "infrared").mkdir()
    with pytest.raises(DataError, match=r"/visible: no visible images\nhint: images are \.png, \.jpg"):
        pairs(folder=str(tmp_path))
