"""Splitting the channels of a feature map, each part an output of its own."""

from typing import Annotated, TypeAlias

from annotated_types import Ge, Le, MaxLen, MinLen
from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.contract import ContractError, Result
from crossband.blocks.contracts.ranges import hull
from crossband.blocks.contracts.sizes import Condition, Shape

Parts: TypeAlias = Annotated[int, Ge(2), Le(8)] | Annotated[list[Count], MinLen(2), MaxLen(8)]


def _parts(x: Shape, *, into: int | list[int]) -> Result:
    if len(x) < 2:
        raise ContractError(f"takes an input of the form `b c *size`, got {len(x)} axes")
    if isinstance(into, int):
        sizes, rest = [x[1] // into] * into, x[1] % into
        reason = f"it needs channels that divide into {into} parts, but c is {x[1]}"
    else:
        sizes, rest = into, x[1] - sum(into)
        reason = f"it needs {sum(into)} channels, `{into}` in all, but c is {x[1]}"
    return Result.of([(x[0], size, *x[2:]) for size in sizes], {}, [Condition(rest, False, reason)])


@block("Split", shape=_parts, outputs=tuple(f"part{number}" for number in range(1, 9)), reach=1, range=hull)
class Split(nn.Module):
    """Split the channels into parts, in their order: `b c *size` to `part1`, `part2` and so on, two to eight.

    `into: 3` makes three equal parts, `into: [16, 48]` parts of so many channels, which must be all there are. In a
    graph, other nodes read `name.part1`, `name.part2`. Concat is the inverse.
    """

    def __init__(self, *, into: Parts = 2) -> None:
        super().__init__()
        self.into = into

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """`b c *size` to the parts, each `b part *size`."""
        return x.unflatten(1, (self.into, -1)).unbind(1) if isinstance(self.into, int) else x.split(self.into, dim=1)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"into={self.into}"
