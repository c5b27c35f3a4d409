"""The houses of the demo streets: brick, plaster or stone, with windows, the low ones under a roof."""

from dataclasses import dataclass, replace

import numpy as np

from crossband.recipes.data.demo.canvas import NEAR, Canvas, Colour, Surface
from crossband.recipes.data.demo.things import GLASS
from crossband.recipes.data.demo.weather import Weather

BRICKS: list[Colour] = [
    (0.45, 0.2, 0.13),
    (0.6, 0.52, 0.4),
    (0.5, 0.47, 0.44),
    (0.62, 0.42, 0.27),
    (0.3, 0.3, 0.34),
    (0.7, 0.68, 0.62),
]
TILES: list[Colour] = [(0.28, 0.1, 0.06), (0.28, 0.1, 0.06), (0.12, 0.12, 0.14)]
DEEP = 9.0  # m, from the street to the back


@dataclass(frozen=True)
class House:
    """A house beside the road. `side` is -1 left or 1 right; lengths in metres."""

    side: int
    wall: float  # how far its front is from the middle of the road
    z: float  # where it begins
    length: float
    height: float

    def paint(self, canvas: Canvas, weather: Weather, rng: np.random.Generator) -> None:
        """Paint the front on the street, the nearer end, and the roof of a low house."""
        near, far, height = max(self.z, NEAR), self.z + self.length, self.height
        if far < 2 * NEAR:
            return
        facing = 0.85 if self.side * weather.slope[0] > 0 else 0.1  # a shadow that falls to +x means sun from -x
        indoors = 2.5 if weather.night else 1.0
        front = Surface(BRICKS[rng.integers(len(BRICKS))], weather.warmed(13, facing) + indoors, 0.93, facing, 0.1, 0.5)
        end = replace(front, lit=0.45, kelvin=weather.warmed(13, 0.4) + indoors)
        inner, outer = self.side * self.wall, self.side * (self.wall + DEEP)
        self._shade(canvas, weather, near, far)
        canvas.polygon(end, [(inner, 0, near), (outer, 0, near), (outer, height, near), (inner, height, near)])
        canvas.polygon(front, [(inner, 0, near), (inner, height, near), (inner, height, far), (inner, 0, far)])
        if height < 8:  # a pitched roof, and the gable under it
            tiles = Surface(TILES[rng.integers(len(TILES))], weather.warmed(20, facing), 0.92, facing, 0.15)
            ridge = (self.side * (self.wall + DEEP / 2), height + 2.6)
            canvas.polygon(end, [(inner, height, near), (outer, height, near), (*ridge, near)])
            canvas.polygon(tiles, [(inner, height, near), (inner, height, far), (*ridge, far), (*ridge, near)])
        if near < 60:
            self._windows(canvas, weather, rng)

    def _shade(self, canvas: Canvas, weather: Weather, near: float, far: float) -> None:
        """The shadows of the front and of the nearer end."""
        if not weather.sun:
            return
        dx, dz = (reach * self.height for reach in weather.slope)
        inner, back = self.side * self.wall, self.side * (self.wall + 2)
        canvas.shadow([(inner, near), (inner, far), (inner + dx, far + dz), (inner + dx, near + dz)])
        canvas.shadow([(back, near), (inner, near), (inner + dx, near + dz), (back + dx, near + dz)])

    def _windows(self, canvas: Canvas, weather: Weather, rng: np.random.Generator) -> None:
        """Rows of panes, which reflect a cold sky; by night some are lit."""
        pane = Surface(GLASS, weather.air + 1.5, 0.82, 0.2, 0.05, 0.2)
        lamp = replace(pane, kelvin=weather.air + 4, glow=(0.5, 0.33, 0.13))
        columns, floors = max(2, int(self.length / 2.6)), max(1, int(self.height / 2.9))
        pitch, storey, x = self.length / columns, self.height / floors, self.side * self.wall
        for column in range(columns):
            z1, z2 = (self.z + pitch * (column + edge) for edge in (0.25, 0.75))
            for floor in range(floors):
                surface = lamp if weather.night and rng.random() < 0.35 else pane
                y1, y2 = (storey * (floor + edge) for edge in (0.3, 0.8))
                if z1 > NEAR:
                    canvas.polygon(surface, [(x, y1, z1), (x, y2, z1), (x, y2, z2), (x, y1, z2)])
