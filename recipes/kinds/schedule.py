"""The decorator that makes a function a schedule of the learning rate, the library's own, and the rate of a run.

In a recipe a schedule is a mapping of its parameters, of which the one that is called as the schedule itself says
which it is: `{hold: 100, decay: 100}`, `{cosine: 0.01, warmup: 5}`. `constant` has none and is written as that word.
Every schedule may begin with a `warmup`, over which the rate rises. Epochs are counted from 0; a recipe that counts
steps has its schedule in steps.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, TypeVar

import torch
from annotated_types import Ge, Lt, doc
from torch.optim.lr_scheduler import ReduceLROnPlateau

from crossband.registry import (
    CrossbandError,
    Entry,
    Parameter,
    RegistryError,
    description,
    parameters_of,
    schedules,
    suggest,
)

Part = TypeVar("Part", bound=Callable[..., float])
Count = Annotated[int, Ge(0)]
Decay = Annotated[float, Ge(0), Lt(1)]
CONSTANT = "constant"
WARMUP = Parameter(
    "warmup",
    {
        "type": "integer",
        "minimum": 0,
        "description": "Epochs (or steps) over which the rate rises from near zero",
        "default": 0,
    },
    0,
)


class ScheduleError(CrossbandError, ValueError):
    """A mapping is not one schedule, or is shorter than the run."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ScheduleEntry(Entry):
    """A registered schedule: its factory gives a part of the learning rate; see `schedule`."""

    kind = "schedule"

    ends: Callable[..., int] | None

    @property
    def form(self) -> str:
        """How it is written in a recipe."""
        keys = [name for name, parameter in self.parameters.items() if parameter.required]
        return f"{{{', '.join(f'{key}: ...' for key in keys)}}}" if keys else self.name

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        return {"written": self.form}


def schedule(name: str, *, ends: Callable[..., int] | None = None, cite: str | None = None) -> Callable[[Part], Part]:
    """Register `part(at, length, *, name, ...) -> float` as the schedule `name` of the recipes.

    It gives the part of the learning rate that holds in the epoch (or step) `at` of `length`, both counted from the
    end of the warm-up. Its keyword parameters are the keys of its mapping; the first is called as the schedule. For
    a schedule that comes to an end by itself, `ends` works out from them after how many epochs.
    Raises RegistryError, when the module is imported, if the signature is another.
    """

    def register(part: Part) -> Part:
        names = list(inspect.signature(part).parameters)
        if len(names) < 2 or (names[2:3] != [name] and name != CONSTANT):
            right = f"write `def {part.__name__}(at: int, length: int, *, {name}: ...) -> float`"
            raise RegistryError(f"the schedule `{name}` needs `{name}` as its first keyword", hint=right)
        parameters = {**parameters_of(part, skip=names[:2]), "warmup": WARMUP}
        schedules.add(
            ScheduleEntry(name=name, factory=part, parameters=parameters, cite=cite, ends=ends, **description(part))
        )
        return part

    return register


# ---------------------------------------------------------------------- the library's own


@schedule(CONSTANT)
def constant(at: int, length: int) -> float:
    """The full rate from the first epoch to the last; `{warmup: 5}` alone is a constant rate after a warm-up."""
    return 1.0


@schedule("hold", ends=lambda hold, decay: hold + decay, cite="zhu2017cyclegan")
def hold(
    at: int,
    length: int,
    *,
    hold: Annotated[Count, doc("Epochs (or steps) at the full rate")],
    decay: Annotated[Count, doc("Epochs (or steps) after that, over which the rate falls to 1/(decay + 1)")],
) -> float:
    """The full rate, then a straight line down: `1 - max(0, at + 1 - hold) / (decay + 1)`, as the CycleGAN code does.

    The rate is never zero: its last value is `1 / (decay + 1)`.
    """
    return max(1 - max(0, at + 1 - hold) / (decay + 1), 1 / (decay + 1))


