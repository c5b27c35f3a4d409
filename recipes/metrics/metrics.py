"""The metrics of an image translation: one function for each.

The contract of a metric stands in `crossband.recipes.kinds.metric`. Nothing is ever rounded to 8 bits, except the
input of Inception and what is counted in a histogram of 256 levels. Those of image fusion are in `fusion`.

Grey images: a network that wants three channels is given the grey channel three times, so a
one-channel image and its three-channel copy have the same value in every metric.
"""

import warnings
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from crossband import registry
from crossband.blocks.contracts.ranges import POSITIVE, SIGNED, UNIT, Range
from crossband.recipes.basics.colour import luminance, with_channels
from crossband.recipes.basics.pretrained import Unavailable, inception_network, lpips_network
from crossband.recipes.kinds.metric import MetricEntry, metric
from crossband.recipes.losses import fft_l1 as fft_l1_loss
from crossband.recipes.losses.structural import LEAST, WINDOW, multi_scale, similarity

KID_SUBSET, KID_SUBSETS = 1000, 100  # Binkowski et al. 2018, as in torch-fidelity


DEFAULT = (
    "mae",
    "mse",
    "rmse",
    "psnr",
    "ssim",
    "ms_ssim",
    "fft_l1",
    "lpips",
    "corr_target",
    "corr_input",
    "corr_input_real",
    "hist_dist",
)


def in_order(names: Collection[str]) -> list[MetricEntry]:
    """The metrics of these names as a table has them: those of DEFAULT as they stand there, then the others by name."""
    return [registry.metrics[name] for name in dict.fromkeys((*DEFAULT, *registry.metrics)) if name in names]


