"""The laws of blocks. In: an example of a block. Out: nothing, or an error where the block breaks the law."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.maps import AXES, InnerMap, shown_maps
from crossband.blocks.contracts.ranges import ANY, POSITIVE, SIGNED, UNIT, Range
from crossband.blocks.contracts.reach import reach_of
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import evaluate, symbol
from crossband.blocks.laws.holding import Broken, Law, require
from crossband.registry import ArgumentError

if TYPE_CHECKING:
    from crossband.blocks.laws.examples import Example


TRIED = (UNIT, SIGNED, POSITIVE, Range(-3, -2), Range(0, 255))  # ranges of inputs
LARGE = 1e4  # where a range has no end
AT_ONCE = 2**20  # values of a batch: larger ones are mostly waited for, as memory comes and goes


def _run(module: nn.Module, tensors: Sequence[Tensor]) -> list[Tensor]:
    output = module(*tensors)
    return [output] if isinstance(output, Tensor) else list(output)


def _eval(module: nn.Module, tensors: Sequence[Tensor], seed: int = 0) -> list[Tensor]:
    with torch.no_grad(), _seeded(seed):
        return _run(module.eval(), tensors)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from this seed, so that a block that declares its randomness can be compared with itself."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _same(found: Sequence[Tensor], wanted: Sequence[Tensor], what: str, tolerance: float = 0.0) -> None:
    for left, right in zip(found, wanted, strict=True):
        difference = (left - right).abs().max().item() if left.shape == right.shape else math.inf
        require(difference <= tolerance, f"{what}, by {difference:.3g}")


def contract(example: "Example") -> None:
    """The outputs of forward have the shapes that the block says, in training and in eval."""
    tensors, names = example.tensors(), example.entry.outputs
    for mode, run in (("training", _run), ("eval", _eval)):
        outputs = run(example.module(), tensors)
        named = len(names) == len(outputs) or (example.entry.shape and len(names) > len(outputs))
        require(bool(named), f"it names {len(names)} outputs and gives {len(outputs)}")
        _shapes(example, outputs, f"in {mode}")


def _shapes(example: "Example", outputs: Sequence[Tensor], where: str) -> None:
    found = tuple(tuple(output.shape) for output in outputs)
    require(found == example.result.outputs, f"{where} it says {example.result.outputs} and gives {found}")


def form(example: "Example") -> None:
    """Inputs of another number, or with other axes, are refused with a ContractError or give what is said."""
    first, *others = example.shapes
    for shapes, what in (
        (others, "an input less"),
        ((*example.shapes, first), "an input more"),
        ((first[:-1], *others), "an axis less"),
        (((*first, 2), *others), "an axis more"),
    ):
        try:
            result = shapes_of(example.entry, shapes, example.arguments)
        except ContractError:
            continue
        except Exception as error:
            raise Broken(f"{what} makes its shape function raise {error!r}, not ContractError") from error
        if not result.conditions:
            other = replace(example, shapes=tuple(shapes), result=result)
            _shapes(other, _eval(other.module(), other.tensors()), f"with {what}")


def symbols(example: "Example") -> None:
    """What the block says of unknown sizes agrees with what it says of numbers."""
    unknown = {size: symbol(f"n{size}") for shape in example.shapes for size in shape[2:]}
    numbers = {f"n{size}": size for size in unknown}
    shapes = [(*shape[:2], *(unknown[size] for size in shape[2:])) for shape in example.shapes]
    result = shapes_of(example.entry, shapes, example.arguments)
    for condition in result.conditions:
        require(bool(condition.holds(numbers)), f"it refuses these sizes when they are unknown: {condition.reason}")
    found = tuple(tuple(int(evaluate(size, numbers)) for size in output) for output in result.outputs)
    require(found == example.result.outputs, f"for unknown sizes it says {found}, for numbers {example.result.outputs}")


def meta(example: "Example") -> None:
    """The block runs on the meta device, with the same shapes."""
    with torch.device("meta"):
        module = example.module()
    _shapes(example, _eval(module, [tensor.to("meta") for tensor in example.tensors()]), "on the meta device")


def batch(example: "Example") -> None:
    """The images of a batch do not mix in eval."""
    module, tensors = example.module().double(), [tensor.double() for tensor in example.tensors(batch=3)]
    whole = _eval(module, tensors)
    others = [torch.cat([3 - 2 * tensor[:1], tensor[1:]]) for tensor in tensors]
    changed = _eval(module, others)
    what = "changing the first image of a batch changes the output of another"
    _same([output[1:] for output in changed], [output[1:] for output in whole], what, 1e-9)
    alone = _eval(module, [tensor[:1] for tensor in tensors])
    _same(alone, [output[:1] for output in whole], "an image alone gives another output than in a batch", 1e-9)


def deterministic(example: "Example") -> None:
    """The same input gives the same output in eval, to the bit, in a copy too, or the block says why not."""
    module, tensors = example.module(), example.tensors()
    first, again = _eval(module, tensors, seed=1), _eval(module, tensors, seed=2)
    if declares_randomness(example.entry, example.arguments):
        require(not all(map(torch.equal, first, again)), "it declares randomness (`deterministic=`) and has none")
    else:
        _same(again, first, "a second call gives another output")
    _same(_eval(copy.deepcopy(module), tensors, seed=1), first, "a deep copy gives another output")


def declares_randomness(entry: BlockEntry, arguments: Mapping[str, Any]) -> str | None:
    """The reason that a block gives for another output in every call, with these arguments; None if it gives none."""
    arguments = {name: p.default for name, p in entry.parameters.items() if not p.required} | dict(arguments)
    declared = entry.deterministic
    reason = declared(**arguments) if callable(declared) else declared
    return reason if isinstance(reason, str) else None


def inputs(example: "Example") -> None:
    """Forward leaves its inputs and the caller's settings as they are."""
    module, tensors = example.module(), example.tensors()
    kept = [tensor.clone() for tensor in tensors]
    for step in (_run, _eval):
        step(module, tensors)
        _same(tensors, kept, "an input is overwritten")
    require(not any(tensor.requires_grad for tensor in tensors), "an input has been set to require gradients")


