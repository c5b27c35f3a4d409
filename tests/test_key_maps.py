"""Weights trained elsewhere: key maps rename all of a file or say what does not fit, and recipes begin with it."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import once
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet101
from torchvision.models.resnet import Bottleneck, ResNet

from crossband.graphs import build
from crossband.graphs.building.key_maps import RenamingError, load_key_map, shipped
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check as check_recipe
from crossband.recipes import read_weights, train
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.model.foreign import load_foreign, put_foreign
from crossband.recipes.model.weights import CheckpointError

NARROW = {"width": 2, "depth3": 2, "head": 4, "low": 3, "classes": 5}
Shapes = dict[str, tuple[int, ...]]


def convolution(name: str, out: int, c: int, kernel: int, *, bias: bool = False) -> Iterator[tuple[str, Any]]:
    yield f"{name}.weight", (out, c, kernel, kernel)
    if bias:
        yield f"{name}.bias", (out,)


def normalisation(name: str, c: int) -> Iterator[tuple[str, Any]]:
    yield from ((f"{name}.{leaf}", (c,)) for leaf in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.num_batches_tracked", ()


def vainf(width: int = 64, depth3: int = 23, head: int = 256, low: int = 48, classes: int = 19) -> Shapes:
    """The names and shapes of DeepLabV3+ in the layout of VainF/DeepLabV3Plus-Pytorch."""
    found = dict(convolution("backbone.conv1", width, 3, 7)) | dict(normalisation("backbone.bn1", width))
    c = width
    for layer, count in enumerate((3, 4, depth3, 3)):
        inside, out = width << layer, 4 * width << layer
        for number in range(count):
            name = f"backbone.layer{layer + 1}.{number}"
            for part, (to, of, kernel) in enumerate(((inside, c, 1), (inside, inside, 3), (out, inside, 1)), 1):
                found |= dict(convolution(f"{name}.conv{part}", to, of, kernel))
                found |= dict(normalisation(f"{name}.bn{part}", to))
            if number == 0:
                found |= dict(convolution(f"{name}.downsample.0", out, c, 1))
                found |= dict(normalisation(f"{name}.downsample.1", out))
            c = out
    for name, to, of, kernel in (
        ("project.{}", low, 4 * width, 1),
        ("aspp.convs.0.{}", head, c, 1),
        ("aspp.convs.1.{}", head, c, 3),
        ("aspp.convs.2.{}", head, c, 3),
        ("aspp.convs.3.{}", head, c, 3),
        ("aspp.convs.4.{}", head, c, 1),
        ("aspp.project.{}", head, 5 * head, 1),
        ("classifier.{}", head, low + head, 3),
    ):
        first = 1 if "convs.4" in name else 0  # behind the pooling
        found |= dict(convolution(f"classifier.{name}".format(first), to, of, kernel))
        found |= dict(normalisation(f"classifier.{name}".format(first + 1), to))
    return found | dict(convolution("classifier.classifier.3", classes, head, 1, bias=True))


def drawn(shapes: Shapes) -> dict[str, Tensor]:
    return {name: torch.rand(shape) if shape else torch.tensor(7) for name, shape in shapes.items()}


def on_meta(shapes: Shapes) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@pytest.mark.parametrize("name", shipped())
def test_shipped_key_maps_name_nodes_of_their_graph(name: str):
    keys = load_key_map(name)
    assert keys.name == name
    assert set(keys.fills) <= set(once.plan(keys.graph).graph.nodes)


def test_deeplab_at_full_width_is_filled_to_the_last_name():
    with torch.device("meta"):
        ours = build("deeplabv3plus").state_dict()
    found = load_key_map("vainf_deeplabv3plus").renamed(on_meta(vainf()), ours)
    assert found.keys() == ours.keys()


def test_resnet101_at_full_width_fills_the_trunk_and_nothing_else():
    with torch.device("meta"):
        ours, theirs = build("deeplabv3plus").state_dict(), resnet101().state_dict()
    found = load_key_map("torchvision_resnet101").renamed(theirs, ours)
    trunk = ("stem", "layer1", "layer2", "layer3", "layer4")
    assert found.keys() == {name for name in ours if name.startswith(trunk)}
    assert len(found) == len(theirs) - 2  # the classifier


@pytest.mark.slow
@pytest.mark.parametrize(("stride", "dilated"), [(8, [False, True, True]), (16, [False, False, True])])
def test_the_trunk_sees_what_torchvision_s_does(stride: int, dilated: list[bool], tmp_path: Path):
    theirs = ResNet(Bottleneck, [3, 4, 2, 3], replace_stride_with_dilation=dilated).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.get_buffer("running_mean"), -0.1, 0.1)
            nn.init.uniform_(module.get_buffer("running_var"), 0.8, 1.2)
    torch.save(theirs.state_dict(), tmp_path / "resnet.pth")
    ours = build("deeplabv3plus", {"depth3": 2, "head": 4, "stride": stride}, taps=["features1", "features4"], seed=0)
    put_foreign(ours.eval(), str(tmp_path / "resnet.pth"), "torchvision_resnet101")
    x = torch.rand(1, 3, 40, 52)
    with torch.no_grad():
        found = ours(x)
        early = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x)))))
        late = theirs.layer4(theirs.layer3(theirs.layer2(early)))
    torch.testing.assert_close(found["features1"], early, rtol=0, atol=1e-4)
    torch.testing.assert_close(found["features4"], late, rtol=1e-4, atol=1e-4)


def test_a_file_goes_into_one_node_and_leaves_the_rest(tmp_path: Path):
    params = {"width": 2, "stem": 2, **{name: NARROW[name] for name in ("depth3", "head", "low", "classes")}}
    network = build("ladlenet_plus", params, seed=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    theirs = drawn(vainf(**NARROW))
    # as its authors' training saves it: among other things a number of NumPy
    torch.save({"cur_itrs": 3, "best_score": np.float64(0.7), "model_state": theirs}, tmp_path / "best.pth")
    put_foreign(network, str(tmp_path / "best.pth"), "vainf_deeplabv3plus", "handle")
    after = network.state_dict()
    assert torch.equal(after["handle.layer3.Bottleneck_2.conv2.norm.bias"], theirs["backbone.layer3.1.bn2.bias"])
    assert torch.equal(after["handle.aspp.pooled.1.running_var"], theirs["classifier.aspp.convs.4.2.running_var"])
    assert torch.equal(after["handle.classes.conv.bias"], theirs["classifier.classifier.3.bias"])
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {name for name in after if name.startswith("handle.")}


def test_files_of_safetensors_and_plain_ones_are_the_same(tmp_path: Path):
    theirs = drawn(vainf(**NARROW))
    torch.save(theirs, tmp_path / "one.pth")
    save_file(theirs, tmp_path / "one.safetensors")
    for name in ("one.pth", "one.safetensors"):
        assert load_foreign(str(tmp_path / name), "model_state").keys() == theirs.keys()


def test_counts_of_batches_may_be_missing_as_in_old_files():
    ours = build("deeplabv3plus", NARROW).state_dict()
    theirs = {name: each for name, each in drawn(vainf(**NARROW)).items() if "num_batches" not in name}
    assert len(load_key_map("vainf_deeplabv3plus").renamed(theirs, ours)) == len(theirs)


# (a change to the file, params of the network, what is said)
MISFITS = [
    (
        {"backbone.fc.weight": (3,)},
        {},
        "the key map `vainf_deeplabv3plus` does not know these: `backbone.fc.weight`\nhint: take the key map that",
    ),
    (
        {"backbone.layer5.0.conv1.weight": (3,)},
        {},
        "these have no place in the network: `backbone.layer5.0.conv1.weight` as `layer5.Bottleneck.conv1.conv.weight`"
        "\nhint: say in which node they belong (`into:`), or set the graph's params",
    ),
    (
        {"backbone.layer1.0.conv1.weight": None},
        {},
        "nothing in the file fills these: `layer1.Bottleneck.conv1.conv.weight`\nhint: take a file of the whole",
    ),
    (
        {},
        {"classes": 7},
        "shapes differ: `classes.conv.weight` is 5x4x1x1 in the file, 7x4x1x1 in the network, `classes.conv.bias` is 5 "
        "in the file, 7 in the network\nhint: set the graph's params",
    ),
    ({}, {"depth3": 4}, "nothing in the file fills these: `layer3.Bottleneck_3.conv1.conv.weight`, "),
    ({}, {"depth3": 4}, " and 27 more\nhint: "),
]


@pytest.mark.parametrize(("change", "params", "message"), MISFITS)
def test_what_does_not_fit_is_named_with_a_hint(change: dict[str, Any], params: dict[str, int], message: str):
    shapes = {name: shape for name, shape in {**vainf(**NARROW), **change}.items() if shape is not None}
    ours = build("deeplabv3plus", {**NARROW, **params}).state_dict()
    with pytest.raises(RenamingError, match=re.escape(message)):
        load_key_map("vainf_deeplabv3plus").renamed(drawn(shapes), ours)


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("unpickled",)


def test_files_that_cannot_be_taken_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "text.pth").write_text("not weights")
    torch.save({"epoch": 3, "weights": {"a": torch.zeros(1)}}, tmp_path / "nested.pth")
    (tmp_path / "harm.pth").write_bytes(pickle.dumps(Harm(), protocol=2))
    for name, message in {
        "absent.pth": "absent.pth: no such weights file",
        "text.pth": "text.pth: not a file of weights",
        "harm.pth": "harm.pth: not a file of weights",
        "nested.pth": "named tensors are expected, got `epoch`, `weights`\nhint: say in the key map where",
    }.items():
        with pytest.raises(CheckpointError, match=re.escape(message)):
            load_foreign(str(tmp_path / name))
    assert capsys.readouterr().out == ""


def test_names_of_torchvision_stand_for_files_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(Unavailable, match=r"`resnet101-63fe2227\.pth` are not in"):
        load_foreign("torchvision/resnet101")
    (tmp_path / "checkpoints").mkdir()
    torch.save({"conv1.weight": torch.ones(2)}, tmp_path / "checkpoints" / "resnet101-cd907fc2.pth")
    assert list(load_foreign("torchvision/resnet101/IMAGENET1K_V2")) == ["conv1.weight"]
    with pytest.raises(CheckpointError, match=r"no model `resnet110`\nhint: did you mean `torchvision/resnet10?1"):
        load_foreign("torchvision/resnet110")
    with pytest.raises(CheckpointError, match="hint: choose from IMAGENET1K_V1, IMAGENET1K_V2"):
        load_foreign("torchvision/resnet101/V9")


def test_wrong_key_maps_are_told_where(tmp_path: Path):
    file = tmp_path / "odd.yaml"
    file.write_text("keys: odd\nfor: u2net\nfils: [en1]\nrename:\n  a.{n}: b.{m}\n  c.{leaf}: d.{leaf+1}\n")
    with pytest.raises(InvalidFile) as caught:
        load_key_map(str(file))
    assert "3:1: E005 the key map takes no key `fils`" in str(caught.value)
    file.write_text(file.read_text().replace("fils: [en1]\n", ""))
    with pytest.raises(InvalidFile) as caught:
        load_key_map(str(file))
    assert "4:12: E015 `{m}` is not in the name that it belongs to" in str(caught.value)
    assert "5:15: E015 `{leaf+1}` is no whole number" in str(caught.value)


RECIPE = """
recipe: plus
task: {from: infrared, to: visible}
networks:
  generator:
    graph: ladlenet_plus
    params: {channels: 1, width: 2, stem: 2, depth3: 2, head: 4, low: 3, classes: 5}
    weights: {file: best.pth, keys: vainf_deeplabv3plus, into: handle}
