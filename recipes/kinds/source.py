"""What a data source is: a set of named scenes, each with one image per band, aligned as a rule.

A source says where images come from and what their numbers mean. What training does with them
(sizes, crops, flips, batches) is the loader's business.
"""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from crossband.registry import CrossbandError, Entry, RegistryError, description, parameters_of, sources, suggest

P = ParamSpec("P")
S = TypeVar("S", bound="Source")
Pairing = Literal["paired", "unpaired"]
ALL = "all"  # the aligned scenes of every split, where no split is called so
CHANNELS: Mapping[str, int] = MappingProxyType({"visible": 3, "infrared": 1})  # the bands of a source, unless it says


class DataError(CrossbandError):
    """The data cannot be used as declared. `faults` has every one."""


@dataclass(frozen=True)
class Band:
    """One band of a source: how many channels its images have, 1 or 3, and what its files are.

    `pixels` is the type of the pixels in the files, such as `uint16`, or empty where it is not known. With `luminance`
    colour files of a band of one channel are reduced to their brightness.
    """

    channels: int
    pixels: str = ""
    luminance: bool = False


@dataclass(frozen=True)
class Box:
    """A rectangle around something in a scene, such as a `person`, in pixels of the images that `Source.read` gives.

    `x` and `y` are its left and its upper edge, counted from the upper left corner of the image; `width` and `height`
    are more than 0. Edges lie between pixels: a box from 0 to the width and the height of an image is all of it. As
    people drew it, it may reach beyond the image.
    """

    label: str
    x: float
    y: float
    width: float
    height: float

    def resized(self, before: tuple[int, int], after: tuple[int, int]) -> "Box":
        """The same part of an image whose height and width were `before` and are `after`."""
        down, across = after[0] / before[0], after[1] / before[1]
        return Box(self.label, self.x * across, self.y * down, self.width * across, self.height * down)

    def clipped(self, height: int, width: int) -> "Box | None":
        """The part of it inside of an image, or None where it lies outside."""
        left, top = max(self.x, 0.0), max(self.y, 0.0)
        right, bottom = min(self.x + self.width, width), min(self.y + self.height, height)
        return Box(self.label, left, top, right - left, bottom - top) if right > left and bottom > top else None


class Source(ABC):
    """A set of named scenes. A subclass sets the attributes and is immutable afterwards.

    `bands` names what every scene has (`visible`, `infrared`); `splits` gives the scene names of
    `train`, `test` and any other split. Splits do not overlap. Scenes are aligned, but for the splits in
    `unpaired`: there each band has scenes of its own, whose names it gives, and `splits` has those of the first band.

    It may tell more of each scene: `labels`, by which an evaluation is divided, and `boxes`, inside of which it
    measures. Both are asked for rarely: files that hold them are read then, not when the source is opened.
    """

    bands: Mapping[str, Band]
    splits: Mapping[str, Sequence[str]]
    unpaired: Mapping[str, Mapping[str, Sequence[str]]] = MappingProxyType({})

    def __repr__(self) -> str:
        bands = ", ".join(f"{name} {band.channels}" for name, band in self.bands.items())
        splits = ", ".join(f"{name} {len(scenes)}" for name, scenes in self.splits.items())
        return f"<{type(self).__name__}: channels {bands}; scenes {splits}>"

    @abstractmethod
    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene by band, `c h w`: those of the `bands` asked for, or all of them.

        All bands have the same height and width. uint8 and uint16 stand for value / full scale;
        float32 is already in [0, 1]. The scale follows from the declared range of the source and
        never from the image's own minimum or maximum. The caller may write to the arrays.
        """

    def raw(self, name: str, band: str) -> np.ndarray:
        """The image `c h w` of a band in the units of its file; what `read` gives where no range is declared."""
        return self.read(name, [band])[band]

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a scene. Sources that know it without decoding the image override this."""
        first = next(iter(self.bands))
        return self.read(name, [first])[first].shape[1:]

    def names(self, split: str, band: str | None = None) -> Sequence[str]:
        """The scene names of a split, or of one `band` of it; of `all` those of every split whose scenes are aligned.

        Raises DataError if there is no such split.
        """
        if split == ALL and split not in self.splits:
            return [name for own, names in self.splits.items() if own not in self.unpaired for name in names]
        if split not in self.splits:
            raise DataError(f"the data has no split `{split}`", hint=suggest(split, self.splits))
        return self.unpaired.get(split, {}).get(band or "", self.splits[split])

    def fingerprint(self, name: str, band: str) -> bytes | None:
        """All that the image of a scene follows from: equal bytes, equal pixels. None where it is not known."""
        return None

    def labels(self, name: str) -> Mapping[str, str]:
        """What is said of a scene as a whole, value by name: `{"subset": "night", "place": "set03"}`; often nothing."""
        return {}

    def boxes(self, name: str) -> Sequence[Box] | None:
        """The things marked in a scene, on all its bands. Empty: there are none. None: nobody has looked for any.

        Raises DataError, naming file and line, where annotations cannot be read.
        """
        return None


