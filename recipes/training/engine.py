"""One step of training, for every recipe: the runs of its phases, and the values that they share.

Two rules give every paper's order of computation. A value of the flow is computed once and kept until
a network that it depends on is updated. Inside a phase that does not train its producer it is a constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crossband.blocks.contracts.precision import widened
from crossband.recipes.language.experiment import CheckedPhase, CheckedTerm, Experiment, depends, reaches
from crossband.recipes.language.flow import Value
from crossband.recipes.model.flow_tensors import NONE, FlowTensors, Records
from crossband.registry import CrossbandError


@dataclass(frozen=True)
class PhaseRun:
    """One run of a phase within a step: its losses, and for each call the networks whose gradient it must record."""

    phase: CheckedPhase
    records: Mapping[Value, frozenset[str]]

    @property
    def trains(self) -> frozenset[str]:
        """The networks that are updated at its end."""
        return frozenset(self.phase.phase.train)

    @property
    def name(self) -> str:
        """The name of its phase."""
        return self.phase.phase.name


def phase_runs(experiment: Experiment) -> tuple[PhaseRun, ...]:
    """The phases of one step, repetitions written out, with what each value must record worked out beforehand.

    A value that a later phase differentiates is computed with its graph where it is first needed: pix2pix
    then runs its generator once, although the critic is trained on the same image before. A value that no
    phase differentiates is computed without a graph. When gradients are accumulated over several batches
    nothing is kept from one phase to the next, or the graphs of all the batches would be in memory at once.
    """
    phases = [phase for phase in experiment.phases for _ in range(phase.phase.repeat)]
    alone = experiment.recipe.accumulate > 1
    return tuple(
        PhaseRun(
            phase,
            {
                call: _recorded(call, phases[at : at + 1] if alone else phases[at:], experiment)
                for call in _calls(phase)
            },
        )
        for at, phase in enumerate(phases)
    )


def _recorded(call: Value, phases: Sequence[CheckedPhase], experiment: Experiment) -> frozenset[str]:
    """The networks for which a call, computed in the first of `phases`, is differentiated before it is out of date."""
    for phase in phases:
        trained = frozenset(phase.phase.train)
        if call in _calls(phase) and (wanted := reaches(call, experiment.plans) & trained):
            return wanted
        if depends(call, experiment.plans) & trained:
            return NONE
    return NONE


def _calls(phase: CheckedPhase) -> frozenset[Value]:
    return frozenset(part for value in phase.inputs() for part in value.walk() if part.kind == "call")


class Recomputation(FlowTensors):
    """The values of a flow as functions of one of them: what is computed from it is computed anew, with its graph.

    The `point` is a copy that takes gradients. It is all in full precision: a penalty squares its gradients.
    """

    _always_records = True

    def __init__(self, values: FlowTensors, point: Value, run: PhaseRun) -> None:
        super().__init__(values.plans, values.networks, values.functions, values.batch)
        self._values, self._point = values, point
        self.point = widened(values.get(point, run.records)).detach().requires_grad_()

    def get(self, value: Value, records: Records | None = None, wanted: frozenset[str] = NONE) -> Tensor:
        """A value with its graph back to the point; one that does not depend on the point as it is elsewhere."""
        if value == self._point:
            return self.point
        if self._point not in value.walk():
            return widened(self._values.get(value, records, wanted))
        return self._tensor(value, records)


class NotFinite(CrossbandError):
    """A loss is infinite or not a number."""


def objective(run: PhaseRun, values: FlowTensors) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the losses of a phase, and each loss by itself, without its weight."""
    terms: dict[str, Tensor] = {}
    total: Tensor | None = None
    for name, loss in run.phase.losses.items():
        parts = [loss.entry.factory(*_inputs(loss, call, values, run), **loss.term.arguments) for call in loss.calls]
        terms[name] = torch.stack(parts).sum()
        weighted = loss.term.weight * terms[name]
        total = weighted if total is None else total + weighted
    if total is None or not total.requires_grad:
        raise CrossbandError(f"the losses of the phase `{run.name}` pass no gradient to {', '.join(run.trains)}")
    return total, {name: term.detach() for name, term in terms.items()}


def _inputs(loss: CheckedTerm, call: tuple[Value, ...], values: FlowTensors, run: PhaseRun) -> Sequence[Tensor]:
    """The tensors of one call of a loss; those of a loss that differentiates, around its second one."""
    if loss.entry.differentiates:
        score, point = call
        around = Recomputation(values, point, run)
        return around.get(score, run.records), around.point
    return [values.get(value, run.records, run.trains) for value in call]
