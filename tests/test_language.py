"""Names with an index, conditions, shared weights, parts of graphs, taps of graphs that are used as nodes."""

import re
from pathlib import Path

import pytest
import torch
from test_graphs import assert_resolves, calls, graph, load

from crossband.graphs import build, check, digest, dump
from crossband.graphs.language.syntax import Graph
from crossband.graphs.picture.draw import draw
from crossband.graphs.picture.table import Survey
from crossband.graphs.plans.cost import cost
from crossband.graphs.plans.image_size import size_text, usual
from crossband.graphs.plans.receptive import receptive_fields
from crossband.registry import CrossbandError


def nodes_of(source: Graph | str, **params: object) -> list[str]:
    plan = check(source, params)
    assert_resolves(plan)
    return calls(plan)


@pytest.fixture
def child(tmp_path: Path):
    """Writes and checks a child of a graph."""

    def extended(text: str, parent: str, **params: object):
        (tmp_path / "child.yaml").write_text(f"graph: child\nextends: {parent}\n{text}\n", "utf-8")
        return check(tmp_path / "child.yaml", params)

    return extended


# --- repetition with an index


def test_a_u_net_whose_depth_is_a_param_is_the_u_net():
    shipped, deep = check("unet"), check("unet_deep")
    assert digest(deep.graph) == digest(shipped.graph)
    params, image = {"width": 4}, torch.rand(1, 3, 32, 32)
    one, other = (build(name, params, seed=0).eval() for name in ("unet", "unet_deep"))
    assert list(one.state_dict()) == list(other.state_dict())
    assert torch.equal(one(image), other(image))


@pytest.mark.parametrize("depth", [1, 2, 6])
def test_each_depth_halves_the_image_so_often(depth: int):
    plan = check("unet_deep", {"depth": depth, "width": 2})
    assert plan.sizes.multiple == 2**depth
    assert plan.taps["deep"].source.startswith(f"enc{depth + 1}.")
    assert plan.graph.nodes["dec1"].reads == (("dec2" if depth > 1 else "enc2"), "enc1")  # type: ignore[union-attr]
    assert_resolves(plan)


