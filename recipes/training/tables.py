"""`table`: all rows of a table, trained or found, measured on one split and put side by side."""

import json
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crossband.recipes.basics.edge import explained
from crossband.recipes.basics.errors import first_line
from crossband.recipes.basics.progress import Screen
from crossband.recipes.data.images import at_most
from crossband.recipes.kinds.source import Source
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.papers import of_row
from crossband.recipes.language.reading import load_recipe
from crossband.recipes.language.settings import setting_texts
from crossband.recipes.language.syntax import Paper
from crossband.recipes.language.tables import Comparison, Row, check_rows, load_table
from crossband.recipes.metrics.results import Results
from crossband.recipes.model.loading import load
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.reporting.comparison import Measured, TableRun
from crossband.recipes.reporting.curves import read_log
from crossband.recipes.training.folder import ROOT, new_folder, other_recipe, refuse_taken
from crossband.recipes.training.runs import begin, given_images, prepare, train
from crossband.recipes.training.stopping import Interrupted
from crossband.registry import CrossbandError, metrics

WORDS = ("corr_target", "corr_input", "corr_input_real")  # measured beside the columns: verdicts are made of them
FEW = 3  # differences of a recipe that a refusal names


@dataclass(frozen=True)
class Job:
    """One run of a table: a row with one of its seeds, the recipe to train and its images, or why there are none."""

    row: Row
    seed: int
    folder: RunFolder
    ready: tuple[Experiment, Source] | None = None
    paper: Paper | None = None
    failed: str = ""

    @property
    def begun(self) -> bool:
        """Whether there is a run in its folder."""
        return self.folder.recipe.is_file()

    @property
    def finished(self) -> bool:
        """Whether that run came to its end: its last line is the test after the last step."""
        if not (self.ready and self.folder.evaluation.is_file() and self.folder.log.is_file()):
            return False
        recipe, last = self.ready[0].recipe, read_log(self.folder.log)[-1]
        ended = last["step"] == recipe.steps if recipe.steps else last.get("epoch") == (recipe.epochs or 0) - 1
        return "test" in last and ended


