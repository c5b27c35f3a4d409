"""What small blocks compute: options of others, vectors beside maps, and changes of size that lose nothing."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from crossband import blocks, registry
from crossband.blocks.activation import ACTIVATIONS
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import symbol
from crossband.graphs import build

B, H, W = symbol("B"), symbol("H"), symbol("W")


def kinds(module: nn.Module) -> set[type[nn.Module]]:
    return {type(part) for part in module.modules()}


def says(name: str, *shapes: tuple, **arguments: object) -> list[str]:
    """The output shapes of a block, and what it asks of its inputs."""
    result = shapes_of(registry.blocks[name], shapes, arguments)
    return [" ".join(map(str, shape)) for shape in result.outputs] + [each.reason for each in result.conditions]


# Normalisation and activation as options


@pytest.mark.parametrize("c", [6, 8, 48, 64])
def test_group_normalisation_by_name_has_as_many_groups_as_divide(c: int):
    groups = blocks.Conv(3, out=c, norm="group").norm.num_groups
    assert groups == max(number for number in range(1, 33) if c % number == 0 and 32 % number == 0)


def test_layer_normalisation_by_name_is_over_the_channels_of_each_pixel():
    conv = blocks.Conv(3, out=5, norm="layer")
    x = torch.randn(2, 3, 4, 6)
    plain = conv.conv(x)
    centred = plain - plain.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(conv(x), expected)


MADE = {
    "Residual": lambda **options: blocks.Residual(32, **options),
    "RSU": lambda **options: blocks.RSU(32, depth=3, mid=32, out=32, **options),
    "Bottleneck": lambda **options: blocks.Bottleneck(32, width=32, out=64, **options),
}


@pytest.mark.parametrize("block", MADE)
@pytest.mark.parametrize(
    ("norm", "kind"),
    [("layer", blocks.LayerNorm), ("group", blocks.GroupNorm), ("instance", nn.InstanceNorm2d), ("none", None)],
)
def test_the_norm_of_a_block_is_everywhere_in_it(block, norm, kind):
    norms = {blocks.LayerNorm, blocks.GroupNorm, nn.InstanceNorm2d, nn.BatchNorm2d}
    assert kinds(MADE[block](norm=norm)) & norms == ({kind} if kind else set())


@pytest.mark.parametrize("block", MADE)
def test_sine_in_a_residual_network_is_one_word(block):
    found = kinds(MADE[block](activation="sine"))
    assert blocks.Sine in found
    assert nn.ReLU not in found
    waves = [part for part in MADE[block](activation="sine").modules() if isinstance(part, blocks.Sine)]
    relus = [part for part in MADE[block]().modules() if isinstance(part, nn.ReLU)]
    assert len(waves) == len(relus)


@pytest.mark.parametrize("block", MADE)
def test_new_options_rename_no_weight(block):
    assert {
        re.sub(r"\.activation\.(omega|phase)$", "", key) for key in MADE[block](activation="sine").state_dict()
    } >= {*MADE[block]().state_dict()}


def test_instance_normalisation_deep_inside_needs_two_pixels_there():
    assert says("RSU", (B, 3, 16, 16), depth=6, mid=2, out=2, norm="instance") == [
        "B 2 16 16",
        "it needs more than one pixel to normalise at its deepest scale, but h is 16, w is 16",
    ]
    assert says("RSU", (B, 3, 16, 17), depth=6, mid=2, out=2, norm="instance") == ["B 2 16 17"]
    assert says("RSU", (B, 3, 1, 1), depth=6, mid=2, out=2) == ["B 2 1 1"]


# Vectors and maps


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"none", "fixed_sine"}))
def test_activations_take_vectors_as_they_take_maps(name: str):
    titles = {each.lower(): each for each in registry.blocks}
    entry = registry.blocks[titles[name.replace("_", "")]]
    module = entry.factory(**({"c": 4} if entry.inferred else {})).eval()
    x = torch.randn(3, 4)
    assert torch.equal(module(x), module(x[:, :, None, None])[:, :, 0, 0])
    assert says(entry.name, (B, 4)) == ["B 4"]


@pytest.mark.parametrize("norm", [blocks.LayerNorm(8), blocks.GroupNorm(8, groups=2)])
def test_norms_of_one_image_take_vectors(norm: nn.Module):
    x = torch.randn(3, 8)
    torch.testing.assert_close(norm(x), norm(x[:, :, None, None])[:, :, 0, 0])


def test_joins_take_vectors_but_no_vector_with_a_map():
    assert says("Concat", (B, 4), (B, 6)) == ["B 10"]
    assert says("Add", (B, 4), (B, 4)) == ["B 4"]
    assert says("Mul", (B, 4), (B, 6)) == ["B 4", "`c` of input 2 must be 4, got 6"]
    assert says("Add", (B, 4, H, W), (B, 4, 1, 1))[1:] == [
        "`h` of input 2 must be H, got 1",
        "`w` of input 2 must be W, got 1",
    ]
    with pytest.raises(registry.CrossbandError, match="takes inputs of as many axes each, got 4 and 2"):
        says("Add", (B, 4, H, W), (B, 4))


def test_broadcast_repeats_a_vector_or_a_pixel_and_nothing_else():
    like, vector = torch.randn(2, 5, 4, 7), torch.randn(2, 3)
    expected = vector[:, :, None, None] + torch.zeros(2, 3, 4, 7)
    for given in (vector, vector[:, :, None], vector[:, :, None, None]):
        assert torch.equal(blocks.Broadcast()(given, like), expected)
    assert says("Broadcast", (B, 3), (B, 5, H, W)) == ["B 3 H W"]
    assert says("Broadcast", (B, 3, 1, 2), (B, 5, H, W))[1] == (
        "it needs a vector, or a map of one pixel, but size is (1, 2)"
    )


def test_a_vector_of_channels_is_pooled_transformed_and_repeated_in_a_graph(tmp_path):
    text = """
