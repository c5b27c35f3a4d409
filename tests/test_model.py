"""A trained model as an object: what it takes, what it gives back, and what may be done with it."""

import copy
import pickle
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from test_translate import copying, network_of, ramp, raw_run, save
from torch import Tensor

import crossband
from crossband.recipes.data import demo, write_image
from crossband.recipes.language.syntax import Figure, Paper
from crossband.recipes.metrics.evaluation import EvaluationError
from crossband.recipes.metrics.metrics import DEFAULT
from crossband.recipes.model.model import Model
from crossband.registry import CrossbandError

SHORT = {"steps": 2, "evaluate.metrics": ["mae", "psnr"], "device": "cpu"}
RESTLESS = tiny.PAIRED.replace("{graph: to_one.yaml}", "{graph: to_one.yaml, test: training}")
PADDED = tiny.PAIRED.replace("{graph: to_one.yaml}", "{graph: halves.yaml, fit: pad}").replace("fake.*", "fake")
PADDED = PADDED.replace("fake.main", "fake")
CHAIN = """
recipe: chain
task: {from: visible, to: infrared}
networks: {first: {graph: plain.yaml}, second: {graph: plain.yaml, params: {channels: 1}}}
flow: {rough: first(visible), fake: second(rough)}
losses: {one: {l1: [rough, infrared]}, two: {l1: [fake, infrared]}}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {demo: {train: 4, test: 2, size: 24}}, size: 16, batch: 2}
steps: 2
evaluate: {output: fake}
"""


