"""Softmax: positive shares that sum to 1."""

from typing import Any, Literal

from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.ranges import UNIT
from crossband.blocks.contracts.sizes import Shape


def _maps(size: Shape, *, over: str, **_: Any) -> int:
    """The number of axes behind the channels, where there must be one."""
    return len(size) if over == "pixels" else 1


def _reach(*, over: str, **_: Any) -> int | None:
    return 1 if over == "channels" else None


@block(
    "Softmax",
    contract="b c *size -> b c *size",
    where=["maps(size) >= 1  # pixels to share out"],
    reach=_reach,
    range=UNIT,
    maps=_maps,
)
class Softmax(nn.Module):
    """`exp(x)` over its sum: `b c *size` to the same, with values from 0 to 1.

    Over the `channels` of each pixel, as for scores of classes; or over all `pixels` of each channel, as for the places
    of an attention.
    """

    def __init__(self, *, over: Literal["channels", "pixels"] = "channels") -> None:
        super().__init__()
        self.over = over

    def forward(self, x: Tensor) -> Tensor:
        """`b c *size` to the same."""
        return x.softmax(1) if self.over == "channels" else x.flatten(2).softmax(2).view(x.shape)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"over={self.over!r}"
