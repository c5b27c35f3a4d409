"""Joining two feature maps into one of the same width (LadleNet, `fea_cat` of the published code)."""

import math
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import ANY, Range, hull

CatWeights: TypeAlias = Literal["registered", "random_as_published", "identity_mean"]


def _reach(*, weights: str, **_: Any) -> int:
    return 1 if weights == "identity_mean" else 3


def _range(*inputs: Range, weights: str, **_: Any) -> Range:
    """That of the inputs for `identity_mean`, else any."""
    return hull(*inputs) if weights == "identity_mean" else ANY


def _deterministic(*, weights: str, **_: Any) -> bool | str:
    return weights != "random_as_published" or "as in the published code, every call draws new convolution weights"


@block(
    "CatConv",
    contract="b c h w, b c h w -> b c h w",
    reach=_reach,
    range=_range,
    deterministic=_deterministic,
    cite="ladlenet2023",
)
class CatConv(nn.Module):
    """Join two maps of c channels and bring them back to c: `b c h w, b c h w -> b c h w`.

    `weights: registered` is a learned 3x3 convolution from 2c channels to c. The published code of LadleNet creates
    it inside its forward pass, and so does `random_as_published`: every call draws new weights, in eval
    too, which are never trained and never saved, so one image gives a different output each time.
    `identity_mean` is the mean of the two maps, without any weights.
    """

    def __init__(self, c: int, *, weights: CatWeights = "registered") -> None:
        super().__init__()
        self.c, self.weights = c, weights
        self.conv = nn.Conv2d(2 * c, c, 3, padding=1) if weights == "registered" else None

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """`b c h w, b c h w -> b c h w`."""
        if self.weights == "identity_mean":
            return (x + other) / 2
        joined = torch.cat([x, other], dim=1)
        return self.conv(joined) if self.conv else self._drawn(joined)

    def _drawn(self, joined: Tensor) -> Tensor:
        """Convolve with random weights from torch's default: uniform, up to one over the root of the fan-in."""
        most = 1 / math.sqrt(2 * self.c * 9)
        weight = joined.new_empty(self.c, 2 * self.c, 3, 3).uniform_(-most, most)
        return conv2d(joined, weight, joined.new_empty(self.c).uniform_(-most, most), padding=1)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"{self.c}, weights={self.weights!r}"
