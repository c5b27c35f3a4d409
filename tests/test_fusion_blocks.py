"""What the blocks of several scales and receptive fields compute: learned sines, fusions, parallel dilations, pyramids."""

import re
from functools import reduce
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn.functional import pad

from crossband.blocks import AvgPool, Conv, DilatedBranches, Mean, PixelFusion, Pyramid, ResizeTo, Sine
from crossband.registry import ArgumentError, CrossbandError


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Sine


@pytest.mark.parametrize(("per", "pairs"), [("layer", 1), ("channel", 4)])
def test_sine_begins_as_given_and_learns_frequency_and_phase(per, pairs):
    sine = Sine(4, per=per, omega=2.0, phase=0.5).double()
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(sine(x), torch.sin(2 * x + 0.5))
    assert count(sine) == 2 * pairs
    weights = {name: parameter.detach().requires_grad_() for name, parameter in sine.named_parameters()}

    def of_weights(omega: Tensor, phase: Tensor) -> Tensor:
        return functional_call(sine, {"omega": omega, "phase": phase}, (x,))

    assert gradcheck(of_weights, (weights["omega"], weights["phase"]))
    assert gradcheck(sine, x)


def test_sine_is_an_activation_of_convolutions_with_two_parameters_a_layer():
    sine, plain = Conv(3, out=8, norm="instance", activation="sine"), Conv(3, out=8, norm="instance")
    assert count(sine) == count(plain) + 2
    plain.load_state_dict(sine.state_dict(), strict=False)
    x = torch.randn(1, 3, 5, 5)
    assert torch.equal(sine(x), plain(x).sin())
    fixed = Conv(3, out=8, norm="instance", activation="fixed_sine")
    assert count(fixed) == count(plain)  # nothing is learned of it, and its numbers are in the weights all the same
    fixed.load_state_dict(sine.state_dict())
    assert torch.equal(fixed(x), sine(x))


def test_corners_are_aligned_where_it_is_said():
    x = torch.rand(1, 2, 4, 5)
    like = torch.zeros(1, 1, 8, 10)
    aligned = ResizeTo(align_corners=True)(x, like)
    torch.testing.assert_close(aligned, torch.nn.UpsamplingBilinear2d(scale_factor=2)(x))
    assert torch.equal(aligned[..., ::7, ::9], x[..., ::3, ::4])
    assert not torch.equal(aligned, ResizeTo()(x, like))
    with pytest.raises(CrossbandError, match="`mode: bilinear` for `align_corners`"):
        ResizeTo(mode="nearest", align_corners=True)


# PixelFusion


@pytest.mark.parametrize("per", ["pixel", "channel"])
@pytest.mark.parametrize("inputs", [2, 4])
def test_the_weights_of_a_fusion_sum_to_one_and_make_the_fused_map(per, inputs):
    fusion = PixelFusion(3, inputs, per=per)
    maps = [torch.randn(2, 3, 6, 5) for _ in range(inputs)]
    fused, weights = fusion(*maps)
    weights = weights.unflatten(1, (inputs, -1))
    assert weights.shape == (2, inputs, 3 if per == "channel" else 1, 6, 5)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(1), torch.ones_like(weights[:, 0]))
    torch.testing.assert_close((weights * torch.stack(maps, 1)).sum(1), fused)


def test_a_fusion_takes_its_inputs_in_turn():
    """Equations 3 and 4 of the paper, nested ((f1, f2), f3), each with a convolution of its own."""
    fusion = PixelFusion(2, 3, kernel=1)
    f1, f2, f3 = (torch.randn(1, 2, 4, 4) for _ in range(3))
    fused = f1
    for gate, other in zip(fusion.gates, (f2, f3), strict=True):
        assert isinstance(gate, Conv)
        alpha = gate.conv(torch.cat([fused, other], 1)).sigmoid()
        fused = fused * alpha + other * (1 - alpha)
    assert torch.equal(fusion(f1, f2, f3)[0], fused)
    assert count(PixelFusion(32, 4)) == 3 * (64 * 9 + 1)


def test_one_map_is_not_fused():
    message = "PixelFusion: it needs at least two feature maps to fuse, but inputs is 1"
    with pytest.raises(ArgumentError, match=re.escape(message)):
        PixelFusion(4, 1)


# DilatedBranches, and what averages


@pytest.mark.parametrize("merge", ["concat", "add"])
def test_parallel_dilations_step_by_step(merge):
    block = DilatedBranches(4, dilations=[1, 2, 4], merge=merge)
    x = torch.randn(1, 4, 9, 9)
    first, *others = [branch(x) for branch in block.branches]
    joined = torch.cat([first, *others], 1) if merge == "concat" else reduce(torch.add, others, first)
    assert torch.equal(block(x), x + block.back(joined))
    assert [branch.conv.dilation for branch in block.branches if isinstance(branch, Conv)] == [(1, 1), (2, 2), (4, 4)]


def test_parameters_of_parallel_dilations():
    assert count(DilatedBranches(64, activation="sine")) == 3 * 36_928 + 110_656 + 8
    assert count(DilatedBranches(64, dilations=[1], activation="sine")) == 2 * 36_928 + 4


def test_an_image_brought_to_half_its_size_by_area_is_the_pooled_one():
    x = torch.randn(1, 2, 16, 24)
    pooled = x
    for sides in ((8, 12), (4, 6), (2, 3)):
        pooled = AvgPool()(pooled)
        torch.testing.assert_close(ResizeTo(mode="area")(x, torch.zeros(1, 1, *sides)), pooled)
    odd = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 2, 5)
    padded = AvgPool(kernel=3, stride=2, padding=1, count_include_pad=False)(odd)
    assert padded[0, 0, 0].tolist() == [0.5, 2, 3.5]  # what is beyond the edge does not count


def test_the_mean_of_feature_maps():
    maps = [torch.randn(1, 2, 3, 3) for _ in range(3)]
    torch.testing.assert_close(Mean()(*maps), torch.stack(maps).mean(0))


@pytest.mark.parametrize("window", [2, 3])
def test_a_pyramid_is_the_image_averaged_again_and_again(window: Literal[2, 3]):
    image = torch.rand(2, 3, 37, 22)
    levels = Pyramid(levels=4, window=window)(image)
    assert [tuple(level.shape[2:]) for level in levels] == [(37, 22), (19, 11), (10, 6), (5, 3)]
    for above, level in pairwise(levels):
        padded = pad(above, (window - 2, window, window - 2, window), value=torch.nan)
        windows = padded.unfold(2, window, 2).unfold(3, window, 2)[:, :, : level.shape[2], : level.shape[3]]
        torch.testing.assert_close(level, windows.flatten(4).nanmean(-1))
