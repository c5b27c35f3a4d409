"""Losses on the differences between neighbouring pixels."""

from typing import Literal, TypeAlias

from torch import Tensor

from crossband.recipes.kinds.loss import loss

Reduction: TypeAlias = Literal["mean", "sum", "total"]


@loss("tv", least=2, cite="rudin1992tv")
def tv(output: Tensor, /, *, reduction: Reduction = "mean") -> Tensor:
    """Total variation of an image, `mean |Dx o| + mean |Dy o|`: `b c h w`, any range.

    Differences of neighbours inside the image, each direction by itself (Rudin et al. 1992, anisotropic). The
    `reduction` `sum` adds up the differences of an image and takes the mean over the images only; `total` adds up
    those of all images of the batch, so that twice the batch weighs twice as much.
    """
    return _over(output.diff(dim=-1).abs(), reduction) + _over(output.diff(dim=-2).abs(), reduction)


@loss("tvd", aligned=True, least=2, least_where_equal=True, cite="anonymous_multiscale")
def tvd(output: Tensor, target: Tensor, /) -> Tensor:
    """Variation of the error e = o - t, `mean (Dx e)^2 + mean (Dy e)^2`: `b c h w` of one shape, any range.

    Equation 3 of the multi-scale structure-preserving paper: it asks for the edges of the target, and a constant offset
    costs nothing. Forward differences inside the image are a choice made here: the paper's figure of them is missing.
    """
    error = output - target
    return error.diff(dim=-1).square().mean() + error.diff(dim=-2).square().mean()


def _over(differences: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "total":
        return differences.sum()
    return differences.mean() if reduction == "mean" else differences.flatten(1).sum(1).mean()
