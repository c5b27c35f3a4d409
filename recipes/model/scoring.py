"""The result of a recipe on whole test images: computed by the flow itself, measured beside what is trivial."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crossband import registry
from crossband.recipes.basics.progress import followed
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.loader import Geometry, Scenes, collate
from crossband.recipes.kinds.source import Source
from crossband.recipes.language.experiment import Experiment, depends
from crossband.recipes.language.functions import make_functions
from crossband.recipes.metrics.baselines import MeanTarget, evaluate_baselines, grey_copy
from crossband.recipes.metrics.evaluation import Evaluation, Table
from crossband.recipes.metrics.metrics import DEFAULT
from crossband.recipes.model.flow_tensors import FlowTensors
from crossband.recipes.model.padding import SizeError, crop, pad, padded_size

MEAN_OF = 500  # training images of which the mean image is made


class Scored(NamedTuple):
    """One image: input, result and target `1 c h w` in [0, 1], and its name."""

    source: Tensor
    output: Tensor
    target: Tensor
    name: str


def open_source(experiment: Experiment) -> Source:
    """The data of a recipe. Raises DataError naming everything that is wrong with it."""
    data = experiment.recipe.data
    return registry.sources[data.source].factory(**data.arguments)


def training_scenes(experiment: Experiment, source: Source) -> Scenes:
    """What training sees of the data."""
    recipe = experiment.recipe
    geometry = Geometry(**recipe.data.geometry)
    return _scenes(experiment, source, "train", geometry, pairing=recipe.pairing, seed=recipe.seed)


def whole_scenes(experiment: Experiment, source: Source, split: str | None = None) -> Scenes:
    """Whole images, resized as `evaluate.load` says; where it says nothing and training resizes, to `data.size`."""
    recipe, data = experiment.recipe, experiment.recipe.data
    load = recipe.evaluate.load or (data.geometry.get("size") if "load" in data.geometry else None)
    return _scenes(experiment, source, split or recipe.evaluate.split, Geometry(load=load))


def _scenes(experiment: Experiment, source: Source, split: str, geometry: Geometry, **options: Any) -> Scenes:
    data = experiment.recipe.data
    if data.cache:
        source = Cached(source, Path(data.cache), geometry.load)
    return Scenes(source, split, geometry=geometry, range=data.range, channels=data.channels, **options)


def predict(experiment: Experiment, networks: Mapping[str, nn.Module], batch: Mapping[str, Any]) -> Tensor:
    """The result for a batch of the recipe's input, in the range of its images: padded to fit, and cropped back.

    The networks are used in the mode they are in. Raises SizeError where the result has another size.
    """
    recipe = experiment.recipe
    height, width = batch[recipe.source].shape[-2:]
    plans = [experiment.plans[name] for name in sorted(depends(experiment.result, experiment.plans))]
    size = padded_size(plans, height, width)
    bands = {name: pad(value, *size) for name, value in batch.items() if isinstance(value, Tensor)}
    functions = make_functions([experiment.result], lambda _: 0)
    with torch.no_grad():
        result = FlowTensors(experiment, networks, functions, bands).get(experiment.result)
    if tuple(result.shape[-2:]) != size:
        raise SizeError(f"the result is {result.shape[-2]}x{result.shape[-1]} for an image of {size[0]}x{size[1]}")
    return crop(result, height, width)


def score(
    experiment: Experiment, networks: Mapping[str, nn.Module], scenes: Scenes, numbers: Iterable[int]
) -> Iterator[Scored]:
    """The scenes of these numbers, one by one."""
    recipe, device = experiment.recipe, device_of(networks)
    low, high = recipe.data.range
    for index in numbers:
        batch = collate([scenes[index]])
        bands = {name: value.to(device) for name, value in batch.items() if isinstance(value, Tensor)}
        output = predict(experiment, networks, bands).float()
        images = (bands[recipe.source], output, bands[recipe.target])
        source, result, target = ((image - low) / (high - low) for image in images)
        yield Scored(source.clamp(0, 1), result, target.clamp(0, 1), batch["name"][0])


def measure(
    experiment: Experiment,
    networks: Mapping[str, nn.Module],
    source: Source,
    *,
    split: str | None = None,
    metrics: Sequence[str] | None = None,
    silent: bool = False,
) -> dict[str, Table]:
    """Tables of the result and of the two trivial baselines on the images of a split, by the name of each system."""
    recipe = experiment.recipe
    chosen = tuple(metrics or recipe.evaluate.metrics or DEFAULT)
    scenes, device = whole_scenes(experiment, source, split), device_of(networks)
    count = min(recipe.evaluate.images or len(scenes), len(scenes))
    evaluation = Evaluation(chosen, device)
    for each in followed(score(experiment, networks, scenes, range(count)), "evaluate", count, silent=silent):
        evaluation.update(each.output, each.target, [each.name], each.source)
    baselines = {"grey copy": grey_copy, "mean image": MeanTarget(_targets(experiment, source))}
    again = followed(_trivial(experiment, scenes, count, device), "baselines", count, silent=silent)
    return {recipe.name: evaluation.table()} | evaluate_baselines(baselines, again, chosen, device)


def device_of(networks: Mapping[str, nn.Module]) -> torch.device:
    """Where the networks are."""
    weights = (parameter for network in networks.values() for parameter in network.parameters())
    return next((parameter.device for parameter in weights), torch.device("cpu"))


def _trivial(
    experiment: Experiment, scenes: Scenes, count: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
    """Input, target and name of each image again: read twice, since a test set may not fit into memory."""
    recipe = experiment.recipe
    low, high = recipe.data.range
    for index in range(count):
        item = scenes[index]
        source, target = (((item[band] - low) / (high - low)).clamp(0, 1) for band in (recipe.source, recipe.target))
        yield source[None].to(device), target[None].to(device), [item["name"]]


def _targets(experiment: Experiment, source: Source) -> Iterator[Tensor]:
    """Targets of the training set in [0, 1], at most MEAN_OF of them spread evenly over it."""
    target = experiment.recipe.target
    unit = replace(experiment.recipe, data=replace(experiment.recipe.data, range=(0.0, 1.0)))
    scenes = whole_scenes(replace(experiment, recipe=unit), source, "train")
    for index in range(0, len(scenes), max(1, len(scenes) // MEAN_OF)):
        yield scenes[index][target][None]
