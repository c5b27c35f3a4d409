"""One step of training, for every recipe: the runs of its phases, and the values that they share.

Two rules reproduce the order of computation of every paper. A value of the flow is computed once for the images of a
step and kept until a network that it depends on is updated. Inside a phase that does not train its producer it is a
constant. A phase that is `fresh` has other images in each repetition: none of the values outlives a change of images.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from crossband.blocks.contracts.precision import widened
from crossband.recipes.basics.errors import first_line, out_of_memory
from crossband.recipes.language.experiment import CheckedPhase, CheckedTerm, Experiment, depends, reaches
from crossband.recipes.language.flow import Value
from crossband.recipes.model.flow_tensors import NONE, FlowTensors, Records
from crossband.recipes.training.watch import HINT
from crossband.registry import CrossbandError, blamed


@dataclass(frozen=True)
class PhaseRun:
    """One run of a phase within a step, with the networks whose gradients each call must record.

    If it `draws`, it works on other images than the run before it, and so do those after it.
    """

    phase: CheckedPhase
    records: Mapping[Value, frozenset[str]]
    draws: bool = False

    @property
    def trains(self) -> frozenset[str]:
        """The networks that are updated at its end."""
        return frozenset(self.phase.phase.train)

    @property
    def name(self) -> str:
        """The name of its phase."""
        return self.phase.phase.name


def phase_runs(experiment: Experiment) -> tuple[PhaseRun, ...]:
    """List the runs of one step, repetitions written out, with the gradients that each value must record.

    A value that a later phase differentiates is computed with its graph where it is first needed: pix2pix
    then runs its generator once, although the critic is trained on the same image before. A value that no
    phase differentiates is computed without a graph. What comes after other images are drawn has values of its
    own. When gradients are accumulated over several batches nothing is kept from one phase to the next: the graphs
    of all the batches would be in memory at once.
    """
    turns = [(phase, turn) for phase in experiment.phases for turn in range(phase.phase.repeat)]
    draws = [phase.phase.fresh and turn > 0 for phase, turn in turns]
    alone = experiment.recipe.accumulate > 1
    runs = []
    for at, (phase, _) in enumerate(turns):
        end = next((later for later in range(at + 1, len(turns)) if alone or draws[later]), len(turns))
        sharing = [each for each, _ in turns[at:end]]
        runs.append(PhaseRun(phase, {call: _recorded(call, sharing, experiment) for call in phase.calls()}, draws[at]))
    return tuple(runs)


def _recorded(call: Value, phases: Sequence[CheckedPhase], experiment: Experiment) -> frozenset[str]:
    """The networks by which a call, computed in the first of `phases`, is differentiated before it is out of date."""
    for phase in phases:
        trained = frozenset(phase.phase.train)
        if call in phase.calls() and (wanted := reaches(call, experiment.plans) & trained):
            return wanted
        if depends(call, experiment.plans) & trained:
            return NONE
    return NONE


class Recomputation(FlowTensors):
    """The values of a flow as functions of one of them, so that they can be differentiated with respect to it.

    The `point` is a copy of that value that takes gradients. Values that depend on it are computed anew, with their
    graph; others are shared. All are in full precision, since a penalty squares its gradients.
    """

    _always_records = True

    def __init__(self, values: FlowTensors, point: Value, run: PhaseRun) -> None:
        super().__init__(values.plans, values.networks, values.functions, values.batch)
        self._values, self._point = values, point
        self.point = widened(values.get(point, run.records)).detach().requires_grad_()

    def get(self, value: Value, records: Records | None = None, wanted: frozenset[str] = NONE) -> Tensor:
        """A value with its graph back to the point, or the shared value if it does not depend on the point."""
        if value == self._point:
            return self.point
        if self._point not in value.walk():
            return widened(self._values.get(value, records, wanted))
        return self._tensor(value, records)


class StepError(CrossbandError):
    """A step cannot be computed."""

    of_one_process = True


class NotFinite(StepError):
    """A loss, a weight or a running statistic is infinite or not a number."""


SMALLER = "`data.batch` (and raise `accumulate`) or `data.size`; `precision: bf16-mixed` takes less, too"
CURES = {  # what torch says, and what helps
    "without overflow": "a number of the optimizer is too large: a lower `lr`",
    "more than 1 value per channel": "normalisation over one value has no spread: a larger `data.batch` or `data.size`",
    "more than 1 spatial element": "normalisation over one value has no spread: a larger `data.size`",
}


@contextmanager
def refusals(run: PhaseRun, step: int) -> Iterator[None]:
    """Turn what torch refuses in a phase of a step into a StepError that says what may help."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, ArithmeticError, MemoryError) as error:
        if isinstance(error, CrossbandError) or blamed(error) or not _of_torch(error):
            raise
        said = first_line(error)
        where = "".join(f" in {note}" for note in getattr(error, "__notes__", ())[:1])
        phase = f"the phase `{run.name}` of step {step}"
        if out_of_memory(error):
            message = f"there is not enough memory{where} for {phase}"
            raise StepError(message, hint=f"lower {SMALLER}", notes=[said]) from error
        hint = next((cure for sign, cure in CURES.items() if sign in said), HINT)
        raise StepError(f"{phase} fails{where}: {said}", hint=hint) from error


def _of_torch(error: BaseException) -> bool:
    """Whether torch raised an error: in its own code, or, as its compiled code does, as one of these."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, RuntimeError | MemoryError) or frame.f_globals.get("__name__", "").startswith("torch.")


def objective(run: PhaseRun, values: FlowTensors, weights: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the losses of a phase with these weights, and each loss without its weight."""
    terms: dict[str, Tensor] = {}
    total: Tensor | None = None
    for name, loss in run.phase.losses.items():
        parts = [loss.entry.factory(*_inputs(loss, call, values, run), **loss.term.arguments) for call in loss.calls]
        terms[name] = torch.stack(parts).sum()
        weighted = weights[name] * terms[name]
        total = weighted if total is None else total + weighted
    if total is None or not total.requires_grad:
        raise CrossbandError(f"the losses of the phase `{run.name}` pass no gradient to {', '.join(run.trains)}")
    return total, {name: term.detach() for name, term in terms.items()}


def _inputs(loss: CheckedTerm, call: tuple[Value, ...], values: FlowTensors, run: PhaseRun) -> Sequence[Tensor]:
    """The tensors of one call of a loss. If it differentiates, its score is a function of its second tensor."""
    if loss.entry.differentiates:
        score, point = call
        recomputed = Recomputation(values, point, run)
        return recomputed.get(score, run.records), recomputed.point
    return [values.get(value, run.records, run.trains) for value in call]
