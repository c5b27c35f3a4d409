"""A trained model: one object that translates images, files and folders, and is measured."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from crossband.graphs.language.serial import digest
from crossband.graphs.language.syntax import Graph
from crossband.graphs.plans.admissible import SizeRule
from crossband.graphs.plans.plan import Plan
from crossband.recipes.basics.colour import with_channels
from crossband.recipes.basics.files import check_unlocked
from crossband.recipes.data.images import ImageError, at_most
from crossband.recipes.language.functions import make_functions
from crossband.recipes.language.syntax import Recipe
from crossband.recipes.metrics.results import Results
from crossband.recipes.model.evaluating import measure
from crossband.recipes.model.flow_tensors import FlowTensors
from crossband.recipes.model.forms import by_band, counted, like, read_batch, to_batch
from crossband.recipes.model.inputs import apart, inputs_of, side_by_side
from crossband.recipes.model.inspecting import Inspection, View, chosen, look, views_of
from crossband.recipes.model.jobs import jobs_of, jobs_of_bands
from crossband.recipes.model.memory import TooLarge, check_memory, on_images
from crossband.recipes.model.padding import SizeError, crop, pad, padded_size
from crossband.recipes.model.task import Origin, Range, Task
from crossband.recipes.model.test_images import images_of, mean_of
from crossband.recipes.model.tiles import Tiling, run_tiled, tiling_of
from crossband.recipes.model.translation import Bits, Translated, output_of, places_of, translate_files
from crossband.recipes.model.weights import CheckpointError
from crossband.registry import CrossbandError

EMPTY: Mapping[str, str] = MappingProxyType({})


class Model(nn.Module):
    """A trained model, made by `crossband.load`: `model(image)` translates an image of any size.

    The networks are in evaluation mode and take no gradients; any number of threads may call the model at once. It
    moves with `.to(device)`. `.compile()` compiles its networks, and what is around them, which is Python, stays as it
    is; `torch.compile(model)` goes through that, too, to the same end. It is pickled by its files: what is stored is
    where they are.

    `networks` are those that the translation is computed with, as ordinary modules by name, which take and give
    images in the range of their training. `recipe` is None for weights that lie in no run.
    """

    def __init__(
        self,
        task: Task,
        networks: Mapping[str, nn.Module],
        *,
        recipe: Recipe | None = None,
        origin: Origin | None = None,
    ) -> None:
        super().__init__()
        self.task, self.recipe, self.origin = task, recipe, origin
        self.networks: Mapping[str, nn.Module] = MappingProxyType({name: networks[name] for name in task.plans})
        self._fitting: list[tuple[int, int, int]] = []  # batch, height and width for which there is memory
        self._registered = nn.ModuleList(self.networks.values())  # under no name, which might be one of torch's own

    # ------------------------------------------------------------------ what it is

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @property
    def graph(self) -> Graph:
        """The resolved graph of its network. Raises CrossbandError where it has several."""
        return self._plan.graph

    @property
    def size_rule(self) -> SizeRule:
        """Which image sizes its network takes as they are. Raises CrossbandError where it has several.

        The model itself takes any size: it pads images by reflection to what the network admits, and crops back.
        """
        return self._plan.sizes

    @property
    def digest(self) -> str:
        """The hash of its graph; of several networks, theirs in the order of their names."""
        return " ".join(digest(plan.graph) for plan in self.task.plans.values())

    def __repr__(self) -> str:
        task, count = self.task, sum(parameter.numel() for parameter in self.parameters())
        gives = task.target or "an image"
        return f"<Model {task.name}: {task.result} gives {gives}, {count:,} parameters, on {self.device}>"

    # ------------------------------------------------------------------ images

    @torch.no_grad()
    def forward(
        self,
        image: Any,
        *,
        counts: bool = False,
        tile: int | tuple[int, int] | None = None,
        overlap: int | None = None,
        batch: int = 1,
    ) -> Any:
        """Translate an image of any size; what is given back is of the same kind.

        - An array `h w` or `h w c` gives an array of its type: uint8; uint16; float32 for floating-point numbers in
          [0, 1]. Values of whole numbers are on the scale that the data of the run declared, else on the full scale.
        - A picture of Pillow gives a picture: `L` or `RGB`, and `I;16` where that came.
        - A tensor `c h w` or `b c h w` of floating-point numbers in [0, 1] gives one on its device.
        - A model of several bands takes a mapping, `{"visible": ..., "near": ...}`, of images of one size; what is
          given back is of the kind of the first.

        With `counts` the result is in the units of the images of training (counts of a sensor, kelvin), on the `range`
        that their data declared and in their type: an array, or of a tensor a tensor.

        A grey image is repeated where the networks take colour, a colour image reduced to its luminance (Rec. 601)
        where they take grey and training took colours for it. A warning says where numbers are of another type than
        in training, and where most of an image lies outside of the declared scale. With `tile` (one number, or height
        and width), a larger image goes through in tiles that share `overlap` pixels, by default a quarter, `batch` of
        them at once.

        Raises ImageError for what is no such image, SizeError where no padding helps, TileError where the networks
        take no such tiles, CheckpointError where the result needs more than one image.
        """
        task = self.task
        tiling = tiling_of(task.plans.values(), tile, overlap)
        output = output_of(task, None, counts)
        images = by_band(image, task)
        image = images[task.source]
        together = side_by_side(task, [to_batch(images[wanted.band], wanted) for wanted in inputs_of(task)])
        result = self.compute(together, tiling, batch)
        if output.scale is not None:
            return counted(image, result, output.scale, output.type)
        return like(image, result, task.scale(task.target))

    def compute(self, images: Tensor, tiling: Tiling | None = None, batch: int = 1) -> Tensor:
        """Translate `b c h w` in [0, 1], c = 1 or 3, to `b k h w` in [0, 1], k as the networks give, on one device.

        Of several bands the images are side by side, each with the channels that the networks take.
        """
        task, (low, high) = self.task, self.task.data.range
        if task.reads != {*task.sources}:
            bands = " and ".join(task.sources)
            hint = f"a recipe that says `from: [{', '.join(sorted(task.reads))}]` in its `task` is given these"
            message = f"{self._words}: the result `{task.result}` needs more than the {bands} image"
            raise CheckpointError(message, hint=None if task.target in task.reads else hint)
        self.check_size(images.shape[-2], images.shape[-1], tiling, batch if tiling else len(images))
        one = len(task.sources) == 1
        inside = (with_channels(images, task.channels[task.source]) if one else images) * (high - low) + low
        try:
            result = run_tiled(self._whole, inside, batch=batch, **tiling._asdict()) if tiling else self._whole(inside)
        except torch.OutOfMemoryError:
            size = "x".join(map(str, images.shape[-2:]))
            hint = (
                "take smaller tiles, or fewer at once"
                if tiling
                else "take tiles (`tile`, `--tile 512`), or fewer at once"
            )
            raise CrossbandError(f"{self.device} has too little memory for {size} pixels", hint=hint) from None
        return ((result - low) / (high - low)).clamp(0, 1)

    def predict(self, bands: Mapping[str, Tensor]) -> Tensor:
        """The result `b c h w` for images of bands in the range of training, where the networks are.

        Images are padded to what the networks admit, the result is cropped back. Raises SizeError where it has
        another size.
        """
        task, weight = self.task, next(self.parameters(), None)
        height, width = bands[task.source].shape[-2:]
        size = padded_size(task.plans.values(), height, width)
        padded = {name: pad(image if weight is None else image.to(weight), *size) for name, image in bands.items()}
        functions = make_functions([task.result], lambda _: 0)
        with torch.no_grad():
            result = FlowTensors(task.plans, self.networks, functions, padded).get(task.result)
        if tuple(result.shape[-2:]) != size:
            raise SizeError(f"the result is {result.shape[-2]}x{result.shape[-1]} for an image of {size[0]}x{size[1]}")
        return crop(result, height, width)

    def views(self) -> dict[str, View]:
        """What can be seen inside, by name: outputs of nodes, `NODE.OUTPUT`, and inner maps of blocks, `NODE.MAP`."""
        return views_of(self.task.plans, self.networks)

    def inspect(self, image: Any, at: str | Sequence[str], *, pixel: tuple[int, int] | None = None) -> Inspection:
        """See what happens inside while an image is translated: `crossband inspect`.

        `image` is in any form that calling the model takes, or a file; of a model of several bands, a mapping of them.
        `at` are names: of a node, whose inner maps are shown, or where it has none its output; of a tap or an output;
        or one of `views()`. `pixel` is the row and column of the image of which maps of places tell, such as those of
        attention; by default its middle. What the model computes is the same as without.

        The result is a mapping of names to tensors: maps `n h w` at their own size, numbers of channels `n`.
        Raises CrossbandError for an unknown name or pixel, ImageError for more than one image, SizeError, TooLarge.
        """
        views = chosen([at] if isinstance(at, str) else at, self.views(), self.task.plans)
        images = by_band(image, self.task)
        together = side_by_side(self.task, [read_batch(images[wanted.band], wanted) for wanted in inputs_of(self.task)])
        height, width = together.shape[-2:]
        if len(together) != 1:
            raise ImageError(f"one image is looked into at a time, got {len(together)}")
        row, column = pixel or (height // 2, width // 2)
        if not (0 <= row < height and 0 <= column < width):
            raise CrossbandError(f"the image of {height}x{width} has no pixel in row {row} and column {column}")
        try:
            self.check_size(height, width)
        except TooLarge as error:
            raise TooLarge(error.message, hint="an image is looked into as a whole: give a smaller one") from None
        low, high = self.task.data.range
        channels = self.task.channels
        one = len(self.task.sources) == 1
        inside = (with_channels(together, channels[self.task.source]) if one else together) * (high - low) + low
        weight = next(self.parameters(), inside)
        bands = {name: band.to(weight) for name, band in apart(self.task, inside).items()}
        values, result, size = look(self.task, self.networks, bands, views, (row, column))
        shown = ((result[0].float() - low) / (high - low)).clamp(0, 1)
        first = together[0] if one else together[0, : channels[self.task.source]]
        return Inspection(values, views, first, shown, size, (row, column))

    def check_size(self, height: int, width: int, tiling: Tiling | None = None, batch: int = 1) -> None:
        """Raise SizeError if no padding makes an image of this size, or its tiles, one that can be translated.

        Raises TooLarge where a `batch` of them takes more memory than there is.
        """
        high, wide = tiling.tile if tiling else (height, width)
        size = (min(height, high), min(width, wide))
        padded_size(self.task.plans.values(), *size)
        self._check_memory((batch, *size), tiled=tiling is not None)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile each network in place, as `torch.nn.Module.compile` does; what is around them stays Python."""
        for network in self.networks.values():
            network.compile(*args, **kwargs)

    # ------------------------------------------------------------------ files

    def translate(
        self,
        source: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
        target: str | os.PathLike[str],
        *,
        names: Mapping[str, str] = EMPTY,
        bits: Bits | None = None,
        counts: bool = False,
        suffix: str | None = None,
        range: Range | None = None,
        tile: int | tuple[int, int] | None = None,
        overlap: int | None = None,
        batch: int = 1,
        max_pixels: int | None = None,
        force: bool = False,
        silent: bool = False,
    ) -> Translated:
        """Translate an image file, or all image files in a folder and its subfolders: `crossband translate`.

        `target` is a file (PNG or TIFF by its ending) or a folder, in which images keep their subfolders and names
        and get the ending `suffix`, by default `.png`, for 32 bits `.tif`. `bits` is 8, 16, or 32 for float TIFF in
        [0, 1]; or with `counts` results are in the units of the images of training: counts of a sensor, kelvin, on the
        `range` that their data declared and in their type. `range` are the values of the files that stand for 0 and 1:
        by default those that the data of the run declared, else the full scale of 8 and 16 bits. `tile`, with
        `overlap`, translates larger images in parts. `batch` images of one size, or tiles, go through at once.
        `max_pixels` is how many an image may have, by default 2**26, 8192x8192: a larger one is refused before it is
        decoded. A file that is there is replaced with `force` only, an input never.

        A model of several bands is given a folder that has a subfolder for each, called as the band, or a mapping of
        bands to folders or files. Images of one name belong together; `names` has the patterns of names, as those of
        the data source `pairs`: `{"near": "{name}_nir"}`.

        Everything that can be known beforehand is checked before the first image is computed, and reported for all
        images at once. Raises TranslationError, and what calling the model raises. An image that cannot be decoded
        after all, or is no such image as training took, is left out, and named in an error at the end.
        """
        output = output_of(self.task, bits, counts)
        check_unlocked(Path(target))
        places = places_of(self.task, source)
        options: dict[str, Any] = {"suffix": suffix, "bits": output.bits, "force": force}
        if len(places) > 1 or names:
            jobs = jobs_of_bands(places, target, names=names, **options)
        else:
            jobs = jobs_of(places[self.task.source], target, **options)
        tiling = tiling_of(self.task.plans.values(), tile, overlap)
        folder = Path(target) if any(os.path.isdir(place) for place in places.values()) else None
        how: dict[str, Any] = {"output": output, "range": range, "tiling": tiling, "batch": batch, "silent": silent}
        with at_most(max_pixels):
            return translate_files(self, jobs, folder=folder, force=force, **how)

    def evaluate(
        self,
        data: Any = None,
        *,
        split: str | None = None,
        metrics: Sequence[str] | None = None,
        cost: Sequence[str] | None = None,
        inside: Sequence[str] | None = None,
        by: str | None = None,
        max_pixels: int | None = None,
        silent: bool = False,
    ) -> Results:
        """Measure the model on the images of a split, against two trivial translations: `crossband evaluate`.

        `data` are other images than those of the run: a folder, laid out as the recipe's data source has it, else as
        `pairs`, or a folder for each band, `{"visible": ..., "infrared": ...}`. All images of it are measured, beside
        the mean image of the run's own training set; with `split` those that the recipe's rule takes. Or they are a
        `Source`; or a list or torch dataset of pairs of images (mappings by band, too), all of which are measured. A
        mapping `{"train": ..., "test": ...}` of these also gives the images for the mean image. Without `data` they
        are those of the run: `split` is that of the recipe unless given, or `all`. `cost` is that of
        the recipe unless given, such as `["parameters", "latency"]`, see `crossband.recipes.model.cost`. Whole images
        are used; `max_pixels` is as in `translate`. Writes nothing.

        `inside=["person", "car"]` also measures inside the boxes of these labels, which the source must tell of,
        against the rest of each image; `by="subset"` also gives figures for each value of a label of the scenes, in
        `result.subsets`. Both are those of the recipe unless given.

        The result prints as the table of the command; `result["psnr"].mean` is one figure of it, `result.tables`
        are those of the model and of the baselines. Raises DataError, EvaluationError, SizeError.
        """
        if not self.task.target:
            message = f"{self._words}: cannot be evaluated by itself: it does not say what it translates to"
            hint = "evaluate the folder of its run, or say it: `--set 'task={from: visible, to: infrared}'`"
            raise CheckpointError(message, hint=hint)
        with at_most(max_pixels):
            images = images_of(self, data, split)
            mean, notes = mean_of(self, images)
            options: dict[str, Any] = {"metrics": metrics, "cost": cost, "inside": inside, "by": by, "notes": notes}
            return measure(self, images, mean, **options, silent=silent)

    def __reduce__(self) -> tuple[Any, ...]:
        from crossband.recipes.model.loading import load_again

        if self.origin is None:
            raise CheckpointError(f"{self!r} lies in no file, and a model is pickled by its files")
        return load_again, (*self.origin, str(self.device), self.digest)

    # ------------------------------------------------------------------ within

    @property
    def _words(self) -> str:
        """What errors call it: the path that it was loaded from."""
        return str(self.origin.path) if self.origin else self.task.name

    @property
    def _plan(self) -> Plan:
        """The plan of its only network."""
        if len(self.task.plans) != 1:
            names = ", ".join(f"`{name}`" for name in self.task.plans)
            hint = "`model.networks` has them, `model.task.plans` their graphs and size rules"
            raise CrossbandError(f"{self._words} translates by several networks: {names}", hint=hint)
        return next(iter(self.task.plans.values()))

    def _check_memory(self, size: tuple[int, int, int], *, tiled: bool) -> None:
        """Raise TooLarge if images of a size, batch, height and width, take more memory than there is."""
        if any(all(one >= other for one, other in zip(known, size, strict=True)) for known in self._fitting):
            return
        task, weight = self.task, next(self.parameters(), None)
        plans = on_images([task.result], task.sources, task.plans)
        tiles = "smaller tiles" if tiled else "tiles (`tile`, `--tile 512`)"
        hint = f"take {tiles}, or fewer at once; to measure, smaller images: `--set evaluate.load=512`"
        width = 4 if weight is None else weight.element_size()
        check_memory(plans, size, device=self.device, hint=hint, width=width)
        self._fitting.append(size)

    def _whole(self, image: Tensor) -> Tensor:
        """The result in float32 on the device of `image`, all of which goes through at once."""
        return self.predict(apart(self.task, image)).float().to(image.device)
