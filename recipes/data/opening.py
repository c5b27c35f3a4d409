"""The data of a recipe: its source opened, images from elsewhere in their place, the scenes that training sees."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossband import registry
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.loader import Geometry, Scenes
from crossband.recipes.data.memory import Memory
from crossband.recipes.kinds.source import DataError, Source
from crossband.recipes.language.syntax import Data, Recipe

READING = ("channels", "range", "outside", "luminance")  # parameters of sources: what the numbers in files mean


def open_source(data: Data) -> Source:
    """The images that a recipe names. Raises DataError naming everything that is wrong with them."""
    return registry.sources[data.source].factory(**data.arguments)


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
    if isinstance(given, str | os.PathLike):
        [(name, arguments)] = in_folder(data, given).items()
        return registry.sources[name].factory(**arguments)
    return Memory(given if isinstance(given, Mapping) else {"test": given}, bands)


def other_images(given: Any, data: Data) -> str | None:
    """What to call images given in place of those of a recipe; None where they may be the same, opened elsewhere."""
    if isinstance(given, Source):
        return None
    if not isinstance(given, str | os.PathLike):
        return "images given from Python"
    return None if "folder" in registry.sources[data.source].parameters else os.fspath(given)


def in_folder(data: Data, folder: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """What a recipe says under `data.source` to read the images in another `folder`, as `{source: arguments}`.

    It is the `folder` of the recipe's source; a source that reads no folder gives way to `pairs`, which reads the
    files in the same way.
    """
    place, named = {"folder": str(Path(folder).resolve())}, data.arguments.get("bands")
    bands = {"bands": list(named)} if named else {}
    if "folder" in registry.sources[data.source].parameters:
        kept = {key: value for key, value in data.arguments.items() if key not in ("visible", "infrared", "bands")}
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
