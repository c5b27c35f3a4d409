"""A checked graph becomes a module: pure, plain, portable, and what its plan says."""

import copy
import io
import pickle
from pathlib import Path

import pytest
import torch
from test_graphs import graph, load
from torch import fx, nn

from crossband.graphs import InvalidFile, build, check, digest
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read_text
from crossband.registry import CrossbandError

NET = """\
stem: {Conv: {out: 4, norm: batch, activation: relu}}
down: [MaxPool, {Conv: {out: 4}, repeat: 2, share: true}]
part: {narrow: {}}
up: {from: [part, stem], UpCat: {}}
y: {Conv: {out: 3}}
"""
REST = """\
taps: {deep: down, early: stem}
blocks:
  narrow: {inputs: {x: [c, h, w]}, nodes: {a: {Conv: {out: =c/2}}, b: [Tanh, ReLU]}, outputs: {b: [=c/2, h, w]}}
"""
IMAGE = torch.linspace(-1, 1, 2 * 3 * 8 * 10).view(2, 3, 8, 10)


def net(outputs: str = "{y: [3, H, W]}") -> nn.Module:
    return build(graph(NET, outputs, REST), seed=0)


def by_hand(module: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """The network above, called by its parts."""
    part = module.get_submodule
    stem = part("stem")(image)
    shared = part("down.Conv")
    down = shared(shared(part("down.MaxPool")(stem)))
    narrow = part("part.b.ReLU")(part("part.b.Tanh")(part("part.a")(down)))
    return part("y")(part("up")(narrow, stem))


def test_it_computes_what_its_parts_do():
    module = net().eval()
    assert torch.equal(module(IMAGE), by_hand(module, IMAGE))
    assert isinstance(module, fx.GraphModule)


def test_keys_follow_the_names_of_nodes():
    assert [key for key in net().state_dict() if key.endswith("weight")] == [
        "stem.conv.weight",
        "stem.norm.weight",
        "down.Conv.conv.weight",
        "part.a.conv.weight",
        "y.conv.weight",
    ]


def test_several_outputs_and_taps_come_by_name():
    module = build(graph(NET, "{y: [3, H, W], stem: [4, H, W]}", REST), taps=["deep"], seed=0)
    outputs = module(IMAGE)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "y": (2, 3, 8, 10),
        "stem": (2, 4, 8, 10),
        "deep": (2, 4, 4, 5),
    }
    assert torch.is_tensor(net()(IMAGE))
    with pytest.raises(CrossbandError, match=r"`g` has no tap `deeep`\nhint: did you mean `deep`\?"):
        build(graph(NET, rest=REST), taps=["deeep"])


def test_a_tap_does_not_change_the_weights_that_are_drawn():
    plain, tapped = net(), build(graph(NET, rest=REST), taps=["deep"], seed=0)
    assert all(torch.equal(value, tapped.state_dict()[key]) for key, value in plain.state_dict().items())


def test_several_inputs_by_position_or_name():
    nodes = "nodes: {a: {from: guide, Tanh: {}}, y: {from: [image, a], UpCat: {}}}\n"
    text = f"graph: g\ninputs: {{image: [3, H, W], guide: [1, h, w]}}\n{nodes}outputs: {{y: [4, h, w]}}\n"
    module = build(load(text))
    guide = torch.randn(2, 1, 4, 4)
    assert torch.equal(module(IMAGE, guide), module(guide=guide, image=IMAGE))


def test_building_is_pure(capfd: pytest.CaptureFixture[str]):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = net(), net()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    build(graph(NET, rest=REST))
    assert not torch.equal(torch.random.get_rng_state(), before)  # without a seed it draws like any module
    assert capfd.readouterr() == ("", "")
    assert torch.get_default_dtype() == torch.float32
    assert all(parameter.device.type == "cpu" and parameter.requires_grad for parameter in first.parameters())


