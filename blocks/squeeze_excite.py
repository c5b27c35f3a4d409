"""Squeeze and excitation (Hu et al. 2018, section 3): a factor for each channel, from the means of all channels."""

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.ranges import UNIT, towards_zero


@block(
    "SqueezeExcite",
    contract="b c h w -> b c h w",
    where=["c >= reduce  # at least `reduce` channels"],
    range=towards_zero,
    inner_maps={"gate": InnerMap("channels", "the factor of each channel", UNIT)},
    cite="hu2018senet",
)
class SqueezeExcite(nn.Module):
    """Scale each channel by a number from 0 to 1, from the means of all channels: `b c h w` to the same.

        gate = sigmoid(W2 relu(W1 mean of x)),   out = gate * x

    W1 makes `c // reduce` numbers of `c`, W2 makes `c` of them again; both have a bias. ChannelAttention looks at
    maxima too.
    """

    def __init__(self, c: int, *, reduce: Count = 16) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(c, c // reduce), nn.ReLU(), nn.Linear(c // reduce, c))

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return x * self._gate(x)[:, :, None, None]

    def inner_maps(self, x: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The gate `b c`."""
        return {"gate": self._gate(x)}

    def _gate(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.mlp(x.mean((2, 3))))
