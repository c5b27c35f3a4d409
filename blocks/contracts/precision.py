"""Full precision inside autocast, for arithmetic that half precision would spoil."""

import contextlib

import torch
from torch import Tensor


def autocasts(device: torch.device) -> bool:
    """Whether autocast is on for this kind of device."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def full_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context without autocast. It does nothing where autocast is off, so that exported programs stay plain."""
    return torch.autocast(device.type, enabled=False) if autocasts(device) else contextlib.nullcontext()


def widened(tensor: Tensor) -> Tensor:
    """The tensor in at least float32."""
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor
