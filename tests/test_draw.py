"""The picture of a graph: what it shows, and that nothing in it lies on anything else."""

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossband import registry
from crossband.graphs import InvalidFile, shipped
from crossband.graphs.draw import draw, layout_of
from crossband.graphs.picture.layout import Item
from crossband.graphs.picture.pixels import Box, Layout, arrange
from crossband.graphs.picture.sketch import sketch
from crossband.graphs.picture.svg import text_width
from crossband.graphs.picture.words import KINDS, kind_of, words
from crossband.graphs.resolve import load
from crossband.graphs.syntax import Step

SVG = "{http://www.w3.org/2000/svg}"


def write(tmp_path: Path, text: str, name: str = "some.yaml") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def colours(svg: str, part: str) -> set[str]:
    group = next(each for each in ET.fromstring(svg).iter(f"{SVG}g") if each.get("data-part") == part)
    return {value for each in group.iter() for key, value in each.attrib.items() if key in ("stroke", "fill")}


CHAIN = """
graph: chain
cite: isola2017
inputs: {image: [3, H, W]}
nodes:
  first: {Conv: {out: 64, kernel: 4, stride: 2, activation: leaky_relu}}
  second: {Conv: {out: 128, kernel: 4, stride: 2, norm: batch, activation: leaky_relu}}
  score: {Conv: {out: 1, kernel: 4}}
outputs: {score: [1, h, w]}
"""

UNET = """
graph: unet
inputs: {image: [3, H, W]}
nodes:
  down1: {Conv: {out: 8}}
  down2: [MaxPool, {Conv: {out: 16}}]
  down3: [MaxPool, {Conv: {out: 32}}]
  up2: {from: [down3, down2], do: [UpCat, {Conv: {out: 16}}]}
  up1: {from: [up2, down1], do: [UpCat, {Conv: {out: 8}}]}
  thermal: [{Conv: {out: 1, kernel: 1}}, Sigmoid]
outputs: {thermal: [1, H, W]}
taps: {deep: down3}
"""


# ---------------------------------------------------------------------- geometry

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
        assert box.x + box.width <= layout.width
        assert box.y + box.height <= layout.height


@given(drawings())
@settings(max_examples=150, deadline=None)
def test_nothing_lies_on_anything_else(items: list[Item]) -> None:
    layout = arrange(items, {item.name: 40.0 for item in items})
    assert set(layout.boxes) == {item.name for item in items}
    assert set(layout.wires) == {(read, item.name) for item in items for read in item.reads if read != item.name}
    assert_legible(layout)


@given(drawings())
@settings(max_examples=150, deadline=None)
def test_wires_of_different_values_do_not_run_along_each_other(items: list[Item]) -> None:
    layout = arrange(items, {})
    for (wire, points), (other, others) in itertools.combinations(layout.wires.items(), 2):
        if wire[0] != other[0] and wire[1] != other[1]:
            assert shared(points, others) < 1, f"{wire} and {other} cannot be told apart"


@pytest.mark.parametrize("name", shipped())
def test_shipped_graphs_are_legible(name: str) -> None:
    layout = layout_of(sketch(name))
    assert_legible(layout)
    assert layout.width < 1500, "wider than a screen"


def test_an_encoder_goes_down_and_a_decoder_comes_up(tmp_path: Path) -> None:
    layout = layout_of(sketch(write(tmp_path, UNET)))
    where = {name: box.middle for name, box in layout.boxes.items()}
    assert where["down1"][1] < where["down2"][1] < where["down3"][1]
    assert where["down3"][1] > where["up2"][1] > where["up1"][1]
    assert where["down1"][0] == where["down2"][0] < where["up2"][0] == where["up1"][0]
    assert all(where[f"down{n}"][1] == where[f"up{n}"][1] for n in (1, 2)), "skips are level"


def test_a_chain_is_one_line(tmp_path: Path) -> None:
    layout = layout_of(sketch(write(tmp_path, CHAIN)))
    middles = [layout.boxes[name].middle for name in ("image", "first", "second", "score", "score.")]
    assert len({y for _, y in middles}) == 1
    assert [x for x, _ in middles] == sorted(x for x, _ in middles)


def test_a_chain_of_two_thousand_nodes_is_drawn() -> None:
    items = [Item(f"n{n}", 90.0, 40.0, 0, (f"n{n - 1}",) if n else ()) for n in range(2000)]
    assert len(arrange(items, {}).boxes) == 2000


