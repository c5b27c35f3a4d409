"""Images in the form in which they come to a model, array, picture of Pillow or tensor; results in the same form."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crossband.recipes.data.arrays import as_pixels, check_values
from crossband.recipes.data.images import ImageError, full_scale
from crossband.recipes.model.task import Range


def to_batch(image: Any, scale: Range | None) -> Tensor:
    """An image in any form as a tensor `b c h w` in [0, 1], c = 1 or 3.

    `scale` are the values of 8 and 16 bits that stand for 0 and 1; without it that is their full scale. Raises
    ImageError where the image is of no such form, or has values beyond it.
    """
    if isinstance(image, Tensor):
        if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or image.numel() == 0:
            message = f"images are a tensor `c h w` or `b c h w`, c = 1 or 3, got the shape {list(image.shape)}"
            raise ImageError(message)
        check_values(image)
        return image.detach().clamp(0, 1).float().reshape(-1, *image.shape[-3:])
    pixels = as_pixels(image)
    scale = scale if pixels.dtype.kind == "u" else None
    check_scale(pixels.dtype, scale, "give raw values of 16 bits, or floating-point numbers in [0, 1]")
    return to_unit(pixels, scale)


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


def check_scale(dtype: np.dtype, scale: Range | None, hint: str) -> None:
    """Raise ImageError where pixels of a type cannot have the values that stand for 0 and 1."""
    if scale is not None and dtype.kind in "iu" and max(scale) > np.iinfo(dtype).max:
        end = int(scale[0] < scale[1])
        raise ImageError(f"{dtype} pixels do not reach {max(scale):g}, which is to be {end}", hint=hint)


def to_unit(pixels: np.ndarray, scale: Range | None) -> Tensor:
    """Pixels `h w c` as float32 `1 c h w` in [0, 1]. Raises ImageError on values that are not finite."""
    if not np.isfinite(pixels).all():
        raise ImageError("has values that are not finite")
    low, high = scale or (0.0, full_scale(pixels.dtype))
    unit = ((pixels.astype(np.float64) - low) / (high - low)).clip(0, 1).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1)))[None]


def to_integers(unit: np.ndarray, dtype: np.dtype, scale: Range | None) -> np.ndarray:
    """Pixels in [0, 1] as whole numbers on a scale, or on the full scale of their type where it does not hold that."""
    if not np.isfinite(unit).all():
        raise ImageError("the result has values that are not finite")
    top = np.iinfo(dtype).max
    low, high = scale if scale and min(scale) >= 0 and max(scale) <= top else (0.0, top)
    return np.rint(unit.astype(np.float64) * (high - low) + low).astype(dtype)