NODES = {
    "an index in names and arguments": (
        "a(i): {repeat: 2, index: i, Conv: {out: =4*i}}\ny: {Conv: {out: 3}}",
        ["a1 = Conv(image)", "a2 = Conv(a1)", "y = Conv(a2)"],
    ),
    "two indices": (
        "x(i)_(j): {repeat: [2, =3-i], index: [i, j], from: image, Tanh: {}}\ny: {from: [x1_1, x1_2, x2_1], Add: {}}",
        ["x1_1 = Tanh(image)", "x1_2 = Tanh(image)", "x2_1 = Tanh(image)", "y = Add(x1_1, x1_2, x2_1)"],
    ),
    "backwards, with skips": (
        "e1: Tanh\ne(i+1): {repeat: 2, index: i, from: e(i), ReLU: {}}\n"
        "d(i): {repeat: 2, index: i, from: [d(i+1) or e(i+1), e(i)], Add: {}}\ny: {from: d1, Tanh: {}}",
        ["e1 = Tanh(image)", "e2 = ReLU(e1)", "e3 = ReLU(e2)", "d2 = Add(e3, e2)", "d1 = Add(d2, e1)", "y = Tanh(d1)"],
    ),
    "a row of names": (
        "a(i): {repeat: =n, index: i, from: image, Tanh: {}}\nb: {from: a(1..n), Add: {}}\ny: {from: a1..a2, Add: {}}\n"
        "z: {from: [b, y], Add: {}}",
        ["a1 = Tanh(image)", "a2 = Tanh(image)", "b = Add(a1, a2)", "y = Add(a1, a2)", "z = Add(b, y)"],
    ),
    "none at all": (
        "a: Tanh\nb(i): {repeat: =n-2, index: i, ReLU: {}}\ny: {from: [b(1..n-2), a, image], Add: {}}",
        ["a = Tanh(image)", "y = Add(a, image)"],
    ),
    "none above": ("a: Tanh\nb(i): {repeat: =n-2, index: i, ReLU: {}}\ny: Tanh", ["a = Tanh(image)", "y = Tanh(a)"]),
    "an index within one node": (
        "y: {Conv: {out: =3*i}, repeat: =n, index: i}",
        ["y.Conv = Conv(image)", "y.Conv_2 = Conv(y.Conv)"],
    ),
    "an index of a step": (
        "y: [{Conv: {out: 3, dilation: =2**i}, repeat: =n, index: i}, Tanh]",
        ["y.Conv = Conv(image)", "y.Conv_2 = Conv(y.Conv)", "y.Tanh = Tanh(y.Conv_2)"],
    ),
    "a name by a param": (
        "a(n): Tanh\ny: {from: [a(n), image], Add: {}}",
        ["a2 = Tanh(image)", "y = Add(a2, image)"],
    ),
    "a condition": (
        "a: {Tanh: {}, if: =n > 2}\nb: {ReLU: {}, if: =n == 2}\ny: Tanh",
        ["b = ReLU(image)", "y = Tanh(b)"],
    ),
    "a condition by index": (
        "a(i): {repeat: 3, index: i, if: =i != n, Tanh: {}}\ny: Tanh",
        ["a1 = Tanh(image)", "a3 = Tanh(a1)", "y = Tanh(a3)"],
    ),
    "a condition of a step": ("y: [Tanh, {ReLU: {}, if: =n < 2}]", ["y = Tanh(image)"]),
    "a condition with another to read": (
        "a: Tanh\nboth: {from: [a, image], Add: {}, if: =n > 2}\ny: {from: both or a, Tanh: {}}",
        ["a = Tanh(image)", "y = Tanh(a)"],
    ),
    "several that are not there in a row": (
        "a: {Tanh: {}, if: =n > 2}\nb: {ReLU: {}, if: =n > 2}\ny: Tanh",
        ["y = Tanh(image)"],
    ),
    "shared weights": (
        "a: {Conv: {out: 3}}\nb: {from: image, share: a}\ny: {from: [a, b], Add: {}}",
        ["a = Conv(image)", "b [a] = Conv(image)", "y = Add(a, b)"],
    ),
    "shared by all of a name": (
        "a(i): {repeat: =n+1, index: i, share: true, Conv: {out: 3}}\ny: Tanh",
        ["a1 = Conv(image)", "a2 [a1] = Conv(a1)", "a3 [a1] = Conv(a2)", "y = Tanh(a3)"],
    ),
    "shared before the owner": (
        "b: {from: image, share: a}\na: {from: b, do: [{Conv: {out: 3}}, Tanh], repeat: 2, share: true}\ny: {from: a, Tanh: {}}",
        [
            *("b.Conv [a.Conv] = Conv(image)", "b.Tanh [a.Tanh] = Tanh(b.Conv)"),
            *("b.Conv.2 [a.Conv] = Conv(b.Tanh)", "b.Tanh.2 [a.Tanh] = Tanh(b.Conv.2)"),
            *("a.Conv = Conv(b.Tanh.2)", "a.Tanh = Tanh(a.Conv)"),
            *("a.Conv.2 [a.Conv] = Conv(a.Tanh)", "a.Tanh.2 [a.Tanh] = Tanh(a.Conv.2)"),
            "y = Tanh(a.Tanh.2)",
        ],
    ),
    "shared by index": (
        "a(i): {repeat: =n, index: i, from: image, Conv: {out: 3}}\n"
        "b(i): {repeat: =n, index: i, from: a(i), share: a(i)}\ny: {from: b(1..n), Add: {}}",
        ["a1 = Conv(image)", "a2 = Conv(image)", "b1 [a1] = Conv(a1)", "b2 [a2] = Conv(a2)", "y = Add(b1, b2)"],
    ),
}


