"""More than two bands by name, several inputs of a network, and how files of several bands are named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commandline import run, succeed

import crossband
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check, load, load_recipe, read_weights, train
from crossband.recipes.data import DataError, folders, pairs, read_image, write_image
from crossband.recipes.data.laws import check_laws
from crossband.recipes.data.loader import Geometry, Scenes, epoch_of, make_loader
from crossband.recipes.data.naming import expression, name_in, proposed
from crossband.registry import CrossbandError, sources

CHANNELS = {"visible": 3, "near": 1, "long": 1}
TWO = """
graph: two
params: {colours: 3}
inputs: {colour: [=colours, H, W], near: [1, H, W]}
nodes:
  one: {from: colour, Conv: {out: 4}}
  other: {from: near, Conv: {out: 4}}
  result: {from: [one, other], do: [Add, ReLU, {Conv: {out: 1}}, Sigmoid]}
outputs: {result: [1, H, W]}
"""
PLAIN = """
graph: plain
params: {channels: 3, out: 1}
inputs: {image: [=channels, H, W]}
nodes: {result: [{Conv: {out: =out}}, Sigmoid]}
outputs: {result: [=out, H, W]}
"""
RECIPE = """
recipe: three
task: {from: [visible, near], to: long}
networks: {generator: {graph: two.yaml, params: {colours: =visible_channels}}}
flow: {fake: "generator(visible, near)"}
losses: {pixel: {l1: [fake, target]}}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {pairs: {folder: data, bands: [visible, near, long]}}, size: 16, flip: true, batch: 2}
steps: 2
evaluate: {metrics: [mae, psnr]}
"""
STACKED = (
    RECIPE.replace("two.yaml", "plain.yaml")
    .replace("colours: =visible_channels", "channels: =source_channels")
    .replace('"generator(visible, near)"', "generator(source)")
)
UNPAIRED = STACKED.replace("to: long}", "to: long, pairing: unpaired}").replace("l1: [fake, target]", "tv: fake")
SIZE = (16, 20)


def picture(channels: int, seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), np.uint8)


def write(folder: Path, names: Mapping[str, str], count: int = 5) -> Path:
    """Scenes `a0`, `a1`, ... of bands, whose files are called by a pattern, in a folder for each band."""
    for number, (band, pattern) in enumerate(names.items()):
        (folder / band).mkdir(parents=True, exist_ok=True)
        for at in range(count):
            image = picture(CHANNELS.get(band, 1), 100 * number + at)
            write_image(folder / band / f"{pattern.replace('{name}', f'a{at}')}.png", image)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe over three bands, of a network of two inputs and of one over both, and a run of each."""
    folder = tmp_path_factory.mktemp("bands")
    texts = {"two": TWO, "plain": PLAIN, "three": RECIPE, "stacked": STACKED, "unpaired": UNPAIRED}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
    write(folder / "data", dict.fromkeys(CHANNELS, "{name}"))
    for name in ("three", "stacked"):
        train(folder / f"{name}.yaml", run=folder / name, silent=True)
    return folder


# ---------------------------------------------------------------------- recipes


def test_several_bands_are_one_source(folder: Path) -> None:
    experiment = check(folder / "stacked.yaml")
    assert str(experiment.result) == "generator(cat(visible, near))"
    assert experiment.recipe.networks["generator"].params["channels"] == 4
    assert experiment.bands == CHANNELS
    assert repr(experiment.recipe) == "<Recipe three: visible and near to long, networks generator, 2 steps>"


def test_shipped_recipes_take_several_bands(folder: Path) -> None:
    settings = ["task.from=[visible, near]", "task.to=long", "variant=tiny", "data.source={pairs: {folder: a, bands: "]
    settings[-1] += "[visible, near, long]}}"
    assert str(check("u2net", settings).result) == "generator(cat(visible, near))"


def test_each_band_has_a_name_and_channels(folder: Path) -> None:
    found = check(folder / "three.yaml")
    assert str(found.result) == "generator(visible, near)"
    assert found.recipe.networks["generator"].params["colours"] == 3
    assert found.recipe.reads == ("visible", "near", "long")


