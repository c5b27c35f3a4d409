"""What is public prints so that it fits a screen."""

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import once
import pytest

import crossband
from crossband import registry
from crossband.graphs import shipped
from crossband.graphs.plans.cost import cost
from crossband.recipes.data.demo.demo import demo
from crossband.recipes.metrics.evaluation import Summary, Table
from crossband.recipes.model.translation import Translated

SCREEN = 24, 2000  # lines, characters

PUBLIC: dict[str, Callable[[], Any]] = {
    "a graph": lambda: crossband.graphs.load_graph("u2netp"),
    "a node": lambda: crossband.graphs.load_graph("u2netp").nodes["en6"],
    "an output": lambda: once.plan("u2netp").graph.outputs["fused"],
    "a call": lambda: once.plan("u2netp").calls[0],
    "a size rule": lambda: once.plan("cut_head").sizes,
    "what a graph costs": lambda: cost(once.plan("rgb_to_lab"), {"H": 8, "W": 8}),
    "a table": lambda: Table({f"{n}.png": {"mae": 0.1} for n in range(999)}, {"mae": Summary(0.1, 0.0, 999)}),
    "what was translated": lambda: Translated(tuple(Path(f"out/{n}.png") for n in range(999)), 2.5),
    "a data source": demo,
    "a recipe": lambda: once.experiment("cut").recipe,
    "an experiment": lambda: once.experiment("cut"),
    "a phase": lambda: once.experiment("cut").phases[1],
    "a term": lambda: once.experiment("cut").phases[1].losses["contrast"],
    "a large network": lambda: once.network("ladlenet_plus"),
    "a network of many inputs": lambda: once.network("cut_head"),
    "a network with a wrapper": lambda: once.network("multiscale_patchgan_gn"),
    **{plural: lambda kind=kind: kind for plural, kind in registry.KINDS.items()},
}


@pytest.mark.parametrize("case", PUBLIC)
def test_what_is_public_fits_a_screen(case: str):
    thing = PUBLIC[case]()
    for text in (repr(thing), str(thing)):
        assert len(text.splitlines()) <= SCREEN[0]
        assert len(text) <= SCREEN[1], text[:200]


@pytest.mark.parametrize("name", shipped())
def test_a_plan_fits_a_line(name: str):
    assert len(repr(once.plan(name))) < 400


@pytest.mark.parametrize("kind", registry.KINDS)
def test_what_is_registered_prints_on_a_line_with_its_params(kind: str):
    for entry in registry.KINDS[kind].values():
        assert repr(entry).startswith(f"<{entry.kind} {entry.name}")
        assert repr(entry) == str(entry) == repr(entry.describe())
        assert all(name in repr(entry) for name in entry.parameters)


def test_a_network_says_what_it_takes_and_gives():
    network = crossband.build("u2netp")
    said = "<Network u2netp: image -> {fused, side1, side2, and 4 more}; 1,131,181 parameters>"
    assert [repr(network), str(network), repr(copy.deepcopy(network))] == [said] * 3
    assert repr(pickle.loads(pickle.dumps(network))) == said
    assert repr(once.network("rgb_to_lab")) == "<Network rgb_to_lab: image -> {L, ab}; 0 parameters>"
    assert repr(once.network("resnet9")).startswith("<Network resnet9: image -> a tensor; ")


def test_what_has_many_parts_tells_their_number():
    said = [repr(PUBLIC[case]()) for case in ("a table", "what was translated", "a data source")]
    assert said[:2] == ["<Table of 999 images: mae 0.1>", "<Translated: 999 files in out, 2.5 s>"]
    assert re.fullmatch(r"<Demo: channels visible 3, infrared 1; scenes train \d+, .*test \d+>", said[2])
