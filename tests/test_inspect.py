"""Looking into a network: what is seen is what it works with, and looking changes nothing."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import run, succeed
from PIL import Image

import crossband
from crossband import CrossbandError
from crossband.graphs import check
from crossband.recipes.model.as_trained import keep_training
from crossband.recipes.model.inspecting import known_names
from crossband.recipes.model.loading import untrained
from crossband.recipes.model.memory import TooLarge
from crossband.recipes.reporting.inner_maps import channels_of, draw_inspection, panels

SEEN = """
graph: seen
inputs: {image: [3, H, W]}
nodes:
  stem: {Conv: {out: 8, stride: 2, norm: batch, activation: relu}}
  look: {CrissCross: {reduce: 2}, repeat: 2, share: true}
  gated: [{CBAM: {reduce: 2}}, {Dropout: {p: 0.5}}]
  near: {from: gated, Conv: {out: 8}}
  far: {from: gated, Conv: {out: 8, dilation: 3}}
  fusion: {from: [near, far], PixelFusion: {}}
  inner: {from: fusion.fused, Conv: {out: 3}}
  pooled: {from: look, GlobalPool: {}}
  out: {from: [inner, image], do: [ResizeTo, {Conv: {out: 1}}, Sigmoid]}
outputs: {out: [1, H, W]}
taps: {weights: fusion.weights, hidden: stem, vector: pooled}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspect")
    (path / "seen.yaml").write_text(SEEN)
    noise = np.random.default_rng(0).integers(0, 255, (37, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path / "photo.png")
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> crossband.Model:
    made = untrained(check(str(folder / "seen.yaml")))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.8)
    return made


@pytest.fixture
def image(folder: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(folder / "photo.png")) / np.float32(255)).permute(2, 0, 1)


# ---------------------------------------------------------------- what is seen


@pytest.mark.parametrize(
    ("name", "params", "at"),
    [
        ("unetpp_mrf", {"width": 4}, ["fusion", "deep", "x01"]),
        ("u2net_cca", {"width": 8, "most": 16}, ["cca5", "cca6.2.attention", "en1", "fused"]),
        ("resnet9_cbam", {"width": 16}, ["attentive_trunk.Residual_9", "deep"]),
        ("swin_unet", {"width": 8, "heads": 2, "window": 2, "out": 1}, []),
        ("multiscale_sine", {"width": 8, "scales": 3, "modules": 1}, ["emitted", "further.scale_2.sum", "translated"]),
        ("ladlenet", {"width": 4}, ["semantic", "handle.dec3", "bowl"]),
    ],
)
def test_looking_changes_nothing_and_leaves_nothing_behind(name, params, at) -> None:
    model = untrained(check(name, params))
    views = model.views()
    at = at or [each for each, view in views.items() if view.map]
    channels = model.task.channels[model.task.source]
    image = torch.rand(channels, 70, 90, generator=torch.Generator().manual_seed(0))
    before, random = model(image), torch.get_rng_state()
    seen = model.inspect(image, at)
    assert torch.equal(random, torch.get_rng_state())
    assert torch.equal(seen.result, before)
    assert torch.equal(model(image), before)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    for each, values in seen.items():
        assert torch.isfinite(values).all()
        if (declared := seen.views[each].map) and declared.sums_to_one:
            assert torch.allclose(values.sum([axis - 1 for axis in declared.summed]), torch.ones(()), atol=1e-5)


def test_each_use_of_shared_weights_is_seen_apart(model, image) -> None:
    seen = model.inspect(image, ["look.out", "look.2.out", "look", "hidden"])
    attention = next(each for each in model.modules() if type(each).__name__ == "CrissCross")
    once = attention(seen["hidden"][None])[0]
    assert torch.allclose(seen["look.out"], once, atol=1e-6)
    assert torch.allclose(seen["look.2.out"], attention(once[None])[0], atol=1e-6)
    assert {"look.attention", "look.2.attention"} <= {*seen}
    assert not torch.equal(seen["look.attention"], seen["look.2.attention"])


def test_names_are_of_nodes_parts_taps_and_outputs(model, image) -> None:
    assert list(model.inspect(image, "fusion")) == ["fusion.weights"]
    assert torch.equal(model.inspect(image, "weights")["weights"], model.inspect(image, "fusion")["fusion.weights"])
    assert list(model.inspect(image, "gated")) == ["gated.CBAM.channels.gate", "gated.CBAM.pixels.gate"]
    assert model.inspect(image, "pooled")["pooled.out"].shape == (8, 1, 1)
    assert model.inspect(image, "out")["out.Sigmoid.out"].shape == (1, 37, 50)
    whole = crossband.build(model.graph, taps=["hidden"])
    whole.load_state_dict(next(iter(model.networks.values())).state_dict())
    hidden = whole.eval()(image[None])["hidden"][0]
    assert torch.equal(model.inspect(image, "hidden")["hidden"], hidden)
    for name in known_names(model.views(), model.task.plans):
        assert len(model.inspect(image, name)) >= 1


