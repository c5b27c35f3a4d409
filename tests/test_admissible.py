"""Image sizes: the rule that is derived is the rule that holds, its words, and the sizes it offers."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from graph_strategies import graphs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import formulas
from test_graphs import Shapes, drawn, graph, told_at
from torch import Tensor

from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import Condition, Size, ceil_div, largest, symbol, symbols_of
from crossband.graphs import InvalidFile, build, check
from crossband.graphs.plans.admissible import AxisRule, SizeRule, derive, possible
from crossband.graphs.plans.plan import Call, Plan

H, W = symbol("H"), symbol("W")


class Strict(Shapes):
    """Joins refuse what torch would broadcast, as their contracts do."""

    def inputs(self, call: Call, inputs: Sequence[Tensor]) -> None:
        """Raises RuntimeError where a join does not take these shapes."""
        given = {name: value for name, value in call.arguments.items() if name in call.entry.parameters}
        if len(inputs) > 1 and shapes_of(call.entry, [tuple(each.shape) for each in inputs], given).conditions:
            raise RuntimeError("shapes differ")


def runs(plan: Plan, network: torch.nn.Module, h: int, w: int) -> bool:
    """Whether an image of this size passes, and comes out of each block in the shapes that the plan says."""
    strict = Strict(plan, network)
    try:
        with torch.no_grad():
            strict.run(torch.zeros(1, 3, h, w))
    except (RuntimeError, ValueError):
        return False
    found = [shape for shapes in strict.found for shape in shapes]
    wanted = [shape for call in plan.calls for shape in told_at(call.shapes, {"H": h, "W": w})]
    return found == wanted and all(map(all, found)) and kept(plan, h, w)


def kept(plan: Plan, h: int, w: int) -> bool:
    """Whether the outputs have the shapes that they promise for an image of this size, by name of their sizes."""
    sizes: dict[int | str, int] = {"H": h, "W": w}
    for output, ref in zip(plan.graph.outputs.values(), plan.outputs.values(), strict=True):
        assert output
        for item, size in zip(output.shape, *told_at([plan.shape(ref)], {"H": h, "W": w}), strict=True):
            if sizes.setdefault(item, item if isinstance(item, int) else size) != size:
                return False
    return True


def assert_exact(plan: Plan, sizes: Sequence[int]) -> None:
    network = build(plan).eval()
    good = plan.sizes.nearest(H=16, W=16)
    for n in sizes:
        for h, w in {(n, good["W"]), (good["H"], n), (n, n)}:
            assert runs(plan, network, h, w) == plan.sizes.admits(H=h, W=w), (h, w, str(plan.sizes))


TABLE = {
    "anything": ("y: {Conv: {out: 3}}", "H and W: any"),
    "a valid convolution": ("y: {Conv: {out: 3, kernel: 5, padding: 0}}", "H and W: at least 5"),
    "dilation": ("y: {Conv: {out: 3, kernel: 3, padding: 0, dilation: 4}}", "H and W: at least 9"),
    "floor pools": ("y: {MaxPool: {}, repeat: 3}", "H and W: at least 8"),
    "ceil pools": ("y: {MaxPool: {ceil: true}, repeat: 3}", "H and W: any"),
    "a wide pool that rounds up": ("y: {MaxPool: {kernel: 3, stride: 2, ceil: true}}", "H and W: at least 2"),
    "down and up": ("a: [MaxPool, {Resize: {up: 2}}]\ny: {from: [a, image], Add: {}}", "H and W: multiples of 2"),
    "down and up five times": (
        "a: [{MaxPool: {}, repeat: 5}, {Resize: {up: 32}}]\ny: {from: [a, image], Add: {}}",
        "H and W: multiples of 32",
    ),
    "transposed convolution": (
        "a: [{Conv: {out: 3, kernel: 4, stride: 2, padding: 1}}, {ConvTranspose: {out: 3}}]\n"
        "y: {from: [a, image], Add: {}}",
        "H and W: multiples of 2",
    ),
    "transposed to odd sizes": (
        "a: [{Conv: {out: 3, stride: 2}}, {ConvTranspose: {out: 3, kernel: 3}}]\ny: {from: [a, image], Add: {}}",
        "H and W: odd numbers",
    ),
    "strides that do not divide each other": (
        "a: [{Conv: {out: 3, stride: 2}}, {Resize: {up: 2}}]\n"
        "b: {from: image, do: [{Conv: {out: 3, stride: 3}}, {Resize: {up: 3}}]}\n"
        "y: {from: [a, b, image], Add: {}}",
        "H and W: multiples of 6",
    ),
    "concat of odd branches": (
        "a: {MaxPool: {ceil: true}}\nb: {from: image, MaxPool: {}}\ny: {from: [a, b], Concat: {}}",
        "H and W: multiples of 2",
    ),
    "concat of branches that differ by one": (
        "a: {Conv: {out: 3, kernel: 2, stride: 2, padding: 1}}\nb: {from: image, MaxPool: {}}\n"
        "y: {from: [a, b], Concat: {}}",
        None,
    ),
    "reflection": ("y: {Conv: {out: 3, kernel: 7, pad_mode: reflect}}", "H and W: at least 4"),
    "reflection below a pool": (
        "y: [MaxPool, MaxPool, {Conv: {out: 3, kernel: 5, pad_mode: reflect}}]",
        "H and W: at least 12",
    ),
    "instance normalisation": ("y: InstanceNorm", "H and W: any; together more than one pixel"),
    "instance normalisation below": (
        "y: [{MaxPool: {}, repeat: 2}, InstanceNorm]",
        "H and W: at least 4; together more than one pixel",
    ),
    "two thirds": ("y: {Resize: {up: 2, down: 3}}", "H and W: at least 2"),
    "a nested U": (
        "a: [{RSU: {depth: 4, mid: 2, out: 3}}, MaxPool, {RSU: {depth: 3, mid: 2, out: 3}}]\n"
        "y: {from: [a, image], UpCat: {}}",
        "H and W: at least 2",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_rule_is_what_really_runs(name: str):
    nodes, rule = TABLE[name]
    nodes = f"{nodes.rstrip()}\nend: {{Conv: {{out: 1, kernel: 1}}}}"
    if rule is None:
        with pytest.raises(InvalidFile, match="E031"):
            check(graph(nodes, "{end: [1, h, w]}"))
        return
    plan = check(graph(nodes, "{end: [1, h, w]}"))
    assert str(plan.sizes) == rule
    least, period = plan.sizes.minimum, plan.sizes.axes["H"].period
    near = [n for n in range(least - 2, least + 3) if n > 0]
    assert_exact(
        plan, sorted({*near, 1, 2, 3, 17, *(k * period + d for k in (1, 2) for d in (-1, 0, 1) if k * period + d > 0)})
    )


@settings(max_examples=max(5, settings.default.max_examples // 2))  # type: ignore[union-attr]
@given(graphs(channels=3), st.lists(st.integers(1, 40), max_size=3))
def test_the_rule_of_any_graph_is_what_really_runs(data, sizes):
    plan = drawn(data)
    start = plan.sizes.axes["H"].start
    assert_exact(plan, sorted({*sizes, *(n for n in (1, start - 1, start, start + 1) if 0 < n < 150)}))


# --- the derivation itself, on formulas


@given(st.lists(st.tuples(formulas(3), st.booleans()), min_size=1, max_size=3))
def test_the_rule_of_any_conditions_is_exact(drawn_conditions):
    conditions = [
        Condition(size, at_least, "") for (size, _), at_least in drawn_conditions if symbols_of(size) == {"h"}
    ]
    assume(conditions and all(condition.certain is None for condition in conditions))
    rule = derive(conditions, ["h"]).axes["h"]
    sizes = np.arange(1, 400)
    wanted = np.logical_and.reduce([condition.holds({"h": sizes}) for condition in conditions])
    assert [rule.admits(int(n)) for n in sizes] == list(wanted)
    assert list(rule.within(1, 399)) == list(sizes[wanted])
    for n in (1, 7, 100):
        later, earlier = sizes[wanted & (sizes >= n)], sizes[wanted & (sizes <= n)]
        assert rule.at_most(n) == (int(earlier[-1]) if len(earlier) else None)
        if len(later):
            assert rule.at_least(n) == later[0]


@given(st.lists(formulas(3), min_size=1, max_size=2), st.integers(1, 30), st.integers(1, 30))
def test_sizes_that_are_offered_are_admissible_and_the_closest(drawn_formulas, h, w):
    rule = derive([Condition(size, True, "") for size, _ in drawn_formulas], ["h", "w"])
    padded, nearest = rule.padded(h=h, w=w), rule.nearest(h=h, w=w)
    small = [(a, b) for a in range(1, 50) for b in range(1, 50) if rule.admits(h=a, w=b)]
    above = [a - h + b - w for a, b in small if a >= h and b >= w]
    if above:
        assert rule.admits(**padded)
        assert padded["h"] >= h
        assert padded["w"] >= w
        assert padded["h"] - h + padded["w"] - w <= min(above)
    if small:
        assert rule.admits(**nearest)
        assert abs(nearest["h"] - h) + abs(nearest["w"] - w) <= min(abs(a - h) + abs(b - w) for a, b in small)


def equal(left: Size, right: Size) -> Condition:
    return Condition(left - right, False, "", 2, 1, right)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (equal(H // 2 * 2, H), True),
        (equal(ceil_div(H, 2), H), False),  # true of one pixel only
        (equal(ceil_div(H, 32), ceil_div(H, 16)), False),  # true of images up to 16 pixels
        (equal(H - 2, H), False),
        (equal(H // 32, 8), True),  # a fixed size, but an image
        (equal(H, 1), False),
        (equal(H, W), True),
        (Condition(H - 100, True, ""), True),
        (Condition(3 - H, True, ""), False),
        (Condition(H // 2**17 - 1, True, ""), False),  # no image is that large
    ],
)
def test_a_condition_that_no_image_meets_is_a_mistake(condition, answer):
    assert possible(condition) == answer


def test_large_periods_are_exact_as_far_as_images_go():
    rule = derive([equal(H // 251 * 251, H), equal(H // 241 * 241, H)], ["H"]).axes["H"]
    assert [n for n in range(1, 1 << 16) if rule.admits(n)] == [251 * 241]
    assert rule.nearest(70_000) == 251 * 241


# --- words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (AxisRule("H"), "any"),
        (AxisRule("H", 32), "multiples of 32"),
        (AxisRule("H", 32, (0,), 32), "multiples of 32"),
        (AxisRule("H", 32, (0,), 64), "multiples of 32, at least 64"),
        (AxisRule("H", 1, (0,), 5), "at least 5"),
        (AxisRule("H", 4, (1,)), "1 modulo 4"),
        (AxisRule("H", 4, (1,), 5), "1 modulo 4, at least 5"),
        (AxisRule("H", 4, (0, 1, 3)), "0, 1 or 3 modulo 4"),
        (AxisRule("H", 16, tuple(range(8))), "8 of every 16 sizes"),
        (AxisRule("H", 1, ()), "none"),
        (AxisRule("H", 1, (), 9, (1,)), "1"),
        (AxisRule("H", 1, (), 99, tuple(range(32, 64))), "32 to 63"),
        (AxisRule("H", 1, (), 99, tuple(range(1, 60, 2))), "30 sizes from 1 to 59"),
        (AxisRule("H", 4, (0,), 12, (1, 2, 3, 8)), "1 to 3 or 8 or multiples of 4, at least 12"),
    ],
)
def test_a_rule_in_words(rule: AxisRule, words: str):
    assert str(rule) == words


def test_rules_of_several_axes_in_words():
    pixels = Condition(largest(H, W) - 2, True, "it needs more than one pixel, but h is H, w is W")
    assert str(SizeRule({"H": AxisRule("H", 32), "W": AxisRule("W", 32)})) == "H and W: multiples of 32"
    assert str(SizeRule({"H": AxisRule("H", 32), "W": AxisRule("W")})) == "H: multiples of 32; W: any"
    assert str(derive([pixels], ["H", "W"])) == "H and W: any; together more than one pixel"
    assert str(SizeRule({})) == "fixed"


def test_a_joint_condition_that_the_axes_imply_is_left_out():
    pixels = Condition(largest(H // 2, W // 2) - 2, True, "")
    assert derive([pixels, Condition(H - 4, True, "")], ["H", "W"]).joint == ()
    assert derive([pixels, Condition(H - 3, True, "")], ["H", "W"]).joint == (pixels,)


def test_multiple_and_minimum():
    rule = SizeRule({"H": AxisRule("H", 32, (0,), 64), "W": AxisRule("W", 12)})
    assert (rule.multiple, rule.minimum) == (96, 64)
    assert SizeRule({"H": AxisRule("H", 4, (1,))}).multiple == 1
    assert SizeRule({}).multiple == SizeRule({}).minimum == 1


def test_axes_that_equations_give_are_worked_out_however_many_they_are():
    halves = {f"h{divisor}": divisor for divisor in (2, 4, 8, 16, 32)}
    ties = [equal(symbol(name), H // divisor) for name, divisor in halves.items()]
    rule = derive([*ties, equal(H // 32 * 32, H)], ["H", *halves])
    assert rule.possible
    asked = {"H": 100, **dict.fromkeys(halves, 1)}
    assert rule.padded(**asked) == {"H": 128, **{name: 128 // divisor for name, divisor in halves.items()}}
    assert not derive([*ties, equal(symbol("h2"), H // 4)], ["H", *halves]).possible


def test_padding_meets_conditions_that_tie_height_and_width():
    square = derive([equal(H, W), equal(H // 4 * 4, H)], ["H", "W"])
    assert square.padded(H=30, W=41) == {"H": 44, "W": 44}
    assert square.padded(H=100, W=3000) == {"H": 3000, "W": 3000}
    assert square.nearest(H=30, W=35) == {"H": 32, "W": 32}
    assert derive([equal(H, W + 5000)], ["H", "W"]).padded(H=9, W=9) == {"H": 9, "W": 9}  # out of reach: unchanged
    pixels = derive([Condition(largest(H // 8, W // 8) - 2, True, "")], ["H", "W"])
    assert pixels.padded(H=3, W=5) == {"H": 3, "W": 16}
    assert pixels.padded(H=3, W=40) == {"H": 3, "W": 40}
    assert pixels.padded(H=3) == {"H": 3}  # what is not asked about is left alone


def test_no_size_at_all_leaves_what_is_asked():
    none = derive([equal(H // 2 * 2, H), equal(ceil_div(H, 2) * 2 - 1, H)], ["H"])
    assert none.axes["H"].empty
    assert none.padded(H=5) == none.nearest(H=5) == {"H": 5}
    assert not none.possible
