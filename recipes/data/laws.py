"""The laws of data sources, as one public function: hold a source to everything that training relies on.

    from crossband.recipes.data.laws import check_laws

    def test_my_source():
        check_laws("my_source", {"folder": "tests/a_few_images"})

What is given is what a recipe would write, `source: {my_source: {folder: ...}}`; a few scenes of each split are read.
"""

import math
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossband import registry
from crossband.blocks.laws.holding import Broken, Law, chosen, hold, require
from crossband.recipes.kinds.source import Box, DataError, Source, SourceEntry
from crossband.registry import ArgumentError

SCENES = 10  # of each split, as a rule
TYPES = ("uint8", "uint16", "float32")


def check_laws(
    source: str | Source,
    arguments: Mapping[str, Any] | None = None,
    *,
    laws: Sequence[str] | None = None,
    count: int = SCENES,
) -> dict[str, int]:
    """Hold a data source to its laws, all or those named. Give how often each was tried: once, or on so many scenes.

    The source is registered, and opened with `arguments`; or it is one that is open already, which has said nothing of
    itself, so that the laws about this count 0. `count` scenes of each split are read, from the first to the last.
    Raises LawBroken that names the law and the scene; CrossbandError for an unknown law or source; and what the
    source raises if it cannot be opened.
    """
    entry = registry.sources[source] if isinstance(source, str) else None
    opened = source if isinstance(source, Source) else registry.sources[source].factory(**(arguments or {}))
    whole = Opened(opened, entry, arguments or {}, count)
    tried: dict[str, int] = {}
    for name, law in chosen(LAWS, laws).items():
        examples = (
            list(whole.scenes()) if name in OF_SCENES else [whole] * (entry is not None or name not in OF_ENTRIES)
        )
        for example in examples:
            hold(name, law, example)
        tried[name] = len(examples)
    return tried


@dataclass(frozen=True)
class Opened:
    """A source that is open: what it was opened with, and how many scenes of each split are looked at."""

    source: Source
    entry: SourceEntry | None
    arguments: Mapping[str, Any]
    count: int

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.entry.name}({options})" if self.entry else type(self.source).__name__

    def names(self, split: str) -> dict[str, Sequence[str]]:
        """The scenes of a split by band."""
        return {band: self.source.names(split, band) for band in self.source.bands}

    def scenes(self) -> "Iterator[Scene]":
        """Some scenes of every split; where bands are not aligned, some of each."""
        for split in self.source.splits:
            bands = tuple(self.source.bands)
            for own in [(band,) for band in bands] if split in self.source.unpaired else [bands]:
                names = self.source.names(split, own[0])
                for at in sorted({*np.linspace(0, len(names) - 1, self.count).astype(int)} if names else ()):
                    yield Scene(self, split, str(names[at]), own)


@dataclass(frozen=True)
class Scene:
    """A scene of a source, with the bands that it has."""

    opened: Opened
    split: str
    name: str
    bands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.opened} with the scene `{self.name}` of `{self.split}`"

    def read(self) -> dict[str, np.ndarray]:
        """Its images by band; an aligned scene is read as a whole."""
        whole = len(self.bands) == len(self.opened.source.bands)
        return self.opened.source.read(self.name, None if whole else self.bands)


def splits(opened: Opened) -> None:
    """It has the splits `train` and `test`, with scenes; each is named once, and none is in two splits."""
    names = {split: opened.names(split) for split in opened.source.splits}
    require({"train", "test"} <= {*names}, f"its splits are {', '.join(f'`{split}`' for split in names)}")
    where: dict[str, str] = {}
    for split, by_band in names.items():
        for band, scenes in by_band.items():
            require(len(scenes) > 0, f"`{split}` has no {band} scene")
            [(scene, times)] = Counter(scenes).most_common(1)
            require(times == 1, f"`{split}` names `{scene}` {times} times")
        for scene in {scene for scenes in by_band.values() for scene in scenes}:
            require(scene not in where, f"`{scene}` is in `{where.get(scene)}` and in `{split}`")
            where[scene] = split


def declared(opened: Opened) -> None:
    """Its bands, their channels and its pairing are those that it declares, or that the parameter `channels` says."""
    assert opened.entry is not None
    wanted = opened.entry.bands_of(opened.arguments)
    found = {band: each.channels for band, each in opened.source.bands.items()}
    require(found == wanted, f"it declares {wanted}, and has {found}")
    pairing = "unpaired" if "train" in opened.source.unpaired else "paired"
    require(pairing in opened.entry.pairing, f"its scenes are {pairing}, and it declares {opened.entry.pairing}")


def unknown(opened: Opened) -> None:
    """An unknown split is a DataError, and an unknown argument an ArgumentError."""
    _refuses(lambda: opened.source.names("no_such_split"), DataError, "an unknown split")
    if opened.entry:
        factory = opened.entry.factory
        _refuses(lambda: factory(**opened.arguments, no_such_option=1), ArgumentError, "an unknown argument")


def _refuses(call: Callable[[], object], wanted: type[Exception], what: str) -> None:
    try:
        call()
    except wanted:
        return
    except Exception as error:
        raise Broken(f"{what} raises {type(error).__name__}, not {wanted.__name__}") from error
    raise Broken(f"{what} is accepted")


