"""A loss that forgives a small shift between the bands of a scene: the least over a window of shifts."""

from itertools import product
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from crossband.recipes.kinds.loss import loss


def _least_side(*, reach: int) -> int:
    return 2 * reach + 1


@loss("shift_l1", aligned=True, least=_least_side, least_where_equal=True, cite="martens2019probav")
def shift_l1(output: Tensor, target: Tensor, /, *, reach: Annotated[int, Interval(ge=0, le=16)] = 3) -> Tensor:
    """The least L1 over shifts of each target by up to `reach` pixels along each side: images `b c h w` of any range.

    `min over |dx|, |dy| <= reach of mean |output(x, y) - target(x + dx, y + dy)|`, where the output without a border of
    `reach` pixels is compared, so that all shifts see as many pixels; the mean over the images of a batch. Images have
    more than 2 `reach` pixels along each side. The gradient is that at the best shift; of equal ones the smallest.

    For pairs that are aligned within a few pixels. The least over shifts is how Martens et al. 2019 score images of
    PROBA-V, there of squared errors and with one brightness for both; the window is a choice made here. What it does
    not do: every image may lie where it likes within the window, and a shift within an image is not forgiven. Measure
    the shifts first, `crossband data check`, and remove what can be removed, `crossband data align`.
    """
    height, width = (side - 2 * reach for side in output.shape[-2:])
    inner = output[..., reach : reach + height, reach : reach + width]
    near = sorted(product(range(2 * reach + 1), repeat=2), key=lambda at: (at[0] - reach) ** 2 + (at[1] - reach) ** 2)
    with torch.no_grad():
        errors = [(inner - target[..., y : y + height, x : x + width]).abs().mean((1, 2, 3)) for y, x in near]
        best = torch.stack(errors).argmin(0).tolist()
    places = ((image, *near[at]) for image, at in zip(target, best, strict=True))
    moved = torch.stack([image[:, y : y + height, x : x + width] for image, y, x in places])
    return (inner - moved).abs().mean()
