"""`crossband new`: the smallest block or plugin that keeps its laws, to start from."""

import importlib.util
import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template

import click

from crossband.recipes.basics.files import writing
from crossband.recipes.commands import listing
from crossband.recipes.commands.output import say
from crossband.registry import CrossbandError

CLASS = '''class $name(nn.Module):
    """Scale each channel by a number that is learned: `b c h w` to the same."""

    def __init__(self, c: int, *, start: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((c, 1, 1), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w` to the same."""
        return self.scale * x
'''
BLOCK = (
    '''"""$name: where the idea is from, and what it is good for."""

import torch
from crossband import block
from torch import Tensor, nn


@block(
    "$name",
    contract="b c h w -> b c h w",  # the shapes: see `crossband.blocks.contracts`
    reach=1,  # rows of the input behind a row of the output; none where it sees all
)
'''
    + CLASS
)
BLOCK_TEST = '''"""$name keeps the laws of blocks. Run it with `pytest`."""

from crossband.blocks.laws import check_laws

from $module import $name


def test_it_keeps_the_laws() -> None:
    check_laws($name)
'''
PROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$module"
version = "0.1.0"
dependencies = ["crossband"]

[project.optional-dependencies]
test = ["hypothesis>=6.100,<7", "pytest>=8.2"]

[project.entry-points."crossband.plugins"]
$module = "$module"

[tool.setuptools]
packages = ["$module"]

[tool.setuptools.package-data]
$module = ["references.bib", "graphs/*.yaml", "recipes/*.yaml", "keys/*.yaml"]
"""
PLUGIN = (
    '''"""$module: what it adds to crossband, and where the ideas are from."""

import torch
from crossband import add_files, block
from torch import Tensor, nn

add_files(__file__)  # the graphs, recipes, key maps and sources beside this file


@block("$name", contract="b c h w -> b c h w", reach=1, cite="$module")
'''
    + CLASS
)
GRAPH = """# A U-Net that scales its first features: what this plugin is to show.
graph: ${module}_unet
extends: unet
cite: [ronneberger2015unet, $module]
insert: {scaled: {after: enc1, $name: {}}}
"""
RECIPE = """# The graph of this plugin on the scenes of `demo`.
recipe: ${module}_demo
extends: demo
cite: [ronneberger2015unet, $module]
networks: {generator: {graph: ${module}_unet}}
"""
BIBTEX = """@misc{$module,
  title = {What this plugin adds},
  author = {Who wrote it},
  year = {2025}
}
"""
PLUGIN_TEST = '''"""What this plugin adds is sound. Run it with `pytest`."""

import crossband
from crossband.blocks.laws import check_laws
from crossband.recipes import check

from $module import $name


def test_the_block_keeps_the_laws() -> None:
    check_laws($name)


def test_the_graph_and_the_recipe_are_right() -> None:
    assert crossband.check("${module}_unet").outputs
    assert check("${module}_demo").plans
'''


@click.command()
@click.argument("kind", type=click.Choice(["block", "plugin"]))
@click.argument("name")
def new(kind: str, name: str) -> None:
    """Write the smallest block, or the smallest plugin, called NAME, to start from.

    A block is a file beside its test, `Sharpen` in `sharpen.py` and `test_sharpen.py`. A plugin is a folder that `pip`
    installs: `my_lab` has a block, a graph, a recipe, the source that they cite and their tests. Both are written into
    the working directory, keep the laws as they are written, and overwrite nothing.
    """
    if kind == "block":
        module = _block_module(name)
        files = {f"{module}.py": BLOCK, f"test_{module}.py": BLOCK_TEST}
        steps = [f"pytest test_{module}.py", f"crossband show {name} --plugin {module}.py"]
    else:
        module, name = name, _plugin_block(name)
        files = {
            "pyproject.toml": PROJECT,
            f"{module}/__init__.py": PLUGIN,
            f"{module}/references.bib": BIBTEX,
            f"{module}/graphs/{module}_unet.yaml": GRAPH,
            f"{module}/recipes/{module}_demo.yaml": RECIPE,
            f"tests/test_{module}.py": PLUGIN_TEST,
        }
        files = {f"{module}/{path}": text for path, text in files.items()}
        steps = [f"pip install -e '{module}[test]' && pytest {module}", f"crossband check {module}_unet {module}_demo"]
    written = {path: Template(text).substitute(name=name, module=module) for path, text in files.items()}
    _write(written, Path(module) if kind == "plugin" else None)
    click.echo("\n".join(written))
    say("\n".join(["next:", *(f"  {step}" for step in steps)]))


def _block_module(name: str) -> str:
    """The module of a block of this name. Raises CrossbandError where it cannot have the name."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
        camel = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", name)).lstrip("0123456789")
        hint = f"write `{camel}`" if camel else "write it as `SharpEdges`"
        raise CrossbandError(f"a block has the name of a class, got `{name}`", hint=hint)
    if name in (known := listing.known("blocks")):
        message = f"there is a block `{name}`: {known[name].summary}"
        raise CrossbandError(message, hint=f"take another name; `crossband show {name}` shows that one")
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    if keyword.iskeyword(module) or _installed(module):
        message = f"the file of the block `{name}` would be `{module}.py`, and Python has another `{module}`"
        raise CrossbandError(message, hint=f"take another name, such as `{name}Block`")
    return module


def _plugin_block(name: str) -> str:
    """The block in a plugin of this name. Raises CrossbandError where it cannot have the name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        plain = "_".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789_")
        hint = f"write `{plain}`" if plain and plain != name else "write it as `my_lab`"
        raise CrossbandError(f"a plugin has the name of a package, got `{name}`", hint=hint)
    if _installed(name):
        raise CrossbandError(
            f"there is a package `{name}` already, which this one would hide", hint="take another name"
        )
    return "".join(word.capitalize() for word in name.split("_")) + "Scale"


def _installed(module: str) -> bool:
    """Whether Python would find a module of this name elsewhere than in the working directory."""
    found = importlib.util.find_spec(module)
    places = [found.origin, *(found.submodule_search_locations or ())] if found else []
    return found is not None and not any(place and Path(place).is_relative_to(Path.cwd()) for place in places)


def _write(files: Mapping[str, str], folder: Path | None) -> None:
    """Write files, or all of them in a new folder: all or none. Raises CrossbandError where one is there already."""
    if there := [path for path in ((str(folder),) if folder else files) if Path(path).exists()]:
        message = f"`{there[0]}` is there already: nothing was written"
        raise CrossbandError(message, hint="take another name, or another folder")
    place = folder or Path.cwd()
    with writing(place, left="; nothing was written"), tempfile.TemporaryDirectory(dir=".", prefix=".new-") as made:
        for path, text in files.items():
            target = Path(made, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        for path in [str(folder)] if folder else files:
            shutil.move(Path(made, path), path)
