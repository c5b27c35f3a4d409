"""Joining feature maps: side by side in channels, by sum, mean or product."""

from functools import reduce
from operator import add, mul

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import added, hull, multiplied


@block("Concat", contract="b c *size, ... -> b sum(c) *size", reach=1, range=hull)
class Concat(nn.Module):
    """Concatenate the channels of any number of inputs of one size: `b c *size, ... -> b sum(c) *size`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c *size, ... -> b sum(c) *size`, in the order given."""
        return torch.cat(inputs, dim=1)


@block("Add", contract="b c *size, ... -> b c *size", reach=1, range=added)
class Add(nn.Module):
    """The sum of any number of inputs of one shape: `b c *size, ... -> b c *size`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c *size, ... -> b c *size`."""
        return reduce(add, inputs)


@block("Mean", contract="b c *size, ... -> b c *size", reach=1, range=hull)
class Mean(nn.Module):
    """The mean of any number of inputs of one shape: `b c *size, ... -> b c *size`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c *size, ... -> b c *size`."""
        return reduce(add, inputs) / len(inputs)


@block("Mul", contract="b c *size, ... -> b c *size", reach=1, range=multiplied)
class Mul(nn.Module):
    """The elementwise product of any number of inputs of one shape: `b c *size, ... -> b c *size`.

    To scale whole channels or whole pixels, see GateChannels and GatePixels.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *inputs: Tensor) -> Tensor:
        """`b c *size, ... -> b c *size`."""
        return reduce(mul, inputs)
