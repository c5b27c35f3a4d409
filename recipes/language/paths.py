"""The files and folders that a recipe names, made absolute: each path is relative to the text that says it.

The schema of recipes says which texts are paths, those of plugins included: `format: path`, which is what the type
`crossband.registry.FilePath` of a parameter becomes, and `format: graph` or `key map` for a shipped name or a path.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from crossband.graphs.language.catalog import GRAPHS, KEYS, Catalog
from crossband.graphs.language.document import Place
from crossband.recipes.language.catalog import RECIPES
from crossband.recipes.language.layers import Layers
from crossband.recipes.language.schema import recipe_schema

CATALOGS: Mapping[str, Catalog] = {"graph": GRAPHS, "key map": KEYS}


def with_absolute_paths(data: Mapping[str, Any], layers: Layers) -> dict[str, Any]:
    """The data of a recipe with every path in it absolute, so that it means the same wherever it is written next."""
    found = dict(deepcopy(data))
    for error in _Finder(recipe_schema()).iter_errors(data):
        if error.validator == "format":
            section, *_, last = path = error.absolute_path
            folder = _folder(layers.place(*path), section)
            holder = reduce(getitem, list(path)[:-1], found)
            holder[last] = _absolute(str(error.instance), folder, CATALOGS.get(str(error.validator_value)))
    return found


def _folder(place: Place, section: str | int) -> Path:
    """What a path at `place`, in this section of a recipe, is relative to.

    The images of a shipped recipe, `data/LLVIP`, are not looked for in the library but in the working directory.
    """
    return Path() if section == "data" and RECIPES.ships(Path(place.file)) else place.folder


def _absolute(text: str, folder: Path, catalog: Catalog | None) -> str:
    """The absolute path that `text` means in a folder; a shipped name of the catalog, and an unknown one, as it is."""
    if catalog is None:
        return str((folder / text).absolute())
    path = None if text in catalog.files() else catalog.find(text, folder)
    return str(path.absolute()) if path else text


def _format(_validator: Any, kind: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    """The schema keyword `format`, with a text that has one of ours reported where it stands."""
    if isinstance(instance, str) and kind in ("path", *CATALOGS):
        yield ValidationError(kind)


_Finder = validators.extend(Draft202012Validator, {"format": _format})
