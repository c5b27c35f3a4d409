"""What many tests ask of everything shipped, worked out once in a process. Nothing here may be changed by a test."""

from functools import cache

from jsonschema import Draft202012Validator
from torch import nn

from crossband import graphs, recipes
from crossband.graphs.picture.page import Page
from crossband.graphs.picture.sketch import Sketch, sketch
from crossband.graphs.plans.plan import Plan
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.table_schema import table_schema

NARROW = {
    "width": 8,
    "most": 16,
    "inner": 4,
    "reduce": 2,
    "stem": 4,
    "head": 8,
    "low": 4,
    "depth3": 2,
    "depth4": 2,
    "heads": 2,
}
"""Params that make a network small, of the graphs that have them."""


@cache
def plan(name: str, *, narrow: bool = False) -> Plan:
    """A shipped graph, checked; with few channels where it is to be narrow."""
    params = graphs.load_graph(name).params if narrow else ()
    return graphs.check(name, {param: value for param, value in NARROW.items() if param in params})


@cache
def network(name: str) -> nn.Module:
    """A shipped graph, built with few channels."""
    return graphs.build(plan(name, narrow=True), seed=0)


@cache
def experiment(name: str) -> Experiment:
    """A shipped recipe, checked."""
    return recipes.check(name)


@cache
def sketched(name: str) -> Sketch:
    """The parts of the picture of a shipped graph."""
    return sketch(name)


@cache
def drawing(name: str) -> str:
    """The picture of a shipped graph, as SVG."""
    return Page(sketched(name)).text()


@cache
def validator(kind: str) -> Draft202012Validator:
    """The JSON Schema of `graph` or `recipe` files, found to be one."""
    made = {"graph": graphs.graph_schema, "recipe": recipes.recipe_schema, "table": table_schema}[kind]
    schema = made()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
