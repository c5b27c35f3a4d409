"""`train` and `evaluate`: a recipe becomes a run folder, and a run folder or a weights file a table."""

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from crossband import registry
from crossband.graphs.checking.checker import check as check_graph
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.document import Document
from crossband.graphs.language.resolve import Resolver
from crossband.recipes.kinds.source import Source
from crossband.recipes.language.checker import check, check_recipe
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.flow import Value
from crossband.recipes.language.layers import Layers
from crossband.recipes.language.reading import load_recipe
from crossband.recipes.language.syntax import Data, Network, Recipe
from crossband.recipes.metrics.evaluation import Table
from crossband.recipes.model.networks import build_network
from crossband.recipes.model.scoring import measure, open_source, whole_scenes
from crossband.recipes.model.weights import CheckpointError, Weights, load_weights, put_weights
from crossband.recipes.training.checkpoint import load_state
from crossband.recipes.training.folder import RECIPE, STATE, WEIGHTS, new_folder
from crossband.recipes.training.session import RunResult, Session
from crossband.registry import CrossbandError

READING = ("channels", "range", "outside", "luminance")  # parameters of sources: what the numbers in files mean


def train(
    recipe: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    data: Path | None = None,
    run: Path | None = None,
    resume: Path | None = None,
    silent: bool = False,
) -> RunResult:
    """Train a recipe, by shipped name or path, and evaluate it on its test images.

    `overrides` are `key=value` texts, `data` is the folder of the images, `run` the folder to make (by
    default the next free `runs/<recipe>-001`). `resume` is the folder of a run to go on with instead,
    with the recipe that is in it; a finished run is evaluated again. On the CPU the weights are then,
    bit for bit, those of a run that was never interrupted.

    Raises InvalidFile with every fault of the recipe, DataError with every fault of the data,
    NotFinite if a loss is not a number, and Interrupted after Ctrl-C, when everything is saved.
    """
    if (recipe is None) == (resume is None):
        raise CrossbandError("give one of a recipe to train and a run to resume")
    name = recipe if resume is None else Path(resume) / RECIPE
    assert name is not None
    experiment, source = prepare(name, overrides, data)
    fabric = make_fabric(experiment)
    state = load_state(Path(resume) / STATE) if resume else None
    session = Session(experiment, source, fabric, state, silent=silent or not fabric.is_global_zero)
    folder = Path(resume) if resume else None
    if folder is None:
        made = new_folder(experiment.recipe.name, run) if fabric.is_global_zero else None
        folder = Path(str(fabric.broadcast(None if made is None else str(made))))
    return session.run(folder)


def prepare(name: str | Path, overrides: Sequence[str] = (), data: Path | None = None) -> tuple[Experiment, Source]:
    """A checked recipe with its data opened, each held to the other. Raises InvalidFile and DataError."""
    if data is not None:
        overrides = [*overrides, *data_overrides(name, overrides, data)]
    experiment = check(name, overrides)
    source = open_source(experiment)
    problems = Problems()
    channels = {band: found.channels for band, found in source.bands.items()}
    size = source.size(source.names("train")[0])
    checked = check_recipe(experiment.recipe, problems, channels, size)
    problems.raise_if_any()
    whole_scenes(experiment, source)  # refuses a split that is not there, before any training
    assert checked is not None
    return checked, source


def data_overrides(name: str | Path, overrides: Sequence[str], data: Path) -> list[str]:
    """The settings that make a recipe read the images in the folder `data`.

    It is the `folder` of the recipe's source; a source that reads no folder gives way to `pairs`, which reads the
    files in the same way. Values are written as JSON, which is YAML too.
    """
    given = load_recipe(name, overrides).data
    folder = str(Path(data).resolve())
    if "folder" not in registry.sources[given.source].parameters:
        kept = {key: given.arguments[key] for key in READING if key in given.arguments}
        return [f"data.source={json.dumps({'pairs': {'folder': folder, **kept}})}"]
    own = f"data.source.{given.source}"
    instead = [f"{own}.{band}=null" for band in ("visible", "infrared") if band in given.arguments]
    return [f"{own}.folder={json.dumps(folder)}", *instead]


