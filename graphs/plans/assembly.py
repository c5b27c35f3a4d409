"""Assemble a plan into a `torch.fx.GraphModule`: straight-line Python, no interpreter at run time."""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import fx, nn

from crossband.graphs.language.diagnostics import InvalidFile, Place, Problems
from crossband.graphs.language.serial import digest, dump
from crossband.graphs.language.syntax import Notes
from crossband.graphs.plans.plan import Plan, Ref, few
from crossband.registry import ArgumentError, CrossbandError, suggest


def assemble(plan: Plan, *, taps: Sequence[str] = (), seed: int | None = None) -> nn.Module:
    """Assemble the network of a plan: see `crossband.graphs.build`.

    Raises InvalidFile for faults that only a constructor finds, CrossbandError for a tap that is not there.
    """
    for tap in taps:
        if tap not in plan.taps:
            raise CrossbandError(f"`{plan.graph.name}` has no tap `{tap}`", hint=suggest(tap, plan.taps))
    with torch.random.fork_rng(devices=[]) if seed is not None else nullcontext():
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        network: nn.Module = Network(_modules(plan), _code(plan, taps), class_name=plan.graph.name)
        network.taps = frozenset(taps)  # type: ignore[assignment]  # tells a wrapper which results are no outputs
        for wrap in plan.wrap:
            with reported("E060", wrap.place):
                network = wrap.entry.factory(network, **wrap.arguments)
    network.meta = {"graph": dump(plan.graph), "digest": digest(plan.graph)}  # type: ignore[assignment]
    return network


class Network(fx.GraphModule):
    """A GraphModule that keeps its `meta` when it is pickled."""

    def __repr__(self) -> str:
        reads, gives = ([node for node in self.graph.nodes if node.op == op] for op in ("placeholder", "output"))
        result = gives[0].args[0]
        given = f"{{{few(result)}}}" if isinstance(result, dict) else "a tensor"
        count = sum(parameter.numel() for parameter in self.parameters())
        name = str(self.meta.get("graph", f"graph: {type(self).__name__}")).split()[1]  # copies lose their class's name
        return f"<Network {name}: {few(map(str, reads))} -> {given}; {count:,} parameters>"

    __str__ = __repr__  # `print_readable()` of a GraphModule prints its code

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (*super().__reduce__(), self.meta)


def _unpickled(make: Callable[..., fx.GraphModule], parts: tuple[Any, ...], meta: dict[str, Any]) -> Network:
    plain = make(*parts)
    network = Network(plain, plain.graph, class_name=type(plain).__name__)
    network.meta.update(meta)
    return network


def _modules(plan: Plan) -> nn.Module:
    """Build the tree of modules, one leaf for each module of the plan."""
    root = nn.Module()
    for call in plan.calls:
        *parents, leaf = call.module.split(".")
        parent = root
        for name in parents:
            if name not in parent._modules:
                parent.add_module(name, nn.Module())
            parent = parent.get_submodule(name)
        if leaf not in parent._modules:
            with reported("E012", call.place, call.notes):
                parent.add_module(leaf, call.entry.factory(**call.arguments))
    return root


def _code(plan: Plan, taps: Sequence[str]) -> fx.Graph:
    """Write the forward pass, one line for each call."""
    code = fx.Graph()
    made: dict[str, fx.Node] = {name: code.placeholder(name) for name in plan.inputs}
    parts: dict[Ref, fx.Node] = {}

    def value(ref: Ref) -> fx.Node:
        several = len(plan.shapes[ref.source]) > 1
        if not several:
            return made[ref.source]
        if ref not in parts:
            parts[ref] = code.call_function(operator.getitem, (made[ref.source], ref.index))
        return parts[ref]

    for call in plan.calls:
        name = re.sub(r"\W", "_", call.name)
        made[call.name] = code.create_node(
            "call_module", call.module, tuple(value(ref) for ref in call.reads), name=name
        )
    results = {name: value(ref) for name, ref in plan.outputs.items()}
    results |= {name: value(plan.taps[name]) for name in taps}
    code.output(results if len(results) > 1 else next(iter(results.values())))
    return code


@contextmanager
def reported(code: str, place: Place | None, notes: Notes = ()) -> Iterator[None]:
    """Turn errors of a constructor into faults at their place in the file."""
    try:
        yield
    except ArgumentError as error:
        raise _fault(code, error.message, place, error.hint, notes) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("memory|overflow", str(error)):
            raise
        message = "the weights do not fit into memory from here on"
        raise _fault("E032", message, place, "make it narrower", notes) from error


def _fault(code: str, message: str, place: Place | None, hint: str | None, notes: Notes) -> InvalidFile:
    problems = Problems()
    problems.add(code, message, place, hint, notes)
    return InvalidFile(problems)
