"""Colours as lightness and two opponent colours, CIE 1976 L*a*b*, and back to sRGB (IEC 61966-2-1, white D65).

L and ab are brought to about [0, 1] as by Berg et al. 2018: L*/100, (a*+87)/185 and (b*+108)/203, the box that
holds the colours of sRGB.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.precision import widened
from crossband.blocks.contracts.ranges import UNIT, Range

Matrix = tuple[tuple[float, float, float], ...]

# linear light to X, Y and Z over those of white, from the primaries of sRGB, and its inverse
TO_XYZ: Matrix = (
    (0.43388735, 0.37622401, 0.18988865),
    (0.21263901, 0.71516868, 0.07219232),
    (0.01775004, 0.10944762, 0.87280234),
)
FROM_XYZ: Matrix = (
    (3.08039909, -1.53738318, -0.54301591),
    (-0.92122336, 1.87596750, 0.04525586),
    (0.05287394, -0.20397696, 1.15110302),
)
KNEE = 6 / 29  # a cube root from here on, a line below it
FAINT = 0.0031308  # linear light below which the curve of sRGB is a line
AB = Range(0, 1.0013)  # of magenta; all other colours are within [0, 1]


def _mixed(matrix: Matrix, parts: Sequence[Tensor]) -> list[Tensor]:
    first, second, third = parts
    return [a * first + b * second + c * third for a, b, c in matrix]


@block(
    "RGBToLab",
    contract="b 3 h w -> b 1 h w, b 2 h w",
    outputs=("L", "ab"),
    reach=1,
    range=(UNIT, AB),
    cite="berg2018tir2lab",
)
class RGBToLab(nn.Module):
    """The lightness L and the colours ab of an sRGB image: `b 3 h w -> b 1 h w, b 2 h w`.

    Image values are clipped to [0, 1]; L and ab are then in [0, 1] too, but for a of magenta, 1.0013.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`b 3 h w -> b 1 h w, b 2 h w`."""
        image = widened(x).clamp(0, 1)
        light = torch.where(image > 12.92 * FAINT, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
        x_, y, z = (
            torch.where(part > KNEE**3, part.clamp(min=KNEE**3) ** (1 / 3), part / (3 * KNEE**2) + 4 / 29)
            for part in _mixed(TO_XYZ, light.split(1, dim=1))
        )
        lightness = (116 * y - 16) / 100
        colours = torch.cat([(500 * (x_ - y) + 87) / 185, (200 * (y - z) + 108) / 203], dim=1)
        return lightness.to(x.dtype), colours.to(x.dtype)


@block("LabToRGB", contract="b 1 h w, b 2 h w -> b 3 h w", reach=1, range=UNIT, cite="berg2018tir2lab")
class LabToRGB(nn.Module):
    """The sRGB image with lightness L and colours ab: `b 1 h w, b 2 h w -> b 3 h w`, with values in [0, 1].

    Colours outside of sRGB are clipped.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, lightness: Tensor, ab: Tensor) -> Tensor:
        """`b 1 h w, b 2 h w -> b 3 h w`."""
        a, b = widened(ab).split(1, dim=1)
        y = (100 * widened(lightness) + 16) / 116
        parts = (y + (185 * a - 87) / 500, y, y - (203 * b - 108) / 200)
        xyz = [torch.where(part > KNEE, part**3, 3 * KNEE**2 * (part - 4 / 29)) for part in parts]
        light = torch.cat(_mixed(FROM_XYZ, xyz), dim=1).clamp(0, 1)
        curved = 1.055 * light.clamp(min=FAINT) ** (1 / 2.4) - 0.055
        return torch.where(light > FAINT, curved, 12.92 * light).clamp(0, 1).to(ab.dtype)