graph: gated
inputs: {image: [3, H, W]}
nodes:
  stem: {Conv: {out: 8}}
  vector: [GlobalPool, Flatten, {Linear: {out: 4, activation: silu}}, {Linear: {out: 8}}, Sigmoid]
  gate: {from: [vector, stem], Broadcast: {}}
  out: {from: [stem, gate], do: [Mul, {Conv: {out: 1}}]}
outputs: {out: [1, H, W]}
"""
    (tmp_path / "gated.yaml").write_text(text)
    network: Any = build(tmp_path / "gated.yaml").eval()
    x = torch.randn(2, 3, 6, 5)
    stem = network.stem(x)
    mean = stem.mean((2, 3))
    first, second = network.vector.Linear, network.vector.Linear_2
    gate = second.linear(nn.functional.silu(first.linear(mean))).sigmoid()
    torch.testing.assert_close(network(x), network.out.Conv(stem * gate[:, :, None, None]))


def test_pixels_are_no_channels():
    assert says("Flatten", (B, 3, H, W)) == ["B 3·H·W"]
    with pytest.raises(registry.CrossbandError, match="needs a known number for `c`, got H·W"):
        says("Linear", (B, H * W), out=4)


def test_softmax_shares_out_channels_or_pixels():
    x = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(blocks.Softmax()(x), x.exp() / x.exp().sum(1, keepdim=True))
    torch.testing.assert_close(blocks.Softmax(over="pixels")(x), x.exp() / x.exp().sum((2, 3), keepdim=True))
    assert says("Softmax", (B, 4), over="pixels")[1] == "it needs pixels to share out, but size is ()"


# Split


@pytest.mark.parametrize(("into", "sizes"), [(3, [4, 4, 4]), ([2, 9, 1], [2, 9, 1])])
def test_split_is_the_inverse_of_concat(into, sizes):
    x = torch.randn(2, 12, 3, 4)
    parts = blocks.Split(into=into)(x)
    assert [part.shape[1] for part in parts] == sizes
    assert torch.equal(blocks.Concat()(*parts), x)
    assert says("Split", (B, 12), into=into) == [f"B {size}" for size in sizes]


def test_a_split_that_does_not_come_out_even_is_refused():
    assert says("Split", (B, 7, H, W), into=2)[-1] == "it needs channels that divide into 2 parts, but c is 7"
    assert says("Split", (B, 7, H, W), into=[3, 3])[-1] == "it needs 6 channels, `[3, 3]` in all, but c is 7"


def test_parts_are_read_by_name_in_a_graph(tmp_path):
    (tmp_path / "halves.yaml").write_text("""
