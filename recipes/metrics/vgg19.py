"""A distance in the features of VGG19, as some papers report it: neither weights nor definition are those of LPIPS."""

import torch
from torch import Tensor

from crossband.blocks.contracts.ranges import POSITIVE
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.kinds.metric import metric
from crossband.recipes.losses.perceptual import perceptual

LEAST = 2**4  # four poolings come before relu5_1


@metric(
    "vgg19_dist",
    title="VGG19 distance",
    better="lower",
    range=POSITIVE,
    cite="wang2018pix2pixhd",
    caution="not LPIPS; papers take other layers and weights, so that their figures are not on its scale",
)
def vgg19_dist(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The loss `perceptual` of pix2pixHD: features of VGG19 at relu1_1 to relu5_1, absolute differences, weighted.

    Not LPIPS: it has other weights, another network and no calibration. Papers that print a distance of VGG19
    seldom name its layers, so figures of two papers cannot be compared.
    """
    if min(output.shape[-2:]) < LEAST:
        raise Unavailable(f"VGG19 needs both sides to be at least {LEAST} pixels")
    pairs = zip(output.float().split(1), target.float().split(1), strict=True)
    return torch.stack([perceptual(*pair, range="unit") for pair in pairs])
