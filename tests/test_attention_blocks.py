"""What the blocks of transformers and of conditioned networks compute: against plain formulas and torch's own modules."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, layer_norm, normalize, silu

from crossband import blocks, registry
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import symbol

B, H, W = symbol("B"), symbol("H"), symbol("W")


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def tokens(x: Tensor) -> Tensor:
    return rearrange(x, "b c h w -> b (h w) c")


def drawn(module: Any) -> Any:
    """The module in float64, none of its weights at 0 or 1."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.double().eval()


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def over_channels(x: Tensor, norm: Any = None) -> Tensor:
    """Layer normalisation of each pixel, with the weights of `norm`."""
    weights = (norm.norm.weight, norm.norm.bias) if norm else (None, None)
    return layer_norm(x.movedim(1, -1), x.shape[1:2], *weights, eps=1e-6).movedim(-1, 1)


# Attention between pixels


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_is_a_mean_of_values_weighted_by_keys(heads: int):
    query, key, value = random(2, 4, 3, 5), random(2, 4, 2, 4), random(2, 6, 2, 4)
    wanted = []
    for head in range(heads):
        q, k, v = (tokens(x.chunk(heads, 1)[head]) for x in (query, key, value))
        wanted.append((q @ k.mT / math.sqrt(4 / heads)).softmax(-1) @ v)
    same(tokens(blocks.Attention(heads=heads)(query, key, value)), torch.cat(wanted, -1))


def torch_attention(c: int, heads: int, weights: Any, biases: Tensor, project: Any, **kinds: Any) -> Any:
    """torch's own attention with given weights for queries, keys and values."""
    module: Any = nn.MultiheadAttention(c, heads, batch_first=True, **kinds).double()
    if module.in_proj_weight is None:
        for name, part in zip("qkv", weights, strict=True):
            getattr(module, f"{name}_proj_weight").data = part
    else:
        module.in_proj_weight.data = weights
    module.in_proj_bias.data = biases
    module.out_proj.weight.data, module.out_proj.bias.data = project.weight.data.flatten(1), project.bias.data
    return module


def test_self_attention_is_that_of_torch():
    block = drawn(blocks.SelfAttention(8, heads=2))
    module = torch_attention(8, 2, block.all.weight.data.flatten(1), block.all.bias.data, block.project)
    x = random(2, 8, 3, 5)
    seen = tokens(over_channels(x, block.norm))
    same(tokens(block(x) - x), module(seen, seen, seen)[0])


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 6, 7), (2, 6)])
def test_cross_attention_is_that_of_torch(shape: tuple[int, ...]):
    block = drawn(blocks.CrossAttention(8, 6, heads=2))
    parts = (block.query.weight.data.flatten(1), *block.both.weight.data.flatten(1).chunk(2))
    biases = torch.cat([block.query.bias.data, block.both.bias.data])
    module = torch_attention(8, 2, parts, biases, block.project, kdim=6, vdim=6)
    x, other = random(2, 8, 3, 5), random(*shape)
    places = other.reshape(2, 6, -1).mT
    same(tokens(block(x, other) - x), module(tokens(over_channels(x, block.norm)), places, places)[0])


# Attention within windows


@pytest.mark.parametrize(
    ("size", "window", "shift"), [((6, 9), 3, 0), ((6, 9), 3, 1), ((8, 4), 4, 2), ((4, 4), 4, 2), ((5, 10), 5, 3)]
)
def test_window_attention_is_dense_attention_masked_to_windows(size: tuple[int, int], window: int, shift: int):
    block = drawn(blocks.WindowAttention(4, heads=2, window=window, shift=shift))
    x = random(2, 4, *size)
    h, w = size
    rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w

    def number(place: Tensor, side: int) -> Tensor:
        """The window of each row or column: shifted ones begin `shift` later, those at both edges are cut."""
        return (place + window - shift) // window if shift and side > window else place // window

    alike = [number(place, side) for place, side in ((rows, h), (columns, w))]
    apart = torch.stack([each[:, None] != each for each in alike]).any(0)
    offset = [(place[:, None] - place) for place in (rows, columns)]
    table = block.bias.unflatten(1, (2 * window - 1, -1))
    inside = [each.masked_fill(apart, 0) + window - 1 for each in offset]
    bias = table[:, inside[0], inside[1]].masked_fill(apart, -torch.inf)
    query, key, value = (
        rearrange(part, "b p (heads c) -> b heads p c", heads=2) for part in block.all(tokens(x)).chunk(3, -1)
    )
    weights = (query @ key.mT / math.sqrt(2) + bias).softmax(-1)
    same(tokens(block(x)), block.project(rearrange(weights @ value, "b heads p c -> b p (heads c)")))


