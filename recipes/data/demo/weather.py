"""The weather of a demo scene: the light and the warmth that all its surfaces share."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Weather:
    """Temperatures follow the light, so that they can be learnt from it."""

    night: bool
    sun: float  # direct sunlight, 0 by night and under cloud to 1
    cloud: float  # 0 clear to 1 overcast
    skylight: float  # how bright the sky is, 1 by day on the mean: brighter the higher the sun
    air: float  # K
    slope: tuple[float, float]  # how far, in x and z, a shadow reaches for each metre of height

    @classmethod
    def draw(cls, rng: np.random.Generator, night: float) -> "Weather":
        """Weather at random; `night` is the share of night scenes."""
        dark = bool(rng.random() < night)
        cloud = float(rng.random() ** 1.5)
        height = rng.uniform(0.25, 1.0)  # of the sun
        sun = 0.0 if dark else float((1 - cloud) ** 0.7 * (0.4 + 0.6 * height))
        skylight = 1.0 if dark else 0.55 + 0.72 * height
        # The air follows the light but for half a kelvin, which no image shows and no network can tell
        air = 280 + rng.normal(0, 0.5) + (0 if dark else 2 + 8 * height - 3 * cloud)
        reach = rng.choice([-1, 1]) * rng.uniform(0.5, 1.4) * (1.3 - height)
        return cls(dark, sun, cloud, float(skylight), float(air), (float(reach), float(rng.uniform(-0.6, 0.8))))

    def warmed(self, gain: float, lit: float = 1.0) -> float:
        """The temperature, K, of a surface that full sun heats by `gain` kelvin; it stays a little warm by night."""
        return self.air + gain * (0.12 if self.night else 0.05 + 0.95 * self.sun * lit)
