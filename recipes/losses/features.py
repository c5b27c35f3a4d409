"""Losses on the inner features of networks of the recipe."""

from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F

from crossband.recipes.kinds.loss import LossInputError, loss


@loss("feature_matching", aligned=True, least_where_equal=True, cite="wang2018pix2pixhd")
def feature_matching(output: Tensor, target: Tensor, /, *, distance: Literal["l1", "l2"] = "l1") -> Tensor:
    """Distance of a critic's features of a generated and of a real image, `mean |o - t|`: any one shape.

    Equation 4 of pix2pixHD (Wang et al. 2018), summed over the layers that a recipe names:
    `{feature_matching: [is_ir(fake).layer*, is_ir(infrared).layer*]}`. The published weight is the same for all
    layers, 10 * 4 / (n_layers + 1) / num_D: set it as the `weight` of the term. The `distance` `l2` is the mean
    squared difference. The features of the real image are constants, like everything that the phase does not train.
    """
    difference = output - target
    return difference.abs().mean() if distance == "l1" else difference.square().mean()


@loss("patch_nce", aligned=True, constant=("target",), form="b p d", cite="park2020cut")
def patch_nce(output: Tensor, target: Tensor, /, *, temperature: Annotated[float, Gt(0)] = 0.07) -> Tensor:
    """Cross-entropy of finding each patch of an image among those of another: `b p d, b p d`, p patches of d features.

    The softmax is over the cosines of an output patch with all target patches of the same image, divided by the
    `temperature`; the right answer is the patch at its own place. Park et al. 2020 (CUT), equations 2 and 3, for one
    layer. The target is a constant.
    """
    if output.ndim != 3:
        raise LossInputError(f"the loss `patch_nce` compares sets of vectors `b p d`, got {tuple(output.shape)}")
    o, t = F.normalize(output, dim=2), F.normalize(target, dim=2)
    cosines = o @ t.transpose(1, 2) / temperature
    places = torch.arange(cosines.shape[1], device=cosines.device).expand(cosines.shape[:2])
    return F.cross_entropy(cosines.flatten(0, 1), places.flatten())
