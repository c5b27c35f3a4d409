"""The format of graphs: every form of a node, and the laws of reading, writing, resolving and identity."""

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
import torch
from graph_strategies import SIDE, children, explicit, graphs
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from crossband import registry
from crossband.blocks.contracts.sizes import Shape, evaluate
from crossband.blocks.laws.values import values_of
from crossband.graphs import InvalidFile, build, check, digest, dump
from crossband.graphs.language.catalog import GRAPHS
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read_text
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.serial import to_data
from crossband.graphs.language.syntax import Graph
from crossband.graphs.language.writer import dump as dump_yaml
from crossband.graphs.plans.plan import Call, Plan


def load(text: str, file: str = "<text>") -> Graph:
    problems = Problems()
    graph = Resolver(problems).load_text(text, file)
    problems.raise_if_any()
    assert graph
    return graph


def graph(nodes: str, outputs: str = "{y: [3, H, W]}", rest: str = "") -> Graph:
    head = f"graph: g\ninputs: {{image: [3, H, W]}}\n{dedent(rest)}nodes:\n"
    return load(f"{head}{indent(dedent(nodes), '  ')}\noutputs: {outputs}\n")


def calls(plan: Plan) -> list[str]:
    """The calls as `name = block(what it reads)`, with the module where that is another name."""
    return [
        f"{call.name}{f' [{call.module}]' if call.module != call.name else ''} = "
        f"{call.entry.name}({', '.join(ref.source for ref in call.reads)})"
        for call in plan.calls
    ]


# --- forms of a node

