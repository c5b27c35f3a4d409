"""A model on whole test images: what it makes of them, measured against two trivial translations."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from crossband.recipes.basics.progress import followed
from crossband.recipes.data.loader import Geometry, Scenes, collate
from crossband.recipes.data.opening import scenes_of
from crossband.recipes.kinds.source import Box, DataError, Source
from crossband.recipes.language.columns import check_costs
from crossband.recipes.language.papers import differing
from crossband.recipes.metrics.baselines import Baseline, MeanTarget, grey_copy, measured_baselines
from crossband.recipes.metrics.comparable import Conditions
from crossband.recipes.metrics.evaluation import Evaluation, declared
from crossband.recipes.metrics.metrics import DEFAULT
from crossband.recipes.metrics.regions import INSIDE
from crossband.recipes.metrics.results import Results
from crossband.recipes.model.cost import cost_of
from crossband.recipes.model.looking import Looked, divided, look_inside
from crossband.recipes.model.task import Task, Trained

MEAN_OF = 500  # training images of which the mean image is made


@dataclass(frozen=True)
class TestImages:
    """The images to measure: a split of a source. Those that are not of the run are called by their place, `given`.

    `own` says that the mean image is that of the source's training images, `whole` that all images of a place are
    measured by no rule of the recipe, `limit` that only so many of them are.
    """

    source: Source
    split: str
    given: str | None = None
    own: bool = True
    whole: bool = False
    limit: int | None = None


class Scored(NamedTuple):
    """One image: input, result and target `1 c h w` in [0, 1], name, boxes; `source` is the first of the `inputs`."""

    inputs: Mapping[str, Tensor]
    output: Tensor
    target: Tensor
    name: str
    boxes: Sequence[Box] = ()

    @property
    def source(self) -> Tensor:
        """The input, of several bands the first."""
        return next(iter(self.inputs.values()))


def whole_scenes(task: Task, source: Source, split: str | None = None) -> Scenes:
    """Test images, resized as `evaluate.load` says; where it says nothing and training resizes, to `data.size`.

    They stay whole, unless `evaluate.size` is a window to cut out of their middle.
    """
    channels = {band: task.channels[band] for band in (*task.sources, task.target)}
    options: dict[str, Any] = {"channels": channels, "bands": task.bands}
    return scenes_of(
        source,
        split or task.evaluate.split,
        task.data,
        Geometry(load=task.load, size=task.evaluate.size, crop="centre"),
        **options,
    )


def score(model: Trained, scenes: Scenes, numbers: Iterable[int]) -> Iterator[Scored]:
    """The scenes of these numbers, one by one."""
    task = model.task
    low, high = task.data.range
    for index in numbers:
        batch = collate([scenes[index]])
        bands = {name: value.to(model.device) for name, value in batch.items() if isinstance(value, Tensor)}
        height, width = bands[task.source].shape[-2:]
        model.check_size(height, width)
        result = (model.predict(bands).float() - low) / (high - low)
        unit = {band: ((bands[band] - low) / (high - low)).clamp(0, 1) for band in (*task.sources, task.target)}
        inputs = {band: unit[band] for band in task.sources}
        yield Scored(inputs, result, unit[task.target], batch["name"][0])


def columns_of(shown: Sequence[Scored], outputs: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """The images `c h w` of a picture by the heading of their column: a column for each input, outputs, and target."""
    bands = list(shown[0].inputs)
    inputs = {"input" if len(bands) == 1 else band: [each.inputs[band][0] for each in shown] for band in bands}
    return {**inputs, **outputs, "target": [each.target[0] for each in shown]}


def measure(
    model: Trained,
    images: TestImages,
    mean: MeanTarget | None = None,
    *,
    metrics: Sequence[str] | None = None,
    cost: Sequence[str] | None = None,
    inside: Sequence[str] | None = None,
    by: str | None = None,
    notes: Sequence[str] = (),
    silent: bool = False,
) -> Results:
    """What a model makes of images, with the trivial translations and the figures of the paper.

    `cost` are figures of cost at the most frequent size of the images, `inside` labels of boxes, and `by` is one of
    scenes; without them, those that the recipe names. `mean` is the baseline of the mean training image, if there is
    one; `notes` are told beside the figures.
    """
    task, device = model.task, model.device
    names = [metrics] if isinstance(metrics, str) else metrics
    printed = (name for paper in task.papers for name in paper.values)  # what stands beside it is measured, too
    chosen = tuple(names or task.evaluate.metrics or dict.fromkeys((*DEFAULT, *printed)))
    named = check_costs(task.evaluate.cost if cost is None else cost)
    scenes = whole_scenes(task, images.source, images.split)
    count = min(images.limit or len(scenes), len(scenes))
    looked, subsets, told = _told(task, scenes, scenes.names[:count], inside, by)
    if looked and not any(declared(name).boxes for name in chosen):
        chosen += INSIDE
    evaluation, sizes = Evaluation(chosen, device), Counter[tuple[int, int]]()
    for each in followed(score(model, scenes, range(count)), "evaluate", count, silent=silent):
        size = (each.target.shape[-2], each.target.shape[-1])
        evaluation.update(each.output, each.target, [each.name], each.source, looked and looked.mask(each.name, *size))
        sizes[size] += 1
    baselines: dict[str, Baseline] = {"grey copy": grey_copy} | ({"mean image": mean} if mean else {})
    again = followed(_trivial(task, scenes, count, device, looked), "baselines", count, silent=silent)
    measured = {task.name: evaluation} | measured_baselines(baselines, again, chosen, device)
    conditions = Conditions(
        bands=f"{task.source} to {task.target}",
        images=f"`{images.split}` of {images.given or task.data.source}",
        size="x".join(map(str, next(iter(sizes)))) if len(sizes) == 1 else "of several sizes",
        channels=" and ".join(f"{task.channels[band]} of {band}" for band in (task.source, task.target)),
    )
    where, papers = images.given, task.papers
    if where:
        papers = [differing(paper, f"it was measured on {where}") for paper in papers]
    if images.whole:
        part = "All" if count == len(scenes) else f"The first {count} of"
        notes = [f"{part} {len(scenes)} image{'s' * (len(scenes) > 1)} of {where} are measured.", *notes]
    found = cost_of(model, sizes.most_common(1)[0][0], named) if named else None
    tables = {name: each.table() for name, each in measured.items()}
    parts = {
        value: Results.of({name: each.table({*own}) for name, each in measured.items()}, conditions=conditions)
        for value, own in subsets.items()
    }
    whole = Results.of(tables, papers, [*notes, *told], conditions, found)
    return replace(whole, by=by or task.evaluate.by or "", subsets=parts) if parts else whole


def _told(
    task: Task, scenes: Scenes, names: Sequence[str], inside: Sequence[str] | None, by: str | None
) -> tuple[Looked | None, Mapping[str, Sequence[str]], tuple[str, ...]]:
    """The boxes to look into, the scenes of each subset, and notes on both.

    What is asked for and not there is an error; what the recipe alone asks for is a note: a run has been trained then.
    """
    looked, subsets, notes = None, dict[str, list[str]](), list[str]()
    try:
        if labels := inside or task.evaluate.inside:
            looked = look_inside(scenes, names, [labels] if isinstance(labels, str) else labels)
            notes += looked.notes
    except DataError as error:
        if inside:
            raise
        notes.append(f"Nothing was measured inside of boxes: {error.message}.")
    try:
        if label := by or task.evaluate.by:
            subsets = divided(scenes, names, label)
            if left := len(names) - sum(map(len, subsets.values())):
                notes.append(
                    f"{left:,} of {len(names):,} images say no `{label}`: they are in the figures of all alone."
                )
    except DataError as error:
        if by:
            raise
        notes.append(f"There are no subsets: {error.message}.")
    return looked, subsets, tuple(notes)


def _trivial(
    task: Task, scenes: Scenes, count: int, device: torch.device, looked: Looked | None
) -> Iterator[tuple[Tensor, Tensor, list[str], Tensor | None]]:
    """Input, target, name and boxes of each image again: read twice, since a test set may not fit into memory."""
    low, high = task.data.range
    for index in range(count):
        item = scenes[index]
        source, target = (((item[band] - low) / (high - low)).clamp(0, 1) for band in (task.source, task.target))
        inside = looked and looked.mask(item["name"], *target.shape[-2:])
        yield source[None].to(device), target[None].to(device), [item["name"]], inside


def mean_target(task: Task, source: Source, band: str | None = None) -> MeanTarget:
    """The mean image of a training set, of the target band unless another is asked for."""
    return MeanTarget(_images(task, source, band or task.target))


def _images(task: Task, source: Source, band: str) -> Iterator[Tensor]:
    """Images of a band of the training set in [0, 1], at most MEAN_OF of them spread evenly over it."""
    unit = replace(task, data=replace(task.data, range=(0.0, 1.0)))
    scenes = whole_scenes(unit, source, "train")
    for index in range(0, len(scenes), max(1, len(scenes) // MEAN_OF)):
        yield scenes[index][band][None]
