"""The files that a recipe begins from: images and weights that it names must be there before anything is trained.

What a shipped recipe names, `data/LLVIP`, is left to the run: its data source says where to get it.
"""

from collections.abc import Iterator
from pathlib import Path

from crossband import registry
from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import near_file
from crossband.recipes.basics.files import PICKLED, is_pickled
from crossband.recipes.language.catalog import is_shipped
from crossband.recipes.language.syntax import Recipe


def check_files(recipe: Recipe, problems: Problems) -> None:
    """Report each file or folder of a checked recipe that is not there, and weights that are pickled."""
    for path, place in [*_weights(recipe), *_images(recipe)]:
        if not path.exists():
            problems.add("E001", f"no such file or folder: `{place.written()}`", place, near_file(path) or RELATIVE)
    for path, place in _weights(recipe, foreign=False):
        if path.is_file() and is_pickled(path):
            problems.add("E084", f"`{place.written()}` is pickled, and crossband reads safetensors", place, PICKLED)


def _weights(recipe: Recipe, *, foreign: bool = True) -> Iterator[tuple[Path, Place]]:
    """The weights that networks begin with, those of others by a key map among them, and where they are named."""
    for name, network in recipe.networks.items():
        match network.weights:
            case str(file):
                yield Path(file), recipe.at("networks", name, "weights")
            case {"file": file} if foreign and not file.startswith("torchvision/"):
                yield Path(file), recipe.at("networks", name, "weights", "file")


def _images(recipe: Recipe) -> Iterator[tuple[Path, Place]]:
    """The files and folders that the data source is given, and where they are named."""
    source = recipe.data.source
    for name, value in recipe.data.arguments.items():
        place = recipe.at("data", "source", source, name)
        kind = registry.sources[source].parameters[name].schema.get("format")
        if kind == "path" and isinstance(value, str) and not is_shipped(Path(place.file)):
            yield Path(value), place
