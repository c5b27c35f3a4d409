"""Fusion of feature maps of different receptive fields, pixel by pixel (Ma et al., equations 3 and 4)."""

from typing import Any, Literal

import torch
from einops import reduce
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.ranges import UNIT, Range, hull
from crossband.blocks.contracts.sizes import Size
from crossband.blocks.conv import Conv


def _maps(inputs: int, c: Size, *, per: str, **_: Any) -> Size:
    """The number of weights per pixel: for each input one, or one per channel."""
    return c * inputs if per == "channel" else inputs


def _range(*inputs: Range, **_: Any) -> tuple[Range, Range]:
    """That of the inputs, taken together, and [0, 1] for the weights."""
    return hull(*inputs), UNIT


@block(
    "PixelFusion",
    contract="b c h w, ... -> b c h w, b maps(inputs,c) h w",
    where=["inputs >= 2  # at least two feature maps to fuse"],
    outputs=("fused", "weights"),
    reach="(inputs-1)*(kernel-1)+1",
    range=_range,
    inner_maps={"weights": InnerMap("pixels", "the share of each input", UNIT, sums_to_one=True)},
    cite="ma_mrfpix2pix",
    maps=_maps,
)
class PixelFusion(nn.Module):
    """Mix feature maps of one shape by weights computed for each pixel: `b c h w, ... -> b c h w, b n h w`.

    The first two are fused, the result with the third, and so on, each time by a convolution of its own:

        alpha = sigmoid(conv([a, b])),   a * alpha + b * (1 - alpha)

    `fused` is the last result. `weights` are the shares of the n inputs in it: products of alphas, from 0 to 1,
    that sum to 1 over the inputs. With `per: channel` every channel has weights of its own, `b n*c h w`, all
    channels of the first input first.
    """

    def __init__(self, c: int, inputs: int, *, per: Literal["pixel", "channel"] = "pixel", kernel: Count = 3) -> None:
        super().__init__()
        out = c if per == "channel" else 1
        self.gates = nn.ModuleList(Conv(2 * c, out=out, kernel=kernel, activation="sigmoid") for _ in range(inputs - 1))

    def forward(self, first: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        """`b c h w, ... -> b c h w, b n h w`."""
        fused, weights = first, []
        for gate, other in zip(self.gates, others, strict=True):
            alpha = gate(torch.cat([fused, other], dim=1))
            fused = fused * alpha + other * (1 - alpha)
            weights = [*(weight * alpha for weight in weights or [torch.ones_like(alpha)]), 1 - alpha]
        return fused, torch.cat(weights, dim=1)

    def inner_maps(self, *inputs: Tensor, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights, with `per: channel` their mean over the channels: `b n h w`."""
        _, weights = self(*inputs)
        return {"weights": reduce(weights, "b (n c) h w -> b n h w", "mean", n=len(inputs))}
