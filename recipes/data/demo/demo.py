"""The source `demo`: street scenes drawn by physics, in visible light and in the long-wave infrared.

Nothing is downloaded. Both images of a scene come from one set of surfaces: what they reflect of sun, sky and lamps
makes the visible image; what they emit at their temperature by Planck's law, from 7.5 to 13 um, and what they reflect
of the cold sky makes the infrared one. So the infrared is no grey copy of the visible, and yet follows from it: what no
visible image could tell is kept small, half a kelvin of the air, a little of each surface and the detector's noise.
"""

from collections.abc import Collection
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from einops import rearrange

from crossband.recipes.data.demo.canvas import Canvas
from crossband.recipes.data.demo.render import Render
from crossband.recipes.data.demo.scenery import Street
from crossband.recipes.data.demo.weather import Weather
from crossband.recipes.kinds.source import Band, Box, Source, source
from crossband.registry import ArgumentError

Count = Annotated[int, Ge(1), Le(100_000)]  # each has a name: more are a mistyped number, which memory would not hold
CACHE = 256 << 20  # bytes of drawn scenes that a source keeps
RANGE = (263.0, 313.0)  # K
FINER = 2  # painted finer than asked for, then averaged: smooth edges


class Demo(Source):
    """Scenes drawn on demand, a scene always the same for its seed and name. Made by `demo`."""

    def __init__(
        self, counts: dict[str, int], size: tuple[int, int], seed: int, night: float, kelvin: tuple[float, float]
    ) -> None:
        self.bands = {"visible": Band(3, "uint8"), "infrared": Band(1, "uint16")}
        self.splits = {split: [f"{split}_{index:05d}" for index in range(count)] for split, count in counts.items()}
        self._size, self._seed, self._night, self._kelvin = size, seed, night, kelvin
        self._drawn: dict[str, dict[str, np.ndarray]] = {}

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises: visible uint8, infrared uint16."""
        if (images := self._drawn.get(name)) is None:
            images = self._draw(name)
            if len(self._drawn) * sum(image.nbytes for image in images.values()) < CACHE:
                self._drawn[name] = images
        return {band: images[band].copy() for band in (self.bands if bands is None else bands)}

    def size(self, name: str) -> tuple[int, int]:
        """Height and width, the same for every scene."""
        return self._size

    def labels(self, name: str) -> dict[str, str]:
        """The `subset` of a scene is day or night."""
        return {"subset": "night" if Weather.draw(self._random(name), self._night).night else "day"}

    def boxes(self, name: str) -> list[Box]:
        """Each `person` and `car`, as far as it can be seen, at least a pixel wide and high."""
        canvas, _ = _paint(self._random(name), self._size, self._night)
        things = [(label, *(edge / FINER for edge in edges)) for label, *edges in canvas.things()]
        found = [Box(label, x, y, right - x, bottom - y) for label, x, y, right, bottom in things]
        return [box for box in found if min(box.width, box.height) >= 1]

    def _random(self, name: str) -> np.random.Generator:
        """The generator that all of a scene is drawn with."""
        split, index = name.rsplit("_", 1)
        return np.random.default_rng([self._seed, list(self.splits).index(split), int(index)])

    def _draw(self, name: str) -> dict[str, np.ndarray]:
        visible, kelvin = draw_scene(self._random(name), self._size, night=self._night)
        low, high = self._kelvin
        infrared = ((kelvin - low) / (high - low)).clip(0, 1)
        return {
            "visible": np.ascontiguousarray(rearrange(np.rint(visible * 255).astype(np.uint8), "h w c -> c h w")),
            "infrared": np.rint(infrared * 65535).astype(np.uint16)[None],
        }


@source("demo")
def demo(
    *,
    train: Count = 400,
    test: Count = 40,
    size: Annotated[int, Ge(16)] | tuple[int, int] = 64,
    seed: Annotated[int, Ge(0)] = 0,
    night: Annotated[float, Ge(0), Le(1)] = 0.25,
    kelvin: tuple[float, float] = RANGE,
) -> Demo:
    """Synthetic street scenes, aligned in `visible` (3 channels) and `infrared` (1 channel), with nothing downloaded.

    - `train` and `test` are the numbers of scenes, up to 100,000. The first n are the same however many there are.
    - `size` is the height and width in pixels, or `[height, width]`, at least 16.
    - `night` is the share of scenes without daylight; the label `subset` of a scene is `day` or `night`.
    - Every `person` and `car` that can be seen has a box.
    - `kelvin` are the apparent temperatures that become 0 and 1; others are clipped.

    Raises ArgumentError on wrong parameters.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 16:
        raise ArgumentError(f"demo: `size` must be at least 16, got [{height}, {width}]")
    if not kelvin[0] < kelvin[1]:
        raise ArgumentError(f"demo: `kelvin` must be [LOW, HIGH], got [{kelvin[0]}, {kelvin[1]}]")
    return Demo({"train": train, "test": test}, (height, width), seed, night, (kelvin[0], kelvin[1]))


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int], *, night: float = 0.25
) -> tuple[np.ndarray, np.ndarray]:
    """One scene: the visible image, `h w 3` in [0, 1], and the apparent temperature, `h w` in kelvin."""
    canvas, weather = _paint(rng, size, night)
    render = Render(canvas, weather, rng, FINER)
    return render.visible(), render.infrared()


def _paint(rng: np.random.Generator, size: tuple[int, int], night: float) -> tuple[Canvas, Weather]:
    """The surfaces of a scene, on a canvas that is FINER than the images, and its weather."""
    height, width = size[0] * FINER, size[1] * FINER
    weather = Weather.draw(rng, night)
    canvas = Canvas(
        height,
        width,
        focal=height * rng.uniform(0.75, 1.2),
        horizon=height * rng.uniform(0.38, 0.55),
        middle=width * rng.uniform(0.3, 0.7),
        eye=rng.uniform(1.5, 2.4),
    )
    Street(canvas, weather, rng).paint()
    return canvas, weather