@pytest.fixture(scope="module", name="runs")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: `paired`; `cycle`, of two directions; `restless`, tested as in training; `padded`, by a hook of its own."""
    folder = tiny.write_files(tmp_path_factory.mktemp("model"), restless=RESTLESS, padded=PADDED, chain=CHAIN)
    for name in ("paired", "cycle", "restless", "padded"):
        crossband.train(folder / f"{name}.yaml", settings=SHORT, run=folder / name, silent=True)
    return folder


@pytest.fixture(scope="module", name="copy8")
def _copy8(tmp_path_factory: pytest.TempPathFactory) -> crossband.Model:
    """A model that gives back what it is given, one channel."""
    return crossband.load(copying(tmp_path_factory.mktemp("copy") / "copy.safetensors"))


# ---------------------------------------------------------------------- what it takes and gives


KINDS: dict[str, tuple[Any, str]] = {
    "uint8 h w": (ramp()[..., 0], "uint8 20x30"),
    "uint8 h w 1": (ramp(), "uint8 20x30x1"),
    "uint8 h w 3": (ramp(channels=3), "uint8 20x30x1"),
    "uint16 h w": (ramp(dtype=np.uint16)[..., 0], "uint16 20x30"),
    "big-endian uint16": (ramp(dtype=np.uint16)[..., 0].astype(">u2"), "uint16 20x30"),
    "float16": (np.random.default_rng(0).random((20, 30)).astype(np.float16), "float32 20x30"),
    "float64 h w 3": (np.random.default_rng(0).random((20, 30, 3)), "float32 20x30x1"),
    "turned": (ramp()[::-1, :, 0].T, "uint8 30x20"),
    "picture L": (Image.fromarray(ramp()[..., 0]), "L 30x20"),
    "picture RGB": (Image.fromarray(ramp(channels=3)), "L 30x20"),
    "picture RGBA": (Image.fromarray(ramp(channels=3)).convert("RGBA"), "L 30x20"),
    "picture P": (Image.fromarray(ramp(channels=3)).convert("P"), "L 30x20"),
    "picture I;16": (Image.fromarray(ramp(dtype=np.uint16)[..., 0]), "I;16 30x20"),
    "tensor": (torch.rand(1, 20, 30), "torch.float32 1x20x30"),
    "tensor of colours": (torch.rand(3, 20, 30, dtype=torch.float64), "torch.float64 1x20x30"),
    "batch": (torch.rand(2, 3, 20, 30), "torch.float32 2x1x20x30"),
    "batch of halves": (torch.rand(2, 1, 20, 30, dtype=torch.float16), "torch.float16 2x1x20x30"),
}


def described(image: Any) -> str:
    if isinstance(image, Image.Image):
        return f"{image.mode} {image.width}x{image.height}"
    return f"{image.dtype} {'x'.join(map(str, image.shape))}"


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_is_of_the_kind_that_came(copy8: crossband.Model, kind: str) -> None:
    image, wanted = KINDS[kind]
    result = copy8(image)
    assert described(result) == wanted
    if described(image).replace(">u2", "uint16") == wanted:  # then a copy leaves it as it is, to the last of 16 bits
        one, other = (np.asarray(each, np.float64) for each in (image, result))
        np.testing.assert_allclose(other, one, atol=1e-6 if one.max() <= 1 else 0)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(1, 8, 8, dtype=torch.uint8), "a tensor has floating-point numbers in [0, 1], got uint8\nhint: div"),
        (torch.zeros(1, 8, 8).long(), "a tensor has floating-point numbers in [0, 1], got int64"),
        (torch.rand(1, 8, 8) * 255, "floating-point images are in [0, 1], got values from "),
        (torch.full((1, 8, 8), -1.0), "floating-point images are in [0, 1], got values from -1 to -1\nhint: `(image + 1)"),
        (torch.full((1, 8, 8), torch.nan), "floating-point images are in [0, 1], got values from nan to nan"),
        (torch.rand(8, 8), "images are a tensor `c h w` or `b c h w`, c = 1 or 3, got the shape [8, 8]"),
        (torch.rand(2, 8, 8), "images are a tensor `c h w` or `b c h w`, c = 1 or 3, got the shape [2, 8, 8]"),
        (torch.rand(1, 0, 8), "images are a tensor"),
        (np.full((8, 8), 3.5), "floating-point images are in [0, 1], got values from 3.5 to 3.5\nhint: divide it by"),
        (np.zeros((8, 8), np.int32), "what int32 pixels stand for cannot be known\nhint: convert it to uint8"),
        (np.zeros((8, 8), bool), "what bool pixels stand for cannot be known"),
        (np.zeros((8, 8, 4), np.uint8), "an image is an array `h w`, `h w 1` or `h w 3`, got the shape [8, 8, 4]"),
        (np.zeros((2, 8, 8, 3), np.uint8), "an image is an array `h w`, `h w 1` or `h w 3`, got the shape [2, 8, 8, 3]\nhi"),
        (Image.new("CMYK", (8, 8)), 'cannot use a picture of CMYK pixels\nhint: `picture.convert("RGB")`'),
        ("photo.png", "an image is an array, a picture of Pillow or a tensor, got str\nhint: `crossband translate`"),
        ([[0, 1]], "an image is an array, a picture of Pillow or a tensor, got list"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(copy8: crossband.Model, image: Any, message: str) -> None:
    with pytest.raises(CrossbandError) as error:
        copy8(image)
    assert str(error.value).startswith(message)


def test_rounding_beyond_the_range_is_no_mistake(copy8: crossband.Model) -> None:
    assert copy8(torch.tensor([[[-1e-6, 1 + 1e-6]]])).tolist() == [[[0, 1]]]
    assert copy8(np.array([[-1e-6, 1 + 1e-6]])).tolist() == [[0, 1]]


def test_a_picture_is_turned_upright(copy8: crossband.Model) -> None:
    picture = Image.fromarray(ramp()[..., 0])
    picture.getexif()[0x0112] = 6
    assert copy8(picture).size == (20, 30)


def test_a_result_that_is_no_number_becomes_no_picture(tmp_path: Path) -> None:
    network = network_of(tiny.PLAIN, channels=1)
    torch.nn.init.constant_(next(network.parameters()), torch.nan)
    model = crossband.load(save(tmp_path / "nan.safetensors", network))
    assert model(torch.rand(1, 8, 8)).isnan().all()
    with pytest.raises(CrossbandError, match="the result has values that are not finite"):
        model(ramp())


def test_raw_values_are_on_the_scale_that_the_data_declared(tmp_path: Path) -> None:
    run, _ = raw_run(tmp_path, (7000, 8000))
    to_vis, to_ir = crossband.load(run, "to_vis"), crossband.load(run)
    raw = np.linspace(7000, 8000, 256).reshape(16, 16).round().astype(np.uint16)
    expected = to_vis(torch.from_numpy((raw - 7000.0) / 1000)[None])[0]
    found = to_vis(raw)
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found[..., 0] / 65535, expected, atol=1e-4)  # there is no scale of visible images
    np.testing.assert_allclose(to_vis(np.asarray(raw - 7000.0) / 1000)[..., 0], expected, atol=1e-4)  # nor of floats
    with pytest.raises(CrossbandError, match="uint8 pixels do not reach 8000, which is to be 1"):
        to_vis(ramp())
    thermal = to_ir(ramp(16, 16, 3, np.uint16))
    assert thermal.min() >= 7000
    assert thermal.max() <= 8000
    assert to_vis(thermal).shape == (16, 16, 3)  # a result is an image of its band
    assert to_ir(ramp(16, 16, 3)).dtype == np.uint8  # which cannot hold 7000, and has its full scale


@pytest.mark.slow
def test_every_kind_of_one_image_has_one_translation(runs: Path) -> None:
    model, pixels = crossband.load(runs / "paired"), ramp(19, 23, 3)
    wanted = model(torch.from_numpy(pixels.transpose(2, 0, 1) / 255))
    for image in (pixels, pixels / 255, pixels.astype(np.uint16) * 257, Image.fromarray(pixels)):
        result = np.asarray(model(image), np.float64).reshape(19, 23)
        top = 1 if result.max() <= 1 else 65535 if result.max() > 255 else 255
        np.testing.assert_allclose(result / top, wanted[0], atol=0.5 / 255 + 1e-6)
    write_image(runs / "photo.png", pixels)
    model.translate(runs / "photo.png", runs / "thermal.png", force=True, silent=True)
    assert np.array_equal(np.asarray(Image.open(runs / "thermal.png")), model(pixels)[..., 0])


# ---------------------------------------------------------------------- what it is


def test_a_model_says_what_it_is_on_one_line(runs: Path) -> None:
    model = crossband.load(runs / "paired")
    assert repr(model) == str(model) == "<Model paired: generator(visible) gives infrared, 190 parameters, on cpu>"
    assert repr(model.graph) == "<Graph to_one: 4 nodes from image>"
    assert repr(model.recipe) == "<Recipe paired: visible to infrared, networks generator, 2 steps>"
    assert (str(model.size_rule), repr(model.size_rule)) == ("H and W: any", "<SizeRule H and W: any>")
    assert model.digest == model.networks["generator"].meta["digest"]  # type: ignore[index]
    assert list(model.networks) == ["generator"]


def test_it_is_ready_to_be_used(runs: Path) -> None:
    model = crossband.load(runs / "paired")
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    assert not model(image).requires_grad
    assert not model(image).is_inference()  # an ordinary tensor, that others may train on
    with torch.enable_grad():
        assert not model(image).requires_grad


def test_both_directions_of_a_run(runs: Path) -> None:
    to_ir, to_vis = crossband.load(runs / "cycle"), crossband.load(runs / "cycle", network="to_vis")
    assert list(to_ir.networks) == ["to_ir"]
    assert list(to_vis.networks) == ["to_vis"]
    assert (to_vis.task.source, to_vis.task.target) == ("infrared", "visible")
    assert to_ir(ramp(8, 8, 3)).shape == (8, 8, 1)
    assert to_vis(ramp(8, 8, 1)).shape == (8, 8, 3)
    ours, theirs = (model.evaluate(metrics=["mae"], silent=True) for model in (to_ir, to_vis))
    assert ours["mae"].n == theirs["mae"].n == 2
    assert ours["mae"].mean != theirs["mae"].mean
    assert list(theirs.tables) == ["cycle: to_vis", "grey copy", "mean image"]
    with pytest.raises(CrossbandError, match="is none of the run\nhint: did you mean `to_vis`"):
        crossband.load(runs / "cycle", network="to_viss")


def test_the_first_call_of_a_network_is_its_direction(tmp_path: Path) -> None:
    """Not that for the identity loss, by which a generator leaves images of its target as they are."""
    text = tiny.CYCLE.replace("params: {out: 1}", "params: {channels: 1}").replace("out: 3", "out: 1")
    text = text.replace("channels: 3", "channels: 1").replace("batch: 1", "batch: 1, channels: {visible: 1}")
    text = text.replace("phases:\n", "  same: to_vis(visible)\nphases:\n")
    text = text.replace("      cycle:", "      same: {l1: [same, visible]}\n      cycle:")
    tiny.write_files(tmp_path, identity=text)
    crossband.train(tmp_path / "identity.yaml", settings=SHORT, run=tmp_path / "run", silent=True)
    run = [crossband.load(tmp_path / "run", network="to_vis")]
    shutil.copy(tmp_path / "run" / "weights" / "to_vis.safetensors", tmp_path)
    for model in [*run, crossband.load(tmp_path / "to_vis.safetensors")]:
        assert (model.task.source, model.task.target) == ("infrared", "visible")


def test_a_result_of_several_networks(runs: Path, tmp_path: Path) -> None:
    crossband.train(runs / "chain.yaml", settings=SHORT, run=tmp_path / "run", silent=True)
    model = crossband.load(tmp_path / "run")
    assert list(model.networks) == ["first", "second"]
    assert repr(model).startswith("<Model chain: second(first(visible)) gives infrared, ")
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(model(image), model.networks["second"](model.networks["first"](image)))
    for attempt in (lambda: model.graph, lambda: model.size_rule):
        with pytest.raises(CrossbandError, match="run translates by several networks: `first`, `second`"):
            attempt()
    assert torch.equal(pickle.loads(pickle.dumps(model))(image), model(image))


def test_weights_stand_by_themselves(runs: Path, tmp_path: Path) -> None:
    image, file = torch.rand(1, 3, 9, 14), runs / "paired" / "weights" / "generator.safetensors"
    wanted = crossband.load(runs / "paired")(image)
    shutil.copy(file, tmp_path / "alone.safetensors")
    shutil.copytree(runs / "cycle", tmp_path / "cycle")
    beside = tmp_path / "cycle" / "weights" / "guest.safetensors"  # in the folder of a run that knows nothing of it
    instead = tmp_path / "cycle" / "weights" / "to_ir.safetensors"  # in the place of another network
    for path in (beside, instead):
        shutil.copy(file, path)
    for path in (tmp_path / "alone.safetensors", beside, instead):
        model = crossband.load(path)
        assert model.recipe is None
        assert torch.equal(model(image), wanted)
    with pytest.raises(CrossbandError, match="these weights belong to another network"):
        crossband.load(tmp_path / "cycle")


def test_settings_change_the_recipe(runs: Path) -> None:
    image = torch.rand(1, 3, 16, 16)
    as_trained, plain = (
        crossband.load(runs / "restless", settings=settings)(image)
        for settings in ({}, {"networks.generator.test": None})
    )
    assert not torch.allclose(as_trained, plain)


# ---------------------------------------------------------------------- what may be done with it


@pytest.mark.parametrize("name", ["paired", "restless", "padded"])
def test_threads_do_not_disturb_each_other(runs: Path, name: str) -> None:
    """Images of many sizes at once, by two models of one run, where dropout and padding could meet."""
    models = [crossband.load(runs / name) for _ in range(2)]
    images = [torch.rand(1, 3, 9 + 3 * at % 17, 31 - at) for at in range(12)]
    wanted = [models[0](image) for image in images]
    began = threading.Barrier(4)

    def work(number: int) -> list[Tensor]:
        began.wait()
        return [models[number % 2](image) for image in images[number:] + images[:number]]

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            for number, found in enumerate(pool.map(work, range(4))):
                for one, other in zip(found, wanted[number:] + wanted[:number], strict=True):
                    assert torch.equal(one, other)


def test_it_moves(runs: Path) -> None:
    model, image = crossband.load(runs / "paired"), torch.rand(1, 3, 8, 8)
    before = model(image)
    assert model.to(torch.float64) is model
    assert model(image).dtype == torch.float32
    torch.testing.assert_close(model(image), before)
    assert model.evaluate(metrics="mae", silent=True)["mae"].n == 3
    assert model.to("meta").device == torch.device("meta")
    assert all(network.meta for network in model.networks.values())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["in place", "by torch.compile"])
def test_it_compiles(runs: Path, how: str) -> None:
    model, image = crossband.load(runs / "padded"), torch.rand(1, 3, 9, 12)
    wanted, seen = model(image), []

    def backend(module: Any, inputs: Any) -> Callable[..., Any]:
        seen.append(module)
        return module.forward

    torch.compiler.reset()
    if how == "in place":
        model.compile(backend=backend)
        compiled: Any = model
    else:
        compiled = torch.compile(model, backend=backend)
    torch.testing.assert_close(compiled(image), wanted)
    assert any("conv" in str(module.code) for module in seen)
    if how == "in place":  # else what is around the networks is traced, once for each kind of image
        assert compiled(ramp(8, 9, 3)).dtype == np.uint8


def test_it_is_pickled_by_its_files(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(runs / "cycle", tmp_path / "cycle")
    monkeypatch.chdir(tmp_path)
    models = [
        crossband.load("cycle", network="to_vis"),
        crossband.load("cycle/weights/to_vis.safetensors"),
        crossband.load(copying(Path("copy.safetensors"))),
    ]
    texts = [pickle.dumps(model) for model in models]
    assert all(len(text) < 1000 for text in texts)
    monkeypatch.chdir("/")
    image = torch.rand(1, 1, 8, 8)
    for model, text in zip(models, texts, strict=True):
        again = pickle.loads(text)
        assert torch.equal(again(image), model(image))
        assert torch.equal(copy.deepcopy(model)(image), model(image))
    with pytest.raises(CrossbandError, match="lies in no file, and a model is pickled by its files"):
        pickle.dumps(crossband.Model(models[0].task, models[0].networks))
    shutil.rmtree(tmp_path / "cycle")
    with pytest.raises(CrossbandError, match=r"cycle: no such run folder or weights file"):
        pickle.loads(texts[0])
    save(tmp_path / "copy.safetensors", network_of(tiny.PLAIN, channels=1))
    with pytest.raises(CrossbandError, match=r"copy\.safetensors: holds another network than when"):
        pickle.loads(texts[2])


# ---------------------------------------------------------------------- evaluation


def test_evaluation_prints_as_the_command_does(runs: Path) -> None:
    result = crossband.load(runs / "paired").evaluate(silent=True)
    text = str(result)
    assert re.search(r"^\| metric +\| +paired +\| +grey copy +\| +mean image +\| +n +\|$", text, re.MULTILINE)
    assert "95% interval" in text
    assert text == result._repr_markdown_()
    assert list(result) == ["mae", "psnr"]
    assert result["mae"] == result.tables["paired"].summary["mae"]
    assert result["mae"].mean != result.tables["grey copy"].summary["mae"].mean
    assert len(repr(result)) < 100
    with pytest.raises(EvaluationError, match="`ssim` was not measured: it was not asked for"):
        result["ssim"]
    with pytest.raises(EvaluationError, match="no metric named `psnrr`\nhint: did you mean `psnr`"):
        result["psnrr"]


def test_what_a_paper_prints_is_measured_and_where_others_are_asked_for_it_is_said_how(runs: Path) -> None:
    """Figures of a paper are no use beside a dash."""
    model = crossband.load(runs / "paired")
    values = {"ladlenet_mse": Figure(19.45), "sf": Figure(9.0, False, "of colours"), "mae": Figure(0.1)}
    paper = Paper("ladlenet2023", "the sheet", "100 images", values)
    asked = Model(replace(model.task, papers=(paper,)), model.networks).evaluate(demo(test=2, size=32), silent=True)
    assert "Not measured, since others were asked for: `--metrics ladlenet_mse,sf`." in str(asked)
    measured = replace(model.task.evaluate, metrics=None)
    usual = Model(replace(model.task, papers=(paper,), evaluate=measured), model.networks)
    found = usual.evaluate(demo(test=2, size=32), silent=True)
    assert {*values} <= {*found}
    assert {*found} - {*DEFAULT} == {"ladlenet_mse", "sf"}
    assert "Not measured" not in str(found)


def test_evaluation_on_other_images(runs: Path, tmp_path: Path) -> None:
    """The same images in a folder, as a source, and in memory: the same figures."""
    source = demo(train=4, test=3, size=32)
    scenes = [source.read(name) for name in source.names("test")]
    found = [tuple(scene[band].transpose(1, 2, 0) for band in ("visible", "infrared")) for scene in scenes]
    for at, images in enumerate(found):
        for band, image in zip(("visible", "infrared"), images, strict=True):
            (tmp_path / band).mkdir(exist_ok=True)
            write_image(tmp_path / band / f"{at}.png", image, 8 if band == "visible" else 16)
    model = crossband.load(runs / "paired")
    wanted = model.evaluate(source, metrics=["mae"], silent=True)
    for data in (found, Dataset(found), {"test": found}):
        result = model.evaluate(data, metrics=["mae"], silent=True)
        assert result["mae"] == wanted["mae"]
        assert list(result.tables) == ["paired", "grey copy"]
        assert "There is no mean image to compare with" in str(result)
    both = model.evaluate({"train": found[:1], "test": found}, metrics=["mae"], silent=True)
    assert list(both.tables) == ["paired", "grey copy", "mean image"]
    assert model.evaluate(str(tmp_path), split="train", metrics=["mae"], silent=True)["mae"].n == 2
    with pytest.raises(CrossbandError, match=r"item test/0 is no pair of images but ndarray"):
        model.evaluate([image for image, _ in found])


def test_weights_that_do_not_say_what_they_are_for_are_not_measured(copy8: crossband.Model, runs: Path) -> None:
    with pytest.raises(CrossbandError, match="cannot be evaluated by itself: it does not say what it translates to"):
        copy8.evaluate(str(runs))


# ---------------------------------------------------------------------- training from Python


class Dataset(torch.utils.data.Dataset[Any]):
    """Somebody's own dataset: it knows nothing of crossband."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> Any:
        return self.items[at]


