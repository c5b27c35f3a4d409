"""The sine as an activation that learns its frequency and its phase (after Sitzmann et al. 2020)."""

from typing import Literal

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import SIGNED


@block(
    "Sine",
    contract="b c *size -> b c *size",
    reach=1,
    range=SIGNED,
    later=("learned",),
    cite="sitzmann2020siren",
)
class Sine(nn.Module):
    """`sin(omega * x + phase)`, elementwise, both `learned` or fixed: `b c *size` to the same, from -1 to 1.

    There is one pair `per` layer or one for each channel; all start at the given values. Behind a normalisation,
    `omega: 1` starts nearly linear; the fixed 30 of SIREN is meant for coordinates, not for feature maps.
    """

    omega: Tensor
    phase: Tensor

    def __init__(
        self,
        c: int,
        *,
        per: Literal["layer", "channel"] = "layer",
        omega: float = 1.0,
        phase: float = 0.0,
        learned: bool = True,
    ) -> None:
        super().__init__()
        pairs = c if per == "channel" else 1
        for name, value in (("omega", omega), ("phase", phase)):
            numbers = torch.full((pairs, 1, 1), float(value))
            if learned:
                self.register_parameter(name, nn.Parameter(numbers))
            else:
                self.register_buffer(name, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """`b c *size` to the same."""
        each = (-1, *(1,) * (x.ndim - 2))  # vectors too
        return torch.sin(self.omega.view(each) * x + self.phase.view(each))
