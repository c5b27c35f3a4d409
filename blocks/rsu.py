"""The residual U-block of U2-Net (Qin et al. 2020, Figure 2c and section 3.1)."""

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from crossband.blocks.activation import RANGES, Activation
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import ANY, Range
from crossband.blocks.contracts.sizes import Size, ceil_div
from crossband.blocks.conv import Conv, pixels
from crossband.blocks.norm import Norm
from crossband.blocks.resize import resize


def _reach(*, depth: int, dilated: bool, **_: object) -> int:
    """Count the input rows behind one output row, back along the deepest path: an upper bound for odd sizes."""
    rates = [2**level if dilated else 1 for level in range(depth - 1)]
    rows = 1
    for level, rate in enumerate(rates):  # the decoder, from its last convolution
        rows += 2 * rate
        if not dilated and level < depth - 2:
            rows = (rows + 1) // 2 + 2  # rows of the smaller map that a resize looks at
    rows += 2 * (2 ** (depth - 1) if dilated else 2)
    for level, rate in reversed(list(enumerate(rates))):
        rows += 2 * rate
        rows *= 2 if level and not dilated else 1  # what one row of a pooled map covers
    return rows + 2


def _deepest(n: Size, *, depth: int, dilated: bool, **_: object) -> Size:
    """The side of the smallest map inside."""
    return n if dilated else ceil_div(n, 2 ** (depth - 2))


def _range(*_: Range, activation: str, **__: object) -> Range:
    """That of the sum of two activations."""
    return RANGES[activation](ANY) + RANGES[activation](ANY)


@block(
    "RSU",
    contract="b c h w -> b {out} h w",
    where=["pixels(deepest(h), deepest(w)) >= 2  # more than one pixel to normalise at its deepest scale"],
    reach=_reach,
    range=_range,
    later=("norm", "activation"),
    cite="qin2020u2net",
    deepest=_deepest,
    pixels=pixels,
)
class RSU(nn.Module):
    """A small U-Net whose output is added to its own first convolution: `b c h w -> b {out} h w`.

    It encodes at `depth` - 1 scales, halving in between (the paper's RSU-7 is `depth: 7`), has `mid`
    channels inside, and takes images of any size, since its decoder resizes to the sizes of its encoder.
    With `dilated` (RSU-4F: `depth: 4, dilated: true`) it stays at full size and doubles dilations instead.
    All layers are convolution 3x3 with a bias, normalisation and activation: batch normalisation and ReLU in U2-Net,
    which keeps the bias that the normalisation makes idle.
    """

    def __init__(
        self,
        c: int,
        *,
        depth: Annotated[int, Ge(2), Le(9)],
        mid: Count,
        out: Count,
        dilated: bool = False,
        norm: Norm = "batch",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()

        def layer(c: int, out: int, dilation: int = 1) -> Conv:
            return Conv(c, out=out, dilation=dilation, norm=norm, activation=activation, bias=True)

        rates = [2**level if dilated else 1 for level in range(depth - 1)]
        self.dilated = dilated
        self.entry = layer(c, out)
        self.encoder = nn.ModuleList(layer(mid if level else out, mid, rate) for level, rate in enumerate(rates))
        self.bottom = layer(mid, mid, 2 ** (depth - 1) if dilated else 2)
        self.decoder = nn.ModuleList(
            layer(2 * mid, mid if level else out, rate) for level, rate in reversed(list(enumerate(rates)))
        )
        self.halve = nn.Identity() if dilated else nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} h w`."""
        x = entry = self.entry(x)
        skips: list[Tensor] = []
        for layer in self.encoder:
            x = layer(self.halve(x) if skips else x)
            skips.append(x)
        x = torch.cat([self.bottom(x), skips.pop()], dim=1)
        for layer in self.decoder[:-1]:
            skip = skips.pop()
            x = layer(x) if self.dilated else resize(layer(x), skip.shape[-2:], "bilinear")
            x = torch.cat([x, skip], dim=1)
        return self.decoder[-1](x) + entry