flow: {fake: generator(infrared)}
losses: {pixel: {l1: [fake, visible]}}
optimizer: {SGD: {lr: 1e-30}}
data: {source: {demo: {train: 2, test: 1, size: 64}}, size: 64, batch: 2}
steps: 1
evaluate: {metrics: [mae]}
"""


def test_a_recipe_begins_with_weights_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("plus.yaml").write_text(RECIPE)
    theirs = drawn(vainf(**NARROW) | {"backbone.conv1.weight": (2, 1, 7, 7)})
    torch.save({"model_state": theirs}, "best.pth")
    result = train("plus.yaml", silent=True)
    found = read_weights(result.folder / "weights" / "generator.safetensors").tensors
    torch.testing.assert_close(found["handle.low.conv.weight"], theirs["classifier.project.0.weight"])


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("{file: best.pth}", "8:14: E007 `weights` needs the key `keys`"),
        ("{file: best.pth, keys: vainf_deeplab3plus}", "8:37: E070 no key map named `vainf_deeplab3plus`"),
        (
            "{file: best.pth, keys: vainf_deeplabv3plus, into: handel}",
            "8:64: E070 `generator` has no node `handel`",
        ),
        (
            "{file: best.pth, keys: torchvision_resnet101}",
            "8:37: E070 the key map `torchvision_resnet101` fills `stem`, and `generator` has no such node",
        ),
    ],
)
def test_weights_that_cannot_be_taken_are_faults_of_the_recipe(written: str, fault: str, tmp_path: Path):
    file = tmp_path / "plus.yaml"
    file.write_text(re.sub(r"weights: \{.*\}", f"weights: {written}", RECIPE))
    with pytest.raises(InvalidFile) as caught:
        check_recipe(file)
    assert fault in str(caught.value)
