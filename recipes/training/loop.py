"""The one training loop. It trains and yields records; its caller writes files and pictures and shows progress."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from crossband.recipes.data.loader import epoch_of
from crossband.recipes.model.flow_tensors import Batch, FlowTensors
from crossband.recipes.training.engine import NotFinite, objective, refusals
from crossband.recipes.training.state import Training
from crossband.recipes.training.watch import HINT

Losses = dict[str, dict[str, float]]  # by phase and term, without weights; and weights alike


@dataclass(frozen=True)
class StepRecord:
    """The record of one step: `step` counts from 1, `epoch` from 0; seconds spent on waiting for data and computing.

    `weights` are those of the losses whose weights change.
    """

    step: int
    epoch: int
    losses: Losses
    weights: Losses
    rates: dict[str, float]
    images: int
    data_seconds: float
    compute_seconds: float


def steps_per_epoch(loader: DataLoader[Any], batches: int) -> int:
    """Steps in one pass over the data, with so many `batches` in a step; the last step may have fewer."""
    loader.batch_sampler.seek(0)  # type: ignore[union-attr]
    return math.ceil(len(loader) / batches)


def train_steps(training: Training, loader: DataLoader[Any], total: int) -> Iterator[StepRecord]:
    """Train from `training.step` to the step `total` and yield a record of each step."""
    in_step = training.experiment.recipe.batches
    per_epoch = training.per_epoch = steps_per_epoch(loader, in_step)
    while training.step < total:
        epoch, done = divmod(training.step, per_epoch)
        batches = epoch_of(loader, epoch, done * in_step)
        started = time.perf_counter()
        while group := list(islice(batches, in_step)):
            loaded = time.perf_counter()
            training.begin(epoch)
            weights = training.changing_weights()
            losses = train_step(training, group)
            _end_step(training, losses, last=(training.step + 1) % per_epoch == 0)
            training.step += 1
            rates = {name: rate.value for name, rate in training.rates.items()}
            images = sum(len(batch["name"]) for batch in group) * training.fabric.world_size
            now = time.perf_counter()
            yield StepRecord(training.step, epoch, losses, weights, rates, images, loaded - started, now - loaded)
            if training.step >= total:
                return
            started = time.perf_counter()


def train_step(training: Training, batches: Sequence[Batch]) -> Losses:
    """One step: each phase in turn, its gradients averaged over the batches that were drawn last.

    `accumulate` of the `batches` are drawn at the beginning, and as many again by each run that draws; where none are
    left, in the last step of an epoch, those drawn last are taken again. Raises NotFinite where a loss, a weight or a
    running statistic is not, and StepError where torch refuses.
    """
    accumulate, first = training.experiment.recipe.accumulate, 0
    several = _values(training, batches, first)
    seen: list[tuple[str, int, dict[str, Tensor]]] = []
    for run in training.runs:
        if run.draws:
            first += accumulate if first + accumulate < len(batches) else 0
            several = _values(training, batches, first)
        with refusals(run, training.step + 1):
            weights = training.weights(run.phase.phase)
            training.optimizers[run.name].zero_grad()
            for number, values in several.items():
                total, terms = objective(run, values, weights)
                training.only(run.trains)
                training.fabric.backward(total / len(several))
                if len(several) > 1:
                    values.clear()
                seen.append((run.name, number, terms))
            training.update(run)
        for values in several.values():
            values.expire(run.trains)
    training.follow()
    means = _means(training.fabric, seen, training.step + 1, batches)
    if lost := training.watch.lost():
        raise NotFinite(
            f"`{lost[1]}` of the network `{lost[0]}` is not finite after step {training.step + 1}", hint=HINT
        )
    return means


def _values(training: Training, batches: Sequence[Batch], first: int) -> dict[int, FlowTensors]:
    """The values of the flow, none computed yet, for the batches of a draw from the `first` on, by their numbers."""
    experiment, fabric = training.experiment, training.fabric
    drawn = range(first, min(first + experiment.recipe.accumulate, len(batches)))
    parts = (experiment.plans, training.networks, training.functions)
    return {
        number: FlowTensors(*parts, fabric.to_device(batches[number]), autocast=fabric.autocast, kept=experiment.kept)
        for number in drawn
    }


def _means(
    fabric: Fabric, seen: Sequence[tuple[str, int, dict[str, Tensor]]], step: int, batches: Sequence[Batch]
) -> Losses:
    """The mean of every term over the phases, batches and processes of a step. Raises NotFinite."""
    labels = [(phase, number, name) for phase, number, terms in seen for name in terms]
    values = torch.stack([term for _, _, terms in seen for term in terms.values()])  # off the device in one go
    for (phase, number, name), value in zip(labels, values.tolist(), strict=True):
        if not math.isfinite(value):
            raise NotFinite(
                f"the loss `{name}` of the phase `{phase}` is {value} in step {step}",
                hint=HINT,
                notes=[f"the images are {', '.join(batches[number]['name'])}"],
            )
    found: dict[str, dict[str, list[float]]] = {}
    shared = torch.as_tensor(fabric.all_reduce(values, reduce_op="mean")).tolist()
    for (phase, _, name), value in zip(labels, shared, strict=True):
        found.setdefault(phase, {}).setdefault(name, []).append(value)
    return {phase: {name: math.fsum(v) / len(v) for name, v in terms.items()} for phase, terms in found.items()}


def _end_step(training: Training, losses: Losses, *, last: bool) -> None:
    """Add to the mean loss of the epoch, and pass it to the schedules at the end of the epoch."""
    for phase in training.experiment.recipe.phases:
        weights = training.weights(phase)
        value = math.fsum(weights[name] * value for name, value in losses[phase.name].items())
        total, count = training.epoch_loss.get(phase.name, [0.0, 0.0])
        training.epoch_loss[phase.name] = [total + value, count + 1]
        if last:
            training.rates[phase.name].end_epoch((total + value) / (count + 1))
    if last:
        training.epoch_loss.clear()
