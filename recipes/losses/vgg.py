"""VGG (Simonyan and Zisserman 2015) as a frozen network whose features a loss compares.

The weights are torchvision's for ImageNet, from the torch hub cache or a given file; they are no part of a run:
never trained, saved or averaged. Each network is built once for a device and kept.
"""

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from crossband.recipes.basics.pretrained import Unavailable, read_tensors, weights_file
from crossband.recipes.kinds.loss import LossInputError
from crossband.registry import suggest

Name: TypeAlias = Literal["vgg16", "vgg19"]
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # in each block; a pooling follows each block


def layers(name: Name) -> dict[str, tuple[int, int]]:
    """The layers that can be compared, `conv1_1`, `relu1_1`, ...: where each stands, and the side of its cells."""
    found, index = {}, 0
    for block, count in enumerate(CONVOLUTIONS[name]):
        for number in range(count):
            found[f"conv{block + 1}_{number + 1}"] = (index, 2**block)
            found[f"relu{block + 1}_{number + 1}"] = (index + 1, 2**block)
            index += 2
        index += 1
    return found


def least_side(name: Name, wanted: Iterable[str]) -> int:
    """The smallest image side that reaches the layers `wanted`. Raises LossInputError for unknown or no layers."""
    known, sides = layers(name), [1]
    for layer in wanted:
        if layer not in known:
            relus = [each for each in known if each.startswith("relu")]
            raise LossInputError(f"{name} has no layer `{layer}`", hint=suggest(layer, relus))
        sides.append(known[layer][1])
    if len(sides) == 1:
        raise LossInputError("`perceptual` compares no layer", hint="write `layers: {relu3_3: 1.0}`")
    return max(sides)


def features(network: nn.Sequential, name: Name, wanted: Iterable[str], image: Tensor) -> dict[str, Tensor]:
    """What the layers `wanted` make of an image `b 3 h w`."""
    known = layers(name)
    places = {known[layer][0]: layer for layer in wanted}
    found = {}
    for index, layer in enumerate(network):
        image = layer(image)
        if index in places:
            found[places[index]] = image
    return found


def frozen(
    name: Name, wanted: Iterable[str], device: torch.device, dtype: torch.dtype, file: str | None, *, random: bool
) -> nn.Sequential:
    """The network up to the deepest layer `wanted`. Raises Unavailable where there are no weights for it."""
    known = layers(name)
    depth = max(known[layer][0] for layer in wanted) + 1
    return _built(name, depth, str(device), dtype, None if random else str(_file(name, file)))


def source(name: Name, file: str | None, *, random: bool) -> str:
    """Describe the weights for the record of a run: their file and its SHA-256, or the seed."""
    if random:
        return "random weights, seed 0"
    path = _file(name, file)
    with path.open("rb") as stream:
        return f"{path}, sha256 {hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _file(name: Name, file: str | None) -> Path:
    from torchvision.models import VGG16_Weights, VGG19_Weights

    if file is None:
        return weights_file({"vgg16": VGG16_Weights, "vgg19": VGG19_Weights}[name].IMAGENET1K_V1.url)
    if not Path(file).is_file():
        raise Unavailable(f"there are no weights of {name} at `{file}`")
    return Path(file)


@functools.cache
def _built(name: Name, depth: int, device: str, dtype: torch.dtype, file: str | None) -> nn.Sequential:
    if file is None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            network = _sequence(name, depth)
    else:
        with torch.device("meta"):
            network = _sequence(name, depth)
        tensors = read_tensors(Path(file), "cpu")
        own = {key: tensors.get(f"features.{key}") for key in network.state_dict()}
        for key, wanted in network.state_dict().items():
            found = own[key]
            if found is None or found.shape != wanted.shape:
                wrong = "lacks" if found is None else "has another shape for"
                raise Unavailable(f"`{file}` is not {name} as torchvision keeps it: it {wrong} `features.{key}`")
        network.load_state_dict(own, assign=True)
    return network.requires_grad_(False).eval().to(device, dtype)


def _sequence(name: Name, depth: int) -> nn.Sequential:
    found: list[nn.Module] = []
    channels = 3
    for block, count in enumerate(CONVOLUTIONS[name]):
        for _ in range(count):
            width = min(64 * 2**block, 512)
            found += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        found.append(nn.MaxPool2d(2))
    return nn.Sequential(*found[:depth])