@pytest.mark.parametrize("form", NODES)
def test_a_node_may_say(form: str):
    nodes, expected = NODES[form]
    last = nodes.splitlines()[-1].partition(":")[0]
    channels = 6 if "within" in form else 3
    rest = "params: {n: 2}\n" if re.search(r"\bn\b", nodes) else ""
    assert nodes_of(graph(nodes, f"{{{last}: [{channels}, H, W]}}", rest)) == expected


def test_outputs_and_taps_of_a_name_with_an_index_are_one_for_each():
    rest = "params: {n: 3}\n"
    nodes = "e(i): {repeat: =n, index: i, do: [MaxPool, {Conv: {out: =2*i}}]}\ns(i): {repeat: =n, index: i, from: e(i), Tanh: {}}"
    text = dump(graph(nodes, "{side(i): {from: s(i), shape: [=2*i, h(i), w(i)]}}", rest)) + "taps: {level(i): e(i)}\n"
    plan = check(load(text))
    assert {name: ref.source for name, ref in plan.outputs.items()} == {f"side{i}": f"s{i}" for i in (1, 2, 3)}
    assert {name: ref.source for name, ref in plan.taps.items()} == {f"level{i}": f"e{i}.Conv" for i in (1, 2, 3)}
    assert_resolves(plan)


def test_outputs_and_taps_go_with_a_node_that_is_not_there():
    rest = "params: {sides: false}\n"
    nodes = "y: Tanh\nside: {from: y, Conv: {out: 1}, if: =sides}"
    text = dump(graph(nodes, "{y: [3, H, W], side: [1, H, W]}", rest)) + "taps: {at: side}\n"
    assert (list(check(load(text)).outputs), list(check(load(text)).taps)) == (["y"], [])
    plan = check(load(text), {"sides": True})
    assert (list(plan.outputs), list(plan.taps)) == (["y", "side"], ["at"])


def test_an_output_without_a_source_is_the_last_node_that_is_there():
    nodes = "a: {Conv: {out: 3}}\nb(i): {repeat: =n, index: i, if: =i < 2, Tanh: {}}\nc: {ReLU: {}, if: =n > 2}"
    found = graph(nodes, "{image_out: [3, H, W]}", "params: {n: 2}\n")
    assert check(found).outputs["image_out"].source == "b1"
    assert check(found, {"n": 0}).outputs["image_out"].source == "a"
    assert check(found, {"n": 3}).outputs["image_out"].source == "c"


def test_a_local_block_may_repeat_with_an_index_and_under_a_condition():
    rest = """\
    params: {depth: 2}
    blocks:
      stage:
        params: {depth: 1, last: true}
        inputs: {x: [c, h, w]}
        nodes:
          a(i): {repeat: =depth, index: i, Conv: {out: =c*2**i}}
          b: {Conv: {out: =c}}
          end: {Tanh: {}, if: =last}
        outputs: {end: {from: end or b, shape: [=c, h, w]}}
    """
    found = graph("y: [{stage: {depth: =depth}}, {stage: {last: false}}]", rest=rest)
    assert nodes_of(found)[-2:] == ["y.stage_2.a1 = Conv(y.stage.end)", "y.stage_2.b = Conv(y.stage_2.a1)"]


def test_a_graph_with_indices_is_written_and_read_again():
    rest = "params: {n: 2}\n"
    nodes = """\
    a(i): {repeat: =n, index: i, if: =i < 3, Conv: {out: 3}}
    b(i): {from: a(i), repeat: =n, index: i, share: a(i)}
    y: {from: 'c or b(1)', do: [{Tanh: {}, repeat: 2, index: k}, ReLU]}
    z: {from: b(1..n), Add: {}}
    """
    first = graph(nodes, "{y: [3, H, W], z: [...]}", rest)
    assert load(dump(first)) == first


# --- what children say of them


