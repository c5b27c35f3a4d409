"""The angle between two images as vectors."""

from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Tensor

from crossband.recipes.basics.colour import Range, to_unit
from crossband.recipes.kinds.loss import loss, told

# The most that eps may be: beyond it, small images of ordinary brightness have no direction either
Tiny = Annotated[float, Gt(0), Le(1e-4)]


@loss("cosine", range=told, aligned=True, least_where_equal=True, cite="anonymous_multiscale")
def cosine(output: Tensor, target: Tensor, /, *, range: Range = "unit", eps: Tiny = 1e-8) -> Tensor:
    """Negative cosine of the angle between two images, `mean -<o, t> / (|o| |t|)`: `b ...` of one shape, at best -1.

    Equation 2 of the multi-scale structure-preserving paper; an image is one vector of all its channels and pixels.
    The denominator is printed with the norm of the infrared image, which leaves the term without a lower bound; the
    text speaks of the angle between output and target. Images of the `range` `tanh`, [-1, 1], are brought to [0, 1]
    first, since the paper argues with ratios of pixel values, which must not be negative; `unit` takes them as they
    are. If the product of the norms is not above `eps`, an image has no direction: the cosine counts as zero and has
    no gradient.
    """
    o, t = (to_unit(image, range).flatten(1) for image in (output, target))
    norms = o.norm(dim=1) * t.norm(dim=1)
    return -torch.where(norms > eps, (o * t).sum(1) / norms.clamp(min=eps), 0.0).mean()