def own_items(count: int = 8) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    return [(ramp(24, 24, 3), random.integers(0, 255, (24, 24), np.uint8)) for _ in range(count)]


def as_mappings(items: Any) -> list[dict[str, Tensor]]:
    return [
        {
            "visible": torch.from_numpy(visible.transpose(2, 0, 1) / np.float32(255)),
            "infrared": torch.from_numpy(infrared[None] / np.float32(255)),
        }
        for visible, infrared in items
    ]


@pytest.mark.slow
def test_training_on_images_in_memory(runs: Path, tmp_path: Path) -> None:
    items = own_items()
    forms = {"pairs": items, "dataset": Dataset(items), "tensors": as_mappings(items)}
    weights = []
    for name, data in forms.items():
        run = crossband.train(runs / "paired.yaml", data=data, settings=SHORT, run=tmp_path / name, silent=True)
        assert run.results is not None
        assert run.results["mae"].n == 1  # the last tenth
        assert list(run.tables) == ["paired", "grey copy", "mean image"]
        weights.append(list(run.model.parameters()))
    assert all(torch.equal(one, other) for other in weights[1:] for one, other in zip(weights[0], other, strict=True))
    kept = crossband.recipes.load_recipe(tmp_path / "pairs" / "recipe.yaml").data
    channels = {"visible": 3, "infrared": 1}
    assert kept.source == "memory"
    assert kept.arguments == {"scenes": {"train": 7, "test": 1}, "bands": [*channels], "channels": channels}


