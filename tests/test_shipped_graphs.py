"""The shipped graphs: what papers say of them, how fast they are checked, and that no edit of them breaks anything."""

import random
import re
import time
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_graph_errors import cases
from test_graphs import assert_resolves
from torch import nn

from crossband.graphs import build, check, dump, graph_schema, load
from crossband.graphs.checker import check_into
from crossband.graphs.diagnostics import Problems
from crossband.graphs.reader import read_text
from crossband.graphs.resolve import GRAPHS, Library
from crossband.graphs.serial import to_data

TEXTS = {name: path.read_text("utf-8") for name, path in GRAPHS.files().items()}
SMALL = {"width": 4, "most": 8, "inner": 4}


def count(graph: str, **params: object) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(graph, params).parameters())


@pytest.mark.parametrize(
    ("graph", "params", "parameters"),
    [
        ("u2net", {}, 44_009_869),
        ("u2net", {"out": 3}, 44_037_579),
        ("u2netp", {}, 1_131_181),
        ("u2netp", {"out": 3}, 1_138_155),
        ("u2net_cca", {"cca_at": []}, 44_009_869),
        ("u2net_cca", {"cca_at": ["en5"]}, 44_338_190),
        ("u2net_cca", {"cca_at": ["en6"]}, 44_338_190),
        ("u2net_cca", {}, 44_666_511),
        ("u2net_cca", {"recurrence": 1}, 44_666_511),
        ("u2net_cca", {"cca_at": ["en5", "en6", "en4"]}, 44_994_832),
    ],
)
def test_parameters_are_those_of_the_paper(graph, params, parameters):
    assert count(graph, **params) == parameters


STAGES = {
    "en1": (64, 1),
    "en2": (128, 2),
    "en3": (256, 4),
    "en4": (512, 8),
    "en5": (512, 16),
    "en6": (512, 32),
    "de5": (512, 16),
    "de4": (256, 8),
    "de3": (128, 4),
    "de2": (64, 2),
    "de1": (64, 1),
    **{f"side{number}": (1, 1) for number in range(1, 7)},
    "fused": (1, 1),
}


def test_stages_of_u2net_have_the_shapes_of_the_paper():
    plan = check("u2net")
    shapes = {node: calls[-1].shapes[0] for node, calls in plan.by_node()}
    for name, (channels, divisor) in STAGES.items():
        found = [size if isinstance(size, int) else str(size) for size in shapes[name][1:]]
        assert found == [channels, *(axis if divisor == 1 else f"⌈{axis}/{divisor}⌉" for axis in "HW")]