def gradients(example: "Example") -> None:
    """Every parameter gets a finite gradient, and so does every input whose values count, or the block says why not."""
    module, tensors = example.module(), [tensor.requires_grad_() for tensor in example.tensors()]
    outputs = _run(module, tensors)
    weighted = [(output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum() for output in outputs]
    if (total := torch.stack(weighted).sum()).requires_grad:
        total.backward()
    for name, parameter in module.named_parameters():
        require(parameter.grad is not None, f"the parameter `{name}` gets no gradient")
        require(bool(torch.isfinite(_grad(parameter)).all()), f"the gradient of `{name}` is not finite")
    reached = any(tensor.grad is not None for tensor in tensors)
    if isinstance(example.entry.differentiable, str):
        require(not reached, "it says why no gradient reaches its inputs (`differentiable=`), and one does")
    else:
        require(reached, "no input gets a gradient")
    for number, tensor in enumerate(tensors, 1):
        require(bool(torch.isfinite(_grad(tensor)).all()), f"the gradient of input {number} is not finite")


def _grad(tensor: Tensor) -> Tensor:
    return torch.zeros(()) if tensor.grad is None else tensor.grad


def dtypes(example: "Example") -> None:
    """It works in float64 and bfloat16, keeps the type, and stays finite."""
    for dtype in (torch.float64, torch.bfloat16):
        outputs = _eval(example.module().to(dtype), [tensor.to(dtype) for tensor in example.tensors()])
        for output in outputs:
            require(output.dtype == dtype, f"{dtype} inputs give {output.dtype}")
            require(bool(torch.isfinite(output).all()), f"an output in {dtype} is not finite")


def state(example: "Example") -> None:
    """The state dict of one module makes another the same."""
    module, other, tensors = example.module(), example.module(seed=2), example.tensors()
    _run(module, tensors)  # running statistics are part of the state
    other.load_state_dict(module.state_dict())
    _same(_eval(other, tensors), _eval(module, tensors), "a module with the same state gives another output")


def export(example: "Example") -> None:
    """torch.export takes it, or the block says why not (`exports=`)."""
    reason = example.entry.exports
    if isinstance(reason, str):
        return
    module, tensors = example.module().eval(), tuple(example.tensors())
    exported = torch.export.export(module, tensors).module()
    with _seeded(0):
        outputs = _run(exported, tensors)
    _same(outputs, _eval(module, tensors), "the exported program gives another output", 1e-5)


def arguments(example: "Example") -> None:
    """Arguments that fit their schemas are taken; wrong, unknown or missing ones raise ArgumentError."""
    example.module()
    for wrong, what in _wrong_arguments(example):
        try:
            example.entry.factory(**wrong)
        except ArgumentError:
            continue
        except Exception as error:
            raise Broken(f"{what} raises {type(error).__name__}") from error
        raise Broken(f"{what} is accepted")


def _wrong_arguments(example: "Example") -> Iterator[tuple[dict[str, Any], str]]:
    right = {**example.result.inferred, **example.arguments}
    yield {**right, "no_such_option": 1}, "an unknown argument"
    for name, parameter in example.entry.parameters.items():
        for value in (object(), *_out_of_bounds(parameter.schema)):
            yield {**right, name: value}, f"{name}={value!r}"
        if parameter.required:
            yield {key: value for key, value in right.items() if key != name}, f"leaving out `{name}`"


def _out_of_bounds(schema: Mapping[str, Any]) -> list[float]:
    ends = (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0))
    return [schema[end] + step for end, step in ends if end in schema]