@dataclass(frozen=True, kw_only=True, repr=False)
class SourceEntry(Entry):
    """A registered data source: its bands with their channels, and whether it gives paired or unpaired images."""

    kind = "source"

    bands: Mapping[str, int]
    pairing: tuple[Pairing, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    links: str = ""

    def bands_of(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        """Its bands and their channels with these arguments, which may be wrong.

        A parameter `bands` names them (`visible` has 3 channels, any other 1), `channels` changes their channels.
        """
        named, changed = (arguments.get(key) if key in self.parameters else None for key in ("bands", "channels"))
        names = list(named) if isinstance(named, list | tuple | Mapping) else []
        usual = {str(band): CHANNELS.get(str(band), 1) for band in names} or self.bands
        return {**usual, **(changed if isinstance(changed, Mapping) else {})}

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        told = {"scenes": dict(self.counts), "links": self.links}
        return {
            "bands": dict(self.bands),
            "pairing": list(self.pairing),
            **{key: own for key, own in told.items() if own},
        }


def source(
    name: str,
    *,
    cite: str | None = None,
    bands: Mapping[str, int] = CHANNELS,
    pairing: Sequence[Pairing] = ("paired", "unpaired"),
    counts: Mapping[str, int] = MappingProxyType({}),
    links: str = "",
) -> Callable[[Callable[P, S]], Callable[P, S]]:
    """Register a function that returns a Source as the data source `name` of the recipes.

    Its parameters are keyword-only and have type hints: they are what a recipe sets in YAML. The
    function that is returned checks its arguments first and raises ArgumentError naming the wrong
    ones. Recipes are checked by what is said here, before any image is there: `bands` are those of its
    scenes and their channels, unless parameters `bands` and `channels` say otherwise; `pairing` is what it can give.
    Aligned scenes can be given unpaired too. A parameter `range` has, by band, the values of image files that
    become 0 and 1: weights keep it. `counts` are the scenes of each of its own splits as published, or under `all` of
    all of them, where they are known; `links` says what has become of the address of a published data set. Raises
    RegistryError, when the module is imported, if a parameter breaks this contract.
    """

    def register(function: Callable[P, S]) -> Callable[P, S]:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                raise RegistryError(
                    f"the data source `{name}`: the parameter `{parameter.name}` must be keyword-only",
                    hint="put `*` before the first parameter",
                )

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> S:
            entry.check(kwargs)
            return function(*args, **kwargs)

        entry = SourceEntry(
            name=name,
            factory=checked,
            parameters=parameters_of(function),
            cite=cite,
            bands=dict(bands),
            pairing=tuple(pairing),
            counts=dict(counts),
            links=links,
            **description(function),
        )
        sources.add(entry)
        return checked

    return register
