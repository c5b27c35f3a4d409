"""The decorator that makes a class a function of a flow: `cat(visible, fake)`, `pool(fake)`, `mix(infrared, fake)`.

A function takes tensors and gives one; it has no weights. One that remembers something over the
steps keeps it in a state that goes into the checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

from torch import Tensor

from crossband.blocks.contracts.ranges import Range
from crossband.recipes.basics.readback import like
from crossband.registry import CrossbandError, Entry, RegistryError, description, functions

Shape: TypeAlias = tuple[int | None, ...]  # of a value, batch aside; None where only the data will tell


class FunctionError(CrossbandError, ValueError):
    """A function of a flow cannot take values of these shapes."""


class Function:
    """What a flow may call beside its networks: made once for each call that a recipe writes, with a seed of its own.

    `operands` says how many values it takes, at least and at most. A subclass says what `__call__` gives, and
    `shape` where that is not the shape of the first value.
    """

    name: ClassVar[str]  # as registered
    operands: ClassVar[tuple[int, int | None]] = (1, 1)

    def __init__(self, seed: int) -> None:
        """Begin anew. All randomness comes from `seed`."""

    @classmethod
    def shape(cls, *shapes: Shape) -> Shape:
        """The shape of the value for operands of these shapes, batch aside. Raises FunctionError."""
        return shapes[0]

    def __call__(self, *tensors: Tensor) -> Tensor:
        """The value for these operands."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What it remembers: tensors, numbers, lists and dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` gave."""

    def state_schema(self) -> dict[str, Any]:
        """The schema, see `crossband.recipes.basics.formats`, of the states that it can remember."""
        return like(self.state_dict())


F = TypeVar("F", bound=type[Function])


@dataclass(frozen=True, kw_only=True, repr=False)
class FunctionEntry(Entry):
    """A registered function of a flow. No gradient passes through one that `detaches`."""

    kind = "function"

    operands: tuple[int, int | None]
    takes: Range | None
    gives: Range | None
    aligned: bool
    detaches: bool

    def details(self) -> dict[str, Any]:  # noqa: D102  as in Entry
        least, most = self.operands
        values = "1 value" if most == 1 else f"{least} values" if most == least else f"{least} or more values"
        return {
            "takes": values + (f" in {self.takes}" if self.takes else ""),
            "gives": f"values in {self.gives}" if self.gives else "values in the same range",
            "shows": "" if self.aligned else "other scenes than it is given",
            "gradient": "does not pass" if self.detaches else "",
        }


def function(
    name: str,
    *,
    takes: Range | None = None,
    gives: Range | None = None,
    aligned: bool = True,
    detaches: bool = False,
    cite: str | None = None,
) -> Callable[[F], F]:
    """Register a subclass of Function as the function `name` of the flows.

    `takes` is the range of the values that it is for; without it, any. `gives` is the range of what comes out; without
    it, that of all values taken together. What comes out of one that is `aligned` shows the scenes of its values, pixel
    by pixel. No gradient passes one that `detaches`. Raises RegistryError, when the module is imported, if it is no
    subclass.
    """

    def register(cls: F) -> F:
        if not (isinstance(cls, type) and issubclass(cls, Function)):
            raise RegistryError(f"the function `{name}` must be a subclass of `Function`", hint="derive it from that")
        cls.name = name
        entry = FunctionEntry(
            name=name,
            factory=cls,
            parameters={},
            cite=cite,
            operands=cls.operands,
            takes=takes,
            gives=gives,
            aligned=aligned,
            detaches=detaches,
            **description(cls),
        )
        functions.add(entry)
        return cls

    return register
