"""The augmentations that come with the library: scale and rotation of scenes, colour, noise, gain and offset of bands.

Mirroring and cutting are no augmentations but `flip`, `flip_vertical`, `crop` and `size` of the data.
"""

import math
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt, doc
from torch import Tensor
from torch.nn import functional as F

from crossband.recipes.kinds.augmentation import augmentation

Positive = Annotated[float, Gt(0)]
Part = Annotated[float, Ge(0), Lt(1)]


@augmentation("scale", moves=True)
def scale(
    image: Tensor,
    rng: np.random.Generator,
    *,
    by: Annotated[tuple[Positive, Positive], doc("The least and the largest factor: more than 1 enlarges")],
) -> Tensor:
    """Enlarge or shrink about the middle; the image keeps its size, and shrunken ones go on as in a mirror.

    Factors are drawn so that half and double are as likely.
    """
    least, most = sorted(map(math.log, by))
    factor = math.exp(rng.uniform(least, most))
    return _warped(image, [[1 / factor, 0.0], [0.0, 1 / factor]])


@augmentation("rotate", moves=True)
def rotate(
    image: Tensor,
    rng: np.random.Generator,
    *,
    degrees: Annotated[float, Gt(0), Le(180), doc("The largest angle, to either side")],
) -> Tensor:
    """Turn about the middle; the image keeps its size, and its corners go on as in a mirror."""
    angle, (height, width) = math.radians(rng.uniform(-degrees, degrees)), image.shape[1:]
    cosine, sine = math.cos(angle), math.sin(angle)
    return _warped(image, [[cosine, -sine * height / width], [sine * width / height, cosine]])


@augmentation("colour", channels=3)
def colour(
    image: Tensor,
    rng: np.random.Generator,
    *,
    brightness: Annotated[Part, doc("Factors from 1 - this to 1 + this")] = 0.2,
    contrast: Annotated[Part, doc("Likewise, about the mean brightness")] = 0.2,
    saturation: Annotated[Part, doc("Likewise, about the grey image")] = 0.2,
    hue: Annotated[float, Ge(0), Le(0.5), doc("Of the circle of colours, to either side")] = 0.0,
) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order: `ColorJitter` of torchvision."""
    from torchvision.transforms import functional

    draws = rng.uniform(-1, 1, 4)
    image = functional.adjust_brightness(image, 1 + brightness * draws[0])
    image = functional.adjust_contrast(image, 1 + contrast * draws[1])
    image = functional.adjust_saturation(image, 1 + saturation * draws[2])
    return functional.adjust_hue(image, hue * draws[3]) if hue else image


@augmentation("noise", channels=3)
def noise(
    image: Tensor,
    rng: np.random.Generator,
    *,
    sigma: Annotated[float, Gt(0), Le(1), doc("The largest standard deviation; each image has one below it")],
) -> Tensor:
    """Add Gaussian noise, of its own in every pixel and channel, and clip to [0, 1]."""
    strength = rng.uniform(0, sigma)
    drawn = torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32))
    return (image + strength * drawn).clamp(0, 1)


@augmentation("gain", channels=1)
def gain(
    image: Tensor,
    rng: np.random.Generator,
    *,
    by: Annotated[tuple[Positive, Positive], doc("The least and the largest factor")],
) -> Tensor:
    """Multiply the values by one factor, as another gain of a sensor does, and clip to [0, 1]."""
    least, most = sorted(by)
    return (image * rng.uniform(least, most)).clamp(0, 1)


@augmentation("offset", channels=1)
def offset(
    image: Tensor,
    rng: np.random.Generator,
    *,
    by: Annotated[float, Gt(0), Le(1), doc("The largest number, to either side")],
) -> Tensor:
    """Add one number to all values, as a sensor drifts, and clip to [0, 1]."""
    return (image + rng.uniform(-by, by)).clamp(0, 1)


def _warped(image: Tensor, matrix: list[list[float]]) -> Tensor:
    """The image seen through a linear map of its coordinates, which go from -1 to 1; mirrored beyond its border."""
    theta = torch.tensor([[[*row, 0.0] for row in matrix]])
    grid = F.affine_grid(theta, [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, "bilinear", "reflection", align_corners=False)[0].clamp(0, 1)
