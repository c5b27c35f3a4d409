"""Every shipped graph: forward and backward, how fast it is checked, and that no edit of it breaks anything."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path

import once
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_graph_errors import cases
from test_graphs import assert_resolves

from crossband.blocks.contracts.sizes import Shape, evaluate
from crossband.graphs import digest, dump, graph_schema, load_graph
from crossband.graphs.checking.checker import check_into
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read_text
from crossband.graphs.language.resolve import GRAPHS, Resolver
from crossband.graphs.language.serial import to_data
from crossband.graphs.plans.image_size import symbols_at

TEXTS = {name: path.read_text("utf-8") for name, path in GRAPHS.files().items()}
IDLE = {"bridged_unet": ("out2.layer.",)}
"""Modules that lead nowhere in the network as it is published."""

SIZES = {"smallest": (1, 1, 1), "square": (1, 256, 256), "oblong": (1, 70, 130), "a batch": (2, 64, 64)}


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TEXTS)
def test_forward_and_backward(name: str, size: str):
    batch, *sides = SIZES[size]
    plan = once.plan(name, narrow=True)
    wanted = symbols_at(plan, *sides)
    numbers = plan.sizes.padded(**wanted) if size == "smallest" else plan.sizes.nearest(**wanted)
    assert plan.sizes.admits(**numbers)
    if size == "square" and plan.sizes.admits(**wanted):
        assert numbers == wanted
    network = once.network(name).train(size != "smallest")  # one pixel has no statistics
    network.zero_grad()
    images = [torch.rand(batch, *at(shape, numbers), requires_grad=True) for shape in plan.inputs.values()]
    outputs = network(*images)
    outputs = outputs if isinstance(outputs, dict) else dict(zip(plan.outputs, [outputs], strict=True))
    assert {key: tuple(output.shape) for key, output in outputs.items()} == {
        key: (batch, *at(plan.shape(ref), numbers)) for key, ref in plan.outputs.items()
    }
    torch.stack([output.square().mean() for output in outputs.values()]).sum().backward()
    for key, value in (*network.named_parameters(), *zip(plan.inputs, images, strict=True)):
        if not key.startswith(IDLE.get(name, ("-",))):
            assert value.grad is not None, key
            assert value.grad.isfinite().all(), key


@pytest.mark.parametrize("path", sorted(GRAPHS.folders[1].glob("*.yaml")), ids=lambda path: path.stem)
def test_a_hybrid_is_a_few_lines_on_another_graph(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= 8
    assert load_graph(path.stem).lineage


def at(shape: Shape, numbers: Mapping[str, int]) -> list[int]:
    return [int(evaluate(size, numbers)) for size in shape[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_a_shipped_graph_resolves_to_itself(name: str):
    assert_resolves(once.plan(name))
    problems = Problems()
    again = Resolver(problems).load_text(dump(load_graph(name)))
    assert not problems
    assert again == load_graph(name)


def test_digests_stay():
    """They are in every weights file: a graph that computes what it did keeps its own."""
    known = json.loads((Path(__file__).parent / "digests.json").read_text())
    found = {name: digest(once.plan(name).graph) for name in TEXTS}
    assert found.keys() == known.keys(), "the digest of a new graph is added to tests/digests.json"
    assert found == known


def test_a_graph_without_extends_is_written_as_it_is_shipped():
    document = read_text(TEXTS["u2net"], Problems())
    assert document
    assert to_data(load_graph("u2net")) == document.data


# --- the JSON Schema for editors


def test_the_schema_is_one():
    Draft202012Validator.check_schema(graph_schema())
    Draft202012Validator.check_schema(graph_schema(arguments=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_the_schema_takes_shipped_graphs_as_written_and_as_resolved(name: str):
    validator = once.validator("graph")
    for text in (TEXTS[name], dump(once.plan(name).graph), dump(load_graph(name))):
        document = read_text(text, Problems())
        assert document
        assert [error.message for error in validator.iter_errors(document.data)] == []


@pytest.mark.parametrize(
    "title", [t for t in cases() if re.match("E00[567]|E01[123]|E060 arg", t) and "--- " not in cases()[t][0]]
)
def test_the_schema_rejects_what_the_checker_rejects(title: str):
    """Faults of structure and arguments, but for those that only values or other names can tell."""
    beyond = ("expression", "too", "promise", "local block", "worked out", "misspelt from", "channels unknown")
    document = read_text(cases()[title][0], Problems())
    assert document
    valid = once.validator("graph").is_valid(document.data)
    assert valid == any(word in title for word in beyond), title


# --- edits

WORDS = [
    *("null", "~", "true", "3", "-1", "0", "1.5", "1e99", "100000", "99999999999999999999", "H", "W", "h", "é", "!!x"),
    *("en1", "image", "de5", "Conv", "RSU", "Add", "UpCat", "head", "Identity", "u2net", "u2net_cca", "GradientNorm"),
    *("=width", "=", "='a'", "=H", "=width/3", "=1/0", "=min(width,3)", "=[1,2]", "=width*10000000", "Resize: {up: 2}"),
    *("from", "do", "repeat", "share", "doc", "after", "before", "wrap", "extends", "insert", "extends: u2net\n"),
    *("(i)", "(i+1)", "enc(1..3)", "en1..en3", " or ", "..", "(", ")", "index: i", "if: false", "if: =depth > 2", "=i"),
    *("share: enc1", "share: true", "keep: [enc1]", "with: {Conv: {out: 3}}", "repeat: [2, 3]", "[...]", "[]", "-2"),
    *("[", "]", "{", "}", ":", ",", "*a", "&a", "'", '"', "#", "|", ">", "\n", "  ", "- ", "\t"),
]
HYBRIDS = [path.read_text("utf-8") for path in sorted((Path(__file__).parent / "hybrids").glob("*.yaml"))]
TOKEN = re.compile(r"\w+|[^\s\w]|\s+")


def edited(text: str, rng: random.Random) -> str:
    """`text` with a token or a line deleted, doubled, replaced or moved, a few times."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        parts = text.splitlines(keepends=True) if rng.random() < 0.2 else TOKEN.findall(text)
        if not parts:
            return text
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.choice(["delete", "double", "replace", "replace", "move"]):
            case "delete":
                del parts[at]
            case "double":
                parts.insert(at, parts[at])
            case "replace":
                parts[at] = rng.choice(WORDS)
            case "move":
                parts[at] = parts[other]
        text = "".join(parts)
    return text


