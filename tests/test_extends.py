"""`extends`: replacing, removing and splicing nodes, patching the rest, and how faults are traced to their file."""

from pathlib import Path

import pytest
from test_graphs import assert_resolves, calls

from crossband.graphs import InvalidFile, check, load_graph

PARENT = """\
graph: parent
doc: the parent
cite: old2001
params: {width: 4}
inputs: {image: [3, H, W]}
nodes:
  a: {Conv: {out: =width}}
  b: Tanh
  c: {from: [b, a], Add: {}}
  d: {Conv: {out: 1}}
outputs:
  d: [1, H, W]
  side: {from: c, shape: [=width, H, W]}
taps: {deep: b}
blocks:
  part: {inputs: {x: [c, h, w]}, nodes: {one: ReLU}, outputs: {one: [c, h, w]}}
"""
WHOLE = ["a = Conv(image)", "b = Tanh(a)", "c = Add(b, a)", "d = Conv(c)"]


@pytest.fixture
def child(tmp_path: Path):
    """Checks a child of the graph above."""

    def extended(text: str, parent: str = PARENT):
        (tmp_path / "parent.yaml").write_text(parent, "utf-8")
        (tmp_path / "child.yaml").write_text(f"graph: child\nextends: parent\n{text}\n", "utf-8")
        return check(tmp_path / "child.yaml")

    return extended


CHANGES = {
    "nothing": ("", WHOLE),
    "a node replaced keeps what it reads": ("nodes: {c: Mul}", [*WHOLE[:2], "c = Mul(b, a)", WHOLE[3]]),
    "a node replaced may read something else": (
        "nodes: {c: {from: [a, a], Add: {}}, b: null}\ntaps: {deep: a}",
        ["a = Conv(image)", "c = Add(a, a)", "d = Conv(c)"],
    ),
    "a node replaced by a chain": (
        "nodes: {b: [Tanh, part]}",
        ["a = Conv(image)", "b.Tanh = Tanh(a)", "b.part.one = ReLU(b.Tanh)", "c = Add(b.part.one, a)", "d = Conv(c)"],
    ),
    "a node removed": ("nodes: {b: null}", ["a = Conv(image)", "c = Add(a, a)", "d = Conv(c)"]),
    "the last node removed": ("nodes: {d: null}\noutputs: {d: [=width, H, W]}", WHOLE[:3]),
    "the first node removed": (
        "nodes: {a: null, d: {Conv: {out: 1}}}\nparams: {width: 3}",
        ["b = Tanh(image)", "c = Add(b, image)", "d = Conv(c)"],
    ),
    "two in a row removed": ("nodes: {a: null, b: null}\nparams: {width: 3}", ["c = Add(image, image)", "d = Conv(c)"]),
    "a new node at the end": ("nodes: {e: Sigmoid}\noutputs: {e: [1, H, W]}", [*WHOLE, "e = Sigmoid(d)"]),
    "a new node below one that is named": (
        "nodes: {b: Tanh, e: ReLU, c: {from: [b, e], Add: {}}}",
        ["a = Conv(image)", "b = Tanh(a)", "e = ReLU(b)", "c = Add(b, e)", "d = Conv(c)"],
    ),
    "insert after a node": (
        "insert: {e: {after: a, ReLU: {}}}",
        ["a = Conv(image)", "e = ReLU(a)", "b = Tanh(e)", "c = Add(b, e)", "d = Conv(c)"],
    ),
    "insert after a node that an output reads": (
        "insert: {e: {after: c, ReLU: {}}}",
        [*WHOLE[:3], "e = ReLU(c)", "d = Conv(e)"],
    ),
    "insert after the last": ("insert: {e: {after: d, ReLU: {}}}", [*WHOLE, "e = ReLU(d)"]),
    "insert after an input": ("insert: {e: {after: image, ReLU: {}}}", ["e = ReLU(image)", "a = Conv(e)", *WHOLE[1:]]),
    "insert before": (
        "insert: {e: {before: b, ReLU: {}}}",
        ["a = Conv(image)", "e = ReLU(a)", "b = Tanh(e)", "c = Add(b, a)", "d = Conv(c)"],
    ),
    "insert before the first": ("insert: {e: {before: a, ReLU: {}}}", ["e = ReLU(image)", "a = Conv(e)", *WHOLE[1:]]),
    "insert before one of several inputs": (
        "insert: {e: {before: c, ReLU: {}}}",
        [*WHOLE[:2], "e = ReLU(b)", "c = Add(e, a)", "d = Conv(c)"],
    ),
    "insert twice after": (
        "insert: {e: {after: a, ReLU: {}}, f: {after: a, Sigmoid: {}}}",
        ["a = Conv(image)", "e = ReLU(a)", "f = Sigmoid(e)", "b = Tanh(f)", "c = Add(b, f)", "d = Conv(c)"],
    ),
    "insert twice before": (
        "insert: {e: {before: d, ReLU: {}}, f: {before: d, Sigmoid: {}}}",
        [*WHOLE[:3], "e = ReLU(c)", "f = Sigmoid(e)", "d = Conv(f)"],
    ),
    "insert after what is inserted": (
        "insert: {e: {after: a, ReLU: {}}, f: {after: e, Sigmoid: {}}}",
        ["a = Conv(image)", "e = ReLU(a)", "f = Sigmoid(e)", "b = Tanh(f)", "c = Add(b, f)", "d = Conv(c)"],
    ),
    "insert what reads more": (
        "insert: {e: {after: b, from: [b, a], Mul: {}}}",
        [*WHOLE[:2], "e = Mul(b, a)", "c = Add(e, a)", "d = Conv(c)"],
    ),
    "insert into what is replaced": (
        "nodes: {b: ReLU}\ninsert: {e: {after: b, Sigmoid: {}}}",
        ["a = Conv(image)", "b = ReLU(a)", "e = Sigmoid(b)", "c = Add(e, a)", "d = Conv(c)"],
    ),
    "insert never applied": ("insert: {e: {after: a, ReLU: {}, repeat: 0}}", WHOLE),
    "an output removed": ("outputs: {side: null}", WHOLE),
    "a tap removed": ("taps: {deep: null}", WHOLE),
    "a block replaced": (
        "blocks: {part: {inputs: {x: [c, h, w]}, nodes: {one: Tanh}, outputs: {one: [c, h, w]}}}\nnodes: {b: part}",
        ["a = Conv(image)", "b.one = Tanh(a)", "c = Add(b.one, a)", "d = Conv(c)"],
    ),
    "a block removed": ("blocks: {part: null}", WHOLE),
    "an input added": (
        "inputs: {guide: [1, H, W]}\nnodes: {d: {from: [c, guide], do: [Concat, {Conv: {out: 1}}]}}",
        [*WHOLE[:3], "d.Concat = Concat(c, guide)", "d.Conv = Conv(d.Concat)"],
    ),
}