def make_fabric(experiment: Experiment) -> Fabric:
    """Device, precision and processes: one device, or as many processes as `torchrun` started."""
    recipe = experiment.recipe
    local, world = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ.get("WORLD_SIZE", "1"))
    precision: Any = "32-true" if recipe.precision == "32" else recipe.precision
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise CrossbandError(
            "the recipe asks for `device: cuda`, and there is no CUDA device", hint="`--set device=cpu`"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice for scripts that use Fabric themselves
        fabric = Fabric(
            accelerator=recipe.device,
            devices=local,
            num_nodes=max(1, world // local),
            strategy="ddp" if world > 1 else "auto",
            precision=precision,
        )
        fabric.launch()
    return fabric


def evaluate(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    data: Path | None = None,
    split: str | None = None,
    metrics: Sequence[str] | None = None,
    device: str | None = None,
    silent: bool = False,
) -> dict[str, Table]:
    """Measure a run folder, or a weights file, on the images of a split, beside the two trivial baselines.

    A run folder uses its recipe, with `overrides` and `data` as in `train`, and its last weights. A
    weights file that lies in a run folder stands for that run; anywhere else it needs `data`, a folder
    of pairs. Whole images are used, padded to sizes that the networks admit. Writes nothing.
    """
    experiment, networks, source = open_run(path, overrides=overrides, data=data, device=device)
    return measure(experiment, networks, source, split=split, metrics=metrics, silent=silent)


def open_run(
    path: str | Path, *, overrides: Sequence[str] = (), data: Path | None = None, device: str | None = None
) -> tuple[Experiment, dict[str, nn.Module], Source]:
    """The recipe, the networks and the images of a run folder or a weights file, as `evaluate` takes them.

    The networks are on their device, in evaluation mode.
    """
    path = Path(path)
    if path.is_file() and path.parent.name == WEIGHTS and (path.parent.parent / RECIPE).is_file():
        path = path.parent.parent
    opened = _of_run(path, overrides, data) if path.is_dir() else _of_weights(path, overrides, data)
    experiment, networks, source = opened
    chosen = replace(experiment.recipe, device=device) if device else experiment.recipe
    place = make_fabric(replace(experiment, recipe=chosen)).device
    return experiment, {name: network.to(place).eval() for name, network in networks.items()}, source


def load_run(folder: Path, overrides: Sequence[str] = ()) -> tuple[Experiment, dict[str, nn.Module]]:
    """The recipe of a run folder and its networks with their last weights. Raises CheckpointError."""
    if not (folder / RECIPE).is_file():
        raise CheckpointError(f"{folder}: no run: it has no `{RECIPE}`")
    experiment = check(folder / RECIPE, overrides)
    networks = {name: build_network(experiment, name) for name in experiment.plans}
    for name, network in networks.items():
        file = folder / WEIGHTS / f"{name}.safetensors"
        put_weights(network, load_weights(file), file)
    return experiment, networks


def _of_run(
    folder: Path, overrides: Sequence[str], data: Path | None
) -> tuple[Experiment, dict[str, nn.Module], Source]:
    if data is not None:
        overrides = [*overrides, *data_overrides(folder / RECIPE, overrides, data)]
    experiment, networks = load_run(folder, overrides)
    return experiment, networks, open_source(experiment)


def _of_weights(
    path: Path, overrides: Sequence[str], data: Path | None
) -> tuple[Experiment, dict[str, nn.Module], Source]:
    """A recipe without training, made up from what a weights file says of itself."""
    weights = load_weights(path)
    if data is None:
        raise CrossbandError(f"{path}: these weights lie in no run folder", hint="say which images: `--data FOLDER`")
    if overrides:
        raise CrossbandError(f"{path}: these weights lie in no run folder: there is no recipe to `--set` anything of")
    experiment = _experiment_of(weights, path, data)
    [name] = experiment.plans
    network = build_network(experiment, name)
    put_weights(network, weights, path)
    return experiment, {name: network}, open_source(experiment)


def _experiment_of(weights: Weights, path: Path, data: Path) -> Experiment:
    facts, problems = weights.facts, Problems()
    graph = Resolver(problems).load_text(weights.graph, file=f"{path} (graph)")
    problems.raise_if_any()
    assert graph is not None
    needed = ("task", "network", "range", "channels")
    if missing := [f"`{fact}`" for fact in needed if not facts.get(fact)]:
        raise CheckpointError(
            f"{path}: cannot be evaluated by itself: it does not say its {', '.join(missing)}",
            hint="evaluate the folder of its run",
        )
    task, name = facts["task"], facts["network"]
    result = Value("call", name, (Value("name", task["from"]),))
    low, high = facts["range"]
    arguments = {"folder": str(data), **({"range": facts["scale"]} if facts.get("scale") else {})}
    recipe = Recipe(
        name=path.stem,
        source=task["from"],
        target=task["to"],
        pairing="paired",
        networks={name: Network(graph.name, test=facts.get("test"))},
        flow={"result": result},
        phases=(),
        data=Data("pairs", arguments, {}, range=(low, high), channels=facts["channels"]),
        layers=Layers([Document(str(path), "")]),
        resolved={},
        seed=facts.get("seed", 0),
    )
    return Experiment(recipe, {name: check_graph(graph)}, {}, (), result, frozenset(), facts["channels"])
