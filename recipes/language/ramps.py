"""Weights of losses that change while a recipe trains: `weight: {from: 0, to: 10, over: 20 epochs}`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossband.registry import CrossbandError, show, suggest

FORM = "write `{from: 0, to: 10, over: 20 epochs}`"
NEEDED = ("from", "to", "over")
SHAPES = ("linear", "cosine")
UNITS = ("epochs", "steps")
_SPAN = re.compile(r"\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*([A-Za-z]*)\s*")


class RampError(CrossbandError, ValueError):
    """A weight that changes is not written as one; `key` is the key of its mapping that is wrong, if it is one."""

    def __init__(self, message: str, *, key: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.key = key


@dataclass(frozen=True)
class Span:
    """A stretch of training: a number of epochs or of steps."""

    count: float
    unit: str

    def __str__(self) -> str:
        return f"{self.count:g} {self.unit.removesuffix('s') if self.count == 1 else self.unit}"

    def steps(self, per_epoch: int) -> float:
        """How many steps it is, with `per_epoch` steps in an epoch."""
        return self.count * (per_epoch if self.unit == "epochs" else 1)


@dataclass(frozen=True)
class Ramp:
    """A weight that is `start` until `after`, and gets from there to `end` over the span `over`."""

    start: float
    end: float
    over: Span
    after: Span = Span(0, "steps")
    by: str = "linear"

    def __str__(self) -> str:
        late = f" after {self.after}" if self.after.count else ""
        return f"{self.start:g} to {self.end:g} over {self.over}{late}" + (
            f", {self.by}" if self.by != "linear" else ""
        )

    def as_dict(self) -> dict[str, Any]:
        """It as a recipe writes it."""
        return {"from": self.start, "to": self.end, "over": f"{self.over}", "after": f"{self.after}", "by": self.by}

    def at(self, step: int, per_epoch: int) -> float:
        """The weight in the step `step`, counted from 0, of a training with `per_epoch` steps in an epoch.

        With t = (step - after) / over held between 0 and 1 it is `start + (end - start) * t`; by `cosine`, t gives way
        to (1 - cos(pi t)) / 2. The first step has the weight `start`, the one after `after` and `over` steps has `end`.
        """
        done = (step - self.after.steps(per_epoch)) / self.over.steps(per_epoch)
        if done <= 0:
            return self.start
        if done >= 1:
            return self.end
        part = (1 - math.cos(math.pi * done)) / 2 if self.by == "cosine" else done
        return self.start + (self.end - self.start) * part

    def falls_short(self, length: int, unit: str, per_epoch: int | None = None) -> str | None:
        """What it comes to by the end of a training of this length, in words; None where it comes to its end.

        None, too, where that depends on how many steps an epoch has, and nothing is known of it.
        """
        spans = [span for span in (self.over, self.after) if span.count]
        if per_epoch is None and any(span.unit != unit for span in spans):
            return None
        known = per_epoch or 1
        reached = self.at(round(Span(length, unit).steps(known)), known)
        if reached == self.end:
            return None
        return f"the weight goes from {self}, and training ends after {Span(length, unit)}, at {reached:.4g}"


def ramp_of(written: Mapping[str, Any]) -> Ramp:
    """The changing weight that a mapping describes. Raises RampError."""
    known = (*NEEDED, "after", "by")
    for key in (key for key in written if key not in known):
        raise RampError(f"`weight` takes no key `{key}`", key=key, hint=suggest(key, known))
    for key in (key for key in NEEDED if key not in written):
        raise RampError(f"a weight that changes needs the key `{key}`", hint=FORM)
    for key in ("from", "to"):
        if isinstance(written[key], bool) or not isinstance(written[key], int | float):
            raise RampError(f"`{key}` must be a number, got {show(written[key])}", key=key, hint=FORM)
    if (by := written.get("by", "linear")) not in SHAPES:
        raise RampError(f"`by` must be {' or '.join(map(show, SHAPES))}, got {show(by)}", key="by")
    over, after = (_span(written.get(key, "0 steps"), key) for key in ("over", "after"))
    if over.count == 0:
        raise RampError(
            "`over` must be more than 0", key="over", hint="write the weight alone where it does not change"
        )
    return Ramp(float(written["from"]), float(written["to"]), over, after, by)


def _span(written: Any, key: str) -> Span:
    found = _SPAN.fullmatch(written if isinstance(written, str) else show(written))
    if not found:
        message = f"`{key}` is a number of epochs or steps, got {show(written)}"
        raise RampError(message, key=key, hint="write `20 epochs`")
    count, word = float(found[1]), found[2].lower()
    unit = next((unit for unit in UNITS if word in (unit, unit.removesuffix("s"))), None)
    either = f"write `{count:g} epochs` or `{count:g} steps`"
    if not word:
        raise RampError(f"`{key}` has no unit, got {count:g}", key=key, hint=either)
    if unit is None:
        raise RampError(f"`{key}`: no unit named `{found[2]}`", key=key, hint=suggest(word, UNITS, few=0) or either)
    if count < 0:
        raise RampError(f"`{key}` must not be negative, got {show(written)}", key=key)
    return Span(count, unit)
