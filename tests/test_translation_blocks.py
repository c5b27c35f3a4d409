"""The blocks of CycleGAN, CUT and CBAM against plain formulas and the counts of the reference implementations."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, instance_norm, interpolate, pad

from crossband.blocks import CBAM, BlurDown, BlurUp, ChannelAttention, PatchSample, Residual, SpatialAttention
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import symbol
from crossband.registry import ArgumentError, blocks


def doubles(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# Attention


@pytest.mark.parametrize(("c", "count"), [(64, 680), (128, 2_284), (256, 8_564)])
def test_parameters_of_cbam(c: int, count: int):
    assert sum(parameter.numel() for parameter in CBAM(c).parameters()) == count


def test_attention_to_channels_is_its_formula():
    gate, x = ChannelAttention(6, reduce=2).double(), doubles(2, 6, 5, 4)
    squeeze, bias, expand, offset = gate.mlp.parameters()
    expected = torch.empty_like(x)
    for image in range(2):
        logits = torch.zeros(6, dtype=torch.float64)
        for pooled in (x[image].flatten(1).mean(1), x[image].flatten(1).max(1).values):
            logits = logits + expand @ (squeeze @ pooled + bias).relu() + offset
        for channel in range(6):
            expected[image, channel] = x[image, channel] / (1 + (-logits[channel]).exp())
    torch.testing.assert_close(gate(x), expected)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_attention_to_pixels_is_its_formula(norm):
    gate, x = SpatialAttention(norm=norm).double(), doubles(2, 6, 9, 8)
    summary = pad(torch.stack([x.max(1).values, x.mean(1)], 1), (3, 3, 3, 3))
    weight = gate.conv.conv.weight[0]
    logits = torch.stack(
        [
            torch.stack([(summary[..., y : y + 7, x : x + 7] * weight).sum((1, 2, 3)) for x in range(8)], -1)
            for y in range(9)
        ],
        -2,
    )
    if norm == "batch":
        logits = (logits - logits.mean()) / (logits.var(unbiased=False) + 1e-5).sqrt()
        assert gate.norm.momentum == 0.01
    torch.testing.assert_close(gate(x), x * logits.sigmoid()[:, None])


def test_cbam_attends_to_channels_first():
    cbam, x = CBAM(8, reduce=2), torch.randn(2, 8, 6, 6)
    assert torch.equal(cbam(x), cbam.pixels(cbam.channels(x)))


# Residual blocks


@pytest.mark.parametrize("attention", ["none", "cbam"])
def test_a_residual_block_is_its_formula(attention):
    block, x = Residual(8, attention=attention, reduce=2, dropout=0.5).double().eval(), doubles(2, 8, 6, 5)
    first, second = block.first.conv, block.second.conv
    branch = instance_norm(conv2d(pad(x, (1, 1, 1, 1), "reflect"), first.weight, first.bias)).relu()
    branch = instance_norm(conv2d(pad(branch, (1, 1, 1, 1), "reflect"), second.weight, second.bias))
    torch.testing.assert_close(block(x), x + (block.attention(branch) if attention == "cbam" else branch))
    assert not torch.equal(block.train()(x), block(x))  # dropout


def test_a_residual_block_asks_for_channels_only_where_it_attends():
    Residual(8)
    with pytest.raises(ArgumentError, match="Residual: it needs at least `reduce` channels, but c is 8"):
        Residual(8, attention="cbam")


# Sampling without aliasing


def test_halving_is_a_plain_convolution_of_the_mirrored_image():
    x = doubles(2, 3, 7, 6)
    rows = torch.cat([x[..., 1:2, :], x, x[..., -2:-1, :]], -2)
    whole = torch.cat([rows[..., 1:2], rows, rows[..., -2:-1]], -1)
    weights = torch.tensor([1, 2, 1], dtype=torch.float64) / 4
    plain = sum(weights[i] * weights[j] * whole[..., i : i + 7 : 2, j : j + 6 : 2] for i in range(3) for j in range(3))
    torch.testing.assert_close(BlurDown().double()(x), plain)


def test_doubling_is_a_plain_convolution_of_zeros_between_pixels_and_so_bilinear():
    x = doubles(2, 3, 4, 5)
    spread = torch.zeros(2, 3, 12, 14, dtype=torch.float64)
    spread[..., ::2, ::2] = pad(x, (1, 1, 1, 1), "replicate")
    weights = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 4
    filtered = conv2d(spread.flatten(0, 1)[:, None], (weights[:, None] * weights)[None, None])
    plain = filtered.unflatten(0, (2, 3)).squeeze(2)[..., 0:8, 0:10]
    torch.testing.assert_close(BlurUp().double()(x), plain)
    torch.testing.assert_close(BlurUp().double()(x), interpolate(x, scale_factor=2, mode="bilinear"))


@pytest.mark.parametrize("make", [BlurDown, BlurUp])
def test_a_fixed_filter_is_learned_and_saved_by_nobody_and_keeps_a_constant_image(make: type[nn.Module]):
    module = make()
    assert not list(module.parameters())
    assert not module.state_dict()
    flat = torch.full((1, 2, 5, 4), 0.3)
    torch.testing.assert_close(module(flat), torch.full_like(module(flat), 0.3))


# Patches


def test_both_maps_are_sampled_at_the_same_pixels_of_every_image():
    sample = PatchSample(2, patches=7, mlp=False)
    grid = torch.stack(torch.meshgrid(torch.arange(1.0, 7), torch.arange(1.0, 6), indexing="ij"))
    query, key = sample(grid.repeat(3, 1, 1, 1), 2 * grid.repeat(3, 1, 1, 1))
    torch.testing.assert_close(query, key)  # of length 1, so the factor is gone
    assert torch.equal(query[0], query[1])
    torch.testing.assert_close(query.norm(dim=-1), torch.ones(3, 7))


def test_pixels_are_drawn_once_each_in_training_and_evenly_spaced_in_eval():
    sample = PatchSample(1, patches=8)
    cpu = torch.device("cpu")
    first, second = sample.positions(100, cpu), sample.positions(100, cpu)
    assert len(set(first.tolist())) == 8
    assert not torch.equal(first, second)
    assert sorted(sample.positions(5, cpu).tolist()) == list(range(5))
    sample.eval()
    assert sample.positions(80, cpu).tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    assert sample.positions(5, cpu).tolist() == list(range(5))


def test_vectors_pass_through_one_mlp_of_two_layers():
    sample, x, y = PatchSample(3, out=5, patches=4).double().eval(), doubles(2, 3, 4, 4), doubles(2, 3, 4, 4)
    first, bias, second, offset = sample.mlp.parameters()
    pixels = sample.positions(16, x.device)
    for image, vectors in zip((x, y), sample(x, y), strict=True):
        for number, pixel in enumerate(pixels.tolist()):
            values = image[:, :, pixel // 4, pixel % 4]
            hidden = (values @ first.T + bias).relu() @ second.T + offset
            torch.testing.assert_close(vectors[:, number], hidden / hidden.square().sum(1, keepdim=True).sqrt())


def test_how_many_vectors_come_out_is_known_before_the_image_is():
    h, w = symbol("H"), symbol("W")
    entry = blocks["PatchSample"]
    result = shapes_of(entry, [(2, 3, h, w)] * 2, {"patches": 9})
    assert [str(size) for size in result.outputs[0][1:]] == ["min(H·W, 9)", "256"]
    assert not result.conditions
    assert shapes_of(entry, [(2, 3, 2, 4)] * 2, {"patches": 9, "mlp": False}).outputs == ((2, 8, 3), (2, 8, 3))
    with pytest.raises(ContractError, match="takes 2 inputs, got 1"):
        shapes_of(entry, [(2, 3, h, w)], {})
