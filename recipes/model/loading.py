"""A run folder or a weights file becomes a model. Nothing in them is executed: they are YAML and named tensors."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossband import registry
from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs.building.build import build
from crossband.graphs.checking.checker import check as check_graph
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read_text
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.serial import digest
from crossband.graphs.plans.cost import build_meta
from crossband.graphs.plans.image_size import nearest
from crossband.graphs.plans.plan import Plan
from crossband.recipes.kinds.source import CHANNELS, Band
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.flow import Value
from crossband.recipes.language.layers import read_setting
from crossband.recipes.language.reading import PartOfRecipe, read_part
from crossband.recipes.language.settings import setting_texts
from crossband.recipes.language.syntax import Data, Network
from crossband.recipes.model.devices import choose_device, is_usable
from crossband.recipes.model.model import Model
from crossband.recipes.model.networks import build_network, build_written, direction_of, trained
from crossband.recipes.model.plugins import check_run, named_if_missing
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.task import Origin, Task
from crossband.recipes.model.weights import CheckpointError, Weights, check_weights, read_weights
from crossband.registry import CrossbandError, suggest

SETTABLE = ("data.source", "evaluate", "task")  # what settings can say of weights that lie in no run


def load(
    path: str | os.PathLike[str],
    network: str | None = None,
    *,
    settings: Mapping[str, Any] | Sequence[str] = (),
    device: str | None = None,
) -> Model:
    """The trained model in the folder of a run, or in a weights file.

    A run translates as its recipe says, or with `network` as that one of its networks does, such as the generator of
    the other direction. A weights file in the folder of its run is that network of the run; anywhere else it is all
    that is needed. `settings` change the recipe, as in `crossband.train`: `{"networks.generator.test": None}`.
    Of weights alone they say how images are read and measured: `data.source`, `evaluate`, `task`. `device` is `cpu`,
    `cuda`, `mps` or `auto`; without it, the one that the recipe names, or `auto`.

    Nothing is executed or unpickled. Raises CheckpointError if there are no such weights, or if they do not make
    images from images.
    """
    path, texts = Path(path), setting_texts(settings)
    if not path.exists():
        raise CheckpointError(f"{path}: no such run folder or weights file")
    if path.is_dir():
        run = RunFolder(path)
        run.check()
        model = _of_run(run, check_run(run, texts), Origin(path.absolute(), network, texts))
    elif network is not None:
        raise CheckpointError(f"{path}: holds one network", hint="a network is chosen from a run folder")
    else:
        model = _of_file(path, texts)
    wanted = model.recipe.device if model.recipe else "auto"
    return model.eval().to(choose_device(device or (wanted if is_usable(wanted) else "auto")))


def load_again(path: Path, network: str | None, settings: Sequence[str], device: str, digest: str) -> Model:
    """The model that was pickled. Raises CheckpointError where its files are gone or hold another network."""
    model = load(path, network, settings=settings, device=device)
    if model.digest != digest:
        raise CheckpointError(f"{path}: holds another network than when the model was pickled")
    return model


# ---------------------------------------------------------------------- from a run


def _of_run(run: RunFolder, experiment: Experiment, origin: Origin) -> Model:
    task = Task.of(experiment) if origin.network is None else _task_of(experiment, origin.network, run)
    weights = {name: read_weights(run.weights(name)) for name in task.plans}  # of what translates: no critics
    for name, own in weights.items():
        check_weights(own, build_meta(task.plans[name]))  # before any of the networks takes memory
    networks = {name: trained(build_network(experiment, name), own) for name, own in weights.items()}
    task = replace(task, images=_images(next(iter(weights.values()), None)))
    if not any(text.partition("=")[0] in ("data", "data.cache") for text in origin.settings):
        task = replace(task, data=replace(task.data, cache=None))  # somebody's run writes where one says, nowhere else
    return Model(task, networks, recipe=experiment.recipe, origin=origin)


def _task_of(experiment: Experiment, name: str, run: RunFolder) -> Task:
    """The task of one network of a run, on the band that the flow gives it."""
    bands = {
        each: found
        for each, plan in experiment.plans.items()
        if _ends(plan) and (found := direction_of(experiment.recipe, each))
    }
    if name not in bands:
        what = "makes no image from an image" if name in experiment.plans else "is none of the run"
        raise CheckpointError(f"{run}: the network `{name}` {what}", hint=suggest(name, bands))
    task, sources = Task.of(experiment), _listed(bands[name]["from"])
    if set(task.plans) == {name}:  # whose result may be another output than the first
        return task
    return replace(
        task,
        name=f"{task.name}: {name}",
        sources=sources,
        target=bands[name]["to"],
        result=Value("call", name, tuple(Value("name", band) for band in sources)),
        plans={name: experiment.plans[name]},
        papers=(),  # which are of the recipe's own result
    )


# ---------------------------------------------------------------------- from a file


def _of_file(path: Path, settings: Sequence[str]) -> Model:
    """The network of a weights file: as that of its run where it lies in the run's folder, else by itself."""
    run = RunFolder.around(path)
    if run:
        run.check()
    weights = read_weights(path)
    if run:
        experiment = check_run(run, settings)
        plan = experiment.plans.get(path.stem)
        if plan and digest(plan.graph) == weights.digest:
            return _of_run(run, experiment, Origin(run.path.absolute(), path.stem, tuple(settings)))
    return _of_weights(path, weights, settings)


