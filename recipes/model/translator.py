"""Trained weights as a function of images: any size, any number of channels, whole or in tiles."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs.building.build import build
from crossband.graphs.checking.checker import check as check_graph
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.plans.image_size import nearest, size_text, symbols_at
from crossband.graphs.plans.plan import Plan
from crossband.graphs.plans.receptive import receptive_fields
from crossband.recipes.data.images import LUMINANCE
from crossband.recipes.language.checker import check as check_recipe
from crossband.recipes.language.experiment import Experiment, depends
from crossband.recipes.language.flow import Value
from crossband.recipes.model.as_trained import keep_training
from crossband.recipes.model.padding import crop, pad, padded_size
from crossband.recipes.model.scoring import predict
from crossband.recipes.model.tiles import TileError, run_tiled
from crossband.recipes.model.weights import CheckpointError, load_network, load_weights, put_weights
from crossband.recipes.training.folder import RECIPE, WEIGHTS
from crossband.registry import CrossbandError, suggest

Range = tuple[float, float]


@dataclass(frozen=True)
class Translator:
    """Translates images: `b c h w` in [0, 1], c = 1 or 3, to `b k h w` in [0, 1], k as the network gives.

    A grey image is repeated where the network takes colour, a colour image reduced to its luminance (Rec. 601) where
    it takes grey. Any height and width: images are padded by reflection to what `plans` admit, and cropped back.

    `name` says what translates, `channels` what it takes, `range` are the numbers that stand for 0 and 1 in the
    network, `scale` those that do in image files where the data of the run declared them. With `tile` (height and
    width) larger images go through in tiles that share `overlap` pixels, `batch` tiles at once. See `load`.
    """

    name: str
    compute: Callable[[Tensor], Tensor]
    plans: tuple[Plan, ...]
    channels: int
    range: Range
    scale: Range | None
    device: torch.device
    tile: tuple[int, int] | None = None
    overlap: int = 0
    batch: int = 1

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """Translate a batch, on the device of the translator; the result is on that of `image`.

        Raises SizeError where no padding helps, CrossbandError where the device has too little memory.
        """
        low, high = self.range
        image = with_channels(image, self.channels) * (high - low) + low
        try:
            result = self._tiled(image) if self.tile else self._whole(image)
        except torch.OutOfMemoryError:
            size = "x".join(map(str, image.shape[-2:]))
            hint = "take smaller tiles, or fewer at once" if self.tile else "`--tile 512`, or fewer at once"
            raise CrossbandError(f"{self.device} has too little memory for {size} pixels", hint=hint) from None
        return ((result - low) / (high - low)).clamp(0, 1)

    def _whole(self, image: Tensor) -> Tensor:
        return self.compute(image.to(self.device)).float().to(image.device)

    def _tiled(self, image: Tensor) -> Tensor:
        assert self.tile is not None
        step = math.lcm(*(plan.sizes.multiple for plan in self.plans))  # so that strided networks see one phase
        return run_tiled(
            self._whole,
            image,
            tile=self.tile,
            overlap=self.overlap,
            batch=self.batch,
            step=step if self.overlap <= min(self.tile) - step else 1,
            radius=sum(max(receptive_fields(plan).values()) - 1 for plan in self.plans),
        )

    def tiled(self, tile: tuple[int, int], overlap: int | None = None, batch: int = 1) -> "Translator":
        """The same in tiles; the overlap is a quarter of the tile unless it is given.

        Raises TileError, naming the nearest size, if the network does not take such tiles or the overlap is too large.
        """
        for plan in self.plans:
            _admit(plan, *tile)
        most = min(tile) - 1
        overlap = min(tile) // 4 if overlap is None else overlap
        if not 0 <= overlap <= most:
            size = "x".join(map(str, tile))
            raise TileError(f"tiles of {size} cannot overlap by {overlap}", hint=f"choose from 0 to {most}")
        return replace(self, tile=tile, overlap=overlap, batch=batch)

    def check_size(self, height: int, width: int) -> None:
        """Raise SizeError if no padding makes an image of this size one that can be translated."""
        high, wide = self.tile or (height, width)
        padded_size(self.plans, min(height, high), min(width, wide))


def load(path: str | os.PathLike[str], network: str | None = None, device: str = "auto") -> Translator:
    """The translator that a run folder or a weights file holds.

    A run folder translates as its recipe does, or with `network` as that one of its networks does. A weights file
    in a run folder is that network of the run; a weights file anywhere else is all that is needed.

    Raises CheckpointError if there are no such weights, or if they do not make images from images.
    """
    path, place = Path(path), choose_device(device)
    if path.is_dir():
        return _of_run(path, network, place)
    if network is not None and path.is_file():
        raise CheckpointError(f"{path}: holds one network", hint="a network is chosen from a run folder")
    run = run_of(path)
    return _of_run(run, path.stem, place) if run else _of_weights(path, place)


def run_of(path: Path) -> Path | None:
    """The run folder that a path is, or whose weights file it is; None if there is no such run."""
    inside = path.is_file() and path.parent.name == WEIGHTS
    folder = path.parent.parent if inside else path
    return folder if (folder / RECIPE).is_file() else None


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is a CUDA device, else Apple's, else the CPU. Raises CrossbandError."""
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in usable.items() if there))
    if not usable.get(name):
        there = ", ".join(f"`{kind}`" for kind, there in usable.items() if there)
        raise CrossbandError(f"there is no device `{name}` here", hint=f"choose from `auto`, {there}")
    return torch.device(name)


