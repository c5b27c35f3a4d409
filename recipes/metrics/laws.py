"""The laws of metrics, as one public function: hold a metric to everything that an evaluation relies on.

    from crossband.recipes.metrics.laws import check_laws

    def test_my_metric():
        check_laws("my_metric")

Hypothesis draws smooth images, noisy copies of them and input images, or for a metric of the whole set features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from crossband import registry
from crossband.blocks.laws.holding import Law, chosen, hold_drawn, nothing_drawn, require
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.kinds.metric import MetricEntry

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SIDES = (8, 16, 32, 64, 176)  # tried in turn for a small image that a metric takes
LARGE = 64  # a side from which on images are few and grey
FEATURES = 16
CLOSE = 1e-5  # relative: networks work in float32


def check_laws(metric: str, *, laws: Sequence[str] | None = None, count: int | None = None) -> dict[str, int]:
    """Hold a registered metric to its laws, all or those named. Give how often each was tried.

    `count` is how many examples are drawn for each law; by default what the Hypothesis profile says. `best` counts 0
    for a metric without a better direction, `alone` for one that does not say that it looks at the output alone. Raises
    LawBroken that names the law and the example; NothingDrawn for a metric that cannot be had, say since the weights of
    its network are missing; CrossbandError for an unknown law or metric. Needs the package hypothesis.
    """
    entry: MetricEntry = registry.metrics[metric]
    known = OF_SETS if entry.whole_set else OF_IMAGES
    examples = _examples(entry, 0 if entry.whole_set else _least_side(entry))
    tried: dict[str, int] = {}
    for name, law in chosen(known, laws).items():
        spared = (name == "best" and entry.better is None) or (name == "alone" and not entry.alone)
        tried[name] = 0 if spared else hold_drawn(name, law, examples, count)
    return tried


@dataclass(frozen=True)
class Example:
    """A metric with the shape of the images that it compares, or of the features of two sets, and their seed."""

    entry: MetricEntry
    shape: tuple[int, ...]
    seed: int

    def __str__(self) -> str:
        return f"{self.entry.name} on {self.shape}"

    def given(self) -> list[Tensor]:
        """An output that differs from its target, the target, and for images the input of the network."""
        random = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(self.shape, generator=random, dtype=torch.float64)
        target = torch.randn(self.shape, generator=random, dtype=torch.float64)
        if self.entry.whole_set:
            return [noise + 1, target]
        target, source = (_smooth(self.shape, random) for _ in range(2))
        return [(target + 0.1 * noise).clamp(0, 1), target, source]

    def values(self, *given: Tensor | None) -> Tensor:
        """What the metric says: a value for each image, or one for the whole set. A box is the left half of each."""
        if self.entry.boxes:
            output, target, *_ = given
            given = (output, target, _left_half(output))
        found = self.entry.factory(*given)
        return torch.tensor([found[0]], dtype=torch.float64) if self.entry.whole_set else found


def _left_half(images: Tensor | None) -> Tensor:
    assert images is not None
    inside = torch.zeros_like(images[:, :1], dtype=torch.bool)
    inside[..., : images.shape[-1] // 2] = True
    return inside


def _smooth(shape: Sequence[int], random: torch.Generator) -> Tensor:
    """Random images `b c h w` as smooth as photographs, most of them from 0.1 to 0.9."""
    batch, channels, height, width = shape
    coarse = torch.rand(batch, channels, height // 4 + 2, width // 4 + 2, generator=random, dtype=torch.float64)
    return 0.1 + 0.8 * interpolate(coarse, (height, width), mode="bilinear")


def _examples(entry: MetricEntry, side: int) -> "SearchStrategy[Example]":
    from hypothesis import strategies as st

    seeds, sides = st.integers(0, 2**31), st.integers(side, side + 8)
    if entry.whole_set:
        shapes = st.tuples(st.integers(2, 12), st.just(FEATURES))
    else:
        few = side > LARGE
        shapes = st.tuples(st.integers(1, 3 - few), st.sampled_from([1, 3][: 2 - few]), sides, sides)
    return st.builds(Example, st.just(entry), shapes, seeds)


def _least_side(entry: MetricEntry) -> int:
    """A small side of images that it takes. Raises NothingDrawn where it is not to be had at any size."""
    reason = Unavailable("")
    for side in SIDES:
        example = Example(entry, (1, 1, side, side), 0)
        try:
            example.values(*example.given())
        except Unavailable as error:
            reason = error
        except Exception:  # of which the laws tell more
            return side
        else:
            return side
    raise nothing_drawn(f"the metric `{entry.name}`", "values", [reason.message], reason.hint or "")


def values(example: Example) -> None:
    """It gives one number for each image, or for the set: finite, in its `range=`, or NaN, and the same again."""
    given = example.given()
    found = example.values(*given)
    wanted = 1 if example.entry.whole_set else example.shape[0]
    require(tuple(found.shape) == (wanted,), f"it gives values of the shape {tuple(found.shape)}, not ({wanted},)")
    require(not bool(found.isinf().any()), f"it gives {found.tolist()} for images that differ")
    ends = example.entry.range
    inside = found.isnan() | ((found >= ends.low - CLOSE) & (found <= ends.high + CLOSE))
    require(bool(inside.all()), f"it gives {found.tolist()}, and its range is {ends}")
    require(torch.equal(example.values(*given).nan_to_num(), found.nan_to_num()), "a second call gives another value")


def best(example: Example) -> None:
    """The targets themselves are better outputs than others, by `better`."""
    output, target, *source = example.given()
    found, perfect = example.values(output, target, *source), example.values(target, target, *source)
    better = perfect > found if example.entry.better == "higher" else perfect < found
    undefined = found.isnan() | perfect.isnan()
    require(bool((better | undefined).all()), f"targets have {perfect.tolist()}, and others {found.tolist()}")


def alone(example: Example) -> None:
    """What says that it looks at the output alone has the same value for every target and input."""
    output, target, source = example.given()
    _same(example.values(output, source, target), example.values(output, target, source), "with others {}, before {}")


def batch(example: Example) -> None:
    """The images of a batch do not mix: each has the value that it has alone."""
    given = replace(example, shape=(3, *example.shape[1:])).given()
    whole = example.values(*given)
    alone = torch.cat([example.values(*(tensor[at : at + 1] for tensor in given)) for at in range(3)])
    _same(alone, whole, "in a batch {}, alone {}")


def grey(example: Example) -> None:
    """A grey image and its three-channel copy have one value."""
    given = replace(example, shape=(example.shape[0], 1, *example.shape[2:])).given()
    colours = [tensor.expand(-1, 3, -1, -1) for tensor in given]
    _same(example.values(*colours), example.values(*given), "grey images have {}, their three-channel copies {}")


def flat(example: Example) -> None:
    """Constant images, equal or not, have a value or NaN, and no error."""
    for levels in ((0.0, 0.0, 0.5), (0.5, 0.5, 0.5), (0.0, 1.0, 0.0), (1.0, 0.5, 1.0)):
        found = example.values(*(torch.full(example.shape, level, dtype=torch.float64) for level in levels))
        require(len(found) == example.shape[0], f"constant images give {found.tolist()}")


def source(example: Example) -> None:
    """Without the input image it has the same value, or is Unavailable."""
    output, target, source = example.given()
    try:
        found = example.values(output, target, None)
    except Unavailable:
        return
    _same(found, example.values(output, target, source), "with the input image {}, without {}")


def unchanged(example: Example) -> None:
    """It changes neither what it is given nor the random state."""
    given = example.given()
    kept, random = [tensor.clone() for tensor in given], torch.get_rng_state()
    example.values(*given)
    require(all(map(torch.equal, given, kept)), "an image is overwritten")
    require(torch.equal(torch.get_rng_state(), random), "it draws random numbers from the common state")


def order(example: Example) -> None:
    """The order of the images in the two sets does not matter."""
    outputs, targets = example.given()
    turned = example.values(outputs.roll(1, 0), targets.roll(2, 0))
    _same(turned, example.values(outputs, targets), "in one order {}, in another {}")


def few(example: Example) -> None:
    """A set of one image is Unavailable, and a larger one has a note beside its value."""
    outputs, targets = example.given()
    found = example.entry.factory(outputs, targets)
    require(isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], str), "it gives no value and note")
    try:
        example.values(outputs[:1], targets[:1])
    except Unavailable:
        return
    require(False, "one image has a value")


def _same(found: Tensor, wanted: Tensor, words: str) -> None:
    same = (
        torch.allclose(found, wanted, rtol=CLOSE, atol=CLOSE, equal_nan=True) if found.shape == wanted.shape else False
    )
    require(same, f"it gives {words.format(wanted.tolist(), found.tolist())}")


OF_IMAGES: Mapping[str, Law] = {
    law.__name__: law for law in (values, best, alone, batch, grey, flat, source, unchanged)
}
"""The laws of metrics of single images by name; each is a function of an example that raises where it is broken."""

OF_SETS: Mapping[str, Law] = {law.__name__: law for law in (values, best, few, order, unchanged)}
"""The laws of metrics of the whole set."""
