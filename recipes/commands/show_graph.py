"""`crossband show GRAPH`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from torch.fx import GraphModule

from crossband.blocks.contracts.sizes import Shape, evaluate
from crossband.graphs.checking.checker import check
from crossband.graphs.checking.explain import render_shape
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import load_graph
from crossband.graphs.language.serial import digest, dump
from crossband.graphs.language.syntax import Node
from crossband.graphs.plans.cost import Cost, build_meta, cost
from crossband.graphs.plans.image_size import nearest, refuse_size, size_text, symbols_at
from crossband.graphs.plans.plan import Plan, Ref
from crossband.graphs.plans.receptive import receptive_fields
from crossband.recipes.basics.files import replacing
from crossband.recipes.commands.listing import about
from crossband.recipes.commands.names import settings
from crossband.recipes.commands.output import plain, print_facts, print_json, print_table
from crossband.registry import CrossbandError

HEADINGS = ("node", "blocks", "output", "parameters", "MACs", "field")


@dataclass(frozen=True)
class Row:
    """One node: what it is made of, the values that others read of it, and what it costs."""

    node: str
    blocks: str
    shapes: tuple[Shape, ...]
    parameters: int
    macs: int
    field: float


@dataclass(frozen=True)
class Survey:
    """What there is to print of a graph; `exact` says that the sizes in `numbers` were asked for."""

    plan: Plan
    about: str
    params: Mapping[str, Any]
    numbers: Mapping[str, int]
    exact: bool
    cost: Cost
    rows: Sequence[Row]


def show_graph(
    path: str, overrides: Sequence[str], size: tuple[int, int] | None, form: str | None, svg: Path | None
) -> None:
    """Print a graph as a table, or in the `form` asked for, and write its picture. Raises InvalidFile."""
    params = settings(overrides)
    if svg:
        _draw(path, params, svg)  # first, since a graph with errors has a picture too
    written = load_graph(path)
    plan = check(path, params)
    if form == "code":
        network = build_meta(replace(plan, wrap=()))
        assert isinstance(network, GraphModule)
        click.echo(network.code.strip())
    elif form == "resolved":
        click.echo(dump(plan.graph), nl=False)
    elif form == "json" or not svg:
        numbers = _numbers(plan, size)
        price = cost(plan, numbers)
        params = written.with_params(params).params
        survey = Survey(plan, about(path), params, numbers, size is not None, price, _rows(plan, price))
        _print_json(survey) if form == "json" else _print(survey)


def _draw(path: str, params: Mapping[str, Any], target: Path) -> None:
    from crossband.graphs.picture.draw import draw

    picture = draw(path, params)
    try:
        with replacing(target) as temporary:
            temporary.write_text(picture, "utf-8")
    except OSError as error:
        raise CrossbandError(f"{target}: the picture cannot be written: {error.strerror}") from error


def _numbers(plan: Plan, size: tuple[int, int] | None) -> dict[str, int]:
    """The numbers for H and W at the size asked for, which must be admissible, or at a sensible one."""
    if size is None:
        numbers = nearest(plan, 256, 256)
        if not plan.sizes.admits(**numbers):
            cure = "hint: give one that does, with `--size HxW`"
            raise CrossbandError(f"256x256 does not pass through `{plan.graph.name}`; {plan.sizes}\n{cure}")
        return numbers
    problems = Problems()
    refuse_size(plan, *size, problems)
    problems.raise_if_any()
    return symbols_at(plan, *size)


def _rows(plan: Plan, price: Cost) -> list[Row]:
    fields, read = receptive_fields(plan), _read(plan)
    rows = []
    for node, calls in plan.by_node():
        values = read.get(node, [Ref(calls[-1].name)])
        blocks = _blocks(plan.graph.nodes[node])
        shapes = tuple(plan.shape(value) for value in values)
        field = max(fields[value.source] for value in values)
        rows.append(Row(node, blocks, shapes, price.node_parameters[node], price.node_macs[node], field))
    return rows


def _read(plan: Plan) -> dict[str, list[Ref]]:
    """The values of each node that something outside it reads."""
    node = {call.name: call.node for call in plan.calls}
    outside = [ref for call in plan.calls for ref in call.reads if node.get(ref.source) != call.node]
    found: dict[str, list[Ref]] = {}
    for ref in dict.fromkeys([*outside, *plan.outputs.values(), *plan.taps.values()]):
        if ref.source in node:
            found.setdefault(node[ref.source], []).append(ref)
    return found


def _blocks(node: Node | None) -> str:
    """The blocks of a node in order, `CrissCross ×2` where repeated."""
    assert node is not None  # a checked graph has no removed nodes left
    names = [step.block + (f" ×{step.repeat}" if step.repeat != 1 else "") for step in node.steps]
    text = ", ".join(names) if len(names) == 1 or node.repeat == 1 else f"({', '.join(names)})"
    return f"{text} ×{node.repeat}" if node.repeat != 1 else text


# ---------------------------------------------------------------------- for people


def _print(survey: Survey) -> None:
    """The table, with numbers for the sizes of `--size`, else with formulas; then everything else."""
    plan, numbers = survey.plan, survey.numbers

    def shown(shape: Shape) -> str:
        sizes = [evaluate(size, numbers) for size in shape[1:]]
        return render_shape((shape[0], *sizes) if survey.exact else shape)

    def listed(refs: Mapping[str, Ref]) -> str:
        return ", ".join(f"{name} {shown(plan.shape(ref))}" for name, ref in refs.items())

    print_table(HEADINGS, [_cells(row, shown) for row in survey.rows], right=HEADINGS[3:])
    click.echo()
    print_facts(
        {
            "graph": plan.graph.name + (f": {survey.about}" if survey.about else ""),
            "parameters": f"{survey.cost.parameters:,}",
            "MACs": f"{_short(survey.cost.macs) or 0} for an image of {size_text(plan, numbers)}",
            "sizes": str(plan.sizes),
            "inputs": ", ".join(f"{name} {shown(shape)}" for name, shape in plan.inputs.items()),
            "outputs": listed(plan.outputs),
            "taps": listed(plan.taps),
            "wrap": ", ".join(wrap.entry.name for wrap in plan.wrap),
            "params": ", ".join(f"{name}={plain(value)}" for name, value in survey.params.items()),
            "cite": ", ".join(plan.graph.cite),
            "digest": digest(plan.graph),
        }
    )


def _cells(row: Row, shown: Callable[[Shape], str]) -> tuple[str, ...]:
    parameters = f"{row.parameters:,}" if row.parameters else ""
    field = "all" if row.field == math.inf else str(int(row.field))
    return row.node, row.blocks, ", ".join(map(shown, row.shapes)), parameters, _short(row.macs), field


def _short(number: int) -> str:
    """A large number to three digits, `58.6 G`; nothing for zero."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            value = number / size
            return f"{value:.{max(0, 2 - int(math.log10(value)))}f} {unit}"
    return str(number) if number else ""


# ---------------------------------------------------------------------- for programs


def _print_json(survey: Survey) -> None:
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
