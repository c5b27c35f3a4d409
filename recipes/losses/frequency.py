"""Losses that compare the Fourier spectra of two images."""

from typing import Literal

import torch
from torch import Tensor

from crossband.recipes.kinds.loss import loss


def _aligned(*, mode: str, **_: object) -> bool:
    """pixel by pixel; with `mode: amplitude`, only how much of each frequency there is."""
    return mode != "amplitude"


@loss("fft_l1", aligned=_aligned, least_where_equal=True, cite="fan2025")
def fft_l1(
    output: Tensor,
    target: Tensor,
    /,
    *,
    mode: Literal["complex", "amplitude"] = "complex",
    norm: Literal["ortho", "backward", "forward"] = "ortho",
) -> Tensor:
    """L1 distance of two spectra, `mean |FFT(output) - FFT(target)|`: tensors `b c h w` of one shape.

    The frequency term of Fan 2025, `L1(FFT(G(v)), FFT(r))`; the paper names neither mode nor norm.
    `complex` takes the modulus of the complex difference. `amplitude` compares `|FFT(output)|` with
    `|FFT(target)|` and is blind to phase: it cannot place anything in the image, so it needs an l1
    beside it. `ortho` divides the transform by `sqrt(h w)`, which keeps the term on the scale of the
    pixel error (Parseval); `backward` does not divide and `forward` divides by `h w`.

    The mean is over the whole spectrum of `h w` frequencies. The half that `rfft2` leaves out mirrors
    the half it keeps, so each column counts twice, except those that are their own mirror image.
    """
    if mode == "complex":
        distance = torch.fft.rfft2(output - target, norm=norm).abs()
    else:
        distance = (torch.fft.rfft2(output, norm=norm).abs() - torch.fft.rfft2(target, norm=norm).abs()).abs()
    width = output.shape[-1]
    both = distance.sum(-1) + distance[..., 1 : (width + 1) // 2].sum(-1)
    return both.mean() / width
