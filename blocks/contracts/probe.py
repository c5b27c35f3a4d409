"""The shapes of a block that declares none: run it on the meta device, fit a rule, verify the rule.

Each output axis is assumed to be a number, or `m * ((k*n + a) // s) + c` of one input axis n that follows the
image size, which is the form that strides, paddings and factors give. Anything else needs a contract. A probe is
slower than a contract and knows only the sizes that it tried: it is meant for experiments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import ContractError, Result
from crossband.blocks.contracts.sizes import Condition, Dim, Shape, Size, evaluate

TRIED = 64  # different sizes tried along each axis; strides up to half of it are found for sure
FURTHER = (97, 130, 257)  # sizes on which the rule is verified
LONGEST = 8192  # image sizes searched for TRIED different sizes of a deep feature map
USUAL = 96  # the size of the other axes meanwhile

Sizes = Mapping[str, int]


def probe(
    entry: BlockEntry, shapes: Sequence[Shape], arguments: Mapping[str, Any], inferred: Mapping[str, int]
) -> Result:
    """Find by running the block what a contract would answer. Raises ContractError if no rule fits."""
    with torch.device("meta"):
        module = entry.factory(**inferred, **arguments).eval()
    names = sorted({name for shape in shapes for size in shape if isinstance(size, Dim) for name in size.symbols})
    usual = dict.fromkeys(names, USUAL)
    outputs = [list[Size](shape) for shape in _require(entry, module, shapes, usual)]
    conditions: list[Condition] = []
    for name in names:
        sampled, least = _sample(entry, module, shapes, usual, name)
        conditions += least
        for number, output in enumerate(outputs):
            for axis in range(len(output)):
                samples = [(sizes, run[number][axis]) for sizes, run in sampled]
                if len({size for _, size in samples}) > 1:
                    where = f"output {number + 1}, axis {axis + 1}"
                    output[axis] = _find_rule(entry, _axes(shapes, name), samples, where)
    rules = tuple(tuple(output) for output in outputs)
    for size in FURTHER:
        further = {name: size + 2 * place for place, name in enumerate(names)}
        if _require(entry, module, shapes, further) != [_at(rule, further) for rule in rules]:
            raise _undecided(entry, f"the rule found does not hold at {further}")
    return Result.of(rules, inferred, conditions)


@dataclass(frozen=True)
class _Rule:
    """`step * ((factor * n + offset) // divisor) + start`."""

    factor: int
    offset: int
    divisor: int
    step: int
    start: int

    def __call__(self, n: Size) -> Size:
        return (n * self.factor + self.offset) // self.divisor * self.step + self.start


def _find_rule(entry: BlockEntry, axes: Sequence[Dim], samples: Sequence[tuple[Sizes, int]], where: str) -> Size:
    """The simplest rule for an output axis, applied to one of the input axes that follow the same symbol."""
    for axis in axes:
        pairs = [(evaluate(axis, sizes), size) for sizes, size in samples]
        if rule := next(_rules(pairs), None):
            return rule(axis)
    raise _undecided(entry, f"{where} follows no simple rule")


def _rules(pairs: Sequence[tuple[int, int]]) -> Iterator[_Rule]:
    """The rules that hold for all pairs of input and output size, the simplest first."""
    (first, start), (last, end) = min(pairs), max(pairs)
    if first == last:  # another axis of the inputs varied
        return
    step = gcd(*(size - start for _, size in pairs))
    pairs = [(n, (size - start) // step) for n, size in pairs]
    for divisor in range(1, TRIED // 2 + 1):
        about = round((end - start) / step / (last - first) * divisor)
        for factor in (about, about + 1, about - 1):
            if factor < 1 or gcd(factor, divisor) > 1:
                continue
            least = max(divisor * size - factor * n for n, size in pairs)
            most = min(divisor * size + divisor - 1 - factor * n for n, size in pairs)
            if least <= most:
                yield _Rule(factor, least, divisor, step, start)


def _sample(
    entry: BlockEntry, module: nn.Module, shapes: Sequence[Shape], usual: Sizes, name: str
) -> tuple[list[tuple[Sizes, list[tuple[int, ...]]]], list[Condition]]:
    """The successful runs over growing values of one symbol, and the least size from which on all runs succeed."""
    axes = _axes(shapes, name)
    runs: dict[tuple[int, ...], tuple[Sizes, list[tuple[int, ...]] | None]] = {}
    for value in range(1, LONGEST):
        sizes = {**usual, name: value}
        point = tuple(evaluate(axis, sizes) for axis in axes)
        if point not in runs and min(point) >= 1:
            runs[point] = sizes, _run(entry, module, shapes, sizes)
        if len(runs) == TRIED:
            break
    good = [(sizes, run) for sizes, run in runs.values() if run is not None]
    failed = len(runs) - len(good)
    if not good or any(run is None for _, run in list(runs.values())[failed:]):
        raise _undecided(entry, f"it fails for some {name} and not for others")
    first = int(evaluate(axes[0], good[0][0]))
    least = Condition(axes[0] - first, True, f"it needs at least {first} here, as running it showed")
    return good, [least] if failed else []


def _axes(shapes: Sequence[Shape], name: str) -> list[Dim]:
    """The different axes of the inputs that follow one symbol."""
    sizes = (size for shape in shapes for size in shape if isinstance(size, Dim) and name in size.symbols)
    return list(dict.fromkeys(sizes))


def _run(entry: BlockEntry, module: nn.Module, shapes: Sequence[Shape], sizes: Sizes) -> list[tuple[int, ...]] | None:
    """The output shapes at some sizes, or None if the block refuses them."""
    try:
        return _require(entry, module, shapes, sizes)
    except ContractError:
        return None


def _require(entry: BlockEntry, module: nn.Module, shapes: Sequence[Shape], sizes: Sizes) -> list[tuple[int, ...]]:
    tensors = [torch.empty(_at(shape, sizes), device="meta") for shape in shapes]
    try:
        with torch.no_grad():
            output = module(*tensors)
    except Exception as error:  # whatever a forward written by others may raise
        given = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise ContractError(
            f"`{entry.name}` has no contract, and running it on inputs of the shape {given} failed: {error}"
        ) from error
    outputs = [output] if isinstance(output, Tensor) else list(output)
    return [tuple(tensor.shape) for tensor in outputs]


def _at(shape: Shape, sizes: Sizes) -> tuple[int, ...]:
    return tuple(int(evaluate(size, sizes)) for size in shape)


def _undecided(entry: BlockEntry, reason: str) -> ContractError:
    return ContractError(
        f"`{entry.name}` has no contract, and none could be found by running it: {reason}",
        hint="write `contract=` or `shape=` in its `@block`",
    )
