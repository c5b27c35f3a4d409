"""The decorator that makes a function a loss of the YAML files.

The contract of a loss: its positional parameters are tensors, which a recipe gives as calls of its
networks (`{l1: [back_vis, visible]}`); its keyword-only parameters are set in YAML and carry type
hints; it returns one number, lower is better; it changes nothing. The weight of a term belongs to
the recipe, so no loss knows of it. Inputs called `real` and `fake` are what a critic says of images
of a band and of those of a network, by which a recipe knows what the network is to make. A loss that
looks through a network with published weights keeps it beside itself, frozen, and readies it by
`prepare`: it is no network of the recipe.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeAlias, cast

from torch import Tensor

from crossband.blocks.contracts.precision import full_precision, widened
from crossband.blocks.contracts.ranges import SIGNED, UNIT, Range
from crossband.registry import CrossbandError, Entry, RegistryError, description, losses, parameters_of, summary

P = ParamSpec("P")
Ranges: TypeAlias = Range | Mapping[str, Range] | None
Declared: TypeAlias = Ranges | Callable[..., Ranges]
LOGITS = SIGNED  # the least that they must reach: a logit that never falls below 0 cannot say no
WORDS: Mapping[str, Range] = {"unit": UNIT, "tanh": SIGNED}  # of the parameter `range`


def told(*, range: str, **_: object) -> Range:
    """[0, 1]; with `range: tanh`, [-1, 1]."""
    return WORDS[range]


class LossInputError(CrossbandError, ValueError):
    """A loss was given tensors that it cannot compare."""


@dataclass(frozen=True, kw_only=True, repr=False)
class LossEntry(Entry):
    """A registered loss: `inputs` are the names of its tensors in order; see `loss` for the others."""

    kind = "loss"

    inputs: tuple[str, ...]
    same_shape: bool
    constant: tuple[str, ...]
    differentiates: bool
    range: Declared
    aligned: bool | Callable[..., bool]
    least: int | Callable[..., int]
    prepare: Callable[..., Mapping[str, str]] | None
    least_where_equal: bool | Callable[..., bool]
    form: tuple[str, ...]
    examples: tuple[Mapping[str, Any], ...]

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        declared = summary(self.range.__doc__ or "") if callable(self.range) else self.range
        named = isinstance(declared, Mapping)
        taken = {name: str(each) for name, each in declared.items()} if named else str(declared or "")
        compares = summary(self.aligned.__doc__ or "") if callable(self.aligned) else "pixel by pixel" * self.aligned
        return {"inputs": list(self.inputs), "takes": taken, "compares": compares}

    def ranges(self, arguments: Mapping[str, Any]) -> Mapping[str, Range]:
        """The range that each of its inputs is taken to be in; without those that may be anything."""
        found = self.range(**{**self.defaults, **arguments}) if callable(self.range) else self.range
        return found if isinstance(found, Mapping) else dict.fromkeys(self.inputs, found) if found else {}

    def is_aligned(self, arguments: Mapping[str, Any]) -> bool:
        """Whether it compares its inputs pixel by pixel, so that they must show one scene."""
        return self.aligned if isinstance(self.aligned, bool) else self.aligned(**{**self.defaults, **arguments})

    def least_side(self, arguments: Mapping[str, Any]) -> int:
        """The smallest height and width that it takes. Raises LossInputError where arguments do not go together."""
        return self.least if isinstance(self.least, int) else self.least(**{**self.defaults, **arguments})

    def is_least_where_equal(self, arguments: Mapping[str, Any]) -> bool:
        """Whether it says that equal inputs have its least value."""
        declared = self.least_where_equal
        return declared if isinstance(declared, bool) else declared(**{**self.defaults, **arguments})


def loss(
    name: str,
    *,
    cite: str | None = None,
    same_shape: bool = True,
    constant: tuple[str, ...] = (),
    differentiates: bool = False,
    range: Declared = None,
    aligned: bool | Callable[..., bool] = False,
    least: int | Callable[..., int] = 1,
    prepare: Callable[..., Mapping[str, str]] | None = None,
    least_where_equal: bool | Callable[..., bool] = False,
    form: str = "b c h w",
    examples: Sequence[Mapping[str, Any]] = (),
) -> Callable[[Callable[Concatenate[Tensor, P], Tensor]], Callable[Concatenate[Tensor, P], Tensor]]:
    """Register a pure function of tensors as the loss `name`.

    The registered function, which is also what the decorator returns, first refuses tensors that
    are not floating point or (with `same_shape`) whose shapes differ: broadcasting would silently
    compare the wrong pixels. It then works in float32 at least and outside autocast, since means
    over an image, small epsilons and Fourier transforms lose too much in half precision; float64
    stays float64.

    `constant` names inputs that get no gradient. With `differentiates` the first input is
    differentiated in the second, so a recipe computes the first anew from a copy of the second that
    takes gradients.

    `range` is the range that the inputs are taken to be in: one for all, a mapping by input, or a function of the
    parameters that gives either, whose docstring says it in words; None, or an input left out, may be anything. One
    that is `aligned` compares its inputs pixel by pixel, so that they must show one scene; others compare scores, or
    sets and distributions. A recipe whose images have another range, or show other scenes, is refused.

    `least` is the smallest height and width of the images, or a function that works
    it out from the parameters and raises LossInputError where they do not go together. `prepare`
    takes a device and the parameters, readies what the loss keeps beside itself, so that what is
    missing is found before training, and returns what to record of it.

    The laws of losses (`crossband.recipes.losses.laws`) read three facts more. `least_where_equal` says that its least
    value is where the inputs are equal, and that it rises from there; a function of the parameters where they
    decide. `form` names the axes of the inputs. Each of `examples` gives values of some parameters and sizes of some
    axes, `{"layers": {"relu1_1": 1.0}, "c": 3}`, where what is drawn does not do; the others are drawn.

    Raises RegistryError, when the module is imported, if the signature breaks the contract above.
    """

    def register(function: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[Concatenate[Tensor, P], Tensor]:
        inputs = _tensor_names(name, function)
        if unknown := set(constant) - set(inputs):
            raise RegistryError(f"the loss `{name}` has no input `{min(unknown)}`")

        @functools.wraps(function)
        def guarded(*tensors: Tensor, **parameters: object) -> Tensor:
            _check_tensors(entry, tensors)
            _check_size(entry, tensors, parameters)
            wide = [
                widened(x).detach() if name in constant else widened(x) for name, x in zip(inputs, tensors, strict=True)
            ]
            with full_precision(tensors[0].device):
                return cast(Callable[..., Tensor], function)(*wide, **parameters)

        entry = LossEntry(
            name=name,
            factory=guarded,
            parameters=parameters_of(function, skip=inputs),
            cite=cite,
            inputs=inputs,
            same_shape=same_shape,
            constant=constant,
            differentiates=differentiates,
            range=range,
            aligned=aligned,
            least=least,
            prepare=prepare,
            least_where_equal=least_where_equal,
            form=tuple(form.split()),
            examples=tuple(examples),
            **description(function),
        )
        losses.add(entry)
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
                f"the loss `{name}`: `{parameter.name}` must be a positional-only `Tensor` or a keyword-only parameter",
                hint=f"write `def {name}(output: Tensor, target: Tensor, /, *, ...) -> Tensor`",
            )
        found.append(parameter.name)
    if not found:
        raise RegistryError(f"the loss `{name}` takes no tensor")
    return tuple(found)


def _check_tensors(entry: LossEntry, tensors: tuple[Tensor, ...]) -> None:
    name, inputs = entry.name, entry.inputs
    if len(tensors) != len(inputs):
        raise LossInputError(f"the loss `{name}` compares {' and '.join(inputs)}, got {len(tensors)} tensors")
    for label, tensor in zip(inputs, tensors, strict=True):
        if not tensor.is_floating_point():
            raise LossInputError(f"the loss `{name}` needs floating-point tensors, {label} is {tensor.dtype}")
    if entry.same_shape and len({tensor.shape for tensor in tensors}) > 1:
        sizes = ", ".join(f"{label} {tuple(tensor.shape)}" for label, tensor in zip(inputs, tensors, strict=True))
        raise LossInputError(f"the loss `{name}` needs tensors of one shape: {sizes}")


def _check_size(entry: LossEntry, tensors: tuple[Tensor, ...], arguments: Mapping[str, Any]) -> None:
    least = entry.least_side(arguments)
    for tensor in tensors if least > 1 else ():
        if min(tensor.shape[-2:]) < least:
            size = "x".join(map(str, tensor.shape[-2:]))
            raise LossInputError(f"the loss `{entry.name}` needs images of at least {least}x{least}, got {size}")
