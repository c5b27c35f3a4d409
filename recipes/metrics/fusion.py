"""Metrics that come from image fusion, and what they are of a translation, which has one answer and no two sources.

All see the brightness of an image (Rec. 601) in 0 to 255, as their papers do. Four of them look at the fused image
alone: here at the output, so that noise raises them, and only nearness to the figure of the real targets is good. The
others hold the fused image, here the output, against two sources. Where the definition is a sum or a mean over the two,
the target stands for both (`mi`, `qabf`); where it needs two that differ, they are the input and the target (`scd`).
Figures of papers on fusion are on none of these scales.

Ma, Ma and Li (2019) have all definitions but those of VIF and SCD in one place.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from crossband.blocks.contracts.ranges import POSITIVE, UNIT, Range
from crossband.recipes.basics.colour import luminance
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.kinds.metric import metric
from crossband.recipes.metrics.metrics import correlation

LEVELS = 256  # of the histograms
LEAST_VIF = 41  # the window of the fourth scale must fit
ALONE = "sees the output alone: noise raises it; good is what the targets have"
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
STRENGTH, ORIENTATION = (0.9994, -15.0, 0.5), (0.9879, -22.0, 0.8)  # Xydeas and Petrovic 2000: scale, slope, middle
LEVEL_EDGE = 1e-6  # of a gradient in 0 to 255: below is what rounding leaves of zero


@metric("ag", title="AG", better=None, range=Range(0, 255), digits=3, alone=True, caution=ALONE, cite="cui2015detail")
def ag(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Average gradient of the output (Cui et al. 2015): the mean of `sqrt((dx^2 + dy^2) / 2)`, of brightness to 255.

    `dx` and `dy` are differences to the next pixel, over the pixels that have both neighbours.
    """
    x = _bright(output, least=2)
    dx, dy = x[:, :-1, 1:] - x[:, :-1, :-1], x[:, 1:, :-1] - x[:, :-1, :-1]
    return ((dx.square() + dy.square()) / 2).sqrt().mean((1, 2))


