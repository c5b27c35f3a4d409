"""Joining feature maps: side by side in channels, by sum, mean or product."""

from functools import reduce
from operator import add, mul

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import added, hull, multiplied


@block("Concat", contract="b c h w, ... -> b sum(c) h w", reach=1, range=hull)
class Concat(nn.Module):
    """Concatenate the channels of any number of inputs of one size: `b c h w, ... -> b sum(c) h w`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c h w, ... -> b sum(c) h w`, in the order given."""
        return torch.cat(inputs, dim=1)


@block("Add", contract="b c h w, ... -> b c h w", reach=1, range=added)
class Add(nn.Module):
    """The sum of any number of inputs of one shape: `b c h w, ... -> b c h w`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c h w, ... -> b c h w`."""
        return reduce(add, inputs)


@block("Mean", contract="b c h w, ... -> b c h w", reach=1, range=hull)
class Mean(nn.Module):
    """The mean of any number of inputs of one shape: `b c h w, ... -> b c h w`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c h w, ... -> b c h w`."""
        return reduce(add, inputs) / len(inputs)


@block("Mul", contract="b c h w, ... -> b c h w", reach=1, range=multiplied)
class Mul(nn.Module):
    """The elementwise product of any number of inputs of one shape: `b c h w, ... -> b c h w`.

    To scale whole channels or whole pixels, see GateChannels and GatePixels.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c h w, ... -> b c h w`."""
        return reduce(mul, inputs)
