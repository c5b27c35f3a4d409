"""Large images in parts: overlapping tiles through a network, blended so that no seam shows.

Along each axis the weights of the tiles add up to one. A tile has weight zero next to its border, where a network
sees padding in place of the image; from there it fades in along half a Hann window.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise, product
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from crossband.graphs.plans.image_size import nearest, size_text, symbols_at
from crossband.graphs.plans.plan import Plan
from crossband.graphs.plans.receptive import receptive_fields
from crossband.registry import CrossbandError

T = TypeVar("T")


class TileError(CrossbandError, ValueError):
    """Tiles of this size cannot be laid with this overlap, or put together again."""


class Tiling(NamedTuple):
    """How tiles are laid, as `run_tiled` takes it: their height and width, how many pixels they share, and so on."""

    tile: tuple[int, int]
    overlap: int
    step: int
    radius: float


def tiling_of(plans: Collection[Plan], tile: int | tuple[int, int] | None, overlap: int | None = None) -> Tiling | None:
    """Tiles of this size for networks with these plans; they share `overlap` pixels, by default a quarter.

    Without a size there are none. Raises TileError, naming the nearest size, if a network does not take such tiles or
    the overlap is too large.
    """
    if tile is None:
        if overlap is not None:
            raise TileError("an overlap is one of tiles", hint="say how large: `--tile 512`")
        return None
    size = (tile, tile) if isinstance(tile, int) else tile
    for plan in plans:
        _admit(plan, *size)
    overlap, most = min(size) // 4 if overlap is None else overlap, min(size) - 1
    if not 0 <= overlap <= most:
        sides = "x".join(map(str, size))
        raise TileError(f"tiles of {sides} cannot overlap by {overlap}", hint=f"choose from 0 to {most}")
    step = math.lcm(*(plan.sizes.multiple for plan in plans))  # so that strided networks see one phase
    radius = sum(max(receptive_fields(plan).values()) - 1 for plan in plans)
    return Tiling(size, overlap, step if overlap <= min(size) - step else 1, radius)


def _admit(plan: Plan, height: int, width: int) -> None:
    """Raise TileError, naming the nearest size, if tiles of this size do not pass through a network."""
    size, closest = f"{height}x{width}", size_text(plan, nearest(plan, height, width))
    if closest != size or not plan.sizes.admits(**symbols_at(plan, height, width)):
        raise TileError(
            f"tiles of {size} do not pass through `{plan.graph.name}`: {plan.sizes}",
            hint=f"the nearest size is {closest}",
        )


@dataclass(frozen=True)
class Span:
    """One tile along one axis: where it begins, and the weights of its pixels."""

    start: int
    weights: Tensor

    @property
    def slice(self) -> slice:
        """The pixels that it covers."""
        return slice(self.start, self.start + len(self.weights))


def spans(length: int, tile: int, overlap: int, *, step: int = 1, radius: float = math.inf) -> list[Span]:
    """Cover `length` pixels evenly with tiles of `tile` pixels that share `overlap` or more with their neighbours.

    Tiles begin at multiples of `step`; the last one ends with the image. What a tile computes within `radius` pixels
    of its border plays no part in the result if `2 * radius < overlap`, so that a network that looks no further gives
    the same as on the whole image. Otherwise that holds for a quarter of the overlap. Raises TileError.
    """
    room = length - tile
    if room <= 0:
        return [Span(0, torch.ones(length))]
    if not 0 <= overlap <= tile - step:
        within = f"choose an overlap from 0 to {tile - step}" if tile >= step else f"make the tiles {step} or larger"
        raise TileError(f"tiles of {tile} pixels cannot overlap by {overlap}", hint=within)
    last = math.ceil(room / ((tile - overlap) // step * step))
    starts = [math.ceil(at * room / (last * step)) * step for at in range(last)] + [room]
    margin = int(radius) if 2 * radius < overlap else overlap // 4
    middles = [(one + tile + other) / 2 for one, other in pairwise(starts)]
    edges = [-math.inf, *middles, math.inf]
    fade = overlap - 2 * margin
    return [
        Span(start, (_risen(start, tile, low, fade) - _risen(start, tile, high, fade)).float())
        for start, (low, high) in zip(starts, pairwise(edges), strict=True)
    ]


def _risen(start: int, count: int, middle: float, width: int) -> Tensor:
    """A step from 0 to 1 along half a Hann window about `middle`, at `count` pixels from `start` on.

    A tile weighs the difference of two such steps, its own and that of the next tile: such weights add up to one.
    """
    if math.isinf(middle):
        return torch.full((count,), float(middle < 0), dtype=torch.float64)
    away = torch.arange(start, start + count, dtype=torch.float64) + 0.5 - middle
    return 0.5 - 0.5 * torch.cos(math.pi * (away / max(width, 1e-3) + 0.5).clamp(0, 1))


@torch.no_grad()
def run_tiled(
    network: Callable[[Tensor], Tensor],
    image: Tensor,
    *,
    tile: int | tuple[int, int],
    overlap: int,
    batch: int = 1,
    step: int = 1,
    radius: float = math.inf,
) -> Tensor:
    """Run `network`, `b c h w -> b k h w`, over tiles of an image `b c h w` and blend what it gives, `b k h w`.

    `batch` tiles go through at once; whatever the size of the image, no more than they and the result are held.
    An image that is not larger than a `tile` (one number, or height and width) goes through as it is. `step` and
    `radius` are as in `spans`. Raises TileError on a wrong overlap and where the network changes the size.
    """
    high, wide = (tile, tile) if isinstance(tile, int) else tile
    height, width = image.shape[-2:]
    rows = spans(height, high, overlap, step=step, radius=radius)
    columns = spans(width, wide, overlap, step=step, radius=radius)
    result: Tensor | None = None
    for group in _groups(product(rows, columns), batch):
        outputs = network(torch.cat([image[..., row.slice, column.slice] for row, column in group]))
        for (row, column), output in zip(group, outputs.to(image.device).chunk(len(group)), strict=True):
            weights = (row.weights[:, None] * column.weights).to(output)
            if output.shape[-2:] != weights.shape:
                found = "x".join(map(str, output.shape[-2:]))
                raise TileError(f"a tile of {'x'.join(map(str, weights.shape))} pixels came out as {found}")
            if result is None:
                result = output.new_zeros(*output.shape[:2], height, width)
            result[..., row.slice, column.slice] += output * weights
    assert result is not None
    return result


def _groups(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """The items in lists of `count`; the last may be shorter."""
    rest = iter(items)
    while group := list(islice(rest, count)):
        yield group
