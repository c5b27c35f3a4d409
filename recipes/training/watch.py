"""Weights and running statistics that must stay finite."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

HINT = "look at the images; a lower `lr`, `clip`, or `precision: 32` may help"


class Watch:
    """The weights and buffers of networks that are finite when it is made.

    A loss need not show that one of them no longer is: in training, batch normalisation never reads its running
    statistics, and the weights are read in the next step only.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._kept = [
            (network, f"{path}.{name}".lstrip("."), module, name)
            for network, whole in networks.items()
            for path, module in whole.named_modules()
            for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
            if tensor.is_floating_point() and bool(tensor.isfinite().all())
        ]

    def lost(self) -> tuple[str, str] | None:
        """A network and the name of a tensor of it that is no longer finite; None where all are."""
        sums = [tensor.sum(dtype=torch.float32) for _, _, tensor in self._tensors()]  # ten times as fast as a look
        if not sums or bool(torch.stack(sums).isfinite().all()):
            return None
        lost = ((network, name) for network, name, tensor in self._tensors() if not bool(tensor.isfinite().all()))
        return next(lost, None)  # the sum of large ones may be infinite, too

    def _tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        for network, path, module, name in self._kept:
            tensor = getattr(module, name)
            assert isinstance(tensor, torch.Tensor)
            yield network, path, tensor.detach()