@pytest.mark.slow
def test_a_run_on_images_in_memory_asks_for_them_again(runs: Path, tmp_path: Path) -> None:
    items = own_items()
    whole = crossband.train(runs / "paired.yaml", data=items, settings=SHORT, run=tmp_path / "whole", silent=True)
    settings = {**SHORT, "steps": 1}
    crossband.train(runs / "paired.yaml", data=items, settings=settings, run=tmp_path / "parts", silent=True)
    for attempt in (
        lambda: crossband.train(resume=tmp_path / "parts", settings={"steps": 2}, silent=True),
        lambda: crossband.load(tmp_path / "whole").evaluate(silent=True),
    ):
        with pytest.raises(CrossbandError, match=r"given from Python \(7 for train, 1 for test\), and are in no file"):
            attempt()
    with pytest.raises(CrossbandError, match="trained on 7 for train, 1 for test images, these are 6 for train, 1 for"):
        crossband.train(resume=tmp_path / "parts", data=items[1:], settings={"steps": 2}, silent=True)
    parts = crossband.train(resume=tmp_path / "parts", data=items, settings={"steps": 2}, silent=True)
    one, other = (list(run.model.parameters()) for run in (whole, parts))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    again = crossband.load(tmp_path / "whole").evaluate({"train": items[:7], "test": items[7:]}, silent=True)
    assert whole.results is not None
    assert again["mae"] == whole.results["mae"]


