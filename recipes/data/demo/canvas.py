"""A street as flat surfaces in perspective: what the demo scenes are painted on.

World coordinates are metres: x to the right, y up from the ground, z ahead of the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[float, float, float]
Point = tuple[float, float, float]
NEAR = 1.0  # m: nothing is drawn closer to the camera


@dataclass(frozen=True)
class Surface:
    """One material under one light, in both bands."""

    colour: Colour  # share of visible light that it reflects, linear red, green, blue
    kelvin: float  # its temperature
    emissivity: float = 0.95  # in the long-wave band; the rest is reflected sky
    lit: float = 0.5  # how squarely direct sunlight meets it, 0 to 1
    grain: float = 0.08  # relative variation of its colour
    mottle: float = 0.3  # variation of its temperature, K
    glow: Colour = (0.0, 0.0, 0.0)  # visible light that it gives off
    ground: bool = False  # receives cast shadows; its depth follows from the image row


class Canvas:
    """A picture of surface numbers and one of cast shadows, both `h w`, seen from `eye` metres up."""

    def __init__(self, height: int, width: int, *, focal: float, horizon: float, middle: float, eye: float) -> None:
        self.height, self.width, self.focal = height, width, focal
        self.horizon, self.middle, self.eye = horizon, middle, eye
        self.surfaces: list[Surface] = []
        self.depths: list[float] = []
        self._things: list[tuple[str, int, int]] = []  # each with the first and the last of its surfaces
        self._numbers: dict[tuple[int, int], int] = {}
        self._labels = Image.new("I", (width, height), 0)
        self._shade = Image.new("L", (width, height), 0)
        self._draw = ImageDraw.Draw(self._labels)
        self._draw_shade = ImageDraw.Draw(self._shade)

    @property
    def labels(self) -> np.ndarray:
        """Surface number by pixel, `h w`: an index of `surfaces` and `depths`."""
        return np.asarray(self._labels)

    @property
    def shade(self) -> np.ndarray:
        """1 where direct sunlight is blocked from the ground, else 0: `h w`."""
        return np.asarray(self._shade) / np.float32(255)

    def thing(self, label: str, first: int) -> None:
        """Call what the surfaces from number `first` on show a thing."""
        self._things.append((label, first, len(self.surfaces)))

    def things(self) -> list[tuple[str, int, int, int, int]]:
        """The things that can be seen: label, left, top, right and bottom of what shows of each, in pixels."""
        found, labels = [], self.labels
        for label, first, last in self._things:
            rows, columns = np.nonzero((labels >= first) & (labels < last))
            if len(rows):
                edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                found.append((label, *map(int, edges)))
        return found

    def project(self, point: Point) -> tuple[float, float]:
        """Column and row of a point of the world."""
        x, y, z = point
        z = max(z, NEAR)
        return self.middle + self.focal * x / z, self.horizon + self.focal * (self.eye - y) / z

    def fill(self, surface: Surface, depth: float, outline: Sequence[tuple[float, float]]) -> None:
        """Paint a polygon given by columns and rows over what is there."""
        self._draw.polygon(list(outline), fill=self._number(surface, depth))

    def polygon(self, surface: Surface, points: Sequence[Point]) -> None:
        """Paint a polygon of the world over what is there."""
        self.fill(surface, sum(point[2] for point in points) / len(points), [self.project(point) for point in points])

    def upright(self, surface: Surface, foot: Point, width: float, height: float) -> None:
        """Paint a rectangle that faces the camera, from the middle of its lower edge upwards."""
        x, y, z = foot
        left, right = x - width / 2, x + width / 2
        self.polygon(surface, [(left, y, z), (right, y, z), (right, y + height, z), (left, y + height, z)])

    def disc(self, surface: Surface, centre: Point, radius: float, *, tall: float = 1.0, narrow: float = 1.0) -> None:
        """Paint an ellipse that faces the camera; `tall` and `narrow` stretch its radius."""
        column, row = self.project(centre)
        across, along = (self.focal * radius * stretch / max(centre[2], NEAR) for stretch in (narrow, tall))
        if across < 0.4:  # less than a pixel
            return
        box = (column - across, row - along, column + across, row + along)
        self._draw.ellipse(box, fill=self._number(surface, centre[2]))

    def box(self, low: Point, high: Point, faces: tuple[Surface, Surface, Surface]) -> None:
        """Paint the visible faces of an upright box between two corners; `faces` are its front, side and top."""
        front, side, top = faces
        (x1, y1, z1), (x2, y2, z2) = low, high
        if z2 <= NEAR:
            return
        if y2 < self.eye:
            self.polygon(top, [(x1, y2, z1), (x2, y2, z1), (x2, y2, z2), (x1, y2, z2)])
        if x1 > 0 or x2 < 0:
            x = x1 if x1 > 0 else x2
            self.polygon(side, [(x, y1, z1), (x, y2, z1), (x, y2, z2), (x, y1, z2)])
        if z1 > NEAR:
            self.polygon(front, [(x1, y1, z1), (x2, y1, z1), (x2, y2, z1), (x1, y2, z1)])

    def shadow(self, points: Sequence[tuple[float, float]]) -> None:
        """Take direct sunlight from a polygon on the ground, given by x and z."""
        self._draw_shade.polygon([self.project((x, 0, z)) for x, z in points], fill=255)

    def _number(self, surface: Surface, depth: float) -> int:
        """The number of a surface at about this depth: a new one, unless it was painted there before."""
        number = self._numbers.setdefault((id(surface), int(depth)), len(self.surfaces))
        if number == len(self.surfaces):
            self.surfaces.append(surface)  # kept here, so its id stays its own
            self.depths.append(depth)
        return number
