"""The decorators that make an ordinary `nn.Module` a block or a wrapper of the registry."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from torch import nn

from crossband import registry
from crossband.blocks.contracts.contract import Contract, ContractError, Result
from crossband.blocks.contracts.maps import InnerMap
from crossband.blocks.contracts.ranges import ANY, Declared, Range, range_text
from crossband.blocks.contracts.sizes import Shape, Size
from crossband.registry import ArgumentError, Entry, description, parameters_of, show

Module = TypeVar("Module", bound=type[nn.Module])
ShapeFunction = Callable[..., tuple[Shape, ...] | Result]
Reach = int | str | None
NO_MAPS: Mapping[str, InnerMap] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, repr=False)
class BlockEntry(Entry):
    """A registered block. The parameters of `block` document its fields."""

    kind = "block"

    contract: Contract | None
    shape: ShapeFunction | None
    inferred: tuple[str, ...]
    outputs: tuple[str, ...]
    reach: Reach | tuple[Reach, ...] | Callable[..., Any]
    range: Declared
    exports: bool | str
    deterministic: bool | str | Callable[..., bool | str]
    exact: bool | str
    differentiable: bool | str
    examples: tuple[Mapping[str, Any], ...]
    later: tuple[str, ...]
    inner_maps: Mapping[str, InnerMap]

    def ranges(self, inputs: Sequence[Range], arguments: Mapping[str, Any]) -> tuple[Range, ...]:
        """The range of each output for inputs in these ranges; `ANY` where it declares none.

        Missing arguments take their defaults. A range that is declared alone is that of every output. Raises
        ContractError where the function that declares it does not take what it is given.
        """
        declared = self.range
        if callable(declared):
            try:
                declared = declared(*inputs, **{**self.defaults, **arguments})
            except TypeError as error:
                hint = "its function takes the range of each input, then every argument by name: `def _range(x, **_)`"
                raise ContractError(f"the `range=` of {self.name} cannot be worked out: {error}", hint=hint) from error
        return declared if isinstance(declared, tuple) else (declared or ANY,) * len(self.outputs)

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        found = "a function of the input shapes" if self.shape else "found by running it on the meta device"
        where = [text.partition("#")[2].strip() or text for text, _ in self.contract.where] if self.contract else []
        outputs = list(self.outputs) if len(self.outputs) > 1 else []
        contract = self.contract.text if self.contract else found
        shows = [f"{name}: {each.about}" for name, each in self.inner_maps.items()]
        own = {"contract": contract, "where": where, "outputs": outputs, "range": range_text(self.range)}
        return {**own, "shows": shows} if shows else own


@dataclass(frozen=True, kw_only=True, repr=False)
class WrapperEntry(Entry):
    """A wrapper around a whole network; with `rewrites`, a function from its graph to another, before it is built."""

    kind = "wrapper"

    rewrites: bool = False
    range: Callable[..., Range] | None = None

    def wrapped(self, output: Range, arguments: Mapping[str, Any]) -> Range:
        """The range of an output of a wrapped network, from that of the network; `ANY` where it declares none."""
        return self.range(output, **{**self.defaults, **arguments}) if self.range else ANY

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        wraps = "the graph, before it is built" if self.rewrites else "the network"
        return {"wraps": wraps, "range": "" if self.rewrites else range_text(self.range)}


def block(
    name: str,
    *,
    contract: str | None = None,
    where: Sequence[str] = (),
    shape: ShapeFunction | None = None,
    outputs: Sequence[str] = ("out",),
    reach: Reach | tuple[Reach, ...] | Callable[..., Any] = None,
    range: Declared = None,
    exports: bool | str = True,
    deterministic: bool | str | Callable[..., bool | str] = True,
    exact: bool | str = True,
    differentiable: bool | str = True,
    examples: Sequence[Mapping[str, Any]] = (),
    later: Sequence[str] = (),
    inner_maps: Mapping[str, InnerMap] = NO_MAPS,
    cite: str | None = None,
    **functions: Callable[..., Size],
) -> Callable[[Module], Module]:
    """Register a module class as the block `name`.

    contract: the shape contract, see `crossband.blocks.contracts.contract`; `functions` are the functions that it
        calls: each takes sizes first, then every argument of the block as a keyword. Without a contract and
        without `shape` the block is probed on the meta device.
    where: conditions on the contract's names that must hold.
    shape: a function for shapes that the notation cannot express: `shape(*input_shapes, **arguments)` gives the
        output shapes, or a `Result` of them with conditions that must hold.
    outputs: names of the outputs, if `forward` returns a tuple. If `shape` gives fewer shapes for some
        arguments, the first names count.
    reach: the span of input rows, or columns, that one output row or column depends on: a number, an
        expression over the parameters, or a function of them; a tuple where inputs differ; None where it is
        unbounded or not known. See `crossband.blocks.contracts.reach`.
    range: between which numbers the outputs lie, in eval: a `Range`, a tuple where outputs differ, or a function
        `range(*ranges of the inputs, **arguments)` that gives either; None where nothing bounds them. See
        `crossband.blocks.contracts.ranges`.
    exports: True, or the reason why `torch.export` cannot take it.
    deterministic: True, or the reason why equal inputs give different outputs even in eval; or a function from
        the arguments to either.
    exact: True, or the reason why it refuses inputs that `forward` would take.
    differentiable: True, or the reason why no gradient reaches its inputs.
    examples: for its laws, where those that are drawn do not serve: each gives values of some parameters and sizes
        of some axes of the contract, `{"heads": 4, "c": 64, "h": 32}`; the others are drawn.
    later: parameters that it got when there were weights of it already: the digest of a graph does not name them where
        they have their default, so that those weights stay its own.
    inner_maps: what it can show of its work, by name, which its method `inner_maps` computes: see
        `crossband.blocks.contracts.maps`.
    cite: key of the source in `blocks/references.bib`.

    The constructor takes the inferred channels first and its options as keywords. A contract infers every axis
    that has the name of a parameter; without one, the parameters that are not keyword-only are the channels of the
    inputs in their order. The class checks its arguments when it is made, from YAML or from Python:
    ArgumentError names the wrong one.
    """

    def register(cls: Module) -> Module:
        if cls.__name__ != name:
            raise ContractError(f"the block `{name}` is the class `{cls.__name__}`: give both one name")
        if cls.__init__ is nn.Module.__init__:  # which takes anything, and passes nothing on
            cls.__init__ = _without_parameters  # type: ignore[method-assign]
        parsed = Contract.parse(contract, where, **functions) if contract is not None else None
        taken = inspect.signature(cls).parameters
        if parsed and (unknown := sorted(parsed.names() - parsed.axes - taken.keys())):
            raise ContractError(f"the contract of `{name}` uses `{unknown[0]}`: neither an axis nor a parameter")
        if missing := sorted({*later} - taken.keys()):
            raise ContractError(f"`{name}` has no parameter `{missing[0]}`, which `later` names")
        if inner_maps and not callable(getattr(cls, "inner_maps", None)):
            hint = "write `def inner_maps(self, *inputs: Tensor, pixel: tuple[int, int]) -> dict[str, Tensor]:`"
            raise ContractError(f"`{name}` declares inner maps and has no method that computes them", hint=hint)
        stray = [p for p in taken.values() if parsed and "__init__" in vars(cls) and _stray(p, parsed)]
        if stray:
            raise ContractError(
                f"the block `{name}` takes `{stray[0].name}` first, which is no axis of its contract `{contract}`",
                hint=f"give it the name of its axis, as in `c: int`, or make it an option, `*, {stray[0].name}: int`",
            )
        positional = (axis for axis, parameter in taken.items() if parameter.kind is not parameter.KEYWORD_ONLY)
        inferred = tuple(axis for axis in taken if axis in parsed.axes) if parsed else tuple(positional)
        entry = BlockEntry(
            name=name,
            factory=cls,
            parameters=parameters_of(cls, skip=inferred),
            cite=cite,
            contract=parsed,
            shape=shape,
            inferred=inferred,
            outputs=tuple(outputs),
            reach=reach,
            range=range,
            exports=exports,
            deterministic=deterministic,
            exact=exact,
            differentiable=differentiable,
            examples=tuple(examples),
            later=tuple(later),
            inner_maps=inner_maps,
            **description(cls),
        )
        registry.blocks.add(entry)
        _check_arguments(cls, entry, inferred, parsed)
        return cls

    return register


def wrapper(
    name: str, *, range: Callable[..., Range] | None = None, cite: str | None = None
) -> Callable[[Module], Module]:
    """Register a module class that wraps a whole network: its first argument is the network.

    Its `forward` has the inputs and outputs of the network. A graph names wrappers under `wrap:`. `range` is a
    function `range(output, **arguments)` from the range of an output of the network to that of the wrapped one.
    """

    def register(cls: Module) -> Module:
        if cls.__init__ is nn.Module.__init__:
            hint = "write `def __init__(self, network: nn.Module) -> None:`, and keep the network"
            raise ContractError(f"the wrapper `{name}` has no `__init__` that takes the network", hint=hint)
        network = next(iter(inspect.signature(cls).parameters))
        parameters = parameters_of(cls, skip=(network,))
        entry = WrapperEntry(name=name, factory=cls, parameters=parameters, range=range, cite=cite, **description(cls))
        registry.wrappers.add(entry)
        _check_arguments(cls, entry)
        return cls

    return register


def _stray(parameter: inspect.Parameter, contract: Contract) -> bool:
    """Whether a parameter that is required by its place, as channels are, is none of the axes of a contract."""
    by_place = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return by_place and parameter.default is parameter.empty and parameter.name not in contract.axes


def _without_parameters(self: nn.Module) -> None:
    """The constructor of a block that has none of its own."""
    nn.Module.__init__(self)


def _check_arguments(
    cls: type[nn.Module], entry: Entry, inferred: Sequence[str] = (), contract: Contract | None = None
) -> None:
    """Make the constructor of `cls` check its arguments against the registered schemas first."""
    plain = cls.__init__
    signature = inspect.signature(plain)

    @functools.wraps(plain)
    def checked(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            given = {key: value for key, value in kwargs.items() if key not in inferred}
            entry.check(given)
            raise ArgumentError(f"{entry.name}: {error}") from None
        bound.apply_defaults()
        values = dict(list(bound.arguments.items())[1:])
        for key in inferred:
            if type(values[key]) is not int or values[key] < 1:
                raise ArgumentError(
                    f"{entry.name}: `{key}` must be a whole number of at least 1, got {show(values[key])}"
                )
        entry.check({key: value for key, value in values.items() if key in entry.parameters})
        if problems := contract.argument_problems(values) if contract else []:
            raise ArgumentError(f"{entry.name}: {'; '.join(problems)}")
        plain(self, *args, **kwargs)

    cls.__init__ = checked  # type: ignore[method-assign]
