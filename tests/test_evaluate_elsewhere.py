"""A run, and weights alone, on images that are not those of the run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import run, succeed
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import PAIRED, write_files

import crossband
from crossband.recipes.basics.readback import Damaged
from crossband.recipes.data import write_image
from crossband.recipes.model.weights import save_weights

MEAN = "mean_images.safetensors"


def photos(folder: Path, count: int, *, seed: int, size: tuple[int, int] = (20, 24), **names: str) -> Path:
    """A folder of pairs, in a subfolder for each band; `names` have the patterns of the files of bands."""
    chance = np.random.default_rng(seed)
    for band, depth in (("visible", (3,)), ("infrared", ())):
        (folder / band).mkdir(parents=True)
        for number in range(count):
            pixels = chance.integers(0, 255, (*size, *depth)).astype(np.uint8)
            file = names.get(band, "{name}").format(name=f"{number:02}")
            Image.fromarray(pixels).save(folder / band / f"{file}.png")
    return folder


RECIPE = PAIRED.replace(
    "{demo: {train: 10, test: 3, size: 24}}", "{pairs: {folder: photos, split: {test: {from: 09, to: 11}}}}"
).replace("steps: 8", "steps: 1") + ("paper: {source: fan2025, table: a table, data: photos, values: {psnr: 30}}\n")


@pytest.fixture(name="work", scope="module")
def _work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with photos, a run trained on them, other photos, and the weights of the run alone."""
    folder = tmp_path_factory.mktemp("work")
    photos(folder / "photos", 12, seed=0)
    photos(folder / "other", 2, seed=1, size=(30, 17))
    write_files(folder, mine=RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        succeed("train", "mine.yaml", "--run", "run")
        shutil.copy("run/weights/generator.safetensors", "alone.safetensors")
        yield folder


def measured(*arguments: str | Path) -> dict[str, dict[str, float]]:
    """The means of MAE by system, and how many images there were."""
    found = json.loads(succeed("evaluate", *arguments, "--json", "--metrics", "mae"))
    return {name: each["summary"]["mae"] for name, each in found["systems"].items()}


def test_of_another_folder_all_images_are_measured(work: Path) -> None:
    """Also where the rule of the recipe takes none of them; the mean image is that of the run's own training set."""
    found = measured("run", "--data", "other")
    assert {name: each["n"] for name, each in found.items()} == {"paired": 2, "grey copy": 2, "mean image": 2}
    own = [np.asarray(Image.open(work / "photos" / "infrared" / f"{at:02}.png")) / 255 for at in range(9)]
    kept = load_file(work / "run" / MEAN)["infrared"]
    np.testing.assert_allclose(kept.numpy()[0], np.mean(own, axis=0), atol=1e-6)
    text = succeed("evaluate", "run", "--data", "other")
    assert "All 2 images of other are measured." in text
    assert "cannot be compared with" in text  # the figures of the paper
    assert "measured on other" in text
    asked = run("evaluate", "run", "--data", "other", "--split", "test")
    assert "the split `test` is empty" in asked.output


def test_a_folder_that_is_not_there_is_named_once(work: Path) -> None:
    for what in ("run", "alone.safetensors"):
        assert run("evaluate", what, "--data", "othr").output == "othr: no such folder\nhint: did you mean `other`?\n"


def test_an_older_run_makes_the_mean_image_of_its_own_images(work: Path, tmp_path: Path) -> None:
    wanted = measured("run", "--data", "other")
    shutil.copytree(work / "run", tmp_path / "run")
    (tmp_path / "run" / MEAN).unlink()
    found = measured(tmp_path / "run", "--data", "other")
    assert found["mean image"]["mean"] == pytest.approx(wanted["mean image"]["mean"], abs=1e-6)
    recipe = tmp_path / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(work / "photos"), str(tmp_path / "gone")))
    text = succeed("evaluate", tmp_path / "run", "--data", "other")
    assert "this one keeps none, and its images are no longer in their place" in text
    assert list(measured(tmp_path / "run", "--data", "other")) == ["paired", "grey copy"]


def test_the_images_of_the_run_are_known_again(work: Path, tmp_path: Path) -> None:
    """Those that it was trained on are not measured, wherever they lie by now."""
    wanted = measured("run")
    assert wanted["paired"]["n"] == 3
    shutil.copytree(work / "photos", tmp_path / "moved")
    assert measured("run", "--data", "photos") == measured("run", "--data", tmp_path / "moved") == wanted
    assert measured("run", "--split", "all")["paired"]["n"] == 12


def test_a_limit_of_the_recipe_is_not_of_other_images(work: Path) -> None:
    shutil.copytree("run", "short")
    file = work / "short" / "recipe.yaml"
    file.write_text(file.read_text().replace("evaluate: {", "evaluate: {images: 1, "))
    assert measured("short")["paired"]["n"] == 1
    assert measured("short", "--data", "other")["paired"]["n"] == 2
    text = succeed("evaluate", "short", "--data", "other", "--set", "evaluate.images=1")
    assert "The first 1 of 2 images of other are measured." in text


