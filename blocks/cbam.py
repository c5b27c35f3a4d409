"""The convolutional block attention module (Woo et al. 2018, section 3): which channels count, then which pixels."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.ranges import UNIT, towards_zero
from crossband.blocks.conv import Conv
from crossband.blocks.norm import BatchNorm

GateNorm: TypeAlias = Literal["batch", "none"]


@block(
    "ChannelAttention",
    contract="b c h w -> b c h w",
    where=["c >= reduce  # at least `reduce` channels"],
    range=towards_zero,
    inner_maps={"gate": InnerMap("channels", "the factor of each channel", UNIT)},
    cite="woo2018cbam",
)
class ChannelAttention(nn.Module):
    """Scale each channel by a number from 0 to 1, from the means and maxima of all channels: `b c h w` to the same.

        gate = sigmoid(mlp(mean of x) + mlp(maximum of x)),   out = gate * x

    One MLP serves means and maxima: `c` to `c // reduce`, ReLU, back to `c`, with biases.
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
        return torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))


@block(
    "SpatialAttention",
    contract="b c h w -> b c h w",
    reach="kernel",
    range=towards_zero,
    inner_maps={"gate": InnerMap("pixels", "the factor of each pixel", UNIT)},
    cite="woo2018cbam",
)
class SpatialAttention(nn.Module):
    """Scale each pixel by a number from 0 to 1, computed from its neighbourhood: `b c h w` to the same.

        gate = sigmoid(norm(conv([maximum over channels, mean over channels]))),   out = gate * x

    The convolution has no bias. The paper's formula has no `norm`; its authors' code has batch normalisation
    with a momentum of 0.01, the default. Training uses the statistics of the batch: those of a single image
    differ from the running statistics that eval uses.
    """

    def __init__(self, *, kernel: Count = 7, norm: GateNorm = "batch") -> None:
        super().__init__()
        self.conv = Conv(2, out=1, kernel=kernel, bias=False)
        self.norm = BatchNorm(1, momentum=0.01) if norm == "batch" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return x * self._gate(x)

    def inner_maps(self, x: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The gate `b 1 h w`."""
        return {"gate": self._gate(x)}

    def _gate(self, x: Tensor) -> Tensor:
        summary = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        return torch.sigmoid(self.norm(self.conv(summary)))


@block(
    "CBAM",
    contract="b c h w -> b c h w",
    where=["c >= reduce  # at least `reduce` channels"],
    range=towards_zero,
    cite="woo2018cbam",
)
class CBAM(nn.Module):
    """Attention to channels, then to pixels: `b c h w` to the same.

    See ChannelAttention for `reduce`, SpatialAttention for `kernel` and `spatial_norm`.
    """

    def __init__(self, c: int, *, reduce: Count = 16, kernel: Count = 7, spatial_norm: GateNorm = "batch") -> None:
        super().__init__()
        self.channels = ChannelAttention(c, reduce=reduce)
        self.pixels = SpatialAttention(kernel=kernel, norm=spatial_norm)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return self.pixels(self.channels(x))
