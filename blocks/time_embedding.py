"""Numbers as vectors of sines (Vaswani et al. 2017, section 3.5; of the time of a diffusion, Ho et al. 2020)."""

import math
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.precision import widened
from crossband.blocks.contracts.ranges import SIGNED


@block(
    "TimeEmbedding",
    contract="b -> b {out}",
    where=["out % 2 == 0  # an even number, half of them cosines"],
    range=SIGNED,
    cite="ho2020ddpm",
)
class TimeEmbedding(nn.Module):
    """Sines and cosines of a number at `out / 2` frequencies: `b -> b {out}`, with values from -1 to 1.

        out_i = sin(scale * t * period^(-2i/out)),   then the cosines of the same

    It takes the time of a diffusion, or any number that goes with an image: an hour, a temperature, a strength. `scale`
    brings it to about 0 to 1000: 1000 for a number from 0 to 1. Behind it stands most often
    `[{Linear: {out: 256, activation: silu}}, {Linear: {out: 256}}]`. There are no weights.
    """

    def __init__(
        self,
        *,
        out: Annotated[int, Ge(2)],
        period: Annotated[float, Gt(1)] = 10_000.0,
        scale: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__()
        self.out, self.period, self.scale = out, period, scale

    def forward(self, t: Tensor) -> Tensor:
        """`b -> b {out}`."""
        wide = widened(t if t.is_floating_point() else t.float())
        half = self.out // 2
        frequencies = torch.exp(torch.arange(half, dtype=wide.dtype, device=t.device) * (-math.log(self.period) / half))
        angles = self.scale * wide[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).to(t.dtype if t.is_floating_point() else wide.dtype)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"out={self.out}, period={self.period}, scale={self.scale}"
