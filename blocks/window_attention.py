"""Attention within windows, and the block of the Swin transformer (Liu et al. 2021, section 3.2)."""

from typing import Annotated

import torch
from annotated_types import Ge
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from crossband.blocks.attention import DIVIDES, DIVIDES_VALUES, LOOKS, attend, looks, range_of_values
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Natural
from crossband.blocks.norm import LayerNorm

WINDOWS = ["h % window == 0  # rows that divide into windows", "w % window == 0  # columns that divide into windows"]
WHERE = [DIVIDES, *WINDOWS, "shift < window"]


def _reach(*, window: int, shift: int, **_: object) -> int | None:
    """A window; where they are shifted, rows of both edges share windows, in which they are masked."""
    return None if shift else window


def _in_window(weights: Tensor, pixel: tuple[int, int], h: int, w: int, n: int) -> Tensor:
    """Weights `b heads (n n)` of the window of a pixel, in their place in the image, 0 elsewhere: `b heads h w`."""
    top, left = (side - side % n for side in pixel)
    found = weights.new_zeros(*weights.shape[:2], h, w)
    found[..., top : top + n, left : left + n] = weights.unflatten(2, (n, n))
    return found


@block(
    "WindowAttention",
    contract="b c h w -> b c h w",
    where=WHERE,
    reach=_reach,
    inner_maps=LOOKS,
    cite="liu2021swin",
)
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
        b, _, h, _ = x.shape
        n = self.window
        query, key, value, bias, shifts = self._looking(x)
        seen = scaled_dot_product_attention(query, key, value, bias)
        out = self.project(rearrange(seen, "n heads p c -> n p (heads c)"))
        out = rearrange(out, "(b y x) (i j) c -> b c (y i) (x j)", b=b, y=h // n, i=n, j=n)
        return out.roll(shifts, (2, 3)) if any(shifts) else out

    def inner_maps(self, x: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights of one pixel, 0 outside of its window: `b heads h w`."""
        b, _, h, w = x.shape
        n = self.window
        query, key, _, bias, shifts = self._looking(x)
        row, column = ((at - shift) % side for at, shift, side in zip(pixel, shifts, (h, w), strict=True))
        window, place = row // n * (w // n) + column // n, row % n * n + column % n
        query, key = (
            rearrange(each, "(b windows) heads p c -> b windows heads p c", b=b)[:, window] for each in (query, key)
        )
        bias = bias.expand(h // n * (w // n) if len(bias) == 1 else -1, -1, -1, -1)[window, :, place]
        energy = torch.einsum("bhc,bhpc->bhp", query[:, :, place], key) / query.shape[-1] ** 0.5
        weights = _in_window((energy + bias).softmax(-1), (row, column), h, w, n)
        return {"attention": weights.roll(shifts, (2, 3))}

    def _looking(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, list[int]]:
        """Queries, keys and values by window, what is added to their energies, and how far the image was shifted."""
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
        return query, key, value, bias, shifts

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
    inner_maps=LOOKS,
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

    def inner_maps(self, query: Tensor, key: Tensor, value: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights of one pixel of the query, 0 outside of its window: `b heads h w`."""
        h, w = query.shape[2:]
        n = self.window
        top, left = (at - at % n for at in pixel)
        query, key = (x[..., top : top + n, left : left + n] for x in (query, key))
        weights = looks(query, key, self.heads, (pixel[0] % n, pixel[1] % n))["attention"]
        return {"attention": _in_window(weights.flatten(2), pixel, h, w, n)}

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
