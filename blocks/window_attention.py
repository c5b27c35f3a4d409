"""Attention within windows, and the block of the Swin transformer (Liu et al. 2021, section 3.2)."""

from typing import Annotated

import torch
from annotated_types import Ge
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from crossband.blocks.attention import DIVIDES, DIVIDES_VALUES, attend, range_of_values
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Natural
from crossband.blocks.norm import LayerNorm

WINDOWS = ["h % window == 0  # rows that divide into windows", "w % window == 0  # columns that divide into windows"]
WHERE = [DIVIDES, *WINDOWS, "shift < window"]


def _reach(*, window: int, shift: int, **_: object) -> int | None:
    """A window; where they are shifted, rows of both edges share windows, in which they are masked."""
    return None if shift else window


@block("WindowAttention", contract="b c h w -> b c h w", where=WHERE, reach=_reach, cite="liu2021swin")
class WindowAttention(nn.Module):
    """Each pixel attends to those of its window, by content and relative position: `b c h w` to the same.

        out_u = project(sum_v softmax_v(query_u . key_v / sqrt(c / heads) + bias(u - v)) value_v),   v in u's window

    Windows are squares of `window` pixels side by side, into which the image must divide. With `shift` they begin so
    many rows and columns later, and those that the edge cuts stay smaller: then neighbours of different windows meet.
    An axis with a single window is not shifted. `bias` is a learned table for each head. Time is O(h w window^2).
    """

    def __init__(self, c: int, *, heads: Count = 4, window: Annotated[int, Ge(1)] = 8, shift: Natural = 0) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.all = nn.Linear(c, 3 * c)
        self.project = nn.Linear(c, c)
        self.bias = nn.Parameter(nn.init.trunc_normal_(torch.empty(heads, (2 * window - 1) ** 2), std=0.02))
        rows, columns = (each.flatten() for each in torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij"))
        offset = [(axis[:, None] - axis) + window - 1 for axis in (rows, columns)]  # of one pixel to another, from 0
        self.offset: Tensor
        self.register_buffer("offset", offset[0] * (2 * window - 1) + offset[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        b, _, h, w = x.shape
        n = self.window
        shifts = [self.shift if side > n else 0 for side in (h, w)]
        bias = self.bias[:, self.offset][None]  # windows, heads, pixel, other pixel
        if any(shifts):
            x = x.roll([-shift for shift in shifts], (2, 3))
            bias = bias.masked_fill(self._strangers(h, w, shifts, x.device)[:, None], -torch.inf).repeat(b, 1, 1, 1)
        windows = rearrange(x, "b c (y i) (x j) -> (b y x) (i j) c", i=n, j=n)
        query, key, value = rearrange(
            self.all(windows), "n p (three heads c) -> three n heads p c", three=3, heads=self.heads
        )
        seen = scaled_dot_product_attention(query, key, value, bias)
        out = self.project(rearrange(seen, "n heads p c -> n p (heads c)"))
        out = rearrange(out, "(b y x) (i j) c -> b c (y i) (x j)", b=b, y=h // n, i=n, j=n)
        return out.roll(shifts, (2, 3)) if any(shifts) else out

    def _strangers(self, h: int, w: int, shifts: list[int], device: torch.device) -> Tensor:
        """Which pixels of a window are from opposite edges of the image: windows, pixel, other pixel."""
        rows, columns = (
            torch.arange(side, device=device) >= side - shift for side, shift in zip((h, w), shifts, strict=True)
        )
        region = rearrange(2 * rows[:, None] + columns, "(y i) (x j) -> (y x) (i j)", i=self.window, j=self.window)
        return region[:, :, None] != region[:, None]

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"heads={self.heads}, window={self.window}, shift={self.shift}"


@block(
    "WindowedAttention",
    contract="b c h w, b c h w, b e h w -> b e h w",
    where=[DIVIDES, DIVIDES_VALUES, *WINDOWS],
    reach="window",
    range=range_of_values,
    cite="liu2021swin",
)
class WindowedAttention(nn.Module):
    """Attention of queries, keys and values within windows: `b c h w, b c h w, b e h w -> b e h w`, in this order.

        out_u = sum_v softmax_v(query_u . key_v / sqrt(c / heads)) value_v,   for each head, v in u's window

    It is Attention, without weights too, for maps of one size: queries of one band may look at keys and values of
    another where they are. Windows are squares of `window` pixels side by side. Time is O(h w window^2).
    """

    def __init__(self, *, heads: Count = 4, window: Annotated[int, Ge(1)] = 8) -> None:
        super().__init__()
        self.heads, self.window = heads, window

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """`b c h w, b c h w, b e h w -> b e h w`."""
        b, _, h, _ = query.shape
        n = self.window
        query, key, value = (rearrange(x, "b c (y i) (x j) -> (b y x) c i j", i=n, j=n) for x in (query, key, value))
        return rearrange(attend(query, key, value, self.heads), "(b y x) c i j -> b c (y i) (x j)", b=b, y=h // n)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"heads={self.heads}, window={self.window}"


@block("SwinBlock", contract="b c h w -> b c h w", where=WHERE, reach=_reach, cite="liu2021swin")
class SwinBlock(nn.Module):
    """Attention within windows, then an MLP for each pixel, each of the normalised input and added to it.

        x = x + WindowAttention(norm(x)),   out = x + mlp(norm(x)):   `b c h w` to the same

    Norms are over the channels of each pixel; the MLP widens the channels `expand` times, with GELU. Used in pairs, the
    second with half a window for `shift`: `[{SwinBlock: {window: 8}}, {SwinBlock: {window: 8, shift: 4}}]`.
    """

    def __init__(
        self,
        c: int,
        *,
        heads: Count = 4,
        window: Annotated[int, Ge(1)] = 8,
        shift: Natural = 0,
        expand: Count = 4,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm(c)
        self.attention = WindowAttention(c, heads=heads, window=window, shift=shift)
        self.norm2 = LayerNorm(c)
        self.mlp = nn.Sequential(nn.Conv2d(c, expand * c, 1), nn.GELU(), nn.Conv2d(expand * c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))
