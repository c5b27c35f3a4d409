"""The best sizes where conditions tie several axes together: a search among the admissible sizes nearby.

Axes that an equation determines, such as `h2` by `h2 == H // 2`, are computed and not searched.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from crossband.blocks.contracts.sizes import Condition, Dim, Size, Symbol, evaluate, symbols_of

TRIED = 1 << 20  # combinations to try
NEAR = 1 << 12  # pixels around a size to search


def closest(
    sizes: Mapping[str, int],
    within: Mapping[str, Callable[[int, int], np.ndarray]],
    conditions: Sequence[Condition],
    *,
    upwards: bool,
) -> dict[str, int] | None:
    """The admissible sizes that meet the conditions and change the image least; None if there are none nearby.

    `within` gives the admissible sizes of an axis between two numbers. With `upwards` no size shrinks.
    """
    given = _given(list(sizes), conditions)
    free = {name: size for name, size in sizes.items() if name not in given}
    most = int(TRIED ** (1 / len(free)))
    grids = [_nearby(size, sizes.values(), within[name], most, upwards) for name, size in free.items()]
    if not all(len(grid) for grid in grids):
        return None
    values = dict(zip(free, np.meshgrid(*grids, indexing="ij"), strict=True))
    good = np.ones([len(grid) for grid in grids], bool)
    for name, size in given.items():
        values[name] = evaluate(size, values)
        low = max(sizes[name] if upwards else 1, int(values[name].min()))
        good &= np.isin(values[name], within[name](low, int(values[name].max())))
    for condition in conditions:
        good &= condition.holds(values)
    if not good.any():
        return None
    change = np.sum([np.abs(values[name] - size) for name, size in sizes.items()], axis=0)
    best = np.where(good, change, np.iinfo(np.int64).max).argmin()
    return {name: int(values[name].flat[best]) for name in sizes}


def _given(names: Sequence[str], conditions: Sequence[Condition]) -> dict[str, Size]:
    """The axes that an equation determines from axes before them, each with that size."""
    given: dict[str, Size] = {}
    for number, name in enumerate(names):
        for size in (condition.size for condition in conditions if not condition.at_least):
            factor = dict(size.terms).get(Symbol(name)) if isinstance(size, Dim) else None
            if factor in (1, -1):
                rest = (size - Dim(((Symbol(name), factor),))) * -factor
                if symbols_of(rest) <= set(names[:number]):
                    given.setdefault(name, rest)
    return given


def _nearby(
    size: int, sizes: Collection[int], within: Callable[[int, int], np.ndarray], most: int, upwards: bool
) -> np.ndarray:
    """Admissible sizes of one axis near its own size, and near those of the other axes, which it may have to equal."""
    around = sorted({other for other in sizes if other >= size or not upwards})
    found = []
    for middle in around:
        near = within(middle if upwards else middle - NEAR, middle + NEAR)
        found.append(near[np.argsort(np.abs(near - middle), kind="stable")[: most // len(around)]])
    return np.unique(np.concatenate(found))