FORMS = {
    "a name": ("y: Tanh", ["y = Tanh(image)"]),
    "a block with nothing": ("y: {Tanh: }", ["y = Tanh(image)"]),
    "a block with arguments": ("y: {Conv: {out: 3}}", ["y = Conv(image)"]),
    "a chain": ("y: [{Conv: {out: 3}}, Tanh]", ["y.Conv = Conv(image)", "y.Tanh = Tanh(y.Conv)"]),
    "a chain of one": ("y: [Tanh]", ["y = Tanh(image)"]),
    "two of a kind": (
        "y: [Tanh, ReLU, Tanh]",
        ["y.Tanh = Tanh(image)", "y.ReLU = ReLU(y.Tanh)", "y.Tanh_2 = Tanh(y.ReLU)"],
    ),
    "do": ("y: {do: [Tanh, ReLU], doc: why}", ["y.Tanh = Tanh(image)", "y.ReLU = ReLU(y.Tanh)"]),
    "from": (
        "a: Tanh\ny: {from: image, ReLU: {}}\nz: {from: [y, a], Add: {}}",
        ["a = Tanh(image)", "y = ReLU(image)", "z = Add(y, a)"],
    ),
    "the same twice": ("y: {from: [image, image], Add: {}}", ["y = Add(image, image)"]),
    "a node further down": ("y: {from: b, Tanh: {}}\nb: {from: image, ReLU: {}}", ["b = ReLU(image)", "y = Tanh(b)"]),
    "repeat": ("y: {Conv: {out: 3}, repeat: 2}", ["y.Conv = Conv(image)", "y.Conv_2 = Conv(y.Conv)"]),
    "repeat and share": ("y: {Conv: {out: 3}, repeat: 2, share: true}", ["y = Conv(image)", "y.2 [y] = Conv(y)"]),
    "repeat once": ("y: {Conv: {out: 3}, repeat: 1, share: true}", ["y = Conv(image)"]),
    "repeat never": ("a: {Conv: {out: 3}, repeat: 0}\ny: Tanh", ["y = Tanh(image)"]),
    "repeat a chain": (
        "y: {do: [Tanh, ReLU], repeat: 2, share: true}",
        [
            "y.Tanh = Tanh(image)",
            "y.ReLU = ReLU(y.Tanh)",
            "y.Tanh.2 [y.Tanh] = Tanh(y.ReLU)",
            "y.ReLU.2 [y.ReLU] = ReLU(y.Tanh.2)",
        ],
    ),
    "repeat in a chain": (
        "y: [{Tanh: {}, repeat: 2, share: true}, ReLU]",
        ["y.Tanh = Tanh(image)", "y.Tanh.2 [y.Tanh] = Tanh(y.Tanh)", "y.ReLU = ReLU(y.Tanh.2)"],
    ),
    "part of a value": ("a: Tanh\ny: {from: a.out, ReLU: {}}", ["a = Tanh(image)", "y = ReLU(a)"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_node_may_be_written_as(form: str):
    nodes, expected = FORMS[form]
    last = nodes.splitlines()[-1].partition(":")[0] if "further" not in form else "y"
    plan = check(graph(nodes, f"{{{last}: [3, H, W]}}"))
    assert calls(plan) == expected
    assert_resolves(plan)


def test_a_repeated_node_with_an_expression():
    rest = "params: {times: 2, places: [a, y]}\n"
    nodes = """\
    a: {Tanh: {}, repeat: "=times * ('a' in places)"}
    b: {ReLU: {}, repeat: "=times * ('b' in places)"}
    y: Tanh
    """
    plan = check(graph(nodes, rest=rest))
    assert calls(plan) == ["a.Tanh = Tanh(image)", "a.Tanh_2 = Tanh(a.Tanh)", "y = Tanh(a.Tanh_2)"]
    assert "b" not in plan.graph.nodes
    assert plan.graph.nodes["y"].reads == ("a",)  # type: ignore[union-attr]


def test_a_node_that_is_never_applied_is_still_checked():
    with pytest.raises(InvalidFile, match="E011 Tanh has no parameter `hard`"):
        check(graph("y: {Tanh: {hard: 1}, repeat: 0}"))


def test_an_output_may_come_from_a_node_that_only_passes_on():
    plan = check(graph("a: Tanh\ny: {ReLU: {}, repeat: 0}"))
    assert plan.outputs["y"].source == "a"
    assert_resolves(plan)


# --- local blocks and other graphs

STAGE = """\
blocks:
  stage:
    params: {width: 4, twice: =2*width}
    inputs: {x: [c, h, w], like: [k, h, w]}
    nodes:
      a: {from: x, Conv: {out: =twice, kernel: 1}}
      b: {from: [a, like], Concat: {}}
      c: {Conv: {out: =c+k, groups: 1}}
    outputs:
      c: [=c+k, h, w]
      early: {from: a, shape: [=twice, h, w]}
"""


def test_a_local_block_has_params_channels_several_inputs_and_outputs():
    nodes = """\
    one: {from: [image, image], stage: {width: 2}}
    y: {from: one.early, Conv: {out: 3}}
    z: {from: [one.c, y], Concat: {}}
    """
    plan = check(graph(nodes, "{z: [9, H, W]}", STAGE))
    assert calls(plan) == [
        "one.a = Conv(image)",
        "one.b = Concat(one.a, image)",
        "one.c = Conv(one.b)",
        "y = Conv(one.a)",
        "z = Concat(one.c, y)",
    ]
    assert [call.arguments.get("out") for call in plan.calls] == [4, None, 6, 3, None]
    assert [call.node for call in plan.calls] == ["one", "one", "one", "y", "z"]
    assert_resolves(plan)


def test_a_local_block_takes_several_forms_and_may_be_shared():
    block = """\
    blocks:
      bottle:
        inputs: {x: [c, h, w]}
        nodes: {a: {Conv: {out: =2*c}}, b: {narrow: {}}}
        outputs: {b: [c, h, w]}
      narrow:
        inputs: {x: [c, h, w]}
        nodes: {halved: {Conv: {out: =c/2}}}
        outputs: {halved: [=c/2, h, w]}
    """
    nodes = "a: {bottle: {}, repeat: 2, share: true}\nb: [{Conv: {out: 6}}, {bottle: {}, repeat: 2}]\ny: {narrow: {}}"
    plan = check(graph(nodes, rest=block))
    assert list(plan.graph.blocks) == ["narrow", "bottle", "narrow.2", "bottle.2"]
    assert [name for name in build(plan).state_dict() if name.endswith("weight")] == [
        "a.a.conv.weight",
        "a.b.halved.conv.weight",
        "b.Conv.conv.weight",
        "b.bottle.a.conv.weight",
        "b.bottle.b.halved.conv.weight",
        "b.bottle_2.a.conv.weight",
        "b.bottle_2.b.halved.conv.weight",
        "y.halved.conv.weight",
    ]
    assert_resolves(plan)


def repeated(times: int) -> Graph:
    nodes = f"""
    first: {{AvgPool: {{kernel: 2}}, repeat: {times}}}
    rest: {{from: [first, first, image], larger: {{}}, repeat: {times}}}
    y: {{from: [rest.sum, rest.feature], Add: {{}}}}
    """
    larger = """
    blocks:
      larger:
        inputs: {feature: [c, h, w], sum: [k, h, w], image: [k, H, W]}
        nodes:
          up: {from: feature, Resize: {up: 2}}
          near: {from: [image, up], ResizeTo: {}}
          far: {from: [sum, up], ResizeTo: {}}
          add: {from: [near, far], Add: {}}
        outputs: {feature: {from: up, shape: [=c, h2, w2]}, sum: {from: add, shape: [=k, h2, w2]}}
    """
    return graph(nodes, "{y: [3, h, w]}", larger)


def test_in_a_repetition_the_first_inputs_are_what_came_out_and_the_others_stay():
    assert calls(check(repeated(2)))[2:] == [
        "rest.larger.up = Resize(first.AvgPool_2)",
        "rest.larger.near = ResizeTo(image, rest.larger.up)",
        "rest.larger.far = ResizeTo(first.AvgPool_2, rest.larger.up)",
        "rest.larger.add = Add(rest.larger.near, rest.larger.far)",
        "rest.larger_2.up = Resize(rest.larger.up)",
        "rest.larger_2.near = ResizeTo(image, rest.larger_2.up)",
        "rest.larger_2.far = ResizeTo(rest.larger.add, rest.larger_2.up)",
        "rest.larger_2.add = Add(rest.larger_2.near, rest.larger_2.far)",
        "y = Add(rest.larger_2.add, rest.larger_2.up)",
    ]
    assert_resolves(check(repeated(2)))
    assert calls(check(graph("a: Tanh\ny: {from: [a, image], Add: {}, repeat: 2}"))) == [
        "a = Tanh(image)",
        "y.Add = Add(a, image)",
        "y.Add_2 = Add(y.Add, image)",
    ]


def test_repeated_0_times_it_gives_its_first_inputs():
    plan = check(graph("a: Tanh\nb: {from: [a, image], two: {}, repeat: 0}\ny: {from: [b.q, b.p], Add: {}}", rest=TWO))
    assert calls(plan) == ["a = Tanh(image)", "y = Add(image, a)"]
    assert_resolves(plan)


TWO = """
blocks:
  two:
    inputs: {x: [c, h, w], y: [c, h, w]}
    nodes: {p: {from: x, Tanh: {}}, q: {from: y, Tanh: {}}}
    outputs: {p: [=c, h, w], q: [=c, h, w]}
"""


def test_labels_do_not_clash_with_a_block_that_is_called_like_one():
    block = "blocks:\n  Conv_2: {inputs: {x: [c, h, w]}, nodes: {a: {Conv: {out: =c}}}, outputs: {a: [c, h, w]}}\n"
    plan = check(graph("y: [{Conv: {out: 3}}, Conv_2, {Conv: {out: 3}}]", rest=block))
    assert len({call.module for call in plan.calls}) == 3
    assert_resolves(plan)


def test_a_shipped_graph_is_a_block():
    plan = check(graph("net: {u2netp: {out: 2}}\ny: {from: [net.side6, net], Concat: {}}", "{y: [4, H, W]}"))
    assert plan.calls[0].name == "net.en1"
    assert_resolves(plan)


def test_a_graph_beside_the_file_that_names_it_is_a_block(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "mine.yaml").write_text(dump(graph("y: Tanh")))
    (tmp_path / "g.yaml").write_text(dump(graph("y: mine")))
    (tmp_path / "sub" / "child.yaml").write_text(
        "graph: child\nextends: ../g.yaml\nnodes: {z: ReLU}\noutputs: {z: [3, H, W]}\n"
    )
    assert calls(check(tmp_path / "g.yaml")) == ["y.y = Tanh(image)"]
    child = "graph: child\nextends: ../g.yaml\nnodes: {z: {from: y, ReLU: {}}}\noutputs: {y: null, z: [3, H, W]}\n"
    (tmp_path / "sub" / "child.yaml").write_text(child)
    assert calls(check(tmp_path / "sub" / "child.yaml")) == ["y.y = Tanh(image)", "z = ReLU(y.y)"]


def test_a_shipped_name_means_the_shipped_graph_and_no_other(tmp_path):
    text = "graph: u2net\nextends: u2net\n"
    (tmp_path / "u2net.yaml").write_text(text)
    assert digest(check(tmp_path / "u2net.yaml").graph) == digest(check("u2net").graph)  # a file does not mean itself
    (tmp_path / "child.yaml").write_text("graph: child\nextends: u2net\n")
    with pytest.raises(InvalidFile, match=r"child.yaml:2:10: E016 `u2net` is a shipped graph, and `.*u2net.yaml` has"):
        check(tmp_path / "child.yaml")
    for path in ("u2net.yaml", GRAPHS.files()["u2net"]):
        (tmp_path / "child.yaml").write_text(f"graph: child\nextends: {path}\n")
        check(tmp_path / "child.yaml")
    (tmp_path / "u2net.yaml").write_text(text.replace("graph:", "recipe:"))
    (tmp_path / "child.yaml").write_text("graph: child\nextends: u2net\n")
    check(tmp_path / "child.yaml")  # a recipe may be called as a graph


def test_a_graph_whose_file_has_an_odd_name_is_a_block(tmp_path):
    (tmp_path / "my-net 2.yaml").write_text(dump(graph("y: {Conv: {out: 3}}")))
    (tmp_path / "g.yaml").write_text(dump(graph("y: {do: ['my-net 2', 'my-net 2']}")))
    plan = check(tmp_path / "g.yaml")
    assert [call.module for call in plan.calls] == ["y.my_net_2.y", "y.my_net_2_2.y"]
    assert_resolves(plan)


def test_one_name_may_mean_one_block_here_and_another_there(tmp_path):
    stage = "blocks:\n  stage: {inputs: {x: [c, h, w]}, nodes: {a: %s}, outputs: {a: [c, h, w]}}\n"
    (tmp_path / "inner.yaml").write_text(dump(graph("y: stage", rest=stage % "Tanh")))
    outer = graph("y: stage", rest=stage % "inner").with_params({})
    (tmp_path / "g.yaml").write_text(dump(outer).replace("[c, h, w]", "[3, h, w]"))
    plan = check(tmp_path / "g.yaml")
    assert calls(plan) == ["y.a.y.a = Tanh(image)"]
    assert_resolves(plan)


def test_params_may_use_each_other_in_any_order():
    plan = check(graph("y: {Conv: {out: =out}}", rest="params: {out: =mid+1, mid: =base*2, base: 1}\n"))
    assert plan.calls[0].arguments["out"] == 3
    assert (
        check(graph("y: {Conv: {out: =n}}", "{y: [=n, H, W]}", "params: {n: 2}\n"), {"n": 5}).calls[0].arguments["out"]
        == 5
    )
    with pytest.raises(InvalidFile, match="E011 `g` has no param `m`"):
        check(graph("y: Tanh"), {"m": 3})


# --- laws


def drawn(data: dict[str, Any]) -> Plan:
    """The plan of a drawn graph; those that no image passes are no examples."""
    try:
        return check(load(dump_yaml(data)))
    except InvalidFile as error:
        assume("E033" not in str(error))
        raise


def shuffle(keys: Any, seed: int) -> None:
    """Put the items of a list, or the keys of a dict, in another order."""
    items = list(keys.items()) if isinstance(keys, dict) else list(keys)
    random.Random(seed).shuffle(items)
    keys.clear()
    (keys.update if isinstance(keys, dict) else keys.extend)(items)


def told(call: Call) -> tuple[Any, ...]:
    return call.name, call.module, call.node, call.entry.name, dict(call.arguments), call.reads, call.shapes


def assert_resolves(plan: Plan) -> Plan:
    """The resolved graph is free of expressions, and checking it again changes nothing."""
    text = dump(plan.graph)
    assert ": =" not in text
    assert "'=" not in text
    again = check(load(text))
    assert again.graph == plan.graph
    assert dump(again.graph) == text
    assert digest(again.graph) == digest(plan.graph)
    assert list(map(told, again.calls)) == list(map(told, plan.calls))
    assert (again.outputs, again.taps) == (plan.outputs, plan.taps)
    return again


@given(graphs())
def test_writing_and_reading_gives_the_same_graph(data):
    first = load(dump_yaml(data))
    assert load(dump(first)) == first
    written = read_text(dump(first), Problems())
    assert written
    assert written.data == to_data(first)
    assert to_data(load(dump(first))) == written.data  # dump(load(x)) == x, for x as dump writes it


@given(graphs())
def test_a_resolved_graph_is_the_same_network(data):
    plan = drawn(data)
    again = assert_resolves(plan)
    one, other = build(plan, seed=1).eval(), build(again, seed=1).eval()
    assert list(one.state_dict()) == list(other.state_dict())
    sizes = plan.sizes.nearest(H=24, W=20)
    image = torch.randn(1, data["inputs"]["image"][0], sizes["H"], sizes["W"])
    results = []
    for network in (one, other):
        torch.manual_seed(2)  # for blocks that declare that they are random
        with torch.no_grad():
            results.append(network(image))
    found, wanted = results
    for name in plan.outputs if len(plan.outputs) > 1 else [slice(None)]:
        assert torch.equal(found[name], wanted[name])


@given(graphs())
def test_every_value_has_the_shape_that_the_plan_says(data):
    plan = drawn(data)
    sizes = plan.sizes.nearest(H=SIDE, W=SIDE)
    network = build(plan, taps=list(plan.taps)).eval()
    image = torch.zeros(1, data["inputs"]["image"][0], sizes["H"], sizes["W"])
    shapes = Shapes(plan, network)
    with torch.no_grad():
        results = shapes.run(image)
    at = {"H": sizes["H"], "W": sizes["W"]}
    assert shapes.found == [told_at(call.shapes, at) for call in plan.calls]
    ends = {**plan.outputs, **plan.taps}
    results = results if len(ends) > 1 else dict(zip(ends, [results], strict=True))
    assert {name: tuple(value.shape[1:]) for name, value in results.items()} == {
        name: told_at([plan.shape(ref)], at)[0] for name, ref in ends.items()
    }


def told_at(shapes: Sequence[Shape], numbers: Mapping[str, int]) -> list[tuple[int, ...]]:
    """What the plan says of an image of this size, without the batch."""
    return [tuple(int(evaluate(size, numbers)) for size in shape[1:]) for shape in shapes]


class Shapes(fx.Interpreter):
    """Runs a network call by call and notes the shapes that come out of each."""

    def __init__(self, plan: Plan, network: nn.Module) -> None:
        assert isinstance(network, fx.GraphModule)
        super().__init__(network)
        self.extra_traceback = False  # of an image that does not pass, which may be what is asked
        self.calls = iter(plan.calls)  # the calls of the code are those of the plan
        self.found: list[list[tuple[int, ...]]] = []

    def inputs(self, call: Call, inputs: Sequence[Tensor]) -> None:
        """What to ask of the inputs of a call: nothing, for a subclass to say."""

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One block."""
        call = next(self.calls)
        assert call.module == target
        self.inputs(call, args)
        result = super().call_module(target, args, kwargs)
        outputs = [result] if isinstance(result, Tensor) else result
        self.found.append([tuple(output.shape[1:]) for output in outputs])
        return result


@given(graphs(), st.data())
def test_a_child_is_the_graph_that_its_patches_describe(data, choose):
    plan = drawn(data)
    child = choose.draw(children(plan))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"parent": explicit(plan), "child": {"extends": "parent", **child.patch}}.items():
            (Path(folder) / f"{name}.yaml").write_text(dump_yaml({**content, "graph": name}))
        found = check(Path(folder) / "child.yaml")
    wanted = check(load(dump_yaml(child.flat)))
    assert digest(found.graph) == digest(wanted.graph)
    assert found.taps == wanted.taps
    assert list(found.graph.outputs) == list(wanted.graph.outputs)


@given(graphs(), st.data())
def test_the_digest_changes_with_any_argument(data, choose):
    plan = drawn(data)
    plain = explicit(plan)
    places = [(node, name) for node in plain["nodes"].values() for name in node if name in registry.blocks]
    places = [(node, name) for node, name in places if registry.blocks[name].parameters]
    assume(places)
    node, name = choose.draw(st.sampled_from(places))
    parameter = choose.draw(st.sampled_from(list(registry.blocks[name].parameters.values())))
    value = choose.draw(values_of(parameter.schema))
    assume(value != node[name].get(parameter.name, parameter.default))
    node[name] = {**node[name], parameter.name: value}
    try:
        other = check(load(dump_yaml(plain)))
    except InvalidFile:  # with another value it may be no network
        return
    assert digest(other.graph) != digest(plan.graph)


@given(graphs(), st.integers(0, 2**32))
def test_neither_the_order_of_nodes_nor_of_keys_matters(data, seed):
    plan = drawn(data)
    plain = explicit(plan)
    nodes = [(name, {**node, "doc": "documentation"}) for name, node in plain["nodes"].items()]
    for keys in (nodes, *(node for _, node in nodes)):
        shuffle(keys, seed)
    shuffled = {**plain, "doc": "other", "cite": ["x"], "nodes": dict(nodes)}
    other = check(load("# a comment\n" + dump_yaml(shuffled)))
    assert digest(other.graph) == digest(plan.graph)
    assert sorted(build(other).state_dict()) == sorted(build(plan).state_dict())


BASE = "a: {Conv: {out: 3}, repeat: 2}\nb: {from: image, part: {}}\ny: {from: [a, b], Add: {}}"
PART = "blocks:\n  part: {inputs: {x: [c, h, w]}, nodes: {one: {Conv: {out: =c}}}, outputs: {one: [c, h, w]}}\n"
CHANGES = [
    ("{out: 3}", "{out: 3, kernel: 5}"),
    ("repeat: 2", "repeat: 3"),
    ("repeat: 2", "repeat: 2, share: true"),
    ("Add", "Mul"),
    ("[a, b]", "[b, a]"),
    ("from: image, part", "from: a, part"),
    ("b: {from: image, part: {}}", "b: {from: image, do: [part, Tanh]}"),
    ("b:", "c:"),
    ("{out: =c}", "{out: =c, bias: false}"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_the_digest_tells_graphs_apart_that_compute_differently(old, new):
    def of(nodes: str, rest: str) -> str:
        return digest(check(graph(nodes, rest=rest)).graph)

    assert old in BASE + PART
    changed = BASE.replace(old, new).replace("[a, b]", "[a, c]" if old == "b:" else "[a, b]"), PART.replace(old, new)
    assert of(*changed) != of(BASE, PART)


def test_the_digest_does_not_tell_apart_what_computes_the_same():
    def of(nodes: str, rest: str = "") -> str:
        return digest(check(graph(nodes, rest=rest)).graph)

    assert of("y: {Conv: {out: 3}}") == of("y: [{Conv: {out: =n, kernel: 3}}]", "params: {n: 3}\n")
    assert of("y: {Conv: {out: 3}}") == of("a: {ReLU: {}, repeat: 0}\ny: {Conv: {out: 3}}")
    assert of("a: Tanh\ny: Tanh") == of("a: Tanh\ny: Tanh", "taps: {deep: a}\n")


def test_names_that_a_module_has_already_are_refused():
    module = build(graph("y: Tanh"))
    taken = [name for name in dir(module) if not name.startswith("_") and name not in ("y", "meta")]
    for name in [*taken, "meta", "self", "torch"]:
        with pytest.raises(InvalidFile, match="E016"):
            graph(f"{name}: Tanh\ny: Tanh")


@pytest.mark.parametrize(
    "name", ["input", "len", "x", "output", "getattr", "True_", "args", "Tensor", "device", "operator"]
)
def test_any_other_name_works_even_one_of_python(name):
    nodes = f"nodes: {{y: {{from: {name}, Tanh: {{}}}}}}\n"
    text = f"graph: g\ninputs: {{{name}: [3, H, W]}}\n{nodes}outputs: {{y: [3, H, W]}}\n"
    image = torch.randn(1, 3, 4, 4)
    assert torch.equal(build(load(text))(image), image.tanh())
    assert torch.equal(build(load(text))(**{name: image}), image.tanh())
