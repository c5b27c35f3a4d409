"""A feed-forward network whose one half gates the other (Zamir et al. 2022, Restormer, section 3.2: GDFN)."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import gelu

from crossband.blocks.contracts.block import block
from crossband.blocks.norm import LayerNorm


@block("GatedFeedForward", contract="b c h w -> b c h w", reach=3, cite="zamir2022restormer")
class GatedFeedForward(nn.Module):
    """Two views of each neighbourhood, one the gate of the other: `b c h w` to the same.

        out = x + project(gelu(u) * v),   u and v each of norm(x) by convolution 1x1 and 3x3 of each channel by itself

    u and v have `expand` times the channels, rounded down.
    """

    def __init__(self, c: int, *, expand: Annotated[float, Ge(1)] = 2.66, bias: bool = False) -> None:
        super().__init__()
        wide = int(expand * c)
        self.norm = LayerNorm(c)
        self.both = nn.Sequential(
            nn.Conv2d(c, 2 * wide, 1, bias=bias),
            nn.Conv2d(2 * wide, 2 * wide, 3, padding=1, groups=2 * wide, bias=bias),
        )
        self.project = nn.Conv2d(wide, c, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        gate, view = self.both(self.norm(x)).chunk(2, dim=1)
        return x + self.project(gelu(gate) * view)
