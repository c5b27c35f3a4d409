"""VGG (Simonyan and Zisserman 2015) as a frozen network whose features a loss compares.

The weights are torchvision's for ImageNet, from the torch hub cache or a given file; they are no part of a run:
never trained, saved or averaged. Each network is built once for a device and kept.
"""

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from crossband.graphs.language.files import open_file
from crossband.recipes.basics.pretrained import Unavailable, read_tensors, weights_file
from crossband.recipes.kinds.loss import LossInputError
from crossband.registry import suggest

Name: TypeAlias = Literal["vgg16", "vgg19"]
# in each block, before its pooling; kept here because checking a recipe must not import torchvision, which is slow
CONVOLUTIONS: dict[Name, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def layers(name: Name) -> dict[str, int]:
    """The layers that can be compared, `conv1_1`, `relu1_1`, ... in their order, with the side of a cell in pixels."""
    return {
        f"{kind}{block}_{number}": 2 ** (block - 1)
        for block, count in enumerate(CONVOLUTIONS[name], 1)
        for number in range(1, count + 1)
        for kind in ("conv", "relu")
    }


def least_side(name: Name, wanted: Iterable[str]) -> int:
    """The smallest image side that reaches the layers `wanted`. Raises LossInputError for unknown or no layers."""
    known, sides = layers(name), [1]
    for layer in wanted:
        if layer not in known:
            relus = [each for each in known if each.startswith("relu")]
            raise LossInputError(f"{name} has no layer `{layer}`", hint=suggest(layer, relus))
        sides.append(known[layer])
    if len(sides) == 1:
        raise LossInputError("`perceptual` compares no layer", hint="write `layers: {relu3_3: 1.0}`")
    return max(sides)


def frozen(
    name: Name, wanted: Iterable[str], device: torch.device, dtype: torch.dtype, file: str | None, *, random: bool
) -> nn.Module:
    """The network that gives, for an image `b 3 h w`, a dict of the layers `wanted` by name.

    It ends with the deepest of them. Raises Unavailable where there are no weights for it.
    """
    return _built(name, tuple(wanted), str(device), dtype, None if random else str(_file(name, file)))


def source(name: Name, file: str | None, *, random: bool) -> str:
    """Describe the weights for the record of a run: their file and its SHA-256, or the seed."""
    if random:
        return "random weights, seed 0"
    path = _file(name, file)
    with open_file(path) as stream:
        return f"{path}, sha256 {hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _file(name: Name, file: str | None) -> Path:
    from torchvision.models import VGG16_Weights, VGG19_Weights

    if file is None:
        return weights_file({"vgg16": VGG16_Weights, "vgg19": VGG19_Weights}[name].IMAGENET1K_V1.url)
    if not Path(file).is_file():
        raise Unavailable(f"there are no weights of {name} at `{file}`")
    return Path(file)


@functools.cache
def _built(name: Name, wanted: tuple[str, ...], device: str, dtype: torch.dtype, file: str | None) -> nn.Module:
    network = _extractor(name, wanted)
    if file is None:
        _draw(network)
    else:
        network.load_state_dict(_tensors(name, file, network.state_dict()), assign=True)
    return network.requires_grad_(False).eval().to(device, dtype)


def _extractor(name: Name, wanted: Collection[str]) -> nn.Module:
    """torchvision's layers up to the deepest one `wanted`, without memory for their weights."""
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    with torch.device("meta"):
        model: Any = get_model(name, weights=None, init_weights=False)
    whole: nn.Sequential = model.features
    places = [str(index) for index, layer in enumerate(whole) if not isinstance(layer, nn.MaxPool2d)]
    named = {place: layer for place, layer in zip(places, layers(name), strict=True) if layer in wanted}
    for layer in whole:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # or it would overwrite the convolution before it, which may be wanted too
    return create_feature_extractor(whole, named)


def _draw(network: nn.Module) -> None:
    """Random weights, the same ones every time, with torch's random state left alone."""
    network.to_empty(device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()


def _tensors(name: Name, file: str, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in a file for each of a network's `own`. Raises Unavailable where one is missing or does not fit."""
    kept = read_tensors(Path(file), "cpu")
    for key, wanted in own.items():
        found = kept.get(f"features.{key}")
        if found is None or found.shape != wanted.shape:
            wrong = "lacks" if found is None else "has another shape for"
            raise Unavailable(f"`{file}` is not {name} as torchvision keeps it: it {wrong} `features.{key}`")
    return {key: kept[f"features.{key}"] for key in own}
