"""Weights files, which need nothing beside them.

They are safetensors whose metadata hold the resolved graph: reading one cannot run code. They are written under a
temporary name and renamed.
"""

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import crossband
from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import near_file
from crossband.recipes.basics.files import PICKLED, is_pickled, replacing
from crossband.recipes.basics.formats import WEIGHTS, Format
from crossband.recipes.basics.readback import CheckpointError, Damaged, TensorInFile, checked, like, parsed

KEY = "crossband"
TYPES = {  # the words of safetensors for the types that weights have
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8},
}


@dataclass(frozen=True)
class Weights:
    """One network on disk: its resolved graph as YAML, the digest of it, its tensors, and facts about its training.

    The facts of a network that a recipe trained: `crossband` (the version), `network` (its name in the
    recipe), `recipe`, `step`, `task` (`{from, to}`), `range` (the numbers that stand for 0 and 1 of an
    image), `channels` by band, `scale` by band: the values of image files that stand for 0 and 1, where declared;
    `load`, the size to which test images are resized, if they are; `images` by band: the `channels` and the type of the
    `pixels` of image files, and whether `luminance` is taken; `plugins`, where there were any. Their types are in
    `crossband.recipes.basics.formats.WEIGHTS`.

    `header` has the sizes and types of the tensors, which are read once they are asked for.
    """

    file: Path
    graph: str
    digest: str
    header: Mapping[str, TensorInFile]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors by name. Raises Damaged where the file has changed meanwhile."""
        try:
            with safe_open(self.file, "pt") as stream:
                return {name: stream.get_tensor(name) for name in self.header}
        except (SafetensorError, ValueError):
            raise Damaged(f"{self.file}: damaged: its tensors cannot be read", hint=WEIGHTS.hint) from None


def save_weights(
    path: str | os.PathLike[str],
    network: nn.Module,
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the weights of a network made by `crossband.graphs.build`, or `tensors` in their place.

    `facts` are plain data that JSON can hold. Replaces what is there, whole or not at all.
    """
    meta: Any = network.meta
    header = {"version": crossband.__version__, "graph": meta["graph"], "digest": meta["digest"], "facts": dict(facts)}
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or network.state_dict()).items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(own, {KEY: json.dumps(header)}))  # `save_file` leaves files of its own if killed


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a weights file. Raises CheckpointError if it is missing, damaged or not from crossband."""
    file = Path(path)
    if not os.path.exists(file):
        raise CheckpointError(f"{file}: no such weights file", hint=near_file(file) or RELATIVE)
    if is_pickled(file):
        raise CheckpointError(f"{file}: is pickled, and crossband reads safetensors", hint=PICKLED)
    try:
        with safe_open(file, "pt") as stream:
            text = (stream.metadata() or {}).get(KEY)
            parts = {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118  not a dict
            header = {name: TensorInFile(part.get_shape(), TYPES.get(part.get_dtype())) for name, part in parts.items()}
    except (SafetensorError, ValueError):
        hint = "`crossband train` writes them into the folder `weights` of a run"
        raise Damaged(f"{file}: not a weights file, or damaged", hint=hint) from None
    if text is None:
        hint = "files that `crossband train` writes hold their network's graph"
        raise CheckpointError(f"{file}: these weights do not say which network they belong to", hint=hint)
    found = checked(parsed(text, file, WEIGHTS.hint), WEIGHTS, file)
    return Weights(file, found["graph"], found["digest"], header, {**found["facts"], "crossband": found.get("version")})


def check_weights(weights: Weights, network: nn.Module) -> None:
    """Hold weights to a network, which may be on the meta device: nothing of the tensors is read.

    Raises CheckpointError, with how the two graphs differ, where they belong to another one, and Damaged where their
    names, sizes or types are not those of the network.
    """
    meta: Any = network.meta
    if weights.digest != meta["digest"]:
        raise CheckpointError(
            f"{weights.file}: these weights belong to another network\n{difference(weights.graph, meta['graph'])}",
            hint="use the recipe they were trained with, or change the graph to what the file holds",
        )
    checked(weights.header, Format(like(network.state_dict()), WEIGHTS.hint), weights.file)


def put_weights(network: nn.Module, weights: Weights) -> None:
    """Load weights into a network. Raises CheckpointError where they do not fit, as `check_weights` does."""
    check_weights(weights, network)
    network.load_state_dict(dict(weights.tensors))


def difference(theirs: str, ours: str) -> str:
    """What distinguishes two graphs given as YAML, line by line: `-` is in the file, `+` in the graph asked for."""
    lines = difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "in the file", "asked for", lineterm="", n=1)
    return "\n".join(lines) or "the same graph by its text"
