"""Depthwise separable convolution (Howard et al. 2017, section 3.1): first over pixels, then over channels."""

from typing import Any

from torch import Tensor, nn

from crossband.blocks.activation import Activation, activated
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.conv import Conv, PadMode, pixels, reflectable
from crossband.blocks.norm import Norm


def _mirrored(*, kernel: int, dilation: int, pad_mode: str, **_: Any) -> int:
    return reflectable(kernel=kernel, padding="same", dilation=dilation, pad_mode=pad_mode)


@block(
    "SeparableConv",
    contract="b c h w -> b {out} ceil(h/stride) ceil(w/stride)",
    where=[
        "h >= mirrored()  # more rows than are mirrored at its edge",
        "w >= mirrored()  # more columns than are mirrored at its edge",
        "pixels(ceil(h/stride), ceil(w/stride)) >= 2  # more than one pixel to normalise",
    ],
    reach="dilation*(kernel-1)+1",
    range=activated,
    cite="howard2017mobilenets",
    mirrored=_mirrored,
    pixels=pixels,
)
class SeparableConv(nn.Module):
    """A convolution of each channel by itself, then one of kernel 1.

    `b c h w -> b {out} ceil(h/stride) ceil(w/stride)`. It has `c*kernel*kernel + c*out` weights where a
    convolution has `c*out*kernel*kernel`. Normalisation and activation follow both, as in MobileNet, where they are
    batch normalisation and ReLU. Options are those of Conv.
    """

    def __init__(
        self,
        c: int,
        *,
        out: Count,
        kernel: Count = 3,
        stride: Count = 1,
        dilation: Count = 1,
        norm: Norm = "none",
        activation: Activation = "none",
        bias: bool | None = None,
        pad_mode: PadMode = "zeros",
    ) -> None:
        super().__init__()
        self.depthwise = Conv(
            c,
            out=c,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            groups=c,
            norm=norm,
            activation=activation,
            bias=bias,
            pad_mode=pad_mode,
        )
        self.pointwise = Conv(c, out=out, kernel=1, norm=norm, activation=activation, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} ceil(h/stride) ceil(w/stride)`."""
        return self.pointwise(self.depthwise(x))