@pytest.mark.parametrize(
    ("inputs", "order"),
    [("guide: [1, H, W]", ["image", "guide"]), ("guide: [1, H, W], image: [3, H, W]", ["guide", "image"])],
)
def test_inputs_stand_in_the_order_of_the_child_if_it_names_them_all(child, inputs: str, order: list[str]):
    plan = child(f"inputs: {{{inputs}}}\nnodes: {{d: {{from: [c, guide], do: [Concat, {{Conv: {{out: 1}}}}]}}}}")
    assert list(plan.inputs) == order
    assert_resolves(plan)


@pytest.mark.parametrize("change", CHANGES)
def test_a_child_changes_its_parent(change: str, child):
    text, expected = CHANGES[change]
    plan = child(text)
    assert calls(plan) == expected
    assert_resolves(plan)


def test_params_outputs_taps_and_the_rest_are_patched(child):
    plan = child(
        "cite: [new2024, old2001]\nparams: {width: =2*half, half: 3}\ntaps: {early: a}\noutputs: {side: [6, H, W]}"
    )
    assert plan.calls[0].arguments["out"] == 6
    assert {name: ref.source for name, ref in plan.taps.items()} == {"deep": "b", "early": "a"}
    assert {name: ref.source for name, ref in plan.outputs.items()} == {"d": "d", "side": "c"}
    assert plan.graph.cite == ("new2024", "old2001")
    assert plan.graph.doc == "the parent"
    assert plan.graph.name == "child"


def test_outputs_follow_a_splice_and_taps_keep_the_feature_they_name(child):
    plan = child("insert: {e: {after: c, ReLU: {}}, f: {after: b, ReLU: {}}}")
    assert plan.outputs["side"].source == "e"
    assert plan.taps["deep"].source == "b"


def test_taps_and_outputs_follow_a_removal(child):
    assert child("nodes: {b: null}").taps["deep"].source == "a"
    plan = child("nodes: {d: null}\noutputs: {d: [4, H, W]}")
    assert plan.outputs["d"].source == "c"


def test_wrappers_are_added_and_removed(child):
    critic = PARENT.replace("  side: {from: c, shape: [=width, H, W]}\n", "") + "wrap: {GradientNorm: {}}\n"
    assert [wrap.entry.name for wrap in child("", critic).wrap] == ["GradientNorm"]
    assert child("wrap: {GradientNorm: null}", critic).wrap == ()
    assert child("wrap: {GradientNorm: {reduce: mean}}", critic).wrap[0].arguments["reduce"] == "mean"


def test_a_multiple_output_is_no_reader_of_what_is_spliced_in(tmp_path: Path):
    parent = """\
    graph: parent
    inputs: {image: [3, H, W]}
    nodes: {t: two, y: {from: [t, t.a], Add: {}}}
    outputs: {y: [3, H, W]}
    blocks:
      two: {inputs: {x: [c, h, w]}, nodes: {a: ReLU, b: Tanh}, outputs: {b: [c, h, w], a: [c, h, w]}}
    """
    (tmp_path / "parent.yaml").write_text(parent)
    (tmp_path / "child.yaml").write_text("graph: child\nextends: parent\ninsert: {s: {after: t, Sigmoid: {}}}\n")
    assert calls(check(tmp_path / "child.yaml"))[-2:] == ["s = Sigmoid(t.b)", "y = Add(s, t.a)"]


