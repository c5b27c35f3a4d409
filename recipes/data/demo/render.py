"""Painted surfaces to pixels: the light that they reflect and the heat that they emit.

Both images are sums of radiance, averaged over the area of a pixel before any camera curve is applied.
"""

import numpy as np
from PIL import Image, ImageFilter

from crossband.recipes.data.demo.canvas import Canvas
from crossband.recipes.data.demo.planck import brightness_temperature, long_wave_radiance
from crossband.recipes.data.demo.weather import Weather

Random = np.random.Generator
SKY = 0  # the surface that Street paints first
DETECTOR_NOISE = 0.08  # K
SHADOW_COOLING = 0.45  # how much of what the sun warmed is missing on shaded ground
SKYLIGHT = np.array([0.85, 0.95, 1.1], np.float32)
SUNLIGHT = np.array([1.0, 0.93, 0.8], np.float32)
DAY_SKY = np.array([[0.85, 0.95, 1.1], [0.16, 0.36, 0.85], [1.1, 1.12, 1.15]], np.float32)  # horizon, above, clouds
NIGHT_SKY = np.array([[0.05, 0.045, 0.06], [0.008, 0.012, 0.03], [0.045, 0.042, 0.05]], np.float32)
HEADLAMPS, HEADLAMP_REACH = 0.5, 9.0  # of the car behind the camera: light near it, and m after which half is left
HAZE = {"visible": 260.0, "infrared": 900.0}  # m after which 1/e of the contrast is left


