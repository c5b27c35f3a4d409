"""Losses that compare two images pixel by pixel: L1, MSE, Charbonnier, binary cross-entropy."""

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F

from crossband.blocks.contracts.ranges import UNIT, Range
from crossband.recipes.kinds.loss import LOGITS, loss

SATURATION = 1e-6  # probabilities are clipped this far from 0 and 1: the gradient is at most 1e6 per pixel


@loss("l1", aligned=True, least_where_equal=True)
def l1(output: Tensor, target: Tensor, /) -> Tensor:
    """Mean absolute error, `mean |output - target|`: tensors of one shape, any range."""
    return (output - target).abs().mean()


@loss("mse", aligned=True, least_where_equal=True)
def mse(output: Tensor, target: Tensor, /) -> Tensor:
    """Mean squared error, `mean (output - target)^2`: tensors of one shape, any range."""
    return (output - target).square().mean()


@loss("charbonnier", aligned=True, least_where_equal=True, cite="charbonnier1994")
def charbonnier(output: Tensor, target: Tensor, /, *, eps: Annotated[float, Gt(0)] = 1e-3) -> Tensor:
    """L1 made smooth at zero, `mean sqrt((output - target)^2 + eps^2)`: tensors of one shape, any range.

    Its least value is `eps`, reached where the two are equal. Charbonnier et al. 1994; the default
    `eps` is that of Lai et al. 2017 (LapSRN), for images in [0, 1].
    """
    return ((output - target).square() + eps**2).sqrt().mean()


def _probabilities(*, logits: bool) -> Mapping[str, Range]:
    """Output and target in [0, 1]; with `logits`, an output that falls below 0."""
    return {"output": LOGITS if logits else UNIT, "target": UNIT}


@loss("bce", range=_probabilities, aligned=True, least_where_equal=lambda *, logits: not logits)
def bce(output: Tensor, target: Tensor, /, *, logits: bool = False) -> Tensor:
    """Binary cross-entropy, `mean -(t log p + (1 - t) log(1 - p))`: tensors of one shape, target in [0, 1].

    The output is a probability p in [0, 1], clipped 1e-6 away from both ends; a pixel that is nearer to
    an end gets no gradient, as after a saturated sigmoid. With `logits` the output is any number and
    p its sigmoid, which is the stabler form. With a target that is not 0 or 1 the least value, at
    p = t, is the entropy of the target and not zero. U2-Net sums seven of these (Qin et al. 2020, eq. 1).
    """
    if logits:
        return F.binary_cross_entropy_with_logits(output, target)
    p = output.clamp(SATURATION, 1 - SATURATION)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()
