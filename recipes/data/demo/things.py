"""What stands in the demo streets: trees, lamp posts, cars and people.

What lives or burns fuel is warm by day and by night, whatever its colour.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossband.recipes.data.demo.canvas import Canvas, Colour, Surface
from crossband.recipes.data.demo.weather import Weather

PAINTS: list[Colour] = [
    (0.6, 0.04, 0.03),
    (0.05, 0.1, 0.4),
    (0.65, 0.65, 0.66),
    (0.03, 0.03, 0.035),
    (0.3, 0.32, 0.34),
    (0.75, 0.75, 0.72),
    (0.05, 0.25, 0.12),
]
CLOTHES: list[Colour] = [
    (0.5, 0.05, 0.05),
    (0.05, 0.1, 0.35),
    (0.06, 0.06, 0.06),
    (0.6, 0.55, 0.45),
    (0.6, 0.45, 0.05),
    (0.1, 0.3, 0.3),
    (0.65, 0.65, 0.65),
]
SKIN: list[Colour] = [(0.55, 0.35, 0.25), (0.35, 0.19, 0.11), (0.12, 0.06, 0.035)]
HAIR: list[Colour] = [(0.03, 0.02, 0.015), (0.03, 0.02, 0.015), (0.35, 0.24, 0.1)]
LEAVES: Colour = (0.07, 0.16, 0.03)
GLASS: Colour = (0.05, 0.07, 0.09)
SKIN_KELVIN = 305.5
OFF: Colour = (0.0, 0.0, 0.0)


class Things:
    """Paints single things on a canvas, standing at x and z, each at random of its kind."""

    def __init__(self, canvas: Canvas, weather: Weather, rng: np.random.Generator) -> None:
        self.canvas, self.weather, self.rng = canvas, weather, rng

    def tree(self, x: float, z: float, height: float) -> None:
        """A tree with a round crown, close to the temperature of the air."""
        canvas, rng, weather = self.canvas, self.rng, self.weather
        if not self._visible((x, z), 2.4, height):
            return
        bark = Surface((0.13, 0.09, 0.06), weather.warmed(5) + 0.5, 0.96, 0.4, grain=0.2)
        canvas.upright(bark, (x, 0, z), 0.35, height * 0.6)
        red, green, blue = LEAVES
        tint, crown = rng.uniform(0.7, 1.4), height * 0.3
        for layer, (shade, lit) in enumerate(((0.55, 0.15), (0.9, 0.5), (1.3, 0.9))):  # dark below, sunlit above
            colour = (red * tint * shade, green * shade, blue * shade)
            leaf = Surface(colour, weather.warmed(4, lit) - 0.3, 0.98, lit, grain=0.3, mottle=0.7)
            for _ in range(7 if z < 16 else 3):
                turn, out = rng.uniform(0, 2 * np.pi), crown * np.sqrt(rng.random()) * (0.9 - 0.15 * layer)
                y = height * (0.66 + 0.05 * layer) + out * np.sin(turn)
                canvas.disc(leaf, (x + out * np.cos(turn), y, z), crown * rng.uniform(0.25, 0.5))

    def lamp(self, x: float, z: float) -> None:
        """A lamp post with an arm over the road, lit and warm by night."""
        night, air, inward = self.weather.night, self.weather.air, -1.4 if x > 0 else 1.4
        steel = Surface((0.2, 0.2, 0.21), self.weather.warmed(6), 0.7, 0.4)
        self.canvas.upright(steel, (x, 0, z), 0.14, 6.5)
        self.canvas.upright(steel, (x + inward / 2, 6.4, z), 1.4, 0.12)
        bulb = replace(steel, kelvin=air + (16 if night else 2), glow=(3.0, 2.2, 1.1) if night else OFF)
        self.canvas.disc(bulb, (x + inward, 6.35, z), 0.3, tall=0.5)

    def car(self, x: float, z: float, driving: bool) -> None:
        """A car, seen from behind, or from the front left of the middle; engine, tyres and exhaust hot if driving.

        Also one that stands has not been standing for long.
        """
        canvas, weather, length, half, first = self.canvas, self.weather, 4.2, 0.88, len(self.canvas.surfaces)
        canvas.shadow([(x - half, z), (x + half, z), (x + half, z + length), (x - half, z + length)])
        if not self._visible((x, z + length / 2), 2.2, 1.3):
            return
        engine = driving and x < 0  # a hot one in front
        paint = Surface(self._pick(PAINTS), weather.warmed(7, 0.6) + 4, 0.9, 0.6, grain=0.03)
        hood = replace(paint, kelvin=paint.kelvin + 9 * engine, lit=0.9, emissivity=0.85)
        nose = replace(paint, kelvin=paint.kelvin + 3 * driving + 10 * engine, lit=0.3)
        roof = replace(paint, lit=0.95, emissivity=0.85)
        glass = Surface(GLASS, weather.air + 2, 0.82, 0.2, grain=0.02)
        tyre = Surface((0.02, 0.02, 0.02), weather.air + (14 if driving else 1), 0.95, 0.2)
        under = replace(tyre, kelvin=weather.air + 9 * driving, lit=0.0)
        canvas.upright(under, (x, 0.05, z + 0.2), 1.7, 0.35)
        for at in (z + 3.4, z + 0.8):  # the wheels of the side towards the middle
            canvas.disc(tyre, (x - half if x > 0 else x + half, 0.33, at), 0.34, narrow=0.35)
        canvas.box((x - half, 0.3, z), (x + half, 0.85, z + length), (nose, paint, hood))
        canvas.box((x - 0.72, 0.85, z + 0.9), (x + 0.72, 1.38, z + 3.4), (glass, glass, roof))
        for at in (-0.72, 0.72):
            canvas.upright(tyre, (x + at, 0, z), 0.24, 0.4)
            self._light(x + 0.9 * at, z, driving)
        if driving and not engine:
            canvas.disc(replace(under, kelvin=weather.air + 45), (x + 0.45, 0.32, z), 0.09)
        canvas.thing("car", first)

    def _light(self, x: float, z: float, driving: bool) -> None:
        on = driving and self.weather.night
        front, back = ((0.7, 0.7, 0.65), (4.0, 3.8, 3.2)), ((0.4, 0.02, 0.02), (1.0, 0.05, 0.03))
        colour, glow = front if x < 0 else back
        kelvin = self.weather.air + (10 if on else 3 * driving)
        self.canvas.disc(Surface(colour, kelvin, glow=glow if on else OFF), (x, 0.66, z), 0.13, tall=0.8)

    def person(self, x: float, z: float) -> None:
        """Someone in clothes between the warmth of skin and of the air, in mid-stride."""
        canvas, rng, air, first = self.canvas, self.rng, self.weather.air, len(self.canvas.surfaces)
        tall, stride = rng.uniform(0.89, 1.09), rng.uniform(0.03, 0.3)
        if not self._visible((x, z), 0.5, 1.75 * tall):
            return
        coat = Surface(self._pick(CLOTHES), air + 0.55 * (SKIN_KELVIN - air), 0.96, mottle=0.6)
        legs = Surface(self._pick(CLOTHES), air + 0.43 * (SKIN_KELVIN - air), 0.96, 0.4, mottle=0.5)
        hair = Surface(self._pick(HAIR), air + 0.6 * (SKIN_KELVIN - air), 0.96, 0.6)
        skin = Surface(self._pick(SKIN), SKIN_KELVIN, 0.98)
        for side in (-1, 1):
            hip, foot = x + 0.09 * side, x + (0.09 + stride) * side
            leg = [(hip - 0.09, 0.85), (hip + 0.09, 0.85), (foot + 0.07, 0.0), (foot - 0.07, 0.0)]
            canvas.polygon(legs, [(at, y * tall, z) for at, y in leg])
        half = [(0.2, 1.42), (0.29, 0.85), (0.2, 0.8), (0.17, 0.78)]
        outline = [*half, *((-at, y) for at, y in reversed(half))]
        canvas.polygon(coat, [(x + at, y * tall, z) for at, y in outline])
        for hand in (-0.26, 0.26):
            canvas.disc(skin, (x + hand, 0.82 * tall, z), 0.055)
        canvas.disc(hair, (x, 1.64 * tall, z), 0.115, tall=1.2)
        canvas.disc(skin, (x, 1.6 * tall, z), 0.1, tall=1.25)
        canvas.thing("person", first)

    def _pick(self, colours: Sequence[Colour]) -> Colour:
        return colours[int(self.rng.integers(len(colours)))]

    def _visible(self, foot: tuple[float, float], width: float, height: float) -> bool:
        """Cast the shadow of a thing at x and z, and return whether the thing itself is within the image."""
        (x, z), half = foot, width / 2
        if self.weather.sun:
            dx, dz = (reach * height for reach in self.weather.slope)
            self.canvas.shadow([(x - half, z), (x + half, z), (x + half + dx, z + dz), (x - half + dx, z + dz)])
        left, right = (self.canvas.project((x + edge, 0, z))[0] for edge in (-width, width))
        return right > 0 and left < self.canvas.width
