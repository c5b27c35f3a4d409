"""Which images a model is measured on, and the mean image beside it: those of its run, or others.

Of another folder all images are measured, by no rule of the recipe, beside the mean image of the run's own training
set. Where a split is asked for, the recipe's rule divides that folder. The images of the run itself are known again
where they have moved to another folder: they are divided as they were, so that none is measured that was trained on.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from crossband import registry
from crossband.recipes.data.opening import is_folder_of, is_place, of_run, open_all, open_given, open_source
from crossband.recipes.data.scale import scale_faults
from crossband.recipes.kinds.source import ALL, DataError, Source
from crossband.recipes.language.syntax import Data, Recipe
from crossband.recipes.metrics.baselines import MeanTarget
from crossband.recipes.model.evaluating import TestImages, mean_target
from crossband.recipes.model.mean_images import MeanImages, read_mean_images, training_images
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.task import Origin, Trained
from crossband.registry import CrossbandError

ONLY_TEST = "There is no mean image to compare with: it is made of training images, and only test images were given."
NO_TRAINING = "There is no mean image to compare with: it is made of the training images of a run, and {}."


class Loaded(Trained, Protocol):
    """What measuring needs of a `Model` that was loaded from a run, with its recipe, or from weights alone."""

    recipe: Recipe | None
    origin: Origin | None


def images_of(model: Loaded, data: Any = None, split: str | None = None) -> TestImages:
    """The images that `Model.evaluate` measures. Raises CrossbandError where there are none, DataError."""
    task, bands = model.task, (*model.task.sources, model.task.target)
    alone, limit = model.recipe is None, task.evaluate.images
    usual = split or (ALL if alone and not _is_set(model, "evaluate.split") else task.evaluate.split)
    if data is None:
        return TestImages(_own_images(model), usual, own=not alone, limit=limit)
    if not is_place(data):
        given = None if isinstance(data, Source) else "images given from Python"
        return TestImages(open_given(data, task.data, bands), split or task.evaluate.split, given, limit=limit)
    known = None if alone else _kept(model).images
    if is_folder_of(task.data, data) or (known and _are_known(data, model, known)):
        return TestImages(open_given(data, task.data, bands), usual, own=not alone, limit=limit)
    place = " and ".join(map(str, data.values())) if isinstance(data, Mapping) else str(data)
    if split:
        maybe = not alone and (known is None or registry.sources[task.data.source].cite is not None)
        given = None if maybe else place  # nothing tells that it is another set
        return TestImages(open_given(data, task.data, bands), split, given, own=alone, limit=limit)
    source, read = open_all(data, _without_files(model), bands)
    if faults := list(scale_faults(source, read, ALL)):
        hint = f"that is `--set 'data.source={{{read.source}: {{range: ...}}}}'`"
        raise DataError.gathered(f"{place}: its images cannot be measured as they are:", faults, hint=hint)
    limit = limit if alone or _is_set(model, "evaluate.images") else None
    return TestImages(source, ALL, place, own=False, whole=True, limit=limit)


def mean_of(model: Loaded, images: TestImages) -> tuple[MeanTarget | None, list[str]]:
    """The mean image of the training set as a baseline; or None, with a note why there is none."""
    task = model.task
    if images.own and "train" in images.source.splits:
        return mean_target(task, images.source), []
    if images.own:
        return None, [ONLY_TEST]
    if model.recipe is None:
        return None, [NO_TRAINING.format("these weights lie in the folder of none")]
    if kept := _kept(model).target(task.target):
        return kept, []
    try:
        return mean_target(task, open_source(task.data)), []
    except CrossbandError:
        return None, [NO_TRAINING.format("this one keeps none, and its images are no longer in their place")]


def _without_files(model: Loaded) -> Data:
    """How the images of the run are read, without files that belong to them, such as boxes, unless they are set."""
    data = model.task.data
    kinds = {key: each.schema.get("format") for key, each in registry.sources[data.source].parameters.items()}
    own = [
        key
        for key in data.arguments
        if kinds.get(key) == "path" and not _is_set(model, f"data.source.{data.source}.{key}")
    ]
    return replace(data, arguments={key: value for key, value in data.arguments.items() if key not in own})


def _own_images(model: Loaded) -> Source:
    """The images that the recipe names, or a setting of weights alone."""
    words = str(model.origin.path) if model.origin else model.task.name
    if model.recipe is None and not _is_set(model, "data.source"):
        hint = "say which images: `data=...`, on the command line `--data FOLDER`"
        raise CrossbandError(f"{words}: these weights lie in no run folder", hint=hint)
    with of_run(words, model.task.data):
        return open_source(model.task.data)


def _are_known(data: Any, model: Loaded, known: str) -> bool:
    """Whether a folder holds the images that the run was trained on, which have moved there."""
    with suppress(CrossbandError):
        return training_images(open_given(data, model.task.data, (*model.task.sources, model.task.target))) == known
    return False


def _kept(model: Loaded) -> MeanImages:
    """The mean images that the run keeps; none where it is none, or of an older version."""
    return read_mean_images(RunFolder(model.origin.path).mean) if model.recipe and model.origin else MeanImages()


def _is_set(model: Loaded, key: str) -> bool:
    """Whether a setting of the model, `key=value`, says a part of its recipe."""
    keys = (text.partition("=")[0] for text in (model.origin.settings if model.origin else ()))
    return any(f"{own}.".startswith(f"{key}.") or f"{key}.".startswith(f"{own}.") for own in keys)
