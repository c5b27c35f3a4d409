"""The folder of a run: made once, never overwritten, and complete enough to go on from or to evaluate anywhere."""

import importlib.metadata
import itertools
import json
import os
import platform
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

import crossband
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.files import read_utf8
from crossband.graphs.language.reader import read, read_text
from crossband.graphs.language.serial import dump as dump_graph
from crossband.graphs.language.writer import dump
from crossband.recipes.basics.files import check_unlocked, is_empty, locked, write_text, writing
from crossband.recipes.basics.processes import is_first
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.papers import beside
from crossband.recipes.language.schema import PATCH
from crossband.recipes.language.syntax import Recipe
from crossband.recipes.metrics.evaluation import Table
from crossband.recipes.model.plugins import plugins_with
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.reporting.curves import read_log
from crossband.recipes.reporting.sheet import write_sheet
from crossband.registry import CrossbandError, show

ROOT = Path("runs")
INDIFFERENT = ("paper", "doc", "cite", "device", "every", "evaluate", "data.workers", "data.cache")
PACKAGES = ("torch", "torchvision", "lightning-fabric", "torchmetrics", "numpy", "safetensors")


@contextmanager
def new_folder(recipe: str, wanted: Path | None = None) -> Iterator[RunFolder]:
    """Make the folder of a new run, `wanted` or the next free `runs/<recipe>-001`, and hold it.

    Raises CrossbandError where `wanted` is there and not empty, FileError where it cannot be made, or is held.
    """
    if wanted is None:
        wanted = _next_folder(recipe)
    else:
        refuse_taken(wanted)
    with locked(wanted):
        if not _is_free(wanted):  # another run began and ended here just now
            raise _taken(wanted)
        yield RunFolder(wanted)


def _next_folder(recipe: str) -> Path:
    for number in itertools.count(1):
        folder = ROOT / f"{recipe}-{number:03d}"
        with writing(folder), suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError


@contextmanager
def held(run: RunFolder) -> Iterator[None]:
    """Hold the folder of a run that goes on; of the processes that torchrun starts, the first does it for all.

    Raises FileError, saying which process holds it.
    """
    with locked(run.path) if is_first() else nullcontext():
        yield


def refuse_taken(wanted: Path) -> None:
    """Raise CrossbandError where a folder for a new run is there and not empty; FileError where it is being written."""
    if not _is_free(wanted):
        check_unlocked(wanted)
        raise _taken(wanted)


def _is_free(wanted: Path) -> bool:
    """Whether a new run can have a folder for itself."""
    return not wanted.exists() or (wanted.is_dir() and is_empty(wanted))


def _taken(wanted: Path) -> CrossbandError:
    if RunFolder(wanted).recipe.is_file():
        hint = f"name another folder, or go on with `crossband train --resume {wanted}`"
        if not RunFolder(wanted).state.is_file():
            hint = "name another folder: this run stopped before its first state, or that was removed"
        return CrossbandError(f"{wanted}: is there already, and a run is never overwritten", hint=hint)
    what = "a folder with other files in it" if wanted.is_dir() else "a file"
    return CrossbandError(f"{wanted}: is {what}, and a run has a folder of its own", hint="name another folder")


def write_recipe(run: RunFolder, experiment: Experiment) -> None:
    """Write the recipe as it is run, beside the resolved graphs that it then names: it needs no other file."""
    for name, plan in experiment.plans.items():
        write_text(run.graph(name), dump_graph(plan.graph))
    write_text(run.recipe, dump(as_run(run, experiment), expand=("networks", "flow", "losses", "phases")))


