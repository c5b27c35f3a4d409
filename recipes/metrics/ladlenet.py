"""The figures of the LadleNet authors' sheet, computed as their evaluator does: only for comparison with that sheet.

It makes both images grey first, in bytes, and goes on in MATLAB's arithmetic on bytes, which saturates: a negative
number becomes 0, and one above 255 becomes 255. The result is far from the figures of the same name. The output comes
first, the target second: output minus target, and the output in the place of the reference (the sheet's AG, a figure of
the first image alone, differs from system to system).

Of the rest of the evaluator, EN is ours, while SF and SCD are of differences that saturate, MI is of black and not
black, since bytes are multiplied by 255 again, and Qabf is 1 for all images, since it leaves out the comparison. The
file that computes AG was not published.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from crossband.blocks.contracts.ranges import POSITIVE, Range
from crossband.recipes.basics.colour import luminance
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.kinds.metric import metric

LEAST = 41  # the smallest window must fit into the fourth scale
CAUTION = "of bytes that saturate: comparable with the sheet of LadleNet's authors alone"


@metric(
    "ladlenet_mse",
    title="MSE of saturating bytes (LadleNet)",
    better="lower",
    range=Range(0, 255),
    digits=2,
    caution=CAUTION,
    cite="ladlenet2023",
)
def ladlenet_mse(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The `MSE` of LadleNet's sheet: `mean(min(max(o - t, 0)^2, 255))` of grey bytes. Not a mean squared error."""
    return _bytes(_bytes(_grey_bytes(output) - _grey_bytes(target)).square()).flatten(1).mean(1)


@metric(
    "ladlenet_psnr",
    title="PSNR of saturating bytes (LadleNet)",
    better="higher",
    range=POSITIVE,
    caution=CAUTION,
    cite="ladlenet2023",
)
def ladlenet_psnr(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The `PSNR` of LadleNet's sheet: `log10(255 / sqrt(ladlenet_mse))`, which lacks the factor 20. Not in dB."""
    return (255 / ladlenet_mse(output, target, source).sqrt()).log10()


@metric(
    "ladlenet_cc",
    title="CC of saturating bytes (LadleNet)",
    better=None,
    range=POSITIVE,
    caution=f"{CAUTION}; may be above 1, and what is darker than the mean does not count",
    cite="ladlenet2023",
)
def ladlenet_cc(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The `CC` of LadleNet's sheet: a correlation of bytes, where a deviation below the mean becomes 0.

    The products saturate, too, so that all but a few are 255, and what is left says which pixels are above the mean.
    NaN for a constant image.
    """
    a, b = (_bytes(grey - grey.mean((2, 3), keepdim=True)) for grey in (_grey_bytes(output), _grey_bytes(target)))
    both, first, second = (_bytes(product).sum((1, 2, 3)) for product in (a * b, a.square(), b.square()))
    return both / (first * second).sqrt()


@metric(
    "ladlenet_vif",
    title="VIF of saturating bytes (LadleNet)",
    better="higher",
    range=POSITIVE,
    caution=f"{CAUTION}; the output stands in the place of the reference",
    cite="ladlenet2023",
)
def ladlenet_vif(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The `VIF` of LadleNet's sheet: that of `vif` with the output as the reference, and squares of bytes at most 255.

    The squares saturate at the finest of the four scales only, of which little but the darkest parts is left. Needs
    both sides to be at least 41 pixels.
    """
    if min(output.shape[-2:]) < LEAST:
        raise Unavailable(f"four scales need both sides to be at least {LEAST} pixels")
    return _fidelity(_grey_bytes(output), _grey_bytes(target))


def _fidelity(reference: Tensor, distorted: Tensor) -> Tensor:
    """The information of a reference `b 1 h w` that is left in an image, over four scales: see `vif`."""
    noise, tiny = 2.0, 1e-10
    left, there = torch.zeros(len(reference)).to(reference), torch.zeros(len(reference)).to(reference)
    for side in (17, 9, 5, 3):
        window = _window(side).to(reference)
        if side < 17:
            reference, distorted = (F.conv2d(image, window)[..., ::2, ::2] for image in (reference, distorted))
        saturate = _bytes if side == 17 else torch.Tensor.clone  # later scales are no bytes any more
        mean, other = F.conv2d(reference, window), F.conv2d(distorted, window)
        variance = (F.conv2d(saturate(reference.square()), window) - mean.square()).clamp(min=0)
        spread = (F.conv2d(saturate(distorted.square()), window) - other.square()).clamp(min=0)
        common = F.conv2d(saturate(reference * distorted), window) - mean * other
        gain = (common / (variance + tiny)).masked_fill((variance < tiny) | (spread < tiny), 0).clamp(min=0)
        rest = (spread - gain * common).clamp(min=tiny)  # what the gain does not explain
        variance = variance.masked_fill(variance < tiny, 0)
        left = left + (1 + gain.square() * variance / (rest + noise)).log10().sum((1, 2, 3))
        there = there + (1 + variance / noise).log10().sum((1, 2, 3))
    return left / there


def _window(side: int) -> Tensor:
    """A Gaussian window `1 1 side side` whose sigma is a fifth of its side."""
    line = (-0.5 * (torch.arange(side, dtype=torch.float64) - side // 2).square() / (side / 5) ** 2).exp()
    return (line[:, None] * line / line.sum() ** 2)[None, None]


def _grey_bytes(image: Tensor) -> Tensor:
    """The brightness of an image as bytes, `b 1 h w`: colours are bytes before they are made grey."""
    return _bytes(luminance(_bytes(255 * image)))


def _bytes(values: Tensor) -> Tensor:
    """Numbers as MATLAB puts them into bytes: rounded, at least 0 and at most 255."""
    return (values + 0.5).floor().clamp(0, 255)
