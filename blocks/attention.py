"""Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2), between all pixels of maps."""

import math

from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.ranges import UNIT, Range
from crossband.blocks.conv import pixels
from crossband.blocks.norm import NORMS, Norm

DIVIDES = "c % heads == 0  # channels that divide into the heads"
DIVIDES_VALUES = "e % heads == 0  # channels of values that divide into the heads"
PIXELS = "pixels(h, w) >= 2  # more than one pixel to normalise"


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of maps: query `b c h w`, key `b c k l` and value `b e k l` give `b e h w`.

    Each head has its own share of the channels, that follow each other. Energies are divided by the root of their
    number in the keys.
    """
    h = query.shape[2]
    query, key, value = (rearrange(x, "b (heads c) h w -> b heads (h w) c", heads=heads) for x in (query, key, value))
    return rearrange(scaled_dot_product_attention(query, key, value), "b heads (h w) c -> b (heads c) h w", h=h)


LOOKS = {"attention": InnerMap("places", "how much each place counts, by head", UNIT, sums_to_one=True)}


def looks(query: Tensor, key: Tensor, heads: int, pixel: tuple[int, int]) -> dict[str, Tensor]:
    """The weights with which one pixel of the query `b c h w` sees the key `b c k l`: the inner map `b heads k l`."""
    own = rearrange(query[..., pixel[0], pixel[1]], "b (heads c) -> b heads 1 c", heads=heads)
    key, width = rearrange(key, "b (heads c) k l -> b heads c (k l)", heads=heads), key.shape[-1]
    weights = (own / own.shape[-1] ** 0.5 @ key).softmax(-1)
    return {"attention": rearrange(weights, "b heads 1 (k l) -> b heads k l", l=width)}


def range_of_values(query: Range, key: Range, value: Range, **_: object) -> Range:
    """That of the values."""
    return value


@block(
    "Attention",
    contract="b c h w, b c k l, b e k l -> b e h w",
    where=[DIVIDES, DIVIDES_VALUES],
    range=range_of_values,
    inner_maps=LOOKS,
    cite="vaswani2017attention",
)
class Attention(nn.Module):
    """For each pixel of the query, the mean of the values, weighted by how their keys fit it.

    `b c h w, b c k l, b e k l -> b e h w`: queries, keys and values in this order.

        out_u = sum_v softmax_v(query_u . key_v / sqrt(c / heads)) value_v,   for each head

    It has no weights: what makes queries, keys and values of features, for example a Conv of kernel 1, stands in front
    of it. Each head has its own `c / heads` channels.
    """

    def __init__(self, *, heads: Count = 4) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """`b c h w, b c k l, b e k l -> b e h w`."""
        return attend(query, key, value, self.heads)

    def inner_maps(self, query: Tensor, key: Tensor, value: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights of one pixel of the query: `b heads k l`."""
        return looks(query, key, self.heads, pixel)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"heads={self.heads}"


@block(
    "SelfAttention",
    contract="b c h w -> b c h w",
    where=[DIVIDES, PIXELS],
    inner_maps=LOOKS,
    cite="vaswani2017attention",
    pixels=pixels,
)
class SelfAttention(nn.Module):
    """Each pixel attends to all pixels: `b c h w` to the same.

        out = x + project(attention(queries, keys and values of norm(x)))

    All four are linear in the channels, with biases. Positions are not told apart, which in networks with convolutions
    features do. Time is O((h w)^2); see WindowAttention and CrissCross for less.
    """

    def __init__(self, c: int, *, heads: Count = 4, norm: Norm = "layer") -> None:
        super().__init__()
        self.heads = heads
        self.norm = NORMS[norm](c)
        self.all = nn.Conv2d(c, 3 * c, 1)
        self.project = nn.Conv2d(c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        query, key, value = self.all(self.norm(x)).chunk(3, dim=1)
        return x + self.project(attend(query, key, value, self.heads))

    def inner_maps(self, x: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights of one pixel: `b heads h w`."""
        query, key, _ = self.all(self.norm(x)).chunk(3, dim=1)
        return looks(query, key, self.heads, pixel)


@block(
    "CrossAttention",
    contract="b c h w, b d *size -> b c h w",
    where=[DIVIDES, PIXELS],
    inner_maps=LOOKS,
    cite="vaswani2017attention",
    pixels=pixels,
)
class CrossAttention(nn.Module):
    """Each pixel of a map attends to all places of another: `b c h w, b d *size -> b c h w`.

        out = x + project(attention(queries of norm(x), keys and values of the other))

    The other input may be a map of any size and any channels, for example of another band, or a vector, which is one
    place. All four are linear in the channels, with biases.
    """

    def __init__(self, c: int, d: int, *, heads: Count = 4, norm: Norm = "layer") -> None:
        super().__init__()
        self.heads = heads
        self.norm = NORMS[norm](c)
        self.query = nn.Conv2d(c, c, 1)
        self.both = nn.Conv2d(d, 2 * c, 1)
        self.project = nn.Conv2d(c, c, 1)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """`b c h w, b d *size -> b c h w`."""
        key, value = self.both(other.reshape(*other.shape[:2], -1, 1)).chunk(2, dim=1)
        return x + self.project(attend(self.query(self.norm(x)), key, value, self.heads))

    def inner_maps(self, x: Tensor, other: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights with which one pixel sees the places of the other input, which are one row unless it is a map."""
        size = other.shape[2:] if other.ndim == 4 else (1, math.prod(other.shape[2:]))
        key, _ = self.both(other.reshape(*other.shape[:2], *size)).chunk(2, dim=1)
        return looks(self.query(self.norm(x)), key, self.heads, pixel)
