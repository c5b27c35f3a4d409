"""The saved state of a training run: tensors, numbers, text, lists and dicts only.

It is read with `weights_only=True`, so that it cannot run code, and written under a temporary name and renamed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from crossband.recipes.basics.files import replacing
from crossband.recipes.basics.formats import STATE
from crossband.recipes.basics.readback import CheckpointError, checked, unpickled

STATE_FORMAT = 1


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write the state of a training run: tensors, numbers, text, lists and dicts."""
    with replacing(path) as temporary, temporary.open("wb") as stream:  # of a file of its own torch tells no reason
        torch.save({"format": STATE_FORMAT, **state}, stream)


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a state that `save_state` wrote. Raises CheckpointError, of which one is Damaged."""
    file = Path(path)
    if not os.path.exists(file):
        raise CheckpointError(f"{file}: no training state", hint="`--resume` takes the folder of a run that saved one")
    state = unpickled(file, "a training state", hint=STATE.hint)
    found = state.get("format") if isinstance(state, dict) else None
    if type(found) is int and found != STATE_FORMAT:
        raise CheckpointError(f"{file}: the training state must have the format {STATE_FORMAT}, got {found}")
    return checked(state, STATE, file)
