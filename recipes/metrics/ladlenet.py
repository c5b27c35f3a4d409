"""The figures of the LadleNet authors' sheet, computed as they did: only for comparison with that sheet.

They come from MATLAB arithmetic on bytes, which saturates: a negative difference becomes 0, and a square above 255
becomes 255. The result is far below the mean squared error. It is not known which image is subtracted.
"""

from torch import Tensor

from crossband.blocks.contracts.ranges import POSITIVE, Range
from crossband.recipes.kinds.metric import metric


@metric(
    "ladlenet_mse",
    title="MSE of saturating bytes (LadleNet)",
    better="lower",
    range=Range(0, 255),
    digits=2,
    cite="ladlenet2023",
)
def ladlenet_mse(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The `MSE` of LadleNet's sheet: `mean(min(max(o - t, 0)^2, 255))` of bytes. Not a mean squared error."""
    difference = (output * 255).round() - (target * 255).round()
    return difference.clamp(min=0).square().clamp(max=255).flatten(1).mean(1)


@metric(
    "ladlenet_psnr", title="PSNR of saturating bytes (LadleNet)", better="higher", range=POSITIVE, cite="ladlenet2023"
)
def ladlenet_psnr(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The `PSNR` of LadleNet's sheet: `log10(255 / sqrt(ladlenet_mse))`, which lacks the factor 20. Not in dB."""
    return (255 / ladlenet_mse(output, target, source).sqrt()).log10()