@schedule("cosine", cite="loshchilov2017sgdr")
def cosine(
    at: int, length: int, *, cosine: Annotated[Decay, doc("The part of the rate at which the run ends")]
) -> float:
    """Half a cosine over the whole run, from the full rate down to a part of it (Loshchilov and Hutter 2017)."""
    return cosine + (1 - cosine) * (1 + math.cos(math.pi * at / max(1, length))) / 2


class Plateau(TypedDict, total=False):
    """How a plateau is told: see `torch.optim.lr_scheduler.ReduceLROnPlateau`."""

    factor: Annotated[Decay, doc("What the rate is multiplied by")]
    patience: Annotated[Count, doc("Epochs without a lower loss before that")]
    cooldown: Annotated[Count, doc("Epochs after that, of which none is counted")]


@schedule("plateau")
def plateau(
    at: int,
    length: int,
    *,
    plateau: Annotated[Plateau, doc("By what `factor`, after how many epochs of `patience`, and a `cooldown`")],
) -> float:
    """Lower the rate when the mean training loss of an epoch stops falling: `ReduceLROnPlateau` of torch."""
    return 1.0  # what follows from the losses is not known here: see `Rate`


# ---------------------------------------------------------------------- the schedule of a run


def entry_of(written: Mapping[str, Any]) -> ScheduleEntry:
    """The schedule that a mapping is of, `constant` where it has nothing but a warm-up.

    Raises ScheduleError where it names several, or none.
    """
    keys = [key for key in written if key != WARMUP.name]
    named = [key for key in keys if key in schedules and key != CONSTANT]
    if len(named) > 1:
        names = " and ".join(f"`{name}`" for name in named)
        raise ScheduleError(f"a schedule is one of its kind, here are {names}", hint="remove all but one")
    if keys and not named:
        raise ScheduleError(f"the schedule takes no key `{keys[0]}`", hint=how_to_write(keys[0]))
    return schedules[named[0] if named else CONSTANT]


def how_to_write(name: str) -> str:
    """The hint for what is no schedule as it stands: its form, the nearest name, or the form of each schedule."""
    if name in schedules:
        return f"write `{schedules[name].form}`"
    if meant := suggest(name, [*schedules, WARMUP.name], few=0):
        return meant
    *forms, last = [f"`{entry.form}`" for entry in schedules.values()]
    return f"write {', '.join(forms)} or {last}"


def refuse_short(written: Mapping[str, Any], length: int) -> None:
    """Raise ScheduleError where a schedule, whose arguments are right, ends before a run of `length` does, or begins
    after it."""
    entry, warmup = entry_of(written), written.get("warmup", 0)
    if warmup > length:
        message = f"the warm-up lasts {warmup}, and the recipe ends at {length}"
        raise ScheduleError(message, hint="`warmup` counts epochs, or steps where the recipe is so long in `steps`")
    end = warmup + entry.ends(**_own(entry, written)) if entry.ends else length
    if end < length:
        message = f"the schedule ends at {end}, and the recipe goes on to {length}"
        raise ScheduleError(message, hint="its parts add up to `epochs` (or `steps`)")


def factor(written: Mapping[str, Any], at: int, length: int) -> float:
    """The part of the learning rate that holds in the epoch (or step) `at`, counted from 0, of `length`."""
    warmup = written.get("warmup", 0)
    if at < warmup:
        return (at + 1) / (warmup + 1)
    entry = entry_of(written)
    return entry.factory(at - warmup, length - warmup, **_own(entry, written))


def _own(entry: ScheduleEntry, written: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a schedule but for the warm-up, which every schedule has."""
    return {key: value for key, value in {**entry.defaults, **written}.items() if key != WARMUP.name}


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
        """Continue where `state_dict` was taken; a schedule without a plateau has nothing to remember."""
        for key, value in state.items() if self._plateau else ():
            setattr(self._plateau, key, value)
