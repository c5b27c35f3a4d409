"""Activations, elementwise, and the table of their names for other blocks."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge
from torch import nn

from crossband.blocks.contracts.block import block
from crossband.blocks.sine import Sine

Activation: TypeAlias = Literal["none", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "gelu", "silu", "sine"]

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
}
"""The module behind each name that a block's `activation:` takes. Some work in place, to save memory: a block
that uses this table must hand them a tensor of its own, never its input."""


@block("ReLU", contract="b c h w -> b c h w", reach=1)
class ReLU(nn.ReLU):
    """`max(x, 0)`, elementwise: `b c h w` to the same."""

    def __init__(self) -> None:
        super().__init__()


@block("LeakyReLU", contract="b c h w -> b c h w", reach=1)
class LeakyReLU(nn.LeakyReLU):
    """`x` where positive, `slope * x` elsewhere: `b c h w` to the same."""

    def __init__(self, *, slope: Annotated[float, Ge(0)] = 0.2) -> None:
        super().__init__(slope)


@block("ELU", contract="b c h w -> b c h w", reach=1, cite="clevert2016elu")
class ELU(nn.ELU):
    """`x` where positive, `exp(x) - 1` elsewhere: `b c h w` to the same, with values above -1."""

    def __init__(self) -> None:
        super().__init__()


@block("Sigmoid", contract="b c h w -> b c h w", reach=1)
class Sigmoid(nn.Sigmoid):
    """`1 / (1 + exp(-x))`, elementwise: `b c h w` to the same, with values from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()


@block("Tanh", contract="b c h w -> b c h w", reach=1)
class Tanh(nn.Tanh):
    """The hyperbolic tangent, elementwise: `b c h w` to the same, with values from -1 to 1."""

    def __init__(self) -> None:
        super().__init__()


@block("GELU", contract="b c h w -> b c h w", reach=1, cite="hendrycks2016gelu")
class GELU(nn.GELU):
    """`x * Phi(x)` with the normal distribution function Phi, elementwise: `b c h w` to the same."""

    def __init__(self) -> None:
        super().__init__()


@block("SiLU", contract="b c h w -> b c h w", reach=1, cite="elfwing2018silu")
class SiLU(nn.SiLU):
    """`x * sigmoid(x)`, elementwise: `b c h w` to the same. Also called swish."""

    def __init__(self) -> None:
        super().__init__()
