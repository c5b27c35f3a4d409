"""How far two images of one scene lie apart: a shift, a similarity or a homography, with its uncertainty.

Images of two bands have few grey values in common, but their edges lie in the same places, whichever side is brighter.
So what is compared are the directions of edges, taken twice, which the sign of the contrast does not change, and of
which every neighbourhood has about as much: dense features, `2 h w`. Their normalised correlation gives the coarse
shift (Padfield 2012); from there it climbs by enhanced correlation (Evangelidis and Psarakis 2008), coarse to fine.

The uncertainty follows from how far the parts of the image disagree, and is meant to be honest: features of different
bands are alike in part only, so it does not build on how steep the optimum is alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Model = Literal["shift", "similarity", "homography"]
FREE = {"shift": 2, "similarity": 4, "homography": 8}

SIDE = 512  # pixels of the longer side on which images are compared at most
COARSE = 64  # and at least: where the search begins
SEARCH = 0.12  # the largest shift, as a part of the longer side
PERCENTILES = (0.01, 0.99)  # of the grey values, between which contrast is measured
NOISE = 1e-3  # contrast, as a part of the range between these, that is none
LOCAL = 8  # pixels over which contrast is levelled
BLOCKS = 6  # along each side: parts of the image whose agreement is the certainty
STEPS = 40  # at each scale, at most
CLOSE = 0.01  # pixels: a smaller step is the last
LEAP = 2.0  # pixels: no step is larger
GAIN = 20.0  # nor is the first image taken to be fainter than this
APART = 5  # pixels of the scale of the search: two peaks
NEAR = 2.0  # pixels of the scale of the search: a smaller shift leads where none does
FAINT = 0.17  # correlation of edges: less tells nothing
CLEAR = 0.85  # of the best correlation: one that is less is no rival
DAMPING = 1e-4  # of what the images do not tell


@dataclass(frozen=True)
class Offset:
    """How a second image lies to a first: `matrix` 3x3 takes a pixel (x, y, 1) of the first to one of the second.

    `corners` is how far the corners of the image move, in pixels, on average; `error` is the standard error of that
    position of the corners; `likeness` is the correlation of the edges afterwards, in [-1, 1].
    """

    matrix: np.ndarray
    corners: float
    error: float
    likeness: float


def grey(image: np.ndarray) -> Tensor:
    """An image `c h w` of any numbers as `h w`, its usual values from 0 to 1."""
    flat = torch.from_numpy(np.ascontiguousarray(image.mean(0, dtype=np.float32)))
    sample = flat.flatten()[:: max(1, flat.numel() // 20000)]
    low, high = torch.quantile(sample, torch.tensor(PERCENTILES)).tolist()
    return (flat - low).div(high - low or 1.0).clamp(-0.5, 1.5)


def scales(image: Tensor, side: int = SIDE) -> list[Tensor]:
    """Features of an image `h w` at scales that halve, the coarsest first: `side` pixels at most on the longer side."""
    height, width = image.shape
    sizes = [min(side, max(height, width))]
    while sizes[-1] >= 2 * COARSE:
        sizes.append(sizes[-1] // 2)
    found = []
    for longer in reversed(sizes):
        size = tuple(max(8, round(each * longer / max(height, width))) for each in (height, width))
        found.append(edges(F.interpolate(image[None, None], size, mode="bilinear", antialias=True)))
    return found


def edges(image: Tensor) -> Tensor:
    """The double direction of edges, `2 h w`, of an image `1 1 h w`."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    energy = across.square() + down.square()
    parts = F.avg_pool2d(energy, LOCAL, ceil_mode=True, count_include_pad=False)
    parts = F.avg_pool2d(parts, 3, 1, 1, count_include_pad=False)
    level = energy + F.interpolate(parts, energy.shape[-2:], mode="bilinear") + NOISE**2
    return blurred(torch.cat([(across.square() - down.square()) / level, 2 * across * down / level], 1))[0]