def test_a_task_chooses_among_the_bands(folder: Path) -> None:
    found = check(folder / "stacked.yaml", ["task.from=near", "task.to=visible", "networks.generator.params.out=3"])
    assert str(found.result) == "generator(near)"
    assert found.recipe.reads == ("near", "visible")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[visible, near], to", "[visible, nera], to", "2:24 E070 the data have no band `nera` | did you mean `near`?"),
        ("[visible, near], to", "[near, near], to", "2:21 E070 `near` is there twice | name each band once"),
        (
            "(visible, near)",
            "(visible)",
            "4:15 E072 `generator` takes 2 inputs (`colour`, `near`), got 1 | write `generator(colour, near)`",
        ),
        ("[visible, near, long]}", "[visible, near, 5]}", "7:46 E072 pairs: `bands` must be text, got 5 | None"),
    ],
)
def test_mistakes(folder: Path, old: str, new: str, message: str) -> None:
    assert old in RECIPE
    (folder / "wrong.yaml").write_text(RECIPE.lstrip("\n").replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidFile) as error:
        check(folder / "wrong.yaml")
    [first] = error.value.problems
    assert first.place is not None
    assert first.place.mark is not None
    assert f"{first.place.mark.line}:{first.place.mark.column} {first.code} {first.message} | {first.hint}" == message


def test_it_is_shown(folder: Path) -> None:
    text = succeed("show", folder / "three.yaml")
    assert "visible and near to long, paired" in text
    assert '"from": [' in succeed("show", folder / "three.yaml", "--json")


# ---------------------------------------------------------------------- runs


@pytest.mark.parametrize("name", ["three", "stacked"])
def test_a_run_is_measured_and_reported(folder: Path, name: str) -> None:
    found = load(folder / name).evaluate(silent=True)
    assert list(found.tables) == ["three", "grey copy", "mean image"]
    assert len(found.table.images) == 1
    assert "from visible and near to long." in (folder / name / "report.md").read_text("utf-8")
    assert (folder / name / "pictures.png").is_file()
    succeed("evaluate", folder / name, "--picture", folder / f"{name}.png")


@pytest.mark.parametrize("name", ["three", "stacked"])
def test_weights_alone_take_the_same_bands(folder: Path, tmp_path: Path, name: str) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((folder / name / "weights" / "generator.safetensors").read_bytes())
    assert read_weights(alone).facts["task"] == {"from": ["visible", "near"], "to": "long"}
    images = {"visible": torch.rand(1, 3, 24, 26), "near": torch.rand(1, 1, 24, 26)}
    results = [load(path)(images) for path in (folder / name, alone)]
    assert results[0].shape == (1, 1, 24, 26)
    assert torch.equal(*results)
    assert torch.allclose(results[0], load(folder / name)(images, tile=16, overlap=10), atol=1e-6)
    assert load(folder / name)({"visible": picture(3, 0), "near": picture(1, 1)}).dtype == np.uint8


def test_images_that_are_missing_or_of_other_sizes(folder: Path) -> None:
    model = load(folder / "three")
    with pytest.raises(CrossbandError, match=r'there is no image of near\nhint: give a mapping by band, \{"visible": '):
        model({"visible": picture(3, 0)})
    with pytest.raises(CrossbandError, match="there is no image of visible and near"):
        model(picture(3, 0))
    with pytest.raises(CrossbandError, match=r"one number, height and width, got 1x16x20 \(visible\) and 1x8x8 \(near"):
        model({"visible": picture(3, 0), "near": picture(1, 0, (8, 8))})


def test_folders_of_several_bands_are_translated(folder: Path, tmp_path: Path) -> None:
    succeed("translate", folder / "three", folder / "data", tmp_path / "one")
    succeed(
        *("translate", folder / "three", folder / "data" / "visible", tmp_path / "two"),
        *("--band", f"near={folder / 'data' / 'near'}"),
    )
    write(tmp_path / "in", {"visible": "{name}_rgb", "near": "nir_{name}"})
    for path in (tmp_path / "in" / "near").iterdir():
        path.rename(tmp_path / "in" / "visible" / path.name)
    both = tmp_path / "in" / "visible"
    succeed(
        *("translate", folder / "three", both, tmp_path / "three", "--band", f"near={both}"),
        *("--names", "visible={name}_rgb", "--names", "near=nir_{name}"),
    )
    names = {"one": "a3", "two": "a3", "three": "a3_rgb"}
    one, two, three = (read_image(tmp_path / made / f"{name}.png") for made, name in names.items())
    assert np.array_equal(one, two)
    assert np.array_equal(one, three)
    expected = load(folder / "three")({"visible": picture(3, 3), "near": picture(1, 103)})
    assert np.array_equal(one[..., 0], expected[..., 0])
    files = {band: folder / "data" / band / "a3.png" for band in ("visible", "near")}
    load(folder / "three").translate(files, tmp_path / "single.png", silent=True)
    assert np.array_equal(read_image(tmp_path / "single.png"), one)


