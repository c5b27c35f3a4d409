"""Adaptive instance normalisation (Huang and Belongie 2017, section 5): the statistics of one map given to another."""

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.norm import Epsilon


@block(
    "AdaIN",
    contract="b c h w, b c k l -> b c h w",
    where=["max(h, w) >= 2  # more than one pixel to normalise"],
    reach=(1, None),
    cite="huang2017adain",
)
class AdaIN(nn.Module):
    """Give each channel of a map the mean and deviation that it has in another: `b c h w, b c k l -> b c h w`.

        out = deviation(style) * (x - mean(x)) / deviation(x) + mean(style),   over the pixels of each channel

    It has no weights. For a style that is a vector, see FiLM with `norm: instance`.
    """

    def __init__(self, c: int, *, eps: Epsilon = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.norm = nn.InstanceNorm2d(c, eps=eps)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`b c h w, b c k l -> b c h w`."""
        variance, mean = torch.var_mean(style, (2, 3), correction=0, keepdim=True)
        return (variance + self.eps).sqrt() * self.norm(x) + mean
