"""Criss-cross attention (Huang et al. 2019, section 3.2)."""

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.precision import full_precision, widened
from crossband.blocks.contracts.ranges import UNIT


@block(
    "CrissCross",
    contract="b c h w -> b c h w",
    where=["c >= reduce  # at least `reduce` channels"],
    inner_maps={"attention": InnerMap("places", "how much each pixel of its cross counts", UNIT, sums_to_one=True)},
    cite="huang2019ccnet",
)
class CrissCross(nn.Module):
    """Each pixel attends to its row and its column, itself counted once: `b c h w` to the same.

        out = gamma * sum_v softmax_v(query_u . key_v) value_v + x,   v in row or column of u

    Queries and keys have `c // reduce` channels; the softmax runs over the h + w - 1 pixels of the cross and
    is not scaled. Memory is O(h w (h + w)). `gamma` is one learned number that **starts at 0**, so that a new
    block is the identity. One application sees a cross; two in a row, with shared weights, see the whole
    image: in a graph `{CrissCross: {reduce: 8}, repeat: 2, share: true}`.
    """

    def __init__(self, c: int, *, reduce: Count = 8) -> None:
        super().__init__()
        self.query = nn.Conv2d(c, c // reduce, 1)
        self.key = nn.Conv2d(c, c // reduce, 1)
        self.value = nn.Conv2d(c, c, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return self.gamma * criss_cross(self.query(x), self.key(x), self.value(x)) + x

    def inner_maps(self, x: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights of the cross of a pixel, 0 beside it: `b 1 h w`."""
        row, column = pixel
        query, key = self.query(x)[..., row, column], self.key(x)
        with full_precision(x.device):
            energy = torch.einsum("bk,bkhw->bhw", widened(query), widened(key))
            beside = torch.ones_like(energy, dtype=torch.bool)
            beside[:, row], beside[:, :, column] = False, False
            weights = energy.masked_fill(beside, -torch.inf).flatten(1).softmax(1).view_as(energy)
        return {"attention": weights[:, None]}


def criss_cross(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention over row and column. query and key `b k h w`, value `b c h w`; gives `b c h w`.

    Energies are not scaled and would overflow in float16, so they and their softmax are at least float32.
    """
    h = query.shape[-2]
    with full_precision(query.device):
        query, key = widened(query), widened(key)
        column = torch.einsum("bkyx,bkvx->byxv", query, key)
        row = torch.einsum("bkyx,bkyv->byxv", query, key)
        itself = torch.eye(h, dtype=torch.bool, device=query.device)[:, None]  # the row has it already
        weights = torch.cat([column.masked_fill_(itself, -torch.inf), row], dim=-1).softmax(-1)
    weights = weights.to(value.dtype)
    column, row = weights[..., :h], weights[..., h:]
    return torch.einsum("byxv,bcvx->bcyx", column, value) + torch.einsum("byxv,bcyv->bcyx", row, value)