@settings(max_examples=settings.default.max_examples * 10)  # type: ignore[union-attr]
@given(st.sampled_from([*TEXTS.values(), *HYBRIDS]), st.integers(0, 2**64))
def test_an_edited_graph_is_checked_or_told_what_is_wrong_and_nothing_else(text: str, seed: int):
    problems = Problems()
    graph = Resolver(problems).load_text(edited(text, random.Random(seed)), str(GRAPHS.folders[0] / "edited.yaml"))
    plan = check_into(graph, problems) if graph else None
    assert (plan is None) == bool(problems)
    assert problems.render()


# --- bounds

HEAD = "graph: g\ninputs: {image: [3, H, W]}\n"
BLOCK = "{inputs: {x: [c, h, w]}, nodes: {n: %s}, outputs: {n: [c, h, w]}}"
NESTED = "".join(f"  b{n}: {BLOCK}\n" % f"b{n + 1}" for n in range(500)) + f"  b500: {BLOCK % 'Tanh'}\n"
CIRCLE = "".join(f"  n{n}: {{from: n{(n + 1) % 2000}, Tanh: }}\n" for n in range(2000))
LISTS = "".join(f", a{n}: '=[a{n - 1}, a{n - 1}]'" for n in range(1, 40))
REPEATS = f"nodes: {{y: {{a: , repeat: 1000}}}}\nblocks:\n  a: {BLOCK % '{b: , repeat: 1000}'}\n  b: {BLOCK}\n"
UP_AND_DOWN = "nodes: {y: {do: [{Resize: {up: 3, down: 2}}, {Resize: {up: 2, down: 3}}], repeat: 500}}\n"
MONSTERS = {
    "blocks inside blocks": (f"nodes: {{y: b0}}\nblocks:\n{NESTED}", "nested more than 32 deep"),
    "repeats of repeats": (REPEATS % "{Tanh: , repeat: 1000}", "more than 10000 blocks"),
    "repeats of nothing": (REPEATS % "{Tanh: , repeat: 0}", "more than 10000 blocks"),
    "a repeat of a repeat": ("nodes: {y: {do: [{Tanh: , repeat: 1000}], repeat: 1000}}\n", "1000000 blocks"),
    "sizes in sizes": (UP_AND_DOWN, "changes of size in a row"),
    "sizes without end": ("nodes: {y: {Resize: {up: 2}, repeat: 1000}}\n", "larger than"),
    "channels without end": ("nodes: {y: {Conv: {out: 1000000000000}}}\n", "larger than"),
    "a circle of many": (f"nodes:\n{CIRCLE}  y: {{from: n0, Tanh: }}\n", "in a circle"),
    "lists of lists": (
        f"params: {{a0: [1, 2, 3]{LISTS}}}\nnodes: {{y: {{Conv: {{out: =a39}}}}}}\n",
        "more than 1000 items",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("monster", MONSTERS)
def test_a_monster_is_refused_soon(monster: str):
    body, says = MONSTERS[monster]
    problems = Problems()
    graph = Resolver(problems).load_text(f"{HEAD}{body}outputs: {{y: [3, h, w]}}\n")
    assert graph
    assert check_into(graph, problems) is None
    assert says in problems.render()
    assert len(problems) == 1


def test_a_long_chain_that_is_written_backwards_is_checked():
    nodes = "".join(f"  n{n}: {{from: n{n + 1}, Tanh: }}\n" for n in range(1500))
    problems = Problems()
    graph = Resolver(problems).load_text(
        f"{HEAD}nodes:\n{nodes}  n1500: {{from: image, Tanh: }}\noutputs: {{n0: [3, H, W]}}\n"
    )
    assert graph
    plan = check_into(graph, problems)
    assert plan
    assert [call.name for call in plan.calls[:2]] == ["n1500", "n1499"]
