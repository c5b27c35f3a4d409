"""The saved state of a training run: tensors, numbers, text, lists and dicts only.

It is read with `weights_only=True`, so that it cannot run code, and written under a temporary name and renamed.
"""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from crossband.recipes.basics.files import replacing
from crossband.recipes.model.weights import CheckpointError

STATE_FORMAT = 1


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write the state of a training run: tensors, numbers, text, lists and dicts."""
    with replacing(path) as temporary:
        torch.save({"format": STATE_FORMAT, **state}, temporary)


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a state that `save_state` wrote. Raises CheckpointError."""
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"{file}: no training state", hint="`--resume` takes the folder of a run that saved one")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: not a training state: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict) or state.get("format") != STATE_FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise CheckpointError(f"{file}: the training state must have the format {STATE_FORMAT}, got {found}")
    return state
