"""The picture of a graph: what it shows, and that nothing in it lies on anything else."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import once
import pytest

from crossband import registry
from crossband.graphs import InvalidFile, shipped
from crossband.graphs.language.syntax import Step
from crossband.graphs.picture.draw import draw
from crossband.graphs.picture.page import MARGIN, Page, layout_of
from crossband.graphs.picture.sketch import sketch
from crossband.graphs.picture.svg import text_width
from crossband.graphs.picture.words import KINDS, kind_of, words

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


RESNET = """
graph: resnet
inputs: {image: [3, H, W]}
nodes:
  stem: {Conv: {out: 8}}
  down1: {Conv: {out: 16, kernel: 4, stride: 2}}
  down2: {Conv: {out: 32, kernel: 4, stride: 2}}
  trunk: {residual: {}, repeat: 9}
  up1: {ConvTranspose: {out: 16}}
  up2: {ConvTranspose: {out: 8}}
outputs: {up2: [8, H, W]}
blocks:
  residual:
    inputs: {x: [c, h, w]}
    nodes: {first: [{Conv: {out: =c}}, ReLU], sum: {from: [first, x], Add: {}}}
    outputs: {sum: [c, h, w]}
"""

NESTED = """
graph: nested
inputs: {image: [3, H, W]}
nodes:
  x0_0: {Conv: {out: 4}}
  x1_0: [MaxPool, {Conv: {out: 4}}]
  x0_1: {from: [x1_0, x0_0], do: [UpCat, {Conv: {out: 4}}]}
  x2_0: {from: x1_0, do: [MaxPool, {Conv: {out: 4}}]}
  x1_1: {from: [x2_0, x1_0], do: [UpCat, {Conv: {out: 4}}]}
  both: {from: [x0_0, x0_1], Concat: {}}
  x0_2: {from: [x1_1, both], do: [UpCat, {Conv: {out: 4}}]}
