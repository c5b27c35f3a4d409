"""What a wrapper asks of the network that it is given, so that wrappers can go around each other."""

import inspect

from torch import nn


def signature_of(network: nn.Module) -> inspect.Signature:
    """What the network takes. A wrapper, whose `forward` takes anything, has that of its network as `__signature__`."""
    return getattr(network, "__signature__", None) or inspect.signature(network.forward)


def taps_of(network: nn.Module) -> frozenset[str]:
    """The names among the results of a network that are inner features, not outputs: its `taps`, or none."""
    return frozenset(getattr(network, "taps", ()))
