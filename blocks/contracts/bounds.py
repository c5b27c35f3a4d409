"""Types of block parameters with the bounds that the schema, the checks and the tests read."""

from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Le

Count: TypeAlias = Annotated[int, Ge(1)]
"""A whole number of at least 1: channels, kernels, strides."""

Natural: TypeAlias = Annotated[int, Ge(0)]
"""A whole number of at least 0: paddings."""

Share: TypeAlias = Annotated[float, Ge(0), Le(1)]
"""A number from 0 to 1."""

Interpolation: TypeAlias = Literal["nearest", "bilinear"]
