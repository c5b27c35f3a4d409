"""The decorator that makes a function a metric of the recipes.

The contract of a per-image metric: `output`, `target` and the network's input `source` are batches
`b c h w` in [0, 1] (so the data range is 1), float64 where the device has it; it returns `b` values,
NaN where it is not defined for an image, and raises Unavailable if it cannot be computed at all. That
of a metric of boxes is the same, but in the place of `source` it is given `inside`, where the boxes of
each image are, `b 1 h w` of bool. The contract of a whole-set metric: Inception features `n 2048` of
the outputs and of the targets; it returns one value and a note.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crossband.blocks.contracts.ranges import ANY, UNIT, Range
from crossband.registry import Entry, RegistryError, description, metrics

TAKES: Mapping[str, tuple[str, ...]] = {  # the parameters of the function, by what it is measured over
    "image": ("output", "target", "source"),
    "boxes": ("output", "target", "inside"),
    "set": ("outputs", "targets"),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class MetricEntry(Entry):
    """A registered metric: how it is called, read and computed; see `metric`."""

    kind = "metric"

    title: str
    better: Literal["lower", "higher"] | None
    unit: str
    digits: int
    range: Range
    whole_set: bool
    alone: bool
    caution: str
    boxes: bool

    def format(self, value: float) -> str:
        """`value` with as many digits as the metric is usually read with."""
        return f"{value:.{self.digits}f}"

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        over = "the whole set" if self.whole_set else "the boxes in each image" if self.boxes else "each image"
        takes = "" if self.whole_set else f"images in {UNIT}"
        return {
            "title": self.title,
            "better": self.better,
            "unit": self.unit,
            "takes": takes,
            "range": str(self.range),
            "measured over": over,
            **({"of": "the output alone"} if self.alone else {}),
            **({"caution": self.caution} if self.caution else {}),
        }


def metric(
    name: str,
    *,
    title: str | None = None,
    better: Literal["lower", "higher"] | None,
    unit: str = "",
    digits: int = 4,
    range: Range = ANY,
    whole_set: bool = False,
    alone: bool = False,
    caution: str = "",
    boxes: bool = False,
    cite: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of images as the metric `name`, or with `whole_set` one of the features of two sets.

    `title` heads its column in a table, which prints `digits` behind the point and the `unit`. `better` is None
    where neither end is good. `range` is between which numbers its values lie. One that is `alone` looks at the output
    and at nothing else: an evaluation then tells of the targets, too. `caution` says in a few words what the figure
    does not mean in a translation; `crossband show`, `crossband ls metrics` and every report have it. A metric of
    `boxes` is measured with `crossband evaluate --inside`. Raises RegistryError, when the module is imported, if the
    function does not take `(output, target, source)`, `(output, target, inside)`, or `(outputs, targets)`.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        takes = TAKES["set" if whole_set else "boxes" if boxes else "image"]
        if tuple(inspect.signature(function).parameters) != takes:
            hint = f"write `def {function.__name__}({', '.join(takes)})`"
            raise RegistryError(f"the metric `{name}` takes {' and '.join(takes)} alone", hint=hint)
        metrics.add(
            MetricEntry(
                name=name,
                factory=function,
                parameters={},
                cite=cite,
                title=title or name,
                better=better,
                unit=unit,
                digits=digits,
                range=range,
                whole_set=whole_set,
                alone=alone,
                caution=caution,
                boxes=boxes,
                **description(function),
            )
        )
        return function

    return register
