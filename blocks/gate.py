"""Gates: one factor for a whole channel, or for all channels of a pixel."""

from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import multiplied

SEE_MUL = "for a factor of each channel of each pixel there is Mul"


@block("GateChannels", contract="b c h w, b c 1 1 -> b c h w", reach=1, range=multiplied, exact=SEE_MUL)
class GateChannels(nn.Module):
    """Scale each channel of the first input by its factor in the second: `b c h w, b c 1 1 -> b c h w`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """`b c h w, b c 1 1 -> b c h w`."""
        return x * gate


@block("GatePixels", contract="b c h w, b 1 h w -> b c h w", reach=1, range=multiplied, exact=SEE_MUL)
class GatePixels(nn.Module):
    """Scale each pixel of the first input by its factor in the second: `b c h w, b 1 h w -> b c h w`."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """`b c h w, b 1 h w -> b c h w`."""
        return x * gate
