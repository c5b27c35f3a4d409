"""Normalisation over channels and pixels, and the table of names for other blocks."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, TypeAlias

import torch
from annotated_types import Gt
from einops import rearrange
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Share

Norm: TypeAlias = Literal["none", "batch", "instance", "layer", "group"]
Epsilon: TypeAlias = Annotated[float, Gt(0)]
GROUPS = 32  # of channels, as in the paper of group normalisation


@block("BatchNorm", contract="b c h w -> b c h w", reach=1, cite="ioffe2015batchnorm")
class BatchNorm(nn.BatchNorm2d):
    """Normalise each channel over batch and pixels, with learned scale and offset.

    `b c h w` to the same. In training it uses the statistics of the batch, which needs more than one value
    per channel, and updates running statistics with `momentum`; in eval it uses the running statistics.
    """

    def __init__(self, c: int, *, momentum: Share = 0.1, eps: Epsilon = 1e-5) -> None:
        super().__init__(c, eps=eps, momentum=momentum)


@block(
    "InstanceNorm",
    contract="b c h w -> b c h w",
    where=["max(h, w) >= 2  # more than one pixel"],
    reach=1,
    cite="ulyanov2016instance",
)
class InstanceNorm(nn.InstanceNorm2d):
    """Normalise each channel of each image over its pixels, in training and eval alike.

    `b c h w` to the same, of at least two pixels. With `affine`, a learned scale and offset follow.
    """

    def __init__(self, c: int, *, affine: bool = False, eps: Epsilon = 1e-5) -> None:
        super().__init__(c, eps=eps, affine=affine)


@block(
    "GroupNorm",
    contract="b c *size -> b c *size",
    where=["c % groups == 0  # channels that divide into the groups"],
    reach=1,
    cite="wu2018groupnorm",
)
class GroupNorm(nn.GroupNorm):
    """Normalise groups of channels of each image over their pixels, with learned scale and offset.

    `b c *size` to the same; c must be a multiple of `groups`. Unlike batch normalisation it does not
    depend on the batch.
    """

    def __init__(self, c: int, *, groups: Count = 32, eps: Epsilon = 1e-5) -> None:
        super().__init__(groups, c, eps=eps)

    def forward(self, input: Tensor) -> Tensor:
        """`b c *size` to the same. One pixel with a group per channel gives the offset, for batches of any size."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)  # torch.nn refuses b = 1


@block("LayerNorm", contract="b c *size -> b c *size", reach=1, cite="ba2016layernorm")
class LayerNorm(nn.Module):
    """Normalise the channels of each pixel by themselves, with learned scale and offset per channel.

    `b c *size` to the same: the layer normalisation of transformers, carried over to images.
    """

    def __init__(self, c: int, *, eps: Epsilon = 1e-6) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(c, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """`b c *size` to the same."""
        return rearrange(self.norm(rearrange(x, "b c ... -> b ... c")), "b ... c -> b c ...")


NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda c: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "layer": LayerNorm,
    "group": lambda c: GroupNorm(c, groups=math.gcd(c, GROUPS)),
}
"""The module behind each name that a block's `norm:` takes, made from the number of channels.

`batch` and `instance` keep torch's defaults; instance normalisation therefore has no learned scale and offset, as in
the pix2pix family. `layer` is over the channels of each pixel, as in ConvNeXt. `group` makes 32 groups, or as many as
divide both 32 and the channels: 16 of 48 channels, 8 of 8."""
