"""Functions of a flow: formulas, shapes, and what they remember."""

import pytest
import torch
from torch import Tensor

from crossband.blocks.contracts.ranges import SIGNED
from crossband.recipes.kinds.function import FunctionError, Shape
from crossband.registry import functions

OPERANDS = {"cat": [(3, 6, 5), (1, 6, 5)], "mix": [(2, 6, 5), (2, 6, 5)]}  # of the others: one of three channels
SRGB = [  # CIE L*a*b* under D65, two degrees, of colours whose values are widely printed
    ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ((1.0, 0.0, 0.0), (53.24, 80.09, 67.20)),
    ((0.0, 1.0, 0.0), (87.73, -86.18, 83.18)),
    ((0.0, 0.0, 1.0), (32.30, 79.19, -107.86)),
    ((0.5, 0.5, 0.5), (53.39, 0.0, 0.0)),
]


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", list(functions))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shapes_are_as_said(name: str, dtype: torch.dtype) -> None:
    shapes = OPERANDS.get(name, [(3, 6, 5)])
    function = functions[name].factory
    result = function(0)(*(images(2, *shape).to(dtype) for shape in shapes))
    assert function.shape(*shapes) == tuple(result.shape[1:])
    unknown: list[Shape] = [(None, None, None)] * len(shapes)
    assert len(function.shape(*unknown)) == 3
    assert result.isfinite().all()
    assert len(function.__doc__ or "") > 40


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("cat", [(3, 8, 8), (1, 8, 4)], "`cat` takes images of one size, got 8x8 and 8x4"),
        ("mix", [(3, 8, 8), (1, 8, 8)], "`mix` takes images of one shape, got 3x8x8 and 1x8x8"),
        ("grey", [(2, 8, 8)], "`grey` takes images of 1 or 3 channels, got 2"),
        *((name, [(1, 8, 8)], f"`{name}` takes images of 3 channels, got 1") for name in ("lightness", "chroma")),
    ],
)
def test_wrong_shapes_are_named(name: str, shapes: list[Shape], message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        functions[name].factory.shape(*shapes)


@pytest.mark.parametrize(("rgb", "lab"), SRGB)
def test_lightness_and_chroma_of_known_colours(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    colour = torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1)
    found = torch.cat([functions[name].factory(0)(colour) for name in ("lightness", "chroma")], 1).flatten()
    scaled = (lab[0] / 100, (lab[1] + 87) / 185, (lab[2] + 108) / 203)
    torch.testing.assert_close(found, torch.tensor(scaled, dtype=torch.float64), rtol=0, atol=1e-4)


def test_unit_and_grey() -> None:
    image = images(1, 3, 2, 2)
    torch.testing.assert_close(functions["unit"].factory(0)(2 * image - 1), image)
    torch.testing.assert_close(
        functions["grey"].factory(0)(image)[:, 0], 0.299 * image[:, 0] + 0.587 * image[:, 1] + 0.114 * image[:, 2]
    )
    assert torch.equal(functions["grey"].factory(0)(image[:, :1]), image[:, :1])


def test_mix_takes_one_share_for_each_image() -> None:
    mix = functions["mix"].factory(0)
    shares = mix(torch.ones(200, 1, 2, 2), torch.zeros(200, 1, 2, 2)).flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert 0 <= shares.min() < 0.05
    assert 0.95 < shares.max() <= 1
    assert abs(float(shares.mean()) - 0.5) < 0.1


@pytest.mark.parametrize("name", list(functions))
def test_ranges_are_as_said(name: str) -> None:
    entry = functions[name]
    taken = entry.takes or SIGNED
    given = entry.gives or taken
    for ends in (images(2, 3, 6, 5), torch.zeros(2, 3, 6, 5), torch.ones(2, 3, 6, 5)):
        operands = [taken.low + (taken.high - taken.low) * ends] * max(1, entry.operands[0])
        result = entry.factory(0)(*operands)
        assert given.low - 1e-6 <= result.min()
        assert result.max() <= given.high + 1e-6


@pytest.mark.parametrize("name", list(functions))
def test_what_a_function_remembers_is_all_it_needs(name: str) -> None:
    shapes = OPERANDS.get(name, [(3, 6, 5)])
    steps = [[images(2, *shape, seed=step) for shape in shapes] for step in range(60)]
    first, second = functions[name].factory(0), functions[name].factory(1)
    for operands in steps[:40]:
        first(*operands)
    second.load_state_dict(first.state_dict())
    for operands in steps[40:]:
        assert torch.equal(first(*operands), second(*operands))
