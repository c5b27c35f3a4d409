"""Dropout (Srivastava et al. 2014)."""

from torch import nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Share
from crossband.blocks.contracts.ranges import hull


@block("Dropout", contract="b c *size -> b c *size", reach=1, range=hull, cite="srivastava2014dropout")
class Dropout(nn.Dropout):
    """In training, set each value to zero with the probability `p` and scale the rest by `1 / (1 - p)`.

    `b c *size` to the same. In eval it does nothing.
    """

    def __init__(self, *, p: Share = 0.5) -> None:
        super().__init__(p)
