"""The networks of pix2pix, CycleGAN, CUT, pix2pixHD, TICCGAN and GN_CycleGAN: published counts, sizes and wiring."""

from collections.abc import Iterator

import once
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossband.blocks import CBAM, GradientNorm, Residual
from crossband.graphs import InvalidFile, build, check
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.plans.image_size import refuse_size
from crossband.graphs.plans.receptive import receptive_fields

GENERATORS = {
    "resnet9": "multiples of 4, at least 8",
    "resnet6": "multiples of 4, at least 8",
    "resnet9_cbam": "multiples of 4, at least 8",
    "cut_resnet9": "multiples of 4, at least 8",
    "unet256": "multiples of 256",
    "unet128": "multiples of 128",
    "pix2pixhd_global": "multiples of 16, at least 32",
    "pix2pixhd_local": "multiples of 32, at least 64",
    "ticcgan": "multiples of 16, at least 32",
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_gives_an_image_of_the_size_it_takes(name: str):
    rule = once.plan(name).sizes
    assert str(rule) == f"H and W: {GENERATORS[name]}"
    least = rule.minimum
    module = build(name, {"width": 4, "channels": 2, "out": 1}, seed=0).eval()
    with torch.no_grad():
        translated = module(torch.randn(1, 2, least, least + rule.multiple))
    assert translated.shape == (1, 1, least, least + rule.multiple)
    assert translated.abs().max() < 1


def test_a_residual_network_does_not_change_the_size_of_an_image_in_silence():
    """The reference takes 250x254 and gives 252x256."""
    problems = Problems()
    assert refuse_size(check("resnet9"), 250, 254, problems)
    assert "H and W: multiples of 4, at least 8; nearest: 252x256" in problems.render()


def test_stages_of_the_residual_network_have_the_published_shapes():
    shapes = {node: calls[-1].shapes[0] for node, calls in check("resnet9").by_node()}
    found = {node: " ".join(map(str, shape[1:])) for node, shape in shapes.items()}
    assert found == {
        "stem": "64 H W",
        "down1": "128 ⌈H/2⌉ ⌈W/2⌉",
        "down2": "256 ⌈H/4⌉ ⌈W/4⌉",
        "trunk": "256 ⌈H/4⌉ ⌈W/4⌉",
        "up2": "128 2·⌈H/4⌉ 2·⌈W/4⌉",
        "up1": "64 4·⌈H/4⌉ 4·⌈W/4⌉",
        "head": "3 4·⌈H/4⌉ 4·⌈W/4⌉",
    }


# The same networks step by step, on the weights of the built ones in their order


def weights(module: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution, in the order in which they are used."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    return iter([(part.weight, part.bias) for part in module.modules() if isinstance(part, kinds)])  # type: ignore[misc]


def mirrored(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    edge = weight.shape[-1] // 2
    return F.conv2d(F.pad(x, [edge] * 4, "reflect"), weight, bias)


def residual_trunk(x: Tensor, layers: Iterator[tuple[Tensor, Tensor]], blocks: int) -> Tensor:
    for _ in range(blocks):
        hidden = F.instance_norm(mirrored(x, *next(layers))).relu()
        x = x + F.instance_norm(mirrored(hidden, *next(layers)))
    return x


def encoded(x: Tensor, layers: Iterator[tuple[Tensor, Tensor]], downs: int) -> Tensor:
    x = F.instance_norm(mirrored(x, *next(layers))).relu()
    for _ in range(downs):
        x = F.instance_norm(F.conv2d(x, *next(layers), stride=2, padding=1)).relu()
    return x


def decoded(x: Tensor, layers: Iterator[tuple[Tensor, Tensor]], ups: int) -> Tensor:
    for _ in range(ups):
        doubled = F.conv_transpose2d(x, *next(layers), stride=2, padding=1, output_padding=1)
        x = F.instance_norm(doubled).relu()
    return x


@pytest.mark.parametrize(("name", "downs"), [("resnet9", 2), ("pix2pixhd_global", 4)])
def test_a_residual_network_step_by_step(name: str, downs: int):
    module, x = build(name, {"width": 2, "blocks": 2}, seed=0).double(), torch.randn(2, 3, 32, 48).double()
    layers = weights(module)
    expected = decoded(residual_trunk(encoded(x, layers, downs), layers, 2), layers, downs)
    torch.testing.assert_close(module(x), mirrored(expected, *next(layers)).tanh())


@pytest.mark.parametrize(("name", "downs"), [("pix2pixhd_local", 4), ("ticcgan", 3)])
def test_the_local_enhancer_step_by_step(name: str, downs: int):
    params = {"width": 4, "blocks": 2, "local_blocks": 1}
    module, x = build(name, params, seed=0).double(), torch.randn(1, 3, 64, 96).double()
    layers = weights(module)
    small = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    coarse = decoded(residual_trunk(encoded(small, layers, downs), layers, 2), layers, downs)
    fine = residual_trunk(encoded(x, layers, 1) + coarse, layers, 1)
    torch.testing.assert_close(module(x), mirrored(decoded(fine, layers, 1), *next(layers)).tanh())


@pytest.mark.parametrize(("name", "depth"), [("unet256", 8), ("unet128", 7)])
def test_a_u_net_step_by_step(name: str, depth: int):
    """As the reference nests it: activations before convolutions, and a skip connection around each inner level."""
    module = build(name, {"width": 2, "norm": "instance", "dropout": 0}, seed=0).double()
    x = torch.randn(1, 3, 2**depth, 2 ** (depth + 1)).double()
    layers = list(weights(module))

    def level(number: int, x: Tensor) -> Tensor:
        x = F.conv2d(x if number == 1 else F.leaky_relu(x, 0.2), *layers[number - 1], stride=2, padding=1)
        if number not in (1, depth):
            x = F.instance_norm(x)
        inner = x if number == depth else torch.cat([x, level(number + 1, x)], 1)
        up = F.conv_transpose2d(inner.relu(), *layers[-number], stride=2, padding=1)
        return up.tanh() if number == 1 else F.instance_norm(up)

    torch.testing.assert_close(module(x), level(1, x))


@pytest.mark.parametrize(("name", "dropped"), [("unet256", ["up7", "up6", "up5"]), ("unet128", ["up6", "up5"])])
def test_dropout_follows_the_inner_levels_of_a_u_net(name: str, dropped: list[str]):
    found = [call for call in once.plan(name).calls if call.entry.name == "Dropout"]
    assert [call.node for call in found] == dropped
    assert all(call.arguments == {"p": 0.5} and call.shapes[0][1] == 512 for call in found)
    assert "Dropout" not in {call.entry.name for call in check(name, {"dropout": 0}).calls}


def test_attention_stands_where_it_is_asked_for():
    inside = [call for call in check("resnet9_cbam").calls if call.entry.name == "Residual"]
    assert [call.arguments["attention"] for call in inside] == ["cbam"] * 9
    after = check("resnet9_cbam", {"cbam": "after_trunk"}).calls
    assert [call.entry.name for call in after[3:13]] == ["Residual"] * 9 + ["CBAM"]
    assert {call.arguments["attention"] for call in after[3:12]} == {"none"}
    for where in ("in_block", "after_trunk"):
        module = build("resnet9_cbam", {"width": 4, "cbam": where}, taps=["deep"])
        assert module(torch.zeros(2, 3, 16, 16))["deep"].shape == (2, 16, 4, 4)
    modules = list(build("resnet9_cbam", {"width": 4, "spatial_norm": "none"}).modules())
    assert sum(isinstance(module, Residual) for module in modules) == sum(isinstance(m, CBAM) for m in modules) == 9
    assert not any(isinstance(module, nn.BatchNorm2d) for module in modules)
    with pytest.raises(InvalidFile, match="`cbam` must be `in_block` or `after_trunk`"):
        check("resnet9_cbam", {"cbam": "inblock"})


# Critics


def test_a_critic_judges_patches_of_70_pixels():
    plan = check("patchgan70")
    assert receptive_fields(plan)["score"] == 70
    assert receptive_fields(check("cut_patchgan"))["score"] == 84
    for name in ("patchgan70", "cut_patchgan"):
        with torch.device("meta"):
            module = build(name, taps=["layer1", "layer2", "layer3", "layer4"])
            found = module(torch.empty(1, 3, 256, 256))
        assert {name: tuple(value.shape[1:]) for name, value in found.items()} == {
            "score": (1, 30, 30),
            "layer1": (64, 128, 128),
            "layer2": (128, 64, 64),
            "layer3": (256, 32, 32),
            "layer4": (512, 31, 31),
        }


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_the_first_and_last_layer_of_a_critic_are_not_normalised(norm):
    module = build("patchgan70", {"width": 2, "norm": norm}, seed=0).double()
    x = torch.randn(2, 3, 32, 40).double()
    layers, score = weights(module), x
    for number, stride in enumerate((2, 2, 2, 1, 1)):
        score = F.conv2d(score, *next(layers), stride=stride, padding=1)
        if number in (1, 2, 3):
            score = F.instance_norm(score) if norm == "instance" else F.batch_norm(score, None, None, training=True)
        score = F.leaky_relu(score, 0.2) if number < 4 else score
    torch.testing.assert_close(module(x), score)


def test_a_conditional_critic_is_one_of_both_images_the_condition_first():
    pair = build("patchgan70_conditional", {"width": 2, "given": 3, "channels": 1}).eval()
    plain = build("patchgan70", {"width": 2, "channels": 4, "norm": "batch"}).eval()
    plain.load_state_dict(pair.state_dict())
    condition, image = torch.randn(1, 3, 32, 32), torch.randn(1, 1, 32, 32)
    assert torch.equal(pair(condition, image), plain(torch.cat([condition, image], 1)))


def test_a_critic_with_gradient_normalisation_is_the_plain_one_wrapped():
    params = {"width": 2, "formula": "squared", "differentiate": "mean", "blend": 0.5}
    wrapped = build("patchgan70_gn", params, seed=0)
    assert isinstance(wrapped, GradientNorm)
    plain = build("patchgan70", {"width": 2}, seed=0)
    x = torch.randn(2, 3, 32, 32)
    again = GradientNorm(plain, wrt=["image"], formula="squared", reduce="mean", blend=0.5)
    torch.testing.assert_close(wrapped(x), again(x))
    assert build("patchgan70_gn", {"width": 2}, seed=0)(x).abs().max() < 1


# CUT


def test_features_of_cut_and_their_heads():
    taps = [f"nce{number}" for number in (0, 4, 8, 12, 16)]
    generator = build("cut_resnet9", {"width": 4}, taps=taps, seed=0)
    heads = build("cut_head", {"width": 4, "out": 8, "patches": 200}, seed=0)
    image = torch.randn(2, 3, 32, 24)
    original = generator(image)
    assert torch.equal(original["nce0"], image)
    assert [tuple(original[tap].shape[1:]) for tap in taps[1:]] == [(8, 32, 24), (16, 16, 12), (16, 8, 6), (16, 8, 6)]
    translated = generator(original["translated"])
    pairs = heads(*(translated[tap] for tap in taps), *(original[tap] for tap in taps))
    assert {name: tuple(vectors.shape) for name, vectors in pairs.items()} == {
        f"{kind}{number}": (2, patches, 8)
        for number, patches in ((0, 200), (4, 200), (8, 192), (12, 48), (16, 48))
        for kind in ("query", "key")
    }
    same = heads(*(original[tap] for tap in taps), *(original[tap] for tap in taps))
    assert all(torch.equal(same[f"query{number}"], same[f"key{number}"]) for number in (0, 4, 8, 12, 16))


def test_features_of_cut_lie_before_the_normalisation_and_after_the_first_and_fifth_block():
    generator = build("cut_resnet9", {"width": 2}, taps=["nce4", "nce8", "nce12", "nce16"], seed=0).double()
    image = torch.randn(1, 3, 16, 16).double()
    layers, found = weights(generator), generator(image)
    first = F.conv2d(F.instance_norm(mirrored(image, *next(layers))).relu(), *next(layers), padding=1)
    torch.testing.assert_close(found["nce4"], first)
    blur = (torch.tensor([1.0, 2, 1])[:, None] * torch.tensor([1.0, 2, 1]) / 16).double().expand(8, 1, 3, 3)
    smaller = F.conv2d(F.pad(F.instance_norm(first).relu(), [1] * 4, "reflect"), blur[:4], stride=2, groups=4)
    second = F.conv2d(smaller, *next(layers), padding=1)
    torch.testing.assert_close(found["nce8"], second)
    smaller = F.conv2d(F.pad(F.instance_norm(second).relu(), [1] * 4, "reflect"), blur, stride=2, groups=8)
    block1 = residual_trunk(smaller, layers, 1)
    torch.testing.assert_close(found["nce12"], block1)
    block5 = residual_trunk(block1, layers, 4)
    torch.testing.assert_close(found["nce16"], block5)
    x = residual_trunk(block5, layers, 4)
    for _ in range(2):
        bigger = F.interpolate(x, scale_factor=2, mode="bilinear")
        x = F.instance_norm(F.conv2d(bigger, *next(layers), padding=1)).relu()
    torch.testing.assert_close(found["translated"], mirrored(x, *next(layers)).tanh())


def test_cut_with_batch_normalisation_has_one_where_the_other_has_the_other():
    kinds = [type(module).__name__ for module in build("cut_resnet9", {"width": 2, "norm": "batch"}).modules()]
    assert sum("BatchNorm" in kind for kind in kinds) == 23
    assert not any("InstanceNorm" in kind for kind in kinds)
