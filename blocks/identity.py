"""The block that does nothing."""

from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import hull


@block("Identity", contract="b c *size -> b c *size", reach=1, range=hull)
class Identity(nn.Module):
    """Give the input back: `b c *size` to the same."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """`b c *size` to the same."""
        return x
