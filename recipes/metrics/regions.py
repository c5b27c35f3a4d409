"""Metrics of a part of an image: inside the boxes around people, cars and other things, against the rest of it.

Each takes `(output, target, inside)`: images `b c h w` in [0, 1], and where the boxes are, `b 1 h w` of bool. A pixel
is inside if its centre is. NaN where there is nothing to measure.

Contrast is that of Michelson (1927), `(a - b) / (a + b)`, of the mean brightness `a` of the pixels inside and `b` of
all others: of a target against its background, as Peli (1990) discusses it, who defines contrast point by point
instead. It is above 0 for what is brighter than the rest, as people are in the thermal infrared, and below for what is
darker, so that an inverted thing is seen at once. Unlike Weber's fraction and the signal-to-clutter ratio it is
bounded, and defined for every background that is not black.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from crossband.blocks.contracts.ranges import SIGNED, UNIT, Range
from crossband.recipes.basics.colour import luminance
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.kinds.metric import metric
from crossband.recipes.kinds.source import Box
from crossband.recipes.losses.structural import WINDOW, similarity

INSIDE = ("mae_inside", "mae_outside", "ssim_inside", "ssim_outside", "contrast", "contrast_real", "contrast_error")
BLACK = 1e-6  # a sum of two brightnesses below which they have no contrast


def mask_of(boxes: Sequence[Box], height: int, width: int) -> Tensor:
    """Where boxes are in an image, `1 1 h w` of bool. Each has at least one pixel of it, and what leaves it is cut."""
    mask = torch.zeros(1, 1, height, width, dtype=torch.bool)
    for box in boxes:
        rows, columns = _pixels(box.y, box.height, height), _pixels(box.x, box.width, width)
        mask[..., rows, columns] = True
    return mask


def _pixels(start: float, length: float, count: int) -> slice:
    """The pixels whose centres lie in a stretch, or else the one that its middle lies in."""
    first, last = int(max(start, 0) + 0.5), int(min(start + length, count) + 0.5)
    if last <= first:
        first = min(int(max(start + length / 2, 0)), count - 1)
    return slice(first, max(last, first + 1))


@metric("mae_inside", title="MAE inside", better="lower", range=UNIT, boxes=True)
def mae_inside(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute error over the pixels inside the boxes."""
    return _mean((output - target).abs(), inside)


@metric("mae_outside", title="MAE outside", better="lower", range=UNIT, boxes=True)
def mae_outside(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute error over the pixels outside of all boxes."""
    return _mean((output - target).abs(), ~inside)


@metric("ssim_inside", title="SSIM inside", better="higher", range=SIGNED, boxes=True, cite="wang2004ssim")
def ssim_inside(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Structural similarity over the windows whose centre is inside the boxes; they see what is around them, too."""
    return _mean(_similarity(output, target), _centres(inside))


@metric("ssim_outside", title="SSIM outside", better="higher", range=SIGNED, boxes=True, cite="wang2004ssim")
def ssim_outside(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Structural similarity over the windows whose centre is outside of all boxes."""
    return _mean(_similarity(output, target), _centres(~inside))


@metric("contrast", title="contrast", better=None, range=SIGNED, digits=3, boxes=True, cite="peli1990contrast")
def contrast(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Michelson contrast of the output: mean brightness inside the boxes against that of the rest.

    Neither end is good: compare it with `contrast_real`, the same figure of the real target.
    """
    return _contrast(output, inside)


@metric(
    "contrast_real",
    title="contrast of target",
    better=None,
    range=SIGNED,
    digits=3,
    boxes=True,
    cite="peli1990contrast",
)
def contrast_real(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Michelson contrast of the target: the value of `contrast` for a perfect output."""
    return _contrast(target, inside)


@metric(
    "contrast_error",
    title="contrast error",
    better="lower",
    range=Range(0, 2),
    digits=3,
    boxes=True,
    cite="peli1990contrast",
)
def contrast_error(output: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """How far the contrast of the output is from that of the target, image by image."""
    return (_contrast(output, inside) - _contrast(target, inside)).abs()


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean over the channels and the pixels of a part of each image: `b c h w` gives `b`, NaN for no pixel."""
    marked = where.to(values.dtype)
    return (values.mean(1, keepdim=True) * marked).sum((1, 2, 3)) / marked.sum((1, 2, 3))


def _similarity(output: Tensor, target: Tensor) -> Tensor:
    if min(output.shape[-2:]) < WINDOW:
        height, width = output.shape[-2:]
        raise Unavailable(f"an 11x11 window needs both sides to be at least {WINDOW} pixels, got {height}x{width}")
    brightness, structure = similarity(output, target)
    return brightness * structure


def _centres(where: Tensor) -> Tensor:
    """The part of a mask where the centres of the windows of SSIM are."""
    edge = WINDOW // 2
    return where[..., edge:-edge, edge:-edge]


def _contrast(image: Tensor, inside: Tensor) -> Tensor:
    bright = luminance(image)
    a, b = _mean(bright, inside), _mean(bright, ~inside)
    return ((a - b) / (a + b)).masked_fill(a + b < BLACK, torch.nan)
