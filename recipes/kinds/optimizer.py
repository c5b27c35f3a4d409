"""Optimizers and learning-rate schedules: closed tables, so that a recipe can name nothing else."""

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from crossband.registry import Entry, Parameter

_NOT_NEGATIVE = {"type": "number", "minimum": 0}
_DECAY = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
_SCHEMAS: Mapping[str, Mapping[str, Any]] = {  # of every argument that a recipe may give
    "lr": {"type": "number", "exclusiveMinimum": 0},
    "betas": {"type": "array", "items": _DECAY, "minItems": 2, "maxItems": 2},
    "eps": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "momentum": _NOT_NEGATIVE,
    "momentum_decay": _NOT_NEGATIVE,
    "dampening": _NOT_NEGATIVE,
    "alpha": _DECAY,
    "amsgrad": {"type": "boolean"},
    "nesterov": {"type": "boolean"},
    "centered": {"type": "boolean"},
    "decoupled_weight_decay": {"type": "boolean"},
}


def _entry(kind: type[torch.optim.Optimizer]) -> Entry:
    """An optimizer of torch by its own signature. The learning rate has no default: it is a choice."""
    parameters = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in _SCHEMAS:
            default = inspect.Parameter.empty if name == "lr" else parameter.default
            parameters[name] = Parameter(name, _SCHEMAS[name], default)
    doc = f"`torch.optim.{kind.__name__}`"
    origin = f"torch.optim.{kind.__name__}"
    return Entry(name=kind.__name__, factory=kind, parameters=parameters, doc=doc, origin=origin)


OPTIMIZERS: Mapping[str, Entry] = {
    kind.__name__: _entry(kind)
    for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RMSprop, torch.optim.SGD)
}

_COUNT = {"type": "integer", "minimum": 0}
SCHEDULE: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "warmup": {**_COUNT, "description": "Epochs (or steps) over which the rate rises from near zero"},
        "hold": {**_COUNT, "description": "Epochs (or steps) at the full rate"},
        "decay": {**_COUNT, "description": "Epochs (or steps) after that, over which the rate falls to 1/(decay + 1)"},
        "cosine": {**_DECAY, "description": "Half a cosine over the whole run, down to this part of the rate"},
        "plateau": {
            "description": "Lower the rate when the mean training loss of an epoch stops falling",
            "type": "object",
            "additionalProperties": False,
            "properties": {"factor": _DECAY, "patience": _COUNT, "cooldown": _COUNT},
        },
    },
    "dependentRequired": {"hold": ["decay"], "decay": ["hold"]},
}


def make_optimizer(name: str, arguments: Mapping[str, Any], networks: Iterable[nn.Module]) -> torch.optim.Optimizer:
    """The optimizer `name` over the parameters of `networks`. Raises ArgumentError on wrong arguments."""
    entry = OPTIMIZERS[name]
    entry.check(arguments)
    parameters = [parameter for network in networks for parameter in network.parameters()]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    return entry.factory(parameters, **given)


def schedule_problem(schedule: Mapping[str, Any], length: int) -> str | None:
    """What is wrong with a schedule for a run of `length`, in words, or None."""
    kinds = [kind for kind in ("hold", "cosine", "plateau") if kind in schedule]
    if len(kinds) > 1:
        return f"a schedule is one of `hold`, `cosine` and `plateau`, here are {' and '.join(f'`{k}`' for k in kinds)}"
    end = schedule.get("warmup", 0) + schedule.get("hold", 0) + schedule.get("decay", 0)
    if "hold" in schedule and length > end:
        return f"the schedule ends at {end}, and the recipe goes on to {length}"
    return None


def factor(schedule: Mapping[str, Any], at: int, length: int) -> float:
    """The part of the learning rate that holds in the epoch (or step) `at`, counted from 0, of `length`.

    `hold` and `decay` follow the CycleGAN code: `1 - max(0, at + 1 - hold) / (decay + 1)`, so that the rate is
    never exactly zero: its last value is `1 / (decay + 1)`. A warm-up comes before either.
    """
    warmup = schedule.get("warmup", 0)
    if at < warmup:
        return (at + 1) / (warmup + 1)
    at -= warmup
    if "hold" in schedule:
        return max(1 - max(0, at + 1 - schedule["hold"]) / (schedule["decay"] + 1), 1 / (schedule["decay"] + 1))
    if "cosine" in schedule:
        low = schedule["cosine"]
        return low + (1 - low) * (1 + math.cos(math.pi * at / max(1, length - warmup))) / 2
    return 1.0


class Rate:
    """The learning rate of one optimizer over a run: the schedule's factor, and plateaus where it asks for them."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Mapping[str, Any], length: int) -> None:
        self.optimizer, self.schedule, self.length = optimizer, schedule, length
        self._full = [float(group["lr"]) for group in optimizer.param_groups]
        self._plateau = ReduceLROnPlateau(optimizer, **schedule["plateau"]) if "plateau" in schedule else None

    @property
    def value(self) -> float:
        """The learning rate in force."""
        return float(self.optimizer.param_groups[0]["lr"])

    def begin(self, at: int) -> None:
        """Set the rate of the epoch (or step) `at`. A plateau keeps the rate that it has reached, after a warm-up."""
        if self._plateau and at >= self.schedule.get("warmup", 0):
            return
        for group, full in zip(self.optimizer.param_groups, self._full, strict=True):
            group["lr"] = full * factor(self.schedule, at, self.length)

    def end_epoch(self, loss: float) -> None:
        """Tell the plateau the mean loss of an epoch."""
        if self._plateau:
            self._plateau.step(loss)

    def state_dict(self) -> dict[str, Any]:
        """What a plateau has seen so far; the other schedules follow from the step alone."""
        kept = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        return {key: getattr(self._plateau, key) for key in kept} if self._plateau else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        for key, value in state.items():
            setattr(self._plateau, key, value)
