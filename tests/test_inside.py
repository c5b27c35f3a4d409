"""Figures inside of boxes and by label: the formulas, where boxes are after loading, what is told, and the command."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commandline import succeed
from test_metrics import plain_ssim
from torch import Tensor

import crossband
from crossband import registry
from crossband.recipes.data import Box, DataError, Source, demo
from crossband.recipes.data.geometry import Geometry
from crossband.recipes.data.loader import Scenes
from crossband.recipes.data.opening import in_folder
from crossband.recipes.kinds.source import Band
from crossband.recipes.language.syntax import Data
from crossband.recipes.metrics.evaluation import NEEDS_BOXES, NO_BOX, Evaluation
from crossband.recipes.metrics.regions import INSIDE, mask_of
from crossband.recipes.metrics.results import Results, together
from crossband.recipes.model.looking import boxes_of, divided, look_inside
from crossband.recipes.reporting.pictures import magnified


def images(seed: int = 0, size: tuple[int, int] = (24, 30)) -> tuple[np.ndarray, np.ndarray]:
    target = np.random.default_rng(seed).random(size)
    return np.clip(target + np.random.default_rng(seed + 1).normal(0, 0.2, size), 0, 1), target


def batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image)[None, None]


# ---------------------------------------------------------------- formulas


def michelson(image: np.ndarray, inside: np.ndarray) -> float:
    a, b = image[inside].mean(), image[~inside].mean()
    return (a - b) / (a + b)


def ssim_map(output: np.ndarray, target: np.ndarray) -> np.ndarray:
    """That of each window alone, where it has a place."""
    whole = np.full(output.shape, np.nan)
    for y in range(output.shape[0] - 10):
        for x in range(output.shape[1] - 10):
            window = slice(y, y + 11), slice(x, x + 11)
            whole[y + 5, x + 5] = plain_ssim(output[window], target[window])[0]
    return whole


FORMULAS: dict[str, Callable[..., Any]] = {
    "mae_inside": lambda o, t, m: np.abs(o - t)[m].mean(),
    "mae_outside": lambda o, t, m: np.abs(o - t)[~m].mean(),
    "ssim_inside": lambda o, t, m: np.nanmean(ssim_map(o, t)[m]),
    "ssim_outside": lambda o, t, m: np.nanmean(ssim_map(o, t)[~m]),
    "contrast": lambda o, t, m: michelson(o, m),
    "contrast_real": lambda o, t, m: michelson(t, m),
    "contrast_error": lambda o, t, m: abs(michelson(o, m) - michelson(t, m)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_each_agrees_with_its_formula(name: str):
    output, target = images()
    mask = mask_of([Box("a", 3, 2, 9, 11), Box("b", 8, 9, 20, 4)], 24, 30)
    wanted = FORMULAS[name](output, target, mask[0, 0].numpy())
    found = registry.metrics[name].factory(batch(output), batch(target), mask)
    assert found.tolist() == pytest.approx([wanted], rel=1e-9)


def test_inside_and_outside_are_the_whole():
    output, target = images()
    mask = mask_of([Box("a", 3, 2, 9, 11)], 24, 30)
    share = mask.double().mean().item()
    inside, outside = (registry.metrics[name].factory(batch(output), batch(target), mask).item() for name in INSIDE[:2])
    assert share * inside + (1 - share) * outside == pytest.approx(np.abs(output - target).mean(), rel=1e-12)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        (Box("a", 2, 1, 3, 2), (1, 3), (2, 5)),
        (Box("a", 2.4, 1.6, 3, 2), (2, 4), (2, 5)),  # the pixels whose centres are inside
        (Box("a", 2.6, 1.2, 0.2, 0.2), (1, 2), (2, 3)),  # none is: the one that it lies in
        (Box("a", -4, -2, 7, 100), (0, 6), (0, 3)),
        (Box("a", 7.9, 5.9, 3, 3), (5, 6), (7, 8)),
    ],
)
def test_a_mask_has_the_pixels_of_a_box(box: Box, rows: tuple[int, int], columns: tuple[int, int]):
    wanted = torch.zeros(1, 1, 6, 8, dtype=torch.bool)
    wanted[..., slice(*rows), slice(*columns)] = True
    assert torch.equal(mask_of([box], 6, 8), wanted)


def test_images_without_a_box_are_left_out_and_counted():
    evaluation = Evaluation(("mae", "mae_inside", "contrast"))
    output, target = map(batch, images())
    evaluation.update(output, target, ["a"], None, mask_of([Box("a", 3, 2, 9, 11)], 24, 30))
    evaluation.update(output, target, ["b"], None, mask_of([], 24, 30))
    table = evaluation.table()
    assert (table.summary["mae"].n, table.summary["mae_inside"].n) == (2, 1)
    assert table.notes["mae_inside"] == f"1 of 2 images left out: {NO_BOX}"


def test_without_boxes_it_is_absent_and_says_what_it_needs():
    evaluation = Evaluation(("mae", "mae_inside"))
    output, target = map(batch, images())
    evaluation.update(output, target, ["a"])
    assert evaluation.table().absent == {"mae_inside": NEEDS_BOXES}


# ---------------------------------------------------------------- after loading


class Squares(Source):
    """Black images of 40x60 with a white rectangle, whose box is told; half of them by night."""

    BOX = Box("square", 22, 12, 8, 12)

    def __init__(self, **told: Any) -> None:
        self.bands = {"visible": Band(3), "infrared": Band(1)}
        self.splits = {"train": ["0"], "test": ["1", "2", "3"]}
        self.told = told

    def read(self, name: str, bands: Any = None) -> dict[str, np.ndarray]:
        image = np.zeros((40, 60), np.uint8)
        image[12:24, 22:30] = 255
        return {band: np.repeat(image[None], self.bands[band].channels, 0) for band in bands or self.bands}

    def labels(self, name: str) -> dict[str, str]:
        return {} if name == "3" else {"subset": ("day", "night")[int(name) % 2]}

    def boxes(self, name: str) -> list[Box] | None:
        return self.told.get(name, [self.BOX])


@pytest.mark.parametrize("load", [None, 40, (80, 120), (20, 90)])
@pytest.mark.parametrize("size", [None, 16, (20, 38)])
@pytest.mark.parametrize("options", [{"crop": "centre"}, {"flip": True, "flip_vertical": True}], ids=str)
def test_boxes_land_on_what_they_are_around(load: Any, size: Any, options: Any):
    geometry, source = Geometry(load, size, **options), Squares()
    for seed in range(4):
        image = geometry.apply(source.read("1")["infrared"], np.random.default_rng(seed))[0].double() / 255
        [box] = geometry.boxes([source.BOX], (40, 60), np.random.default_rng(seed))
        height, width = image.shape
        if (part := box.clipped(height, width)) is None:
            assert image.mean() < 0.02
            continue
        assert image.sum().item() == pytest.approx(part.width * part.height, rel=0.12, abs=3)
        left, top, right, bottom = part.x, part.y, part.x + part.width, part.y + part.height
        rows, columns = torch.nonzero(image > 0.5, as_tuple=True)
        if len(rows) and min(part.width, part.height) > 2:
            found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert [each.item() for each in found] == pytest.approx([left, top, right, bottom], abs=1)


def test_boxes_that_leave_their_image_are_cut_and_counted():
    told = {"1": [Box("a", -4, 0, 10, 8), Box("b", 1, 1, 2, 2)], "2": [Box("a", 70, 0, 9, 9)], "3": None}
    scenes = Scenes(Squares(**told), "test", geometry=Geometry(load=(20, 30)))
    looked = look_inside(scenes, scenes.names, ["a"])
    assert looked.boxes == {"1": [Box("a", 0, 0, 3, 4)], "2": []}
    assert looked.notes == (
        "Inside: boxes of a, 1 in 1 of 3 images; 1 have no such box; of 1 nobody has said what is in them.",
        "Inside: 1 of these boxes reach beyond their image, and are cut at its edge.",
        "Inside: 1 more lie outside of their image, and are left out.",
    )
    assert boxes_of(scenes, "3", ["a"]) == []


def test_labels_that_are_not_there_are_answered_with_those_that_are():
    scenes = Scenes(Squares(), "test")
    with pytest.raises(DataError, match=r"no box of these images is called `sqare`\nhint: there are `square` \(3\)"):
        look_inside(scenes, scenes.names, ["square", "sqare"])
    with pytest.raises(DataError, match=r"these images have no label `subst`\nhint: did you mean `subset`\?"):
        divided(scenes, scenes.names, "subst")
    silent = Scenes(Squares(**dict.fromkeys("123")), "test")
    with pytest.raises(DataError, match=r"these images tell of no boxes\nhint: `pairs` takes them"):
        look_inside(silent, silent.names, ["person"])


def test_scenes_are_divided_by_a_label():
    scenes = Scenes(Squares(), "test")
    assert divided(scenes, scenes.names, "subset") == {"day": ["2"], "night": ["1"]}


# ---------------------------------------------------------------- subsets in results


def of(*names: str) -> Evaluation:
    evaluation = Evaluation(("mae",))
    for seed, name in enumerate(names):
        output, target = map(batch, images(seed))
        evaluation.update(output, target, [name])
    return evaluation


def divided_results(run: str) -> Results:
    whole = of("a", "b", "c")
    parts = {
        value: Results.of({run: whole.table(names)}) for value, names in {"day": ["a", "c"], "night": ["b"]}.items()
    }
    return replace(Results.of({run: whole.table()}), by="subset", subsets=parts)


def test_a_part_of_the_images_has_the_figures_of_these_images_alone():
    whole = of("a", "b", "c")
    rows = whole.table().images
    assert whole.table(["a", "c"]).summary["mae"].mean == pytest.approx((rows["a"]["mae"] + rows["c"]["mae"]) / 2)  # type: ignore[operator]
    assert [*whole.table(["b"]).images] == ["b"]


def test_each_subset_is_printed_and_told():
    results = divided_results("net")
    text = str(results)
    assert (
        text.index("| MAE") < text.index("**subset: day**, 2 images: fewer than 20") < text.index("**subset: night**")
    )
    told = results.as_dict()
    assert (told["by"], [*told["subsets"]]) == ("subset", ["day", "night"])
    assert told["subsets"]["night"]["systems"]["net"]["summary"]["mae"]["n"] == 1


def test_subsets_of_several_runs_stand_side_by_side():
    results = together({"one": divided_results("net"), "two": divided_results("net")})
    assert [*results.subsets["day"].tables] == ["one", "two"]
    assert ("two", "one") in results.subsets["day"].differences


# ---------------------------------------------------------------- the picture, and the whole


def test_the_largest_boxes_follow_their_image():
    image = torch.rand(1, 40, 60)
    boxes = [Box("small", 1, 1, 4, 4), Box("wide", 20, 10, 20, 16), Box("tall", 50, 0, 10, 30)]
    columns, captions = magnified({"input": [image], "target": [image]}, ["first"], [boxes])
    assert captions == ["first", "wide, 20x16 at 20, 10", "tall, 10x30 at 50, 0"]
    assert [tuple(each.shape) for each in columns["target"]] == [(1, 40, 60), (1, 30, 30), (1, 40, 45)]
    assert torch.equal(columns["input"][1], image[:, 3:33, 15:45])


RECIPE = """
recipe: looked
task: {from: visible, to: infrared}
networks: {generator: {graph: unet, params: {width: 2, out: =target_channels}, fit: pad}}
flow: {fake: generator(source)}
losses: {pixel: {l1: [fake, target]}}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {demo: {size: 72, train: 2, test: 6}}}
steps: 1
evaluate: {metrics: [mae, psnr], inside: [person, car], by: subset}
"""


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("looked")
    (folder / "looked.yaml").write_text(RECIPE)
    crossband.train(folder / "looked.yaml", run=folder / "run", silent=True)
    return folder / "run"


def test_a_recipe_may_ask_for_it(run: Path):
    table = json.loads((run / "evaluation.json").read_text())["looked"]
    assert {*INSIDE} <= {*table["summary"]}
    assert "**subset: " in (run / "report.md").read_text()


def test_the_command_measures_inside_and_by(run: Path, tmp_path: Path):
    sheet, picture = tmp_path / "x.csv", tmp_path / "x.png"
    options = ("--inside", "person", "--by", "subset", "--csv", str(sheet), "--picture", str(picture), "--order", "mae")
    printed = succeed("evaluate", run, *options)
    assert "| MAE inside ↓" in printed
    assert "**subset: day**" in printed
    assert "Inside: boxes of person, " in printed
    with sheet.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    opened = demo(size=72, train=2, test=6)
    assert {row["image"]: row["subset"] for row in rows} == {
        name: opened.labels(name)["subset"] for name in opened.splits["test"]
    }
    assert picture.is_file()


def test_from_python(run: Path):
    model = crossband.load(run)
    results = model.evaluate(inside=["car"], by="subset", metrics=["mae"], silent=True)
    assert [*results] == ["mae", *INSIDE]
    assert sum(len(part.table.images) for part in results.subsets.values()) == 6
    assert {*results.subsets} <= {"day", "night"}
    with pytest.raises(DataError, match=r"no box of these images is called `cat`\nhint: there are `"):
        model.evaluate(inside=["cat"], silent=True)
    with pytest.raises(DataError, match="these images have no label `place`"):
        model.evaluate(by="place", silent=True)


def test_a_recipe_whose_images_tell_nothing_is_measured_all_the_same(run: Path):
    results = crossband.load(run).evaluate(Squares(**dict.fromkeys("123")), silent=True)
    assert not results.table.absent
    assert "Nothing was measured inside of boxes: these images tell of no boxes." in results.warnings


def test_what_was_told_of_one_folder_is_not_taken_for_another():
    arguments = {"folder": "one", "boxes": "one.json", "table": "one.csv", "labels": ["subset"]}
    [kept] = in_folder(Data("pairs", arguments, {}), "two").values()
    assert kept == {"folder": str(Path("two").resolve()), "labels": ["subset"]}