graph: halves
inputs: {image: [6, H, W]}
nodes:
  parts: {Split: {into: [2, 4]}}
  wide: {from: parts.part2, Conv: {out: 2}}
  out: {from: [parts.part1, wide], Add: {}}
outputs: {out: [2, H, W]}
""")
    network: Any = build(tmp_path / "halves.yaml")
    x = torch.randn(1, 6, 4, 4)
    torch.testing.assert_close(network(x), x[:, :2] + network.wide(x[:, 2:]))


# Changes of size that lose nothing


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle_and_its_inverse(factor: int):
    x = torch.randn(2, 2 * factor**2, 3, 5)
    larger = blocks.PixelShuffle(factor=factor)(x)
    assert larger.shape == (2, 2, 3 * factor, 5 * factor)
    assert torch.equal(blocks.PixelUnshuffle(factor=factor)(larger), x)
    assert torch.equal(larger[:, 0, ::factor, ::factor], x[:, 0])


def test_the_wavelet_transform_is_orthonormal_and_has_an_exact_inverse():
    x = torch.randn(2, 3, 6, 10, dtype=torch.float64)
    bands = blocks.WaveletDown()(x)
    torch.testing.assert_close(blocks.WaveletUp()(bands), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(blocks.WaveletDown()(blocks.WaveletUp()(bands)), bands, rtol=0, atol=1e-14)
    torch.testing.assert_close(bands.square().sum(), x.square().sum(), rtol=1e-14, atol=0)


def test_the_bands_of_the_wavelet_transform():
    a, b, c, d = (torch.randn(2, 3, 6, 10)[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
    x = torch.zeros(2, 3, 6, 10)
    for part, (i, j) in zip((a, b, c, d), ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        x[:, :, i::2, j::2] = part
    expected = torch.cat([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], 1) / 2
    torch.testing.assert_close(blocks.WaveletDown()(x), expected)


# Separable convolution, squeeze and excitation


def test_a_separable_convolution_is_depthwise_and_then_pointwise():
    block = blocks.SeparableConv(6, out=9, kernel=5, stride=2, norm="batch", activation="relu").eval()
    depthwise, pointwise = block.depthwise.conv, block.pointwise.conv
    assert (depthwise.groups, depthwise.weight.shape) == (6, (6, 1, 5, 5))
    x = torch.randn(2, 6, 11, 8)
    middle = block.depthwise.norm(nn.functional.conv2d(x, depthwise.weight, stride=2, padding=2, groups=6)).relu()
    torch.testing.assert_close(block(x), block.pointwise.norm(nn.functional.conv2d(middle, pointwise.weight)).relu())
    weights = sum(part.numel() for part in blocks.SeparableConv(6, out=9, bias=False).parameters())
    assert weights == 6 * 9 + 6 * 9  # c * kernel * kernel + c * out


def test_squeeze_and_excitation_is_a_gate_of_means():
    block = blocks.SqueezeExcite(32, reduce=8)
    first: Any = block.mlp[0]
    second: Any = block.mlp[2]
    x = torch.randn(2, 32, 3, 5)
    gate = (x.mean((2, 3)) @ first.weight.T + first.bias).relu() @ second.weight.T + second.bias
    torch.testing.assert_close(block(x), x * gate.sigmoid()[:, :, None, None])
    assert sum(part.numel() for part in block.parameters()) == 2 * 32 * 4 + 4 + 32
    assert math.prod(first.weight.shape) == 32 * 4