def blurred(image: Tensor) -> Tensor:
    """Images `1 c h w` after a binomial filter of 5 pixels."""
    line, count = image.new_tensor([1, 4, 6, 4, 1]) / 16, image.shape[1]
    for size, pad in (((1, 5), (2, 2, 0, 0)), ((5, 1), (0, 0, 2, 2))):
        kernel = line.view(1, 1, *size).expand(count, 1, *size)
        image = F.conv2d(F.pad(image, pad, mode="replicate"), kernel, groups=count)
    return image


def coarse_shifts(one: Tensor, other: Tensor) -> list[Tensor]:
    """The shift (x, y) in pixels at which features correlate best, each overlap measured by its own energy.

    A second one stands beside it where another peak is about as high.
    """
    height, width = one.shape[1:]
    size = (2 * height, 2 * width)

    def correlated(a: Tensor, b: Tensor) -> Tensor:
        return torch.fft.irfft2((torch.fft.rfft2(a, size).conj() * torch.fft.rfft2(b, size)), size).sum(0)

    ones = torch.ones_like(one[:1])
    product = correlated(one, other)
    first = correlated(one.square().sum(0, keepdim=True), ones)
    second = correlated(ones, other.square().sum(0, keepdim=True))
    likeness = product / (first.clamp(min=1e-6) * second.clamp(min=1e-6)).sqrt()
    reach = max(2, round(SEARCH * max(height, width)))
    up, along = min(reach, height - 1), min(reach, width - 1)
    window = likeness.roll((up, along), (0, 1))[: 2 * up + 1, : 2 * along + 1]
    found, highest = [], float(window.max())
    for _ in range(2):
        down, across = divmod(int(window.argmax()), window.shape[1])
        if found and float(window[down, across]) < CLEAR * highest:
            break
        found.append(torch.tensor([across - along, down - up], dtype=torch.float32))
        window[max(0, down - APART) : down + APART + 1, max(0, across - APART) : across + APART + 1] = -1
    return found


def matrix_of(free: Tensor) -> Tensor:
    """The 3x3 matrix of the free numbers of a model; zeros are the identity."""
    zero, one = free.new_zeros(()), free.new_ones(())
    if len(free) == 2:
        rows = [one, zero, free[0], zero, one, free[1], zero, zero, one]
    elif len(free) == 4:
        rows = [1 + free[2], -free[3], free[0], free[3], 1 + free[2], free[1], zero, zero, one]
    else:
        rows = [1 + free[2], free[4], free[0], free[3], 1 + free[5], free[1], free[6], free[7], one]
    return torch.stack(rows).view(3, 3)


def widened(free: Tensor, count: int) -> Tensor:
    """The numbers of a model as those of one with more of them."""
    if len(free) >= count:
        return free
    wide = free.new_zeros(count)
    wide[: len(free)] = free
    if count == 8 and len(free) == 4:
        wide[3:6] = torch.stack([free[3], -free[3], free[2]])
    return wide


def moved(points: Tensor, matrix: Tensor) -> Tensor:
    """Points `... 2` taken by a matrix."""
    high = torch.cat([points, torch.ones_like(points[..., :1])], -1) @ matrix.T
    return high[..., :2] / high[..., 2:]


def slopes(points: Tensor, matrix: Tensor, count: int) -> Tensor:
    """How moved points `n 2` change with each free number, `n 2 count`."""
    x, y = points.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    if count == 2:
        return torch.stack([one, zero, zero, one], -1).view(-1, 2, 2)
    if count == 4:
        return torch.stack([one, zero, x, -y, zero, one, y, x], -1).view(-1, 2, 4)
    low = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    u, v = moved(points, matrix).unbind(-1)
    across = [one, zero, x, zero, y, zero, -u * x, -u * y]
    down = [zero, one, zero, x, zero, y, -v * x, -v * y]
    return torch.stack([*across, *down], -1).view(-1, 2, 8) / low[:, None, None]


