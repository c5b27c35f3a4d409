"""Published data sets, each drawn as a miniature of its folder: what is found, how it is divided, what is said else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from crossband.recipes.data import (
    Box,
    DataError,
    ImageError,
    Source,
    flir,
    kaist,
    llvip,
    msrs,
    osu,
    roadscene,
    write_image,
)
from crossband.registry import ArgumentError, sources

SIZE = (6, 8)


@dataclass(frozen=True)
class Miniature:
    """A data set small enough to draw: the files of each band, by scene, and the scenes of its splits."""

    open: Callable[..., Source]
    files: Mapping[str, tuple[str, str]]
    splits: Mapping[str, list[str]]
    others: Mapping[str, str]  # further files by path, with their text; images have none
    missing: tuple[str, ...]  # what is missed in an empty folder


def numbers(form: str, *them: int) -> list[str]:
    return [form.format(number) for number in them]


LLVIP = numbers("train/01{:04}", *range(1, 5)) + numbers("test/19{:04}", 1, 2)
KAIST = [f"set{at:02}/V000/I{frame:05}" for at in range(12) for frame in (0, 1)]
FLIR = numbers("FLIR_{:05}", 2, 5, 8, 8863, 8864)
OSU = [f"{sequence}/img_{frame:05}" for sequence in range(1, 7) for frame in (1, 2)]
ROADSCENE = numbers("FLIR_{:05}", 6, 18, 8525, 8526, 9016, 9017)
MSRS = ["train/00001D", "train/00003N", "test/00004N"]

MINIATURES = {
    "llvip": Miniature(
        llvip,
        {name: (f"visible/{name}.jpg", f"infrared/{name}.jpg") for name in LLVIP},
        {"train": LLVIP[:4], "test": LLVIP[4:]},
        {"Annotations/010001.xml": "<annotation/>"},
        ("visible/train", "visible/test", "infrared/train", "infrared/test"),
    ),
    "kaist": Miniature(
        kaist,
        {
            f"{video}/{frame}": (f"{video}/visible/{frame}.jpg", f"{video}/lwir/{frame}.jpg")
            for video, _, frame in (name.rpartition("/") for name in KAIST)
        },
        {"train": KAIST[:12], "test": KAIST[12:]},
        {"annotations/set00/V000/I00000.txt": "% bbGt version=3", "set00/V000/sheet.png": ""},
        ("set*/V*/visible", "set*/V*/lwir"),
    ),
    "flir": Miniature(
        flir,
        {name: (f"JPEGImages/{name}_RGB.jpg", f"JPEGImages/{name}_PreviewData.jpeg") for name in FLIR},
        {"train": FLIR[:3], "test": FLIR[3:]},
        {
            "align_train.txt": "".join(f"{name}_PreviewData\n" for name in FLIR[:3]),
            "align_validation.txt": "\n".join(FLIR[3:]),
            "AnnotatedImages/FLIR_00002_RGB.jpg": "",
        },
        ("JPEGImages",),
    ),
    "osu": Miniature(
        osu,
        {name: (f"{name.replace('/', 'b/')}.bmp", f"{name.replace('/', 'a/')}.bmp") for name in OSU},
        {"train": OSU[:4] + OSU[6:10], "test": OSU[4:6] + OSU[10:]},
        {},
        ("[1-6]b", "[1-6]a"),
    ),
    "roadscene": Miniature(
        roadscene,
        {name: (f"crop_LR_visible/{name}.jpg", f"cropinfrared/{name}.jpg") for name in ROADSCENE},
        {"train": [*ROADSCENE[:3], ROADSCENE[5]], "test": ROADSCENE[3:5]},
        {"crop_HR_visible/FLIR_00006.jpg": ""},
        ("crop_LR_visible", "cropinfrared"),
    ),
    "msrs": Miniature(
        msrs,
        {name: (f"{name.replace('/', '/vi/')}.png", f"{name.replace('/', '/ir/')}.png") for name in MSRS},
        {"train": MSRS[:2], "test": MSRS[2:]},
        {"detection/vi/1.png": "", "train/Segmentation_labels/00001D.png": ""},
        ("train/vi", "train/ir", "test/vi", "test/ir"),
    ),
}
every_set = pytest.mark.parametrize("name", MINIATURES)


def picture(channels: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, channels), np.uint8)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".bmp":
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path)
    else:
        write_image(path, image)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def drawn(name: str, folder: Path) -> Path:
    """Draw a miniature; the seed of an image is the number of its scene."""
    found = MINIATURES[name]
    for seed, (visible, infrared) in enumerate(found.files.values()):
        save(folder / visible, picture(3, seed))
        save(folder / infrared, picture(1, seed))
    for path, text in found.others.items():
        save(folder / path, picture(3, 99)) if not text else write(folder / path, text)
    return folder


def test_every_published_set_has_its_miniature():
    assert {*MINIATURES, "pairs", "folders", "demo"} <= {*sources}
    assert all(sources[name].cite for name in MINIATURES)


@every_set
def test_scenes_and_splits_are_the_published_ones(name: str, tmp_path: Path):
    miniature, found = MINIATURES[name], MINIATURES[name].open(folder=str(drawn(name, tmp_path)))
    assert found.splits == miniature.splits
    assert sorted(scene for split in found.splits.values() for scene in split) == sorted(miniature.files)
    for seed, (scene, files) in enumerate(miniature.files.items()):
        images = found.read(scene)
        assert found.size(scene) == SIZE
        assert {band: image.shape for band, image in images.items()} == {"visible": (3, *SIZE), "infrared": (1, *SIZE)}
        if not files[0].endswith(".jpg"):
            np.testing.assert_array_equal(images["visible"], picture(3, seed).transpose(2, 0, 1))
            np.testing.assert_array_equal(images["infrared"], picture(1, seed).transpose(2, 0, 1))


@every_set
def test_another_split_may_be_asked_for(name: str, tmp_path: Path):
    found = MINIATURES[name].open(folder=str(drawn(name, tmp_path)), split={"test": {"last": 1}})
    assert len(found.splits["test"]) == 1
    assert sum(map(len, found.splits.values())) == len(MINIATURES[name].files)


@every_set
def test_every_set_takes_infrared_of_16_bits(name: str, tmp_path: Path):
    drawn(name, tmp_path)
    for _, infrared in MINIATURES[name].files.values():
        (tmp_path / infrared).unlink()
        raw = np.resize(np.array([20000, 27315, 29815, 32315], np.uint16), SIZE)
        tifffile.imwrite((tmp_path / infrared).with_suffix(".tif"), raw)
    given: dict[str, Any] = {"folder": str(tmp_path), "range": {"infrared": [27315, 32315]}}
    scene = next(iter(MINIATURES[name].files))
    image = MINIATURES[name].open(**given).read(scene, ["infrared"])["infrared"]
    assert image.dtype == np.float32
    assert image[0, 0, :4].tolist() == [0, 0, 0.5, 1]
    refusing = MINIATURES[name].open(**given, outside="refuse")
    with pytest.raises(ImageError, match=r"has values from 20000 to 32315, outside of `range` \[27315, 32315\]\nhint:"):
        refusing.read(scene)


@every_set
def test_a_wrong_folder_comes_with_a_hint(name: str, tmp_path: Path):
    miniature = MINIATURES[name]
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError) as error:
        miniature.open(folder=str(tmp_path))
    assert all(f"`{pattern}`" in str(error.value) for pattern in miniature.missing)
    assert str(error.value).startswith(f"{tmp_path}: no `{name}` data: it has no `{miniature.missing[0]}`")
    assert ", only `other`\nhint: name the folder that has `" in str(error.value)
    drawn(name, tmp_path / "unpacked")
    with pytest.raises(DataError, match=f"hint: did you mean `{tmp_path}/unpacked`"):
        miniature.open(folder=str(tmp_path))
    with pytest.raises(DataError, match=r"/none: no such folder\nhint: "):
        miniature.open(folder=str(tmp_path / "none"))
    visible, _ = next(iter(miniature.files.values()))
    (tmp_path / "unpacked" / visible).unlink()
    with pytest.raises(DataError, match="no visible image of this name"):
        miniature.open(folder=str(tmp_path / "unpacked"))
    left = miniature.open(folder=str(tmp_path / "unpacked"), unmatched="ignore", split={"test": {"last": 1}})
    assert sum(map(len, left.splits.values())) == len(miniature.files) - 1


def test_a_folder_of_a_like_name_is_told(tmp_path: Path):
    drawn("roadscene", tmp_path)
    (tmp_path / "cropinfrared").rename(tmp_path / "crop_infrared")
    with pytest.raises(DataError, match=r"no `cropinfrared`, only .*\nhint: rename `crop_infrared` to `cropinfrared`"):
        roadscene(folder=str(tmp_path))


def test_images_of_ones_own_are_for_pairs(tmp_path: Path):
    for band in ("visible", "infrared"):
        save(tmp_path / band / "a.png", picture(1, 0))
    with pytest.raises(DataError, match=r"for `pairs`: `--set 'data.source={pairs: {folder: .*}}'`"):
        llvip(folder=str(tmp_path))


def test_kaist_by_light_and_every_tenth(tmp_path: Path):
    drawn("kaist", tmp_path)
    for frame in range(2, 30):
        save(tmp_path / f"set01/V001/visible/I{frame:05}.jpg", picture(3, frame))
        save(tmp_path / f"set01/V001/lwir/I{frame:05}.jpg", picture(1, frame))
    day, night = (kaist(folder=str(tmp_path), sets=light) for light in ("day", "night"))
    assert {name[:5] for split in night.splits.values() for name in split} == {
        f"set{at:02}" for at in (3, 4, 5, 9, 10, 11)
    }
    assert len(day.splits["test"]) == len(night.splits["test"]) == 6
    tenth = kaist(folder=str(tmp_path), sets=["set01"], split={"test": {"every": 10, "start": 9}})
    assert tenth.splits["test"] == [f"set01/V001/I{frame:05}" for frame in (9, 19, 29)]
    assert len(tenth.splits["train"]) == 27
    with pytest.raises(ArgumentError, match="kaist: `sets` has no `set12`\nhint: did you mean `set1"):
        kaist(folder=str(tmp_path), sets=["set12"])


def test_flir_needs_its_lists_or_another_split(tmp_path: Path):
    drawn("flir", tmp_path)
    (tmp_path / "align_train.txt").unlink()
    with pytest.raises(DataError, match=r": no `align_train.txt`, which list its splits\nhint: .*`split: "):
        flir(folder=str(tmp_path))
    assert len(flir(folder=str(tmp_path), split={"test": {"last": 2}}).splits["train"]) == 3


def test_sets_in_two_plain_folders(tmp_path: Path):
    for names, open_set, test in (
        (ROADSCENE, roadscene, ROADSCENE[3:5]),
        (["00055D", "01186D", "01299N", "01300N"], msrs, ["01186D", "01299N"]),
    ):
        for name in names:
            save(tmp_path / open_set.__name__ / f"visible/{name}.png", picture(3, 0))
            save(tmp_path / open_set.__name__ / f"infrared/{name}.png", picture(1, 0))
        assert open_set(folder=str(tmp_path / open_set.__name__)).splits["test"] == test


def test_kaist_tells_of_day_and_night_and_of_places(tmp_path: Path):
    opened = kaist(folder=str(drawn("kaist", tmp_path)))
    told = {name[:5]: opened.labels(name) for name in KAIST}
    assert [told[f"set{at:02}"]["subset"] for at in range(12)] == (["day"] * 3 + ["night"] * 3) * 2
    assert opened.labels("set03/V000/I00001") == {"subset": "night", "place": "set03", "video": "set03/V000"}


def test_msrs_tells_of_day_and_night(tmp_path: Path):
    opened = msrs(folder=str(drawn("msrs", tmp_path)))
    assert [opened.labels(name) for name in MSRS] == [{"subset": "day"}, {"subset": "night"}, {"subset": "night"}]


def voc(label: str, *edges: float, names: str = "xmin ymin xmax ymax", size: tuple[int, int] = SIZE) -> str:
    sides = "".join(f"<{name}>{edge}</{name}>" for name, edge in zip(names.split(), edges, strict=True))
    height, width = size
    return f"""<?xml version="1.0"?>