def exact(example: "Example") -> None:
    """What the block refuses does not run, or does not give what it promises; or it says why not (`exact=`)."""
    require(not runs_as_promised(example), f"it runs, and is refused: {example.result.conditions[0].reason}")


def runs_as_promised(example: "Example") -> bool:
    """Whether a block takes inputs that it refuses, and gives what it would promise if their axes agreed."""
    try:
        module = example.module()
    except (RuntimeError, ValueError):  # ArgumentError is a ValueError
        return False
    try:
        outputs = _eval(module, [torch.zeros(shape) for shape in example.shapes])
    except Exception:  # whatever a forward written by others may raise
        return False
    disagree = any(condition.input is not None for condition in example.result.conditions)
    promised = tuple(tuple(output.shape) for output in outputs) == example.result.outputs
    return all(output.numel() for output in outputs) and (promised or not disagree)


def reach(example: "Example") -> None:
    """No row or column of an output depends on more rows or columns of an input than `reach` says."""
    declared = reach_of(example.entry, example.arguments, len(example.shapes))
    for number, (found, limit) in enumerate(zip(measured_reach(example), declared, strict=True), 1):
        require(found <= limit, f"it declares {limit} for input {number}, and {found} was found")


def measured_reach(example: "Example") -> tuple[int, ...]:
    """The largest span of rows or columns of each input that one row or column of an output depends on.

    Found with NaN in one row of each image, and the output tells where they arrive. In float64, where no convolution
    works by tiles that would spread them, and with normalisation left out.
    """
    module = _without_statistics(example.module()).double()
    found = [0] * len(example.shapes)
    for number, shape in enumerate(example.shapes):
        for axis in range(2, len(shape)):
            for arrived in _arrivals(module, example, number, axis):
                spans = [rows.nonzero().flatten() for rows in arrived.T]
                found[number] = max(found[number], *(int(rows[-1] - rows[0]) + 1 if len(rows) else 0 for rows in spans))
    return tuple(found)


