"""Augmentations: their laws, what a recipe may say of them, and that seeds alone decide."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from commandline import run, succeed
from test_data_loader import Coordinates

from crossband.blocks.laws import LawBroken
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check, load, read_weights, train
from crossband.recipes.data.augmentation_laws import LAWS, check_laws
from crossband.recipes.data.augmenting import Augmenting
from crossband.recipes.data.loader import Geometry, Scenes, epoch_of, make_loader
from crossband.recipes.data.opening import open_source, training_scenes
from crossband.recipes.kinds.augmentation import augmentation
from crossband.registry import CrossbandError, RegistryError, augmentations

ARGUMENTS: dict[str, dict[str, Any]] = {
    "scale": {"by": [0.5, 2]},
    "rotate": {"degrees": 180},
    "colour": {"brightness": 0.9, "contrast": 0.9, "saturation": 0.9, "hue": 0.5},
    "noise": {"sigma": 1},
    "gain": {"by": [0.1, 5]},
    "offset": {"by": 1},
}
EVERYTHING = """
data:
  augment:
    scale: {by: [0.8, 1.25], chance: 0.5}
    rotate: {degrees: 10}
    colour: {hue: 0.05}
    noise: {sigma: 0.1, bands: [visible, infrared]}
    gain: {by: [0.9, 1.1]}
    offset: {by: 0.05}
