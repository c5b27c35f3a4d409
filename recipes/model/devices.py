"""Where networks run: chosen here, for training as for everything else."""

import torch

from crossband.registry import CrossbandError


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is a CUDA device, else Apple's, else the CPU. Raises CrossbandError."""
    if name == "auto":
        return torch.device(next(kind for kind, there in _usable().items() if there))
    if not is_usable(name):
        there = ", ".join(f"`{kind}`" for kind, there in _usable().items() if there)
        raise CrossbandError(f"there is no device `{name}` here", hint=f"choose from `auto`, {there}")
    return torch.device(name)


def is_usable(name: str) -> bool:
    """Whether this machine has the device of that name, such as `cuda` or `cuda:1`."""
    kind, _, number = name.partition(":")
    if not _usable().get(kind, False) or not (number.isdigit() or not number):
        return False
    return kind != "cuda" or int(number or 0) < torch.cuda.device_count()


def _usable() -> dict[str, bool]:
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