def test_another_seed_gives_other_weights():
    one, other = net(), build(graph(NET, rest=REST), seed=1)
    assert not torch.equal(one.state_dict()["y.conv.weight"], other.state_dict()["y.conv.weight"])


def test_gradients_reach_every_parameter():
    module = net()
    module(IMAGE).square().mean().backward()
    assert all(
        parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()) for parameter in module.parameters()
    )


def test_it_can_be_built_on_the_meta_device():
    with torch.device("meta"):
        module = build(graph(NET, rest=REST))
    assert module(IMAGE.to("meta")).shape == (2, 3, 8, 10)


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "save"])
def test_a_copy_is_the_same_and_keeps_its_graph(way: str):
    module = net().eval()
    if way == "deepcopy":
        other = copy.deepcopy(module)
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(module))
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert torch.equal(other(IMAGE), module(IMAGE))
    assert other.meta == module.meta
    assert list(other.state_dict()) == list(module.state_dict())


def test_its_meta_holds_the_graph_it_was_built_of():
    module = net()
    again = load(str(module.meta["graph"]))  # type: ignore[index]
    assert digest(check(again).graph) == module.meta["digest"]  # type: ignore[index]
    other = build(again)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.eval()(IMAGE), module.eval()(IMAGE))


def test_the_code_is_straight_and_readable():
    code = str(net().code)
    assert "down_Conv_2 = self.down.Conv(down_Conv)" in code
    assert code.count("\n    ") <= 14
    assert "for " not in code


@pytest.mark.slow
def test_it_exports_for_any_size_and_compiles():
    module = net().eval()
    sizes = {2: torch.export.Dim("h", min=4, max=64), 3: torch.export.Dim("w", min=4, max=64)}
    exported = torch.export.export(module, (IMAGE,), dynamic_shapes=({0: None, **sizes},)).module()
    larger = torch.randn(2, 3, 12, 14)
    assert torch.allclose(exported(larger), module(larger), atol=1e-6)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(IMAGE), module(IMAGE), atol=1e-6)


def test_a_wrapper_goes_around_the_network():
    critic = graph("y: {Conv: {out: 1}}", "{y: [1, H, W]}", "wrap: {GradientNorm: {wrt: [image], reduce: mean}}\n")
    module = build(critic, seed=0)
    assert type(module).__name__ == "GradientNorm"
    assert module(IMAGE).abs().max() < 1
    assert module.meta["digest"] == digest(check(critic).graph)  # type: ignore[index]
    assert copy.deepcopy(module).meta == module.meta


def test_what_only_a_constructor_can_tell_is_told_at_its_place(tmp_path: Path):
    path = tmp_path / "g.yaml"
    nodes = "nodes: {y: {Conv: {out: 1, norm: batch}}}\n"
    head, tail = "graph: g\ninputs: {image: [3, H, W]}\n", "outputs: {y: [1, H, W]}\nwrap: {GradientNorm: {}}\n"
    path.write_text(head + nodes + tail)
    with pytest.raises(InvalidFile) as caught:
        check(path)
    [fault] = caught.value.problems
    assert (fault.code, str(fault.place), fault.hint) == ("E060", f"{path}:5:8", "use instance normalisation, or none")


def test_a_network_that_does_not_fit_into_memory_is_refused():
    wide = graph("a: {Conv: {out: 1000000}}\ny: {Conv: {out: 1000000}}", "{y: [1000000, H, W]}")
    with pytest.raises(InvalidFile, match="E032 the weights do not fit into memory"):
        build(wide)


def test_an_output_may_be_an_input_or_the_same_value_twice():
    plan = check(
        graph("a: Tanh", "{a: [3, H, W], again: {from: a, shape: [3, H, W]}, same: {from: image, shape: [3, H, W]}}")
    )
    outputs = build(plan)(IMAGE)
    assert outputs["a"] is outputs["again"]
    assert outputs["same"] is IMAGE


def test_what_is_written_is_what_a_graph_file_holds():
    text = net().meta["graph"]  # type: ignore[index]
    assert read_text(str(text), Problems())
