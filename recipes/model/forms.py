"""Images in the form in which they come to a model, array, picture of Pillow or tensor; results in the same form."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from crossband.recipes.data.arrays import as_pixels, check_values
from crossband.recipes.data.images import ImageError, read_image
from crossband.recipes.model.inputs import Input
from crossband.recipes.model.task import Range, Task


def by_band(image: Any, task: Task) -> dict[str, Any]:
    """The image of each band that a task translates: one, or of several a mapping. Raises ImageError."""
    if not isinstance(image, Mapping):
        image = {task.source: image} if len(task.sources) == 1 else {}
    if missing := [band for band in task.sources if band not in image]:
        wanted = ", ".join(f'"{band}": ...' for band in task.sources)
        raise ImageError(f"there is no image of {' and '.join(missing)}", hint=f"give a mapping by band, {{{wanted}}}")
    return {band: image[band] for band in task.sources}


def to_batch(image: Any, wanted: Input) -> Tensor:
    """An image in any form as a tensor `b c h w` in [0, 1], c = 1 or 3.

    The scale of `wanted` is that of 8 and 16 bits; without it that is their full scale. Raises ImageError where the
    image is of no such form, has values beyond it, or is not as training would have it; warns where it is odd.
    """
    if isinstance(image, Tensor):
        if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or image.numel() == 0:
            message = f"images are a tensor `c h w` or `b c h w`, c = 1 or 3, got the shape {list(image.shape)}"
            raise ImageError(message)
        check_values(image)
        if image.shape[-3] == 3 and not bool((image == image[..., :1, :, :]).all()):
            wanted.refuse_colours()
        return image.detach().clamp(0, 1).float().reshape(-1, *image.shape[-3:])
    pixels = as_pixels(image)
    if pixels.dtype.kind == "f":
        return wanted.on_full_scale().to_unit(pixels)
    wanted.check_type(pixels.dtype, "give raw values of 16 bits, or floating-point numbers in [0, 1]")
    unit = wanted.to_unit(pixels)
    for note in wanted.notes(pixels):
        warnings.warn(note, stacklevel=7)  # where the model is called, torch's own frames between
    return unit


def read_batch(image: Any, wanted: Input) -> Tensor:
    """An image in any form, or in a file, as a tensor `b c h w` in [0, 1]: see `to_batch`. Raises ImageError."""
    if not isinstance(image, str | os.PathLike):
        return to_batch(image, wanted)
    pixels = read_image(image)
    try:
        return wanted.to_unit(pixels) if wanted.scale else to_batch(pixels, wanted)
    except ImageError as error:
        raise ImageError(f"{os.fspath(image)}: {error.message}", hint=error.hint) from None


def like(image: Any, result: Tensor, scale: Range | None) -> Any:
    """A result `b c h w` in [0, 1] in the form in which the image came that it was made of.

    Of an array or picture of 8 or 16 bits, `scale` are the values that become 0 and 1 where it can hold them, else
    its full scale does. Pillow has no colours of 16 bits, and gets 8.
    """
    if isinstance(image, Tensor):
        return result.to(image).reshape(*image.shape[:-3], *result.shape[1:])
    pixels = result[0].permute(1, 2, 0).contiguous().cpu().numpy()
    if isinstance(image, Image.Image):
        wide = image.mode == "I;16" and pixels.shape[2] == 1
        whole = to_integers(pixels, np.dtype(np.uint16 if wide else np.uint8), scale)
        return Image.fromarray(whole[..., 0] if whole.shape[2] == 1 else whole)
    if image.dtype.kind == "u":
        pixels = to_integers(pixels, np.dtype(f"uint{8 * image.dtype.itemsize}"), scale)
    return pixels[..., 0] if image.ndim == 2 and pixels.shape[2] == 1 else pixels


def counted(image: Any, result: Tensor, scale: Range, pixels: str) -> Any:
    """A result `b c h w` in [0, 1] in the units of image files: of a tensor a tensor, of anything else an array."""
    low, high = scale
    if isinstance(image, Tensor):
        return (result * (high - low) + low).to(image).reshape(*image.shape[:-3], *result.shape[1:])
    found = to_counts(result[0].permute(1, 2, 0).contiguous().cpu().numpy(), scale, pixels)
    return found[..., 0] if getattr(image, "ndim", 3) == 2 and found.shape[2] == 1 else found


def to_counts(unit: np.ndarray, scale: Range, pixels: str) -> np.ndarray:
    """Pixels in [0, 1] in the units of image files, of the type of their `pixels`: uint8, uint16 or float32."""
    if not np.isfinite(unit).all():
        raise ImageError("the result has values that are not finite")
    low, high = scale
    values = unit.astype(np.float64) * (high - low) + low
    dtype = np.dtype(pixels)
    return values.astype(dtype) if dtype.kind == "f" else np.rint(values).clip(0, np.iinfo(dtype).max).astype(dtype)


def to_integers(unit: np.ndarray, dtype: np.dtype, scale: Range | None) -> np.ndarray:
    """Pixels in [0, 1] as whole numbers on a scale, or on the full scale of their type where it does not hold that."""
    if not np.isfinite(unit).all():
        raise ImageError("the result has values that are not finite")
    top = np.iinfo(dtype).max
    low, high = scale if scale and min(scale) >= 0 and max(scale) <= top else (0.0, top)
    return np.rint(unit.astype(np.float64) * (high - low) + low).astype(dtype)
