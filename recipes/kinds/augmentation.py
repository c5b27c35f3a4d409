"""The decorator that makes a function an augmentation of training images: `rotate`, `noise`, under `data.augment`.

An augmentation either moves pixels, alike in all bands of a scene, or changes the values of some bands.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from crossband.registry import Entry, Parameter, RegistryError, augmentations, description, parameters_of

F = TypeVar("F", bound=Callable[..., Any])
TAKES = ["image", "rng"]
CHANCE = "For how large a part of the images it is done"
BANDS = "The bands that it changes, by default those of the channels that it is for"


@dataclass(frozen=True, kw_only=True, repr=False)
class AugmentationEntry(Entry):
    """A registered augmentation: whether it `moves` pixels, else of how many `channels` the bands are that it is for.

    See `augmentation`. Beside its own parameters each has `chance`, and one that moves nothing has `bands`.
    """

    kind = "augmentation"

    moves: bool
    channels: int | None

    def bands(self, arguments: Mapping[str, Any], known: Mapping[str, int]) -> list[str]:
        """Which of the bands, given with the channels of their images, it is done to."""
        if self.moves:
            return list(known)
        if "bands" in arguments:
            return [band for band in known if band in arguments["bands"]]
        return [band for band, channels in known.items() if self.channels in (None, channels)]

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        which = {None: "every band", 1: "bands of 1 channel", 3: "bands of 3 channels"}[self.channels]
        return {"changes": "where pixels are, alike in all bands" if self.moves else f"values of {which}"}


def augmentation(
    name: str, *, moves: bool = False, channels: int | None = None, cite: str | None = None
) -> Callable[[F], F]:
    """Register `function(image, rng, *, ...)` as the augmentation `name` of the recipes.

    It is given a tensor `c h w`, float32 in [0, 1], with a generator of NumPy, and gives another of this shape and
    range; all randomness comes from the generator, so that a seed gives an image. One that `moves` pixels is called for
    each band of a scene with a generator in one state: what it draws may not depend on the channels or values, else
    bands would no longer be aligned. Any other changes the values of bands of so many `channels` (None: of all), unless
    a recipe names `bands`. Its keyword parameters have type hints: they are what a recipe sets in YAML.

    Raises RegistryError, when the module is imported, if the function takes something else.
    """

    def register(function: F) -> F:
        parameters = inspect.signature(function).parameters
        others = [each for each in list(parameters.values())[2:] if each.kind is not inspect.Parameter.KEYWORD_ONLY]
        if list(parameters)[:2] != TAKES or others:
            hint = f"write `def {function.__name__}(image, rng, *, ...)`"
            raise RegistryError(f"the augmentation `{name}` takes `image`, `rng` and keywords", hint=hint)
        chance = {"type": "number", "minimum": 0, "maximum": 1, "description": CHANCE, "default": 1.0}
        common = {"chance": Parameter("chance", chance, 1.0)}
        if not moves:
            texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": BANDS}
            common["bands"] = Parameter("bands", {**texts, "default": None}, None)
        augmentations.add(
            AugmentationEntry(
                name=name,
                factory=function,
                parameters={**parameters_of(function, skip=TAKES), **common},
                cite=cite,
                moves=moves,
                channels=channels,
                **description(function),
            )
        )
        return function

    return register
