"""Values of [0, 1] brought to [-1, 1]."""

from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import Range


def _range(given: Range) -> Range:
    """From twice the least minus 1 to twice the most minus 1."""
    return given * 2 + -1


@block("Signed", contract="b c *size -> b c *size", reach=1, range=_range)
class Signed(nn.Module):
    """`2 x - 1`, elementwise: `b c *size` to the same; behind a Sigmoid, an image in [-1, 1], as a Tanh gives it.

    The function `unit` of recipes is its inverse.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """`b c *size` to the same."""
        return 2 * x - 1
