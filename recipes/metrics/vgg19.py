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

    The very number that `pix2pixhd` and `multiscale_structure` train by: their VGG19 sees images in [-1, 1] as they
    are, not brought to the mean and deviation of ImageNet. Not LPIPS: it has other weights, another network and no
    calibration. The multi-scale paper calls by that name a distance in the layers of its perceptual loss, and states
    neither their weights, nor the distance, nor the scale of the images: its figures cannot be compared with these.
    """
    if min(output.shape[-2:]) < LEAST:
        raise Unavailable(f"VGG19 needs both sides to be at least {LEAST} pixels")
    pairs = zip(*((2 * image.float() - 1).split(1) for image in (output, target)), strict=True)
    return torch.stack([perceptual(*pair, range="tanh", normalise=False) for pair in pairs])