def test_what_is_missing_is_told_before_any_image_is_translated(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "in", {"visible": "{name}", "near": "{name}"})
    (tmp_path / "in" / "near" / "a2.png").unlink()
    result = run("translate", folder / "three", tmp_path / "in", tmp_path / "out")
    assert result.stderr == (
        "these images cannot be translated:\n"
        f"  {tmp_path}/in/visible/a2.png: no near image of this name in {tmp_path}/in/near\n"
    )
    result = run("translate", folder / "three", tmp_path / "in" / "visible", tmp_path / "out")
    assert result.stderr == (
        "the model translates `visible` and `near`: there are no images of near\n"
        "hint: name its folder, `--band near=FOLDER`; or a folder that has the subfolders `visible` and `near`\n"
    )
    result = run("translate", folder / "three", tmp_path / "in", tmp_path / "out", "--band", "naer=x")
    assert result.stderr == "the model takes no naer\nhint: did you mean `near`?\n"
    assert not (tmp_path / "out").exists()


def test_images_in_memory_have_several_bands(folder: Path, tmp_path: Path) -> None:
    scenes = [[picture(channels, at) for channels in CHANNELS.values()] for at in range(4)]
    done = train(folder / "three.yaml", data=scenes, run=tmp_path / "run", silent=True)
    assert done.model.evaluate([dict(zip(CHANNELS, scenes[0], strict=True))], silent=True)["mae"].n == 1
    assert check(tmp_path / "run" / "recipe.yaml").bands == CHANNELS
    with pytest.raises(
        DataError, match=r"item 0 is no list of 3 but list of 2\nhint: give a mapping with `visible` and"
    ):
        train(folder / "three.yaml", data=[scene[:2] for scene in scenes], run=tmp_path / "no", silent=True)


def test_bands_that_are_together_stay_together_when_unpaired(folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe(folder / "unpaired.yaml")
    source = pairs(**recipe.data.arguments)
    own = {name: source.read(name) for name in source.names("train")}
    scenes = Scenes(source, "train", pairing="unpaired", together=recipe.sources)
    [batch] = epoch_of(make_loader(scenes, batch=4, shuffle=True), 0)
    for at, name in enumerate(batch["name"]):
        one, other = name.split(" + ")
        shown = {"visible": one, "near": one, "long": other}
        for band, scene in shown.items():
            np.testing.assert_allclose(batch[band][at], own[scene][band] / np.float32(255), atol=1e-6)
    assert train(folder / "unpaired.yaml", run=tmp_path / "run", silent=True).steps == 2


def test_only_the_bands_of_the_recipe_are_read(folder: Path) -> None:
    source = pairs(folder=str(folder / "data"), bands=[*CHANNELS])
    assert {*Scenes(source, "train", bands=["near", "long"])[0]} == {"name", "near", "long"}


# ---------------------------------------------------------------------- sources


@pytest.mark.parametrize("name", ["pairs", "folders"])
def test_sources_of_three_bands_keep_the_laws(name: str, tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(CHANNELS, "{name}"))
    each = {band: str(tmp_path / band) for band in CHANNELS}
    given: dict[str, Any] = {"bands": each}
    if name == "folders":
        given["test"] = str(write(tmp_path / "test", dict.fromkeys(CHANNELS, "{name}"), 2))
    check_laws(name, given)
    assert {band: kind.channels for band, kind in sources[name].factory(**given).bands.items()} == CHANNELS


def test_each_of_three_unpaired_bands_has_an_order_of_its_own(tmp_path: Path) -> None:
    for number, (band, channels) in enumerate(CHANNELS.items()):
        write(tmp_path, {band: "{name}"}, 3 + number)
        assert channels
    test = write(tmp_path / "test", dict.fromkeys(CHANNELS, "{name}"), 1)
    source = folders(bands={band: str(tmp_path / band) for band in CHANNELS}, test=str(test))
    scenes = Scenes(source, "train", geometry=Geometry(size=4), pairing="unpaired")
    [batch] = epoch_of(make_loader(scenes, batch=5, shuffle=True), 0)
    drawn = [name.split(" + ") for name in batch["name"]]
    for at, band in enumerate(CHANNELS):
        assert {scene[at] for scene in drawn} == {*source.names("train", band)}
    assert len({tuple(part.rpartition("/")[2] for part in scene) for scene in drawn}) > 1


def test_another_folder_keeps_the_bands(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", dict.fromkeys(CHANNELS, "{name}"), 3)
    found = crossband.load(folder / "three").evaluate(tmp_path / "other", silent=True)
    assert len(found.table.images) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bands": ["visible"]}, "pairs: `bands` are two or more, each named once, got visible"),
        ({"bands": ["a", "a"]}, "pairs: `bands` are two or more, each named once, got a, a"),
        ({"bands": ["source", "near"]}, "pairs: a band cannot be called `source`\nhint: a name has letters"),
        ({"bands": ["a-b", "near"]}, "pairs: a band cannot be called `a-b`"),
        ({"bands": {"a": "x", "b": "y"}, "folder": "z"}, "pairs: needs either `folder`, or both `a` and `b`"),
        ({"bands": ["a", "b"]}, "pairs: needs either `folder`, or both `a` and `b`"),
        ({"bands": ["a", "b"], "visible": "x"}, "pairs: `bands` has the folder of every band: leave out `visible`"),
        ({"bands": ["a", "b"], "folder": ".", "range": {"infrared": [0, 1]}}, "pairs: `range` has no band `infrared`"),
        (
            {"folder": ".", "names": {"infrared": "ir_"}},
            "pairs: `names` of infrared must have `{name}` once, got `ir_`",
        ),
        (
            {"folder": ".", "names": {"infrared": "{name}"}, "suffix": {"infrared": "x"}},
            "visible: no such folder\ninfrared: no such folder",
        ),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CrossbandError) as error:
        pairs(**arguments)
    assert str(error.value).startswith(message)


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("pattern", "path", "name"),
    [
        ("ir_{name}", "ir_a0", "a0"),
        ("ir_{name}", "train/ir_a0", "train/a0"),
        ("ir_{name}", "a0", None),
        ("{name}_ir_*", "a0_ir_0815", "a0"),
        ("{name}/lwir/image", "set/a0/lwir/image", "set/a0"),
        ("v.{name}", "vxa", None),
    ],
)
def test_names(pattern: str, path: str, name: str | None) -> None:
    match = expression(pattern).fullmatch(path)
    assert (match and name_in(match)) == name


