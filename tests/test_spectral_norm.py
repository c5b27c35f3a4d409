"""Spectral normalisation: what it bounds, what it leaves alone, and that wrappers go around each other."""

import copy

import pytest
import torch
from torch import nn

from crossband.blocks import Conv, ConvTranspose, GradientNorm, SpectralNorm
from crossband.registry import ArgumentError


def network() -> nn.Sequential:
    return nn.Sequential(
        Conv(3, out=8, kernel=4, stride=2, padding=1, activation="leaky_relu"),
        ConvTranspose(8, out=6, activation="leaky_relu"),
        Conv(6, out=1),
    )


def matrices(module: nn.Module) -> list[torch.Tensor]:
    """The weights of the layers, one row for each output channel."""
    found = []
    for layer in module.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            found.append(layer.weight.transpose(0, 1).flatten(1))
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            found.append(layer.weight.flatten(1))
    return found


def test_every_weight_gets_the_largest_singular_value_one():
    plain = network()
    wrapped = SpectralNorm(copy.deepcopy(plain), iterations=5)
    x = torch.randn(1, 3, 8, 8)
    for _ in range(20):
        wrapped(x)
    wrapped.eval()
    for before, after in zip(matrices(plain), matrices(wrapped), strict=True):
        assert torch.linalg.matrix_norm(after, 2).item() == pytest.approx(1, abs=1e-3)
        torch.testing.assert_close(after, before / torch.linalg.matrix_norm(before, 2), rtol=1e-3, atol=1e-4)


def test_eval_is_deterministic_and_the_state_dict_tells_all():
    wrapped, other = SpectralNorm(network()), SpectralNorm(network())
    x = torch.randn(2, 3, 8, 8)
    wrapped(x).sum().backward()
    assert all(parameter.grad is not None for parameter in wrapped.parameters())
    other.load_state_dict(wrapped.state_dict())
    wrapped.eval()
    assert torch.equal(wrapped(x), wrapped(x))
    assert torch.equal(other.eval()(x), wrapped(x))


def test_no_parameter_is_added_and_meta_networks_are_wrapped():
    with torch.device("meta"):
        counts = [
            sum(parameter.numel() for parameter in module.parameters())
            for module in (network(), SpectralNorm(network()))
        ]
    assert counts[0] == counts[1]


def test_gradient_normalisation_goes_around_it():
    wrapped = GradientNorm(SpectralNorm(network()), wrt=["input"])
    x = torch.randn(2, 3, 8, 8)
    assert wrapped(x).abs().max() < 1
    with pytest.raises(ArgumentError, match="the network has no input `image`"):
        GradientNorm(SpectralNorm(network()), wrt=["image"])


def test_a_network_without_weights_is_refused():
    with pytest.raises(ArgumentError, match="SpectralNorm: the network has no convolution and no linear layer"):
        SpectralNorm(nn.Sequential(nn.Tanh()))
