"""Atrous spatial pyramid pooling (Chen et al. 2017, "Rethinking Atrous Convolution", section 3.3)."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import MinLen
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Share
from crossband.blocks.contracts.ranges import POSITIVE
from crossband.blocks.conv import Conv


def _reach(*, rates: Sequence[int], pooling: bool, **_: Any) -> int | None:
    return None if pooling else 2 * max(rates) + 1


class _PooledNorm(nn.BatchNorm2d):
    """Batch normalisation of pooled values, which falls back on its running statistics for a batch of one image."""

    def forward(self, input: Tensor) -> Tensor:
        """`b c 1 1` to the same."""
        if self.training and len(input) > 1:
            return super().forward(input)
        return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


@block("ASPP", contract="b c h w -> b {out} h w", reach=_reach, range=POSITIVE, cite="chen2017deeplabv3")
class ASPP(nn.Module):
    """One feature map seen at several dilations at once, and as a whole: `b c h w -> b {out} h w`.

    A 1x1 convolution, a 3x3 convolution for each dilation of `rates` and, with `pooling`, the mean over all pixels
    with a 1x1 convolution have `out` channels each; a 1x1 convolution joins them, and dropout follows. All are
    without bias, batch normalised, with ReLU.

    The pooled branch has one value per channel and image. A batch of one image therefore has no statistics of its
    own: it is normalised by the running statistics, in training as in eval, and leaves them unchanged.
    """

    def __init__(
        self,
        c: int,
        *,
        rates: Annotated[list[Count], MinLen(1)],
        out: Count = 256,
        dropout: Share = 0.1,
        pooling: bool = True,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList([Conv(c, out=out, kernel=1, norm="batch", activation="relu")])
        self.branches.extend(Conv(c, out=out, dilation=rate, norm="batch", activation="relu") for rate in rates)
        self.pooled = (
            nn.Sequential(Conv(c, out=out, kernel=1, bias=False), _PooledNorm(out), nn.ReLU(inplace=True))
            if pooling
            else None
        )
        joined = (len(self.branches) + pooling) * out
        self.project = Conv(joined, out=out, kernel=1, norm="batch", activation="relu")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} h w`."""
        seen = [branch(x) for branch in self.branches]
        if self.pooled is not None:
            seen.append(self.pooled(x.mean((2, 3), keepdim=True)).expand_as(seen[0]))
        return self.dropout(self.project(torch.cat(seen, dim=1)))
