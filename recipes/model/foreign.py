"""Networks that begin with weights which something else trained: files of torch, renamed by a key map.

Nothing is downloaded and nothing unpickled: a file is read with `weights_only=True`, which takes tensors, plain data
and the numbers of NumPy.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from crossband.graphs.building.key_maps import RenamingError, load_key_map
from crossband.recipes.basics.pretrained import weights_file
from crossband.recipes.basics.readback import CheckpointError, Damaged, unpickled
from crossband.registry import suggest

TORCHVISION = "torchvision/"
# a metric of the best epoch is often kept beside the weights, as a number of NumPy 1 or 2
_NUMBERS: list[Any] = [
    (np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")
] + [np.dtype, *(type(np.dtype(name)) for name in ("float32", "float64", "int64"))]


def put_foreign(network: nn.Module, file: str, keys: str, into: str = "") -> None:
    """Fill a network, or its node `into`, from a file of weights by the key map `keys`; the rest stays as it is.

    `file` is a path, or `torchvision/resnet101`, which stands for the file in torch's ordinary cache. Raises
    CheckpointError for a file that is missing, damaged or holds other weights, Unavailable for one that is not
    in the cache, InvalidFile for a wrong key map.
    """
    key_map, own = load_key_map(keys), network.state_dict()
    try:
        renamed = key_map.renamed(load_foreign(file, key_map.inside), own, into)
    except RenamingError as error:
        raise CheckpointError(f"{file}: {error}") from None
    network.load_state_dict({**own, **renamed})


def load_foreign(file: str, inside: str | None = None) -> dict[str, Tensor]:
    """The named tensors of a file that torch or safetensors wrote; with `inside`, those under this key, if it is there.

    Raises CheckpointError, or Unavailable for a file of torchvision that is not in the cache.
    """
    path = _cached(file) if file.startswith(TORCHVISION) else Path(file)
    if not path.is_file():
        raise CheckpointError(f"{file}: no such weights file")
    if path.suffix == ".safetensors":
        whole = _loaded(path)
    else:
        hint = "a file that holds more than tensors and plain data must be saved again without the rest"
        with torch.serialization.safe_globals(_NUMBERS):
            whole = unpickled(path, "a file of weights", hint=hint)
    if inside and isinstance(whole, Mapping) and inside in whole:
        whole = whole[inside]
    tensors = isinstance(whole, Mapping) and {name: each for name, each in whole.items() if isinstance(each, Tensor)}
    if not isinstance(tensors, dict) or not tensors or len(tensors) < len(whole):
        kept = ", ".join(f"`{name}`" for name in list(whole)[:4]) if isinstance(whole, Mapping) else "no mapping"
        hint = "say in the key map where in the file they are (`inside:`)"
        raise CheckpointError(f"{file}: named tensors are expected, got {kept}", hint=hint)
    return tensors


def _loaded(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of safetensors. Raises Damaged."""
    try:
        return load_file(path)
    except (SafetensorError, ValueError):
        raise Damaged(f"{path}: not a file of weights, or damaged") from None


def _cached(file: str) -> Path:
    """The cached file of a model of torchvision: of its first published weights, or of those named after a `/`."""
    from torchvision.models import get_model_weights, list_models

    model, _, wanted = file.removeprefix(TORCHVISION).partition("/")
    known = list_models()
    if model not in known:
        hint = suggest(f"{TORCHVISION}{model}", [f"{TORCHVISION}{name}" for name in known])
        raise CheckpointError(f"{file}: torchvision has no model `{model}`", hint=hint)
    weights: Any = get_model_weights(model)
    published = {each.name: each.url for each in weights}
    if wanted and wanted not in published:
        raise CheckpointError(f"{file}: no such weights", hint=f"choose from {', '.join(published)}")
    return weights_file(published[wanted] if wanted else next(iter(published.values())))
