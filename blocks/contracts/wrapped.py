"""What a wrapper reads off its network, so that wrappers can be nested."""

import inspect

from torch import nn


def signature_of(network: nn.Module) -> inspect.Signature:
    """The signature of a network. A wrapper's `forward` takes anything: it keeps its network's as `__signature__`."""
    return getattr(network, "__signature__", None) or inspect.signature(network.forward)


def taps_of(network: nn.Module) -> frozenset[str]:
    """The names of those results of a network that are inner features, not outputs: its `taps`, or none."""
    return frozenset(getattr(network, "taps", ()))
