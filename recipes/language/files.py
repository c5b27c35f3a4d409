"""The files that a recipe begins from: images and weights that it names must be there before anything is trained.

The images of a shipped recipe, `data/LLVIP`, are left to the run: their data source says where to get them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from crossband import registry
from crossband.graphs.building.key_maps import load_key_map
from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import near_file
from crossband.recipes.basics.files import PICKLED, is_pickled
from crossband.recipes.language.catalog import is_shipped
from crossband.recipes.language.syntax import Recipe

Named: TypeAlias = tuple[Path, Place, str | None]  # a file or folder, where it is named, and how to get it, if known


def check_files(recipe: Recipe, problems: Problems) -> None:
    """Report each file or folder of a checked recipe that is not there, and weights that are pickled."""
    for path, place, known in [*_weights(recipe), *_images(recipe)]:
        if not path.exists():
            hint = known or near_file(path) or RELATIVE
            problems.add("E001", f"no such file or folder: `{place.written()}`", place, hint)
    for path, place, _ in _weights(recipe, foreign=False):
        if path.is_file() and is_pickled(path):
            problems.add("E084", f"`{place.written()}` is pickled, and crossband reads safetensors", place, PICKLED)


def _weights(recipe: Recipe, *, foreign: bool = True) -> Iterator[Named]:
    """The weights that networks begin with, those of others by a key map among them."""
    for name, network in recipe.networks.items():
        match network.weights:
            case str(file):
                yield Path(file), recipe.at("networks", name, "weights"), None
            case {"file": file, "keys": keys} if foreign and not file.startswith("torchvision/"):
                place = recipe.at("networks", name, "weights", "file")
                yield Path(file), place, _published(name, keys) if is_shipped(Path(place.file)) else None


def _published(network: str, keys: str) -> str | None:
    """How to get the weights that a shipped recipe begins with, or to do without them."""
    published = load_key_map(keys).published
    return published and f"get it from {published}, or begin without: `--set networks.{network}.weights=null`"


def _images(recipe: Recipe) -> Iterator[Named]:
    """The files and folders that the data source is given, and where they are named."""
    source = recipe.data.source
    for name, value in recipe.data.arguments.items():
        place = recipe.at("data", "source", source, name)
        kind = registry.sources[source].parameters[name].schema.get("format")
        if kind == "path" and isinstance(value, str) and not is_shipped(Path(place.file)):
            yield Path(value), place, None