def test_windowed_attention_is_attention_of_each_window_by_itself():
    query, key, value = random(2, 4, 6, 9), random(2, 4, 6, 9), random(2, 2, 6, 9)
    found, whole = blocks.WindowedAttention(heads=2, window=3)(query, key, value), blocks.Attention(heads=2)
    for y, x in product(range(0, 6, 3), range(0, 9, 3)):
        window = (..., slice(y, y + 3), slice(x, x + 3))
        same(found[window], whole(query[window], key[window], value[window]))


def test_a_swin_block_is_attention_and_an_mlp_each_added():
    block = drawn(blocks.SwinBlock(4, heads=2, window=2, shift=1))
    x = random(2, 4, 4, 6)
    y = x + block.attention(over_channels(x, block.norm1))
    same(block(x), y + block.mlp[2](gelu(block.mlp[0](over_channels(y, block.norm2)))))
    assert count(blocks.SwinBlock(96, heads=3, window=7)) == 12 * 96**2 + 13 * 96 + 3 * 13**2


def test_sizes_that_windows_do_not_divide_are_refused():
    found = shapes_of(registry.blocks["SwinBlock"], [(B, 8, H, 20)], {"window": 8}).conditions
    assert [each.reason for each in found] == [
        "it needs rows that divide into windows, but h is H, window is 8",
        "it needs columns that divide into windows, but w is 20, window is 8",
    ]
    with pytest.raises(registry.ArgumentError, match=r"it needs `shift < window`, but shift is 8, window is 8"):
        blocks.WindowAttention(8, shift=8)


# Restormer


@pytest.mark.parametrize("heads", [1, 2])
def test_transposed_attention_is_between_channels(heads: int):
    block = drawn(blocks.TransposedAttention(4, heads=heads))
    x = random(2, 4, 3, 5)
    query, key, value = block.all(over_channels(x, block.norm)).flatten(2).chunk(3, 1)
    seen = []
    for head in range(heads):
        q, k, v = (part.chunk(heads, 1)[head] for part in (query, key, value))
        likeness = normalize(q, dim=-1) @ normalize(k, dim=-1).mT  # channel, other channel
        seen.append((block.temperature[head, 0, 0] * likeness).softmax(-1) @ v)
    same(block(x), x + block.project(torch.cat(seen, 1).unflatten(2, (3, 5))))
    assert count(blocks.TransposedAttention(48, heads=1)) == 4 * 48**2 + 27 * 48 + 2 * 48 + 1


def test_a_gated_feed_forward_is_a_product_of_two_views():
    block = drawn(blocks.GatedFeedForward(6, expand=2.5))
    x = random(2, 6, 3, 5)
    wide = block.both[1](block.both[0](over_channels(x, block.norm)))
    same(block(x), x + block.project(gelu(wide[:, :15]) * wide[:, 15:]))
    hidden = int(48 * 2.66)
    assert count(blocks.GatedFeedForward(48)) == 3 * 48 * hidden + 2 * 9 * hidden + 2 * 48


# NAFNet, ConvNeXt


def test_a_naf_block_is_the_equations_of_the_paper():
    block = drawn(blocks.NAFBlock(3))
    x = random(2, 3, 4, 5)
    wide, deep, _, scale, narrow, _ = block.mix
    u, v = deep(wide(over_channels(x, block.norm1))).chunk(2, 1)
    attended = u * v * scale.linear((u * v).mean((2, 3)))[:, :, None, None]
    y = x + block.beta * narrow(attended)
    first, _, last, _ = block.feed
    u, v = first(over_channels(y, block.norm2)).chunk(2, 1)
    same(block(x), y + block.gamma * last(u * v))
    # 1x1, depthwise, channel scale, 1x1, then 1x1 and 1x1, two norms, beta and gamma
    c = 32
    assert count(blocks.NAFBlock(c)) == 2 * c * c + 20 * c + 2 * c + 2 * (c * c + c) + 3 * c * c + 3 * c + 6 * c


@pytest.mark.parametrize("block", [blocks.NAFBlock(4), blocks.ConvNeXtBlock(4, scale=0.0)])
def test_a_new_block_is_the_identity(block: nn.Module):
    x = torch.randn(2, 4, 5, 6)
    assert torch.equal(block(x), x)


def test_a_convnext_block_is_depthwise_and_then_an_mlp():
    block = drawn(blocks.ConvNeXtBlock(4, kernel=5))
    x = random(2, 4, 6, 7)
    conv = block.conv.conv
    deep = nn.functional.conv2d(x, conv.weight, conv.bias, padding=2, groups=4)
    wide = gelu(block.mlp[0](over_channels(deep, block.conv.norm)))
    same(block(x), x + block.gamma * block.mlp[2](wide))
    c = 96
    assert count(blocks.ConvNeXtBlock(c)) == 49 * c + c + 2 * c + 8 * c * c + 5 * c + c