def test_extends_of_extends_by_relative_paths(tmp_path: Path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "deep" / "mid.yaml").write_text(
        "graph: mid\nextends: ../parent.yaml\ninsert: {e: {after: a, ReLU: {}}}\n"
    )
    (tmp_path / "deep" / "er" / "leaf.yaml").write_text(
        "graph: leaf\nextends: ../mid.yaml\nnodes: {e: null, b: Sigmoid}\n"
    )
    plan = check(tmp_path / "deep" / "er" / "leaf.yaml")
    assert calls(plan) == ["a = Conv(image)", "b = Sigmoid(a)", "c = Add(b, a)", "d = Conv(c)"]
    assert plan.graph.name == "leaf"


def test_a_child_of_a_shipped_graph_is_a_file_of_four_lines(tmp_path: Path):
    (tmp_path / "hybrid.yaml").write_text(
        "graph: hybrid\nextends: u2netp\ninsert: {wave: {after: en1, Sigmoid: {}}}\nnodes: {en5: {Conv: {out: 64}}}\n"
    )
    plan = check(tmp_path / "hybrid.yaml")
    assert plan.graph.nodes["en2"].reads == ("wave",)  # type: ignore[union-attr]
    assert plan.graph.nodes["en5"].reads == ("en4",)  # type: ignore[union-attr]
    assert str(plan.sizes) == "H and W: any"


def test_loading_gives_the_flat_graph_with_its_expressions(tmp_path: Path):
    graph = load_graph("u2net_cca")
    assert graph.extends is None
    assert graph.insert == {}
    assert list(graph.nodes)[4:8] == ["cca4", "en5", "cca5", "en6"]
    assert graph.params["recurrence"] == 2


# --- faults are told in the file where they are, with how that file came in


def fault(tmp_path: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    with pytest.raises(InvalidFile) as caught:
        check(tmp_path / "child.yaml")
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_a_fault_in_a_parent_is_told_there_with_a_note(tmp_path: Path):
    broken = PARENT.replace("b: Tanh", "b: {Conv: {out: 5}}")
    lines = fault(tmp_path, parent=broken, child="graph: child\nextends: parent\n")
    assert lines[0] == "parent.yaml:9:21: E030 Add needs 5 channels from `a`, which has 4"
    assert lines[4:] == ["note: `child` extends `parent` here (child.yaml:2:10)", "", "1 error in parent.yaml"]


def test_what_a_child_breaks_in_its_parent_is_traced_through_every_file(tmp_path: Path):
    mid, child = "graph: mid\nextends: parent\n", "graph: child\nextends: mid\nnodes: {b: {Conv: {out: 5}}}\n"
    lines = fault(tmp_path, parent=PARENT, mid=mid, child=child)
    assert lines[0].startswith("parent.yaml:9:21: E030")
    assert lines[4:6] == [
        "note: `mid` extends `parent` here (mid.yaml:2:10)",
        "note: `child` extends `mid` here (child.yaml:2:10)",
    ]


def test_a_param_of_a_parent_is_told_in_the_parents_file(tmp_path: Path):
    lines = fault(
        tmp_path, parent=PARENT.replace("{width: 4}", "{width: =7/2}"), child="graph: child\nextends: parent\n"
    )
    assert lines[0] == "parent.yaml:4:19: E014 7/2 is not a whole number"
    lines = fault(tmp_path, parent=PARENT, child="graph: child\nextends: parent\nparams: {width: =7/2}\n")
    assert lines[0] == "child.yaml:3:19: E014 7/2 is not a whole number"


def test_a_parent_that_cannot_be_read_is_told_once(tmp_path: Path):
    lines = fault(tmp_path, parent="graph: [", child="graph: child\nextends: parent\nnodes: {a: Cov}\n")
    assert [line for line in lines if " E" in line] == [
        "parent.yaml:1:9: E002 not YAML: did not find expected node content"
    ]
    assert "note: `parent` is used here (child.yaml:2:10)" in lines


def test_graphs_that_extend_each_other_are_told(tmp_path: Path):
    lines = fault(tmp_path, parent="graph: parent\nextends: child\n", child="graph: child\nextends: parent\n")
    assert lines[0] == "parent.yaml:2:10: E053 a graph extends itself: `child` extends `parent` extends `child`"


def test_a_long_line_of_parents_is_refused(tmp_path: Path):
    files = {f"g{n}": f"graph: g{n}\nextends: g{n + 1}\n" for n in range(100)}
    lines = fault(tmp_path, **files, g100=PARENT, child="graph: child\nextends: g0\n")
    assert "E053 graphs extend each other more than 32 deep" in lines[0]


def test_everything_wrong_with_child_and_parent_is_told_at_once(tmp_path: Path):
    broken = PARENT.replace("b: Tanh", "b: Tan")
    child = "graph: child\nextends: parent\nparams: {widht: 8}\ninsert: {e: {after: a, ReLuu: {}}}\ntaps: {t: q}\n"
    codes = [line.split()[1] for line in fault(tmp_path, parent=broken, child=child) if " E0" in line]
    assert sorted(codes) == ["E010", "E010", "E021", "E041"]
