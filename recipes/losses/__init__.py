"""Losses, pure functions of tensors. In: images, scores or features. Out: one number, lower is better.

One module for each family, imported here by name, so that this file lists all that is registered.
To add a loss, write a function under `@loss("name")` in a module here, or in a plugin.
"""

from crossband.recipes.kinds.loss import LossInputError, loss
from crossband.recipes.losses.adversarial import (
    hinge,
    hinge_critic,
    lsgan,
    lsgan_critic,
    vanilla,
    vanilla_critic,
    wgan,
    wgan_critic,
)
from crossband.recipes.losses.cosine import cosine
from crossband.recipes.losses.features import feature_matching, patch_nce
from crossband.recipes.losses.frequency import fft_l1
from crossband.recipes.losses.penalty import gradient_penalty, r1
from crossband.recipes.losses.perceptual import perceptual
from crossband.recipes.losses.pixel import bce, charbonnier, l1, mse
from crossband.recipes.losses.shifted import shift_l1
from crossband.recipes.losses.structural import dssim, ms_ssim, ssim
from crossband.recipes.losses.variation import tv, tvd

__all__ = [
    "LossInputError",
    "bce",
    "charbonnier",
    "cosine",
    "dssim",
    "feature_matching",
    "fft_l1",
    "gradient_penalty",
    "hinge",
    "hinge_critic",
    "l1",
    "loss",
    "lsgan",
    "lsgan_critic",
    "ms_ssim",
    "mse",
    "patch_nce",
    "perceptual",
    "r1",
    "shift_l1",
    "ssim",
    "tv",
    "tvd",
    "vanilla",
    "vanilla_critic",
    "wgan",
    "wgan_critic",
]
