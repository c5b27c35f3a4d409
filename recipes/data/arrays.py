"""Images in memory: arrays, pictures of Pillow and tensors, with the values that their types stand for."""

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from crossband.recipes.data.formats import MODES, ImageError, pixels_of

ROUNDING = 1e-3  # how far beyond [0, 1] filters and half precision may lead: a quarter of a step of 8 bits


def as_pixels(image: Any) -> np.ndarray:
    """An image in memory as `h w c` with 1 or 3 channels: uint8, uint16, or float32 in [0, 1].

    It is an array `h w` or `h w c` of one of these types (or of other floating-point numbers in [0, 1]), a picture of
    Pillow, which is taken as its file would be, or a tensor `c h w` of floating-point numbers in [0, 1].

    Raises ImageError where it is anything else: what the values of other types stand for cannot be known.
    """
    if isinstance(image, Image.Image):
        return _of_picture(image)
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if hasattr(image, "detach"):
        if image.ndim != 3:
            raise ImageError(f"an image is a tensor `c h w`, got the shape {list(image.shape)}")
        check_values(image)
        return _of_array(image.detach().float().cpu().numpy().transpose(1, 2, 0))
    kinds = "an array, a picture of Pillow or a tensor"
    raise ImageError(f"an image is {kinds}, got {type(image).__name__}", hint="`crossband translate` takes files")


def check_values(tensor: Any) -> None:
    """Raise ImageError unless a tensor has floating-point numbers in [0, 1], up to rounding."""
    if tensor.device.type == "meta" or str(tensor.layout) != "torch.strided":
        raise ImageError("an image is a tensor of plain values, got one that is sparse or has none")
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        hint = "divide it by the value that is white, such as 255"
        raise ImageError(f"a tensor has floating-point numbers in [0, 1], got {kind}", hint=hint)
    _check_unit(tensor)


def _of_picture(picture: Image.Image) -> np.ndarray:
    if picture.mode not in MODES:
        raise ImageError(f"cannot use a picture of {picture.mode} pixels", hint='`picture.convert("RGB")`, or "L"')
    if not all(picture.size):
        raise ImageError("the picture has no pixels")
    return pixels_of(ImageOps.exif_transpose(picture))


def _of_array(array: np.ndarray) -> np.ndarray:
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.size == 0:
        hint = "for several images at once, give a tensor `b c h w`" if array.ndim == 4 else None
        message = f"an image is an array `h w`, `h w 1` or `h w 3`, got the shape {list(array.shape)}"
        raise ImageError(message, hint=hint)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize in (1, 2):
        return pixels.astype(f"uint{8 * pixels.dtype.itemsize}")  # in the byte order of this machine
    if pixels.dtype.kind != "f":
        hint = "convert it to uint8, to uint16, or to floating-point numbers in [0, 1]"
        raise ImageError(f"what {pixels.dtype} pixels stand for cannot be known", hint=hint)
    _check_unit(pixels)
    return pixels.astype(np.float32).clip(0, 1)


def _check_unit(values: Any) -> None:
    """Raise ImageError unless an array or a tensor lies in [0, 1], up to rounding."""
    low, high = float(values.min()), float(values.max())
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return
    hint = None
    if low >= 0:
        hint = "divide it by the value that is white, such as 255"
    elif low >= -1 - ROUNDING and high <= 1 + ROUNDING:
        hint = "`(image + 1) / 2` brings [-1, 1] to [0, 1]"
    raise ImageError(f"floating-point images are in [0, 1], got values from {low:.4g} to {high:.4g}", hint=hint)