class Render:
    """Both images of a painted canvas, at `finer` times fewer pixels a side.

    What is painted is looked up and averaged at the fine scale; sky, haze and noise are added at that of the image.
    """

    def __init__(self, canvas: Canvas, weather: Weather, rng: Random, finer: int) -> None:
        self.canvas, self.weather, self.rng, self.finer = canvas, weather, rng, finer
        self.labels = canvas.labels
        self.shade = canvas.shade * self._table("ground")[self.labels]
        sky = (self.labels == SKY).astype(np.float32)
        self.solid, self.sky = 1 - sky, shrink(sky, finer)
        self.depth = self._depth()
        height = len(self.sky)
        rows = np.arange(height, dtype=np.float32)[:, None]
        self.elevation = (canvas.horizon / canvas.height - rows / height).clip(0, 1)  # of the sky: a share of the image
        cover = 0.35 * self._noise(3, 6, 12, stretch=2.5) + 1.7 * weather.cloud - 0.45
        self.clouds = (1.8 * cover).clip(0, 1)  # how much of the sky behind each pixel is cloud

    def visible(self) -> np.ndarray:
        """sRGB in [0, 1], `h w 3`."""
        night, sun = self.weather.night, 1.5 * self.weather.sun
        colour, lit = self._table("colour"), self._table("lit")[:, None]
        diffuse = 0.065 if night else (0.4 + 0.25 * self.weather.cloud) * self.weather.skylight
        clear = self.solid * np.exp(-self.depth / HAZE["visible"])
        direct = np.float32(0.7 * sun / (diffuse + 0.7 * sun))  # of the light on the ground, which is lit 0.7
        lost = self.shade * direct
        scene = self._mean(colour * (diffuse * SKYLIGHT + sun * lit * SUNLIGHT), clear * (1 - lost))
        if night:
            lamps = self._mean(self._table("glow"), self.solid)
            scene += self._mean(colour, clear) * (2.0 * spread(lamps, 0.06) + 1.2 * spread(lamps, 0.2)) + lamps
            beam = np.float32(HEADLAMPS) / (1 + (self.depth / HEADLAMP_REACH) ** 2)
            facing = 1 - self._table("ground")[self.labels]  # the ground is met at too small an angle
            scene += self._mean(colour, clear * facing * beam)
        scene *= (1 + self._mean(self._table("grain")) * self._noise(16, 64))[..., None]
        low, high, cloud = (NIGHT_SKY if night else DAY_SKY) * np.float32(self.weather.skylight)
        rise, cover = np.sqrt(self.elevation)[..., None], self.clouds[..., None]
        sky = (low * (1 - rise) + high * rise) * (1 - cover) + cloud * cover * (1 - 0.15 * self.weather.cloud)
        scene += self.sky[..., None] * sky + (1 - self.sky - shrink(clear, self.finer))[..., None] * low
        scene *= 3.5 if night else 1.15  # exposure
        scene = scene * (1 + scene / 9) / (1 + scene)  # the shoulder of a camera curve (Reinhard et al. 2002, eq. 4)
        image = (1.25 * scene).clip(0, 1) ** np.float32(1 / 2.2)
        return (image + self._grain(image.shape, 0.014 if night else 0.008)).clip(0, 1)

    def infrared(self) -> np.ndarray:
        """The apparent temperature that a radiometric camera reports, kelvin, `h w`."""
        air, cloud = self.weather.air, self.weather.cloud
        kelvin, emissivity = self._table("kelvin"), self._table("emissivity")
        above, around = long_wave_radiance(np.array([air - 48 * (1 - 0.8 * cloud), air]))
        shaded = kelvin - SHADOW_COOLING * (kelvin - air).clip(0)
        bright, dim = (emissivity * long_wave_radiance(warmth) for warmth in (kelvin, shaded))
        clear = self.solid * np.exp(-self.depth / HAZE["infrared"])
        scene = self._mean(bright + (1 - emissivity) * above, clear) - self._mean(bright - dim, clear * self.shade)
        sky = long_wave_radiance(air - 3 - 42 * self.elevation**0.6 * (1 - 0.85 * self.clouds))
        scene += self.sky * sky + (1 - self.sky - shrink(clear, self.finer)) * around
        image = brightness_temperature(scene) + self._mean(self._table("mottle"), clear) * self._noise(8, 40)
        return image + self._grain(image.shape, DETECTOR_NOISE)

    def _depth(self) -> np.ndarray:
        """Metres to each painted pixel: of the ground by its row, of other things as they were painted."""
        canvas = self.canvas
        below = (np.arange(canvas.height, dtype=np.float32)[:, None] - canvas.horizon).clip(0.5)
        ground = self._table("ground")[self.labels] > 0
        return np.where(ground, canvas.focal * canvas.eye / below, np.array(canvas.depths, np.float32)[self.labels])

    def _table(self, name: str) -> np.ndarray:
        """One property of the surfaces, by number."""
        return np.array([getattr(surface, name) for surface in self.canvas.surfaces], np.float32)

    def _mean(self, table: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """The mean over each pixel of a property, looked up by surface, times a weight at the fine scale."""
        painted = table.astype(np.float32)[self.labels]
        if weight is not None:
            painted *= weight[..., None] if painted.ndim > weight.ndim else weight
        return shrink(painted, self.finer)

    def _grain(self, shape: tuple[int, ...], sigma: float) -> np.ndarray:
        return self.rng.standard_normal(shape, np.float32) * np.float32(sigma)

    def _noise(self, *cells: int, stretch: float = 1.0) -> np.ndarray:
        """A smooth random field, `h w`, of mean 0, deviation near 1: octaves of so many cells; wider by `stretch`."""
        height, width = self.sky.shape
        total = np.zeros((height, width), np.float32)
        for count in cells:
            grid = self.rng.standard_normal((count, max(2, int(count / stretch))), np.float32)
            weight = np.sqrt(cells[0] / count)
            total += weight * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
        return total


def spread(light: np.ndarray, reach: float) -> np.ndarray:
    """Light that lamps throw around them, `h w 3`: blurred by a share of the height."""
    height, width = light.shape[:2]
    small = (max(1, width // 2), max(1, height // 2))
    planes = []
    for channel in np.moveaxis(light, 2, 0):
        image = Image.fromarray(np.rint(channel.clip(0, 4) * (255 / 4)).astype(np.uint8)).resize(
            small, Image.Resampling.BOX
        )
        blurred = image.filter(ImageFilter.GaussianBlur(reach * small[1]))
        planes.append(np.asarray(blurred.resize((width, height), Image.Resampling.BILINEAR)) * np.float32(4 / 255))
    return np.stack(planes, -1)


def shrink(image: np.ndarray, finer: int) -> np.ndarray:
    """The mean of each `finer` x `finer` pixels of `h w` or `h w c`."""
    parts = [image[row::finer, column::finer] for row in range(finer) for column in range(finer)]
    return sum(parts[1:], parts[0]) / np.float32(finer * finer)
