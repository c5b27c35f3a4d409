"""`crossband show GRAPH`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from torch.fx import GraphModule

from crossband.blocks.contracts.sizes import Shape, evaluate
from crossband.graphs.checking.checker import check_into
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import load_graph
from crossband.graphs.language.serial import digest, dump
from crossband.graphs.language.syntax import Graph
from crossband.graphs.picture.table import HEADINGS, RIGHT, Row, Survey
from crossband.graphs.plans.cost import Cost, build_meta
from crossband.graphs.plans.image_size import refuse_size, symbols_at, usual
from crossband.graphs.plans.plan import Plan
from crossband.graphs.plans.room import shortage
from crossband.recipes.basics.files import write_text
from crossband.recipes.commands.listing import about, kept_cost
from crossband.recipes.commands.names import settings
from crossband.recipes.commands.output import plain, print_facts, print_json, print_table, say
from crossband.recipes.model.plugins import check_file
from crossband.registry import CrossbandError, suggest


@dataclass(frozen=True)
class Shown(Survey):
    """A survey of a graph with what its file says of itself, and the values of its params."""

    about: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def cost(self) -> Cost:
        """Parameters and multiply-accumulates, which are at hand for the graphs of the library."""
        return kept_cost(self.plan, self.numbers) or super().cost


def show_graph(
    path: str, overrides: Sequence[str], size: tuple[int, int] | None, form: str | None, svg: Path | None
) -> None:
    """Print a graph as a table, or in the `form` asked for, and write its picture. Raises InvalidFile."""
    params, place_of = settings(overrides)
    if svg:
        _draw(path, params, svg)  # first, since a graph with errors has a picture too
    written = load_graph(path)
    problems = Problems()
    plan = problems.value(check_into(path, problems, params, place_of))
    if form or not svg:
        _show(plan, about(path), written.with_params(params).params, size, form)


def show_network(
    path: str, name: str, overrides: Sequence[str], *, size: tuple[int, int] | None, form: str | None, svg: Path | None
) -> None:
    """Like `show_graph`, of the graph of a network of a recipe, with its params and patches. Raises InvalidFile."""
    experiment = check_file(path, overrides)
    if name not in experiment.plans:
        message = f"`{experiment.recipe.name}` has no network `{name}`"
        raise CrossbandError(message, hint=suggest(name, experiment.plans))
    plan = experiment.plans[name]
    if svg:
        _draw(plan.graph, {}, svg)
    if form or not svg:
        _show(plan, plan.graph.doc or "", experiment.recipe.networks[name].params, size, form)


def _show(plan: Plan, doc: str, params: Mapping[str, Any], size: tuple[int, int] | None, form: str | None) -> None:
    """Print a graph as a table, or in the `form` asked for."""
    if form == "code":
        network = build_meta(replace(plan, wrap=()))
        assert isinstance(network, GraphModule)
        click.echo(network.code.strip())
    elif form == "resolved":
        click.echo(dump(plan.graph), nl=False)
    else:
        if short := shortage(plan):
            say(f"note: {short}")
        survey = Shown(plan, _numbers(plan, size), size is not None, doc, params)
        _print_json(survey) if form == "json" else _print(survey)


def _draw(source: str | Graph, params: Mapping[str, Any], target: Path) -> None:
    from crossband.graphs.picture.draw import draw

    write_text(target, draw(source, params))


def _numbers(plan: Plan, size: tuple[int, int] | None) -> dict[str, int]:
    """The numbers for H and W at the size asked for, which must be admissible, or at a sensible one."""
    if size is None:
        numbers = usual(plan)
        if not plan.sizes.admits(**numbers):
            message = f"256x256 does not pass through `{plan.graph.name}`; {plan.sizes}"
            raise CrossbandError(message, hint="give one that does, with `--size HxW`")
        return numbers
    problems = Problems()
    refuse_size(plan, *size, problems)
    problems.raise_if_any()
    return symbols_at(plan, *size)


# ---------------------------------------------------------------------- for people


def _print(survey: Shown) -> None:
    """The table, with numbers for the sizes of `--size`, else with formulas; then everything else."""
    print_table(HEADINGS, survey.cells(), right=RIGHT)
    click.echo()
    facts = survey.facts()
    params = {"params": ", ".join(f"{name}={plain(value)}" for name, value in survey.params.items())}
    last = {name: facts.pop(name) for name in ("cite", "digest")}
    name = survey.plan.graph.name + (f": {survey.about}" if survey.about else "")
    print_facts({"graph": name, **facts, **params, **last})


# ---------------------------------------------------------------------- for programs


def _print_json(survey: Shown) -> None:
    plan = survey.plan
    print_json(
        {
            "graph": plan.graph.name,
            "doc": survey.about,
            "parameters": survey.cost.parameters,
            "macs": survey.cost.macs,
            "measured_at": dict(survey.numbers),
            "nodes": [_node(row, survey.numbers) for row in survey.rows],
            "size": {"multiple": plan.sizes.multiple, "minimum": plan.sizes.minimum, "rule": str(plan.sizes)},
            "inputs": {name: _shape(shape) for name, shape in plan.inputs.items()},
            "outputs": {name: _shape(plan.shape(ref)) for name, ref in plan.outputs.items()},
            "taps": {name: _shape(plan.shape(ref)) for name, ref in plan.taps.items()},
            "ranges": {name: found.as_pair() for name, found in plan.ranges().items()},
            "wrap": [wrap.entry.name for wrap in plan.wrap],
            "params": dict(survey.params),
            "cite": list(plan.graph.cite),
            "digest": digest(plan.graph),
        }
    )


def _node(row: Row, numbers: Mapping[str, int]) -> dict[str, Any]:
    """A node; `shape` is that of its first value in numbers, `shapes` are those of all as formulas."""
    return {
        "name": row.node,
        "blocks": row.blocks,
        "shape": [int(evaluate(size, numbers)) for size in row.shapes[0][1:]],
        "shapes": [_shape(shape) for shape in row.shapes],
        "parameters": row.parameters,
        "macs": row.macs,
        "receptive_field": None if row.field == math.inf else int(row.field),
    }


def _shape(shape: Shape) -> list[int | str]:
    """A shape with numbers where they are known and formulas elsewhere, batch aside."""
    return [size if isinstance(size, int) else str(size) for size in shape[1:]]
