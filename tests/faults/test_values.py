"""Values of other types in the place of every value that a schema knows, and whole floats in that of every integer."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from faults import corpus
from faults.campaign import series
from faults.law import Files, Outcome, run_here
from faults.mutate import TYPES, Tree, at, paths, put, to_yaml
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.strategies import SearchStrategy
from test_data_laws import ARGUMENTS

from crossband import registry
from crossband.blocks.laws.examples import examples
from crossband.blocks.laws.holding import Refusals
from crossband.blocks.laws.values import arguments
from crossband.graphs.language.schema import graph_schema
from crossband.recipes.language.schema import recipe_schema
from crossband.registry import Entry

FIRST = settings(
    max_examples=50,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
SMALL = {
    "graph": "small",
    "inputs": {"image": [3, "H", "W"]},
    "nodes": {"a": {"Conv": {"out": 1}}},
    "outputs": {"a": ["..."]},
}


# ---------------------------------------------------------------------- every key of the two formats


def keys(
    schema: Mapping[str, Any], whole: Mapping[str, Any], known: Tree, seen: tuple[int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """The path of every key that a schema knows, through names and items of `known`, a file that has most of them."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] | {k: v for k, v in schema.items() if k != "$ref"}
    if id(schema) in seen[-40:] and seen.count(id(schema)) > 1:
        return
    seen = (*seen, id(schema))
    for part in (schema.get(key) for key in ("then", "else")):
        if part:
            yield from keys(part, whole, known, seen)
    for branch in schema.get("allOf", ()):
        yield from keys(branch, whole, known, seen)
    inner = known if isinstance(known, dict) else {}
    named = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        named |= {name: schema["additionalProperties"] for name in list(inner)[:3] or ["a"] if name not in named}
    for name, part in named.items():
        yield (name,)
        yield from ((name, *rest) for rest in keys(part, whole, inner.get(name), seen))
    if isinstance(schema.get("items"), dict) and isinstance(known, list) and known:
        yield (0,)
        yield from ((0, *rest) for rest in keys(schema["items"], whole, known[0], seen))


def of_format(text: str, schema: Mapping[str, Any], beside: Mapping[str, str], command: str) -> Iterator[Files]:
    """A file with each type of value in the place of each of its values, and of each that it might have."""
    base = corpus.Base("x", "x", text)
    known = dict.fromkeys([*paths(base.data), *keys(schema, schema, base.data)])
    for path in known:
        for value in TYPES:
            tree = base.data
            try:
                put(tree, path, value)
            except (TypeError, IndexError, KeyError):  # below a value that is no mapping
                break
            yield Files((command, "x.yaml"), {"x.yaml": to_yaml(tree), **beside})


def formats() -> Sequence[Files]:
    """All of both formats."""
    beside = {name: text for name, text in corpus.tiny.FILES.items() if text.startswith("\ngraph")}
    rich = {"rich.yaml": corpus.RICH_GRAPH}
    return [
        *of_format(corpus.RICH_GRAPH, graph_schema(arguments=False), {}, "check"),
        *of_format(corpus.RICH_CHILD, graph_schema(arguments=False), rich, "show"),
        *of_format(corpus.RICH_RECIPE, recipe_schema(arguments=False), beside, "check"),
    ]