"""


@pytest.mark.parametrize("name", list(augmentations))
def test_every_augmentation_keeps_every_law(name: str) -> None:
    tried = check_laws(name, ARGUMENTS[name])
    assert all(count > 0 or law == "aligned" for law, count in tried.items())
    assert (tried["aligned"] > 0) == augmentations[name].moves


BREAKERS: dict[str, tuple[bool, Any]] = {
    "kind": (False, lambda image, rng: image * rng.uniform(1.5, 2)),
    "again": (False, lambda image, rng: torch.rand_like(image)),
    "draws": (False, lambda image, rng: 1 - image),
    "aligned": (True, lambda image, rng: image.roll(int(image.mean() * 100) + rng.integers(2), 2)),
}


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("law", LAWS)
def test_an_augmentation_that_breaks_a_law_is_told_which(law: str) -> None:
    moves, function = BREAKERS[law]

    @augmentation("custom", moves=moves)
    def custom(image: Any, rng: Any) -> Any:
        """Something else."""
        return function(image, rng)

    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by custom on \d"):
        check_laws("custom", laws=[law])


@pytest.mark.usefixtures("scratch")
def test_what_is_no_augmentation_is_refused() -> None:
    with pytest.raises(RegistryError, match="the augmentation `odd` takes `image`, `rng` and keywords\nhint: write"):
        augmentation("odd")(lambda image, rng, strength: image)
    with pytest.raises(CrossbandError, match="no augmentation named `rotat`\nhint: did you mean `rotate`"):
        check_laws("rotat")


def test_rotation_and_scale_go_about_the_middle() -> None:
    image = torch.zeros(1, 9, 9)
    image[0, 4, 1:8] = 1
    quarter = type("Rng", (), {"uniform": lambda self, low, high: 90.0})()
    turned = augmentations["rotate"].factory(image, quarter, degrees=90)
    torch.testing.assert_close(turned, image.transpose(1, 2), atol=1e-5, rtol=0)
    twice = type("Rng", (), {"uniform": lambda self, low, high: float(np.log(2))})()
    larger = augmentations["scale"].factory(image, twice, by=(1, 2))
    assert larger.sum() > 1.5 * image.sum()


def test_formulas_of_values() -> None:
    fixed = type("Rng", (), {"uniform": lambda self, low, high: high})()
    image = torch.full((1, 2, 2), 0.5)
    assert torch.allclose(augmentations["gain"].factory(image, fixed, by=(0.5, 1.5)), torch.tensor(0.75))
    assert torch.allclose(augmentations["offset"].factory(image, fixed, by=0.25), torch.tensor(0.75))


# ---------------------------------------------------------------------- in the loader


def batches(augment: dict[str, Any], workers: int = 0, epoch: int = 0, **options: Any) -> list[dict[str, Any]]:
    scenes = Scenes(Coordinates(), "train", geometry=Geometry(size=8), augment=augment, seed=1, **options)
    return list(epoch_of(make_loader(scenes, batch=2, shuffle=True, workers=workers), epoch))


def same(one: list[dict[str, Any]], other: list[dict[str, Any]], *bands: str) -> bool:
    return all(
        torch.equal(a[band], b[band])
        for a, b in zip(one, other, strict=True)
        for band in bands or ("visible", "infrared")
    )


def test_one_seed_is_one_image_whatever_the_workers() -> None:
    augment = ARGUMENTS | {"noise": {"sigma": 0.3}}
    assert same(batches(augment), batches(augment, workers=1))
    assert not same(batches(augment), batches(augment, epoch=1))
    assert not same(batches(augment), batches({}))


def test_adding_one_changes_no_other() -> None:
    alone = batches({"offset": {"by": 0.2}})
    more = batches({"colour": {}, "noise": {"sigma": 0.1}, "offset": {"by": 0.2}})
    assert same(alone, more, "infrared")
    assert same(batches({}), batches({"noise": {"sigma": 0.3}}), "infrared")
    assert not same(alone, more, "visible")


def test_geometry_is_that_of_the_scene() -> None:
    """Both bands of these scenes have the same numbers in their first channel."""

    class Alike(Coordinates):
        def read(self, name: str, bands: Any = None) -> dict[str, np.ndarray]:
            image = np.random.default_rng(len(name)).random((1, 12, 12)).astype(np.float32)
            every = {"visible": image.repeat(3, 0), "infrared": image}
            return {band: every[band] for band in (every if bands is None else bands)}

    scenes = Scenes(Alike(), "train", augment={"scale": {"by": [0.5, 2]}, "rotate": {"degrees": 90}})
    for at in range(4):
        item = scenes[at]
        torch.testing.assert_close(item["visible"][:1], item["infrared"])
    apart = Scenes(Alike(), "train", augment={"rotate": {"degrees": 90}}, pairing="unpaired")
    assert not torch.allclose(apart[0]["visible"][:1], apart[0]["infrared"])


def test_chance_and_bands() -> None:
    image = torch.rand(1, 8, 8)
    never = Augmenting({"offset": {"by": 0.5, "chance": 0}})
    assert torch.equal(never.changed(image, (0,), "infrared", 1), image)
    done = Augmenting({"offset": {"by": 0.5, "chance": 0.5}})
    found = [torch.equal(done.changed(image, (scene,), "infrared", 1), image) for scene in range(200)]
    assert 60 < sum(found) < 140
    colour = Augmenting({"offset": {"by": 0.5, "bands": ["visible"]}})
    assert torch.equal(colour.changed(image, (0,), "infrared", 1), image)
    assert not torch.equal(colour.changed(image, (0,), "visible", 3), image)


# ---------------------------------------------------------------------- in recipes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.write_files(tmp_path)
    (tmp_path / "mine.yaml").write_text(f"recipe: mine\nextends: paired.yaml{EVERYTHING}", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_run_that_goes_on_is_that_which_never_stopped(folder: Path) -> None:
    settings = ["steps=4", "every.checkpoint=2", "evaluate.metrics=[mae]"]
    train(folder / "mine.yaml", settings=settings, run=folder / "whole", silent=True)
    train(folder / "mine.yaml", settings=[*settings, "steps=2"], run=folder / "half", silent=True)
    recipe = folder / "half" / "recipe.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("steps: 2", "steps: 4"), encoding="utf-8")
    train(resume=folder / "half", silent=True)
    one, other = (read_weights(folder / name / "weights" / "generator.safetensors") for name in ("whole", "half"))
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())
    assert load(folder / "whole").evaluate(silent=True)["mae"].n == 3


def test_test_images_stay_as_they_are(folder: Path) -> None:
    plain, mine = (check(folder / f"{name}.yaml") for name in ("paired", "mine"))
    train(folder / "paired.yaml", settings=["steps=1", "evaluate.metrics=[mae]"], run=folder / "run", silent=True)
    settings = {f"data.augment.{name}": None for name in ARGUMENTS}
    results = [load(folder / "run").evaluate(silent=True).tables["mean image"].summary["mae"].mean]
    model = load(folder / "run", settings=["data.augment={noise: {sigma: 0.5}}"])
    results.append(model.evaluate(silent=True).tables["mean image"].summary["mae"].mean)
    assert results[0] == results[1]
    assert not check(folder / "mine.yaml", [f"{key}=null" for key in settings]).recipe.data.augment
    source = open_source(mine.recipe.data)
    one, other = (training_scenes(each.recipe, source)[0] for each in (plain, mine))
    assert not torch.equal(one["visible"], other["visible"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rotate:", "rotat:", "6:5 E086 no augmentation named `rotat` | did you mean `rotate`?"),
        ("rotate: {degrees: 10}", "flip: {}", "6:5 E086 no augmentation named `flip` | `flip` stands beside `augment`"),
        ("degrees: 10", "degrees: 500", "6:23 E086 rotate: `degrees` must be at most 180, got 500 | None"),
        ("degrees: 10", "degree: 10", None),
        ("degrees: 10", "degrees: 10, bands: [visible]", "6:27 E086 rotate has no parameter `bands` | choose from"),
        ("chance: 0.5", "chance: 2", "5:38 E086 scale: `chance` must be at most 1, got 2 | None"),
        ("[visible, infrared]", "[infared]", "8:33 E070 the data have no band `infared` | did you mean `infrared`?"),
        ("offset: {by: 0.05}", "offset:", "10:5 E086 offset needs the parameter `by` | None"),
    ],
)
def test_mistakes(folder: Path, old: str, new: str, message: str | None) -> None:
    text = (folder / "mine.yaml").read_text("utf-8")
    assert text.count(old) == 1
    (folder / "mine.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidFile) as error:
        check(folder / "mine.yaml")
    found = [
        f"{each.place.mark.line}:{each.place.mark.column} {each.code} {each.message} | {each.hint}"
        for each in error.value.problems
        if each.place and each.place.mark
    ]
    assert found[0].startswith(message or "6:14 E086 rotate has no parameter `degree` | did you mean `degrees`?")


def test_bands_that_are_not_there_are_told(folder: Path) -> None:
    with pytest.raises(InvalidFile, match="`colour` changes bands of 3 channels, and the data have none"):
        check(folder / "mine.yaml", ["data.source={memory: {bands: [visible, infrared], channels: {visible: 1}}}"])


def test_they_are_listed_and_shown(folder: Path) -> None:
    text = succeed("ls", "augmentations")
    assert all(name in text for name in ARGUMENTS)
    assert "where pixels are, alike in all bands" in succeed("show", "rotate")
    assert "rotate(degrees=10)" in succeed("show", folder / "mine.yaml")
    assert run("check", folder / "mine.yaml").exit_code == 0


def test_a_plugin_adds_one(folder: Path) -> None:
    (folder / "own.py").write_text(
        "from crossband import augmentation\n\n\n"
        "@augmentation('invert_sometimes')\n"
        "def invert(image, rng):\n"
        '    """Turn values around, half of the time."""\n'
        "    return 1 - image if rng.random() < 0.5 else image\n",
        encoding="utf-8",
    )
    settings = ["--set", "data.augment={invert_sometimes: {bands: [visible]}}", "--set", "steps=1"]
    succeed("--plugin", folder / "own.py", "train", folder / "paired.yaml", *settings, "--run", folder / "run")
