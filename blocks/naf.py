"""Blocks without activations (Chen et al. 2022, NAFNet, section 3): products take their place."""

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Share
from crossband.blocks.contracts.ranges import Range
from crossband.blocks.norm import LayerNorm


def _square(x: Range, **_: object) -> Range:
    """The product of two values of the input."""
    return x * x


@block(
    "SimpleGate",
    contract="b c *size -> b c//2 *size",
    where=["c % 2 == 0  # an even number of channels"],
    reach=1,
    range=_square,
    cite="chen2022nafnet",
)
class SimpleGate(nn.Module):
    """The product of the first half of the channels and the second: `b c *size -> b c//2 *size`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """`b c *size -> b c//2 *size`."""
        first, second = x.unflatten(1, (2, -1)).unbind(1)
        return first * second


class _ChannelScale(nn.Module):
    """Simplified channel attention: each channel times a number that is linear in the means of all channels."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.linear = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.linear(x.mean((2, 3)))[:, :, None, None]


@block("NAFBlock", contract="b c h w -> b c h w", cite="chen2022nafnet")
class NAFBlock(nn.Module):
    """A block of NAFNet, in which nothing but products is not linear: `b c h w` to the same.

        y = x + beta * mix(norm(x)),   out = y + gamma * feed(norm(y))

    `mix` is a convolution 1x1 to twice the channels, one 3x3 of each channel by itself, the product of both halves
    (SimpleGate), a factor for each channel that is linear in the means of all, and a convolution 1x1. `feed` is a
    convolution 1x1 to twice the channels, the product of both halves, a convolution 1x1. `expand` widens all of them.
    `beta` and `gamma` are learned for each channel and **start at 0**, so that a new block is the identity.
    """

    def __init__(self, c: int, *, expand: Count = 1, dropout: Share = 0.0) -> None:
        super().__init__()
        wide = expand * c
        self.norm1 = LayerNorm(c)
        self.mix = nn.Sequential(
            nn.Conv2d(c, 2 * wide, 1),
            nn.Conv2d(2 * wide, 2 * wide, 3, padding=1, groups=2 * wide),
            SimpleGate(),
            _ChannelScale(wide),
            nn.Conv2d(wide, c, 1),
            nn.Dropout(dropout),
        )
        self.norm2 = LayerNorm(c)
        self.feed = nn.Sequential(nn.Conv2d(c, 2 * wide, 1), SimpleGate(), nn.Conv2d(wide, c, 1), nn.Dropout(dropout))
        self.beta = nn.Parameter(torch.zeros(c, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(c, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        x = x + self.beta * self.mix(self.norm1(x))
        return x + self.gamma * self.feed(self.norm2(x))
