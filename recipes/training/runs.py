"""`train`: a recipe and its data become the folder of a run."""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import near_file
from crossband.recipes.basics.readback import CheckpointError
from crossband.recipes.data.images import at_most
from crossband.recipes.data.memory import Memory
from crossband.recipes.data.opening import in_folder, of_run, open_source
from crossband.recipes.data.scale import scale_faults
from crossband.recipes.kinds.source import DataError, Source
from crossband.recipes.language.checker import check, check_recipe
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.files import check_files
from crossband.recipes.language.layers import Setting
from crossband.recipes.language.reading import load_recipe
from crossband.recipes.language.settings import setting_texts
from crossband.recipes.language.syntax import Data, Recipe
from crossband.recipes.model.devices import choose_device
from crossband.recipes.model.evaluating import whole_scenes
from crossband.recipes.model.plugins import named_if_missing, plugins_of
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.task import Task
from crossband.recipes.reporting.curves import read_log
from crossband.recipes.training.folder import held, new_folder, refuse_taken
from crossband.recipes.training.session import Run, Session
from crossband.registry import CrossbandError


def train(
    recipe: str | os.PathLike[str] | None = None,
    data: Any = None,
    *,
    settings: Mapping[str, Any] | Sequence[str] = (),
    run: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    silent: bool = False,
) -> Run:
    """Train a recipe, by shipped name or path, and measure the result on its test images.

    `data` is the folder of the images; or a torch dataset of one's own or a list, whose items are pairs of images
    (from the source band and from the target band) or mappings of images by band: arrays, pictures of Pillow,
    tensors `c h w` in [0, 1]. The last tenth is for testing, unless data is a mapping `{"train": ..., "test": ...}`.

    `settings` change the recipe: `{"data.batch": 4}`, or texts `key=value`. `run` is the folder to make, by default
    the next free `runs/<recipe>-001`. `resume` is the folder of a run to go on with instead, with the recipe that is
    in it; a finished run is measured again. On the CPU the weights are then, bit for bit, those of a run that was
    never interrupted. Images that were given from Python are given again. `max_pixels` is how many an image file may
    have, by default 2**26, 8192x8192: a larger one is refused before it is decoded.

    Raises InvalidFile with every fault of the recipe, DataError with every fault of the data, NotFinite if a loss is
    not a number, and Interrupted after Ctrl-C, when everything is saved.
    """
    if (recipe is None) == (resume is None):
        raise CrossbandError("give one of a recipe to train and a run to resume")
    with at_most(max_pixels):
        return _train(recipe, data, settings, run, resume, silent=silent)


def _train(
    recipe: str | os.PathLike[str] | None,
    data: Any,
    settings: Mapping[str, Any] | Sequence[str],
    run: str | os.PathLike[str] | None,
    resume: str | os.PathLike[str] | None,
    *,
    silent: bool,
) -> Run:
    """The same, of images as large as they may be here."""
    old = None if resume is None else RunFolder(Path(resume))
    texts = setting_texts(settings)
    if run:
        refuse_taken(Path(run))
    if old:
        old.check()
        with held(old):
            _check_begun(old)
            return _go_on(old, texts, data, silent=silent)
    experiment, source = prepare(str(recipe), texts, data)
    session = begin(experiment, source, silent=silent)
    with ExitStack() as stack:
        made = None
        if session.fabric.is_global_zero:
            made = stack.enter_context(new_folder(experiment.recipe.name, Path(run) if run else None))
        return session.run(RunFolder(Path(str(session.fabric.broadcast(made and str(made))))))


def _go_on(run: RunFolder, texts: Sequence[str], data: Any, *, silent: bool) -> Run:
    """Train a run further in its folder, which is held."""
    with named_if_missing(f"{run}: this run was", plugins_of(run)):
        before = load_recipe(run.recipe).data
        with of_run(run, before):
            experiment, source = prepare(run.recipe, texts, data, resumed=True)
    _check_same(before, experiment.recipe.data)
    return begin(experiment, source, run.state, silent=silent).run(run)


def _check_begun(run: RunFolder) -> None:
    """Raise CheckpointError where a run has no state to go on from, and Damaged where its log is."""
    if not os.path.lexists(run.state):
        message = f"{run}: has no `{run.state.name}`: it stopped before its first one, or this was removed"
        raise CheckpointError(message, hint=f"begin it anew: `crossband train {run.recipe} --run FOLDER`")
    if os.path.lexists(run.log):
        read_log(run.log)


