"""Additive attention gates (Oktay et al. 2018, section 2): which pixels of a skip a deeper map asks for."""

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.ranges import UNIT, Range
from crossband.blocks.resize import resize


def _ranges(x: Range, signal: Range, **_: object) -> tuple[Range, Range]:
    """Between 0 and the ends of that of the skip; weights within [0, 1]."""
    return x * UNIT, UNIT


@block(
    "AttentionGate",
    contract="b c h w, b d k l -> b c h w, b 1 h w",
    where=["c >= reduce  # at least `reduce` channels"],
    outputs=("gated", "weights"),
    range=_ranges,
    inner_maps={"weights": InnerMap("pixels", "the weight of each pixel of the skip", UNIT)},
    cite="oktay2018attention",
)
class AttentionGate(nn.Module):
    """Scale each pixel of a skip by a weight from 0 to 1 that a deeper map helps to choose.

        weights = sigmoid(W relu(A x + B signal)),   gated = weights * x:   `b c h w, b d k l -> b c h w, b 1 h w`

    All three are linear in the channels, A without a bias; in between there are `c // reduce`. The features of the skip
    are brought to the size of the signal, where weights are computed, and the weights to that of the skip.
    """

    def __init__(self, c: int, d: int, *, reduce: Count = 2) -> None:
        super().__init__()
        self.skip = nn.Conv2d(c, c // reduce, 1, bias=False)
        self.signal = nn.Conv2d(d, c // reduce, 1)
        self.weight = nn.Conv2d(c // reduce, 1, 1)

    def forward(self, x: Tensor, signal: Tensor) -> tuple[Tensor, Tensor]:
        """`b c h w, b d k l -> b c h w, b 1 h w`."""
        both = resize(self.skip(x), signal.shape[2:], "bilinear") + self.signal(signal)
        weights = resize(torch.sigmoid(self.weight(both.relu())), x.shape[2:], "bilinear")
        return x * weights, weights

    def inner_maps(self, x: Tensor, signal: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights `b 1 h w`."""
        return {"weights": self(x, signal)[1]}