<annotation>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
  <object><name>{label}</name><bndbox>{sides}</bndbox><part><name>head</name></part></object>
</annotation>"""


TEXT = "% bbGt version=3\nperson 1 2 3 4 0 0 0 0 0 0 0\npeople -1 0 4 2 1 0 0 0 0 0 0\n"
MARKED: list[tuple[str, str, str, str, list[Box]]] = [
    ("llvip", "train/010002", "Annotations/010002.xml", voc("person", 1, 2, 4, 6), [Box("person", 1, 2, 3, 4)]),
    ("flir", "FLIR_00005", "Annotations/FLIR_00005_PreviewData.xml", voc("car", 0, 1, 8, 7), [Box("car", 0, 1, 8, 6)]),
    (
        *("kaist", "set00/V000/I00001", "annotations/set00/V000/I00001.txt", TEXT),
        [Box("person", 1, 2, 3, 4), Box("people", -1, 0, 4, 2)],
    ),
    ("kaist", "set06/V000/I00000", "sanitized_annotations/set06_V000_I00000.txt", "% bbGt version=3\n", []),
    (
        *("kaist", "set07/V000/I00001", "annotations-xml-new/set07/V000/I00001.xml"),
        voc("cyclist", 1, 2, 3, 4, names="x y w h"),
        [Box("cyclist", 1, 2, 3, 4)],
    ),
]


@pytest.mark.parametrize("marked", MARKED, ids=lambda marked: marked[2])
def test_boxes_are_where_the_release_has_them(marked: tuple[str, str, str, str, list[Box]], tmp_path: Path):
    name, scene, path, text, boxes = marked
    write(drawn(name, tmp_path) / path, text)
    if path.startswith("annotations-xml"):
        (tmp_path / "annotations").rename(tmp_path / "other")
    opened = sources[name].factory(folder=str(tmp_path))
    assert opened.boxes(scene) == boxes
    assert opened.boxes(opened.splits["test"][-1]) is None


def test_boxes_of_a_release_may_be_elsewhere(tmp_path: Path):
    write(tmp_path / "mine/010002.xml", voc("car", 1, 2, 4, 6))
    opened = llvip(folder=str(drawn("llvip", tmp_path / "llvip")), boxes=str(tmp_path / "mine"))
    assert opened.boxes("train/010002") == [Box("car", 1, 2, 3, 4)]
