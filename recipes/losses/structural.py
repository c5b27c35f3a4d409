"""Structural similarity as losses, and the definitions that the metrics share: SSIM, MS-SSIM, DSSIM."""

import functools
import math
from typing import Annotated, Literal, TypeAlias

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F

from crossband.recipes.basics.colour import Range, to_unit
from crossband.recipes.kinds.loss import loss, told

WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004
Positive: TypeAlias = Annotated[float, Gt(0)]
Constants: TypeAlias = tuple[Positive, Positive]
K: Constants = (0.01, 0.03)  # what keeps the two factors finite where images are dark or flat
EXPONENTS = {
    "standard": (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),  # Wang et al. 2003
    "ladlenet_exponents": (0.5, 1.0, 2.0, 4.0, 8.0),
}
SCALES = 5
LEAST = (WINDOW - 1) * 2 ** (SCALES - 1) + 1  # 161: the window must fit into the smallest scale
SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)  # Zhao et al. 2017
WIDE = 33  # two of the largest of these sigmas to each side
FLOOR = 1e-6  # a fractional power has no finite slope at zero
Weights = Literal["standard", "ladlenet_exponents", "zhao_sigmas"]


def _least_side(*, weights: Weights, **_: object) -> int:
    return WIDE if weights == "zhao_sigmas" else LEAST


@loss("ssim", range=told, aligned=True, least=WINDOW, least_where_equal=True, cite="wang2004ssim")
def ssim(output: Tensor, target: Tensor, /, *, k: Constants = K, range: Range = "unit") -> Tensor:
    """One minus the structural similarity, `1 - mean SSIM`: images `b c h w` of one shape, at least 11x11.

    Wang et al. 2004: 11x11 Gaussian window of sigma 1.5, K = (0.01, 0.03), over the windows that lie inside the
    image; the mean is over windows, channels and images, and the metric `ssim` is the same. Some codes have other
    constants `k`. Images of the `range` `tanh`, [-1, 1], are brought to [0, 1] first.
    """
    brightness, contrast = similarity(to_unit(output, range), to_unit(target, range), k=k)
    return 1 - (brightness * contrast).mean()


@loss("dssim", range=told, aligned=True, least=WINDOW, least_where_equal=True, cite="berg2018tir2lab")
def dssim(output: Tensor, target: Tensor, /, *, k: Constants = K, range: Range = "unit") -> Tensor:
    """Structural dissimilarity, `(1 - mean SSIM) / 2`, in [0, 1]: images `b c h w` of one shape, at least 11x11.

    The term of TIR2Lab (Berg et al. 2018) for lightness; the window, `k` and `range` are those of `ssim`, not from
    their paper.
    """
    return ssim(output, target, k=k, range=range) / 2


@loss("ms_ssim", range=told, aligned=True, least=_least_side, least_where_equal=True, cite="zhao2017loss")
def ms_ssim(
    output: Tensor, target: Tensor, /, *, weights: Weights = "standard", k: Constants = K, range: Range = "unit"
) -> Tensor:
    """One minus the multi-scale structural similarity, in [0, 1]: images `b c h w` of one shape, at least 161x161.

    The `weights` `standard` are the five exponents of Wang et al. 2003; the metric `ms_ssim` is the same.
    `ladlenet_exponents` are 0.5, 1, 2, 4, 8, as in the published code of LadleNet: it passes the sigmas of Zhao et
    al. as exponents, which punishes the coarse scales far more. `zhao_sigmas` follows the definition of Zhao et al.
    2017: no scales, but Gaussian windows of these five sigmas at full size, their contrast terms multiplied pixel by
    pixel, with the brightness term of the widest. Its window of 33x33 pixels, which is also the smallest image, is
    not from that paper.

    A contrast term below 1e-6 counts as 1e-6 and has no gradient: the gradient of its fractional power would not be
    finite. Where a side is odd at some scale, its last row or column is repeated; codes that pad with zeros there
    differ by 1e-4 to 1e-3. The constants `k` are those of `ssim`. Images of the `range` `tanh`, [-1, 1], are brought
    to [0, 1] first. Zhao et al. mix 0.84 of this with 0.16 of a distance: two terms of a recipe.
    """
    o, t = to_unit(output, range), to_unit(target, range)
    if weights != "zhao_sigmas":
        return 1 - multi_scale(o, t, EXPONENTS[weights], floor=FLOOR, k=k).mean()
    brightness, contrasts = o, []
    for sigma in SIGMAS:
        brightness, contrast = similarity(o, t, sigma, WIDE, k)
        contrasts.append(contrast)
    return 1 - (brightness * torch.stack(contrasts).prod(0)).mean()


def multi_scale(
    output: Tensor,
    target: Tensor,
    exponents: tuple[float, ...] = EXPONENTS["standard"],
    floor: float = 0.0,
    k: Constants = K,
) -> Tensor:
    """MS-SSIM of each image and channel, `b c`, of images `b c h w` in [0, 1], both sides at least LEAST.

    Each scale is the 2x2 mean of the one before; an odd last row or column is averaged with itself, where other codes
    average it with zeros: 1e-4 to 1e-3 off. A term below `floor` counts as `floor`.
    """
    product = output.new_ones(output.shape[:2])
    for exponent in exponents[:-1]:
        _, contrast = similarity(output, target, k=k)
        product = product * contrast.mean((-2, -1)).clamp(min=floor) ** exponent
        output, target = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (output, target))
    brightness, contrast = similarity(output, target, k=k)
    return product * (brightness * contrast).mean((-2, -1)).clamp(min=floor) ** exponents[-1]


def similarity(
    a: Tensor, b: Tensor, sigma: float = SIGMA, window: int = WINDOW, k: Constants = K
) -> tuple[Tensor, Tensor]:
    """The two factors of SSIM at each window inside images `b c h w` in [0, 1]: brightness, contrast and structure.

    Not torchmetrics', which averages over reflected borders too and takes eight times as long in float64.
    """
    mean_a, mean_b, square_a, square_b, product = blur(torch.stack((a, b, a * a, b * b, a * b)), sigma, window)
    c1, c2 = (each**2 for each in k)  # times the range of the images, which is 1
    # rounding may make a variance negative
    variances = (square_a - mean_a**2).clamp(min=0) + (square_b - mean_b**2).clamp(min=0)
    contrast = (2 * (product - mean_a * mean_b) + c2) / (variances + c2)
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return brightness, contrast


def blur(image: Tensor, sigma: float, window: int) -> Tensor:
    """Means of `... h w` under a Gaussian window, rows and then columns, where the window lies inside the image.

    Adds shifted images, as quick as a convolution: a GPU may round a convolution to 10 bits, too few for a variance,
    which is the small difference of two means.
    """
    bell = [math.exp(-0.5 * ((i - window // 2) / sigma) ** 2) for i in range(window)]
    for axis in (-2, -1):
        size = image.shape[axis] - window + 1
        parts = (image.narrow(axis, i, size) * (height / sum(bell)) for i, height in enumerate(bell))
        image = functools.reduce(torch.add, parts)
    return image
