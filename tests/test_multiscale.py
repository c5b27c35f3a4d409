"""`wrap: MultiScale`: the same network on each scale of an image pyramid."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from crossband.graphs import InvalidFile, build, check, digest, dump
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.syntax import Graph

CRITIC = """
graph: critic
params: {width: 4, scales: 3}
inputs: {image: [3, H, W]}
nodes:
  layer: {Conv: {out: =width, kernel: 4, stride: 2, padding: 2, activation: leaky_relu}}
  score: {stage: {out: 1}}
outputs: {score: [1, h, w]}
taps: {feature: layer}
blocks:
  stage:
    params: {out: 2}
    inputs: {x: [c, h, w]}
    nodes: {y: {Conv: {out: =out, kernel: 4, stride: 2, padding: 2}}}
    outputs: {y: [=out, h2, w2]}
"""
WRAP = "wrap: {MultiScale: {scales: =scales}}\n"


def read(text: str) -> Graph:
    problems = Problems()
    graph = Resolver(problems).load_text(text)
    problems.raise_if_any()
    assert graph
    return graph


ALONE = CRITIC.replace(", scales: 3", "")


def test_each_scale_has_weights_of_its_own_and_sees_the_image_halved_once_more():
    module = build(read(CRITIC + WRAP), taps=["feature_2"], seed=0)
    image = torch.rand(2, 3, 37, 50)
    results = module(image)
    assert list(results) == ["score_1", "score_2", "score_3", "feature_2"]
    assert not torch.equal(
        module.get_parameter("scale_1.layer.conv.weight"), module.get_parameter("scale_2.layer.conv.weight")
    )
    for scale in (1, 2, 3):
        alone = build(read(ALONE), taps=["feature"])
        alone.load_state_dict(module.get_submodule(f"scale_{scale}").state_dict())
        expected = alone(image)
        torch.testing.assert_close(results[f"score_{scale}"], expected["score"])
        if scale == 2:
            torch.testing.assert_close(results["feature_2"], expected["feature"])
        image = avg_pool2d(image, 3, 2, 1, count_include_pad=False)


@pytest.mark.parametrize("scales", [1, 2, 4])
def test_it_is_a_plain_graph_once_it_is_resolved(scales: int):
    plan = check(read(CRITIC + WRAP), {"scales": scales})
    assert list(plan.outputs) == [f"score_{scale}" for scale in range(1, scales + 1)]
    assert not plan.graph.wrap
    again = check(read(dump(plan.graph)))
    assert (again.graph, digest(again.graph)) == (plan.graph, digest(plan.graph))


def test_another_wrapper_goes_around_the_whole():
    plan = check(read(CRITIC + "wrap: {GradientNorm: {}, MultiScale: {scales: =scales}}\n"), {"scales": 1})
    assert [wrap.entry.name for wrap in plan.wrap] == ["GradientNorm"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ALONE + "wrap: {MultiScale: {scales: 0}}\n", "E012 MultiScale: `scales` must be at least 1, got 0"),
        (CRITIC, "E021 nothing uses the param `scales`"),
        (ALONE.replace("=width,", "=wide,") + WRAP.replace("=scales", "2"), "E015 `wide` has no value here"),
    ],
)
def test_faults_are_told(text: str, says: str):
    with pytest.raises(InvalidFile, match=says) as caught:
        check(read(text))
    assert len(caught.value.problems) == 1


def test_the_smallest_image_is_that_of_the_last_scale():
    valid = ALONE.replace("stride: 2, padding: 2, activation", "padding: 0, activation")
    assert str(check(read(valid)).sizes) == "H and W: at least 4"
    assert str(check(read(valid + "wrap: {MultiScale: {scales: 3}}\n")).sizes) == "H and W: at least 13"