def as_run(run: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """What the recipe of a run says: all of it worked out, and its networks those of the graphs in the folder."""
    networks = {}
    for name in experiment.plans:
        written = experiment.recipe.resolved["networks"][name]
        own = {key: value for key, value in written.items() if key not in ("params", *PATCH)}  # worked into the graph
        networks[name] = own | {"graph": run.graph(name).relative_to(run.path).as_posix()}
    data = {key: value for key, value in experiment.recipe.resolved.items() if key != "params"}
    data |= {"paper": _papers(experiment.recipe)} if experiment.recipe.paper else {}
    return data | {"networks": networks}


def other_recipe(run: RunFolder, experiment: Experiment) -> list[str]:
    """In what the recipe of a run differs from one that is to be trained, in words; empty if it is the same.

    What changes no weight does not count: figures of papers, how often a run reports, what is measured of it, where it
    runs. Raises FileError, or InvalidFile, where the run cannot be read.
    """
    problems = Problems()
    before = problems.value(read(run.recipe, problems)).data
    now = problems.value(read_text(dump(as_run(run, experiment)), problems)).data  # as plain as what is read
    found = [
        f"`{path}` is {show(was)} there, and not {show(wanted)}"
        for path, was, wanted in _changes(before, now, ())
        if not any(f"{path}.".startswith(f"{each}.") for each in INDIFFERENT)
    ]
    for name, plan in experiment.plans.items():
        if not found and read_utf8(run.graph(name)) != dump_graph(plan.graph):
            found.append(f"the graph of `{name}` is another one")
    return found


def _changes(before: Any, now: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    """The innermost values that differ, each with its dotted path, as it was and as it is now."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from _changes(before.get(key), now.get(key), (*path, key))
    elif before != now:
        yield ".".join(path), before, now


def _papers(recipe: Recipe) -> list[dict[str, Any]]:
    """The figures of papers as a recipe has them, with what differs in this run: its file alone does not tell."""
    written = recipe.resolved["paper"]
    rows = [written] if isinstance(written, Mapping) else written
    found = zip(rows, beside(recipe), strict=True)
    return [{**row, **({"differs": paper.differs} if paper.differs else {})} for row, paper in found]


def write_environment(run: RunFolder, **more: Any) -> dict[str, str]:
    """Write where and with what a run was made, and return it as text for a report."""
    found = {
        "crossband": crossband.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        **more,
    }
    if plugins := plugins_with(run):  # also those of before it went on
        found["plugins"] = plugins
    write_text(run.environment, json.dumps(found, indent=2) + "\n")
    return {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in found.items()}


def write_tables(run: RunFolder, tables: Mapping[str, Table]) -> None:
    """Write what was measured, as programs read it: the tables of the result and of the baselines, and every image."""
    found = {name: table.as_dict() for name, table in tables.items()}
    write_text(run.evaluation, json.dumps(found, indent=1) + "\n")
    write_sheet(run.sheet, tables)


class Log(AbstractContextManager["Log"]):
    """The figures of a run, while it lasts: JSON lines, and the same for TensorBoard.

    A resumed run drops the lines after its `step`, which are of a stretch that is trained again, and if it was
    `finished` the figures of its last test, which are measured again.
    """

    def __init__(self, run: RunFolder, step: int = 0, *, finished: bool = False) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self._path = run.log
        if self._path.exists():
            last = step - 1 if finished else step  # the last one with figures of tests
            kept = [each for each in read_log(self._path) if each["step"] <= (last if "test" in each else step)]
            write_text(self._path, "".join(f"{json.dumps(each)}\n" for each in kept))
        self._folder = run.board
        self._hook, threading.excepthook = threading.excepthook, self._heard
        try:
            with writing(self._folder):
                self._board = SummaryWriter(str(run.board), purge_step=step + 1 if step else None)
        except BaseException:
            threading.excepthook = self._hook
            raise

    def _heard(self, told: threading.ExceptHookArgs) -> None:
        """Say nothing of an error in the thread of the board: it is raised again where the next figure is written."""
        if not type(told.thread).__module__.startswith("tensorboard."):
            self._hook(told)

    def write(self, step: int, epoch: int, **figures: Any) -> None:
        """Add one line. Numbers inside mappings are curves: see `crossband.recipes.reporting.curves`."""
        with writing(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, "epoch": epoch, **figures}) + "\n")
        with writing(self._folder):
            for path, number in _leaves("", figures):
                self._board.add_scalar(path, number, step)
            self._board.flush()

    def picture(self, name: str, path: Path, step: int) -> None:
        """Show a PNG file on the board."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image, writing(self._folder):
            self._board.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the board; where another error ends the run, that is the one to be told.

        A KeyboardInterrupt may have cut off what was just handed to the board's thread: it may never end, and is not
        waited for. Its figures are on the disk by then.
        """
        try:
            if kind is None or not issubclass(kind, KeyboardInterrupt):
                with writing(self._folder) if kind is None else suppress(Exception):
                    self._board.close()
        finally:
            threading.excepthook = self._hook


def _leaves(path: str, values: Mapping[str, Any]) -> list[tuple[str, float]]:
    found = []
    for name, value in values.items():
        here = f"{path}/{name}" if path else name
        if isinstance(value, Mapping):
            found += _leaves(here, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((here, float(value)))
    return found