def again(opened: Opened) -> None:
    """Opened again it has the same scenes with the same images, fingerprints, labels and boxes."""
    assert opened.entry is not None
    other = replace(opened, source=opened.entry.factory(**opened.arguments))
    for split in opened.source.splits:
        require(other.names(split) == opened.names(split), f"`{split}` has other scenes")
    for scene in opened.scenes():
        _same(replace(scene, opened=other).read(), scene.read(), f"`{scene.name}` is another image")
        for band in scene.bands:
            prints = [each.source.fingerprint(scene.name, band) for each in (opened, other)]
            require(prints[0] == prints[1], f"`{scene.name}` has another fingerprint")
        _told(replace(scene, opened=other), scene)


def fingerprints(opened: Opened) -> None:
    """Images of one fingerprint are equal."""
    known: dict[bytes, tuple[str, np.ndarray]] = {}
    for scene in opened.scenes():
        for band, image in scene.read().items():
            if (key := opened.source.fingerprint(scene.name, band)) is not None:
                other, pixels = known.setdefault(key, (scene.name, image))
                _same({band: image}, {band: pixels}, f"`{scene.name}` has the fingerprint of `{other}`")


def processes(opened: Opened) -> None:
    """It goes to other processes, pickled, and reads the same there."""
    other = replace(opened, source=pickle.loads(pickle.dumps(opened.source)))
    for scene in opened.scenes():
        _same(replace(scene, opened=other).read(), scene.read(), f"`{scene.name}` is another image")
        _told(replace(scene, opened=other), scene)


def _told(found: Scene, wanted: Scene) -> None:
    """A scene tells the same of itself."""
    one, other = found.opened.source, wanted.opened.source
    require(one.labels(found.name) == other.labels(wanted.name), f"`{found.name}` has other labels")
    require(one.boxes(found.name) == other.boxes(wanted.name), f"`{found.name}` has other boxes")


def images(scene: Scene) -> None:
    """A scene has each of its bands as `c h w`: bytes, 16 bits, or float32 in [0, 1], with the channels of the band."""
    found = scene.read()
    require({*found} == {*scene.bands}, f"it gives the bands {[*found]}, not {[*scene.bands]}")
    for band, image in found.items():
        channels = scene.opened.source.bands[band].channels
        right = image.ndim == 3 and image.shape[0] == channels and image.size > 0
        require(right, f"{band} has the shape {image.shape}, not ({channels}, h, w)")
        require(str(image.dtype) in TYPES, f"{band} is of {image.dtype}")
        if image.dtype.kind == "f":
            within = bool(np.isfinite(image).all()) and image.min() >= 0 and image.max() <= 1
            require(within, f"{band} has values from {image.min()} to {image.max()}, not within [0, 1]")


def sizes(scene: Scene) -> None:
    """The images of a scene have one height and width, and `size` says which."""
    said = tuple(scene.opened.source.size(scene.name))
    for band, image in scene.read().items():
        require(image.shape[1:] == said, f"`size` says {said}, and {band} has {image.shape[1:]}")


def alone(scene: Scene) -> None:
    """A band that is asked for alone comes alone, and is the same image."""
    whole = scene.read()
    for band in scene.bands:
        found = scene.opened.source.read(scene.name, [band])
        require([*found] == [band], f"asked for {band} it gives {[*found]}")
        _same(found, {band: whole[band]}, f"{band} alone is another image")


def repeated(scene: Scene) -> None:
    """A scene is the same when it is read again, whatever was done to the arrays before."""
    first = scene.read()
    kept = {band: image.copy() for band, image in first.items()}
    for band, image in first.items():
        require(image.flags.writeable, f"the array of {band} cannot be written to")
        image[...] = 1 - image
    _same(scene.read(), kept, "it is another image when it is read again")


def labels(scene: Scene) -> None:
    """Labels are text by name: `{"subset": "night"}`."""
    found = scene.opened.source.labels(scene.name)
    require(isinstance(found, Mapping), f"its labels are {found!r}")
    for name, value in found.items():
        right = isinstance(name, str) and isinstance(value, str) and name and value
        require(bool(right), f"the label {name!r} is {value!r}, not text")


def boxes(scene: Scene) -> None:
    """Boxes are None, or a sequence of `Box`, each with a label and with sides that are finite and more than 0."""
    found = scene.opened.source.boxes(scene.name)
    if found is None:
        return
    require(isinstance(found, Sequence), f"its boxes are {found!r}")
    for box in found:
        require(isinstance(box, Box), f"{box!r} is no `Box`")
        require(isinstance(box.label, str) and box.label != "", f"{box} has no label")
        sides = (box.x, box.y, box.width, box.height)
        require(all(math.isfinite(side) for side in sides), f"{box} has a number that is not finite")
        require(box.width > 0 and box.height > 0, f"{box} is empty")


def _same(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], what: str) -> None:
    for band, image in wanted.items():
        require(found[band].dtype == image.dtype and np.array_equal(found[band], image), what)


OF_SOURCES = (splits, declared, unknown, again, fingerprints, processes)
OF_SCENES: Mapping[str, Law] = {law.__name__: law for law in (images, sizes, alone, repeated, labels, boxes)}
OF_ENTRIES = {"declared", "again"}  # about what a registered source says of itself
LAWS: Mapping[str, Law] = {law.__name__: law for law in OF_SOURCES} | OF_SCENES
"""Every law by name: of a source as a whole, and of its scenes; each raises where it is broken."""