@series("types of every key", weight=6, quick=60, cases=formats)
def test_types_of_every_key(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


# ---------------------------------------------------------------------- every parameter of everything registered


def first(strategy: SearchStrategy[Any]) -> Any:
    """The first that a strategy gives, the simplest as a rule."""
    return find(strategy, lambda _: True, settings=FIRST)


@cache
def good(kind: str, name: str) -> dict[str, Any]:
    """Arguments that a registered thing takes."""
    if kind == "sources":
        return ARGUMENTS[name](corpus.scratch() / "sources" / name) if name in ARGUMENTS else {}
    return first(arguments(registry.KINDS[kind][name]))


@cache
def block_graph(name: str) -> dict[str, Any]:
    """A graph of one block, on inputs that it takes."""
    entry = registry.blocks[name]
    try:
        example = first(examples(entry, getattr(entry, "examples", ()), (), Refusals()))
        shapes, own = example.shapes, example.arguments
    except Exception:  # no example is found: some inputs
        shapes, own = ((1, 4, 8, 8),), first(arguments(entry))
    inputs = {f"x{number}": list(shape[1:]) for number, shape in enumerate(shapes)}
    node = {"from": list(inputs), name: dict(own)}
    return {"graph": "x", "inputs": inputs, "nodes": {"n": node}, "outputs": {"n": ["..."]}}


def put_into(kind: str, name: str) -> tuple[Tree, tuple[str | int, ...], str]:
    """A file in which a registered thing stands, where its arguments are, and the command that reads them."""
    if kind == "blocks":
        return copy.deepcopy(block_graph(name)), ("nodes", "n", name), "check"
    own = copy.deepcopy(good(kind, name))
    if kind == "wrappers":
        return {**SMALL, "wrap": {name: own}}, ("wrap", name), "check"
    tree = corpus.Base("x", "x", corpus.PAIRED).data
    if kind == "losses":
        count = len(registry.losses[name].inputs)
        operands = ["generator(visible).main", "infrared", "visible"][:count]
        tree["losses"] = {"pixel": {name: operands, **own}}
        return tree, ("losses", "pixel"), "check"
    place = {"sources": ("data", "source"), "optimizers": ("optimizer",), "augmentations": ("data", "augment")}.get(
        kind
    )
    if kind == "sources":
        tree["data"]["size"] = 4
    if place:
        put(tree, place, {name: own})
        return tree, (*place, name), "check"
    tree["schedule"] = own or {"hold": 1, "decay": 2}
    return tree, ("schedule",), "check"


@dataclass(frozen=True)
class Swapped:
    """A registered thing with one argument replaced. Its file is written when it is tried: there are thousands."""

    kind: str
    name: str
    parameter: str
    value: Any

    @property
    def files(self) -> Files:
        """The file and the command that reads it."""
        tree, place, command = put_into(self.kind, self.name)
        put(tree, (*place, self.parameter), self.value)
        beside = {name: text for name, text in corpus.tiny.FILES.items() if name == "to_one.yaml"}
        return Files((command, "x.yaml"), {"x.yaml": to_yaml(tree), **(beside if "recipe" in tree else {})})

    def lay(self, folder: Path) -> None:
        """Write the file."""
        self.files.lay(folder)

    def __str__(self) -> str:
        """The file and the command as a script."""
        return str(self.files)


KINDS = ("blocks", "wrappers", "losses", "sources", "augmentations", "optimizers", "schedules")


def entries() -> Iterator[tuple[str, Entry]]:
    """Everything registered that takes parameters in YAML."""
    for kind in KINDS:
        for name in registry.KINDS[kind]:
            yield kind, registry.KINDS[kind][name]


def swaps() -> Sequence[Swapped]:
    """Every parameter of everything registered, by each type of value."""
    return [
        Swapped(kind, entry.name, parameter, value)
        for kind, entry in entries()
        for parameter in entry.parameters
        for value in TYPES
    ]


@series("types of every parameter", weight=10, quick=72, cases=swaps)
def test_types_of_every_parameter(case: Swapped, folder: Path) -> Outcome:
    return run_here(case.files.command, folder)


# ---------------------------------------------------------------------- whole floats


def whole_floats(bases: Sequence[corpus.Base]) -> list[Files]:
    """Every integer of every base written as `N.0`, one at a time."""
    found = []
    for base in bases:
        for path in paths(base.data):
            value = at(base.data, path)
            if isinstance(value, int) and not isinstance(value, bool):
                tree = base.data
                put(tree, path, float(value))
                found.append(Files(("check", "x.yaml"), {"x.yaml": to_yaml(tree), **base.beside}))
    return found


@series(
    "whole floats: graphs and recipes",
    weight=6,
    quick=24,
    cases=lambda: whole_floats([*corpus.graphs(), *corpus.recipes()]),
)
def test_whole_floats(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


def float_arguments() -> list[Swapped]:
    """Every integer argument of everything registered as a whole float: what it takes, and larger ones."""
    found = []
    for kind, entry in entries():
        for name, parameter in entry.parameters.items():
            if "integer" in str(parameter.schema):
                tree, place, _ = put_into(kind, entry.name)
                own = at(tree, place).get(name, parameter.default)
                values = {float(own) if isinstance(own, int) else 2.0, 1.0, 2.0, 4.0, 8.0}
                found += [Swapped(kind, entry.name, name, value) for value in sorted(values)]
    return found


@series("whole floats: every parameter", weight=3, quick=18, cases=float_arguments)
def test_whole_floats_of_every_parameter(case: Swapped, folder: Path) -> Outcome:
    return run_here(case.files.command, folder)


def trained_floats() -> list[Files]:
    """Every integer of the recipes that are trained as a whole float."""
    found = []
    for text in (corpus.PAIRED, corpus.RICH_RECIPE):
        beside = {name: graph for name, graph in corpus.tiny.FILES.items() if graph.startswith("\ngraph")}
        for case in whole_floats([corpus.Base("x", "recipe", text, beside)]):
            found.append(Files(("train", "x.yaml", "--run", "run", "--set", "steps=1"), case.files))
    return found


@series("whole floats: training", weight=4, quick=2, cases=trained_floats)
def test_whole_floats_in_training(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


# ---------------------------------------------------------------------- what the series begin with is right


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_are_replaced_were_right(kind: str, tmp_path: Path):
    """Most things are given what they take, so that a replaced argument gets beyond its neighbours."""
    refused = []
    for name in list(registry.KINDS[kind])[:8]:
        tree, _, command = put_into(kind, name)
        folder = tmp_path / name
        folder.mkdir()
        Files((), {"x.yaml": to_yaml(tree), "to_one.yaml": corpus.tiny.TO_ONE}).lay(folder)
        outcome = run_here((command, "x.yaml"), folder)
        if outcome.code:
            refused.append(f"{name}: {outcome.output}")
    assert len(refused) <= 2, "\n".join(refused)
