"""Resizing by interpolation: by a factor, to the size of another feature map, or to join a skip."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count, Interpolation, Natural
from crossband.blocks.contracts.ranges import hull, of_first


def resize(x: Tensor, size: tuple[int, int] | torch.Size, mode: str, *, align_corners: bool = False) -> Tensor:
    """`b c h w` to the given rows and columns; the image keeps its edges, or with `align_corners` its corner pixels."""
    return interpolate(x, size=size, mode=mode, align_corners=align_corners if mode == "bilinear" else None)


def _taps(*, mode: str, **_: object) -> int | None:
    return {"nearest": 1, "bilinear": 2}.get(mode)  # the window of a mean depends on the sizes


def _taps_of_first(*, mode: str, **_: object) -> tuple[int | None, int]:
    return _taps(mode=mode), 1


@block(
    "Resize",
    contract="b c h w -> b c h*up//down+plus w*up//down+plus",
    where=["up*down + plus >= 2  # a factor: `up` or `down`, or `plus`"],
    reach=_taps,
    range=hull,
)
class Resize(nn.Module):
    """Enlarge `up` times, shrink `down` times, or both: `b c h w -> b c h*up//down+plus w*up//down+plus`.

    Interpolation takes the nearest pixel or the two nearest each way; shrinking does not smooth first
    (for that, AvgPool). Two thirds of an image are `up: 2, down: 3`. `plus` stretches the image by that many
    rows and columns.
    """

    def __init__(self, *, up: Count = 1, down: Count = 1, plus: Natural = 0, mode: Interpolation = "nearest") -> None:
        super().__init__()
        self.up, self.down, self.plus, self.mode = up, down, plus, mode

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b c h*up//down+plus w*up//down+plus`."""
        h, w = (size * self.up // self.down + self.plus for size in x.shape[-2:])
        return resize(x, (h, w), self.mode)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"up={self.up}, down={self.down}, plus={self.plus}, mode={self.mode!r}"


def alignable(*, mode: str, align_corners: bool, **_: Any) -> int:
    """0 where corners are to be aligned in a mode that has none to align."""
    return int(mode == "bilinear" or not align_corners)


@block(
    "ResizeTo",
    contract="b c h w, b c2 h2 w2 -> b c h2 w2",
    where=["alignable() >= 1  # `mode: bilinear` for `align_corners`"],
    alignable=alignable,
    reach=_taps_of_first,
    range=of_first,
    exact="both are of the same images",
    later=("align_corners",),
)
class ResizeTo(nn.Module):
    """Bring the first input to the height and width of the second: `b c h w, b c2 h2 w2 -> b c h2 w2`.

    Only the size of the second input is used. `area` takes the mean of the pixels that fall on each new one:
    halving by it three times equals AvgPool three times. With `align_corners`, of `bilinear` alone, the centres of
    the corner pixels keep their places, as in `nn.UpsamplingBilinear2d`; without, the edges of the image do.
    """

    def __init__(self, *, mode: Interpolation | Literal["area"] = "bilinear", align_corners: bool = False) -> None:
        super().__init__()
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """`b c h w, b c2 h2 w2 -> b c h2 w2`."""
        return resize(x, like.shape[-2:], self.mode, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"mode={self.mode!r}" + ", align_corners=True" * self.align_corners


@block("UpCat", contract="b c1 h1 w1, b c2 h w -> b c1+c2 h w", reach=_taps_of_first, range=hull)
class UpCat(nn.Module):
    """Bring a deep feature map to the size of a skip and join them: `b c1 h1 w1, b c2 h w -> b c1+c2 h w`.

    The channels of the resized first input come first. Resizing to a size, not by a factor, lets a
    U-shaped network take images of any size (U2-Net).
    """

    def __init__(self, *, mode: Interpolation = "bilinear") -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """`b c1 h1 w1, b c2 h w -> b c1+c2 h w`."""
        return torch.cat([resize(x, skip.shape[-2:], self.mode), skip], dim=1)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"mode={self.mode!r}"
