"""The mean images of a training set, kept in the folder of its run: other images are measured against them.

They are tensors in a file of safetensors, written whole. Beside them stands a hash of the training images, by which
these are known again where their folder has moved.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from crossband.recipes.basics.files import replacing
from crossband.recipes.basics.formats import MEANS
from crossband.recipes.basics.readback import Damaged, checked, parsed
from crossband.recipes.kinds.source import Source
from crossband.recipes.metrics.baselines import MeanTarget

KEY = "crossband"
PROBES = 16  # images of a band that are looked into, to know a training set again


@dataclass(frozen=True)
class MeanImages:
    """The mean training image `c h w` in [0, 1] by band; `images` is a hash of all, None where they are in no files."""

    means: Mapping[str, Tensor] = field(default_factory=dict)
    images: str | None = None

    def target(self, band: str) -> MeanTarget | None:
        """The baseline that translates every image to the mean one of a band."""
        return MeanTarget.kept(self.means[band]) if band in self.means else None


def training_images(source: Source) -> str | None:
    """A hash by which the training images of a source are known again: of their names, and of some of the files.

    None where they are in no files.
    """
    found = hashlib.sha256()
    for band in source.bands:
        names = list(source.names("train", band))
        found.update(repr((band, names)).encode())
        for at in sorted({int(at) for at in np.linspace(0, len(names) - 1, PROBES)}):
            if (content := source.fingerprint(names[at], band)) is None:
                return None
            found.update(content)
    return found.hexdigest()


def write_mean_images(file: Path, found: MeanImages) -> None:
    """Write them, whole or not at all, in place of others. Raises FileError."""
    with replacing(file) as temporary:
        own = {band: mean.clamp(0, 1).contiguous() for band, mean in found.means.items()}
        temporary.write_bytes(save(own, {KEY: json.dumps({"images": found.images})}))


def read_mean_images(file: Path) -> MeanImages:
    """What a run keeps; nothing where there is no such file, as in runs of older versions. Raises Damaged."""
    if not os.path.lexists(file):
        return MeanImages()
    try:
        with safe_open(file, "pt") as stream:
            text = (stream.metadata() or {}).get(KEY, "{}")
            means = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, ValueError, OSError):
        raise Damaged(f"{file}: no file of mean images, or damaged", hint=MEANS.hint) from None
    written = parsed(text, file, MEANS.hint)
    found = checked({**written, "means": means} if isinstance(written, dict) else written, MEANS, file)
    for band, mean in means.items():
        if mean.shape[0] not in (1, 3) or not mean.numel() or not ((mean >= 0) & (mean <= 1)).all():
            raise Damaged(f"{file}: damaged: `{band}` is no image in [0, 1]", hint=MEANS.hint)
    return MeanImages({band: mean.float() for band, mean in means.items()}, found.get("images"))