def test_the_splits_may_be_given(runs: Path, tmp_path: Path) -> None:
    data = {"train": own_items(4), "test": Dataset(own_items(2))}
    run = crossband.train(runs / "cycle.yaml", data=data, settings={**SHORT, "data.size": 16}, run=tmp_path / "run", silent=True)  # fmt: skip
    assert list(run.tables["cycle"].images) == ["test/0", "test/1"]
    assert repr(run).startswith(f"<Run {tmp_path / 'run'}: 2 steps, <Results of cycle on 2 images: mae 0.")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "data has a length and items, got int\nhint: a dataset or a list of pairs"),
        ([], "the data is empty"),
        ([np.zeros((8, 8))] * 2, "item 0 is no pair of images but ndarray\nhint: give a mapping with `visible` and `infrared`"),
        ([(np.zeros((24, 24, 3)),) * 3] * 2, "item 0 is no pair of images but tuple of 3"),
        ([{"visible": 1, "thermal": 2}] * 2, "item 0 has no `infrared`, only `visible`, `thermal`"),
        ([(torch.zeros(3, 24, 24).byte(), 1)] * 2, "item 0, visible: a tensor has floating-point numbers in [0, 1], got uint8"),
        ([(np.zeros((24, 24, 3)), np.zeros((24, 23)))] * 2, "item 0: visible is 24x24 and infrared is 24x23\nhint: the images"),
        ({"train": own_items(2)}, "the data has no split `test`"),
        ([(np.zeros((8, 8, 3)), np.zeros((8, 8)))] * 3, "2 scenes are smaller than the window 16x16"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_used(runs: Path, data: Any, message: str) -> None:
    with pytest.raises(CrossbandError) as error:
        crossband.train(runs / "paired.yaml", data=data, settings=SHORT, run=runs / "none", silent=True)
    assert str(error.value).startswith(message)
    assert not (runs / "none").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": np.zeros(2)}, "settings: `steps` is no plain value but ndarray\nhint: settings are numbers, text"),
        ({"data.range": [0, float("inf")]}, "settings: `data.range` is no plain value but inf"),
        ("steps=2", 'settings are a mapping, got `steps=2`\nhint: write `settings={"data.batch": 4}`'),
        ({"stepps": 2}, "settings:1:1: E005"),
        ({"data.batch": "four"}, "settings:1:12: E006"),
    ],
)
def test_settings_are_checked(runs: Path, settings: Any, message: str) -> None:
    with pytest.raises(CrossbandError) as error:
        crossband.train(runs / "paired.yaml", settings=settings, run=runs / "none", silent=True)
    assert message in str(error.value)
    assert not (runs / "none").exists()


