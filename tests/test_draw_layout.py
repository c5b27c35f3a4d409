"""Where the boxes and wires of a picture stand: nothing lies on anything else, whatever the graph."""

import itertools
from collections.abc import Sequence

import once
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossband.graphs import shipped
from crossband.graphs.picture.layout import Item
from crossband.graphs.picture.page import layout_of
from crossband.graphs.picture.pixels import Box, Layout, arrange

widths, heights = st.integers(50, 200).map(float), st.integers(28, 120).map(float)


@st.composite
def drawings(draw: st.DrawFn) -> list[Item]:
    """Items that read any others, themselves and each other included."""
    count = draw(st.integers(1, 12))
    names = [f"n{number}" for number in range(count)]
    items = []
    for number, name in enumerate(names):
        backwards = names if draw(st.integers(0, 9)) == 0 else names[:number]
        reads = tuple(draw(st.lists(st.sampled_from(backwards), unique=True, max_size=4))) if backwards else ()
        kind = draw(st.sampled_from(["node"] * 6 + ["input", "output"]))
        items.append(Item(name, draw(widths), draw(heights), draw(st.integers(-1, 3)), reads, kind))
    return items


def overlap(first: Box, second: Box) -> bool:
    return (
        first.x < second.x + second.width
        and second.x < first.x + first.width
        and first.y < second.y + second.height
        and second.y < first.y + first.height
    )


def on_edge(point: tuple[float, float], box: Box) -> bool:
    (x, y), slack = point, 1e-6
    across = box.x - slack <= x <= box.x + box.width + slack
    along = box.y - slack <= y <= box.y + box.height + slack
    side = min(abs(x - box.x), abs(x - box.x - box.width)) < slack
    end = min(abs(y - box.y), abs(y - box.y - box.height)) < slack
    return across and along and (side or end)


def strokes(points: Sequence[tuple[float, float]]) -> list[Box]:
    """The straight parts of a wire, as boxes without a width."""
    pairs = itertools.pairwise(points)
    return [Box(min(x, u), min(y, v), abs(u - x), abs(v - y)) for (x, y), (u, v) in pairs]


def shared(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> float:
    """The most that two wires lie on one another, in pixels."""
    longest = 0.0
    for one, other in itertools.product(strokes(first), strokes(second)):
        for across, along, length in (("x", "y", "height"), ("y", "x", "width")):
            level = abs(getattr(one, across) - getattr(other, across)) < 0.5
            thin = all(getattr(each, {"x": "width", "y": "height"}[across]) < 0.5 for each in (one, other))
            start = max(getattr(one, along), getattr(other, along))
            end = min(getattr(one, along) + getattr(one, length), getattr(other, along) + getattr(other, length))
            longest = max(longest, end - start) if level and thin else longest
    return longest


def assert_legible(layout: Layout) -> None:
    """Boxes apart, wires from box to box past all others, values apart."""
    for (name, box), (other, second) in itertools.combinations(layout.boxes.items(), 2):
        assert not overlap(box, second), f"{name} lies on {other}"
    for (source, target), points in layout.wires.items():
        assert on_edge(points[0], layout.boxes[source]), f"{source} -> {target} does not begin at its box"
        assert on_edge(points[-1], layout.boxes[target]), f"{source} -> {target} does not end at its box"
        for stroke in strokes(points):
            assert min(stroke.width, stroke.height) < 1e-6, f"{source} -> {target} is askew"
            for name, box in layout.boxes.items():
                assert not overlap(stroke, box), f"{source} -> {target} runs through {name}"
    for box in layout.boxes.values():
        assert min(box.x, box.y) >= 0
        assert box.x + box.width <= layout.width + 1e-6
        assert box.y + box.height <= layout.height + 1e-6


@given(drawings())
@settings(max_examples=80, deadline=None)
def test_nothing_lies_on_anything_else(items: list[Item]) -> None:
    layout = arrange(items, {item.name: 40.0 for item in items})
    assert set(layout.boxes) == {item.name for item in items}
    assert set(layout.wires) == {(read, item.name) for item in items for read in item.reads if read != item.name}
    assert_legible(layout)


@given(drawings())
@settings(max_examples=80, deadline=None)
def test_wires_of_different_values_do_not_run_along_each_other(items: list[Item]) -> None:
    layout = arrange(items, {})
    for (wire, points), (other, others) in itertools.combinations(layout.wires.items(), 2):
        if wire[0] != other[0] and wire[1] != other[1]:
            assert shared(points, others) < 1, f"{wire} and {other} cannot be told apart"


@pytest.mark.parametrize("name", shipped())
def test_shipped_graphs_are_legible(name: str) -> None:
    layout = layout_of(once.sketched(name))
    assert_legible(layout)
    assert layout.width < 3000, "wider than a large screen: fold equal nodes into local blocks"


def test_a_chain_of_two_thousand_nodes_is_drawn() -> None:
    items = [Item(f"n{n}", 90.0, 40.0, 0, (f"n{n - 1}",) if n else ()) for n in range(2000)]
    assert len(arrange(items, {}).boxes) == 2000


def test_nothing_at_all_is_laid_out() -> None:
    assert arrange([], {}).boxes == {}
