"""Weights files, which need nothing beside them.

They are safetensors whose metadata hold the resolved graph: reading one cannot run code. They are written under a
temporary name and renamed.
"""

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import crossband
from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import near_file
from crossband.recipes.basics.files import PICKLED, is_pickled, replacing
from crossband.registry import CrossbandError

KEY = "crossband"


class CheckpointError(CrossbandError):
    """A file is no checkpoint of crossband, is damaged, or belongs to another network."""


@dataclass(frozen=True)
class Weights:
    """One network on disk: its resolved graph as YAML, the digest of it, its tensors, and facts about its training.

    The facts of a network that a recipe trained: `crossband` (the version), `network` (its name in the
    recipe), `recipe`, `step`, `task` (`{from, to}`), `range` (the numbers that stand for 0 and 1 of an
    image), `channels` by band, `scale` by band: the values of image files that stand for 0 and 1, where declared;
    `images` by band: the `channels` and the type of the `pixels` of image files, and whether `luminance` is taken;
    `plugins`, where there were any.
    """

    file: Path
    graph: str
    digest: str
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)


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
        save_file(own, temporary, {KEY: json.dumps(header)})


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a weights file. Raises CheckpointError if it is missing, damaged or not from crossband."""
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"{file}: no such weights file", hint=near_file(file) or RELATIVE)
    if is_pickled(file):
        raise CheckpointError(f"{file}: is pickled, and crossband reads safetensors", hint=PICKLED)
    try:
        with safe_open(file, "pt") as stream:
            header = json.loads((stream.metadata() or {}).get(KEY, "null"))
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError, ValueError) as error:
        hint = "`crossband train` writes them into the folder `weights` of a run"
        raise CheckpointError(f"{file}: not a weights file: {error}", hint=hint) from None
    if not isinstance(header, dict) or not {"graph", "digest", "facts"} <= header.keys():
        hint = "files that `crossband train` writes hold their network's graph"
        raise CheckpointError(f"{file}: these weights do not say which network they belong to", hint=hint)
    facts = {**header["facts"], "crossband": header.get("version")}
    return Weights(file, header["graph"], header["digest"], tensors, facts)


def put_weights(network: nn.Module, weights: Weights) -> None:
    """Load weights into a network. Raises CheckpointError, with how the two graphs differ, where they do not fit."""
    meta: Any = network.meta
    if weights.digest != meta["digest"]:
        raise CheckpointError(
            f"{weights.file}: these weights belong to another network\n{difference(weights.graph, meta['graph'])}",
            hint="use the recipe they were trained with, or change the graph to what the file holds",
        )
    try:
        network.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        raise CheckpointError(f"{weights.file}: damaged: {error}") from None


def difference(theirs: str, ours: str) -> str:
    """What distinguishes two graphs given as YAML, line by line: `-` is in the file, `+` in the graph asked for."""
    lines = difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "in the file", "asked for", lineterm="", n=1)
    return "\n".join(lines) or "the same graph by its text"
