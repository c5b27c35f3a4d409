"""The plugins that a run was made with. They are named, for the user to give again, and never run by themselves."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crossband import registry
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.graphs.language.files import read_bytes
from crossband.recipes.basics.formats import ENVIRONMENT
from crossband.recipes.basics.readback import checked, parsed
from crossband.recipes.language.checker import check
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.weights import CheckpointError


@contextmanager
def named_if_missing(what: str, plugins: Sequence[str]) -> Iterator[None]:
    """Turn the faults of a recipe or graph into one error that names the plugins which `what` was made with.

    Raises CheckpointError where some of them are not loaded, else the faults as they are.
    """
    try:
        yield
    except InvalidFile:
        if not (missing := _missing(plugins)):
            raise
        files = [_near(name) for name in missing if name.endswith(".py")]
        packages = [name for name in missing if not name.endswith(".py")]
        words = [f"`{' '.join(f'--plugin {file}' for file in files)}`"] if files else []
        words += [f"the package `{name}`" for name in packages]
        gone = [file for file in files if not Path(file).is_file()]
        if gone:
            hint = f"there is no `{gone[0]}` here any more: say `--plugin` and where it is now"
        elif files:
            hint = "say it again, which runs that file; in Python, `crossband.registry.load_plugin(file)`"
        else:
            hint = f"install `{packages[0]}`"
        raise CheckpointError(f"{what} made with {' and '.join(words)}", hint=hint) from None


def plugins_of(run: RunFolder) -> list[str]:
    """The plugins that a run was made with: files, and packages with their versions; none where nothing says so."""
    if not os.path.lexists(run.environment):
        return []
    found = parsed(read_bytes(run.environment), run.environment, ENVIRONMENT.hint)
    return checked(found, ENVIRONMENT, run.environment).get("plugins", [])


def plugins_with(run: RunFolder) -> list[str]:
    """The plugins that are loaded, and those that the run was made with before and that it goes on without."""
    return [*registry.plugins(), *_missing(plugins_of(run))]


def check_run(run: RunFolder, overrides: Sequence[str] = ()) -> Experiment:
    """Check the recipe of a run. Raises InvalidFile, or CheckpointError where a plugin of the run is missing."""
    with named_if_missing(f"{run}: this run was", plugins_of(run)):
        return check(run.recipe, overrides)


def check_file(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Check a recipe file, which may be that of a run. Raises as `check_run`."""
    return check_run(RunFolder(Path(path).parent), overrides) if is_of_run(path) else check(path, overrides)


def is_of_run(path: str | Path) -> bool:
    """Whether a recipe file is that of a run."""
    run = RunFolder(Path(path).parent)
    return Path(path) == run.recipe and run.environment.is_file()


def _missing(plugins: Sequence[str]) -> list[str]:
    """Those of the plugins that are not loaded; a file counts wherever it is now, a package in any version."""
    loaded = {_name(plugin) for plugin in registry.plugins()}
    return [plugin for plugin in plugins if _name(plugin) not in loaded]


def _name(plugin: str) -> str:
    return Path(plugin).name if plugin.endswith(".py") else plugin.partition(" ")[0]


def _near(file: str) -> str:
    """A file as one would write it here: relative to the working directory where it lies below that."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
