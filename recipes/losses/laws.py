"""The laws of losses, as one public function: hold a loss to everything that training relies on.

    from crossband.recipes.losses.laws import check_laws

    def test_my_loss():
        check_laws("my_loss")

Hypothesis draws arguments from the types and bounds of the parameters and tensors of the form that the loss says.
What cannot be guessed is given as examples, with the loss or here: values of some parameters, sizes of some axes.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from crossband import registry
from crossband.blocks.contracts.ranges import UNIT, Range
from crossband.blocks.laws.holding import Broken, Law, Refusals, chosen, hold_drawn, nothing_drawn, require
from crossband.recipes.kinds.loss import LossEntry, LossInputError
from crossband.registry import CrossbandError, suggest

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

LARGE = 32  # a smallest side from which on examples are few and have one channel
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
PAIRS = [(level, other) for level in (0.0, 0.5, 1.0) for other in {level, 0.0, 1.0}]  # of flat images, in their range
SLOW = {"flat"}  # tried on one example only


def check_laws(
    loss: str,
    *,
    laws: Sequence[str] | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    count: int | None = None,
) -> dict[str, int]:
    """Hold a registered loss to its laws, all or those named. Give how often each was tried.

    `examples` are used instead of those that the loss itself gives (`@loss(..., examples=)`). `count` is how many are
    drawn for each law; by default what the Hypothesis profile says. A law about what a loss does not say of itself
    counts 0. Raises LawBroken that names the law and the example; NothingDrawn where no example is found;
    CrossbandError for an unknown law or loss. Needs the package hypothesis.
    """
    entry: LossEntry = registry.losses[loss]
    given = tuple(examples) or entry.examples
    _check_names(entry, given)
    tried: dict[str, int] = {}
    for name, law in chosen(LAWS, laws).items():
        if name == "least" and not entry.least_where_equal:
            tried[name] = 0
            continue
        refusals = Refusals()
        drawn = _examples(entry, given, refusals)
        if name == "least":
            drawn = drawn.filter(lambda example: entry.is_least_where_equal(example.arguments))
        tried[name] = hold_drawn(name, law, drawn, 1 if name in SLOW else count)
        if not tried[name]:
            names = ", ".join(f"`{each}`" for each in (*entry.form, *entry.parameters))
            hint = f"give examples, `@loss(..., examples=[{{...}}])`, with values for some of {names}"
            raise nothing_drawn(f"the loss `{loss}`", name, refusals.reasons, hint)
    return tried


@dataclass(frozen=True)
class Example:
    """A loss with arguments that it takes, the shape of its inputs, and the seed of their numbers."""

    entry: LossEntry
    arguments: Mapping[str, Any]
    shape: tuple[int, ...]
    seed: int

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.entry.name}({options}) on {self.shape}"

    @property
    def dtypes(self) -> Sequence[torch.dtype]:
        """The precisions of its inputs: a recipe computes what is differentiated in float32 at least."""
        return DTYPES[:2] if self.entry.differentiates else DTYPES

    @property
    def ranges(self) -> list[Range]:
        """The range of each input: what the loss says, else [0, 1]."""
        declared = self.entry.ranges(self.arguments)
        return [declared.get(name, UNIT) for name in self.entry.inputs]

    def random(self, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        """Random tensors within their ranges, one for each input."""
        random = torch.Generator().manual_seed(self.seed)
        numbers = [torch.rand(self.shape, generator=random, dtype=torch.float64) for _ in self.entry.inputs]
        inside = [0.01 + 0.98 * each for each in numbers]
        pairs = zip(self.ranges, inside, strict=True)
        return [(range.low + (range.high - range.low) * each).to(dtype) for range, each in pairs]

    def levels(self, first: float, others: float) -> list[float]:
        """A number for each input, given as a share of its range: 0 is the low end, 1 the high one."""
        shares = (first, *[others] * (len(self.entry.inputs) - 1))
        return [range.low + (range.high - range.low) * share for range, share in zip(self.ranges, shares, strict=True)]

    def given(self, tensors: Sequence[Tensor]) -> "Given":
        """Copies of these that take gradients. Of a loss that differentiates, the first is a score of the second."""
        copies = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        if not self.entry.differentiates:
            return Given(copies, copies[0])
        image = copies[1]
        weights = torch.linspace(-1, 1, image[0].numel(), dtype=image.dtype).view_as(image[0]).requires_grad_()
        return Given([(image * weights).sin(), *copies[1:]], weights)

    def value(self, tensors: Sequence[Tensor]) -> Tensor:
        """The loss of these inputs."""
        return self.entry.factory(*tensors, **self.arguments)


class Given(NamedTuple):
    """The inputs of a loss, and the tensor that learns from it: the first, or the weights of the critic behind it."""

    tensors: list[Tensor]
    learns: Tensor


def _examples(entry: LossEntry, given: Sequence[Mapping[str, Any]], refusals: Refusals) -> "SearchStrategy[Example]":
    from hypothesis import strategies as st

    from crossband.blocks.laws.values import arguments

    @st.composite
    def drawn(draw: st.DrawFn) -> Example:
        fixed = draw(st.sampled_from(given)) if given else {}
        options = draw(arguments(entry, fixed))
        try:
            least = entry.least_side(options)
        except LossInputError as error:  # the arguments do not go together
            refusals.reasons.add(error.message)
            refusals.give_up()
        few = least > LARGE
        sizes = {"b": st.integers(1, 3 - few), "c": st.integers(1, 3 - 2 * few)}
        sizes |= {axis: st.integers(least, least + 8) for axis in ("h", "w")}
        shape = tuple(fixed.get(axis) or draw(sizes.get(axis, st.integers(2, 8))) for axis in entry.form)
        refusals.in_a_row = 0
        return Example(entry, options, shape, draw(st.integers(0, 2**31)))

    return drawn()


def _check_names(entry: LossEntry, given: Sequence[Mapping[str, Any]]) -> None:
    known = (*entry.form, *entry.parameters)
    for name in (name for example in given for name in example if name not in known):
        message = f"an example of the loss `{entry.name}` gives `{name}`, which it does not have"
        raise CrossbandError(message, hint=suggest(name, known))


def number(example: Example) -> None:
    """It gives one finite number, in float32 at least, and the same again, whatever the precision of its inputs."""
    for dtype in example.dtypes:
        inputs = example.given(example.random(dtype)).tensors
        value = example.value(inputs)
        require(value.ndim == 0, f"{dtype} inputs give a tensor of the shape {tuple(value.shape)}")
        require(bool(value.isfinite()), f"{dtype} inputs give {value.item()}")
        wide = torch.promote_types(dtype, torch.float32)
        require(value.dtype == wide, f"{dtype} inputs give {value.dtype}, not {wide}")
        require(torch.equal(example.value(inputs), value), "a second call gives another value")


def precision(example: Example) -> None:
    """It is worked out in float32 at least, under autocast too: half precision only rounds its inputs."""
    differentiates = example.entry.differentiates
    rounded = example.random(torch.float32 if differentiates else torch.bfloat16)
    exact = example.value(example.given([tensor.double() for tensor in rounded]).tensors)
    inputs = example.given(rounded).tensors
    for autocast in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            value = example.value(inputs)
        close = torch.isclose(value.double(), exact, rtol=1e-4 if differentiates else 1e-5, atol=1e-6)
        require(bool(close), f"it gives {value.item():.6g} {'under autocast ' * autocast}instead of {exact.item():.6g}")


def flat(example: Example) -> None:
    """Black, grey and white images of its `range=`, equal ones or not, have a finite value and a finite gradient."""
    for dtype in example.dtypes:
        for level, other in PAIRS:
            levels = example.levels(level, other)
            tensors, learns = example.given([torch.full(example.shape, each, dtype=dtype) for each in levels])
            value = example.value(tensors)
            [gradient] = torch.autograd.grad(value, learns)
            where = f"of {' and '.join(map(str, levels))} in {dtype}"
            require(bool(value.isfinite()), f"the value {where} is {value.item()}")
            require(bool(gradient.isfinite().all()), f"the gradient {where} is not finite")


def gradient(example: Example) -> None:
    """A finite gradient reaches its first input, and none reaches those that are constant (`constant=`)."""
    tensors, learns = example.given(example.random())
    value = example.value(tensors)
    require(value.requires_grad, "its value has no gradient")
    first, *others = torch.autograd.grad(value, [learns, *tensors[1:]], allow_unused=True)
    require(first is not None, f"`{example.entry.inputs[0]}` gets no gradient")
    for name, found in zip(example.entry.inputs, (first, *others), strict=True):
        require(found is None or name not in example.entry.constant, f"`{name}` is constant and gets a gradient")
        require(found is None or bool(found.isfinite().all()), f"the gradient of `{name}` is not finite")


def unchanged(example: Example) -> None:
    """It changes neither its inputs nor the random state."""
    tensors, _ = example.given(example.random())
    kept, random = [tensor.detach().clone() for tensor in tensors], torch.get_rng_state()
    with contextlib.suppress(RuntimeError):  # of autograd, which an overwritten input may offend
        example.value(tensors).backward()
    require(all(map(torch.equal, tensors, kept)), "an input is overwritten")
    require(torch.equal(torch.get_rng_state(), random), "it draws random numbers from the common state")


def order(example: Example) -> None:
    """The order of the images of a batch does not matter."""
    tensors = example.given(replace(example, shape=(3, *example.shape[1:])).random()).tensors
    turned = [tensor.roll(1, 0) for tensor in tensors]
    if example.entry.differentiates:  # the score is computed from the turned images
        turned = example.given([tensors[1].roll(1, 0)] * 2).tensors
    value, other = example.value(tensors), example.value(turned)
    same = torch.isclose(value, other, rtol=1e-9, atol=1e-12)
    require(bool(same), f"it is {value.item():.9g}, and {other.item():.9g} in another order")


def least(example: Example) -> None:
    """It is least where its inputs are equal, if it says so (`least_where_equal=`), and rises from there."""
    wide = replace(example, shape=(*example.shape[:-1], example.shape[-1] + 1))  # one pixel has no angle, no variation
    target, noise, *_ = wide.random()
    output = (target + 0.02 * (noise - target)).requires_grad_()
    others = [target] * (len(example.entry.inputs) - 1)
    value, equal = example.value([output, *others]), example.value([target, *others])
    [slope] = torch.autograd.grad(value, output)
    require(bool(equal < value), f"equal inputs give {equal.item():.9g}, and some that differ {value.item():.9g}")
    require(bool((slope * (output - target)).sum() > 0), "its gradient does not point away from equal inputs")


def aligned(example: Example) -> None:
    """An input moved against an equal one changes it, if it says that it compares pixel by pixel (`aligned=`)."""
    if not example.entry.is_aligned(example.arguments):
        return
    wide = replace(example, shape=(*example.shape[:-1], example.shape[-1] + 1))
    image = wide.random()[0]
    others = [image] * (len(example.entry.inputs) - 1)
    half = image.shape[-1] // 2  # of the image: a small shift may be forgiven, as by `shift_l1`
    value, moved = example.value([image, *others]), example.value([image.roll(half, -1), *others])
    require(not bool(torch.isclose(value, moved, rtol=1e-9, atol=1e-12)), f"it is {value.item():.9g} for both")


def refusals(example: Example) -> None:
    """Whole numbers, another number of tensors, other shapes and too small images raise LossInputError."""
    for what, tensors in _wrong(example):
        try:
            example.value(tensors)
        except LossInputError:
            continue
        except Exception as error:
            raise Broken(f"{what} raises {type(error).__name__}, not LossInputError") from error
        raise Broken(f"{what} is accepted")


def _wrong(example: Example) -> Iterator[tuple[str, list[Tensor]]]:
    entry, right = example.entry, example.random()
    *others, last = right
    yield "a tensor of whole numbers", [tensor.byte() for tensor in right]
    yield "a tensor too many", [*right, last]
    yield "a tensor too few", others
    if entry.same_shape and others:
        for axis, name in enumerate(entry.form):
            yield f"another size of `{name}`", [*others, torch.cat([last, last], axis)]
        yield "an axis less", [*others, last[0]]
        yield "a single number", [*others, last.flatten()[:1]]
    if (side := entry.least_side(example.arguments)) > 1:
        yield f"a side of {side - 1}", [tensor[..., : side - 1] for tensor in right]


LAWS: Mapping[str, Law] = {
    law.__name__: law for law in (number, precision, flat, gradient, unchanged, order, least, aligned, refusals)
}
"""Every law by name; each is a function of an example that raises where it is broken."""
