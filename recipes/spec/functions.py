"""Functions of a flow that are not networks: `cat(visible, fake)`, `pool(fake)`.

A function takes tensors and gives one; it has no weights. One that remembers something over the
steps keeps it in a state that goes into the checkpoint.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

POOL = 50  # images that a pool remembers (CycleGAN; Shrivastava et al. 2017)


class Function(Protocol):
    """What a flow may call beside its networks; `operands` says how many values it takes, at least and at most."""

    operands: tuple[int, int | None]

    def __init__(self, seed: int) -> None: ...

    def __call__(self, *tensors: Tensor) -> Tensor:
        """The value for these operands."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What it remembers: tensors, numbers, lists and dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` gave."""


class Cat(Function):
    """Images side by side as channels: `b c1 h w, b c2 h w -> b c1+c2 h w`, any number of them."""

    operands = (2, None)

    def __call__(self, *tensors: Tensor) -> Tensor:  # noqa: D102  as in Function
        return torch.cat(tensors, 1)


class Pool(Function):
    """A history of generated images: half of the time a critic sees an older one. `b c h w -> b c h w`, no gradient.

    Each image of the batch, once 50 are remembered, is with probability 1/2 exchanged for one of
    them drawn at random (CycleGAN, Zhu et al. 2017, section 4, after Shrivastava et al. 2017).
    """

    operands = (1, 1)

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
        return older

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"images": list(self._images), "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._images = list(state["images"])
        self._generator.set_state(state["generator"].cpu())


FUNCTIONS: dict[str, type[Function]] = {"cat": Cat, "pool": Pool}


def shape_of(name: str, shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    """The shape, batch aside, of a function's value: `cat` adds channels up, the others keep their operand's."""
    if name != "cat":
        return shapes[0]
    channels = [shape[0] for shape in shapes]
    return (None if None in channels else sum(c for c in channels if c is not None), *shapes[0][1:])
