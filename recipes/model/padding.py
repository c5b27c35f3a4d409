"""Images of any size through a network that admits only some: padded by reflection, and cropped back."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from crossband.blocks.contracts.sizes import evaluate, symbols_of
from crossband.graphs.plans.plan import Plan
from crossband.registry import CrossbandError


class SizeError(CrossbandError, ValueError):
    """No padding brings an image to a size that the networks admit."""


def padded_size(plans: Iterable[Plan], height: int, width: int) -> tuple[int, int]:
    """The smallest height and width, from these on, that every one of the networks admits. Raises SizeError."""
    plans, size = list(plans), (height, width)
    for _ in range(16):  # each network may ask for more than the one before
        before = size
        for plan in plans:
            size = _padded(plan, *size)
        if size == before:
            return size
    raise SizeError(f"no padding of {height}x{width} suits {' and '.join(plan.graph.name for plan in plans)} together")


def _padded(plan: Plan, height: int, width: int) -> tuple[int, int]:
    axes = list(plan.image or ())[2:]
    sides = list(zip(axes, (height, width), strict=True))
    if any(isinstance(axis, int) and side > axis for axis, side in sides):
        raise SizeError(f"`{plan.graph.name}` takes images of {axes[0]}x{axes[1]}, got {height}x{width}")
    free = {name: side for axis, side in sides for name in symbols_of(axis)}
    found = plan.sizes.padded(**free)
    if not plan.sizes.admits(**found):
        raise SizeError(f"no padding brings {height}x{width} to what `{plan.graph.name}` takes: {plan.sizes}")
    padded_height, padded_width = (int(evaluate(axis, found)) for axis in axes)
    return padded_height, padded_width


def pad(image: Tensor, height: int, width: int) -> Tensor:
    """Pad `b c h w` on all sides to `height` and `width` by reflection, repeated where the image is small."""
    while image.shape[-2:] != (height, width):
        missing = height - image.shape[-2], width - image.shape[-1]
        rows, columns = (_halves(wanted, size) for wanted, size in zip(missing, image.shape[-2:], strict=True))
        if any((*rows, *columns)):
            image = F.pad(image, (*columns, *rows), "reflect")
        else:  # a single row or column has nothing to reflect
            rows, columns = ((wanted // 2, wanted - wanted // 2) for wanted in missing)
            image = F.pad(image, (*columns, *rows), "replicate")
    return image


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """The middle `height` and `width` of `b c h w`: what `pad` was given."""
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


def fit_by_padding(network: nn.Module, plan: Plan) -> None:
    """Let a network take images of any size: `fit: pad` of a recipe.

    Images are padded on the way in; outputs of the padded size are cropped on the way out, others stay. The module
    stays the same, and so do the names of its weights.
    """
    forward = network.forward

    def padded(*images: Tensor) -> Any:
        height, width = images[0].shape[-2:]
        inside = padded_size([plan], height, width)
        result = forward(*(pad(image, *inside) for image in images))
        outputs = result if isinstance(result, dict) else {"": result}
        cropped = {name: crop(x, height, width) if x.shape[-2:] == inside else x for name, x in outputs.items()}
        return cropped if isinstance(result, dict) else cropped[""]

    network.forward = padded


def _halves(missing: int, size: int) -> tuple[int, int]:
    """How much to add before and after, which is less than the image has."""
    most = max(size - 1, 0)
    before = min(missing // 2, most)
    return before, min(missing - before, most)
