"""The streets of the demo scenes: the land, and where things stand.

Temperatures follow the weather, which can be seen: sunlit asphalt is well above the air, grass close to it, a clear
sky far below.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from crossband.recipes.data.demo.canvas import Canvas, Surface
from crossband.recipes.data.demo.houses import House
from crossband.recipes.data.demo.things import LEAVES, Things
from crossband.recipes.data.demo.weather import Weather

KERB = 3.6  # m from the middle of the road
PAVEMENT = 2.6  # m wide
Thing = tuple[float, Callable[[], None]]  # how far it is, and what paints it


class Street:
    """Paints one street on a canvas, from far to near."""

    def __init__(self, canvas: Canvas, weather: Weather, rng: np.random.Generator) -> None:
        self.canvas, self.weather, self.rng = canvas, weather, rng
        self.things = Things(canvas, weather, rng)

    def paint(self) -> None:
        """Sky, ground and everything that stands on it."""
        self._land()
        town = self.rng.choice([0.1, 0.75, 0.95])
        things = [*self._houses(-1, town), *self._houses(1, town), *self._kerbside(), *self._traffic(), *self._people()]
        for _, paint in sorted(things, key=lambda thing: -thing[0]):
            paint()

    def _land(self) -> None:
        canvas, rng, weather = self.canvas, self.rng, self.weather
        height, width, horizon = canvas.height, canvas.width, canvas.horizon
        below = [(1.05 * width, horizon), (-0.05 * width, horizon)]
        canvas.fill(Surface((0, 0, 0), weather.air), 1e4, [(0, 0), (width, 0), (width, height), (0, height)])  # the sky
        columns = np.linspace(-0.05, 1.05, 9) * width
        ridge = horizon - height * (0.02 + 0.09 * rng.random() * rng.random(9))
        hills = Surface((0.06, 0.11, 0.05), weather.warmed(2) - 0.5, 0.97)
        canvas.fill(hills, 220.0, [*zip(columns, ridge, strict=True), *below])
        dew = 2 if weather.night else 0
        grass = Surface(LEAVES, weather.warmed(5) - dew, 0.97, 0.7, grain=0.25, mottle=0.8, ground=True)
        canvas.fill(grass, 0.0, [*below, (0, height), (width, height)])
        paving = Surface((0.33, 0.31, 0.29), weather.warmed(7), 0.94, 0.7, mottle=0.4, ground=True)
        self._strip(paving, -KERB - PAVEMENT, KERB + PAVEMENT)
        tar = rng.uniform(0.06, 0.13)
        road = Surface((tar, tar, 1.05 * tar), weather.warmed(9) + 1, 0.95, 0.7, 0.12, 0.6, ground=True)
        self._strip(road, -KERB, KERB)
        line = replace(road, colour=(0.6, 0.6, 0.56), kelvin=weather.warmed(6) + 1)
        for start in np.arange(rng.uniform(-3, 3), 70, 6):
            if start > 1:
                self._strip(line, -0.09, 0.09, start, start + 3)
        if rng.random() < 0.35:  # a crossing
            z = rng.uniform(6, 14)
            for x in np.arange(-KERB + 0.3, KERB - 0.3, 1.0):
                self._strip(line, x, x + 0.5, z, z + 3)

    def _strip(self, surface: Surface, left: float, right: float, near: float = 1.0, far: float = 400.0) -> None:
        self.canvas.polygon(surface, [(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)])

    def _houses(self, side: int, town: float) -> Iterator[Thing]:
        """A row of houses along one side of the road; `town` is how likely one follows another."""
        rng = self.rng
        wall, z = KERB + PAVEMENT + rng.uniform(0, 4), rng.uniform(-6, 12)
        tall = rng.uniform(4, 13)
        while z < 110:
            length = rng.uniform(7, 16)
            if rng.random() < town:
                height = float(np.clip(tall * rng.uniform(0.7, 1.35), 3.2, 16))
                house = House(side, wall, z, length, height)
                yield z + length / 2, partial(house.paint, self.canvas, self.weather, rng)
            z += length + (rng.uniform(2, 10) if rng.random() < 0.3 else 0)

    def _kerbside(self) -> Iterator[Thing]:
        """Trees, lamp posts and parked cars beside the road."""
        rng = self.rng
        trees, posts, parked = rng.random(3) < (0.75, 0.6, 0.6)
        for side in (-1, 1):
            for z in np.arange(rng.uniform(5, 12), 80, rng.uniform(8, 16)):
                if trees and rng.random() < 0.6:
                    x = side * (KERB + rng.uniform(0.9, 2.2))
                    yield z, partial(self.things.tree, x, z, rng.uniform(4, 8))
                elif parked and rng.random() < 0.5:
                    yield z, partial(self.things.car, side * (KERB - 1.0), z, False)
            for z in np.arange(rng.uniform(6, 14), 90, 22):
                if posts:
                    yield z, partial(self.things.lamp, side * (KERB + 0.5), z)

    def _traffic(self) -> Iterator[Thing]:
        """Cars that drive, with lights on by night and with warm engines, tyres and exhausts."""
        for lane in (-1.75, 1.75):
            z = self.rng.uniform(5, 16)
            while z < 90:
                if self.rng.random() < 0.7:
                    yield z, partial(self.things.car, lane, z, True)
                z += self.rng.uniform(9, 30)

    def _people(self) -> Iterator[Thing]:
        """People on both pavements, alone or in company, and some that cross the road."""
        for _ in range(int(self.rng.integers(3, 11))):
            z = self.rng.uniform(4, 11) if self.rng.random() < 0.7 else self.rng.uniform(10, 40)
            x = self.rng.choice([-1, 1]) * (KERB + self.rng.uniform(0.4, 2.2))
            if self.rng.random() < 0.25:
                x = self.rng.uniform(-KERB, KERB)
            yield z, partial(self.things.person, x, z)
