"""The networks of a recipe: built, initialised, and made to begin with weights that are there already."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from crossband.graphs.building.build import build
from crossband.graphs.plans.plan import Plan
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.flow import Value
from crossband.recipes.language.syntax import Network, Recipe
from crossband.recipes.model.as_trained import keep_training
from crossband.recipes.model.foreign import put_foreign
from crossband.recipes.model.padding import fit_by_padding
from crossband.recipes.model.weights import Weights, put_weights, read_weights


def direction_of(recipe: Recipe, network: str) -> dict[str, Any] | None:
    """Which band a network reads and which it gives, by the flow; None for one that does not translate a band.

    Of several bands that it reads together there is a list, in the order of the task.
    """
    several = tuple(Value("name", band) for band in recipe.sources)
    directions: dict[tuple[Value, ...], dict[str, Any]]
    directions = {(Value("name", recipe.source),): {"from": recipe.source, "to": recipe.target}}
    directions |= {(Value("name", recipe.target),): {"from": recipe.target, "to": recipe.source}}
    if len(several) > 1:
        together = {"from": list(recipe.sources), "to": recipe.target}
        directions = {several: together, (Value("call", "cat", several),): together}
    for part in (part for value in recipe.flow.values() for part in value.walk() if part.name == network):
        if part.kind == "call" and part.operands in directions:
            return directions[part.operands]
    return None


def build_network(experiment: Experiment, name: str) -> nn.Module:
    """One network of a recipe with its initial weights."""
    recipe, taps = experiment.recipe, experiment.taps.get(name, ())
    return build_written(name, experiment.plans[name], recipe.networks[name], recipe.seed, taps=taps)


def build_written(name: str, plan: Plan, written: Network, seed: int, *, taps: Sequence[str] = ()) -> nn.Module:
    """A network as a recipe of this `seed` has it: with weights of its `init`, at work as its `test` and `fit` say.

    What these ask for is done in the `forward` of this one module, so that its weights keep their names.
    """
    own = seed_of(seed, name)
    network = build(plan, taps=taps, seed=own)
    if isinstance(written.init, Mapping):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(own)
            [(kind, gain)] = written.init.items()
            network.apply(lambda module: _initialise(module, kind, gain))
    if written.test == "training":
        keep_training(network, seed)
    if written.fit == "pad":
        fit_by_padding(network, plan)
    return network


def begin_network(experiment: Experiment, name: str, *, resumed: bool) -> nn.Module:
    """One network of a recipe with the weights that training begins with; those of a resumed run are yet to come."""
    network, weights = build_network(experiment, name), experiment.recipe.networks[name].weights
    if resumed or not weights:
        return network
    if isinstance(weights, str):
        put_weights(network, read_weights(weights))
    else:
        put_foreign(network, **weights)
    return network


def trained(network: nn.Module, weights: Weights) -> nn.Module:
    """The network with trained weights, in evaluation mode and without gradients. Raises CheckpointError."""
    put_weights(network, weights)
    return network.eval().requires_grad_(False)


def _initialise(module: nn.Module, kind: str, gain: float) -> None:
    """The initial weights of the pix2pix family: convolutions drawn, biases zero, batch norms about one."""
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
        if kind == "normal":
            nn.init.normal_(module.weight, 0.0, gain)
        else:
            nn.init.xavier_normal_(module.weight, gain)
    elif isinstance(module, nn.modules.batchnorm._BatchNorm) and weight is not None:
        nn.init.normal_(weight, 1.0, gain)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def seed_of(seed: int, name: str) -> int:
    """A seed for one purpose, apart from those of the others."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:6], "big")
