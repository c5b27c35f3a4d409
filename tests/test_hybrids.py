"""Hybrids as users write them, in `tests/hybrids`: each is checked, pictured and trained three steps on the demo."""

from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from test_graphs import assert_resolves
from torch import Tensor
from torch.nn.functional import l1_loss

import crossband
from crossband import registry
from crossband.blocks.contracts.sizes import Shape
from crossband.graphs import build, check
from crossband.graphs.picture.page import Page
from crossband.graphs.picture.sketch import sketch
from crossband.graphs.plans.plan import Plan

HYBRIDS = sorted((Path(__file__).parent / "hybrids").glob("*.yaml"))
BATCH, STEPS = 2, 3


@cache
def scenes(band: str) -> Tensor:
    """A few scenes of the demo in one band: `b c 64 64` in [0, 1]."""
    demo = registry.sources["demo"].factory(train=BATCH * STEPS, test=1, size=64)
    images = np.stack([demo.read(name, [band])[band] for name in demo.splits["train"]])
    return torch.from_numpy(images / np.iinfo(images.dtype).max).float()


def given(shape: Shape, step: int) -> Tensor:
    """What a network is given for an input: images, vectors, or one number for each image."""
    if len(shape) > 2:
        return scenes("visible" if shape[1] == 3 else "infrared")[step::STEPS]
    return torch.randn(BATCH, shape[1]) if len(shape) == 2 else torch.arange(BATCH)  # type: ignore[arg-type]


def target(output: Tensor, step: int) -> Tensor:
    """What an output is compared with: infrared images; zeros where it is no image of their size."""
    images = scenes("infrared")[step::STEPS]
    return images if output.shape == images.shape else torch.zeros_like(output)


def translates(plan: Plan) -> bool:
    """Whether a graph makes one infrared image of one visible image."""
    if len(plan.inputs) > 1:
        return False
    first, image = plan.shape(next(iter(plan.outputs.values()))), plan.image or ()
    return first[1:] == (1, *image[2:])


def test_there_are_hybrids():
    assert len(HYBRIDS) >= 24


@pytest.mark.slow
@pytest.mark.parametrize("path", HYBRIDS, ids=lambda path: path.stem)
def test_a_hybrid_is_checked_pictured_and_trained(path: Path):
    plan = check(path)
    assert plan.graph.name == path.stem
    assert_resolves(plan)
    assert path.read_text("utf-8").startswith("# ")
    assert ElementTree.fromstring(Page(sketch(path)).text()).tag.endswith("svg")
    torch.manual_seed(0)
    network: Any = build(plan, seed=0)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for step in range(STEPS):
        outputs = network(*[given(shape, step) for shape in plan.inputs.values()])
        found = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
        loss = torch.stack([l1_loss(each, target(each, step)) for each in found]).sum()
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = {name for name, value in network.named_parameters() if value.grad is not None}
    assert all(value.grad.isfinite().all() for name, value in network.named_parameters() if name in learned)
    assert any(not torch.equal(value, before[name]) for name, value in network.named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in HYBRIDS if translates(check(path))], ids=lambda path: path.stem)
def test_a_hybrid_takes_the_place_of_the_network_of_a_recipe(path: Path, tmp_path: Path):
    settings: dict[str, Any] = {
        "networks.generator": {"graph": str(path)},
        "epochs": None,
        "steps": STEPS,
        "data.source": {"demo": {"train": 8, "test": 2, "size": 64}},
        "evaluate.metrics": ["mae"],
        "losses.similarity": None,
    }
    run = crossband.train("demo", settings=settings, run=tmp_path / "run")
    assert run.results


def test_a_hybrid_is_what_its_params_say():
    folder = HYBRIDS[0].parent
    guided = check(folder / "guided_or_not.yaml")
    alone = check(folder / "guided_or_not.yaml", {"guided": False, "attend": True})
    assert (list(guided.inputs), list(alone.inputs)) == (["visible", "guide"], ["visible"])
    assert "look" in alone.graph.nodes
    assert_resolves(alone)
    sketch(folder / "guided_or_not.yaml", {"guided": False})
    for depth in (1, 4):
        plan = assert_resolves(check(folder / "unet_supervised.yaml", {"depth": depth}))
        assert list(plan.outputs) == ["translated", *(f"side{i}" for i in range(1, depth))]
    triangle = check(folder / "unetpp_any_depth.yaml", {"depth": 4})
    assert sum(name.startswith("x") for name in triangle.graph.nodes) == 5 + 4 + 3 + 2 + 1
