"""The data of a recipe: its source opened, images from elsewhere in their place, the scenes that training sees."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossband import registry
from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import near_file, real
from crossband.recipes.data.alignment import Aligned
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.loader import Geometry, Scenes
from crossband.recipes.data.memory import Memory
from crossband.recipes.kinds.source import CHANNELS, DataError, Source
from crossband.recipes.language.syntax import Data, Recipe

OF_FOLDER = ("visible", "infrared", "bands", "boxes", "table")  # parameters that belong to one folder of images
READING = ("channels", "range", "outside", "luminance")  # parameters of sources: what the numbers in files mean


def open_source(data: Data) -> Source:
    """The images that a recipe names, aligned. Raises DataError naming everything that is wrong with them."""
    source = registry.sources[data.source].factory(**data.arguments)
    return Aligned(source, data.align) if data.align else source


@contextmanager
def of_run(what: object, data: Data) -> Iterator[None]:
    """While the images of a run are opened: where they are no longer in their place, say how to name them."""
    try:
        yield
    except DataError:
        paths = filter(os.path.isabs, _texts(data.arguments))
        gone = [path for path in paths if not Path(path).exists()]
        if not gone:
            raise
        message = f"{what}: the images of this run are no longer in `{gone[0]}`"
        raise DataError(message, hint="say where they are now: `--data FOLDER`; from Python, `data=`") from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)


def open_given(given: Any, data: Data, bands: Sequence[str]) -> Source:
    """Images given in place of those that a recipe names; nothing is put aside for training.

    `given` is a folder, read as the recipe's source reads its own, a Source, or what Memory takes. Raises DataError.
    """
    if isinstance(given, Source):
        return given
    if is_place(given):
        if isinstance(given, Mapping):
            return open_all(given, data, bands)[0]
        [(name, arguments)] = in_folder(data, given).items()
        return registry.sources[name].factory(**arguments)
    return Memory(given if isinstance(given, Mapping) else {"test": given}, bands)


def is_place(given: Any) -> bool:
    """Whether images are given by where they are: by a folder, or by a folder for each band."""
    paths = list(given.values()) if isinstance(given, Mapping) else [given]
    return bool(paths) and all(isinstance(path, str | os.PathLike) for path in paths)


def is_folder_of(data: Data, given: Any) -> bool:
    """Whether a folder is the very one that a recipe names."""
    own = data.arguments.get("folder")
    return isinstance(own, str) and isinstance(given, str | os.PathLike) and real(Path(own)) == real(Path(given))


def open_all(place: Any, data: Data, bands: Sequence[str]) -> tuple[Source, Data]:
    """All images of a folder, or of a folder for each band, whatever the splits of a recipe; with how they were read.

    They are read as the recipe's source reads its own; or else as `pairs`, by their plain names. Raises DataError
    where they can be read by neither: what is wrong with the way that fits better.
    """
    if not isinstance(place, Mapping) and not Path(place).exists():
        raise DataError(f"{place}: no such folder", hint=near_file(Path(place)) or RELATIVE)
    ways, errors = _ways(place, data, bands), list[DataError]()
    for way in ways:
        try:
            return open_source(way), way
        except DataError as error:
            errors.append(error)
    plain = isinstance(place, Mapping) or all(Path(place, band).is_dir() for band in bands)
    error = errors[-1] if plain and data.source != "pairs" else errors[0]
    words = "`--set 'data.source={pairs: {KEY: VALUE}}'` says how to read other images: `crossband show pairs`"
    raise DataError(error.message, hint="\n".join(filter(None, (error.hint, words))))


def _ways(place: Any, data: Data, bands: Sequence[str]) -> list[Data]:
    """The ways to read images elsewhere, the first one as a recipe reads its own, all of them undivided."""
    reading = {key: data.arguments[key] for key in READING if key in data.arguments}
    named = data.arguments.get("bands") or (list(bands) if {*bands} - {*CHANNELS} else None)
    own = {"bands": list(named)} if named else {}
    if isinstance(place, Mapping):
        folders = {band: str(Path(path).resolve()) for band, path in place.items()}
        return [_undivided(replace(data, source="pairs", arguments={"bands": folders, **reading}))]
    [(name, arguments)] = in_folder(data, place).items()
    plain = {"folder": str(Path(place).resolve()), **own, **reading}
    found = [_undivided(replace(data, source=name, arguments=arguments))]
    other = _undivided(replace(data, source="pairs", arguments=plain))
    return found if found[0] == other else [*found, other]


def _undivided(data: Data) -> Data:
    """The same images without a rule that divides them, where their source takes one."""
    arguments = {key: value for key, value in data.arguments.items() if key != "split"}
    rules = registry.sources[data.source].parameters.get("split")
    return replace(data, arguments=arguments | ({"split": {}} if rules and rules.fault({}) is None else {}))


def in_folder(data: Data, folder: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """What a recipe says under `data.source` to read the images in another `folder`, as `{source: arguments}`.

    It is the `folder` of the recipe's source; a source that reads no folder gives way to `pairs`, which reads the
    files in the same way.
    """
    place, named = {"folder": str(Path(folder).resolve())}, data.arguments.get("bands")
    bands = {"bands": list(named)} if named else {}
    if "folder" in registry.sources[data.source].parameters:
        kept = {key: value for key, value in data.arguments.items() if key not in OF_FOLDER}
        return {data.source: {**kept, **place, **bands}}
    return {"pairs": {**place, **bands, **{key: data.arguments[key] for key in READING if key in data.arguments}}}


def training_scenes(recipe: Recipe, source: Source) -> Scenes:
    """What training sees of the data."""
    geometry = Geometry(**recipe.data.geometry)
    options: dict[str, Any] = {"pairing": recipe.pairing, "seed": recipe.seed, "channels": recipe.data.channels}
    options |= {"bands": recipe.reads, "together": recipe.sources, "augment": recipe.data.augment}
    return scenes_of(source, "train", recipe.data, geometry, **options)


def scenes_of(source: Source, split: str, data: Data, geometry: Geometry, **options: Any) -> Scenes:
    """The scenes of a split, out of the cache where the recipe has one and the images are in files."""
    if data.cache and not isinstance(source, Memory):
        source = Cached(source, Path(data.cache), geometry.load)
    return Scenes(source, split, geometry=geometry, range=data.range, **options)
