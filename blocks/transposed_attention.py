"""Attention between channels instead of pixels (Zamir et al. 2022, Restormer, section 3.1: MDTA)."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

from crossband.blocks.attention import DIVIDES
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.norm import LayerNorm


@block("TransposedAttention", contract="b c h w -> b c h w", where=[DIVIDES], cite="zamir2022restormer")
class TransposedAttention(nn.Module):
    """Each channel attends to the channels of its head, by their likeness over all pixels: `b c h w` to the same.

        out = x + project(softmax(t * queries . keys) values),   queries, keys and values of norm(x)

    Queries, keys and values come of a convolution 1x1 and one 3x3 of each channel by itself; queries and keys have the
    length 1 over the pixels, and `t` is learned for each head. Time grows with the number of pixels, not its square. A
    block of Restormer is `[TransposedAttention, GatedFeedForward]`, with the same `bias`.
    """

    def __init__(self, c: int, *, heads: Count = 1, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.norm = LayerNorm(c)
        self.all = nn.Sequential(
            nn.Conv2d(c, 3 * c, 1, bias=bias), nn.Conv2d(3 * c, 3 * c, 3, padding=1, groups=3 * c, bias=bias)
        )
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Conv2d(c, c, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        query, key, value = rearrange(
            self.all(self.norm(x)), "b (three heads c) h w -> three b heads c (h w)", three=3, heads=self.heads
        )
        query, key = (normalize(each, dim=-1, eps=1e-7) for each in (query, key))  # eps that float16 can tell from 0
        seen = scaled_dot_product_attention(query * self.temperature, key, value, scale=1.0)
        return x + self.project(rearrange(seen, "b heads c (h w) -> b (heads c) h w", h=x.shape[2]))