def test_settings_are_plain_values_of_any_kind(runs: Path) -> None:
    from crossband.recipes import load_recipe
    from crossband.recipes.language.settings import setting_texts

    settings = {"steps": np.int64(3), "ema": np.float32(0.5), "data.size": (8, 16), "data.cache": Path("a b"), "clip": None}  # fmt: skip
    recipe = load_recipe(runs / "paired.yaml", setting_texts(settings))
    assert (recipe.steps, recipe.ema, recipe.clip) == (3, 0.5, None)
    assert (recipe.data.geometry["size"], recipe.data.cache) == ((8, 16), str(Path.cwd() / "a b"))


# ---------------------------------------------------------------------- the rest of the front door


def test_names_are_listed() -> None:
    assert {"graphs", "blocks", "recipes", "losses", "sources"} <= set(crossband.list())
    assert "unet" in crossband.list("graphs", "*UNET*")
    assert "u2net" not in crossband.list("graphs", "*unet*")
    assert crossband.list("recipes", "no such") == []
    with pytest.raises(CrossbandError, match="there are no `graph` to list\nhint: choose from blocks"):
        crossband.list("graph")


@pytest.mark.slow
def test_a_plan_shows_itself() -> None:
    plan = crossband.check("u2netp", {"out": 3})
    assert repr(plan) == "<Plan u2netp: image 3xHxW -> fused 3xHxW, side1 3xHxW, side2 3xHxW, and 4 more; H and W: any>"
    assert re.match(r"node +blocks +output +parameters +MACs +field\nen1 ", str(plan))
    assert re.search(r"^parameters  1,\d+,\d+$", str(plan), re.MULTILINE)
    picture = plan._repr_svg_()
    assert picture.startswith("<svg")
    assert ">fused<" in picture
    assert crossband.build(plan).meta["digest"] in str(plan)  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cut_head", "ladlenet_plus", "multiscale_patchgan_gn"])
def test_a_plan_is_drawn_as_its_graph_is(name: str) -> None:
    from crossband.graphs.picture.draw import draw

    plan = crossband.check(name)
    assert len(repr(plan)) < 1000
    assert "\nparameters  " in str(plan)
    assert plan._repr_svg_() == draw(name)


def test_the_front_door_is_all_there() -> None:
    for name in {*crossband.__all__, "list"} - {"__version__"}:
        assert callable(getattr(crossband, name)), name
    assert {"load", "list", "train", "check", "build", "metric"} <= set(dir(crossband))
