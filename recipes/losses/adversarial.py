"""Losses of a generator and a critic (discriminator) that work against each other.

The generator's loss takes the critic's score of a generated image. The critic's loss, `<name>_critic`,
takes the scores of a real and of a generated image and adds up a term for each; pix2pix and CycleGAN
halve it, which is `weight: 0.5` in a recipe. A score is a map of any shape, all places count the same;
a critic with several outputs gives a term for each (`is_ir(fake).*`).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from crossband.blocks.contracts.ranges import UNIT, Range
from crossband.recipes.kinds.loss import LOGITS, loss

EDGE = 1e-6  # probabilities are clipped this far from 0 and 1


def _scores(*, logits: bool, **_: object) -> Range:
    """Logits, which fall below 0; with `logits: false`, probabilities in [0, 1]."""
    return LOGITS if logits else UNIT


@loss("vanilla", range=_scores, cite="goodfellow2014gan")
def vanilla(fake: Tensor, /, *, saturating: bool = False, logits: bool = True) -> Tensor:
    """Cross-entropy of a generator, `mean -log D` with `D = sigmoid(fake)`: scores are logits of any shape.

    The non-saturating form of Goodfellow et al. 2014, section 3, and of pix2pix. `saturating` gives
    `mean log(1 - D)`, the form of their equation 1: it falls without bound and has almost no gradient
    where the critic is sure, so they advise against it. Without `logits`, scores are D itself, in [0, 1].
    """
    fake = fake if logits else torch.logit(fake, EDGE)
    return -F.softplus(fake).mean() if saturating else F.softplus(-fake).mean()


@loss("vanilla_critic", range=_scores, same_shape=False, cite="goodfellow2014gan")
def vanilla_critic(real: Tensor, fake: Tensor, /, *, logits: bool = True) -> Tensor:
    """Cross-entropy of a critic, `mean -log D(real) + mean -log(1 - D(fake))` with D a sigmoid: scores are logits.

    Goodfellow et al. 2014, equation 1. A critic that cannot tell them apart has 2 ln 2; halved, ln 2. Without
    `logits`, scores are D itself, in [0, 1].
    """
    real, fake = (score if logits else torch.logit(score, EDGE) for score in (real, fake))
    return F.softplus(-real).mean() + F.softplus(fake).mean()


@loss("lsgan", cite="mao2017lsgan")
def lsgan(fake: Tensor, /) -> Tensor:
    """Least squares of a generator, `mean (fake - 1)^2`: scores of any shape.

    Mao et al. 2017, equation 9 with b = c = 1 and a = 0, without its factor 1/2, as in CycleGAN.
    """
    return (fake - 1).square().mean()


@loss("lsgan_critic", same_shape=False, cite="mao2017lsgan")
def lsgan_critic(real: Tensor, fake: Tensor, /) -> Tensor:
    """Least squares of a critic, `mean (real - 1)^2 + mean fake^2`: scores of any shape.

    Mao et al. 2017, equation 9 with b = 1 and a = 0; its factor 1/2 is `weight: 0.5`.
    """
    return (real - 1).square().mean() + fake.square().mean()


@loss("hinge", cite="lim2017geometric")
def hinge(fake: Tensor, /) -> Tensor:
    """Hinge loss of a generator, `mean -fake`: scores of any shape. Lim and Ye 2017."""
    return -fake.mean()


@loss("hinge_critic", same_shape=False, cite="lim2017geometric")
def hinge_critic(real: Tensor, fake: Tensor, /) -> Tensor:
    """Hinge loss of a critic, `mean max(0, 1 - real) + mean max(0, 1 + fake)`: scores of any shape. Lim and Ye 2017."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


@loss("wgan", cite="arjovsky2017wgan")
def wgan(fake: Tensor, /) -> Tensor:
    """Wasserstein loss of a generator, `mean -fake`: scores of any shape. Arjovsky et al. 2017, algorithm 1."""
    return -fake.mean()


@loss("wgan_critic", same_shape=False, cite="arjovsky2017wgan")
def wgan_critic(real: Tensor, fake: Tensor, /) -> Tensor:
    """Wasserstein loss of a critic, `mean fake - mean real`: scores of any shape.

    Arjovsky et al. 2017, equation 2. It means something only for a critic of bounded slope: add `gradient_penalty`.
    """
    return fake.mean() - real.mean()
