"""The image pyramid: an image at its full size, at half of it, a quarter and so on."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.ranges import Range
from crossband.blocks.contracts.sizes import Shape, ceil_div

MOST = 8


def _shape(image: Shape, *, levels: int, **_: Any) -> tuple[Shape, ...]:
    if len(image) != 4:
        raise ContractError(f"takes an input of the form `b c h w`, got {len(image)} axes")
    return tuple((*image[:2], *(ceil_div(side, 2**level) for side in image[2:])) for level in range(levels))


def _range(image: Range, *, levels: int, **_: Any) -> tuple[Range, ...]:
    """That of the input."""
    return (image,) * levels


@block(
    "Pyramid",
    shape=_shape,
    outputs=tuple(f"level{level}" for level in range(1, MOST + 1)),
    range=_range,
    cite="wang2018pix2pixhd",
)
class Pyramid(nn.Module):
    """An image at several sizes, each pooled from the one before: `b c h w` to `levels` of `b c ceil(h/n) ceil(w/n)`.

    The outputs are `level1`, the image itself, `level2` at half its size, `level3` at a quarter. A `window` of 3
    pixels overlaps, as between the critics of pix2pixHD; one of 2 does not. Means leave out pixels beyond the edge.
    """

    def __init__(self, *, levels: Annotated[int, Ge(2), Le(MOST)] = 3, window: Literal[2, 3] = 3) -> None:
        super().__init__()
        self.levels = levels
        self.halve = nn.AvgPool2d(window, 2, window - 2, ceil_mode=window == 2, count_include_pad=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """`b c h w` to `levels` of `b c ceil(h/n) ceil(w/n)`."""
        images = [x]
        while len(images) < self.levels:
            images.append(self.halve(images[-1]))
        return tuple(images)