def test_the_pixel_is_that_of_the_image(model, image) -> None:
    values = model.inspect(image, "look.attention", pixel=(36, 49))["look.attention"][0]
    rows, columns = values.shape
    assert (values[rows - 1] > 0).all()
    assert (values[:, columns - 1] > 0).all()
    assert (values > 0).sum() == rows + columns - 1
    middle = model.inspect(image, "look.attention")
    assert middle.pixel == (18, 25)


def test_networks_that_work_as_in_training_are_seen_at_work(folder, image) -> None:
    model = untrained(check(str(folder / "seen.yaml")))
    keep_training(next(iter(model.networks.values())), 0)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(image)
    seen = model.inspect(image, ["look", "gated", "fusion", "hidden"])
    assert torch.equal(seen.result, before)
    assert torch.equal(model(image), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_compiled_networks_are_looked_into_as_they_are_written(folder, image) -> None:
    model = untrained(check(str(folder / "seen.yaml")))
    plain = model.inspect(image, ["look", "fusion"])
    model.compile(backend="eager")
    before = model(image)
    seen = model.inspect(image, ["look", "fusion"])
    assert all(torch.equal(seen[name], plain[name]) for name in plain)
    assert torch.equal(model(image), before)
    network = next(iter(untrained(check(str(folder / "seen.yaml"))).networks.values()))
    exported = torch.export.export(network, (image[None],)).module()
    assert torch.allclose(exported(image[None]), network(image[None]), atol=1e-6)


def test_images_come_in_any_form(model, folder, image) -> None:
    wanted = model.inspect(image, "fusion")
    for form in (folder / "photo.png", str(folder / "photo.png"), Image.open(folder / "photo.png")):
        found = model.inspect(form, "fusion")
        assert torch.equal(found["fusion.weights"], wanted["fusion.weights"])
        assert torch.equal(found.image, image)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("fusoin", "`seen` has no node, tap or output `fusoin`\nhint: did you mean `fusion`?"),
        ("stem.attention", "`stem` shows no `attention`\nhint: it shows `stem.out`"),
        ("look.atention", "`look` shows no `atention`\nhint: it shows `look.out`, `look.attention`, `look.2.out`"),
        ("zzzzzz", "has no node, tap or output `zzzzzz`\nhint: leave out `--at` for a list"),
    ],
)
def test_a_name_that_is_not_there_is_told_what_is(model, image, at, message) -> None:
    with pytest.raises(CrossbandError, match=re.escape(message)):
        model.inspect(image, at)


def test_one_image_a_pixel_in_it_and_memory_for_it(model, image, monkeypatch) -> None:
    with pytest.raises(CrossbandError, match="one image is looked into at a time, got 2"):
        model.inspect(torch.stack([image, image]), "fusion")
    with pytest.raises(CrossbandError, match="the image of 37x50 has no pixel in row 37 and column 0"):
        model.inspect(image, "fusion", pixel=(37, 0))
    monkeypatch.setattr("crossband.recipes.model.memory.memory_at_hand", lambda _: 1000)
    model._fitting.clear()
    with pytest.raises(TooLarge, match=r"37x50 pixels take at least .*\nhint: an image is looked into as a whole"):
        model.inspect(image, "fusion")


# ---------------------------------------------------------------- what is drawn


def test_a_map_is_drawn_at_its_own_size_with_its_range(model, image) -> None:
    seen = model.inspect(image, ["fusion", "inner", "near", "gated"])
    drawn = {}
    for panel in panels(seen):
        drawn.setdefault(panel.name, []).append(panel)
    weights = drawn["fusion.weights"]
    assert [panel.values.shape for panel in weights] == [(19, 25)] * 2
    assert np.array_equal(weights[1].values, seen["fusion.weights"][1].numpy())
    assert weights[0].ends == weights[1].ends == (seen["fusion.weights"].min(), seen["fusion.weights"].max())
    assert weights[0].note.startswith("map 0 of 2\n19x25, ")
    [colours] = drawn["inner.out"]
    assert (colours.values.shape, colours.values.min(), colours.values.max()) == ((19, 25, 3), 0, 1)
    [mean] = drawn["near.out"]
    assert np.allclose(mean.values, seen["near.out"].mean(0).numpy())
    assert mean.note.startswith("mean of 8 channels\n19x25, ")
    gate = drawn["gated.CBAM.channels.gate"][0]
    assert gate.values.shape == (8,)
    assert gate.note.startswith("8 channels, ")


