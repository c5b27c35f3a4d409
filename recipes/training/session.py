"""One run of a recipe: it trains, and on the way writes figures, samples and checkpoints into its folder."""

import math
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from crossband.graphs.language.files import FileError
from crossband.recipes.basics.progress import Screen
from crossband.recipes.data.geometry import Geometry
from crossband.recipes.data.images import ImageError
from crossband.recipes.data.loader import make_loader
from crossband.recipes.data.opening import training_scenes
from crossband.recipes.kinds.source import DataError, Source
from crossband.recipes.language.experiment import Experiment, unfinished
from crossband.recipes.metrics.baselines import MeanTarget
from crossband.recipes.metrics.evaluation import Table
from crossband.recipes.metrics.results import Results
from crossband.recipes.model.evaluating import Scored, TestImages, columns_of, mean_target, measure, score, whole_scenes
from crossband.recipes.model.loading import load
from crossband.recipes.model.mean_images import MeanImages, training_images, write_mean_images
from crossband.recipes.model.memory import check_images, check_memory, on_images
from crossband.recipes.model.model import Model
from crossband.recipes.model.networks import direction_of
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.task import Task
from crossband.recipes.reporting.curves import curves, draw_curves, read_log
from crossband.recipes.reporting.pictures import sample_grid, save
from crossband.recipes.reporting.report import Report as Page
from crossband.recipes.reporting.report import write_report
from crossband.recipes.training.checkpoint import read_state, save_state
from crossband.recipes.training.engine import StepError
from crossband.recipes.training.folder import Log, write_environment, write_recipe, write_tables
from crossband.recipes.training.loop import StepRecord, steps_per_epoch, train_steps
from crossband.recipes.training.state import Training, set_up
from crossband.recipes.training.stopping import Interrupted, Stopping
from crossband.registry import CrossbandError

