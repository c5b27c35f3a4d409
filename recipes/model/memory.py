"""Whether images fit into memory: known from what networks hold at the least, before anything is allocated."""

import math
from collections.abc import Collection, Iterable, Mapping

import torch

from crossband.graphs.plans.image_size import symbols_at
from crossband.graphs.plans.memory import least_memory, memory_at_hand
from crossband.graphs.plans.plan import Plan
from crossband.recipes.language.flow import Value
from crossband.recipes.model.padding import padded_size
from crossband.registry import CrossbandError

USUAL = 2**14  # bytes that networks take for a pixel, a few times what most do: where so many are there, none is asked


class TooLarge(CrossbandError):
    """Images are larger, or more at once, than the memory at hand can hold."""


def on_images(values: Iterable[Value], bands: Collection[str], plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The networks that a flow gives the images of bands as they are, and not something smaller made of them."""
    calls = [part for value in values for part in value.walk() if part.kind == "call" and part.name in plans]
    return {call.name: plans[call.name] for call in calls if all(_is_image(each, bands) for each in call.operands)}


def _is_image(value: Value, bands: Collection[str]) -> bool:
    if value.kind == "name":
        return value.name in bands
    return value.kind == "call" and value.name == "cat" and all(_is_image(each, bands) for each in value.operands)


def check_memory(
    plans: Mapping[str, Plan],
    size: tuple[int, int, int],
    *,
    device: torch.device,
    hint: str,
    width: int = 4,
    training: bool = False,
) -> None:
    """Raise TooLarge if a network takes more memory for a `size`, batch, height and width, than the device has.

    `width` are the bytes of a number. Images that are padded on their way in are so here.
    """
    batch, *sides = size
    free = memory_at_hand(device)
    if free is None or batch * sides[0] * sides[1] * USUAL <= free:
        return
    for name, plan in plans.items():
        numbers = symbols_at(plan, *padded_size([plan], *sides))
        needed = (least_memory(plan, numbers, batch=batch, training=training) or 0) * width // 4
        if needed > free:
            raise _too_large(size, needed, f"in the network `{name}`, and {device} has {_words(free)}", hint)


def check_images(size: tuple[int, int, int], channels: int, *, hint: str) -> None:
    """Raise TooLarge if images of a `size`, batch, height and width, do not fit into the memory of this machine."""
    free, needed = memory_at_hand(), math.prod(size) * channels * 4
    if free is not None and needed > free:
        raise _too_large(size, needed, f"as {channels} channels, and this machine has {_words(free)}", hint)


def _too_large(size: tuple[int, int, int], needed: int, where: str, hint: str) -> TooLarge:
    """The error for images of a size that need so many bytes."""
    batch, height, width = size
    images = f"{height}x{width} pixels" if batch == 1 else f"{batch} images of {height}x{width} pixels"
    return TooLarge(f"{images} take at least {_words(needed)} {where}", hint=hint)


def _words(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
