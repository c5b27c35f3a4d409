"""Halving and doubling an image without aliasing (Zhang 2019), with the filters and edges that CUT uses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import hull


class _Blur(nn.Module):
    """A fixed filter, the outer product of binomial weights with themselves. The state dict leaves it out."""

    filter: Tensor

    def __init__(self, weights: Sequence[float], gain: float) -> None:
        super().__init__()
        outer = [[gain * a * b / sum(weights) ** 2 for b in weights] for a in weights]
        self.register_buffer("filter", torch.tensor([[outer]]), persistent=False)

    def each(self, x: Tensor) -> Tensor:
        """The filter, repeated for each channel of `b c h w`: `c 1 k k`."""
        return self.filter.expand(x.shape[1], -1, -1, -1)


@block(
    "BlurDown",
    contract="b c h w -> b c ceil(h/2) ceil(w/2)",
    where=["h >= 2  # more rows than are mirrored at its edge", "w >= 2  # more columns than are mirrored at its edge"],
    reach=3,
    range=hull,
    cite="zhang2019shift",
)
class BlurDown(_Blur):
    """Blur by [1, 2, 1] each way and keep every second pixel: `b c h w -> b c ceil(h/2) ceil(w/2)`.

    Edges are mirrored. A convolution of stride 1 and this block replace one of stride 2. It learns nothing.
    """

    def __init__(self) -> None:
        super().__init__([1.0, 2.0, 1.0], gain=1.0)
        self.pad = nn.ReflectionPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b c ceil(h/2) ceil(w/2)`."""
        return conv2d(self.pad(x), self.each(x), stride=2, groups=x.shape[1])


@block("BlurUp", contract="b c h w -> b c 2*h 2*w", reach=2, range=hull, cite="zhang2019shift")
class BlurUp(_Blur):
    """Set zeros between pixels and blur by [1, 3, 3, 1] each way: `b c h w -> b c 2*h 2*w`.

    Edges are repeated, and the filter makes up for the zeros: a constant image stays as it is. This is bilinear
    enlargement; with a convolution of stride 1 behind it, it replaces a transposed one. It learns nothing.
    """

    def __init__(self) -> None:
        super().__init__([1.0, 3.0, 3.0, 1.0], gain=4.0)
        self.pad = nn.ReplicationPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b c 2*h 2*w`."""
        return conv_transpose2d(self.pad(x), self.each(x), stride=2, padding=3, groups=x.shape[1])
