"""One step of training, for every recipe: the turns of its phases, and the values that they share.

Two rules give every paper's order of computation. A value of the flow is computed once and kept until
a network that it depends on is updated. Inside a phase that does not train its producer it is a constant.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.precision import widened
from crossband.recipes.language.experiment import Experiment, Loss, Step, depends, reaches
from crossband.recipes.language.flow import Value
from crossband.recipes.language.functions import Function
from crossband.registry import CrossbandError

Batch = Mapping[str, Any]  # band -> `b c h w`, and `name`, the names of the images
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Turn:
    """One turn of a phase within a step: its losses, and for each call the networks whose gradient it must record."""

    step: Step
    records: Mapping[Value, frozenset[str]]

    @property
    def trains(self) -> frozenset[str]:
        """The networks that are updated at its end."""
        return frozenset(self.step.phase.train)

    @property
    def name(self) -> str:
        """The name of its phase."""
        return self.step.phase.name


def turns(experiment: Experiment) -> tuple[Turn, ...]:
    """The turns of one step, repetitions written out, with what each value must record worked out beforehand.

    A value that a later turn differentiates is computed with its graph where it is first needed: pix2pix
    then runs its generator once, although the critic is trained on the same image before. A value that no
    turn differentiates is computed without a graph. When gradients are accumulated over several batches
    nothing is kept from one turn to the next, or the graphs of all the batches would be in memory at once.
    """
    steps = [step for step in experiment.steps for _ in range(step.phase.repeat)]
    alone = experiment.recipe.accumulate > 1
    return tuple(
        Turn(
            step,
            {call: _recorded(call, steps[at : at + 1] if alone else steps[at:], experiment) for call in _calls(step)},
        )
        for at, step in enumerate(steps)
    )


def _recorded(call: Value, steps: Sequence[Step], experiment: Experiment) -> frozenset[str]:
    """The networks for which a call, computed in the first of `steps`, is differentiated before it is out of date."""
    for step in steps:
        trained = frozenset(step.phase.train)
        if call in _calls(step) and (wanted := reaches(call, experiment.plans) & trained):
            return wanted
        if depends(call, experiment.plans) & trained:
            return NONE
    return NONE


def _calls(step: Step) -> frozenset[Value]:
    return frozenset(part for value in step.inputs() for part in value.walk() if part.kind == "call")


class Values:
    """The values of a flow for one batch, each computed when it is first asked for."""

    _always_records = False

    def __init__(
        self,
        experiment: Experiment,
        networks: Mapping[str, nn.Module],
        functions: Mapping[str, Function],
        batch: Batch,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.experiment, self.networks, self.functions = experiment, networks, functions
        self.batch, self.autocast = batch, autocast
        self._made: dict[Value, dict[str, Tensor]] = {}

    def get(self, value: Value, turn: Turn | None = None, wanted: frozenset[str] = NONE) -> Tensor:
        """A value as a tensor `b c h w`; a constant unless it passes gradients on to a network that is `wanted`."""
        tensor = self._tensor(value, turn)
        return tensor if wanted & reaches(value, self.networks) else tensor.detach()

    def _tensor(self, value: Value, turn: Turn | None) -> Tensor:
        if value.kind == "name":
            return self.batch[value.name]
        call = value.operands[0] if value.kind == "part" else value
        if call not in self._made:
            self._made[call] = self._call(call, turn)
        outputs = self._made[call]
        return outputs[value.name] if value.kind == "part" else next(iter(outputs.values()))

    def _call(self, call: Value, turn: Turn | None) -> dict[str, Tensor]:
        wanted = turn.records.get(call, NONE) if turn else NONE
        operands = [self.get(operand, turn, wanted) for operand in call.operands]
        if call.name not in self.networks:
            return {"": self.functions[str(call)](*operands)}
        network = self.networks[call.name]
        if turn:
            network.requires_grad_(call.name in wanted)
        with torch.set_grad_enabled(bool(wanted) or self._always_records), self.autocast():
            result = network(*operands)
        return result if isinstance(result, dict) else {next(iter(self.experiment.plans[call.name].outputs)): result}

    def expire(self, updated: frozenset[str]) -> None:
        """Forget what depends on the networks that were updated; what the recipe keeps becomes constant."""
        for call in [call for call in self._made if depends(call, self.networks) & updated]:
            if call in self.experiment.kept:
                self._made[call] = {name: tensor.detach() for name, tensor in self._made[call].items()}
            else:
                del self._made[call]

    def clear(self) -> None:
        """Forget everything but the batch."""
        self._made.clear()


class Around(Values):
    """The values of a flow as functions of one of them: what is computed from it is computed anew, with its graph.

    The `point` is a copy that takes gradients. It is all in full precision: a penalty squares its gradients.
    """

    _always_records = True

    def __init__(self, values: Values, point: Value, turn: Turn) -> None:
        super().__init__(values.experiment, values.networks, values.functions, values.batch)
        self._values, self._point = values, point
        self.point = widened(values.get(point, turn)).detach().requires_grad_()

    def get(self, value: Value, turn: Turn | None = None, wanted: frozenset[str] = NONE) -> Tensor:
        """A value with its graph back to the point; one that does not depend on the point as it is elsewhere."""
        if value == self._point:
            return self.point
        if self._point not in value.walk():
            return widened(self._values.get(value, turn, wanted))
        return self._tensor(value, turn)


class NotFinite(CrossbandError):
    """A loss is infinite or not a number."""


def objective(turn: Turn, values: Values) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the losses of a turn, and each loss by itself, without its weight."""
    terms: dict[str, Tensor] = {}
    total: Tensor | None = None
    for name, loss in turn.step.losses.items():
        parts = [loss.entry.factory(*_inputs(loss, call, values, turn), **loss.term.arguments) for call in loss.calls]
        terms[name] = torch.stack(parts).sum()
        weighted = loss.term.weight * terms[name]
        total = weighted if total is None else total + weighted
    if total is None or not total.requires_grad:
        raise CrossbandError(f"the losses of the phase `{turn.name}` pass no gradient to {', '.join(turn.trains)}")
    return total, {name: term.detach() for name, term in terms.items()}


def _inputs(loss: Loss, call: tuple[Value, ...], values: Values, turn: Turn) -> Sequence[Tensor]:
    """The tensors of one call of a loss; those of a loss that differentiates, around its second one."""
    if loss.entry.differentiates:
        score, point = call
        around = Around(values, point, turn)
        return around.get(score, turn), around.point
    return [values.get(value, turn, turn.trains) for value in call]
