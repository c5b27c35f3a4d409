"""Convolution and transposed convolution, each with its normalisation and activation."""

from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from crossband.blocks.activation import ACTIVATIONS, Activation, activated
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Natural
from crossband.blocks.contracts.sizes import Size, largest
from crossband.blocks.norm import NORMS, Norm

PadMode: TypeAlias = Literal["zeros", "reflect", "replicate"]
PIXELS = "pixels(size(h), size(w)) >= 2  # more than one pixel to normalise"
PADS: dict[str, type[nn.Module]] = {
    "zeros": nn.ZeroPad2d,
    "reflect": nn.ReflectionPad2d,
    "replicate": nn.ReplicationPad2d,
}


def _pads(padding: int | str, kernel: int, dilation: int) -> tuple[int, int]:
    """Rows added before and after an image."""
    if isinstance(padding, int):
        return padding, padding
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2


def _conv_size(n: Size, *, kernel: int, stride: int, padding: int | str, dilation: int, **_: Any) -> Size:
    return (n + sum(_pads(padding, kernel, dilation)) - dilation * (kernel - 1) - 1) // stride + 1


def reflectable(*, kernel: int, padding: int | str, dilation: int, pad_mode: str, **_: Any) -> int:
    """The smallest side of an image that padding can mirror; the edge pixels themselves are not repeated."""
    return max(_pads(padding, kernel, dilation)) + 1 if pad_mode == "reflect" else 1


def pixels(h: Size, w: Size, *, norm: str, **_: Any) -> Size:
    """A size that is 1 exactly where instance normalisation would average over a single pixel."""
    return largest(h, w) if norm == "instance" else 2


@block(
    "Conv",
    contract="b c h w -> b {out} size(h) size(w)",
    where=[
        "c % groups == 0  # channels that divide into the groups",
        "out % groups == 0  # output channels that divide into the groups",
        "h >= reflectable()  # more rows than are mirrored at its edge",
        "w >= reflectable()  # more columns than are mirrored at its edge",
        PIXELS,
    ],
    reach="dilation*(kernel-1)+1",
    range=activated,
    size=_conv_size,
    reflectable=reflectable,
    pixels=pixels,
)
class Conv(nn.Module):
    """Convolution, then normalisation, then activation: `b c h w -> b {out} size(h) size(w)`.

    A side of n pixels becomes `(n + before + after - dilation*(kernel-1) - 1) // stride + 1`, with
    `padding` pixels before and after. `same` pads by `dilation*(kernel-1)` in all, the smaller half
    before, so that n becomes `ceil(n/stride)` for every kernel, odd or even.

    `bias: null` follows the rule of the pix2pix family: none before batch normalisation, which would
    remove it, one otherwise. U2-Net sets it to true throughout. `leaky_relu` has the slope 0.2. Of the norms,
    `layer` is over the channels of each pixel (ConvNeXt), `group` over 32 groups of channels or, where those do not
    divide, the largest number of groups that divides both 32 and the channels.
    """

    def __init__(
        self,
        c: int,
        *,
        out: Count,
        kernel: Count = 3,
        stride: Count = 1,
        padding: Literal["same"] | Natural = "same",
        dilation: Count = 1,
        groups: Count = 1,
        norm: Norm = "none",
        activation: Activation = "none",
        bias: bool | None = None,
        pad_mode: PadMode = "zeros",
    ) -> None:
        super().__init__()
        before, after = _pads(padding, kernel, dilation)
        even = before == after  # the convolution pads by itself, which is faster
        self.pad = nn.Identity() if even else PADS[pad_mode]((before, after, before, after))
        self.conv = nn.Conv2d(
            c,
            out,
            kernel,
            stride,
            padding=before if even else 0,
            dilation=dilation,
            groups=groups,
            bias=norm != "batch" if bias is None else bias,
            padding_mode=pad_mode,
        )
        self.norm = NORMS[norm](out)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} size(h) size(w)`."""
        return self.activation(self.norm(self.conv(self.pad(x))))


def _transposed_size(n: Size, *, kernel: int, stride: int, padding: int, output_padding: int, **_: Any) -> Size:
    return (n - 1) * stride - 2 * padding + kernel + output_padding


@block(
    "ConvTranspose",
    contract="b c h w -> b {out} size(h) size(w)",
    where=["output_padding < stride", PIXELS],
    reach="ceil(kernel/stride)",
    range=activated,
    size=_transposed_size,
    pixels=pixels,
)
class ConvTranspose(nn.Module):
    """Transposed convolution, then normalisation, then activation: `b c h w -> b {out} size(h) size(w)`.

    A side of n pixels becomes `(n-1)*stride - 2*padding + kernel + output_padding`: with the defaults
    2n. `bias: null` means none before batch normalisation, one otherwise.
    """

    def __init__(
        self,
        c: int,
        *,
        out: Count,
        kernel: Count = 4,
        stride: Count = 2,
        padding: Natural = 1,
        output_padding: Natural = 0,
        norm: Norm = "none",
        activation: Activation = "none",
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        bias = norm != "batch" if bias is None else bias
        self.conv = nn.ConvTranspose2d(c, out, kernel, stride, padding, output_padding, bias=bias)
        self.norm = NORMS[norm](out)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} size(h) size(w)`."""
        return self.activation(self.norm(self.conv(x)))