def _arrivals(module: nn.Module, example: "Example", number: int, axis: int) -> list[Tensor]:
    """For each output that has the axis: whether a row of input `number` (first axis) reaches a row of it (second)."""
    shape, arrived = example.shapes[number], []
    for rows in torch.arange(shape[axis]).split(max(1, AT_ONCE // math.prod(shape[1:]))):
        tensors = [tensor.double() for tensor in example.tensors(batch=len(rows))]
        tensors[number].transpose(1, axis)[range(len(rows)), rows] = math.nan
        outputs = [output for output in _eval(module, tensors) if output.ndim > axis]
        arrived.append([output.isnan().transpose(1, axis).flatten(2).any(2) for output in outputs])
    return [torch.cat(parts) for parts in zip(*arrived, strict=True)]


def ranges(example: "Example") -> None:
    """The outputs lie in the ranges that the block says, in eval, whatever its weights and the values of its inputs."""
    module = _spread(example.module().double())
    inputs = range(len(example.shapes))
    rows = [
        [ANY for _ in inputs],
        *([TRIED[(number + at) % len(TRIED)] for at in inputs] for number in range(len(TRIED))),
    ]
    known = (ANY,) * len(example.entry.outputs)
    for number, given in enumerate(rows):
        declared = example.entry.ranges(given, example.arguments)
        if declared == known:  # of inputs in any range, which was tried
            continue
        known = known if number else declared
        tensors = [_within(each, x.double()) for each, x in zip(given, example.tensors(seed=number), strict=True)]
        outputs = _eval(module, tensors)
        require(len(declared) >= len(outputs), f"it declares ranges of {len(declared)} outputs, and has {len(outputs)}")
        for each, output in zip(declared, outputs, strict=False):
            found = Range(output.min().item(), output.max().item())
            slack = 1e-5 * max([1.0, *(abs(end) for end in (each.low, each.high) if math.isfinite(end))])
            what = f"for inputs in {', '.join(map(str, given))} it says {each}, and gives {found}"
            require(each.holds(found, slack), what)


def maps(example: "Example") -> None:
    """The inner maps have the form, range and sums that the block says, and to ask for them changes nothing."""
    module, declared = example.module().eval(), example.entry.inner_maps
    tensors, state = example.tensors(), copy.deepcopy(module.state_dict())
    before = _eval(module, tensors)
    rows, columns = (1, 1, *before[0].shape[2:])[-2:]
    for pixel in ((0, 0), (rows // 2, columns - 1)):
        with torch.no_grad():
            found = shown_maps(module, tensors, pixel)
        require(found.keys() == declared.keys(), f"it declares {sorted(declared)} and gives {sorted(found)}")
        for name, values in found.items():
            _map_as_declared(declared[name], values, f"its map `{name}` of the pixel {pixel}", len(tensors[0]))
    kept = all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    require(kept, "its weights or statistics are others after it was asked for its maps")
    _same(_eval(module, tensors), before, "its output is another after it was asked for its maps")


def _map_as_declared(declared: InnerMap, values: Tensor, what: str, images: int) -> None:
    axes = AXES[declared.form].split()
    require(values.ndim == len(axes), f"{what} is to be `{' '.join(axes)}` and has the shape {tuple(values.shape)}")
    require(len(values) == images, f"{what} is of {len(values)} images in place of {images}")
    require(values.numel() > 0 and bool(torch.isfinite(values).all()), f"{what} is not finite")
    found = Range(values.min().item(), values.max().item())
    require(declared.range.holds(found, 1e-5), f"{what} is to be in {declared.range} and is in {found}")
    if declared.sums_to_one:
        error = (values.sum(declared.summed) - 1).abs().max().item()
        require(error < 1e-4, f"{what} is to sum to 1 and does not, by {error:.3g}")


def _within(given: Range, x: Tensor) -> Tensor:
    """Normal random values spread over a range, its ends among them; large ones where it has none."""
    low, high = max(given.low, -LARGE), min(given.high, LARGE)
    return ((high + low) / 2 + (high - low) / 2 * x).clamp(low, high)


def _spread(module: nn.Module) -> nn.Module:
    """The module with weights that are no longer those it begins with, such as a scale of 0."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return module


def _without_statistics(module: nn.Module) -> nn.Module:
    kinds = (nn.modules.instancenorm._InstanceNorm, nn.GroupNorm, nn.LayerNorm)
    if isinstance(module, kinds):
        return nn.Identity()
    for name, child in module.named_children():
        setattr(module, name, _without_statistics(child))
    return module


LAWS: Mapping[str, Law] = {
    law.__name__: law
    for law in (
        arguments,
        contract,
        form,
        exact,
        symbols,
        meta,
        batch,
        deterministic,
        inputs,
        gradients,
        dtypes,
        state,
        reach,
        ranges,
        maps,
        export,
    )
}
"""Every law by name. `exact` is tried on what a block refuses, every other on what it takes."""
