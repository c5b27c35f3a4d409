"""Networks that work on test images as they do in training: `test: training` of a recipe, as pix2pix is tested."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_ONE_AT_A_TIME = threading.RLock()  # threads share the random state of torch, and the mode of each module
Restless = nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd


def keep_training(network: nn.Module, seed: int) -> None:
    """Let a network in evaluation mode work as in training: dropout stays on, batches are normalised by themselves.

    So pix2pix is tested (Isola et al. 2017, section 3.4), with batches of one image. Each image goes through alone,
    with the random numbers of `seed`: what becomes of it depends on no other; of an image in tiles, each tile does. The
    followed statistics of batch normalisation stay as they are, and so does torch's random state. Of several threads,
    one is let through at a time.
    """
    forward = network.forward

    def tested(*images: Tensor) -> Any:
        if network.training:
            return forward(*images)
        with _ONE_AT_A_TIME, _restless(network):
            found = [_alone(forward, [image[at : at + 1] for image in images], seed) for at in range(len(images[0]))]
        if isinstance(found[0], dict):
            return {name: torch.cat([each[name] for each in found]) for name in found[0]}
        return torch.cat(found)

    network.forward = tested


def _alone(forward: Any, images: list[Tensor], seed: int) -> Any:
    devices = [images[0].device] if images[0].is_cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        return forward(*images)


@contextmanager
def _restless(network: nn.Module) -> Iterator[None]:
    """What differs between training and evaluation as in training, for a while and without following statistics."""
    modules = [module for module in network.modules() if isinstance(module, Restless)]
    kept = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    try:
        for module in modules:
            module.train()
        yield
    finally:
        for module in modules:
            module.eval()
        for buffer, before in kept:
            buffer.copy_(before)
