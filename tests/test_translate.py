"""Translating images: what a trained network gives does not depend on how its input comes along."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from crossband.graphs import build
from crossband.graphs.checking.checker import check as check_graph
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.recipes import Model, load, read_weights, save_weights, train
from crossband.recipes.basics.colour import with_channels
from crossband.recipes.data import read_image, write_image
from crossband.recipes.model.jobs import jobs_of
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.tiles import tiling_of
from crossband.recipes.model.translation import Translated
from crossband.registry import CrossbandError

COPY = """
graph: copy
params: {channels: 1}
inputs: {image: [=channels, H, W]}
nodes:
  result: {Conv: {out: =channels, kernel: 1}}
outputs: {result: [=channels, H, W]}
"""
EVEN = """
graph: even
inputs: {image: [1, H, W]}
nodes:
  down: {MaxPool: {}}
  up: {Resize: {up: 2}}
  result: {from: [up, image], do: [Add, {Conv: {out: 1}}]}
outputs: {result: [1, H, W]}
"""
FIXED = COPY.replace("copy", "fixed").replace("H, W", "24, 32")
CRITIC = """
graph: critic
inputs: {image: [1, H, W]}
nodes: {score: {Conv: {out: 1, stride: 2}}}
outputs: {score: [1, h, w]}
"""


def network_of(text: str, **params: Any) -> nn.Module:
    problems = Problems()
    graph = Resolver(problems).load_text(text)
    problems.raise_if_any()
    assert graph is not None
    return build(check_graph(graph, params), seed=0)


def save(path: Path, network: nn.Module, **facts: Any) -> Path:
    save_weights(path, network, facts)
    return path


def copying(path: Path, channels: int = 1, **facts: Any) -> Path:
    """The weights of a network that gives back what it is given."""
    network = network_of(COPY, channels=channels)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.eye(channels)[..., None, None] if parameter.ndim == 4 else torch.zeros(channels))
    return save(path, network, **facts)


def translate(weights: Path, source: Path, target: Path, network: str | None = None, **options: Any) -> Translated:
    return load(weights, network).translate(source, target, **options)


def ramp(height: int = 20, width: int = 30, channels: int = 1, dtype: type = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, height * width * channels).reshape(height, width, channels)
    return np.rint(values).astype(dtype)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two recipes: `paired`, a network of two outputs, and `cycle`, two directions and two critics."""
    folder = tiny.write_files(tmp_path_factory.mktemp("runs"))
    for name in ("paired", "cycle"):
        train(folder / f"{name}.yaml", settings=["steps=2", "evaluate.metrics=[mae]"], run=folder / name, silent=True)
    return folder


# ---------------------------------------------------------------------- tensors


@pytest.fixture(scope="module")
def paired(runs: Path) -> Model:
    return load(runs / "paired")


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(save(tmp_path_factory.mktemp("even") / "even.safetensors", network_of(EVEN)))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
def test_any_size_and_any_channels(paired: Model, height: int, width: int, channels: int) -> None:
    found = paired(torch.rand(2, channels, height, width))
    assert found.shape == (2, 1, height, width)
    assert found.min() >= 0
    assert found.max() <= 1


@given(st.integers(1, 33), st.integers(1, 33))
def test_padding_is_cropped_back(even: Model, height: int, width: int) -> None:
    assert even(torch.rand(1, 1, height, width)).shape == (1, 1, height, width)