def test_stages_of_a_narrow_u2net_really_have_these_shapes():
    module = build("u2net", {"width": 4, "most": 32, "inner": 16}, seed=0).eval()
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, _: nn.Module, inputs: object, output: torch.Tensor) -> None:
        found[name] = tuple(output.shape[1:])

    for name in STAGES:
        part = module.get_submodule(name)
        part = part if type(part).__name__ != "Module" else list(part.children())[-1]
        part.register_forward_hook(partial(note, name))
    with torch.no_grad():
        module(torch.zeros(1, 3, 256, 256))
    narrow = {name: max(1, channels // 16) for name, (channels, _) in STAGES.items()}
    assert found == {name: (narrow[name], 256 // divisor, 256 // divisor) for name, (_, divisor) in STAGES.items()}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("size", [(1, 1), (33, 50), (64, 48)])
def test_any_image_passes(name: str, size: tuple[int, int]):
    module = build(name, SMALL | ({"reduce": 2} if name == "u2net_cca" else {}), seed=0).eval()
    with torch.no_grad():
        outputs = module(torch.rand(1, 3, *size))
    assert list(outputs) == ["fused", *(f"side{number}" for number in range(1, 7))]
    assert all(output.shape == (1, 1, *size) and output.min() >= 0 and output.max() <= 1 for output in outputs.values())
    assert str(check(name).sizes) == "H and W: any"


@pytest.mark.parametrize("name", TEXTS)
def test_a_shipped_graph_resolves_to_itself(name: str):
    assert_resolves(check(name))
    problems = Problems()
    again = Library(problems).load_text(dump(load(name)))
    assert not problems
    assert again == load(name)


def test_a_graph_without_extends_is_written_as_it_is_shipped():
    document = read_text(TEXTS["u2net"], Problems())
    assert document
    assert to_data(load("u2net")) == document.data


def test_attention_that_is_nowhere_leaves_u2net():
    from crossband.graphs import digest

    assert digest(check("u2net_cca", {"cca_at": []}).graph) == digest(check("u2net").graph)
    plan = check("u2net_cca")
    assert [call.name for call in plan.calls if call.entry.name == "CrissCross"] == ["cca5", "cca5.2", "cca6", "cca6.2"]
    assert plan.graph.cite == ("fan2025", "huang2019ccnet", "qin2020u2net")


@pytest.mark.parametrize("name", TEXTS)
def test_checking_is_fast(name: str):
    check(name)
    times = []
    for _ in range(5):
        start = time.process_time()
        check(name)
        times.append(time.process_time() - start)
    assert min(times) < 0.1  # 50 ms on a machine that is not busy; it takes 30


# --- the JSON Schema for editors


def test_the_schema_is_one():
    Draft202012Validator.check_schema(graph_schema())
    Draft202012Validator.check_schema(graph_schema(arguments=False))


@pytest.mark.parametrize("name", TEXTS)
def test_the_schema_takes_shipped_graphs_as_written_and_as_resolved(name: str):
    validator = Draft202012Validator(graph_schema())
    for text in (TEXTS[name], dump(check(name).graph), dump(load(name))):
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
    valid = Draft202012Validator(graph_schema()).is_valid(document.data)
    assert valid == any(word in title for word in beyond), title


# --- edits

WORDS = [
    *("null", "~", "true", "3", "-1", "0", "1.5", "1e99", "100000", "99999999999999999999", "H", "W", "h", "é", "!!x"),
    *("en1", "image", "de5", "Conv", "RSU", "Add", "UpCat", "head", "Identity", "u2net", "u2net_cca", "GradientNorm"),
    *("=width", "=", "='a'", "=H", "=width/3", "=1/0", "=min(width,3)", "=[1,2]", "=width*10000000", "Resize: {up: 2}"),
    *("from", "do", "repeat", "share", "doc", "after", "before", "wrap", "extends", "insert", "extends: u2net\n"),
    *("[", "]", "{", "}", ":", ",", "*a", "&a", "'", '"', "#", "|", ">", "\n", "  ", "- ", "\t"),
]
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
@given(st.sampled_from(sorted(TEXTS)), st.integers(0, 2**64))
def test_an_edited_graph_is_checked_or_told_what_is_wrong_and_nothing_else(name: str, seed: int):
    problems = Problems()
    start = time.process_time()
    graph = Library(problems).load_text(
        edited(TEXTS[name], random.Random(seed)), str(GRAPHS.folders[0] / "edited.yaml")
    )
    plan = check_into(graph, problems) if graph else None
    assert (plan is None) == bool(problems)
    assert problems.render()
    assert time.process_time() - start < 5


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


@pytest.mark.parametrize("monster", MONSTERS)
def test_a_monster_is_refused_soon(monster: str):
    body, says = MONSTERS[monster]
    problems = Problems()
    start = time.process_time()
    graph = Library(problems).load_text(f"{HEAD}{body}outputs: {{y: [3, h, w]}}\n")
    assert graph
    assert check_into(graph, problems) is None
    assert says in problems.render()
    assert len(problems) == 1
    assert time.process_time() - start < 15


def test_a_long_chain_that_is_written_backwards_is_checked():
    nodes = "".join(f"  n{n}: {{from: n{n + 1}, Tanh: }}\n" for n in range(1500))
    problems = Problems()
    graph = Library(problems).load_text(
        f"{HEAD}nodes:\n{nodes}  n1500: {{from: image, Tanh: }}\noutputs: {{n0: [3, H, W]}}\n"
    )
    assert graph
    plan = check_into(graph, problems)
    assert plan
    assert [call.name for call in plan.calls[:2]] == ["n1500", "n1499"]
