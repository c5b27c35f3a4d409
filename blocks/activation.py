"""Activations, elementwise, and the table of their names for other blocks."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge
from torch import nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import ANY, SIGNED, Range, hull
from crossband.blocks.sine import Sine

Activation: TypeAlias = Literal[
    "none", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "gelu", "silu", "sine", "fixed_sine"
]

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, 0.2, inplace=True),
    "elu": partial(nn.ELU, inplace=True),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sine": partial(Sine, 1),  # one omega and one phase, whatever the channels
    "fixed_sine": partial(Sine, 1, learned=False),  # sin(x)
}
"""The module behind each name that a block's `activation:` takes. Some work in place, to save memory: a block
that uses this table must hand them a tensor of its own, never its input."""


def _relu(x: Range) -> Range:
    """At least 0."""
    return x.rising(lambda value: max(value, 0.0))


def _leaky_relu(x: Range, slope: float = 0.2) -> Range:
    """That of the input, times `slope` below 0."""
    return x.rising(lambda value: value if value > 0 else slope * value if slope else 0.0)


def _elu(x: Range) -> Range:
    """At least -1."""
    return x.rising(lambda value: value if value > 0 else math.expm1(value))


def _sigmoid(x: Range) -> Range:
    """Within [0, 1]."""
    return x.rising(lambda value: (math.tanh(value / 2) + 1) / 2)


def _tanh(x: Range) -> Range:
    """Within [-1, 1]."""
    return x.rising(math.tanh)


def _gelu(x: Range) -> Range:
    """At least -0.17."""
    return _valley(x, lambda value: value * (1 + math.erf(value / math.sqrt(2))) / 2, bottom=-0.7517915)


def _silu(x: Range) -> Range:
    """At least -0.2785."""
    return _valley(x, lambda value: value * (math.tanh(value / 2) + 1) / 2, bottom=-1.2784645)


def _valley(x: Range, function: Callable[[float], float], bottom: float) -> Range:
    """What a function makes of a range that falls, from 0 far to the left, until its `bottom`, and rises from there."""
    ends = [function(end) if end > -math.inf else 0.0 for end in (x.low, x.high)]
    return Range(function(min(max(bottom, x.low), x.high)), max(ends))


RANGES: Mapping[str, Callable[[Range], Range]] = {
    "none": hull,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "gelu": _gelu,
    "silu": _silu,
    "sine": lambda _: SIGNED,
    "fixed_sine": lambda _: SIGNED,
}
"""What each activation makes of the range of its input."""


def activated(*_: Range, activation: str, **__: Any) -> Range:
    """That of its activation."""
    return RANGES[activation](ANY)


@block("ReLU", contract="b c *size -> b c *size", reach=1, range=_relu)
class ReLU(nn.ReLU):
    """`max(x, 0)`, elementwise: `b c *size` to the same."""

    def __init__(self) -> None:
        super().__init__()


@block("LeakyReLU", contract="b c *size -> b c *size", reach=1, range=_leaky_relu)
class LeakyReLU(nn.LeakyReLU):
    """`x` where positive, `slope * x` elsewhere: `b c *size` to the same."""

    def __init__(self, *, slope: Annotated[float, Ge(0)] = 0.2) -> None:
        super().__init__(slope)


@block("ELU", contract="b c *size -> b c *size", reach=1, range=_elu, cite="clevert2016elu")
class ELU(nn.ELU):
    """`x` where positive, `exp(x) - 1` elsewhere: `b c *size` to the same, with values above -1."""

    def __init__(self) -> None:
        super().__init__()


@block("Sigmoid", contract="b c *size -> b c *size", reach=1, range=_sigmoid)
class Sigmoid(nn.Sigmoid):
    """`1 / (1 + exp(-x))`, elementwise: `b c *size` to the same, with values from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()


@block("Tanh", contract="b c *size -> b c *size", reach=1, range=_tanh)
class Tanh(nn.Tanh):
    """The hyperbolic tangent, elementwise: `b c *size` to the same, with values from -1 to 1."""

    def __init__(self) -> None:
        super().__init__()


@block("GELU", contract="b c *size -> b c *size", reach=1, range=_gelu, cite="hendrycks2016gelu")
class GELU(nn.GELU):
    """`x * Phi(x)` with the normal distribution function Phi, elementwise: `b c *size` to the same."""

    def __init__(self) -> None:
        super().__init__()


@block("SiLU", contract="b c *size -> b c *size", reach=1, range=_silu, cite="elfwing2018silu")
class SiLU(nn.SiLU):
    """`x * sigmoid(x)`, elementwise: `b c *size` to the same. Also called swish."""

    def __init__(self) -> None:
        super().__init__()
