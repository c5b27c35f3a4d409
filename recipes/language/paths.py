"""Make the paths in a recipe absolute: each path is relative to the text that says it.

The schema of recipes marks paths: `format: path`, into which the type `crossband.registry.FilePath` of a parameter is
translated, also in plugins, and `format: graph` or `key map` for a shipped name or a path.
"""

import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from crossband.graphs.language.catalog import GRAPHS, KEYS, Catalog
from crossband.graphs.language.document import Place
from crossband.recipes.language.catalog import is_shipped
from crossband.recipes.language.layers import Layers
from crossband.recipes.language.schema import recipe_schema

CATALOGS: Mapping[str, Catalog] = {"graph": GRAPHS, "key map": KEYS}


def with_absolute_paths(data: Mapping[str, Any], layers: Layers) -> dict[str, Any]:
    """The data of a recipe with absolute paths, so that they stay valid when it is written to another folder."""
    found = dict(deepcopy(data))
    for error in _Finder(recipe_schema()).iter_errors(data):
        if error.validator == "format":
            *_, last = path = error.absolute_path
            folder = _folder(layers.place(*path))
            holder = reduce(getitem, list(path)[:-1], found)
            holder[last] = _absolute(str(error.instance), folder, CATALOGS.get(str(error.validator_value)))
    return found


def _folder(place: Place) -> Path:
    """The folder that a path at `place` is relative to.

    What a shipped recipe or table names, `data/LLVIP`, is looked for in the working directory, not in the library.
    """
    return Path() if is_shipped(Path(place.file)) else place.folder


def _absolute(text: str, folder: Path, catalog: Catalog | None) -> str:
    """The absolute path of `text` in a folder. A shipped or unknown name of the catalog is returned as it is."""
    folder = folder.resolve()  # so that `..` leads to the same place whatever becomes of the folders on the way
    if catalog is None:
        return os.path.normpath(folder / text)
    path = None if text in catalog.files() else catalog.find(text, folder)
    return os.path.normpath(path) if path else text


def _format(_validator: Any, kind: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    """The schema keyword `format`: report every text with one of our formats as an error, which tells its path."""
    if isinstance(instance, str) and kind in ("path", *CATALOGS):
        yield ValidationError(kind)


_Finder = validators.extend(Draft202012Validator, {"format": _format})
