"""Vectors: a linear layer of them, a map laid out as one, and one repeated over the pixels of a map."""

from typing import Any

from torch import Tensor, nn

from crossband.blocks.activation import ACTIVATIONS, Activation, activated
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import hull, of_first
from crossband.blocks.contracts.sizes import Shape, Size, largest


@block("Linear", contract="b c -> b {out}", range=activated)
class Linear(nn.Module):
    """A linear layer of vectors, then activation: `b c -> b {out}`. Of each pixel of a map it is a Conv of kernel 1."""

    def __init__(self, c: int, *, out: Count, bias: bool = True, activation: Activation = "none") -> None:
        super().__init__()
        self.linear = nn.Linear(c, out, bias=bias)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`b c -> b {out}`."""
        return self.activation(self.linear(x))


@block("Flatten", contract="b c h w -> b c*h*w", range=hull)
class Flatten(nn.Module):
    """A map as one vector, channel by channel: `b c h w -> b c*h*w`. Behind GlobalPool it is the vector of channels."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b c*h*w`."""
        return x.flatten(1)


def _longest(size: Shape, **_: Any) -> Size:
    """The largest side of what is to be repeated: 1 where there is none."""
    longest: Size = 1
    for side in size:
        longest = largest(longest, side)
    return longest


@block(
    "Broadcast",
    contract="b c *size, b c2 h w -> b c h w",
    where=["longest(size) <= 1  # a vector, or a map of one pixel"],
    reach=(None, 1),
    range=of_first,
    exact="both are of the same images",
    longest=_longest,
)
class Broadcast(nn.Module):
    """Repeat a vector, or a map of one pixel, over all pixels of a map: `b c *size, b c2 h w -> b c h w`.

    Only the size of the second input is used. Add, Mul and Concat take inputs of one size, so that nothing is repeated
    unless a graph says so by this block in front of them.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """`b c *size, b c2 h w -> b c h w`."""
        return x.reshape(*x.shape[:2], 1, 1).expand(-1, -1, *like.shape[2:])
