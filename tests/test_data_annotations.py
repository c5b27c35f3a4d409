"""What is told of scenes: boxes in COCO's, VOC's and bbGt's files, labels by folders and in tables, and what is wrong."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_data_published import voc, write

from crossband.recipes.data import Box, DataError, demo, folders, pairs, write_image
from crossband.recipes.data.annotations import read_bbgt, read_coco, read_voc
from crossband.registry import ArgumentError

SIZE = (6, 8)


def images(folder: Path, *names: str) -> str:
    for name in names:
        for band, channels in (("visible", 3), ("infrared", 1)):
            path = folder / band / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, np.full((*SIZE, channels), 7, np.uint8))
    return str(folder)


COCO: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "a/0001.jpg", "height": 6, "width": 8},
        {"id": 2, "file_name": "0002.png"},
        {"id": 3, "file_name": "elsewhere.png"},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 7, "name": "car"}],
    "annotations": [
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3.5, 4], "iscrowd": 0},
        {"image_id": 1, "category_id": 7, "bbox": [-2, 0, 4, 3]},
    ],
}


def test_coco_is_one_file(tmp_path: Path):
    folder = images(tmp_path / "data", "a/0001", "b/0001", "b/0002", "c")
    write(tmp_path / "boxes.json", json.dumps(COCO))
    opened = pairs(folder=folder, boxes=str(tmp_path / "boxes.json"))
    for source in (opened, pickle.loads(pickle.dumps(opened))):
        assert source.boxes("a/0001") == [Box("person", 1, 2, 3.5, 4), Box("car", -2, 0, 4, 3)]
        assert source.boxes("b/0001") is None  # there is another 0001
        assert source.boxes("b/0002") == []
        assert source.boxes("c") is None


def test_voc_lies_beside_the_images_or_in_a_folder(tmp_path: Path):
    folder = images(tmp_path / "data", "a/0001", "b/0001", "b/0002")
    write(tmp_path / "data/visible/a/0001.xml", voc("person", 1, 2, 4, 6))
    beside = pairs(folder=folder, boxes=str(tmp_path / "data/visible"))
    assert beside.boxes("a/0001") == [Box("person", 1, 2, 3, 4)]
    assert beside.boxes("b/0001") is None
    write(tmp_path / "boxes/0002.xml", voc("car", 0, 0, 8, 6))
    write(tmp_path / "boxes/0001.xml", voc("car", 0, 0, 8, 6))  # of which scene nobody knows
    apart = pairs(folder=folder, boxes=str(tmp_path / "boxes"))
    assert [apart.boxes(name) for name in ("b/0002", "b/0001")] == [[Box("car", 0, 0, 8, 6)], None]


def test_an_image_is_called_by_its_own_file_too(tmp_path: Path):
    for name in ("r_vis.png", "r_ir.png", "s_vis.png", "s_ir.png"):
        (tmp_path / "data").mkdir(exist_ok=True)
        write_image(tmp_path / "data" / name, np.full((*SIZE, 3), 7, np.uint8))
    write(tmp_path / "data/s_ir.xml", voc("person", 1, 2, 4, 6))
    data, suffix = str(tmp_path / "data"), {"visible": "_vis", "infrared": "_ir"}
    opened = pairs(visible=data, infrared=data, suffix=suffix, boxes=data)
    assert opened.boxes("s") == [Box("person", 1, 2, 3, 4)]


def test_aligned_pairs_of_folders_have_boxes_and_labels(tmp_path: Path):
    images(tmp_path / "train", "day/1")
    images(tmp_path / "test", "day/1", "night/2")
    write(tmp_path / "boxes/day/1.xml", voc("person", 1, 2, 4, 6))
    visible, infrared = (str(tmp_path / "train" / band) for band in ("visible", "infrared"))
    test, boxes = str(tmp_path / "test"), str(tmp_path / "boxes")
    opened = folders(visible=visible, infrared=infrared, test=test, boxes=boxes, labels=["subset"])
    assert opened.boxes("test/day/1") == [Box("person", 1, 2, 3, 4)]
    assert opened.labels("test/night/2") == {"subset": "night"}


def test_labels_come_from_folders_and_from_a_table(tmp_path: Path):
    folder = images(tmp_path / "data", "set00/x/day/1", "set01/x/night/2", "3")
    write(tmp_path / "scenes.csv", "\ufeffscene,subset,weather\nset00/x/day/1,dusk,rain\n3,,fog\n")
    opened = pairs(folder=folder, labels=["place", "_", "subset"], table=str(tmp_path / "scenes.csv"))
    assert opened.labels("set00/x/day/1") == {"place": "set00", "subset": "dusk", "weather": "rain"}
    assert opened.labels("set01/x/night/2") == {"place": "set01", "subset": "night"}
    assert opened.labels("3") == {"weather": "fog"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: its first line names the columns, one of them `scene`"),
        ("name,subset\n", ":1: its first line names the columns"),
        ("scene,subset\n1,day,rain\n", ":2: 3 cells for 2 columns"),
        ("scene,subset\n1,day\n1,night\n", ":3: the scene `1` has a line already"),
        ('scene,subset\n1,"day\n', ": no CSV: "),
    ],
)
def test_a_table_that_is_wrong_is_answered_with_the_line(text: str, words: str, tmp_path: Path):
    write(tmp_path / "scenes.csv", text)
    opened = pairs(folder=images(tmp_path, "1", "2"), table=str(tmp_path / "scenes.csv"))
    with pytest.raises(DataError, match=rf"scenes\.csv.*{words}"):
        opened.labels("1")


def test_places_that_are_not_there_are_refused_at_once(tmp_path: Path):
    folder = images(tmp_path, "1", "2")
    with pytest.raises(DataError, match="pairs: `boxes`: nowhere: no such file or folder"):
        pairs(folder=folder, boxes="nowhere")
    with pytest.raises(DataError, match=r"is neither a folder nor a `\.json` file\nhint: `boxes` is a COCO file"):
        pairs(folder=folder, boxes=str(tmp_path / "visible/1.png"))
    with pytest.raises(DataError, match="pairs: `table`: nowhere: no such file"):
        pairs(folder=folder, table="nowhere")
    with pytest.raises(ArgumentError, match="`labels` names each folder once"):
        pairs(folder=folder, labels=["a", "a"])


def changed(**entries: Any) -> str:
    return json.dumps(COCO | entries)


def boxed(*box: Any) -> str:
    return changed(annotations=[COCO["annotations"][0], {"image_id": 1, "category_id": 1, "bbox": list(box)}])


BOMB = """<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>
<annotation><object><name>&c;</name></object></annotation>"""
WRONG: list[tuple[str, str, str]] = [
    ("x.json", "{", r"x\.json:1:2: no JSON: "),
    ("x.json", "[" * 100_000, r"x\.json: no JSON: "),
    ("x.json", "[]", r"x\.json: it has no list `categories`\nhint: COCO files have"),
    ("x.json", changed(images={}), r"x\.json: it has no list `images`"),
    ("x.json", changed(images=[3]), r"x\.json: images\[0\] has no `id`"),
    ("x.json", changed(images=[{"id": [], "file_name": "a"}]), r"images\[0\]: `id` is \[\], neither text nor"),
    ("x.json", changed(categories=[]), r"annotations\[0\]: there is no category with the `id` 1"),
    ("x.json", changed(images=[]), r"annotations\[0\]: there is no image with the `id` 1"),
    ("x.json", boxed(1, 2, 3), r"annotations\[1\]: `bbox` is \[left, top, width, height\], not \[1, 2, 3\]"),
    ("x.json", boxed(1, 2, 3, "4"), r"annotations\[1\]: a box of `person` has sides that are no numbers"),
    ("x.json", boxed(1, 2, 3, True), "has sides that are no numbers"),
    ("x.json", boxed(1, 2, 3, 10**400), "has sides that are no numbers"),
    ("x.json", boxed(1, 2, 3, float("nan")), r"x\.json: no JSON: `NaN` is no number"),
    ("x.json", boxed(1, 2, 0, 4), r"annotations\[1\]: a box of `person` is empty: 0 wide and 4 high"),
    ("x.xml", "<annotation>", r"x\.xml:1:13: no XML: no element found"),
    ("x.xml", BOMB, r"x\.xml:1: a document type, which annotations do not need"),
    ("x.xml", voc("person", 1, 2, 1, 6), r"x\.xml:4: a box of `person` is empty: 0 wide and 4 high"),
    (
        "x.xml",
        voc("person", 1, 2, 4, 6).replace(">4<", ">four<"),
        r"x\.xml:4: a side of a box is no number: 1, 2, four",
    ),
    ("x.xml", voc("", 1, 2, 4, 6), r"x\.xml:4: the object above has no `name`"),
    ("x.xml", voc("a", 1, 2, 4, 6).replace("ymin", "top"), r"x\.xml:4: the object above has no `ymin`"),
    ("x.txt", "person 1 2 3\n", r"x\.txt:1: a line is `LABEL LEFT TOP WIDTH HEIGHT \.\.\.`, not `person 1 2 3`"),
    ("x.txt", "% bbGt\n0 0.5 0.5 0.1 0.1\n", r"x\.txt:2: a line is `LABEL LEFT"),
    ("x.txt", "person 1 2 nan 3\n", r"x\.txt:1: a box of `person` has sides that are no numbers"),
    ("x.txt", "person 1 2 x 3\n", r"x\.txt:1: a side of a box is no number"),
]
READERS = {".json": read_coco, ".xml": read_voc, ".txt": read_bbgt}


@pytest.mark.parametrize(("name", "text", "words"), WRONG)
def test_annotations_that_are_wrong_are_answered_with_the_place(name: str, text: str, words: str, tmp_path: Path):
    write(tmp_path / name, text)
    with pytest.raises(DataError, match=words):
        READERS[Path(name).suffix](tmp_path / name)


def test_boxes_of_an_image_of_another_size_are_refused(tmp_path: Path):
    write(tmp_path / "boxes/1.xml", voc("car", 1, 2, 4, 6, size=(12, 16)))
    write(tmp_path / "boxes/2.xml", voc("car", 1, 2, 4, 6, size=(0, 0)))  # some programs do not know it
    opened = pairs(folder=images(tmp_path, "1", "2"), boxes=str(tmp_path / "boxes"))
    with pytest.raises(DataError, match=r"1\.xml: its boxes are of an image of 12x16 pixels, and `1` has 6x8"):
        opened.boxes("1")
    assert opened.boxes("2") == [Box("car", 1, 2, 3, 4)]


def test_the_demo_tells_of_day_and_night_and_marks_what_is_warm():
    opened = demo(size=64, train=1, test=24)
    nights = [name for name in opened.splits["test"] if opened.labels(name)["subset"] == "night"]
    assert 0 < len(nights) < 24
    bright = {name: opened.read(name)["visible"].mean() for name in opened.splits["test"]}
    assert max(bright[name] for name in nights) < min(bright[name] for name in bright if name not in nights)
    warmer = []
    for name in opened.splits["test"]:
        image = opened.read(name)["infrared"][0].astype(float)
        for box in opened.boxes(name):
            assert box.label in ("person", "car")
            if box.label == "person" and box.width > 3:
                rows, columns = (slice(int(at), int(at + of)) for at, of in ((box.y, box.height), (box.x, box.width)))
                warmer.append(image[rows, columns].mean() > image.mean())
    assert len(warmer) > 10
    assert np.mean(warmer) > 0.9
