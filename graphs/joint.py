"""The best sizes where conditions tie several axes together: looked for among the admissible ones nearby."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from crossband.blocks.sizes import Condition

TRIED = 1 << 20  # combinations looked at
NEAR = 1 << 12  # pixels around a size in which others are looked for


def closest(
    sizes: Mapping[str, int],
    within: Mapping[str, Callable[[int, int], np.ndarray]],
    conditions: Sequence[Condition],
    *,
    upwards: bool,
) -> dict[str, int] | None:
    """The admissible sizes that meet the conditions and change the image least; None where none nearby do.

    `within` gives the admissible sizes of an axis between two numbers. With `upwards` no size shrinks.
    """
    most = int(TRIED ** (1 / len(sizes)))
    grids = [_nearby(size, sizes.values(), within[name], most, upwards) for name, size in sizes.items()]
    if not all(len(grid) for grid in grids):
        return None
    values = dict(zip(sizes, np.meshgrid(*grids, indexing="ij"), strict=True))
    good = np.ones([len(grid) for grid in grids], bool)
    for condition in conditions:
        good &= condition.holds(values)
    if not good.any():
        return None
    change = np.sum([np.abs(values[name] - size) for name, size in sizes.items()], axis=0)
    best = np.where(good, change, np.iinfo(np.int64).max).argmin()
    return {name: int(values[name].flat[best]) for name in sizes}


def _nearby(
    size: int, sizes: Collection[int], within: Callable[[int, int], np.ndarray], most: int, upwards: bool
) -> np.ndarray:
    """Admissible sizes of one axis around its own size, and around those of the other axes it may have to equal."""
    around = sorted({other for other in sizes if other >= size or not upwards})
    found = []
    for middle in around:
        near = within(middle if upwards else middle - NEAR, middle + NEAR)
        found.append(near[np.argsort(np.abs(near - middle), kind="stable")[: most // len(around)]])
    return np.unique(np.concatenate(found))
