"""The residual block of the generators of Johnson et al. 2016 and CycleGAN."""

from typing import Literal

from torch import Tensor, nn

from crossband.blocks.activation import Activation
from crossband.blocks.cbam import CBAM, GateNorm
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Share
from crossband.blocks.conv import Conv, PadMode, pixels, reflectable
from crossband.blocks.norm import Norm


def _mirrored(*, kernel: int, pad_mode: str, **_: object) -> int:
    return reflectable(kernel=kernel, padding="same", dilation=1, pad_mode=pad_mode)


def _squeezed(*, attention: str, reduce: int, **_: object) -> int:
    """The least number of channels that the attention takes."""
    return reduce if attention == "cbam" else 1


def _reach(*, kernel: int, attention: str, **_: object) -> int | None:
    """The reach of two convolutions, unless attention looks at the whole image."""
    return 2 * kernel - 1 if attention == "none" else None


@block(
    "Residual",
    contract="b c h w -> b c h w",
    where=[
        "c >= squeezed()  # at least `reduce` channels",
        "h >= mirrored()  # more rows than are mirrored at its edge",
        "w >= mirrored()  # more columns than are mirrored at its edge",
        "pixels(h, w) >= 2  # more than one pixel to normalise",
    ],
    reach=_reach,
    later=("activation",),
    cite="johnson2016perceptual",
    squeezed=_squeezed,
    mirrored=_mirrored,
    pixels=pixels,
)
class Residual(nn.Module):
    """Two convolutions added to their input, without activation after the sum: `b c h w` to the same.

        out = x + attention(norm(conv(dropout(activation(norm(conv(x)))))))

    Convolutions keep the channels and the size. The activation is ReLU in the papers. `attention: cbam` puts a CBAM,
    with its options `reduce` and `spatial_norm`, on the branch before the sum, as Woo et al. 2018 place it.
    """

    def __init__(
        self,
        c: int,
        *,
        kernel: Count = 3,
        norm: Norm = "instance",
        activation: Activation = "relu",
        pad_mode: PadMode = "reflect",
        dropout: Share = 0.0,
        attention: Literal["none", "cbam"] = "none",
        reduce: Count = 16,
        spatial_norm: GateNorm = "batch",
    ) -> None:
        super().__init__()
        self.first = Conv(c, out=c, kernel=kernel, norm=norm, activation=activation, pad_mode=pad_mode)
        self.dropout = nn.Dropout(dropout)
        self.second = Conv(c, out=c, kernel=kernel, norm=norm, pad_mode=pad_mode)
        self.attention = CBAM(c, reduce=reduce, spatial_norm=spatial_norm) if attention == "cbam" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return x + self.attention(self.second(self.dropout(self.first(x))))
