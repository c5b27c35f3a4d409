"""The functions of a flow that come with the library: joining, mixing and converting images, and remembering them."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from crossband.blocks.contracts.ranges import SIGNED, UNIT
from crossband.blocks.lab import AB, RGBToLab
from crossband.recipes.basics.colour import luminance, to_unit
from crossband.recipes.kinds.function import Function, FunctionError, Shape, function
from crossband.recipes.language.flow import Value
from crossband.registry import functions

POOL = 50  # images that a pool remembers (CycleGAN; Shrivastava et al. 2017)


@function("cat")
class Cat(Function):
    """Images side by side as channels: `b c1 h w, b c2 h w -> b c1+c2 h w`, any number of them."""

    operands = (2, None)

    @classmethod
    def shape(cls, *shapes: Shape) -> Shape:  # noqa: D102  as in Function
        size = shapes[0][1:]
        for other in shapes[1:]:
            _hold_together(cls.name, "size", size, other[1:])
        channels = [shape[0] for shape in shapes]
        return (None if None in channels else sum(c for c in channels if c is not None), *size)

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102
        return torch.cat(tensors, 1)


@function("pool", aligned=False, detaches=True, cite="shrivastava2017simgan")
class Pool(Function):
    """A history of generated images: half of the time a critic sees an older one. `b c h w -> b c h w`, no gradient.

    Each image of the batch, once 50 are remembered, is with probability 1/2 exchanged for one of
    them drawn at random (CycleGAN, Zhu et al. 2017, section 4, after Shrivastava et al. 2017).
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._images: list[Tensor] = []

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102  as in Function
        return torch.stack([self._exchange(image) for image in tensors[0].detach()])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self._images) < POOL:
            self._images.append(image.clone())
            return image
        chance, place = torch.rand(2, generator=self._generator).tolist()
        if chance < 0.5:
            return image
        index = int(place * POOL)
        older, self._images[index] = self._images[index], image.clone()
        if len(older) != len(image):  # they are from a state that was read back
            raise FunctionError(f"`pool` remembers images of {len(older)} channels, got {len(image)}")
        return older

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"images": list(self._images), "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._images = list(state["images"])
        self._generator.set_state(state["generator"].cpu())

    def state_schema(self) -> dict[str, Any]:  # noqa: D102
        image = {"type": "tensor", "shape": [None, None, None], "dtype": "floating"}
        images = {"type": "array", "items": image, "maxItems": POOL}
        return {
            "type": "object",
            "required": ["images", "generator"],
            "properties": {"images": images, "generator": {"type": "random"}},
        }


@function("mix", cite="gulrajani2017wgangp")
class Mix(Function):
    """A random point between two images, `e a + (1 - e) b` with one e in [0, 1] for each image: `b c h w` of one shape.

    Where a gradient penalty looks (Gulrajani et al. 2017, algorithm 1).
    """

    operands = (2, 2)

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    @classmethod
    def shape(cls, *shapes: Shape) -> Shape:  # noqa: D102  as in Function
        _hold_together(cls.name, "shape", *shapes)
        return shapes[0]

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102
        first, second = tensors
        share = torch.rand(len(first), generator=self._generator).to(first).view(-1, *[1] * (first.ndim - 1))
        return share * first + (1 - share) * second

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._generator.set_state(state["generator"].cpu())


@function("unit", takes=SIGNED, gives=UNIT)
class Unit(Function):
    """Images of a tanh in the range of a screen, `(x + 1) / 2`: [-1, 1] to [0, 1]."""

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102  as in Function
        return to_unit(tensors[0], "tanh")


class Convert(Function):
    """What turns an image of `takes` channels into one of `gives`; not itself a function of a flow."""

    takes: ClassVar[tuple[int, ...]] = (3,)
    gives: ClassVar[int] = 1

    @classmethod
    def shape(cls, *shapes: Shape) -> Shape:  # noqa: D102  as in Function
        channels, *size = shapes[0]
        if channels is not None and channels not in cls.takes:
            wanted = " or ".join(map(str, cls.takes))
            raise FunctionError(f"`{cls.name}` takes images of {wanted} channels, got {channels}")
        return (cls.gives, *size)


@function("grey")
class Grey(Convert):
    """The brightness of images, Rec. 601: `b 3 h w -> b 1 h w`, in the same range; a grey image as it is."""

    takes = (1, 3)

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102
        return luminance(tensors[0])


@function("lightness", takes=UNIT, gives=UNIT)
class Lightness(Convert):
    """The lightness of sRGB colours, the L of the block `RGBToLab`: `b 3 h w -> b 1 h w`, both in [0, 1]."""

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102
        return RGBToLab()(tensors[0])[0]


@function("chroma", takes=UNIT, gives=AB)
class Chroma(Convert):
    """The colours of sRGB images without their lightness, the ab of `RGBToLab`: `b 3 h w -> b 2 h w`.

    In [0, 1], but for a of magenta, 1.0013.
    """

    gives = 2

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102
        return RGBToLab()(tensors[0])[1]


def make_functions(values: Iterable[Value], seed: Callable[[str], int]) -> dict[str, Function]:
    """A function for each call of one in these values, by the text of the call: each pool has images of its own."""
    calls = {str(part): part.name for value in values for part in value.walk() if part.kind == "call"}
    return {text: functions[name].factory(seed(text)) for text, name in calls.items() if name in functions}


def _hold_together(name: str, what: str, first: Shape, other: Shape) -> None:
    if any(a != b for a, b in zip(first, other, strict=True) if None not in (a, b)):
        raise FunctionError(f"`{name}` takes images of one {what}, got {words(first)} and {words(other)}")


def words(shape: Shape) -> str:
    """`3x256x?`."""
    return "x".join("?" if size is None else str(size) for size in shape)