def test_other_images_are_read_as_they_are(tmp_path: Path, work: Path) -> None:
    """By their plain names, where those of the run are called otherwise; and by how a setting says to read them."""
    photos(tmp_path / "named", 3, seed=2, infrared="ir_{name}")
    own = "data.source={pairs: {names: {infrared: 'ir_{name}'}}}"
    failed = run("evaluate", "run", "--data", tmp_path / "named")
    assert "no visible and infrared image have one name" in failed.output
    assert "`--set 'data.source={pairs: {KEY: VALUE}}'` says how to read other images" in failed.output
    assert measured("run", "--data", tmp_path / "named", "--set", own)["paired"]["n"] == 3
    assert measured("run", "--data", "other", "--set", own)["paired"]["n"] == 2
    odd = run("evaluate", "run", "--data", "other", "--set", "data.source={pairs: {nmes: {}}}")
    assert "takes no key `nmes`" in odd.output or "no parameter `nmes`" in odd.output


def test_images_that_use_little_of_their_scale_are_refused(tmp_path: Path, work: Path) -> None:
    photos(tmp_path / "counts", 2, seed=3)
    for file in (tmp_path / "counts" / "infrared").iterdir():
        pixels = np.asarray(Image.open(file)).astype(np.uint16) + 20_000
        write_image(file, pixels[..., None], 16)
    failed = run("evaluate", "run", "--data", tmp_path / "counts")
    assert failed.exit_code == 1
    assert "infrared uses 0.39% of 16 bits, by 2 images" in failed.output
    assert "--set 'data.source={pairs: {range: ...}}'" in failed.output
    scale = "data.source={pairs: {range: {infrared: [20000, 20300]}}}"
    assert measured("run", "--data", tmp_path / "counts", "--set", scale)["paired"]["n"] == 2


def test_weights_alone_are_measured_on_any_pairs(work: Path, tmp_path: Path) -> None:
    wanted = measured("run", "--data", "other")
    file = work / "alone.safetensors"
    assert measured(file, "--data", "other") == {"alone": wanted["paired"], "grey copy": wanted["grey copy"]}
    assert "these weights lie in the folder of none" in succeed("evaluate", file, "--data", "other")
    model = crossband.load(file)
    bands = {band: work / "other" / band for band in ("visible", "infrared")}
    for data in ("other", bands):
        assert model.evaluate(data, metrics="mae", silent=True)["mae"].mean == wanted["paired"]["mean"]
    words = [f"data.source.pairs.{band}={path}" for band, path in bands.items()]
    by_setting = [part for word in words for part in ("--set", word)]
    assert measured(file, *by_setting)["alone"] == wanted["paired"]
    assert measured(file, "--data", "other", "--set", "evaluate.images=1")["alone"]["n"] == 1
    picture = tmp_path / "picture.png"
    succeed("evaluate", file, "--data", "other", "--picture", picture, "--rows", "2")
    assert picture.is_file()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed=1", "there is no recipe to `--set` anything of, as `seed=1`"),
        ("data.source.pear.folder=x", "pear"),
        ("data.source.pairs.nmes=3", "nmes"),
        ("data.size=3", "size"),
        ("evaluate.lod=3", "lod"),
    ],
)
def test_what_weights_alone_cannot_be_told(work: Path, setting: str, message: str) -> None:
    found = run("evaluate", "alone.safetensors", "--data", "other", "--set", setting)
    assert found.exit_code == 1, found.output
    assert message in found.output


def test_weights_keep_the_size_of_test_images(work: Path) -> None:
    write_files(work, sized=RECIPE.replace("size: 16", "size: 16, load: 18"))
    succeed("train", "sized.yaml", "--run", "sized")
    shutil.copy("sized/weights/generator.safetensors", "sized.safetensors")
    wanted, found = (measured(each, "--data", "other") for each in ("sized", "sized.safetensors"))
    assert found["grey copy"] == wanted["grey copy"]


def test_weights_that_say_no_task_ask_for_it(work: Path) -> None:
    network = crossband.build("u2netp", {"out": 1})
    save_weights("bare.safetensors", network, {})
    asked = run("evaluate", "bare.safetensors", "--data", "other")
    assert "say it: `--set 'task={from: visible, to: infrared}'`" in asked.output
    assert measured("bare.safetensors", "--data", "other", "--set", "task={from: visible, to: infrared}")


@pytest.mark.parametrize(
    ("tensors", "metadata", "words"),
    [
        ({"infrared": torch.zeros(4, 4)}, "{}", "must be a tensor of"),
        ({"infrared": torch.zeros(2, 4, 4)}, "{}", "`infrared` is no image in [0, 1]"),
        ({"infrared": torch.full((1, 4, 4), float("nan"))}, "{}", "`infrared` is no image in [0, 1]"),
        ({"infrared": torch.zeros(1, 4, 4, dtype=torch.int8)}, "{}", "must be a tensor of a floating-point type"),
        ({"infrared": torch.zeros(1, 4, 4)}, '{"images": 3}', "`images` must be"),
        ({"infrared": torch.zeros(1, 4, 4)}, "[", "not JSON"),
        (None, "", "no file of mean images, or damaged"),
    ],
)
def test_damaged_mean_images_are_refused(
    work: Path, tmp_path: Path, tensors: dict[str, torch.Tensor] | None, metadata: str, words: str
) -> None:
    shutil.copytree(work / "run", tmp_path / "run")
    file = tmp_path / "run" / MEAN
    if tensors is None:
        file.write_bytes(b"nothing")
    else:
        save_file(tensors, file, {"crossband": metadata})
    with pytest.raises(Damaged) as caught:
        crossband.load(tmp_path / "run").evaluate("other", metrics="mae", silent=True)
    assert words in caught.value.message
    assert caught.value.hint == "remove it: the mean image is then made of the images of the run anew"
