"""The decorator that makes a function a loss of the YAML files.

The contract of a loss: its positional parameters are tensors, which a recipe gives as calls of its
networks (`{l1: [back_vis, visible]}`); its keyword-only parameters are set in YAML and carry type
hints; it returns one number, lower is better; it changes nothing. The weight of a term belongs to
the recipe, so no loss knows of it.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, cast

import torch
from torch import Tensor

from crossband.registry import CrossbandError, RegistryError, losses, parameters_of

P = ParamSpec("P")


class LossInputError(CrossbandError, ValueError):
    """A loss was given tensors that it cannot compare."""


def loss(
    name: str, *, cite: str | None = None, same_shape: bool = True
) -> Callable[[Callable[Concatenate[Tensor, P], Tensor]], Callable[Concatenate[Tensor, P], Tensor]]:
    """Register a pure function of tensors as the loss `name`.

    The registered function, which is also what the decorator returns, first refuses tensors that
    are not floating point or (with `same_shape`) whose shapes differ: broadcasting would silently
    compare the wrong pixels. It then works in float32 at least and outside autocast, since means
    over an image, small epsilons and Fourier transforms lose too much in half precision; float64
    stays float64.

    The registry entry has two facts: `inputs`, the names of the tensors in order, and `same_shape`.
    Raises RegistryError, when the module is imported, if the signature breaks the contract above.
    """

    def register(function: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[Concatenate[Tensor, P], Tensor]:
        inputs = _tensor_names(name, function)

        @functools.wraps(function)
        def guarded(*tensors: Tensor, **parameters: object) -> Tensor:
            _check_tensors(name, inputs, tensors, same_shape)
            wide = [tensor.float() if tensor.dtype.itemsize < 4 else tensor for tensor in tensors]
            with _no_autocast(tensors[0].device.type):
                return cast(Callable[..., Tensor], function)(*wide, **parameters)

        parameters = parameters_of(function, skip=inputs)
        losses.register(name, guarded, parameters=parameters, cite=cite, inputs=inputs, same_shape=same_shape)
        return cast(Callable[Concatenate[Tensor, P], Tensor], guarded)

    return register


def _tensor_names(name: str, function: Callable[..., Tensor]) -> tuple[str, ...]:
    """The positional parameters of a loss, all of which must be tensors without a default."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            continue
        if parameter.kind is not parameter.POSITIONAL_ONLY or parameter.annotation is not Tensor:
            raise RegistryError(
                f"the loss `{name}`: `{parameter.name}` must be a positional-only `Tensor` or a keyword-only parameter"
                f"\nhint: write `def {name}(output: Tensor, target: Tensor, /, *, ...) -> Tensor`"
            )
        found.append(parameter.name)
    if not found:
        raise RegistryError(f"the loss `{name}` takes no tensor")
    return tuple(found)


def _check_tensors(name: str, inputs: tuple[str, ...], tensors: tuple[Tensor, ...], same_shape: bool) -> None:
    if len(tensors) != len(inputs):
        raise LossInputError(f"the loss `{name}` compares {' and '.join(inputs)}, got {len(tensors)} tensors")
    for label, tensor in zip(inputs, tensors, strict=True):
        if not tensor.is_floating_point():
            raise LossInputError(f"the loss `{name}` needs floating-point tensors, {label} is {tensor.dtype}")
    if same_shape and len({tensor.shape for tensor in tensors}) > 1:
        sizes = ", ".join(f"{label} {tuple(tensor.shape)}" for label, tensor in zip(inputs, tensors, strict=True))
        raise LossInputError(f"the loss `{name}` needs tensors of one shape: {sizes}")


def _no_autocast(device: str) -> contextlib.AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()