def test_nothing_at_all_is_laid_out() -> None:
    assert arrange([], {}).boxes == {}


# ---------------------------------------------------------------------- what it shows


@pytest.mark.parametrize("name", shipped())
def test_every_node_is_named_once(name: str) -> None:
    root = ET.fromstring(draw(name))
    parts = [group.get("data-part") for group in root.iter(f"{SVG}g") if group.get("data-part")]
    assert len(parts) == len(set(parts))
    graph, written = load(name), "".join(texts(draw(name)))
    assert all(node in written for node in graph.nodes)
    assert {f"{output}." for output in graph.outputs} <= set(parts)
    assert root.find(f"{SVG}rect").get("fill") == "#ffffff", "its own background, whatever the page has"  # type: ignore[union-attr]


def test_names_blocks_shapes_and_facts_are_written(tmp_path: Path) -> None:
    written = texts(draw(write(tmp_path, UNET)))
    assert {"unet", "down2", "MaxPool", "Conv → 16", "3×H×W", "16×H/2×W/2", "1×H×W", "H/4×W/4", "deep"} <= set(written)
    assert any("parameters" in text and "H and W" in text for text in written)


def test_params_are_worked_out() -> None:
    assert any("RSU 7 · mid 8 → 16" in text for text in texts(draw("u2net", {"width": 16})))


def test_skips_are_dashed_and_in_the_legend(tmp_path: Path) -> None:
    paths = list(ET.fromstring(draw(write(tmp_path, UNET))).iter(f"{SVG}path"))
    dashed = {path.get("data-wires") for path in paths if path.get("stroke-dasharray")} - {None}
    assert dashed == {"down1 up1", "down2 up2"}
    assert "skip" in texts(draw(write(tmp_path, UNET)))
    assert "skip" not in texts(draw(write(tmp_path, CHAIN)))


def test_equal_nodes_in_a_row_are_one_box(tmp_path: Path) -> None:
    middle = "".join(f"  same{n}: {{Conv: {{out: 64}}}}\n" for n in range(9))
    written = texts(draw(write(tmp_path, CHAIN.replace("  second:", middle + "  second:"))))
    assert {"same0 … same8", "× 9"} <= set(written)


def test_nodes_that_do_nothing_are_left_out_and_named(tmp_path: Path) -> None:
    svg = draw(write(tmp_path, CHAIN.replace("  score: {", "  off: {Conv: {out: 3}, repeat: 0}\n  score: {", 1)))
    assert "not drawn, since repeated 0 times: off" in texts(svg)
    assert 'data-part="off"' not in svg


def test_text_is_escaped(tmp_path: Path) -> None:
    svg = draw(
        write(
            tmp_path,
            CHAIN.replace("activation: leaky_relu}}", "activation: leaky_relu}, doc: 'a < b & \"c\" \U0001f321'}", 1),
        )
    )
    assert "a &lt; b &amp;" in svg
    assert any('a < b & "c" \U0001f321' in (title.text or "") for title in ET.fromstring(svg).iter(f"{SVG}title"))


def test_the_same_graph_gives_the_same_text() -> None:
    command = "from crossband.graphs.draw import draw; print(draw('u2net_cca'), end='')"
    other = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONUTF8": "1"},
    )
    assert draw("u2net_cca") == other.stdout.decode("utf-8")


# ---------------------------------------------------------------------- faults

RED = "#c93a3a"


@pytest.mark.parametrize(
    ("old", "new", "part", "code"),
    [
        ("first: {Conv: {out: 64", "first: {Convv: {out: 64", "first", "E010"),
        ("second: {Conv: {out: 128", "second: {Conv: {outt: 128", "second", "E011"),
        ("second: {Conv: {out: 128", "second: {Conv: {out: =widht", "second", "E015"),
        ("score: {Conv:", "score: {from: secnd, Conv:", "score", "E020"),
        ("score: {Conv:", "score: {from: score, Conv:", "score", "E023"),
        ("score: {Conv:", "extra: Tanh\n  score: {from: second, Conv:", "extra", "E021"),
        ("score: [1, h, w]", "score: [2, h, w]", "score.", "E040"),
    ],
)
def test_a_faulty_node_is_red_and_says_what_is_wrong(tmp_path: Path, old: str, new: str, part: str, code: str) -> None:
    assert old in CHAIN
    svg = draw(write(tmp_path, CHAIN.replace(old, new)))
    assert RED in colours(svg, part)
    parts = {"image", "first", "second", "score", "score."} - {part}
    assert all(RED not in colours(svg, other) for other in parts)
    assert any(code in text for text in texts(svg))
    assert any(text.startswith("some.yaml:") and code in text for text in texts(svg)), "told in full below"
    assert_legible(layout_of(sketch(tmp_path / "some.yaml")))


