"""U2-Net with and without criss-cross attention: what the papers say of it."""

from functools import partial

import pytest
import torch
from torch import nn

from crossband.graphs import build, check, digest

SMALL = {"width": 4, "most": 8, "inner": 4}
NAMES = ("u2net", "u2netp", "u2net_cca")


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


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (33, 50), (64, 48)])
def test_any_image_passes(name: str, size: tuple[int, int]):
    module = build(name, SMALL | ({"reduce": 2} if name == "u2net_cca" else {}), seed=0).eval()
    with torch.no_grad():
        outputs = module(torch.rand(1, 3, *size))
    assert list(outputs) == ["fused", *(f"side{number}" for number in range(1, 7))]
    assert all(output.shape == (1, 1, *size) and output.min() >= 0 and output.max() <= 1 for output in outputs.values())
    assert str(check(name).sizes) == "H and W: any"


def test_attention_that_is_nowhere_leaves_u2net():
    assert digest(check("u2net_cca", {"cca_at": []}).graph) == digest(check("u2net").graph)
    plan = check("u2net_cca")
    assert [call.name for call in plan.calls if call.entry.name == "CrissCross"] == ["cca5", "cca5.2", "cca6", "cca6.2"]
    assert plan.graph.cite == ("fan2025", "huang2019ccnet", "qin2020u2net")
