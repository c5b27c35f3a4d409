"""Parallel convolutions of several dilations with a residual sum: one image, several receptive fields."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Annotated, Literal

import torch
from annotated_types import Len
from torch import Tensor, nn

from crossband.blocks.activation import RANGES, Activation
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import ANY, Range
from crossband.blocks.conv import Conv, pixels
from crossband.blocks.norm import Norm


def _reach(*, dilations: Sequence[int], kernel: int, **_: object) -> int:
    return (max(dilations) + 1) * (kernel - 1) + 1


def _range(x: Range, *, activation: str, **_: object) -> Range:
    """The sum of that of the input and that of its activation."""
    return x + RANGES[activation](ANY)


@block(
    "DilatedBranches",
    contract="b c h w -> b c h w",
    where=["pixels(h, w) >= 2  # more than one pixel to normalise"],
    reach=_reach,
    range=_range,
    cite="anonymous_multiscale",
    pixels=pixels,
)
class DilatedBranches(nn.Module):
    """Parallel convolutions of several dilations, merged, convolved once more and added to the input.

        x + conv(merge(conv_1(x), conv_2(x), ...)),   conv_i with dilation `dilations[i]`

    `b c h w` to the same. `merge` concatenates the branches (`concat`) or sums them (`add`). All convolutions
    have the same `kernel`, `norm` and `activation`. With the one dilation 1 this is the plain residual block of two
    convolutions. The paper names the dilations, but not their arrangement.
    """

    def __init__(
        self,
        c: int,
        *,
        dilations: Annotated[Sequence[Count], Len(1)] = (1, 2, 4),
        kernel: Count = 3,
        merge: Literal["concat", "add"] = "concat",
        norm: Norm = "instance",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.merge = merge
        self.branches = nn.ModuleList(
            Conv(c, out=c, kernel=kernel, dilation=dilation, norm=norm, activation=activation) for dilation in dilations
        )
        merged = c * len(dilations) if merge == "concat" else c
        self.back = Conv(merged, out=c, kernel=kernel, norm=norm, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        branches = [branch(x) for branch in self.branches]
        return x + self.back(torch.cat(branches, dim=1) if self.merge == "concat" else reduce(add, branches))
