"""The decorator that makes a function or class an optimizer of the recipes, and those of torch."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from crossband.recipes.basics.readback import like
from crossband.registry import ArgumentError, Entry, RegistryError, description, optimizers, parameters_of

Make = TypeVar("Make", bound=Callable[..., torch.optim.Optimizer])
Positive = Annotated[float, Gt(0)]
Decay = Annotated[float, Ge(0), Lt(1)]
NotNegative = Annotated[float, Ge(0)]
Weights = Iterable[nn.Parameter]
LARGEST = 1e18  # option in a state that is read back: every kind of number that torch computes with can hold it


@dataclass(frozen=True, kw_only=True, repr=False)
class OptimizerEntry(Entry):
    """A registered optimizer: its factory takes the weights first, and its parameters as keywords."""

    kind = "optimizer"


def optimizer(name: str, *, cite: str | None = None) -> Callable[[Make], Make]:
    """Register a `torch.optim.Optimizer`, or a function that makes one, as the optimizer `name` of the recipes.

    Its first parameter is the weights that it changes, the others are what a recipe sets in YAML: they have type
    hints, and `lr` is one of them, which a schedule multiplies. Raises RegistryError, when the module is imported,
    if it is not so.
    """

    def register(make: Make) -> Make:
        weights = next(iter(inspect.signature(make).parameters), "")
        parameters = parameters_of(make, skip=(weights,))
        if "lr" not in parameters:
            raise RegistryError(f"the optimizer `{name}` has no parameter `lr`", hint="schedules change it: add it")
        optimizers.add(OptimizerEntry(name=name, factory=make, parameters=parameters, cite=cite, **description(make)))
        return make

    return register


def make_optimizer(name: str, arguments: Mapping[str, Any], networks: Iterable[nn.Module]) -> torch.optim.Optimizer:
    """The optimizer `name` over the parameters of `networks`. Raises ArgumentError on wrong arguments."""
    entry = optimizers[name]
    entry.check(arguments)
    parameters = [parameter for network in networks for parameter in network.parameters()]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    return entry.factory(parameters, **given)


def check_optimizer(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ArgumentError for arguments that an optimizer refuses when it is made, as those that contradict another."""
    try:
        make_optimizer(name, arguments, [nn.ParameterList([torch.zeros(1)])])
    except ArgumentError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise ArgumentError(f"{name}: {error}") from error


def state_schema(name: str, arguments: Mapping[str, Any], made: torch.optim.Optimizer) -> dict[str, Any]:
    """The schema, see `crossband.recipes.basics.formats`, of a state that the optimizer `made` can go on from.

    A weight that has not been updated yet is not in a state.
    """
    weights = [weight for group in made.param_groups for weight in group["params"]]
    remembered = {at: _remembered(name, arguments, weight) for at, weight in enumerate(weights)}
    groups = [_group_schema(name, group) for group in made.state_dict()["param_groups"]]
    return {
        "type": "object",
        "properties": {
            "state": {"type": "object", "properties": remembered, "additionalProperties": False},
            "param_groups": {"type": "array", "prefixItems": groups, "minItems": len(groups), "maxItems": len(groups)},
        },
    }


def _remembered(name: str, arguments: Mapping[str, Any], weight: Tensor) -> dict[str, Any]:
    """The schema of what an optimizer remembers of a weight. That is there after a step: it does one on another."""
    other = nn.Module()
    other.weight = nn.Parameter(torch.zeros_like(weight))
    other.weight.grad = torch.zeros_like(weight)
    made = make_optimizer(name, arguments, [other])
    made.step()
    found = made.state_dict()["state"].get(0, {})
    schema = like(found)
    for key in (key for key, value in found.items() if isinstance(value, Tensor) and not value.shape):
        schema["properties"][key]["atleast"] = 0  # a count of steps, or a product of parts of one
    return schema


def _group_schema(name: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the options of an optimizer: numbers of a recipe within their bounds, the others as they are."""
    parameters = optimizers[name].parameters
    numbers = [key for key, value in group.items() if key in parameters and not isinstance(value, bool)]
    own = {key: {"maximum": LARGEST, **parameters[key].schema} for key in numbers}
    rest = {key: {"const": list(value) if key == "params" else value} for key, value in group.items() if key not in own}
    return {
        "type": "object",
        "required": [*own, "params"],
        "properties": {
            **own,
            **rest,
            "lr": {"type": "number", "minimum": 0, "maximum": LARGEST},
        },  # a schedule may let it come to nothing
    }


# ---------------------------------------------------------------------- those of torch
# With the defaults of torch, but for the learning rate: it is a choice, and has none.


@optimizer("Adam", cite="kingma2015adam")
def adam(
    weights: Weights,
    *,
    lr: Positive,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0,
    amsgrad: bool = False,
    decoupled_weight_decay: bool = False,
) -> torch.optim.Optimizer:
    """Steps by running means of the gradient and of its square: `torch.optim.Adam` (Kingma and Ba 2015)."""
    return torch.optim.Adam(
        weights, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=decoupled_weight_decay
    )


@optimizer("AdamW", cite="loshchilov2019adamw")
def adamw(
    weights: Weights,
    *,
    lr: Positive,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.01,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam that shrinks the weights apart from the gradient: `torch.optim.AdamW` (Loshchilov and Hutter 2019)."""
    return torch.optim.AdamW(weights, lr, betas, eps, weight_decay, amsgrad)


@optimizer("NAdam", cite="dozat2016nadam")
def nadam(
    weights: Weights,
    *,
    lr: Positive,
    betas: tuple[Decay, Decay] = (0.9, 0.999),
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0,
    momentum_decay: NotNegative = 0.004,
    decoupled_weight_decay: bool = False,
) -> torch.optim.Optimizer:
    """Adam with Nesterov's momentum: `torch.optim.NAdam` (Dozat 2016)."""
    return torch.optim.NAdam(weights, lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay)


@optimizer("RMSprop")
def rmsprop(
    weights: Weights,
    *,
    lr: Positive,
    alpha: Decay = 0.99,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0,
    momentum: NotNegative = 0,
    centered: bool = False,
) -> torch.optim.Optimizer:
    """The gradient over the root of the running mean of its square: `torch.optim.RMSprop` (Hinton 2012, lecture 6)."""
    return torch.optim.RMSprop(weights, lr, alpha, eps, weight_decay, momentum, centered)


@optimizer("SGD")
def sgd(
    weights: Weights,
    *,
    lr: Positive,
    momentum: NotNegative = 0,
    dampening: NotNegative = 0,
    weight_decay: NotNegative = 0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, by wish with momentum: `torch.optim.SGD`.

    Raises ArgumentError where `nesterov` has no momentum to look ahead by, or a dampened one.
    """
    if nesterov and (dampening or not momentum):
        hint = "write `{SGD: {lr: 0.01, momentum: 0.9, nesterov: true}}`"
        raise ArgumentError("SGD: `nesterov` needs a `momentum`, and no `dampening`", hint=hint)
    return torch.optim.SGD(weights, lr, momentum, dampening, weight_decay, nesterov)