def begin(experiment: Experiment, source: Source, state: Path | None = None, *, silent: bool = False) -> Session:
    """All of a run up to its first step, with nothing written: `crossband check` does it too.

    `state` is the file with the state of a run to go on with.
    """
    fabric = make_fabric(experiment)
    return Session(experiment, source, fabric, state, silent=silent or not fabric.is_global_zero)


def prepare(
    name: str | Path, overrides: Sequence[str | Setting] = (), data: Any = None, *, resumed: bool = False
) -> tuple[Experiment, Source]:
    """A checked recipe with its data opened, each held to the other. Raises InvalidFile and DataError.

    A resumed run no longer needs the weights that it began from.
    """
    source, more = given_images(name, overrides, data)
    overrides = [*overrides, *more]
    experiment, problems = check(name, overrides), Problems()
    if not resumed:
        check_files(experiment.recipe, problems)
        problems.raise_if_any()
    source = source or (_opened(experiment.recipe) if data is None else open_source(experiment.recipe.data))
    channels = {band: found.channels for band, found in source.bands.items()}
    size = source.size(source.names("train")[0])
    checked = problems.value(check_recipe(experiment.recipe, problems, channels, size))
    for fault in scale_faults(source, checked.recipe.data):
        problems.add("E080", fault.message, checked.recipe.at("data", "source"), fault.hint)
    problems.raise_if_any()
    whole_scenes(Task.of(checked), source)  # refuses a split that is not there, before any training
    return checked, source


def given_images(
    name: str | Path, overrides: Sequence[str | Setting], data: Any
) -> tuple[Source | None, Sequence[str]]:
    """Images in place of those of a recipe, opened where they come from Python, and the settings that name them.

    Raises InvalidFile and DataError.
    """
    if data is None:
        return None, ()
    written = load_recipe(name, overrides)
    if isinstance(data, str | os.PathLike):
        if not Path(data).exists():
            raise DataError(f"{data}: no such folder", hint=near_file(Path(data)) or RELATIVE)
        return None, folder_settings(written.data, data)
    source = data if isinstance(data, Source) else Memory(data, (*written.sources, written.target))
    return source, [f"data.source={json.dumps(_described(source))}"]


def _opened(recipe: Recipe) -> Source:
    """The images that a recipe names. Raises DataError, with the place where they are named."""
    try:
        return open_source(recipe.data)
    except DataError as error:
        error.notes = (*error.notes, f"the images are named here: {recipe.at('data', 'source')}")
        raise


def folder_settings(given: Data, folder: str | os.PathLike[str]) -> list[str]:
    """The settings that make a recipe read the images in a folder: see `in_folder`. JSON is YAML, too."""
    [(name, arguments)] = in_folder(given, folder).items()
    if name != given.source:
        return [f"data.source={json.dumps({name: arguments})}"]
    own = f"data.source.{name}"
    instead = [f"{own}.{key}=null" for key in given.arguments if key not in arguments]
    return [f"{own}.folder={json.dumps(arguments['folder'])}", *instead]


def _described(source: Source) -> dict[str, Any]:
    """What a recipe can say of images that are given from Python."""
    scenes = {split: len(names) for split, names in source.splits.items()}
    channels = {name: band.channels for name, band in source.bands.items()}
    return {"memory": {"scenes": scenes, "bands": list(channels), "channels": channels}}


def _check_same(before: Data, now: Data) -> None:
    """Raise DataError where a run on images given from Python is to go on with other ones."""
    said = ("scenes", "channels")
    if before.source == now.source == "memory" and any(before.arguments[key] != now.arguments[key] for key in said):
        counts = (
            ", ".join(f"{count} for {split}" for split, count in data.arguments["scenes"].items())
            for data in (before, now)
        )
        message = "the run was trained on {} images, these are {}".format(*counts)
        raise DataError(message, hint="a run goes on with the images that it began with")


def make_fabric(experiment: Experiment) -> Fabric:
    """Device, precision and processes: one device, or as many processes as `torchrun` started."""
    recipe = experiment.recipe
    local, world = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ.get("WORLD_SIZE", "1"))
    precision: Any = "32-true" if recipe.precision == "32" else recipe.precision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice for scripts that use Fabric themselves
        fabric = Fabric(
            accelerator=choose_device(recipe.device).type,
            devices=local,
            num_nodes=max(1, world // local),
            strategy="ddp" if world > 1 else "auto",
            precision=precision,
        )
        fabric.launch()
    return fabric
