"""Pooling: over windows, and over the whole image."""

from typing import Annotated, Any, Literal

from annotated_types import Ge
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Natural
from crossband.blocks.contracts.ranges import Range, hull
from crossband.blocks.contracts.sizes import Size


def _pooled(n: Size, *, kernel: int, stride: int | None, padding: int, ceil: bool, **_: Any) -> Size:
    """torch's rule: with `ceil` a last window may overhang, if it starts inside the image or its left padding.

    Both limits are a floor division by the stride, so the smaller numerator decides.
    """
    step = stride or kernel
    overhang = min(step - 1, kernel - padding - 1) if ceil else 0
    return (n + 2 * padding - kernel + overhang) // step + 1


def _mean_range(x: Range, *, padding: int, count_include_pad: bool, **_: Any) -> Range:
    """That of the input, and 0 where the zeros of the padding count."""
    return x | Range(0, 0) if padding and count_include_pad else x


@block(
    "MaxPool",
    contract="b c h w -> b c size(h) size(w)",
    where=["2*padding <= kernel  # padding of at most half the kernel"],
    reach="kernel",
    range=hull,
    size=_pooled,
)
class MaxPool(nn.MaxPool2d):
    """The largest value of each window: `b c h w -> b c size(h) size(w)`.

    The windows are `kernel` wide and `stride` apart, by default side by side. A side of n pixels becomes
    `(n + 2*padding - kernel) // stride + 1`. With `ceil` the division rounds up: a last window may
    overhang the image, but must start inside it or its left padding. Padding is never the maximum.
    """

    def __init__(
        self,
        *,
        kernel: Count = 2,
        stride: Annotated[int, Ge(1)] | None = None,
        padding: Natural = 0,
        ceil: bool = False,
    ) -> None:
        super().__init__(kernel, stride, padding, ceil_mode=ceil)


@block(
    "AvgPool",
    contract="b c h w -> b c size(h) size(w)",
    where=["2*padding <= kernel  # padding of at most half the kernel"],
    reach="kernel",
    range=_mean_range,
    size=_pooled,
)
class AvgPool(nn.AvgPool2d):
    """The mean of each window: `b c h w -> b c size(h) size(w)`, sizes as in MaxPool.

    `count_include_pad` says whether the zeros of the padding count in the mean.
    """

    def __init__(
        self,
        *,
        kernel: Count = 2,
        stride: Annotated[int, Ge(1)] | None = None,
        padding: Natural = 0,
        ceil: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel, stride, padding, ceil, count_include_pad)


@block("GlobalPool", contract="b c h w -> b c 1 1", range=hull)
class GlobalPool(nn.Module):
    """The mean (`avg`) or the largest value (`max`) of each channel over all pixels: `b c h w -> b c 1 1`."""

    def __init__(self, *, over: Literal["avg", "max"] = "avg") -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1) if over == "avg" else nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b c 1 1`."""
        return self.pool(x)