@metric(
    "en",
    title="EN",
    better=None,
    unit="bit",
    range=Range(0, 8),
    digits=3,
    alone=True,
    caution=ALONE,
    cite="roberts2008assessment",
)
def en(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Entropy of the output (Roberts et al. 2008): `-sum p log2 p` over the 256 levels of its brightness, in bits."""
    return _entropy(_levels(output), LEVELS)


@metric(
    "sf", title="SF", better=None, range=Range(0, 361), digits=3, alone=True, caution=ALONE, cite="eskicioglu1995image"
)
def sf(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Spatial frequency of the output (Eskicioglu and Fisher 1995): `sqrt(RF^2 + CF^2)`, of brightness to 255.

    `RF^2` and `CF^2` are the sums of the squared differences along rows and along columns, over the number of pixels.
    """
    x = _bright(output)
    rows, columns = (x.diff(dim=axis).square().sum((1, 2)) for axis in (2, 1))
    return ((rows + columns) / x[0].numel()).sqrt()


@metric("sd", title="SD", better=None, range=Range(0, 127.5), digits=2, alone=True, caution=ALONE, cite="ma2019survey")
def sd(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Standard deviation of the output's brightness, 0 to 255, over the pixels of an image: its contrast."""
    return _bright(output).flatten(1).std(1, correction=0)


@metric(
    "mi",
    title="MI",
    better="higher",
    unit="bit",
    range=Range(0, 8),
    digits=3,
    caution="from fusion, with the target for both sources, and half of their sum; small images raise it",
    cite="qu2002information",
)
def mi(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Mutual information of the brightness of output and target (Qu et al. 2002), in bits, from 256 x 256 levels.

    What is known of the target's brightness at a pixel once the output's is known, whatever stands for what: an
    inverted image has all of it. Of fusion, `MI(A, F) + MI(B, F)`, it is one term, so that it is half of what that
    formula gives with the target for both sources. Counted from few pixels it is too high, the more so the noisier
    the output: compare figures of images of one size. Needs at least 256 pixels.
    """
    if output.shape[-2] * output.shape[-1] < LEVELS:
        raise Unavailable(f"a histogram of {LEVELS} levels needs as many pixels")
    a, b = _levels(output), _levels(target)
    apart = _entropy(a, LEVELS) + _entropy(b, LEVELS)
    return (apart - _entropy(a * LEVELS + b, LEVELS**2)).clamp(min=0)


@metric(
    "vif",
    title="VIF",
    better="higher",
    range=POSITIVE,
    caution="above 1 for more contrast than the target has; in fusion it is a mean over two sources",
    cite="sheikh2006vif",
)
def vif(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Visual information fidelity in the pixel domain (Sheikh and Bovik 2006), by torchmetrics, of brightness to 255.

    How much of the information in the target is left in the output, over four scales: 1 for the target itself. The
    variance of the eye's noise is 2, as in the authors' code. Needs both sides to be at least 41 pixels.
    """
    from torchmetrics.functional.image import visual_information_fidelity

    pair = _bright(output, least=LEAST_VIF), _bright(target)
    return torch.stack([visual_information_fidelity(o[None, None], t[None, None]) for o, t in zip(*pair, strict=True)])


@metric(
    "scd",
    title="SCD",
    better=None,
    range=Range(-2, 2),
    digits=3,
    caution="from fusion, with input and target as the sources: highest for a mixture of both, not for the target",
    cite="aslantas2015scd",
)
def scd(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Sum of the correlations of differences (Aslantas and Bendes 2015): `r(F - B, A) + r(F - A, B)`.

    `F` is the output; the sources `A` and `B` are the input and the target. What the output has beside the one should
    be what is in the other: a mean of both has it, and a perfect translation has not. An image or a difference that is
    constant correlates with nothing and counts 0.
    """
    if source is None or source.shape[-2:] != output.shape[-2:]:
        raise Unavailable("the input images were not given, or differ in size from the targets")
    fused, a, b = (luminance(image) for image in (output, source, target))
    return correlation(fused - b, a).nan_to_num(0) + correlation(fused - a, b).nan_to_num(0)


@metric(
    "qabf",
    title="Qabf",
    better="higher",
    range=UNIT,
    caution="from fusion, with the target for both sources: edges alone count, a perfect output has 0.975",
    cite="xydeas2000qabf",
)
def qabf(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The edges of the target that the output keeps, `Q^AB/F` (Xydeas and Petrovic 2000), the target being `A` and `B`.

    At each pixel the strength and the orientation of the Sobel gradients of both are compared, each through the
    paper's sigmoid, and the products averaged by the strength in the target (`L = 1`). Over the windows that lie
    inside the image. The sigmoids leave 0.975 to an output that equals the target. NaN for a target without edges.
    """
    (strength, angle), (found, turned) = _edges(target), _edges(output)
    kept = torch.minimum(strength, found) / torch.maximum(strength, found).clamp(min=LEVEL_EDGE)
    alike = 1 - (angle - turned).abs() / (math.pi / 2)
    quality = _sigmoid(kept, *STRENGTH) * _sigmoid(alike, *ORIENTATION)
    total = strength.sum((1, 2))
    return ((quality * strength).sum((1, 2)) / total).masked_fill(total < LEVEL_EDGE, torch.nan)


def _bright(image: Tensor, least: int = 1) -> Tensor:
    """The brightness `b h w` in 0 to 255 of images that have at least so many pixels to each side."""
    if min(image.shape[-2:]) < least:
        height, width = image.shape[-2:]
        raise Unavailable(f"it needs both sides to be at least {least} pixels, got {height}x{width}")
    return 255 * luminance(image)[:, 0]


def _levels(image: Tensor) -> Tensor:
    """The brightness of each pixel as one of 256 whole numbers: `b n`."""
    return _bright(image).round().long().flatten(1)


def _entropy(levels: Tensor, count: int) -> Tensor:
    """The entropy in bits of whole numbers below `count`, for each row of `b n`."""
    shares = torch.stack([row.bincount(minlength=count) for row in levels]).to(torch.float32) / levels.shape[1]
    return torch.special.entr(shares).sum(1) / math.log(2)


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Strength and orientation in (-pi/2, pi/2] of the Sobel gradients of brightness, `b h-2 w-2`."""
    x = _bright(image, least=3)[:, None]
    across = x.new_tensor(SOBEL)[None, None]
    dx, dy = (F.conv2d(x, kernel)[:, 0] for kernel in (across, across.mT))
    upright = dx.abs() < LEVEL_EDGE
    angle = (dy / dx.masked_fill(upright, 1)).atan().masked_fill(upright, math.pi / 2)
    return (dx.square() + dy.square()).sqrt(), angle


def _sigmoid(value: Tensor, scale: float, slope: float, middle: float) -> Tensor:
    return scale / (1 + (slope * (value - middle)).exp())
