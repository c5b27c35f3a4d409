"""`wrap: AsGenerator`: one image in [-1, 1] of a graph that ends in sigmoids."""

from pathlib import Path

import pytest
import torch

import crossband
from crossband.blocks.contracts.ranges import SIGNED
from crossband.graphs import build, check, digest, dump
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.syntax import Graph

SIDES = """
graph: sides
params: {out: 1}
inputs: {image: [3, H, W]}
nodes:
  stem: {Conv: {out: 4, activation: relu}}
  fine: {from: stem, do: [{Conv: {out: =out}}, Sigmoid]}
  coarse: {from: stem, do: [{Conv: {out: =out, kernel: 1}}, Sigmoid]}
outputs: {fine: [=out, H, W], coarse: [=out, H, W]}
taps: {features: stem}
"""
WRAP = "wrap: {AsGenerator: {}}\n"


def read(text: str) -> Graph:
    problems = Problems()
    graph = Resolver(problems).load_text(text)
    problems.raise_if_any()
    assert graph
    return graph


def test_the_first_output_is_the_image_and_the_others_are_taps() -> None:
    network = build(read(SIDES + WRAP), taps=["coarse", "features"], seed=0)
    plain = build(read(SIDES), taps=["features"])
    plain.load_state_dict(network.get_submodule("network").state_dict())
    image = torch.rand(2, 3, 13, 18)
    found, wanted = network(image), plain(image)
    assert list(found) == ["fine", "coarse", "features"]
    for name in ("fine", "coarse"):
        torch.testing.assert_close(found[name], 2 * wanted[name] - 1)
    torch.testing.assert_close(found["features"], wanted["features"])
    assert isinstance(build(read(SIDES + WRAP))(image), torch.Tensor)  # without taps, one image and no dict


def test_it_is_a_plain_graph_once_it_is_resolved() -> None:
    plan = check(read(SIDES + WRAP), {"out": 3})
    assert list(plan.outputs) == ["fine"]
    assert not plan.graph.wrap
    again = check(read(dump(plan.graph)))
    assert (again.graph, digest(again.graph)) == (plan.graph, digest(plan.graph))


@pytest.mark.parametrize("name", ["u2net_generator", "u2net_cca_generator"])
def test_the_shipped_generators_are_u2net_with_one_image(name: str) -> None:
    small = {"width": 4, "most": 8}
    plan, parent = check(name, small), check(name.removesuffix("_generator"), small)
    assert plan.range("fused") == SIGNED
    assert [*plan.taps][:6] == [f"side{number}" for number in range(1, 7)]
    assert sum(p.numel() for p in build(plan).parameters()) == sum(p.numel() for p in build(parent).parameters())


def test_a_recipe_may_wrap_any_graph_of_its_own(tmp_path: Path) -> None:
    """The sides may be trained, too: as taps they are values of the flow."""
    (tmp_path / "sides.yaml").write_text(SIDES.lstrip())
    recipe = """
recipe: own
extends: pix2pix
variant: tiny
networks:
  generator: {graph: sides.yaml, params: {width: null, channels: null}, wrap: {AsGenerator: {}}, test: null}
phases:
  generator: {losses: {side: {l1: [fake.coarse, target]}}}
data: {channels: null, source: {demo: {train: 2, test: 1, size: 32}}, load: 32, size: 32}
steps: 1
"""
    (tmp_path / "own.yaml").write_text(recipe.lstrip())
    run = crossband.train(tmp_path / "own.yaml", run=tmp_path / "run", silent=True)
    assert run.results
