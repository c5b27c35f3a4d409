"""A distance in the features of VGG19, as papers call it that mean neither the weights nor the definition of LPIPS."""

import functools

import torch
from torch import Tensor, nn

from crossband.recipes.measuring.metrics import metric, three_channels
from crossband.recipes.measuring.pretrained import Unavailable, weights_file

LAYERS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # relu1_1 to relu5_1, weighted as in pix2pixHD
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
LEAST = 2**4  # four poolings come before relu5_1


@functools.cache
def vgg19_network(device: str) -> nn.Sequential:
    """VGG19 (Simonyan and Zisserman 2015) up to relu5_1, torchvision's weights for ImageNet. Raises Unavailable."""
    from torchvision.models import VGG19_Weights, vgg19

    tensors = torch.load(weights_file(VGG19_Weights.IMAGENET1K_V1.url), map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network = nn.Sequential(*list(vgg19().features.children())[: max(LAYERS) + 1])
    network.load_state_dict({name: tensors[f"features.{name}"] for name in network.state_dict()}, assign=True)
    return network.requires_grad_(False).eval().to(device, torch.float32)


@metric("VGG19 distance", better="lower")
def vgg19_dist(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """Mean absolute difference of the features of VGG19 at relu1_1, 2_1, 3_1, 4_1 and 5_1, a weighted sum (pix2pixHD).

    Not LPIPS: it has other weights, another network and no calibration. Papers that print a distance of VGG19
    seldom say of which layers, so that figures of two papers cannot be compared.
    """
    if min(output.shape[-2:]) < LEAST:
        raise Unavailable(f"VGG19 needs both sides to be at least {LEAST} pixels")
    network = vgg19_network(str(output.device))
    mean, deviation = (output.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    a, b = (((three_channels(image) - mean) / deviation).float() for image in (output, target))
    total = output.new_zeros(len(output))
    for index, layer in enumerate(network):
        a, b = layer(a), layer(b)
        if index in LAYERS:
            total = total + LAYERS[index] * (a - b).abs().flatten(1).mean(1)
    return total