@pytest.mark.parametrize(
    ("files", "patterns"),
    [
        ({"visible": ["a0", "a1"], "infrared": ["ir_a0", "ir_a1"]}, {"infrared": "ir_{name}"}),
        ({"visible": ["a0"], "infrared": ["ir_a0"]}, {"infrared": "ir_{name}"}),
        (
            {"visible": ["d/FLIR_1_RGB", "d/FLIR_2_RGB"], "infrared": ["d/FLIR_1_T", "d/FLIR_2_T", "d/FLIR_3_T"]},
            {"visible": "{name}_RGB", "infrared": "{name}_T"},
        ),
        (
            {"visible": ["img_01", "img_02"], "near": ["nir_01", "nir_02"], "long": ["01_x", "02_x"]},
            {"visible": "img_{name}", "near": "nir_{name}", "long": "{name}_x"},
        ),
        ({"visible": ["cat", "dog"], "infrared": ["1", "2"]}, {}),
        ({"visible": ["x"], "infrared": ["y"]}, {}),
    ],
)
def test_patterns_are_found_out(files: dict[str, list[str]], patterns: dict[str, str]) -> None:
    assert proposed(files) == patterns


def test_the_right_pattern_is_proposed_and_works(tmp_path: Path) -> None:
    write(tmp_path, {"visible": "{name}", "infrared": "ir_{name}"}, 6)
    with pytest.raises(DataError) as error:
        pairs(folder=str(tmp_path))
    assert str(error.value) == (
        "no visible and infrared image have one name: `a0.png` beside `ir_a0.png`\n"
        'hint: say how they are named: `names: {infrared: "ir_{name}"}`'
    )
    assert pairs(folder=str(tmp_path), names={"infrared": "ir_{name}"}).names("test") == ["a5"]
    (tmp_path / "infrared" / "odd.png").write_bytes((tmp_path / "infrared" / "ir_a0.png").read_bytes())
    with pytest.raises(DataError, match=r"odd\.png: the name is not like `ir_{name}`\nhint: `unmatched: ignore`"):
        pairs(folder=str(tmp_path), names={"infrared": "ir_{name}"})


def test_a_folder_of_another_case_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"Visible": "{name}", "infrared": "{name}"})
    with pytest.raises(DataError) as error:
        pairs(folder=str(tmp_path))
    assert str(error.value) == f"{tmp_path}/visible: no such folder\nhint: rename `Visible` to `visible`"


def test_a_source_put_beside_another_is_told_to_take_its_place() -> None:
    with pytest.raises(InvalidFile) as error:
        check("u2net", ["data.source.demo.size=100"])
    assert str(error.value) == (
        "settings:1:1: E006 one data source is named here, got `llvip`, `demo`\n"
        "  data.source.demo.size=100\n"
        "  ^~~~~~~~~~~~~~~~~~~~~\n"
        "hint: to put it in the place of `llvip`, write `--set 'data.source={demo: {size: 100}}'`\n\n"
        "1 error in settings"
    )
    assert check("u2net", ["data.source={demo: {size: 100}}"]).recipe.data.source == "demo"