@dataclass(frozen=True)
class Scale:
    """Two images at one scale. Points are in units of half the longer side, from the middle."""

    one: Tensor  # 2 h w
    other: Tensor  # 6 h w: the features, and how they change to the right and downwards
    points: Tensor  # n 2, of all pixels
    unit: float  # pixels in one unit

    @classmethod
    def of(cls, one: Tensor, other: Tensor) -> "Scale":
        """The scale of features of two images."""
        height, width = one.shape[1:]
        unit = max(height, width) / 2
        rows, columns = (torch.arange(side) - (side - 1) / 2 for side in (height, width))
        y, x = torch.meshgrid(rows / unit, columns / unit, indexing="ij")
        return cls(
            one, torch.cat([other, *torch.gradient(other, dim=(2, 1))]), torch.stack([x, y], -1).view(-1, 2), unit
        )

    def at(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The second image, `6 n`, where the pixels of the first lie, and which of these are inside of it."""
        height, width = self.other.shape[1:]
        place = moved(self.points, matrix) * self.unit * 2 / torch.tensor([width, height])
        found = F.grid_sample(self.other[None], place[None, None], align_corners=False)[0, :, 0]
        inside = (place.abs() < 1).all(-1).to(found.dtype)
        return found * inside, inside

    def steepness(self, found: Tensor, matrix: Tensor, count: int) -> Tensor:
        """How features, whose slopes are the last of `found`, change with each free number: `2 n count`."""
        turn = slopes(self.points, matrix, count) * self.unit
        return sum(found[at : at + 2, :, None] * turn[:, axis] for axis, at in enumerate((2, 4)))  # type: ignore[return-value]


def climb(scale: Scale, free: Tensor) -> Tensor:
    """The free numbers at the nearest optimum of the correlation."""
    count = len(free)
    for _ in range(STEPS):
        matrix = matrix_of(free)
        found, inside = scale.at(matrix)
        one, other = (scale.one.flatten(1) * inside).flatten(), found[:2].flatten()
        steep = scale.steepness(found, matrix, count).flatten(0, 1)
        square = steep.T @ steep
        square = square + DAMPING * (square.diagonal().mean() + 1e-9) * torch.eye(count)
        to_one, to_other = steep.T @ one, steep.T @ other
        by_one, by_other = torch.linalg.solve(square, torch.stack([to_one, to_other], 1)).unbind(1)
        top, bottom = other @ other - to_other @ by_other, one @ other - to_one @ by_other
        gain = top / bottom if bottom * GAIN > top else GAIN
        step = gain * by_one - by_other
        reach = float((slopes(scale.points[::97], matrix, count) @ step).norm(dim=-1).max()) * scale.unit
        free = free + step * min(1.0, LEAP / (reach + 1e-9))
        if reach < CLOSE:
            break
    return free


def judged(scale: Scale, free: Tensor) -> tuple[Tensor, float]:
    """The covariance of free numbers at an optimum, and the correlation there.

    The images are cut into blocks, each of which pulls at the optimum as if it were drawn by chance. What holds the
    optimum is the part of the edges that both images share (the sandwich estimator of the correlation's variance).
    """
    matrix, count = matrix_of(free), len(free)
    found, inside = scale.at(matrix)
    one = scale.one.flatten(1) * inside
    norm = (one.norm() * found[:2].norm()).clamp(min=1e-9)
    likeness = float((one * found[:2]).sum() / norm)
    height, width = scale.one.shape[1:]
    changes = torch.cat([each.flatten(1) for each in torch.gradient(scale.one, dim=(2, 1))])
    changes = torch.cat([scale.one.flatten(1), changes]) * inside
    own = scale.steepness(found, matrix, count)
    hers = scale.steepness(changes, matrix, count)
    share = likeness * one.norm() / found[:2].norm().clamp(min=1e-9)  # of the second image that the first explains
    pull = (own * (one / one.norm().clamp(min=1e-9) - share * found[:2] / (one.norm() + 1e-9))[..., None]).sum(0)
    rows, columns = (torch.arange(side) * BLOCKS // side for side in (height, width))
    block = (rows[:, None] * BLOCKS + columns).flatten()
    pulls = torch.zeros(BLOCKS**2, count).index_add_(0, block, pull) * one.norm()
    held = hers.flatten(0, 1).T @ own.flatten(0, 1)
    held = (held + held.T) / 2
    values, vectors = torch.linalg.eigh(held)
    if values[0] <= 1e-6 * values[-1].abs():
        return torch.full((count, count), torch.inf), likeness
    inverse = vectors / values @ vectors.T
    return inverse @ (pulls.T @ pulls) @ inverse, likeness


def measure(one: np.ndarray, other: np.ndarray, model: Model = "shift", side: int = SIDE) -> Offset:
    """The offset of two images `c h w` of one size, at least 16x16, of any type and any bands.

    The search begins where the features correlate best, at another such place, and where the images lie already. If
    these lead to optima that are about as good, which is right cannot be told: how far they lie apart is in the error.
    It is infinite where the bands have no more in common than two scenes have.
    """
    size = one.shape[1:]
    first, second = scales(grey(one), side), scales(grey(other), side)
    pairs = [Scale.of(left, right) for left, right in zip(first, second, strict=True)]
    begin = pairs[min(1, len(pairs) - 1)]
    starts = coarse_shifts(begin.one, begin.other[:2])
    if all(float(start.norm()) > NEAR for start in starts):
        starts.append(torch.zeros(2))
    starts = [start / begin.unit for start in starts]
    found = sorted((_climbed(pairs, start, model, size) for start in starts), key=lambda own: -own.likeness)
    best, *rivals = found
    apart = [corner_error(best.matrix, own.matrix, size) for own in rivals if own.likeness >= CLEAR * best.likeness]
    if best.likeness < FAINT or best.corners > SEARCH * max(size):  # as images that show different scenes are
        return replace(best, error=math.inf)
    return replace(best, error=math.hypot(best.error, *(far for far in apart if far >= 1)))


def _climbed(pairs: Sequence[Scale], start: Tensor, model: Model, size: tuple[int, ...]) -> Offset:
    """The offset at the optimum above a shift, climbed scale by scale."""
    free, last = start, len(pairs) - 1
    for at, scale in enumerate(pairs):
        most = 8 if at > 1 or at == last else (2, 4)[at]  # a coarse image does not tell many numbers
        free = climb(scale, widened(free, min(FREE[model], most)))
    covariance, likeness = judged(pairs[-1], free)
    height, width = size
    unit, matrix = max(size) / 2, matrix_of(free)
    corners = torch.tensor([[x, y] for x in (-1, 1) for y in (-1, 1)]) * torch.tensor([width, height]) / max(size)
    each = slopes(corners, matrix, len(free))
    variance = torch.einsum("kip,pq,kiq->k", each, covariance, each)
    error = float(variance.mean().clamp(min=0).sqrt()) * unit if covariance.isfinite().all() else math.inf
    units = np.array([[1 / unit, 0, (1 - width) / 2 / unit], [0, 1 / unit, (1 - height) / 2 / unit], [0, 0, 1]])
    pixels = np.linalg.inv(units) @ matrix.double().numpy() @ units
    pixels /= pixels[2, 2]
    return Offset(pixels, corner_error(pixels, np.eye(3), size), error, likeness)


def confirmed(one: np.ndarray, other: np.ndarray, model: Model, side: int = SIDE) -> Offset:
    """The offset half-way between those that `measure` finds there and back; how far these disagree is in its error."""
    there, back = measure(one, other, model, side), measure(other, one, model, side)
    around, size = np.linalg.inv(back.matrix), one.shape[1:]
    middle = (there.matrix + around / around[2, 2]) / 2
    apart = corner_error(there.matrix, around, size)
    error = math.hypot(there.error, apart) if math.isfinite(apart) else math.inf
    return replace(there, matrix=middle, corners=corner_error(middle, np.eye(3), size), error=error)


def corner_error(one: np.ndarray, other: np.ndarray, size: tuple[int, ...]) -> float:
    """How far apart, in pixels, two matrices put the corners of an image of a size (height, width), on average."""
    height, width = size
    corners = np.array([[x, y, 1] for x in (0, width - 1) for y in (0, height - 1)], float).T
    places = [(matrix @ corners)[:2] / (matrix @ corners)[2] for matrix in (one, other)]
    return float(np.linalg.norm(places[0] - places[1], axis=0).mean())
