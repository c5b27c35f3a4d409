"""Tiles: weights that add up to one, and results that equal those of the whole image."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from crossband.recipes.model.tiles import Span, TileError, run_tiled, spans


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int, int, float]:
    step = draw(st.sampled_from([1, 2, 4, 32]))
    tile = step * draw(st.integers(1, 12))
    overlap = draw(st.integers(0, tile - step))
    return draw(st.integers(1, 700)), tile, overlap, step, draw(st.sampled_from([0, 1, 5, 40, math.inf]))


def laid(length: int, tile: int, overlap: int, step: int, radius: float) -> list[Span]:
    return spans(length, tile, overlap, step=step, radius=radius)


@given(layouts())
def test_weights_add_up_to_one(layout: tuple[int, int, int, int, float]) -> None:
    total = torch.zeros(layout[0])
    for span in laid(*layout):
        assert span.weights.min() >= 0
        total[span.slice] += span.weights
    torch.testing.assert_close(total, torch.ones(layout[0]), atol=1e-6, rtol=0)


@given(layouts())
def test_tiles_cover_the_image_in_order(layout: tuple[int, int, int, int, float]) -> None:
    length, tile, overlap, step, _ = layout
    found = laid(*layout)
    assert found[0].start == 0
    assert found[-1].slice.stop == length
    assert all(len(span.weights) == min(tile, length) for span in found)
    assert all(span.start % step == 0 for span in found[:-1])
    for one, other in pairwise(found):
        assert one.start < other.start <= one.slice.stop - overlap


@given(layouts())
def test_no_more_tiles_than_needed(layout: tuple[int, int, int, int, float]) -> None:
    length, tile, overlap, step, _ = layout
    advance = (tile - overlap) // step * step
    assert len(laid(*layout)) == 1 + max(0, math.ceil((length - tile) / advance))


@given(layouts())
def test_what_is_near_a_border_weighs_nothing(layout: tuple[int, int, int, int, float]) -> None:
    _, _, overlap, _, radius = layout
    margin = int(radius) if 2 * radius < overlap else overlap // 4
    found = laid(*layout)
    for one, other in pairwise(found):
        assert not one.weights[len(one.weights) - margin :].any()
        assert not other.weights[:margin].any()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.data())
def test_the_identity_gives_the_image_back(height: int, width: int, tile: int, data: st.DataObject) -> None:
    image = torch.rand(2, 3, height, width)
    overlap, batch = data.draw(st.integers(0, tile - 1)), data.draw(st.integers(1, 5))
    torch.testing.assert_close(run_tiled(lambda x: x, image, tile=tile, overlap=overlap, batch=batch), image)


def mean_filter(radius: int):
    side = 2 * radius + 1
    return lambda x: F.conv2d(x, torch.full((1, 1, side, side), 1 / side**2), padding=radius)


@pytest.mark.parametrize(("overlap", "radius"), [(7, 3), (8, 3), (12, math.inf), (20, math.inf)])
def test_a_convolution_equals_that_of_the_whole_image(overlap: int, radius: float) -> None:
    image, network = torch.rand(1, 1, 90, 71), mean_filter(3)
    found = run_tiled(network, image, tile=(32, 24), overlap=overlap, radius=radius, batch=4)
    torch.testing.assert_close(found, network(image))


def test_too_small_an_overlap_differs_only_within_it() -> None:
    image, network = torch.rand(1, 1, 64, 64), mean_filter(3)
    differs = (run_tiled(network, image, tile=32, overlap=0) - network(image)).abs() > 1e-6
    assert differs.any()
    assert not differs[..., 3:29, 3:29].any()


def test_strided_networks_see_the_same_phase() -> None:
    def coarse(x: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8)

    image = torch.rand(1, 1, 96, 96)
    torch.testing.assert_close(run_tiled(coarse, image, tile=40, overlap=13, step=8), coarse(image))
    assert not torch.allclose(run_tiled(coarse, image, tile=40, overlap=13), coarse(image))


def test_a_seam_is_smooth() -> None:
    """Tiles that disagree by 1 fade into each other without a step."""
    turn = iter(range(100))
    found = run_tiled(lambda x: x * 0 + next(turn) % 2, torch.zeros(1, 1, 8, 200), tile=64, overlap=32)
    assert found.diff(dim=-1).abs().max() < 0.11
    assert found.min() == 0
    assert found.max() == 1


def test_a_small_image_goes_through_whole() -> None:
    shapes = []
    run_tiled(lambda x: shapes.append(x.shape) or x, torch.rand(1, 3, 20, 64), tile=32, overlap=0, step=32)
    assert {tuple(shape) for shape in shapes} == {(1, 3, 20, 32)}


def test_batches_are_bounded() -> None:
    sizes = []
    run_tiled(lambda x: sizes.append(len(x)) or x, torch.rand(1, 1, 64, 64), tile=16, overlap=0, batch=5)
    assert sizes == [5, 5, 5, 1]


@pytest.mark.parametrize(
    ("tile", "overlap", "step", "message"),
    [
        (32, 32, 1, "tiles of 32 pixels cannot overlap by 32\nhint: choose an overlap from 0 to 31"),
        (32, -1, 1, "tiles of 32 pixels cannot overlap by -1\nhint: choose an overlap from 0 to 31"),
        (32, 20, 16, "tiles of 32 pixels cannot overlap by 20\nhint: choose an overlap from 0 to 16"),
        (8, 0, 16, "tiles of 8 pixels cannot overlap by 0\nhint: make the tiles 16 or larger"),
    ],
)
def test_messages(tile: int, overlap: int, step: int, message: str) -> None:
    with pytest.raises(TileError) as error:
        spans(100, tile, overlap, step=step)
    assert str(error.value) == message


def test_a_network_that_changes_the_size_is_refused() -> None:
    with pytest.raises(TileError, match="a tile of 16x16 pixels came out as 8x8"):
        run_tiled(lambda x: F.avg_pool2d(x, 2), torch.rand(1, 1, 40, 40), tile=16, overlap=0)