# Gates and vectors beside maps


def test_an_attention_gate_is_additive():
    gate = drawn(blocks.AttentionGate(6, 8))
    x, signal = random(2, 6, 8, 10), random(2, 8, 4, 5)
    small = interpolate(gate.skip(x), (4, 5), mode="bilinear", align_corners=False)
    weights = gate.weight((small + gate.signal(signal)).relu()).sigmoid()
    weights = interpolate(weights, (8, 10), mode="bilinear", align_corners=False)
    gated, found = gate(x, signal)
    same(found, weights)
    same(gated, x * weights)
    assert count(gate) == 6 * 3 + (8 * 3 + 3) + (3 + 1)


def test_time_as_sines_and_cosines():
    found = blocks.TimeEmbedding(out=6, period=100, scale=10)(torch.tensor([0.0, 0.3, 7.5], dtype=torch.float64))
    for row, t in zip(found, (0.0, 0.3, 7.5), strict=True):
        angles = [10 * t * 100 ** (-i / 3) for i in range(3)]
        wanted = [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
        same(row, torch.tensor(wanted, dtype=torch.float64))
    assert torch.equal(blocks.TimeEmbedding(out=4)(torch.tensor([3])), blocks.TimeEmbedding(out=4)(torch.tensor([3.0])))


def test_any_other_number_is_no_class():
    block = blocks.ClassEmbedding(classes=3, out=4)
    vectors = block.vectors.weight
    for number in (torch.tensor([0, 2, 3, -1, 400]), torch.tensor([0.2, 1.8, 3.0, -1.0, math.nan])):
        assert torch.equal(block(number), vectors[[0, 2, 3, 3, 3]])


def test_film_scales_and_shifts_channels():
    block = drawn(blocks.FiLM(4, 3, norm="instance"))
    x, vector = random(2, 4, 5, 6), random(2, 3)
    scale, shift = (vector @ block.linear.weight.T + block.linear.bias)[:, :, None, None].chunk(2, 1)
    same(block(x, vector), (1 + scale) * nn.functional.instance_norm(x) + shift)
    plain = drawn(blocks.FiLM(4, 3))
    nn.init.zeros_(plain.linear.weight)
    nn.init.zeros_(plain.linear.bias)
    same(plain(x, vector), x)


def test_adaptive_instance_normalisation_hands_on_mean_and_deviation():
    x, style = 3 + 2 * random(2, 4, 9, 8), 0.5 * random(2, 4, 6, 7) - 1
    block: Any = blocks.AdaIN(4, eps=1e-14).double()
    given = block(x, style)
    same(given.mean((2, 3)), style.mean((2, 3)))
    same(given.std((2, 3), correction=0), style.std((2, 3), correction=0))
    same(block(x, x), x)


def test_a_dit_block_starts_as_the_identity_and_is_steered():
    block: Any = blocks.DiTBlock(8, 6, heads=2).double()
    x, vector = random(2, 8, 3, 5), random(2, 6)
    same(block(x, vector), x)
    drawn(block)
    a = silu(vector) @ block.steer[1].weight.T + block.steer[1].bias
    t1, s1, a1, t2, s2, a2 = a[:, :, None, None].chunk(6, 1)
    module = torch_attention(8, 2, block.all.weight.data.flatten(1), block.all.bias.data, block.project)
    seen = tokens((1 + s1) * over_channels(x) + t1)
    y = x + a1 * module(seen, seen, seen)[0].mT.unflatten(2, (3, 5))
    hidden = gelu(block.mlp[0]((1 + s2) * over_channels(y) + t2), approximate="tanh")
    same(block(x, vector), y + a2 * block.mlp[2](hidden))
    assert count(blocks.DiTBlock(384, 384, heads=6)) == 18 * 384**2 + 15 * 384


def test_scalars_and_vectors_are_known_beside_maps():
    says = {
        "TimeEmbedding": ([(B,)], {"out": 8}),
        "ClassEmbedding": ([(B,)], {"classes": 3, "out": 8}),
        "FiLM": ([(B, 4, H, W), (B, 8)], {}),
        "DiTBlock": ([(B, 4, H, W), (B, 8)], {"heads": 2}),
        "CrossAttention": ([(B, 4, H, W), (B, 8)], {"heads": 2}),
    }
    found = {name: shapes_of(registry.blocks[name], *case).outputs for name, case in says.items()}
    assert found == {name: ((B, 8),) if name.endswith("Embedding") else ((B, 4, H, W),) for name in says}
