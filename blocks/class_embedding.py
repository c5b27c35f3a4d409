"""A learned vector for each class, and one for "no class" (Ho and Salimans 2021, section 3.2)."""

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count


@block(
    "ClassEmbedding",
    contract="b -> b {out}",
    differentiable="the number of a class has no slope",
    cite="ho2021guidance",
)
class ClassEmbedding(nn.Module):
    """The learned vector of a class, given by its number from 0 to `classes` - 1: `b -> b {out}`.

    Any other number, -1 for example, stands for "no class", which has a vector of its own: trained on some images of
    unknown class, one network translates with a class and without. Numbers are rounded.
    """

    def __init__(self, *, classes: Count, out: Count) -> None:
        super().__init__()
        self.classes = classes
        self.vectors = nn.Embedding(classes + 1, out)

    def forward(self, number: Tensor) -> Tensor:
        """`b -> b {out}`."""
        whole = number.round() if number.is_floating_point() else number
        known = (whole >= 0) & (whole < self.classes)
        return self.vectors(torch.where(known, whole, self.classes).long())
