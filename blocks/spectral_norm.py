"""Spectral normalisation of the weights of a critic (discriminator): Miyato et al. 2018, equations 8 and 9."""

from typing import Annotated

from annotated_types import Gt
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrizations import spectral_norm

from crossband.blocks.contracts.block import wrapper
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import hull
from crossband.blocks.contracts.wrapped import signature_of, taps_of
from crossband.registry import ArgumentError


@wrapper("SpectralNorm", range=hull, cite="miyato2018spectral")
class SpectralNorm(nn.Module):
    """Divide the weight of every convolution and linear layer by its largest singular value.

    The weight counts as a matrix with one row for each output channel. In training, each forward pass improves the
    estimate of its largest singular value by `iterations` steps of the power method; eval keeps the last estimate.
    `forward` has the inputs and outputs of the network. The layers stay where they are: their
    learned weights become `parametrizations.weight.original` in the state dict. Raises ArgumentError for a network
    without such layers.
    """

    def __init__(self, network: nn.Module, *, iterations: Count = 1, eps: Annotated[float, Gt(0)] = 1e-12) -> None:
        super().__init__()
        layers = [module for module in network.modules() if isinstance(module, _ConvNd | nn.Linear)]
        if not layers:
            raise ArgumentError("SpectralNorm: the network has no convolution and no linear layer")
        for layer in layers:
            spectral_norm(layer, n_power_iterations=iterations, eps=eps)
        self.network = network
        self.taps = taps_of(network)
        self.__signature__ = signature_of(network)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor | dict[str, Tensor]:
        """The output of the network."""
        return self.network(*args, **kwargs)