def table(
    name: str | os.PathLike[str],
    data: Any = None,
    *,
    settings: Mapping[str, Any] | Sequence[str] = (),
    seeds: int | Sequence[int] | None = None,
    runs: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    silent: bool = False,
) -> TableRun:
    """Train, or find, the runs of all rows of a table, by shipped name or path, and measure all of them on one split.

    `data` are the images of every row, as in `crossband.train`; `settings` change every row: `{"steps": 100}`, and
    `{"variant": "tiny"}` chooses a variant of the table. `seeds` stand in for those of the table. `runs` is the
    folder with a run for each row and seed, by default `runs/<table>`: a finished run of exactly this recipe is found
    there and not trained again, one that was interrupted goes on, on the CPU bit for bit.

    A row that fails, whatever the reason, is told and does not stop the others: `result.failed`. The result prints as
    the command does; `result.latex()`, `result.as_dict()` and `result.write_csv(file)` give it otherwise.

    Raises InvalidFile with every fault of the table and of its recipes, CrossbandError where runs of other recipes lie
    in the place of those of the table (they are never overwritten), and Interrupted after Ctrl-C, when everything is
    saved: the same call goes on.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise CrossbandError("a table is trained by one process", hint="leave out `torchrun`: rows come one by one")
    found = load_table(os.fspath(name), setting_texts(settings))
    if seeds is not None:
        found = replace(found, seeds=_seeds([seeds] if isinstance(seeds, int) else seeds))
    check_rows(found)
    folder = Path(runs) if runs is not None else ROOT / found.name
    with at_most(max_pixels):
        jobs = [_job(found, row, seed, folder, data) for row in found.rows for seed in found.seeds]
        _refuse_others(jobs)
        measured = {row.name: Measured(row, paper=_paper(jobs, row)) for row in found.rows}
        for number, job in enumerate(jobs, 1):
            said = f"{number} of {len(jobs)}: {job.row.name}" + f", seed {job.seed}" * (len(found.seeds) > 1)
            measured[job.row.name] = _with(measured[job.row.name], job, found, data, said, silent=silent)
    return TableRun(found, tuple(measured.values()), folder)


def _seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds) or len({*seeds}) < len(seeds):
        raise CrossbandError(f"seeds are whole numbers, at least 0, each once, got {list(seeds)}", hint="such as 0,1,2")
    return tuple(seeds)


# ---------------------------------------------------------------------- one run


def _job(found: Comparison, row: Row, seed: int, folder: Path, data: Any) -> Job:
    """A run of a table with all that can be known before it begins."""
    job = Job(row, seed, RunFolder(folder / f"{row.folder}-seed{seed}"))
    measured = dict.fromkeys((*found.metrics, *(name for name in WORDS if name in metrics)))
    settings = [*row.settings, f"seed={seed}", f"evaluate.metrics={json.dumps(list(measured))}"]
    try:
        if found.paper:
            run = load_recipe(row.recipe, [*settings, *given_images(row.recipe, settings, data)[1]])
            paper = of_row(found.paper, row, load_recipe(row.recipe, row.written), run)
            job = replace(job, paper=paper)
            settings.append(f"paper={_as_setting(paper)}")  # so that the run tells of it, too
        return replace(job, ready=prepare(row.recipe, settings, data, resumed=job.begun))
    except Exception as error:
        return replace(job, failed=_told(error))


def _as_setting(paper: Paper | None) -> str:
    """The figures of a paper as a recipe has them, those of networks left out; `null` if there are none."""
    values = {name: asdict(figure) for name, figure in paper.values.items() if name in metrics} if paper else {}
    if not paper or not values:
        return "null"
    row = {key: value for key, value in asdict(paper).items() if value}
    kept = {name: {key: value for key, value in each.items() if value != ""} for name, each in values.items()}
    return json.dumps([{**row, "values": kept}])


def _refuse_others(jobs: Sequence[Job]) -> None:
    """Raise CrossbandError where runs of other recipes, or other files, are in the places of those of a table."""
    faults = [CrossbandError(text) for job in jobs if (text := _occupied(job))]
    if faults:
        hint = "`--runs FOLDER` (from Python, `runs=`) names another folder for the table; or move away what is there"
        raise CrossbandError.gathered("a run is never overwritten, and these are none of the table:", faults, hint=hint)


def _occupied(job: Job) -> str | None:
    if not job.begun:
        try:
            refuse_taken(job.folder.path)
        except CrossbandError as error:
            return error.message
        return None
    if job.ready and (differences := other_recipe(job.folder, job.ready[0])):
        more = f", and {len(differences) - FEW} more" if len(differences) > FEW else ""
        return f"{job.folder}: of another recipe than {job.row.name}: {'; '.join(differences[:FEW])}{more}"
    return None


def _paper(jobs: Sequence[Job], row: Row) -> Paper | None:
    return next((job.paper for job in jobs if job.row == row), None)


def _with(before: Measured, job: Job, found: Comparison, data: Any, said: str, *, silent: bool) -> Measured:
    """A row with one more of its runs: trained or found, and measured; or with why it failed."""
    with Screen(said, 1, silent=silent) as screen:
        if job.failed or not job.ready:
            screen.say(f"{said}: failed: {job.failed}")
            return replace(before, failed={**before.failed, job.seed: job.failed})
        screen.say(f"{said}: {'found' if job.finished else 'goes on' if job.begun else 'is trained'} in {job.folder}")
    try:
        results = _results(job, found, data, silent=silent)
    except Interrupted as stopped:
        hint = "the same command goes on with the table: what is finished is not trained again"
        raise Interrupted(stopped.message, hint=hint, number=stopped.exit_code - 128) from None
    except Exception as error:
        failed = _told(error)
        with Screen(said, 1, silent=silent) as screen:
            screen.say(f"{said}: failed: {failed}")
        return replace(before, failed={**before.failed, job.seed: failed})
    runs, known = {**before.runs, job.seed: job.folder.path}, {**before.results, job.seed: results}
    return replace(before, runs=runs, results=known)


def _results(job: Job, found: Comparison, data: Any, *, silent: bool) -> Results:
    """The results of a run, which is trained or goes on first where it is not finished. Raises what training raises."""
    assert job.ready is not None
    experiment, source = job.ready
    if job.begun and not job.finished:
        given = None if isinstance(data, str | os.PathLike) else data
        train(resume=job.folder.path, data=given, silent=silent)
    elif not job.begun:
        session = begin(experiment, source, silent=silent)
        with new_folder(experiment.recipe.name, job.folder.path) as made:
            session.run(made)
        del session  # and the memory of its device
    asked = experiment.recipe.resolved["evaluate"]  # as the table says it now
    model = load(job.folder.path, settings=[f"evaluate={json.dumps(asked)}"])
    costs = [column for column in found.columns if column in FIGURES]
    return model.evaluate(source, metrics=asked["metrics"], cost=costs or None, silent=silent)


def _told(error: Exception) -> str:
    """The first line of an error; one that nobody foresaw is printed whole, too, and called a fault of ours."""
    known = explained(error)
    if known is None:
        traceback.print_exception(error)
        return f"a fault of crossband, please report it: {type(error).__name__}: {first_line(error)}"
    return next(_lines(known), type(error).__name__)


def _lines(error: CrossbandError) -> Iterator[str]:
    """What an error says on its first line; of one that gathers several, also what the first of them is."""
    problems = getattr(error, "problems", None)  # of an InvalidFile
    if problems:
        for each in problems:
            yield f"{each.place}: {each.message}" if each.place else each.message
    first, *others = error.message.splitlines() or [""]
    yield f"{first} {others[0].strip()}" if first.endswith(":") and others else first
