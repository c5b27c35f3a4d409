"""Penalties on the slope of a critic: they differentiate its score with respect to the image that it scores.

A recipe names both, `{r1: [is_ir(infrared), infrared]}`. Training computes the score anew, in full precision,
from a copy of the image that takes gradients.
"""

import torch
from torch import Tensor

from crossband.recipes.kinds.loss import LossInputError, loss


@loss("r1", same_shape=False, differentiates=True, cite="mescheder2018r1")
def r1(score: Tensor, image: Tensor, /) -> Tensor:
    """Squared slope of a critic at real images, `1/2 mean |grad score|^2`: score `b ...`, images `b ...`.

    Mescheder et al. 2018, equation 9: the weight is their gamma. A map of scores is summed for each image first.
    """
    return _slopes(score, image).square().sum(1).mean() / 2


@loss("gradient_penalty", same_shape=False, differentiates=True, cite="gulrajani2017wgangp")
def gradient_penalty(score: Tensor, image: Tensor, /) -> Tensor:
    """Distance of a critic's slope from one, `mean (|grad score| - 1)^2`: score `b ...`, images `b ...`.

    The second term of Gulrajani et al. 2017, equation 3, whose weight there is 10, at images between a real and a
    generated one: `{gradient_penalty: ["is_ir(mix(infrared, fake))", "mix(infrared, fake)"]}`. A map of
    scores is summed for each image first.
    """
    return (_slopes(score, image).norm(dim=1) - 1).square().mean()


def _slopes(score: Tensor, image: Tensor) -> Tensor:
    """The gradient of each image's score with respect to that image: `b n`."""
    if not (score.requires_grad and image.requires_grad):
        raise LossInputError("a penalty of slopes needs a score computed from an image that takes gradients")
    [gradient] = torch.autograd.grad(score.sum(), image, create_graph=True, allow_unused=True)
    if gradient is None:
        raise LossInputError("a penalty of slopes needs the image that its score was computed from")
    return gradient.flatten(1)