@pytest.mark.parametrize("limits", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_the_range_of_the_network_is_undone(tmp_path: Path, limits: tuple[float, float]) -> None:
    seen = []
    model = load(copying(tmp_path / "copy.safetensors", range=limits))
    image = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    model.networks["copy"].register_forward_pre_hook(lambda _, images: seen.append((images[0].min(), images[0].max())))
    torch.testing.assert_close(model(image), image)
    assert seen == [limits]


def test_channels_are_repeated_or_reduced() -> None:
    grey, colour = torch.rand(2, 1, 4, 5), torch.rand(2, 3, 4, 5)
    assert torch.equal(with_channels(grey, 3), grey.repeat(1, 3, 1, 1))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    torch.testing.assert_close(with_channels(colour, 1), (colour * weights).sum(1, keepdim=True))
    assert with_channels(colour, 3) is not None
    torch.testing.assert_close(with_channels(with_channels(grey, 3), 1), grey)


def test_tiles_give_what_the_whole_image_gives(paired: Model) -> None:
    image, small = torch.rand(1, 3, 50, 41), torch.rand(1, 3, 9, 70)
    torch.testing.assert_close(paired(image, tile=(24, 16), overlap=10, batch=3), paired(image))
    torch.testing.assert_close(paired(small, tile=(24, 16), overlap=10), paired(small))


def test_strided_networks_are_tiled_in_phase(even: Model) -> None:
    image = torch.rand(1, 1, 40, 60)
    torch.testing.assert_close(even(image, tile=24, overlap=20), even(image))


# ---------------------------------------------------------------------- weights


def test_a_run_and_its_weights_alone_agree(runs: Path, tmp_path: Path) -> None:
    image, inside = torch.rand(1, 3, 21, 16), runs / "paired" / "weights" / "generator.safetensors"
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(inside.read_bytes())
    expected = load(runs / "paired")(image)
    assert torch.equal(load(inside)(image), expected)
    assert torch.equal(load(alone)(image), expected)


def test_the_network_that_translates_is_found(runs: Path) -> None:
    assert str(load(runs / "cycle").task.result) == "to_ir(visible)"
    assert str(load(runs / "cycle", "to_vis").task.result) == "to_vis(infrared)"
    assert str(load(runs / "cycle" / "weights" / "to_vis.safetensors").task.result) == "to_vis(infrared)"
    assert load(runs / "cycle", "to_vis")(torch.rand(1, 1, 8, 8)).shape == (1, 3, 8, 8)


def test_the_output_that_the_recipe_names_is_taken(runs: Path, tmp_path: Path) -> None:
    settings = ["steps=1", "evaluate={output: fake.side, metrics: [mae]}"]
    train(runs / "paired.yaml", settings=settings, run=tmp_path / "run", silent=True)
    one, other = load(tmp_path / "run"), load(tmp_path / "run", "generator")
    assert str(one.task.result) == str(other.task.result) == "generator(visible).side"
    file = load(tmp_path / "run" / "weights" / "generator.safetensors")
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(one(image), file(image))


def test_the_run_around_a_weights_file(runs: Path, tmp_path: Path) -> None:
    assert RunFolder.around(runs / "paired" / "weights" / "generator.safetensors") == RunFolder(runs / "paired")
    assert RunFolder.around(copying(tmp_path / "copy.safetensors")) is None
    (tmp_path / "weights").mkdir()
    assert RunFolder.around(copying(tmp_path / "weights" / "copy.safetensors")) is None


def scale_of(model: Model) -> tuple[float, float] | None:
    return model.task.scale(model.task.source)


def raw_run(folder: Path, limits: tuple[float, float]) -> tuple[Path, Path]:
    """A run on raw infrared of 16 bits, with `limits` for 0 and 1; its folder, and a copy of one of its weights."""
    tiny.write_files(folder)
    for band in ("visible", "infrared"):
        (folder / "data" / band).mkdir(parents=True)
        for at in range(4):
            raw = 7000 + ramp(16, 16, dtype=np.uint8).astype(np.uint16) * 3 if band == "infrared" else ramp(16, 16, 3)
            write_image(folder / "data" / band / f"{at}.png", raw, 16 if band == "infrared" else 8)
    source = f"{{pairs: {{folder: {folder / 'data'}, range: {{infrared: {list(limits)}}}}}}}"
    settings = ["steps=1", "evaluate.metrics=[mae]", f"data.source={source}", "data.size=16"]
    train(folder / "cycle.yaml", settings=settings, run=folder / "run", silent=True)
    alone = folder / "alone.safetensors"
    alone.write_bytes((folder / "run" / "weights" / "to_vis.safetensors").read_bytes())
    return folder / "run", alone


def test_values_that_the_data_declared_are_used(tmp_path: Path) -> None:
    """Raw values of 7000 to 8000 were trained on as 0 to 1: they are so when they are translated."""
    run, alone = raw_run(tmp_path, (7000, 8000))
    assert scale_of(load(run)) is None
    assert scale_of(load(run, "to_vis")) == scale_of(load(alone)) == (7000, 8000)
    raw = tmp_path / "data" / "infrared" / "0.png"
    for name, limits in (("declared", None), ("said", (7000.0, 8000.0)), ("full", (0.0, 65535.0))):
        translate(run, raw, tmp_path / f"{name}.png", network="to_vis", range=limits, silent=True)
    translate(alone, raw, tmp_path / "alone.png", silent=True)
    declared, said, full, single = (
        read_image(tmp_path / f"{name}.png") for name in ("declared", "said", "full", "alone")
    )
    assert np.array_equal(declared, said)
    assert np.array_equal(declared, single)
    assert not np.array_equal(declared, full)
    write_image(tmp_path / "grey.png", ramp(16, 16))
    with pytest.raises(CrossbandError, match=r"uint8 pixels do not reach 8000, which is to be 1\n.*`--range 0 255`"):
        translate(run, tmp_path / "grey.png", tmp_path / "out.png", network="to_vis", silent=True)


def test_values_declared_the_other_way_round_are_used_so(tmp_path: Path) -> None:
    run, alone = raw_run(tmp_path, (8000, 7000))
    assert scale_of(load(run, "to_vis")) == scale_of(load(alone)) == (8000, 7000)
    raw = tmp_path / "data" / "infrared" / "0.png"
    write_image(tmp_path / "mirrored.png", 15000 - read_image(raw), 16)
    translate(alone, raw, tmp_path / "one.png", silent=True)
    translate(alone, tmp_path / "mirrored.png", tmp_path / "other.png", range=(7000, 8000), silent=True)
    assert np.array_equal(read_image(tmp_path / "one.png"), read_image(tmp_path / "other.png"))


def test_weights_alone_are_measured_on_the_scale_they_were_trained_on(tmp_path: Path) -> None:
    run, _ = raw_run(tmp_path, (7000, 8000))
    alone = tmp_path / "to_ir.safetensors"
    alone.write_bytes((run / "weights" / "to_ir.safetensors").read_bytes())
    assert read_weights(alone).facts["scale"] == {"infrared": [7000, 8000]}
    (ours, *_), (theirs, *_) = (
        load(path).evaluate(tmp_path / "data", split="all", metrics=["mae"], silent=True).tables.values()
        for path in (run, alone)
    )
    assert ours.summary == theirs.summary


def test_16_bits_go_in_and_come_out_as_they_were(tmp_path: Path) -> None:
    weights, raw = copying(tmp_path / "copy.safetensors"), ramp(40, 50, 1, np.uint16)
    for suffix in (".png", ".tif"):
        write_image(tmp_path / f"in{suffix}", raw, 16)
        translate(weights, tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", bits=16, silent=True)
        np.testing.assert_array_equal(read_image(tmp_path / f"out{suffix}"), raw)


@pytest.mark.parametrize(
    ("path", "network", "message"),
    [
        ("nothing", None, "nothing: no such run folder or weights file"),
        ("data.txt", None, "data.txt: not a weights file"),
        ("cycle", "to_irr", "cycle: the network `to_irr` is none of the run\nhint: did you mean `to_ir`?"),
        ("cycle", "is_ir", "cycle: the network `is_ir` makes no image from an image\nhint: choose from `to_ir`"),
        ("cycle/weights/is_ir.safetensors", None, "cycle: the network `is_ir` makes no image from an image"),
        ("critic.safetensors", None, "critic.safetensors: the network `critic` makes no image from an image"),
        (
            "copy.safetensors",
            "copy",
            "copy.safetensors: holds one network\nhint: a network is chosen from a run folder",
        ),
        ("empty", None, "empty: no run: it has no `recipe.yaml`"),
        ("demanding", None, "demanding: the result `fuse(cat(visible, infrared))` needs more than the visible image"),
    ],
)
def test_weights_that_do_not_translate(
    runs: Path, monkeypatch: pytest.MonkeyPatch, path: str, network: str | None, message: str
) -> None:
    monkeypatch.chdir(runs)
    Path("empty").mkdir(exist_ok=True)
    Path("data.txt").write_text("nothing")
    save(Path("critic.safetensors"), network_of(CRITIC))
    copying(Path("copy.safetensors"))
    if path == "demanding":
        text = tiny.PAIRED.replace("generator(visible)", "fuse(cat(visible, infrared))").replace("fake.*", "fake")
        text = text.replace("fake.main", "fake").replace("generator: {graph: to_one.yaml}", "fuse: {graph: four.yaml}")
        Path("four.yaml").write_text(tiny.PLAIN.replace("channels: 3", "channels: 4"))
        Path("demanding.yaml").write_text(text)
        train("demanding.yaml", settings=["steps=1", "evaluate.metrics=[mae]"], run=Path(path), silent=True)
    with pytest.raises(CrossbandError) as error:
        load(path, network)(torch.rand(1, 3, 8, 8))
    assert str(error.value).removeprefix(f"{runs}/").startswith(message)


@pytest.mark.parametrize(
    ("text", "tile", "overlap", "message"),
    [
        (EVEN, (25, 24), None, "tiles of 25x24 do not pass through `even`: H and W: multiples of 2\nhint: the nearest"),
        (EVEN, (24, 32), 24, "tiles of 24x32 cannot overlap by 24\nhint: choose from 0 to 23"),
        (FIXED, (32, 32), None, "tiles of 32x32 do not pass through `fixed`: fixed\nhint: the nearest size is 24x32"),
    ],
)
def test_tiles_that_do_not_fit(
    tmp_path: Path, text: str, tile: tuple[int, int], overlap: int | None, message: str
) -> None:
    model = load(save(tmp_path / "net.safetensors", network_of(text)))
    with pytest.raises(CrossbandError) as error:
        model(torch.rand(1, 1, 24, 32), tile=tile, overlap=overlap)
    assert str(error.value).startswith(message)


def test_a_network_of_one_size_translates_larger_images_in_tiles(tmp_path: Path) -> None:
    model = load(save(tmp_path / "net.safetensors", network_of(FIXED)))
    with pytest.raises(CrossbandError, match="takes images of 24x32"):
        model.check_size(50, 50)
    assert model(torch.rand(1, 1, 10, 20)).shape == (1, 1, 10, 20)
    model.check_size(50, 50, tiling_of(model.task.plans.values(), (24, 32)))
    assert model(torch.rand(1, 1, 50, 50), tile=(24, 32)).shape == (1, 1, 50, 50)


def test_a_missing_device_is_named(tmp_path: Path) -> None:
    name = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(CrossbandError, match=f"there is no device `{name}` here\nhint: choose from `auto`, .*`cpu`"):
        load(copying(tmp_path / "copy.safetensors"), device=name)


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.PNG"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16)])
def test_a_copy_is_exact(tmp_path: Path, name: str, channels: int, dtype: type, bits: Any) -> None:
    """What a network gives reaches the file with all its bits and channels, and the other way round."""
    image = ramp(channels=channels, dtype=dtype)
    write_image(tmp_path / "in.tif", image, bits)
    weights = copying(tmp_path / "copy.safetensors", channels, range=[0, 1])
    done = translate(weights, tmp_path / "in.tif", tmp_path / name, bits=bits, silent=True)
    assert done.files == (tmp_path / name,)
    found = read_image(tmp_path / name)
    assert found.dtype == dtype
    assert np.array_equal(found, image)


def test_one_channel_stays_one_channel(runs: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "in.png", ramp(channels=3))
    translate(runs / "paired", tmp_path / "in.png", tmp_path / "out.png", silent=True)
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == "L"


def test_float_images_need_a_range_and_keep_it(tmp_path: Path) -> None:
    weights = copying(tmp_path / "copy.safetensors")
    kelvin = np.linspace(270, 310, 600, dtype=np.float32).reshape(20, 30)
    tifffile.imwrite(tmp_path / "in.tif", kelvin)
    with pytest.raises(
        CrossbandError, match="float32 pixels have no full scale\nhint: say which values become 0 and 1"
    ):
        translate(weights, tmp_path / "in.tif", tmp_path / "out.tif", silent=True)
    limits = (270.0, 310.0)
    translate(weights, tmp_path / "in.tif", tmp_path / "out.tif", bits=32, range=limits, silent=True)
    np.testing.assert_allclose(read_image(tmp_path / "out.tif")[..., 0], (kelvin - 270) / 40, atol=1e-6)


def mixed_folder(folder: Path) -> dict[str, np.ndarray]:
    """Images of every kind, odd sizes, subfolders, and what is no image."""
    images = {
        "b.png": ramp(19, 23, 3),
        "c.jpg": ramp(8, 8, 3),
        "deep/er/d.tif": ramp(33, 21, 3, np.uint16),
        "deep/grey.png": ramp(10, 7, 1, np.uint16),
        "one.bmp": ramp(1, 1, 3),
    }
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".bmp"):
            Image.fromarray(image).save(folder / name)
        else:
            write_image(folder / name, image, 16 if image.dtype == np.uint16 else 8)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image either")
    return images


@pytest.mark.parametrize("options", [{}, {"batch": 4}, {"tile": 8, "overlap": 4, "batch": 3}, {"bits": 16}])
def test_a_folder_keeps_its_shape(runs: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    images = mixed_folder(tmp_path / "in")
    done = translate(runs / "paired", tmp_path / "in", tmp_path / "out", silent=True, **options)
    expected = [tmp_path / "out" / Path(name).with_suffix(".png") for name in images]
    assert sorted(done.files) == sorted(expected)
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(expected)
    for name, image in images.items():
        found = read_image((tmp_path / "out" / name).with_suffix(".png"))
        assert found.shape == (*image.shape[:2], 1)
        assert found.dtype == (np.uint16 if options.get("bits") == 16 else np.uint8)


def test_batches_change_nothing(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for at in range(5):
        write_image(tmp_path / "in" / f"{at}.png", np.roll(ramp(12, 14, 3), at, 0))
    for batch in (1, 3):
        translate(runs / "paired", tmp_path / "in", tmp_path / f"by{batch}", batch=batch, bits=16, silent=True)
    for at in range(5):
        one, other = (read_image(tmp_path / f"by{batch}" / f"{at}.png").astype(int) for batch in (1, 3))
        assert np.abs(one - other).max() <= 1


def test_results_in_the_input_folder_are_not_read_again(tmp_path: Path) -> None:
    weights = copying(tmp_path / "copy.safetensors")
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", ramp())
    for _ in range(2):
        done = translate(weights, tmp_path / "in", tmp_path / "in" / "out", force=True, silent=True)
        assert done.files == (tmp_path / "in" / "out" / "a.png",)


def test_nothing_is_replaced_without_force(tmp_path: Path) -> None:
    weights = copying(tmp_path / "copy.safetensors")
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", ramp())
    write_image(tmp_path / "in" / "b.png", ramp())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_text("precious")
    with pytest.raises(CrossbandError, match="these files are there already:"):
        translate(weights, tmp_path / "in", tmp_path / "out", silent=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert (tmp_path / "out" / "b.png").read_text() == "precious"
    translate(weights, tmp_path / "in", tmp_path / "out", force=True, silent=True)
    assert np.array_equal(read_image(tmp_path / "out" / "b.png"), ramp())


def test_unreadable_images_are_named_before_any_is_translated(tmp_path: Path) -> None:
    weights = copying(tmp_path / "copy.safetensors")
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", ramp())
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:60])
    (tmp_path / "in" / "text.tif").write_text("no image")
    with pytest.raises(CrossbandError) as error:
        translate(weights, tmp_path / "in", tmp_path / "out", silent=True)
    text = str(error.value)
    assert text.startswith("these images cannot be translated:\n")
    assert "cut.png: not a readable image" in text
    assert "text.tif: not a readable image" in text
    assert text.count("hint:") == 1
    assert not (tmp_path / "out").exists()


def test_an_image_that_fails_late_stops_no_other(tmp_path: Path) -> None:
    weights = copying(tmp_path / "copy.safetensors")
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        write_image(
            tmp_path / "in" / f"{name}.png", np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
        )
    data = bytearray((tmp_path / "in" / "b.png").read_bytes())
    data[400:2000] = bytes(1600)  # the head and the end are right, and between them nothing is
    (tmp_path / "in" / "b.png").write_bytes(data)
    with pytest.raises(CrossbandError, match=r"2 of 3 images were translated, not these:\n  .*b\.png: not a readable"):
        translate(weights, tmp_path / "in", tmp_path / "out", silent=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_a_result_that_is_no_number_is_not_written(tmp_path: Path) -> None:
    network = network_of(COPY)
    nn.init.constant_(next(network.parameters()), float("nan"))
    weights = save(tmp_path / "nan.safetensors", network)
    write_image(tmp_path / "a.png", ramp())
    with pytest.raises(
        CrossbandError, match=r"0 of 1 images .*\n  .*out\.png: the image has values that are not finite"
    ):
        translate(weights, tmp_path / "a.png", tmp_path / "out.png", silent=True)
    assert not (tmp_path / "out.png").exists()


@pytest.fixture
def few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "none", "twins"):
        Path(folder).mkdir()
    for name in ("in/a.png", "twins/a.png", "twins/a.jpg", "there.png"):
        write_image(name, ramp())
    Path("taken").write_text("a file")


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        ("gone.png", "out.png", {}, "gone.png: no such file or folder"),
        ("in", "out.png", {}, "in is a folder, out.png is to be a file\nhint: name a folder to write to"),
        ("in", "taken", {}, "taken: a file, and no folder to write to"),
        ("in", "taken/out", {}, "taken: a file, and no folder to write to"),
        (
            "in/a.png",
            "out.gif",
            {},
            "out.gif: cannot write `.gif` images\nhint: choose from `.png`, `.tif`, `.tiff`; a folder ends in `/`",
        ),
        ("in/a.png", "out.jpg", {}, "out.jpg: cannot write `.jpg` images"),
        ("in/a.png", "out.png", {"bits": 32}, "out.png: `.png` cannot hold 32 bits\nhint: choose `.tif`, or 16 bits"),
        ("in", "out", {"suffix": ".webp"}, "cannot write `.webp` images"),
        (
            "in/a.png",
            "out.png",
            {"suffix": ".tif"},
            "out.png says its format itself\nhint: leave out `--suffix`, or name a folder",
        ),
        ("none", "out", {}, "none: no image in it\nhint: images end in .png, .jpg, .jpeg, .tif, .tiff, .bmp"),
        (
            "in",
            "in",
            {"force": True},
            "the output would overwrite these inputs:\n  in/a.png\nhint: name another folder",
        ),
        ("in/a.png", "in/a.png", {"force": True}, "the output would overwrite these inputs:\n  in/a.png"),
        (
            "twins",
            "out",
            {},
            "several images would become one file:\n  twins/a.jpg -> out/a.png\n  twins/a.png -> out/a.png\nhint",
        ),
        ("in/a.png", "there.png", {}, "these files are there already:\n  there.png\nhint: `--force` replaces them"),
    ],
)
@pytest.mark.usefixtures("few_files")
def test_files_that_cannot_be(source: str, target: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CrossbandError) as error:
        jobs_of(Path(source), target, **{"suffix": None, "bits": 8, "force": False, **options})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": (5.0, 5.0)}, "a range is LOW HIGH, got 5 5"),
        ({"overlap": 4}, "an overlap is one of tiles\nhint: say how large: `--tile 512`"),
        ({"tile": 8, "overlap": 8}, "tiles of 8x8 cannot overlap by 8\nhint: choose from 0 to 7"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write_image(tmp_path / "a.png", ramp())
    with pytest.raises(CrossbandError) as error:
        translate(copying(tmp_path / "c.safetensors"), tmp_path / "a.png", tmp_path / "out.png", silent=True, **options)
    assert str(error.value) == message


def test_many_faults_are_counted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for at in range(25):
        (tmp_path / "in" / f"{at}.png").write_text("no image")
    with pytest.raises(CrossbandError) as error:
        translate(copying(tmp_path / "c.safetensors"), tmp_path / "in", tmp_path / "out", silent=True)
    assert "\n  and 5 more\nhint: " in str(error.value)


@pytest.mark.slow
def test_what_only_training_needs_is_not_imported() -> None:
    """It would take three times as long until the first image."""
    code = "import sys, crossband.recipes.model.loading; sys.exit('lightning_fabric' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