@metric("mae", title="MAE", better="lower", range=UNIT)
def mae(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Mean absolute error over the pixels and channels of an image in [0, 1]."""
    return (output - target).abs().flatten(1).mean(1)


@metric("mse", title="MSE", better="lower", range=UNIT, digits=5)
def mse(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Mean squared error over the pixels and channels of an image in [0, 1]."""
    return (output - target).square().flatten(1).mean(1)


@metric("rmse", title="RMSE", better="lower", range=UNIT)
def rmse(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Root of the mean squared error of each image; the mean is over these roots."""
    return mse(output, target, source).sqrt()


@metric("rmse_255", title="RMSE (0 to 255)", better="lower", range=Range(0, 255), digits=2)
def rmse_255(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The RMSE of images in 0 to 255, as papers print it: 255 times `rmse`, of values that are not rounded to bytes."""
    return 255 * rmse(output, target, source)


@metric("psnr", title="PSNR", better="higher", range=POSITIVE, unit="dB", digits=2)
def psnr(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Peak signal-to-noise ratio of each image, `-10 log10 MSE`; infinite for equal images."""
    return -10 * mse(output, target, source).log10()


@metric("ssim", title="SSIM", better="higher", range=SIGNED, cite="wang2004ssim")
def ssim(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian window of sigma 1.5, K = (0.01, 0.03).

    Over the windows that lie wholly inside the image, for each channel, then the mean.
    """
    _require_side(output, WINDOW, "an 11x11 window")
    brightness, contrast = similarity(output, target)
    return (brightness * contrast).flatten(1).mean(1)


@metric("ms_ssim", title="MS-SSIM", better="higher", range=UNIT, cite="wang2003msssim")
def ms_ssim(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Multi-scale structural similarity (Wang et al. 2003): five scales, the standard weights.

    Each scale is the 2x2 mean of the one before; an odd last row or column is averaged with itself.
    Needs both sides above 160 pixels. A negative contrast term counts as zero, since its fractional
    power is not a number.
    """
    _require_side(output, LEAST, "five scales of an 11x11 window")
    return multi_scale(output, target).mean(1)


def _require_side(image: Tensor, least: int, reason: str) -> None:
    height, width = image.shape[-2:]
    if min(height, width) < least:
        raise Unavailable(f"{reason} needs both sides to be at least {least} pixels, got {height}x{width}")


@metric("fft_l1", title="FFT-L1", better="lower", range=UNIT, cite="fan2025")
def fft_l1(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Mean modulus of the difference of the two spectra, orthonormal: on the scale of the MAE (Fan 2025)."""
    return torch.stack([fft_l1_loss(*pair) for pair in zip(output, target, strict=True)])


@metric("lpips", title="LPIPS", better="lower", range=POSITIVE, cite="zhang2018lpips")
def lpips(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Learned perceptual distance (Zhang et al. 2018), AlexNet, v0.1, by the authors' package with its weights."""
    _require_side(output, 31, "AlexNet")
    network = lpips_network(str(output.device))
    return network(with_channels(output, 3).float(), with_channels(target, 3).float(), normalize=True).flatten()


@metric("corr_target", title="corr. with target", better="higher", range=SIGNED, digits=3)
def corr_target(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Pearson correlation of the brightness of output and target, over the pixels of an image."""
    return correlation(output, target)


@metric(
    "corr_input",
    title="corr. with input",
    better=None,
    range=SIGNED,
    digits=3,
    caution="near 1 is a grey copy, and neither end is good: compare it with that of the target",
)
def corr_input(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Pearson correlation of the brightness of output and input: near 1 the output is a grey copy.

    Neither end is good: compare it with `corr_input_real`, the same figure of the real target.
    """
    return correlation(output, source)


@metric("corr_input_real", title="corr. of target with input", better=None, range=SIGNED, digits=3)
def corr_input_real(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Pearson correlation of the brightness of target and input: the value of `corr_input` for a perfect output."""
    return correlation(target, source)


def correlation(first: Tensor, second: Tensor | None) -> Tensor:
    """Pearson correlation of the brightness of two batches; NaN where one of the images is constant."""
    if second is None:
        raise Unavailable("the input images were not given")
    if first.shape[-2:] != second.shape[-2:]:
        raise Unavailable("the input images differ in size from the targets")
    a, b = (luminance(image).flatten(1) for image in (first, second))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    spread = a.square().mean(1).sqrt(), b.square().mean(1).sqrt()
    flat = torch.minimum(*spread) < 1e-6  # well below one step of 16 bits: a constant image correlates with nothing
    return ((a * b).mean(1) / (spread[0] * spread[1])).masked_fill(flat, torch.nan)


@metric(
    "hist_dist",
    title="histogram distance",
    better="lower",
    range=UNIT,
    caution="blind to where brightness is in the image: noise of the right distribution is perfect",
)
def hist_dist(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """1-Wasserstein distance of the two distributions of brightness, regardless of where in the image it is.

    The mean distance by which brightness must move to get the distribution of the target: 0 for any rearrangement
    of the target's pixels, 1 for white instead of black. Exact, from sorted pixels: no bins.
    """
    a, b = (luminance(image).flatten(1).sort(1).values for image in (output, target))
    return (a - b).abs().mean(1)


def inception_features(image: Tensor) -> Tensor:
    """The features that FID and KID compare: `b c h w` in [0, 1], rounded to 8 bits like a file, gives `b 2048`."""
    pixels = (with_channels(image, 3) * 255).round().to(torch.uint8)
    return inception_network(str(image.device))(pixels)[0].cpu().double()  # MPS has no float64


class _Features(nn.Identity):
    """In place of the feature extractor that torchmetrics expects: it is given the features themselves."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


@metric("fid", title="FID", better="lower", range=POSITIVE, digits=2, whole_set=True, cite="heusel2017fid")
def fid(outputs: Tensor, targets: Tensor) -> tuple[float, str]:
    """Fréchet Inception distance of the two sets (Heusel et al. 2017), features by torch-fidelity."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    n, features = outputs.shape
    _require_two("FID", n)
    value = _compare(FrechetInceptionDistance(_Features(features)), outputs, targets)
    few = f"{n} images are fewer than the {features} features: biased upwards, compare only with the FID of {n} images"
    return value, few if n < features else f"over {n} images"


@metric("kid", title="KID", better="lower", whole_set=True, cite="binkowski2018kid")
def kid(outputs: Tensor, targets: Tensor) -> tuple[float, str]:
    """Kernel Inception distance of the two sets (Binkowski et al. 2018); unbiased, so it may be below zero.

    Up to 1000 images are compared all at once; from more, 100 random subsets of 1000 with a fixed seed.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    n, features = outputs.shape
    _require_two("KID", n)
    subsets, size = (KID_SUBSETS, KID_SUBSET) if n > KID_SUBSET else (1, n)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns that it keeps all features, as it must
        torch.default_generator.manual_seed(0)
        value = _compare(KernelInceptionDistance(_Features(features), subsets, size), outputs, targets)
    # below 200 images a single estimate is hardly more than a hint
    few = ": few, so that it varies much from sample to sample" if n < 200 else ""
    one = f"one estimate over {n} images{few}"
    return value, f"{subsets} random subsets of {size} of {n} images" if subsets > 1 else one


def _require_two(name: str, n: int) -> None:
    if n < 2:
        raise Unavailable(f"{name} compares sets of at least 2 images, got {n}")


def _compare(distance: Any, outputs: Tensor, targets: Tensor) -> float:
    """Compute a torchmetrics distance of two sets from their features."""
    distance.set_dtype(torch.float64)
    distance.update(targets, real=True)
    distance.update(outputs, real=False)
    value = distance.compute()
    return float(value[0] if isinstance(value, tuple) else value)  # KID gives its mean and standard deviation