def _of_weights(path: Path, weights: Weights, settings: Sequence[str]) -> Model:
    problems, facts = Problems(), weights.facts
    written = _written(path, facts, settings)
    with named_if_missing(f"{path}: these weights were", facts.get("plugins", [])):
        graph = problems.value(Resolver(problems).load_text(weights.graph, file=f"{path} (graph)"))
        plan = check_graph(graph)
    name = facts.get("network", graph.name)
    bands, (low, high) = written.task or {}, facts.get("range", (0.0, 1.0))
    sources, target = _listed(bands.get("from", "image")), bands.get("to", "")  # without target it is not measured
    ends, channels = _ends(plan), [facts.get("channels", {}).get(band) for band in sources]
    operands = tuple(Value("name", band) for band in sources)
    if ends and len(sources) > 1 and [None not in channels and sum(channels)] == ends[0]:
        ends, operands = (channels, ends[1]), (Value("call", "cat", operands),)
    if ends is None or len(ends[0]) != len(sources) or not {*ends[0]} <= {1, 3}:
        raise CheckpointError(f"{path}: the network `{graph.name}` makes no image from an image")
    task = Task(
        name=path.stem,
        sources=sources,
        target=target,
        result=Value("call", name, operands),
        plans={name: plan},
        channels=dict(zip((*sources, target), (*ends[0], ends[1]), strict=True)),
        data=replace(written.data, range=(low, high)),
        evaluate=written.evaluate,
        images=_images(weights),
    )
    check_weights(weights, build_meta(plan))  # before the network takes memory
    network = build_written(name, plan, Network(graph.name, test=facts.get("test")), facts.get("seed", 0))
    return Model(task, {name: trained(network, weights)}, origin=Origin(path.absolute(), settings=tuple(settings)))


def untrained(plan: Plan, *, seed: int = 0, device: str = "auto") -> Model:
    """A model of a graph whose weights are random, drawn with a seed: to look into, and for nothing else.

    Its images are in [-1, 1] where its output is, else in [0, 1]. Raises CheckpointError if the graph makes no image
    from images.
    """
    name, sources, ends = plan.graph.name, tuple(plan.inputs), _ends(plan)
    if ends is None or not {*ends[0]} <= {1, 3}:
        raise CheckpointError(f"the network `{name}` makes no image from an image")
    low = -1.0 if plan.range(next(iter(plan.outputs))).low == -1 else 0.0
    task = Task(
        name=name,
        sources=sources,
        target="",
        result=Value("call", name, tuple(Value("name", band) for band in sources)),
        plans={name: plan},
        channels=dict(zip((*sources, ""), (*ends[0], ends[1]), strict=True)),
        data=Data("pairs", {}, {}, range=(low, 1.0)),
    )
    network = build(plan, seed=seed).eval().requires_grad_(False)
    return Model(task, {name: network}).eval().to(choose_device(device))


def _written(path: Path, facts: Mapping[str, Any], settings: Sequence[str]) -> PartOfRecipe:
    """What weights say of images, with settings: from which band to which, how to read them and how to measure.

    Raises InvalidFile where the settings are wrong, CrossbandError where they are of what weights alone do not have.
    """
    if odd := [text for text in settings if not text.startswith(SETTABLE)]:
        message = (
            f"{path}: these weights lie in no run folder: there is no recipe to `--set` anything of, as `{odd[0]}`"
        )
        raise CrossbandError(message, hint=f"of weights alone, {', '.join(f'`{key}`' for key in SETTABLE)} can be set")
    problems, task = Problems(), facts.get("task") or {}
    ours = [*_listed(task.get("from", [])), task.get("to")]
    kinds = {band: kind for band, kind in facts.get("images", {}).items() if band in ours}
    channels = {band: kind["channels"] for band, kind in kinds.items() if kind["channels"] != CHANNELS.get(band, 1)}
    pairs = {"range": facts.get("scale"), "channels": channels, "bands": [*kinds] if {*kinds} - {*CHANNELS} else None}
    pairs |= {"luminance": any(kind.get("luminance") for kind in kinds.values())}
    own: dict[str, Any] = {"data": {"source": {"pairs": {key: value for key, value in pairs.items() if value}}}}
    own |= {"task": facts["task"]} if facts.get("task") else {}
    own |= {"evaluate": {"load": facts["load"]}} if facts.get("load") else {}
    document = read_text(json.dumps(own), problems, str(path))
    found = [setting for text in settings if (setting := read_setting(text, problems))]
    part = problems.value(read_part([document], found, problems) if document and not problems else None)
    registry.sources[part.data.source]  # refuses a name that there is not
    return part


def _listed(bands: str | list[str]) -> tuple[str, ...]:
    """The bands that a network reads, of which several are a list in the facts of its weights."""
    return (bands,) if isinstance(bands, str) else tuple(bands)


def _images(weights: Weights | None) -> dict[str, Band]:
    """What the images of training were, by band; nothing where the weights do not say it."""
    return {band: Band(**kind) for band, kind in weights.facts.get("images", {}).items()} if weights else {}


def _ends(plan: Plan) -> tuple[list[int], int] | None:
    """The channels of each image that a network takes, and of its first output, where all are images of one size."""
    shapes = [*plan.inputs.values(), plan.shape(next(iter(plan.outputs.values())))]
    numbers = nearest(plan, 96, 160)
    sizes = {tuple(evaluate(size, numbers) for size in shape[2:]) for shape in shapes}
    channels = [shape[1] for shape in shapes if len(shape) > 1 and isinstance(shape[1], int)]
    *taken, given = channels
    return (taken, given) if len(sizes) == 1 and len(channels) == len(shapes) and given in (1, 3) else None
