"""The networks of a recipe: built, initialised, and made to begin with weights that are there already."""

import hashlib
from collections.abc import Mapping

import torch
from torch import nn

from crossband.graphs.building.build import build
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.flow import Value
from crossband.recipes.language.syntax import Recipe
from crossband.recipes.model.as_trained import keep_training
from crossband.recipes.model.foreign import put_foreign
from crossband.recipes.model.padding import fit_by_padding
from crossband.recipes.model.weights import load_weights, put_weights


def task_of(recipe: Recipe, network: str) -> dict[str, str] | None:
    """Which band a network reads and which it gives, by the flow; None for one that does not translate a band."""
    for part in (part for value in recipe.flow.values() for part in value.walk() if part.name == network):
        for source, target in ((recipe.source, recipe.target), (recipe.target, recipe.source)):
            if part.kind == "call" and part.operands == (Value("name", source),):
                return {"from": source, "to": target}
    return None


def build_network(experiment: Experiment, name: str) -> nn.Module:
    """One network of a recipe with its initial weights."""
    recipe = experiment.recipe
    seed, init = seed_of(recipe.seed, name), recipe.networks[name].init
    network = build(experiment.plans[name], taps=experiment.taps.get(name, ()), seed=seed)
    if isinstance(init, Mapping):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            [(kind, gain)] = init.items()
            network.apply(lambda module: _initialise(module, kind, gain))
    if recipe.networks[name].fit == "pad":
        fit_by_padding(network, experiment.plans[name])
    if recipe.networks[name].test == "training":
        keep_training(network, recipe.seed)
    return network


def begin_network(experiment: Experiment, name: str, *, resumed: bool) -> nn.Module:
    """One network of a recipe with the weights that training begins with; those of a resumed run are yet to come."""
    network, written = build_network(experiment, name), experiment.recipe.networks[name]
    if resumed or not written.weights:
        return network
    if isinstance(written.weights, str):
        put_weights(network, load_weights(written.weights), written.weights)
    else:
        put_foreign(network, **written.weights)
    return network


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