def with_channels(image: Tensor, channels: int) -> Tensor:
    """`b c h w` with another number of channels: grey repeated, colour reduced to its Rec. 601 luminance."""
    if channels == 1 and image.shape[1] == 3:
        return (image * torch.from_numpy(LUMINANCE).to(image)[:, None, None]).sum(1, keepdim=True)
    return image.expand(-1, channels, -1, -1)


# ---------------------------------------------------------------------- from a run


def _of_run(folder: Path, network: str | None, device: torch.device) -> Translator:
    if not (folder / RECIPE).is_file():
        raise CheckpointError(f"{folder}: no run: it has no `{RECIPE}`")
    experiment = check_recipe(folder / RECIPE)
    known = _calls(experiment)
    if network is not None:
        experiment = _alone(experiment, network, known, folder)
    recipe, used = experiment.recipe, sorted(depends(experiment.result, experiment.plans))
    if {part.name for part in experiment.result.walk() if part.kind == "name"} != {recipe.source}:
        choice = f"choose a network: {', '.join(f'`{name}`' for name in known)}" if known else "it cannot be translated"
        message = f"{folder}: the result `{experiment.result}` needs more than the {recipe.source} image"
        raise CheckpointError(f"{message}", hint=choice)
    networks = {name: _network(experiment, name, folder).to(device) for name in used}
    return Translator(
        name=str(experiment.result),
        compute=lambda image: predict(experiment, networks, {recipe.source: image}),
        plans=tuple(experiment.plans[name] for name in used),
        channels=experiment.bands[recipe.source],
        range=recipe.data.range,
        scale=recipe.data.scale.get(recipe.source),
        device=device,
    )


def _network(experiment: Experiment, name: str, folder: Path) -> nn.Module:
    """One network of a run with its last weights. Only what translates is loaded: no critics, nothing of training."""
    network = build(experiment.plans[name], taps=experiment.taps.get(name, ()), seed=0)
    file = folder / WEIGHTS / f"{name}.safetensors"
    put_weights(network, load_weights(file), file)
    if experiment.recipe.networks[name].test == "training":
        keep_training(network, experiment.recipe.seed)
    return network.eval()


def _calls(experiment: Experiment) -> dict[str, Value]:
    """The networks of a recipe that make images from the images of one band, and the calls in which they do."""
    parts = (part for value in experiment.recipe.flow.values() for part in value.walk() if part.kind == "call")
    return {
        part.name: part
        for part in parts
        if part.name in experiment.plans
        and _image_to_image(experiment.plans[part.name])
        and [(operand.kind, operand.name in experiment.bands) for operand in part.operands] == [("name", True)]
    }


def _alone(experiment: Experiment, name: str, known: Mapping[str, Value], folder: Path) -> Experiment:
    """The experiment with one network as its result, on the band that the flow gives it."""
    if name not in known:
        what = "makes no image from an image" if name in experiment.plans else "is none of the run"
        raise CheckpointError(f"{folder}: the network `{name}` {what}", hint=suggest(name, known))
    if depends(experiment.result, experiment.plans) == {name}:  # which may be another output than the first
        return experiment
    recipe = replace(experiment.recipe, source=known[name].operands[0].name)
    return replace(experiment, recipe=recipe, result=known[name])


# ---------------------------------------------------------------------- from a file


def _of_weights(path: Path, device: torch.device) -> Translator:
    weights, network = load_weights(path), load_network(path).to(device)
    problems = Problems()
    graph = Resolver(problems).load_text(weights.graph, file=f"{path} (graph)")
    problems.raise_if_any()
    assert graph is not None
    plan = check_graph(graph)
    if not _image_to_image(plan):
        raise CheckpointError(f"{path}: the network `{graph.name}` makes no image from an image")

    def compute(image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        result = network(pad(image, *padded_size([plan], height, width)))
        return crop(result if isinstance(result, Tensor) else next(iter(result.values())), height, width)

    channels = next(iter(graph.inputs.values()))[0]
    low, high = weights.facts.get("range", (0.0, 1.0))
    name = weights.facts.get("network", graph.name)
    scale = (weights.facts.get("scale") or {}).get((weights.facts.get("task") or {}).get("from"))
    return Translator(name, compute, (plan,), channels, (low, high), (scale[0], scale[1]) if scale else None, device)


def _image_to_image(plan: Plan) -> bool:
    """Whether a network takes one image and gives, as its first output, one of the same size."""
    taken, given = list(plan.inputs.values()), plan.shape(next(iter(plan.outputs.values())))
    if len(taken) != 1 or taken[0][1] not in (1, 3) or given[1] not in (1, 3):
        return False
    numbers = nearest(plan, 96, 160)
    return [evaluate(size, numbers) for size in given[2:]] == [evaluate(size, numbers) for size in taken[0][2:]]


def _admit(plan: Plan, height: int, width: int) -> None:
    """Raise TileError, naming the nearest size, if tiles of this size do not pass through a network."""
    size, closest = f"{height}x{width}", size_text(plan, nearest(plan, height, width))
    if closest != size or not plan.sizes.admits(**symbols_at(plan, height, width)):
        raise TileError(
            f"tiles of {size} do not pass through `{plan.graph.name}`: {plan.sizes}",
            hint=f"the nearest size is {closest}",
        )
