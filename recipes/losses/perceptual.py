"""The distance of two images in the features of a network that recognises things."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from crossband.recipes.basics.colour import Range, to_unit, with_channels
from crossband.recipes.kinds.loss import LossInputError, loss, told
from crossband.recipes.losses import vgg
from crossband.registry import FilePath

PIX2PIXHD = {"relu1_1": 1 / 32, "relu2_1": 1 / 16, "relu3_1": 1 / 8, "relu4_1": 1 / 4, "relu5_1": 1.0}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation, which the weights were trained with


def _least_side(*, network: vgg.Name, layers: Mapping[str, float], **_: object) -> int:
    return vgg.least_side(network, layers)


def _prepare(
    device: torch.device,
    *,
    network: vgg.Name = "vgg19",
    layers: Mapping[str, float] = PIX2PIXHD,
    path: str | None = None,
    random: bool = False,
    **_: object,
) -> dict[str, str]:
    vgg.frozen(network, layers, device, torch.float32, path, random=random)
    return {network: vgg.source(network, path, random=random)}


FEW: Mapping[str, Any] = {"layers": {"relu1_1": 0.5, "conv2_1": 2.0}, "random": True, "path": None}


@loss(
    "perceptual",
    range=told,
    aligned=True,
    least=_least_side,
    prepare=_prepare,
    least_where_equal=True,
    examples=[{**FEW, "c": 1}, {**FEW, "c": 3}],
    cite="johnson2016perceptual",
)
def perceptual(
    output: Tensor,
    target: Tensor,
    /,
    *,
    range: Range,
    network: vgg.Name = "vgg19",
    layers: Mapping[str, float] = PIX2PIXHD,
    distance: Literal["l1", "mse"] = "l1",
    normalise: bool = True,
    path: FilePath | None = None,
    random: bool = False,
) -> Tensor:
    """Distance of the features of two images in VGG, `sum_k w_k mean |f_k(o) - f_k(t)|`: `b c h w`, 1 or 3 channels.

    Johnson et al. 2016, whose squared `distance` is `mse`; the default `layers`, each with its weight w, `l1` and
    the `network` are those of pix2pixHD. Layers are called `relu3_1`, after the activation, or `conv3_1`, before it.
    Images of this `range` are brought to [0, 1] and then to the mean and deviation of ImageNet; without `normalise`,
    as in pix2pixHD, the network sees them as they are. A grey image is repeated to three channels.

    The network is frozen. Its weights are torchvision's: from the torch hub cache, or from the file `path`. If there
    are none, raises Unavailable with the way to get them; only `random: true` draws weights at random.
    """
    if output.shape[1] not in (1, 3):
        raise LossInputError(f"the loss `perceptual` compares images of 1 or 3 channels, got {output.shape[1]}")
    frozen = vgg.frozen(network, layers, output.device, output.dtype, path, random=random)
    seen = [frozen(with_channels(_normal(x, range) if normalise else x, 3)) for x in (output, target)]
    differences = {layer: seen[0][layer] - seen[1][layer] for layer in layers}
    measured = {k: d.abs().mean() if distance == "l1" else d.square().mean() for k, d in differences.items()}
    return torch.stack([weight * measured[layer] for layer, weight in layers.items()]).sum()


def _normal(image: Tensor, range: Range) -> Tensor:
    mean, deviation = (image.new_tensor(values).view(3, 1, 1) for values in IMAGENET)
    return (to_unit(image, range) - mean) / deviation
