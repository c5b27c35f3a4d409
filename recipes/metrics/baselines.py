"""The two trivial predictions that a trained network must beat.

A grey copy of the input, and the mean target of the training set. Infrared generators are often no
better than the first ("only a grey copy"), and on a fixed camera the second is hard to beat. A
baseline is called as `baseline(source, channels)`: a batch `b c h w` in [0, 1] gives a batch
`b channels h w` in [0, 1]. Nothing here reads files or prints.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from crossband.recipes.basics.colour import luminance
from crossband.recipes.metrics.evaluation import Evaluation, Table
from crossband.recipes.metrics.metrics import DEFAULT
from crossband.registry import CrossbandError


class Baseline(Protocol):
    """A prediction that needs no network."""

    def __call__(self, source: Tensor, channels: int) -> Tensor:
        """Predict `b channels h w` from `b c h w`, both in [0, 1]."""
        ...


def grey_copy(source: Tensor, channels: int) -> Tensor:
    """The luminance (Rec. 601) of each input, repeated in every channel: `b c h w -> b channels h w`."""
    return luminance(source).repeat(1, channels, 1, 1)


class MeanTarget:
    """The mean of the targets of a training set, resized to the size of each input.

    `targets` are batches `b c h w` in [0, 1]; all are first resized to the size of the first, with
    an area filter. Reads them once and keeps one image. Raises CrossbandError if there are none, or
    if their channels differ.
    """

    def __init__(self, targets: Iterable[Tensor]) -> None:
        total, count = None, 0
        for batch in targets:
            if total is None:
                total = torch.zeros(1, *batch.shape[1:], dtype=torch.float64, device=batch.device)
            if batch.shape[1] != total.shape[1]:
                raise CrossbandError(f"the training set mixes {total.shape[1]} and {batch.shape[1]} channels")
            total += _resize(batch, total.shape[-2:]).double().sum(0, keepdim=True)
            count += len(batch)
        if total is None or count == 0:
            raise CrossbandError("the training set is empty: it has no mean image")
        self.mean = (total / count).float()

    @classmethod
    def kept(cls, mean: Tensor) -> "MeanTarget":
        """The baseline of a mean image `c h w` in [0, 1] that was worked out before."""
        return cls([mean[None]])

    def __call__(self, source: Tensor, channels: int) -> Tensor:
        """The mean image for each input: `b c h w -> b channels h w`."""
        if self.mean.shape[1] != channels:
            raise CrossbandError(f"the mean image has {self.mean.shape[1]} channels, not {channels}")
        mean = _resize(self.mean.to(source.device), source.shape[-2:])
        return mean.expand(len(source), -1, -1, -1)


def _resize(images: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images.float(), tuple(size), mode="bilinear", align_corners=False, antialias=True)


def evaluate_baselines(
    baselines: Mapping[str, Baseline],
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]],
    metrics: Sequence[str] = DEFAULT,
    device: torch.device | str = "cpu",
) -> dict[str, Table]:
    """Measure each baseline on the same `(source, target, names)` batches, in one pass over them."""
    whole = ((*batch, None) for batch in batches)
    return {name: each.table() for name, each in measured_baselines(baselines, whole, metrics, device).items()}


def measured_baselines(
    baselines: Mapping[str, Baseline],
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str], Tensor | None]],
    metrics: Sequence[str],
    device: torch.device | str,
) -> dict[str, Evaluation]:
    """The same, before it is summed up, of `(source, target, names, inside)`; see `Evaluation.update`."""
    evaluations = {name: Evaluation(metrics, device) for name in baselines}
    for source, target, names, inside in batches:
        for name, baseline in baselines.items():
            evaluations[name].update(baseline(source, target.shape[1]), target, names, source, inside)
    return evaluations
