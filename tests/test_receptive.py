"""Receptive fields and costs of graphs, against known values and against what really runs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossband.graphs import build, check
from crossband.graphs.checking.checker import check as check_graph
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.plans.cost import cost, count_parameters
from crossband.graphs.plans.image_size import nearest, refuse_size, size_text, symbols_at
from crossband.graphs.plans.plan import Plan
from crossband.graphs.plans.receptive import receptive_fields


def plan_of(nodes: str, inputs: str = "{image: [3, H, W]}", outputs: str = "{last: [c, h, w]}", more: str = "") -> Plan:
    problems = Problems()
    text = f"graph: small\ninputs: {inputs}\nnodes:\n{nodes}\noutputs: {outputs}\n{more}"
    graph = Resolver(problems).load_text(text)
    problems.raise_if_any()
    assert graph is not None
    return check_graph(graph)


def field(nodes: str, **more: str) -> float:
    plan = plan_of(nodes, **more)
    return receptive_fields(plan)[next(iter(plan.outputs.values())).source]


PATCHGAN = (
    "  last: [" + ", ".join(f"{{Conv: {{out: 4, kernel: 4, stride: {s}, padding: 1}}}}" for s in (2, 2, 2, 1, 1)) + "]"
)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (PATCHGAN, 70),  # Isola et al. 2017, the 70x70 PatchGAN
        ("  last: {Conv: {out: 4}}", 3),
        ("  last: {Conv: {out: 4, dilation: 4}}", 9),
        ("  last: [{Conv: {out: 4}}, {Conv: {out: 4}}, {Conv: {out: 4}}]", 7),
        ("  last: [{MaxPool: {}}, {MaxPool: {}}]", 4),
        ("  last: [{Conv: {out: 4, stride: 2}}, {ConvTranspose: {out: 4}}]", 5),
        ("  last: [{MaxPool: {}}, {Conv: {out: 4}}, {Resize: {up: 2}}, {Conv: {out: 4}}]", 8),
        ("  last: [ReLU, InstanceNorm]", 1),
        ("  last: [{Conv: {out: 8}}, CrissCross]", math.inf),
        ("  last: GlobalPool", math.inf),
    ],
)
def test_known_fields(nodes: str, expected: float) -> None:
    assert field(nodes) == expected


def test_a_join_takes_the_widest_of_its_parts() -> None:
    nodes = "  narrow: {from: image, Conv: {out: 4}}\n  wide: {from: image, Conv: {out: 4, kernel: 7}}"
    assert field(f"{nodes}\n  last: {{from: [narrow, wide], Concat: {{}}}}") == 7


def test_a_graph_for_one_size_has_the_field_of_any() -> None:
    fixed = plan_of(PATCHGAN, inputs="{image: [3, 256, 256]}", outputs="{last: [4, 30, 30]}")
    assert receptive_fields(fixed)["last.Conv_5"] == 70


@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    f"{{Conv: {{out: 2, kernel: {k}, stride: {s}, padding: {p}}}}}"
                    for k in (1, 3, 4)
                    for s in (1, 2)
                    for p in (0, 1)
                ),
                "{Conv: {out: 2, dilation: 2}}",
                "{AvgPool: {}}",
                "{ConvTranspose: {out: 2}}",
                "{Resize: {up: 2}}",
                "{Resize: {up: 2, mode: bilinear}}",
            ]
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_output_sees_more_than_its_field(blocks: list[str]) -> None:
    """One row of the output depends on no more rows than its field, and on all of them where no block upsamples."""
    plan = plan_of(f"  last: [{', '.join(blocks)}]", inputs="{image: [1, H, W]}")
    expected = receptive_fields(plan)[plan.outputs["last"].source]
    network = build(plan, seed=0).double()
    for parameter in network.parameters():
        parameter.data.abs_().add_(0.1)  # nothing cancels
    image = torch.ones(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    output = network(image)
    output[0, 0, output.shape[2] // 2].sum().backward()
    assert image.grad is not None
    seen = image.grad[0, 0].abs().sum(1).nonzero().flatten()
    spread = int(seen[-1] - seen[0]) + 1
    assert spread <= expected
    if not any("ConvTranspose" in block or "Resize" in block for block in blocks) and "stride: 2" not in str(blocks):
        assert spread == expected


def test_macs_of_a_convolution_are_those_of_its_formula() -> None:
    plan = plan_of("  first: {Conv: {out: 8}}\n  last: {Conv: {out: 4, kernel: 1, bias: false}}")
    found = cost(plan, {"H": 10, "W": 6})
    assert found.node_macs == {"first": 3 * 8 * 9 * 60, "last": 8 * 4 * 60}
    assert found.node_parameters == {"first": 3 * 8 * 9 + 8, "last": 32}
    assert found.macs == sum(found.node_macs.values())
    assert found.parameters == sum(found.node_parameters.values())


def test_shared_weights_count_once_and_their_work_each_time() -> None:
    once = cost(plan_of("  last: {Conv: {out: 3}}"), {"H": 8, "W": 8})
    twice = cost(plan_of("  last: {Conv: {out: 3}, repeat: 2, share: true}"), {"H": 8, "W": 8})
    assert twice.parameters == once.parameters
    assert twice.macs == 2 * once.macs


def test_a_wrapper_changes_no_count() -> None:
    wrapped = plan_of("  last: {Conv: {out: 1}}", more="wrap: {GradientNorm: {}}")
    assert count_parameters(wrapped) == 28
    assert cost(wrapped, {"H": 4, "W": 4}).parameters == 28


@pytest.mark.slow
@pytest.mark.parametrize("name", ["u2net", "u2netp", "u2net_cca"])
def test_shipped_graphs_have_the_parameters_of_their_modules(name: str) -> None:
    plan = check(name)
    counted = cost(plan, nearest(plan, 64, 64))
    assert counted.parameters == sum(counted.node_parameters.values()) == count_parameters(plan)


@pytest.mark.parametrize(
    ("nodes", "inputs", "size", "hint"),
    [
        (
            "  last: [{Conv: {out: 4, stride: 2}}, {Conv: {out: 4, kernel: 5, padding: 0}}]",
            "[3, H, W]",
            (4, 64),
            "nearest: 9x64",
        ),
        ("  last: {Conv: {out: 4}}", "[3, 256, 128]", (256, 256), "nearest: 256x128"),
    ],
)
def test_a_refused_size_names_the_nearest(nodes: str, inputs: str, size: tuple[int, int], hint: str) -> None:
    outputs = "{last: [4, 256, 128]}" if "256" in inputs else "{last: [c, h, w]}"
    plan, problems = plan_of(nodes, inputs=f"{{image: {inputs}}}", outputs=outputs), Problems()
    assert refuse_size(plan, *size, problems)
    [found] = problems
    assert found.code == "E034"
    assert found.message == f"{size[0]}x{size[1]} does not pass through `small`"
    assert found.hint is not None
    assert found.hint.endswith(hint)


def test_a_size_that_passes_is_not_refused() -> None:
    plan, problems = plan_of("  last: {Conv: {out: 4}}"), Problems()
    assert not refuse_size(plan, 5, 7, problems)
    assert not problems
    assert size_text(plan, symbols_at(plan, 5, 7)) == "5x7"