outputs: {x0_2: [4, H, W]}
"""


# ---------------------------------------------------------------------- what it shows


def test_an_encoder_goes_down_and_a_decoder_comes_up(tmp_path: Path) -> None:
    layout = layout_of(sketch(write(tmp_path, UNET)))
    where = {name: box.middle for name, box in layout.boxes.items()}
    assert where["down1"][1] < where["down2"][1] < where["down3"][1]
    assert where["down3"][1] > where["up2"][1] > where["up1"][1]
    assert where["down1"][0] == where["down2"][0] < where["up2"][0] == where["up1"][0]
    assert all(where[f"down{n}"][1] == where[f"up{n}"][1] for n in (1, 2)), "skips are level"


def outlined(svg: str, part: str) -> str:
    """The outline of a node: a rectangle, or the path of one that has two corners cut off."""
    group = next(each for each in ET.fromstring(svg).iter(f"{SVG}g") if each.get("data-part") == part)
    shape = next(each for each in group if each.tag in (f"{SVG}rect", f"{SVG}path"))
    return shape.get("d", "")


def test_a_node_is_narrower_toward_the_scale_it_leads_to(tmp_path: Path) -> None:
    svg = draw(write(tmp_path, UNET))
    assert outlined(svg, "down1") == outlined(svg, "thermal") == ""
    assert all(re.search(r"v\d.*l-13 13h", outlined(svg, name)) for name in ("down2", "down3")), "cut off at the bottom"
    assert all(re.search(r"v-\d.*l-13 -13h", outlined(svg, name)) for name in ("up1", "up2")), "cut off on top"
    assert {"to a coarser scale", "to a finer scale"} <= set(texts(svg))
    assert "to a finer scale" not in texts(draw(write(tmp_path, CHAIN)))


def test_a_trunk_stands_between_the_way_down_and_the_way_up(tmp_path: Path) -> None:
    where = {name: box.middle for name, box in layout_of(sketch(write(tmp_path, RESNET))).boxes.items()}
    assert where["stem"][0] == where["down1"][0] == where["down2"][0] < where["trunk"][0] < where["up1"][0]
    assert where["down2"][1] == where["trunk"][1]
    assert where["up1"][0] == where["up2"][0]


def test_a_block_of_the_graph_says_what_it_is_made_of(tmp_path: Path) -> None:
    assert {"trunk", "× 9", "residual", "= Conv · ReLU · Add"} <= set(texts(draw(write(tmp_path, RESNET))))


def test_ways_up_from_every_scale_stand_side_by_side(tmp_path: Path) -> None:
    where = {name: box.middle for name, box in layout_of(sketch(write(tmp_path, NESTED))).boxes.items()}
    columns = [["x0_0", "x1_0", "x2_0"], ["x0_1", "x1_1"], ["x0_2"]]
    assert all(len({where[name][0] for name in column}) == 1 for column in columns)
    assert where["x0_0"][0] < where["x0_1"][0] < where["both"][0] < where["x0_2"][0]
    assert all(where[f"x{row}_0"][1] == where[f"x{row}_1"][1] for row in (0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_the_names_of_scales_are_left_of_everything(name: str) -> None:
    picture = Page(once.sketched(name))
    names = [text_width(words, 11) for words in picture.picture.scales.values()] if picture.banded else []
    assert all(MARGIN + width < picture.left for width in names)


def test_the_picture_of_the_readme_is_what_is_drawn() -> None:
    """If this fails: `crossband show u2net_cca --svg .github/u2net_cca.svg`."""
    assert (Path(__file__).parents[1] / ".github" / "u2net_cca.svg").read_text("utf-8") == draw("u2net_cca")


def test_a_chain_is_one_line(tmp_path: Path) -> None:
    layout = layout_of(sketch(write(tmp_path, CHAIN)))
    middles = [layout.boxes[name].middle for name in ("image", "first", "second", "score", "score.")]
    assert len({y for _, y in middles}) == 1
    assert [x for x, _ in middles] == sorted(x for x, _ in middles)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_every_node_is_named_once(name: str) -> None:
    root = ET.fromstring(once.drawing(name))
    parts = [group.get("data-part") for group in root.iter(f"{SVG}g") if group.get("data-part")]
    assert len(parts) == len(set(parts))
    graph, written = once.plan(name).graph, "".join(texts(once.drawing(name)))
    assert all(node in written for node in graph.nodes)
    assert {f"{output}." for output in graph.outputs} <= set(parts)
    assert root.find(f"{SVG}rect").get("fill") == "#ffffff", "its own background, whatever the page has"  # type: ignore[union-attr]


def test_names_blocks_shapes_and_facts_are_written(tmp_path: Path) -> None:
    written = texts(draw(write(tmp_path, UNET)))
    assert {"unet", "down2", "MaxPool", "Conv → 16", "3×H×W", "16×H/2×W/2", "1×H×W", "H/4×W/4", "deep"} <= set(written)
    assert any("parameters" in text and "H and W" in text for text in written)


def test_the_shape_of_a_decoder_is_written_like_that_of_its_encoder(tmp_path: Path) -> None:
    written = texts(draw(write(tmp_path, UNET)))
    assert written.count("16×H/2×W/2") == written.count("8×H×W") == 2


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


@pytest.mark.slow
def test_the_same_graph_gives_the_same_text() -> None:
    command = "from crossband.graphs.picture.draw import draw; print(draw('u2net_cca'), end='')"
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


def test_nodes_that_read_each_other_are_drawn(tmp_path: Path) -> None:
    file = write(tmp_path, CHAIN.replace("second: {Conv:", "second: {from: score, Conv:"))
    assert any("E022" in text for text in texts(draw(file)))
    assert any(RED in colours(draw(file), part) for part in ("second", "score"))


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
        (Step("local", {"out": 8, "kernel": 3}), 1, ["local · kernel 3 → 8"]),  # what a kernel is there is not known
        (Step("CrissCross"), 2, ["2 × CrissCross"]),
    ],
)
def test_words_of_a_step(step: Step, count: int, lines: list[str]) -> None:
    line = words(step, count, registry.blocks.get(step.block))
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
