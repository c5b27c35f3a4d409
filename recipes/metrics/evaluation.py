"""Measure a set of images: batches go in, a table of every metric and every image comes out.

Each metric is computed for each image and then averaged over images, so PSNR is a mean of PSNRs and
not the PSNR of a mean error. A metric that cannot be computed is absent, with its reason: it never
stops an evaluation, and no other number takes its place.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from crossband import registry
from crossband.recipes.basics.formats import TABLE
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.basics.readback import checked
from crossband.recipes.kinds.metric import MetricEntry
from crossband.recipes.metrics.metrics import DEFAULT, inception_features
from crossband.registry import CrossbandError, suggest

NEEDS_BOXES = "it looks into boxes: say which, such as `--inside person`"
NO_BOX = "no such box in them, or nothing beside it"


class EvaluationError(CrossbandError, ValueError):
    """The images cannot be compared: wrong shapes, numbers that are not finite, targets outside [0, 1]."""


@dataclass(frozen=True)
class Summary:
    """A metric over the images: `std` is that of the sample (n - 1), None for one image or a whole-set metric."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True, repr=False)
class Table:
    """The result of an evaluation.

    `images` has a value for each image and per-image metric, None where the metric is not defined
    for that image. `summary` has the metrics that could be computed, `absent` the reason for each
    other one, `notes` remarks on single figures (images left out, few images for an FID).
    """

    images: Mapping[str, Mapping[str, float | None]]
    summary: Mapping[str, Summary]
    absent: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        found = ", ".join(f"{name} {each.mean:.4g}" for name, each in self.summary.items())
        return f"<Table of {len(self.images)} image{'s' * (len(self.images) != 1)}: {found}>"

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON, which has no infinity: an infinite PSNR is the text `inf`."""
        return _finite(asdict(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Table":
        """Make a table from the result of `as_dict`, as `evaluation.json` has it. Raises Damaged for anything else."""
        checked(data, TABLE, "a table")
        images = {
            name: {metric: None if value is None else float(value) for metric, value in row.items()}
            for name, row in data["images"].items()
        }
        summary = {metric: Summary(float(row["mean"]), row["std"], row["n"]) for metric, row in data["summary"].items()}
        return cls(images, summary, dict(data["absent"]), dict(data["notes"]))

    def select(self, metric: str) -> dict[Literal["best", "median", "worst"], str]:
        """The names of the best, the median and the worst image by a metric: see `ranked`."""
        ranked = self.ranked(metric)
        return {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}

    def ranked(self, metric: str) -> list[str]:
        """The names of the images that have a value of a metric, the best first.

        Raises EvaluationError if the metric has no better direction or was not measured on any image.
        """
        better = declared(metric).better
        names = [name for name, row in self.images.items() if row.get(metric) is not None]
        if better is None or not names:
            raise EvaluationError(f"no image is best by `{metric}`: it has no better direction or was not measured")
        return sorted(names, key=lambda name: self.images[name][metric] or 0.0, reverse=better == "higher")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def declared(name: str) -> MetricEntry:
    """The metric of that name. Raises EvaluationError with the nearest names."""
    if name not in registry.metrics:
        hint = suggest(name, registry.metrics) or "`crossband ls metrics` lists them"
        raise EvaluationError(f"no metric named `{name}`", hint=hint)
    return registry.metrics[name]


class Evaluation:
    """Measures batches of images and keeps the values; `table` sums them up.

    `metrics` are names of registered metrics, in the order of the table. Raises EvaluationError on an unknown
    one. Touches neither the random state nor the caller's tensors.
    """

    def __init__(self, metrics: Sequence[str] = DEFAULT, device: torch.device | str = "cpu") -> None:
        self.metrics = [declared(name) for name in metrics]
        self.device = torch.device(device)
        self._dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self._images: dict[str, dict[str, float | None]] = {}
        self._reasons: dict[str, str] = {}  # why a metric has no value for the last image that lacks one
        self._features: list[tuple[Tensor, Tensor]] = []
        self._of_targets: dict[str, dict[str, float | None]] = {each.name: {} for each in self.metrics if each.alone}

    @torch.no_grad()
    def update(
        self,
        output: Tensor,
        target: Tensor,
        names: Sequence[str],
        source: Tensor | None = None,
        inside: Tensor | None = None,
    ) -> None:
        """Measure a batch: `output` and `target` `b c h w`, the input `source` `b k h w`, all in [0, 1].

        `inside` says where the boxes of the images are, `b 1 h w` of bool, for the metrics that look into them.
        The output is clipped to [0, 1] first, as in a written file. Raises
        EvaluationError, naming the images, if shapes differ, a number is not finite, a target is
        outside [0, 1] or an image was already measured.
        """
        self._check(output, target, names)
        output, target = (image.to(self.device, self._dtype) for image in (output.clamp(0, 1), target))
        source = None if source is None else source.to(self.device, self._dtype)
        inside = None if inside is None else inside.to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            columns = {
                metric.name: self._measure(metric, output, target, inside if metric.boxes else source)
                for metric in self.metrics
            }
        for index, name in enumerate(names):
            self._images[name] = {
                metric.name: columns[metric.name][index] for metric in self.metrics if not metric.whole_set
            }
        for metric in (metric for metric in self.metrics if metric.alone):
            values = self._measure(metric, target, target, source)
            self._of_targets[metric.name] |= dict(zip(names, values, strict=True))
        if any(metric.whole_set for metric in self.metrics):
            self._keep_features(output, target)

    def _check(self, output: Tensor, target: Tensor, names: Sequence[str]) -> None:
        images = ", ".join(names)
        if output.ndim != 4 or output.shape != target.shape or len(names) != len(output):
            raise EvaluationError(
                f"{images}: output and target must have one shape `b c h w` and a name for each image, "
                f"got {tuple(output.shape)}, {tuple(target.shape)} and {len(names)} names"
            )
        for label, image in (("output", output), ("target", target)):
            if bad := [name for name, item in zip(names, image, strict=True) if not item.isfinite().all()]:
                raise EvaluationError(f"{', '.join(bad)}: the {label} has numbers that are not finite")
        if target.numel() and not (target.min() >= -1e-6 and target.max() <= 1 + 1e-6):
            raise EvaluationError(
                f"{images}: the target must be in [0, 1], got [{target.min():.4g}, {target.max():.4g}]"
            )
        if twice := [name for name in names if name in self._images or list(names).count(name) > 1]:
            raise EvaluationError(f"{', '.join(twice)}: measured twice")

    def _measure(self, metric: MetricEntry, *images: Tensor | None) -> list[float | None]:
        count = len(images[0]) if images[0] is not None else 0
        if metric.whole_set:
            return []
        try:
            if metric.boxes and images[2] is None:
                raise Unavailable(NEEDS_BOXES)
            values = metric.factory(*images).tolist()
        except Unavailable as reason:
            self._reasons[metric.name] = str(reason)
            return [None] * count
        if any(math.isnan(value) for value in values):
            self._reasons[metric.name] = NO_BOX if metric.boxes else "not defined for a constant image"
        return [None if math.isnan(value) else value for value in values]

    def _keep_features(self, output: Tensor, target: Tensor) -> None:
        try:
            self._features.append((inception_features(output), inception_features(target)))
        except Unavailable as reason:
            self._reasons |= {metric.name: str(reason) for metric in self.metrics if metric.whole_set}

    def table(self, names: Collection[str] | None = None) -> Table:
        """The values of every image so far, or of those of these `names`, and their summaries.

        Raises EvaluationError if there were none.
        """
        images = {name: row for name, row in self._images.items() if names is None or name in names}
        if not images:
            raise EvaluationError("no image was measured")
        summary, absent, notes = {}, {}, {}
        for metric in self.metrics:
            found, remark = self._whole_set(metric, images) if metric.whole_set else self._per_image(metric, images)
            if found is None:
                absent[metric.name] = remark
                continue
            summary[metric.name] = found
            if remark:
                notes[metric.name] = remark
        return Table(images, summary, absent, notes)

    def _whole_set(self, metric: MetricEntry, images: Collection[str]) -> tuple[Summary | None, str]:
        if metric.name in self._reasons:
            return None, self._reasons[metric.name]
        chosen = torch.tensor([name in images for name in self._images])
        outputs, targets = (torch.cat(features)[chosen] for features in zip(*self._features, strict=True))
        try:
            value, remark = metric.factory(outputs, targets)
        except Unavailable as reason:
            return None, str(reason)
        return Summary(value, None, len(outputs)), remark

    def _per_image(
        self, metric: MetricEntry, images: Mapping[str, Mapping[str, float | None]]
    ) -> tuple[Summary | None, str]:
        """The mean over the finite values: an infinite one is counted in the note, not in the mean."""
        values = [row[metric.name] for row in images.values()]
        known = [value for value in values if value is not None]
        finite = [value for value in known if math.isfinite(value)]
        if not known:
            return None, self._reasons[metric.name]
        remarks = []
        of_targets = self._of_targets.get(metric.name, {})
        if own := [value for name in images if (value := of_targets.get(name)) is not None]:
            remarks.append(f"that of the targets is {metric.format(math.fsum(own) / len(own))}")
        if missing := len(values) - len(known):
            remarks.append(f"{missing} of {len(values)} images left out: {self._reasons[metric.name]}")
        if infinite := len(known) - len(finite):
            remarks.append(
                f"infinite for {infinite} of {len(values)} images (equal to the target), which the mean leaves out"
            )
        if not finite:
            return Summary(math.inf, None, len(known)), f"infinite for all {len(known)} images: equal to the target"
        mean = math.fsum(finite) / len(finite)
        spread = math.fsum((value - mean) ** 2 for value in finite)
        std = math.sqrt(spread / (len(finite) - 1)) if len(finite) > 1 else None
        return Summary(mean, std, len(finite)), "; ".join(remarks)