def test_channels_are_chosen(model, image) -> None:
    seen = model.inspect(image, "near")
    assert [panel.note.split("\n")[0] for panel in panels(seen, [0, 7])] == ["channel 0 of 8", "channel 7 of 8"]
    assert panels(seen, "mean", (0.0, 2.0))[0].ends == (0.0, 2.0)
    [three] = panels(seen, "pca")
    assert three.values.shape == (19, 25, 3)
    values = seen["near.out"]
    assert values.min() < 0 < values.max()
    assert panels(seen, range(8))[0].ends == (-values.abs().max(), values.abs().max())  # 0 in the middle of the colours
    flat = three.values.reshape(-1, 3) - three.values.reshape(-1, 3).mean(0)
    assert np.allclose((flat.T @ flat) * (1 - np.eye(3)), 0, atol=1e-6)  # components do not vary together
    with pytest.raises(
        CrossbandError, match=r"`near.out` has no channel 8\nhint: the numbers of its channels are 0 to 7"
    ):
        panels(seen, [8])
    with pytest.raises(CrossbandError, match="up to 24 maps, and these are 32"):
        panels(seen, [0, 1] * 16)
    with pytest.raises(CrossbandError, match="three components need three"):
        panels(model.inspect(image, "fusion"), "pca")
    assert (channels_of(None), channels_of("pca"), channels_of("0, 3")) == (None, "pca", [0, 3])
    with pytest.raises(CrossbandError, match="`maen` names no channels\nhint: did you mean `mean`"):
        channels_of("maen")


def test_a_picture_is_the_same_each_time(model, image, tmp_path) -> None:
    seen = model.inspect(image, ["fusion", "gated", "look", "inner"])
    files = [draw_inspection(seen, panels(seen), tmp_path / f"{n}.png", title="seen") for n in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert Image.open(files[0]).width > 1000
    broken = seen.tensors | {"fusion.weights": torch.full((2, 19, 25), torch.nan)}
    nothing = type(seen)(broken, seen.views, seen.image, seen.result, seen.inside, seen.pixel)
    assert "not finite" in panels(nothing)[0].note
    draw_inspection(nothing, panels(nothing), tmp_path / "broken.png", title="")


# ---------------------------------------------------------------- the command


def test_the_command_lists_and_draws(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    listed = succeed("inspect", "seen.yaml")
    assert re.search(r"^look.2.attention +CrissCross +how much each pixel of its cross counts", listed, re.MULTILINE)
    assert re.search(r"^inner.out +Conv +output of Conv, 3 x ⌈H/2⌉ x ⌈W/2⌉", listed, re.MULTILINE)
    assert listed == succeed("inspect", "seen.yaml", "photo.png", "--list", "--at", "look")
    picture = tmp_path / "look.png"
    result = run("inspect", "seen.yaml", "photo.png", "--at", "look,weights", "--pixel", "49,0", "--picture", picture)
    assert result.exit_code == 0, result.output
    assert "note: `seen` is not trained: its weights are drawn with the seed 0" in result.stderr
    assert f"4 maps in {picture}" in result.stderr
    assert re.search(r"^weights +2x19x25 +0\.\d+ +0\.5 +0\.\d+$", result.stdout, re.MULTILINE)
    assert Image.open(picture).format == "PNG"


def test_a_critic_is_listed_and_not_run(folder) -> None:
    assert "score" in succeed("inspect", "patchgan70")
    assert "makes no image from an image" in run("inspect", "patchgan70", folder / "photo.png", "--at", "score").output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["seen.yaml", "photo.png", "--at", "fusoin"], 1, "did you mean `fusion`?"),
        (["seen.yaml", "--at", "fusion"], 2, "name the image that is to go through"),
        (["seen.yaml", "seen.yaml", "photo.png", "--at", "x"], 2, "one network and one image at a time, got 3 names"),
        (["seen.yaml", "photo.png", "--picture", "x.png"], 2, "say what to draw: `--at NODE`"),
        (["seen.yaml", ".", "--at", "look"], 1, ".: a folder, and one image is looked into at a time"),
        (["seen.yaml", "run", "--at", "look"], 1, "run: a run: runs are inspected one at a time"),
        (["run", "photo.png", "--at", "look"], 1, ""),
        (["seen.yaml", "photo.png", "--at", "look", "--picture", "photo.png"], 1, "photo.png: is there already"),
        (["seen.yaml", "photo.png", "--at", "look", "--picture", "x.jpg"], 1, "hint: name it `x.png`"),
        (["seen.yaml", "photo.png", "--at", "look", "--pixel", "7"], 2, "`7` is no pixel: write x,y"),
        (["seen.yaml", "photo.png", "--at", "look", "--pixel", "50,1"], 1, "has no pixel in row 1 and column 50"),
        (["seen.yaml", "photo.png", "--at", "look", "--range", "2", "1"], 2, "`--range` takes LOW HIGH, got 2 1"),
        (["seen.yaml", "photo.png", "--at", "look", "--network", "x"], 1, "is no run, and `--network` chooses one"),
        (["seen.yaml", "missing.png", "--at", "look"], 1, "missing.png"),
        (["seen.yaml", "photo.png", "--at", "look", "--channels", "9"], 1, "has no head 9\nhint: its only head is 0"),
        (["run/recipe.yaml"], 1, "a recipe, which is not trained"),
        (["u2nett_cca"], 1, "no graph named `u2nett_cca`\nhint: did you mean"),
    ],
)
def test_what_cannot_be_inspected_is_refused(folder, monkeypatch, arguments, code, message) -> None:
    monkeypatch.chdir(folder)
    Path("run").mkdir(exist_ok=True)
    Path("run/recipe.yaml").write_text("recipe: run\n")
    result = run("inspect", *arguments)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert not Path("x.png").exists()
