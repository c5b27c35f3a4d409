"""Pixels to channels and back (Shi et al. 2016, section 3.2): changes of size that lose nothing."""

from torch import nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import hull


@block(
    "PixelShuffle",
    contract="b c h w -> b c//(factor*factor) h*factor w*factor",
    where=["c % (factor*factor) == 0  # channels that divide by the square of the factor"],
    reach=1,
    range=hull,
    cite="shi2016espcn",
)
class PixelShuffle(nn.PixelShuffle):
    """Lay channels out as pixels: `b c h w -> b c//(factor*factor) h*factor w*factor`.

    Each output channel takes `factor` x `factor` channels that follow each other: they become a square of pixels, row
    by row. Behind a convolution it is the sub-pixel convolution, an enlargement without the chequered patterns of
    transposed convolutions that overlap unevenly.
    """

    def __init__(self, *, factor: Count = 2) -> None:
        super().__init__(factor)


@block(
    "PixelUnshuffle",
    contract="b c h w -> b c*factor*factor h//factor w//factor",
    where=[
        "h % factor == 0  # rows that divide by the factor",
        "w % factor == 0  # columns that divide by the factor",
    ],
    reach="factor",
    range=hull,
    cite="shi2016espcn",
)
class PixelUnshuffle(nn.PixelUnshuffle):
    """Lay squares of pixels out as channels, the inverse of PixelShuffle.

    `b c h w -> b c*factor*factor h//factor w//factor`.
    """

    def __init__(self, *, factor: Count = 2) -> None:
        super().__init__(factor)