def test_nodes_that_read_each_other_are_drawn(tmp_path: Path) -> None:
    file = write(tmp_path, CHAIN.replace("second: {Conv:", "second: {from: score, Conv:"))
    assert any("E022" in text for text in texts(draw(file)))
    assert any(RED in colours(draw(file), part) for part in ("second", "score"))
    assert_legible(layout_of(sketch(file)))


def test_what_could_be_checked_has_its_shapes_and_its_scale(tmp_path: Path) -> None:
    file = write(tmp_path, UNET.replace("down3: [MaxPool, {Conv: {out: 32}}]", "down3: [MaxPool, {Convv: {out: 32}}]"))
    assert "16×H/2×W/2" in texts(draw(file))
    where = {name: box.middle[1] for name, box in layout_of(sketch(file)).boxes.items()}
    assert where["down3"] > where["down2"] == where["up2"] > where["up1"], "the scale of what is unknown is guessed"


def test_a_node_that_is_read_but_is_not_there_is_drawn_as_missing(tmp_path: Path) -> None:
    svg = draw(write(tmp_path, UNET.replace("[up2, down1]", "[up2, down7]")))
    assert RED in colours(svg, "down7")


@pytest.mark.parametrize("text", ["graph: [", "- a\n- list", ""])
def test_what_is_not_a_graph_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidFile):
        draw(write(tmp_path, text))


def test_a_graph_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile):
        draw(tmp_path / "none.yaml")


# ---------------------------------------------------------------------- words


def test_every_block_is_of_a_kind() -> None:
    assert {kind_of(entry) for entry in registry.blocks.values()} <= set(KINDS)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("Conv", "convolution"),
        ("ConvTranspose", "convolution"),
        ("RSU", "convolution"),
        ("CrissCross", "attention"),
        ("MaxPool", "sampling"),
        ("GlobalPool", "sampling"),
        ("Resize", "sampling"),
        ("ResizeTo", "sampling"),
        ("UpCat", "join"),
        ("Concat", "join"),
        ("Add", "join"),
        ("GateChannels", "join"),
        ("BatchNorm", "pointwise"),
        ("LeakyReLU", "pointwise"),
        ("Dropout", "pointwise"),
    ],
)
def test_kinds_of_blocks(block: str, kind: str) -> None:
    assert kind_of(registry.blocks[block]) == kind


@pytest.mark.parametrize(
    ("step", "count", "lines"),
    [
        (Step("RSU", {"depth": 7, "mid": 32, "out": 64, "dilated": False}), 1, ["RSU 7 · mid 32 → 64"]),
        (Step("RSU", {"depth": 4, "mid": 256, "out": 512, "dilated": True}), 1, ["RSU 4 → 512", "mid 256 · dilated"]),
        (Step("Conv", {"out": 64, "kernel": 4, "stride": 2}), 2, ["2 × Conv 4×4 → 64", "stride 2"]),
        (Step("Conv", {"out": "=wid", "kernel": 1}), 1, ["Conv 1×1 → wid"]),
        (Step("MaxPool", {"ceil": True}), 1, ["MaxPool · ceil"]),
        (Step("CrissCross"), 2, ["2 × CrissCross"]),
    ],
)
def test_words_of_a_step(step: Step, count: int, lines: list[str]) -> None:
    line = words(step, count, registry.blocks[step.block])
    assert [line.text, *line.details] == lines


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_words_fit_into_the_room_that_is_left_for_them(weight: str) -> None:
    from matplotlib import font_manager
    from PIL import ImageFont

    # DejaVu Sans is the widest of the fonts that are asked for, and comes with matplotlib
    font = ImageFont.truetype(
        font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight)), 100
    )
    lines = [
        line.text for name in registry.blocks for line in [words(Step(name, {"out": 64}), 1, registry.blocks[name])]
    ]
    for line in [
        *lines,
        "512×⌈H/16⌉×⌈W/16⌉",
        "RSU 4 · mid 256 → 512",
        "stride 2 · instance · relu",
        "wwww WWWW mmmm MMMM",
    ]:
        assert font.getlength(line) <= 1.03 * text_width(line, 100, bold=weight == "bold")