SAMPLES = 4  # test images shown while training


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its folder, how many steps it trained, what was measured at its end, and its `model`.

    In a process that is not the first of its run, there are no `results`, and no `tables` of the model and of the
    baselines by name.
    """

    folder: Path
    steps: int
    results: Results | None = None

    @property
    def tables(self) -> Mapping[str, Table]:
        """What was measured of the model and of each baseline, by name."""
        return self.results.tables if self.results else {}

    @property
    def report(self) -> Path:
        """The report in Markdown, beside which the same lies as a page."""
        return RunFolder(self.folder).report

    @cached_property
    def model(self) -> Model:
        """The trained model, as `crossband.load` gives it."""
        return load(self.folder)

    def __repr__(self) -> str:
        return f"<Run {self.folder}: {self.steps} steps, {self.results!r}>"


class Session:
    """One run of a recipe: trains, and on the way writes what the recipe's `every` asks for.

    Making one builds everything and writes nothing, so that what is wrong is found before there is a
    folder. `state` is the file with the state of a run to go on with.
    """

    def __init__(
        self, experiment: Experiment, source: Source, fabric: Fabric, state: Path | None, *, silent: bool
    ) -> None:
        recipe, before = experiment.recipe, read_state(state) if state else None
        self.experiment, self.source, self.fabric, self.silent = experiment, source, fabric, silent
        self._check_memory()
        self.loader = self._loader()
        self.per_epoch = steps_per_epoch(self.loader, recipe.batches)
        self.total = recipe.steps or (recipe.epochs or 0) * self.per_epoch
        length = recipe.epochs or recipe.steps or 0
        self.training = set_up(experiment, fabric, length, resumed=state is not None)
        self.training.images = source.bands
        if before and state:
            self.training.load_state_dict(before, state)
        self.model = Model(Task.of(experiment), self.training.networks, recipe=recipe)
        self._saved = self.training.step if state else None  # the step of the last state in the folder
        self._window: list[StepRecord] = []

    def run(self, folder: RunFolder) -> Run:
        """Train to the end, evaluate, write the report, all in `folder`."""
        self.folder = folder
        with Stopping() as self._stopping:
            try:
                return self._run() if self.fabric.is_global_zero else self._follow()
            except KeyboardInterrupt:
                if not self._stopping.number:
                    raise
                raise self._interrupted(f"stopped at once, {self._kept()}") from None
            except (StepError, FileError) as error:
                error.notes = (*error.notes, self._kept())
                raise

    def _run(self) -> Run:
        """What the first process does: it trains, and writes the folder."""
        training, recipe = self.training, self.experiment.recipe
        write_recipe(self.folder, self.experiment)
        facts = {"seed": recipe.seed, "device": str(self.fabric.device), "processes": self.fabric.world_size}
        facts |= {f"weights of {name}": text for name, text in training.measures.items()}
        self.environment = write_environment(self.folder, **facts)
        with Log(self.folder, training.step, finished=training.step == self.total) as self.log:
            try:
                self._train(training)
                self._stopping.at_once = True  # all is saved
                return self._finish(training)
            except (DataError, ImageError) as error:  # an image is gone or has changed: all steps so far are whole
                if training.step != self._saved:
                    self._checkpoint(training)
                error.notes = (*error.notes, f"{self._kept()}: `{self._goes_on()}` goes on from there")
                raise

    def _check_memory(self) -> None:
        """Raise TooLarge where a step takes more memory than there is, for its images or for what networks keep."""
        recipe, device = self.experiment.recipe, self.fabric.device
        geometry = Geometry(**recipe.data.geometry)
        loaded = geometry.loaded(*self.source.size(self.source.names("train")[0]))
        size = (max(1, recipe.data.batch // self.fabric.world_size), *(geometry.window or loaded))
        channels = sum(self.experiment.bands.get(band, 1) for band in recipe.reads)
        hint = "make `data.size`, `data.load` or `data.batch` smaller"
        for each in ((1, *loaded), size):
            check_images(each, channels, hint=hint)
        for phase in self.experiment.phases:
            found = on_images(phase.inputs(), recipe.reads, self.experiment.plans)
            plans = {name: plan for name, plan in found.items() if name in phase.phase.train}
            width = 4 if recipe.precision == "32" else 2
            check_memory(plans, size, device=device, hint=hint, width=width, training=True)

    def _loader(self) -> Any:
        data, world = self.experiment.recipe.data, self.fabric.world_size
        if data.batch % world:
            raise CrossbandError(
                f"`batch` {data.batch} cannot be shared by {world} processes", hint="make it a multiple"
            )
        scenes = training_scenes(self.experiment.recipe, self.source)
        return make_loader(
            scenes,
            batch=data.batch // world,
            shuffle=True,
            drop_last=len(scenes) >= data.batch,  # a batch of one image left over would upset batch normalisation
            workers=data.workers,
            rank=self.fabric.global_rank,
            world_size=world,
            pin_memory=self.fabric.device.type == "cuda",
        )

    def _follow(self) -> Run:
        """What a process other than the first does: it trains, and writes nothing."""
        for _ in train_steps(self.training, self.loader, self.total):
            if self._stopped():
                raise self._interrupted("stopped")
        return Run(self.folder.path, self.training.step)

    def _train(self, training: Training) -> None:
        title = f"train {self.experiment.recipe.name}"
        with Screen(title, self.total, training.step, silent=self.silent) as screen:
            screen.say(f"{title} in {self.folder}")
            for note in unfinished(self.experiment.recipe, self.per_epoch):
                screen.say(f"note: {note}")
            if training.step == 0:
                self._checkpoint(training)
            for report in train_steps(training, self.loader, self.total):
                self._window.append(report)
                screen.update(report.step, _words(report))
                self._act(training, report)
                if self._stopped():
                    self._checkpoint(training)
                    raise self._interrupted(f"stopped after step {report.step} of {self.total}, everything is saved")

    def _kept(self) -> str:
        """What there is to go on from."""
        if self._saved is None:
            return f"{self.folder} keeps no checkpoint yet"
        return f"{self.folder} keeps the checkpoint of step {self._saved}"

    def _goes_on(self) -> str:
        """The command that goes on with this run."""
        command, processes = f"train --resume {self.folder}", self.fabric.world_size
        if processes == 1:
            return f"crossband {command}"
        return f"torchrun --nproc-per-node {processes} $(which crossband) {command}"

    def _interrupted(self, message: str) -> Interrupted:
        """The error that ends a run which was asked to stop."""
        hint = f"delete {self.folder}" if self._saved is None else f"`{self._goes_on()}` goes on"
        return Interrupted(message, hint=hint, number=self._stopping.number or signal.SIGINT)

    def _act(self, training: Training, report: StepRecord) -> None:
        """Log, draw, save and evaluate, each where its turn has come."""
        every, often = self.experiment.recipe.every, max(self.per_epoch, self.total // 20)
        last = report.step == self.total
        if _due(report.step, every.log, max(1, min(50, self.total // 100))) or last or report.step == 1:
            self._write_log(report)
        if _due(report.step, every.sample, often) or (last and every.sample != 0):
            self._sample(training)
        if _due(report.step, every.evaluate, 0) and not last:
            with training.evaluated():
                results = self._measured(cost=(), silent=True)
            self.log.write(report.step, report.epoch, test=_means(results.table))
        if _due(report.step, every.checkpoint, often) or last:
            self._checkpoint(training)

    def _write_log(self, report: StepRecord) -> None:
        """One line for the steps since the last one."""
        losses: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for each in self._window:
            for phase, terms in each.losses.items():
                for name, value in terms.items():
                    losses[phase][name].append(value)
        data, compute = sum(r.data_seconds for r in self._window), sum(r.compute_seconds for r in self._window)
        self.log.write(
            report.step,
            report.epoch,
            losses={phase: {k: sum(v) / len(v) for k, v in terms.items()} for phase, terms in losses.items()},
            **({"weights": report.weights} if report.weights else {}),
            lr=report.rates,
            data_seconds=round(data, 4),
            compute_seconds=round(compute, 4),
            images_per_second=round(sum(r.images for r in self._window) / max(data + compute, 1e-9), 3),
        )
        self._window.clear()

    def _sample(self, training: Training) -> None:
        with training.evaluated():
            scenes = whole_scenes(self.model.task, self.source)
            shown = list(score(self.model, scenes, range(min(SAMPLES, len(scenes)))))
        path = self.folder.sample(training.step)
        save(_grid(shown), path)
        self.log.picture("samples", path, training.step)

    def _checkpoint(self, training: Training) -> None:
        training.save_weights(self.folder)
        save_state(self.folder.state, training.state_dict())
        self._saved = training.step

    def _measured(self, *, cost: Sequence[str] | None = None, silent: bool) -> Results:
        """What the model makes of its test images."""
        task = self.model.task
        images = TestImages(self.source, task.evaluate.split, limit=task.evaluate.images)
        return measure(self.model, images, self._mean, cost=cost, silent=silent)

    @cached_property
    def _mean(self) -> MeanTarget:
        return mean_target(self.model.task, self.source)

    def _mean_images(self) -> MeanImages:
        """The mean training image of each band that a network of the run gives, to measure other images against."""
        recipe, means = self.experiment.recipe, {self.model.task.target: self._mean}
        given = [found["to"] for name in recipe.networks if (found := direction_of(recipe, name))]
        means |= {band: mean_target(self.model.task, self.source, band) for band in given if band not in means}
        return MeanImages({band: each.mean[0].cpu() for band, each in means.items()}, training_images(self.source))

    def _finish(self, training: Training) -> Run:
        recipe = self.experiment.recipe
        with training.evaluated():
            results = self._measured(silent=self.silent)
            self.log.write(training.step, (training.step - 1) // self.per_epoch, test=_means(results.table))
            pictures = self._pictures(results.table)
        write_tables(self.folder, results.tables)
        write_mean_images(self.folder.mean, self._mean_images())
        page = Page(
            title=recipe.name,
            summary=f"{training.step} steps of {recipe.data.batch * recipe.batches} images, from "
            f"{' and '.join(recipe.sources)} to {recipe.target}.",
            results=results.parts(),
            pictures=pictures,
            recipe=self.folder.recipe.read_text(encoding="utf-8"),
            environment=self.environment,
        )
        write_report(page, self.folder.path)
        return Run(self.folder.path, training.step, results)

    def _pictures(self, table: Table) -> dict[str, Path]:
        """The curves, and the best, the median and the worst test image."""
        found: dict[str, Path] = {}
        every = curves(read_log(self.folder.log))
        drawn = {name: points for name, points in every.items() if len(points) > 1}  # one point is no curve
        if drawn:
            found["Curves"] = draw_curves(drawn, self.folder.curves, title=self.experiment.recipe.name)
        by = next((name for name in ("ssim", "psnr", "mae", "mse") if name in table.summary), None)
        if by is None:
            return found
        chosen = table.select(by)
        scenes = whole_scenes(self.model.task, self.source)
        shown = score(self.model, scenes, [scenes.names.index(name) for name in chosen.values()])
        named = [each._replace(name=f"{rank}: {each.name}") for rank, each in zip(chosen, shown, strict=True)]
        path = save(_grid(named), self.folder.pictures)
        return {f"Test images: the best, the median and the worst by {by.upper()}": path, **found}

    def _stopped(self) -> bool:
        """Whether a signal asked any of the processes to stop."""
        if self.fabric.world_size == 1:
            return bool(self._stopping.number)
        flag = torch.tensor(float(self._stopping.number > 0), device=self.fabric.device)
        return bool(torch.as_tensor(self.fabric.all_reduce(flag, reduce_op="sum")) > 0)


def _due(step: int, every: int | None, usual: int) -> bool:
    """Whether something that is done every so many steps is due; 0 is never."""
    wanted = usual if every is None else every
    return wanted > 0 and step % wanted == 0


def _words(report: StepRecord) -> str:
    """What the progress bar says of a step: each loss, and how the time is divided."""
    losses = [f"{name} {value:.4g}" for terms in report.losses.values() for name, value in terms.items()]
    times = f"data {report.data_seconds * 1000:.0f} ms, compute {report.compute_seconds * 1000:.0f} ms"
    return f"{', '.join(losses)}; {times}"


def _means(table: Table) -> dict[str, float]:
    """The finite means: JSON has no infinity."""
    return {name: summary.mean for name, summary in table.summary.items() if math.isfinite(summary.mean)}


def _grid(shown: Sequence[Scored]) -> Any:
    """A picture with a row for each image: input, output, target."""
    columns = columns_of(shown, {"output": [each.output[0].clamp(0, 1) for each in shown]})
    return sample_grid(columns, [each.name for each in shown])