CHANGES = {
    "insert after one of them": (
        "insert: {look: {after: enc5, CrissCross: {reduce: 8}}}",
        {"look": ("enc5",), "dec4": ("look", "enc4")},
    ),
    "insert after the last, whatever the depth": (
        "insert: {look: {after: enc(depth+1), CrissCross: {reduce: 8}}}",
        {"look": ("enc5",), "dec4": ("look", "enc4")},
    ),
    "replace one of them": ("nodes: {dec3: {up: {out: =4*width}}}", {"dec3": ("dec4", "enc3")}),
    "change what one reads": ("nodes: {dec2: {from: [dec3, enc2]}}", {"dec2": ("dec3", "enc2")}),
    "replace all of them": (
        "nodes: {dec(i): {repeat: =depth, index: i, from: [dec(i+1) or enc(i+1), enc(i)], up: {out: =width*2**(i-1)}}}",
        {"dec4": ("enc5", "enc4"), "dec1": ("dec2", "enc1")},
    ),
    "change an argument of all": ("nodes: {dec(i): {with: {up: {norm: none}}}}", {"dec4": ("enc5", "enc4")}),
    "remove one": ("nodes: {enc5: null, dec4: {from: enc4, Conv: {out: =8*width}}}", {"dec4": ("enc4",)}),
    "add more of them": (
        "nodes: {more(i): {repeat: 2, index: i, Conv: {out: =out, kernel: 1}}}\noutputs: {translated: {from: more2, shape: [=out, H, W]}}",
        {"more1": ("translated",), "more2": ("more1",)},
    ),
    "keep a part": ("keep: [enc1..enc5]", {"enc5": ("enc4",)}),
    "keep a part by index": ("keep: [enc(1..depth+1)]", {"enc5": ("enc4",)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_child_changes_nodes_with_an_index(change: str, child):
    text, expected = CHANGES[change]
    plan = child(text, "unet_deep", width=4)
    for name, reads in expected.items():
        assert plan.graph.nodes[name].reads == reads
    assert_resolves(plan)


def test_a_child_of_a_child_changes_nodes_with_an_index(tmp_path: Path):
    (tmp_path / "part.yaml").write_text("graph: part\nextends: unet_deep\nkeep: [enc1..enc3]\n")
    text = "graph: leaf\nextends: part\nparams: {width: 4}\nnodes: {head: {from: enc3, Conv: {out: 1}}}\noutputs: {head: [1, h, w]}\n"
    (tmp_path / "leaf.yaml").write_text(text)
    plan = check(tmp_path / "leaf.yaml")
    assert list(plan.graph.nodes) == ["enc1", "enc2", "enc3", "head"]
    assert list(plan.outputs) == ["enc1", "enc2", "enc3", "head"]
    assert_resolves(plan)


def test_what_is_flat_only_once_it_is_checked_says_so(tmp_path: Path):
    from crossband.graphs import load_graph

    (tmp_path / "part.yaml").write_text("graph: part\nextends: unet_deep\nkeep: [enc1..enc3]\n")
    with pytest.raises(CrossbandError, match="is flat only once it is checked"):
        dump(load_graph(tmp_path / "part.yaml"))


# --- shared weights


SIAMESE = """\
graph: siamese
inputs: {visible: [3, H, W], infrared: [3, H, W]}
nodes:
  left: {from: visible, stage: {}}
  right: {from: infrared, share: left}
  both: {from: [left, right], do: [Concat, {Conv: {out: 1}}]}
outputs: {both: [1, h, w]}
blocks:
  stage:
    inputs: {x: [c, h, w]}
    nodes: {wide: {Conv: {out: 8, norm: batch}}, deep: {RSU: {depth: 4, mid: 4, out: 8}}}
    outputs: {deep: [8, h, w]}
"""


def test_a_siamese_encoder_has_its_weights_once():
    plan = assert_resolves(check(load(SIAMESE)))
    assert plan.graph.nodes["right"].share == "left"  # type: ignore[union-attr]
    network = build(plan, seed=0).eval()
    names = list(network.state_dict())
    assert any(name.startswith("left.") for name in names)
    assert not any(name.startswith("right") for name in names)
    found = cost(plan, {"H": 32, "W": 32})
    assert found.parameters == sum(weight.numel() for weight in network.parameters())
    assert found.node_parameters["left"] > 0
    assert found.node_macs["left"] == found.node_macs["right"] > 0
    rows = {row.node: row for row in Survey(plan, {"H": 32, "W": 32}).rows}
    assert (rows["right"].blocks, rows["right"].parameters) == ("as left, with its weights", 0)
    one, other = torch.rand(2, 1, 3, 32, 32)
    with torch.no_grad():
        for weight in network.get_submodule("both.Conv").parameters():
            weight.fill_(0.01)
    torch.testing.assert_close(network(one, other), network(other, one))  # which is left, and which is right
    assert "weights of left" in draw(load(SIAMESE))


def test_a_child_changes_the_owner_and_both_change(child, tmp_path: Path):
    (tmp_path / "siamese.yaml").write_text(SIAMESE)
    plan = child("nodes: {left: {Conv: {out: 4}}}", "siamese")
    assert calls(plan)[:2] == ["left = Conv(visible)", "right [left] = Conv(infrared)"]
    assert_resolves(plan)


# --- taps of a graph that is used as a node

USES = """\
graph: uses
inputs: {image: [3, H, W]}
nodes:
  net: {unet_deep: {width: 4, depth: 2}}
  deep: {from: net.deep, Conv: {out: 1}}
outputs: {net: [3, H, W], deep: [1, h, w], raw: {from: net.deep, shape: [16, h, w]}}
taps: {again: net.deep}
"""


def test_a_tap_of_a_graph_is_read_as_its_output():
    plan = assert_resolves(check(load(USES)))
    assert plan.outputs["raw"] == plan.taps["again"]
    assert plan.outputs["raw"].source == "net.enc3.level.layers.Conv_2"
    assert [call.reads for call in plan.calls if call.name == "deep"] == [(plan.outputs["raw"],)]
    found = build(plan, seed=0).eval()(torch.rand(1, 3, 16, 16))
    assert found["raw"].shape == (1, 16, 4, 4)
    assert "<svg" in draw(load(USES))


def test_a_tap_that_is_not_read_changes_nothing():
    plain = USES.split("  deep:", maxsplit=1)[0] + "outputs: {net: [3, H, W]}\n"
    inner = check(load(plain)).graph.blocks["unet_deep"]
    assert inner
    assert list(inner.outputs) == ["translated"]


# --- a child that changes a part of a node, and parts of graphs


def test_a_child_changes_only_what_a_node_reads(child):
    plan = child("nodes: {en5: {from: en4}, en6: {from: en4}, de5: {from: [en6, en5]}}", "u2net")
    assert plan.graph.nodes["en6"].reads == ("en4",)
    assert [step.block for step in plan.graph.nodes["en6"].steps] == ["MaxPool", "RSU"]
    assert_resolves(plan)


def test_a_child_changes_only_an_argument(child):
    plan = child("nodes: {en1: {with: {RSU: {depth: 5}}}, en2: {with: {MaxPool: {ceil: null}}}}", "u2net")
    before = check("u2net").graph.nodes
    [step] = plan.graph.nodes["en1"].steps
    assert step.arguments == {**before["en1"].steps[0].arguments, "depth": 5}  # type: ignore[union-attr]
    assert plan.graph.nodes["en2"].steps[0].arguments["ceil"] is False
    assert plan.graph.nodes["en2"].steps[1] == before["en2"].steps[1]  # type: ignore[union-attr]


def test_a_child_changes_only_how_often_or_whether(child):
    plan = child("nodes: {trunk: {repeat: 2}}", "resnet9")
    assert plan.graph.nodes["trunk"].repeat == 2
    plan = child("nodes: {trunk: {if: false}}", "resnet9")
    assert "trunk" not in plan.graph.nodes


@pytest.mark.slow
def test_a_part_of_a_graph_is_a_graph(child):
    plan = child("keep: [en1..en6]", "u2net")
    assert list(plan.graph.nodes) == list(plan.outputs) == [f"en{n}" for n in range(1, 7)]
    assert list(plan.inputs) == ["image"]
    assert list(plan.taps) == ["deep"]
    whole = check("u2net")
    assert cost(plan, {"H": 64, "W": 64}).node_parameters == {
        name: count for name, count in cost(whole, {"H": 64, "W": 64}).node_parameters.items() if name.startswith("en")
    }
    assert_resolves(plan)


def test_keep_keeps_what_the_child_writes_and_all_it_reads(child):
    plan = child("keep: en3\nnodes: {score: {from: en3, Conv: {out: 1}}}\noutputs: {score: [1, h, w]}", "u2net")
    assert list(plan.graph.nodes) == ["en1", "en2", "en3", "score"]
    assert list(plan.outputs) == ["score"]
    plan = child("keep: side3", "u2net")
    assert list(plan.outputs) == ["side3"]
    assert {"en6", "de3", "head3", "side3"} < plan.graph.nodes.keys()
    assert "de2" not in plan.graph.nodes


def test_a_whole_part_may_be_removed_node_by_node(child):
    gone = [f"de{n}" for n in range(1, 6)] + [f"head{n}" for n in range(1, 7)] + [f"side{n}" for n in range(1, 7)]
    nodes = ", ".join(f"{name}: null" for name in [*gone, "fused"])
    ends = ", ".join(f"{name}: null" for name in [*gone[-6:], "fused"])
    plan = child(f"nodes: {{{nodes}}}\noutputs: {{{ends}, en6: [...]}}", "u2net")
    assert list(plan.graph.nodes) == [f"en{n}" for n in range(1, 7)]
    assert_resolves(plan)


# --- vectors and numbers beside maps

CONDITIONED = """\
graph: conditioned
params: {dim: 8}
inputs: {time: [], image: [3, H, W], style: [=dim]}
nodes:
  stem: {from: image, Conv: {out: 8, stride: 2}}
  clock: {from: time, TimeEmbedding: {out: =dim}}
  timed: {from: [stem, clock], FiLM: {}}
  styled: {from: [timed, style], FiLM: {}}
  head: {Conv: {out: 1}}
  look: {from: style, Linear: {out: 2}}
outputs: {head: [1, h, w], look: [2], clock: [=dim]}
"""


def test_vectors_and_numbers_are_inputs_and_outputs():
    plan = assert_resolves(check(load(CONDITIONED)))
    assert [len(shape) for shape in plan.inputs.values()] == [1, 4, 2]
    assert plan.image == plan.inputs["image"]
    assert size_text(plan, usual(plan)) == "256x256"
    network = build(plan, seed=0).eval()
    found = network(torch.rand(2), torch.rand(2, 3, 9, 12), torch.rand(2, 8))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "head": (2, 1, 5, 6),
        "look": (2, 2),
        "clock": (2, 8),
    }
    fields = receptive_fields(plan)
    assert (fields["stem"], fields["styled"], fields["clock"], fields["look"]) == (3, 3, 0, 0)
    assert fields["head"] == 7
    text = str(plan)
    assert "inputs      time one number, image 3×H×W, style 8" in text.replace("      ", "      ")
    assert cost(plan, usual(plan)).node_parameters["look"] == 18
    assert "<svg" in draw(load(CONDITIONED))


def test_scales_of_an_image_keep_vectors_and_numbers():
    plan = check(load(CONDITIONED + "wrap: {MultiScale: {scales: 2}}\n"))
    network = build(plan, seed=0).eval()
    found = network(torch.rand(2), torch.rand(2, 3, 16, 16), torch.rand(2, 8))
    assert found["head_2"].shape == (2, 1, 4, 4)


def test_a_graph_of_vectors_alone_has_no_image_size():
    text = "graph: g\ninputs: {style: [4]}\nnodes: {y: {Linear: {out: 3}}}\noutputs: {y: [3]}\n"
    plan = assert_resolves(check(load(text)))
    assert "MACs" in str(plan)
    assert str(plan.sizes) == "fixed"
    assert "<svg" in draw(load(text))
    assert build(plan)(torch.rand(2, 4)).shape == (2, 3)
