"""Inner maps: what a block can show of its work, such as the pixels that an attention looks at.

A block declares them, `@block(..., inner_maps={"gate": InnerMap("channels", "what they are")})`, and computes them when
somebody asks, by a method of that name, from the inputs of a call:

    def inner_maps(self, *inputs: Tensor, pixel: tuple[int, int]) -> dict[str, Tensor]:

`forward` knows nothing of it: where nobody asks it costs nothing and changes nothing. `pixel` is the row and column, in
the output, of which the maps of the form `places` tell. A law holds every block to what it declares; a block that is
made of such blocks need not do anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor, nn

from crossband import registry
from crossband.blocks.contracts.ranges import ANY, Range

MapForm: TypeAlias = Literal["pixels", "channels", "places"]
AXES: Mapping[MapForm, str] = {"pixels": "b n h w", "channels": "b n", "places": "b n k l"}


@dataclass(frozen=True)
class InnerMap:
    """What a block says of one of its maps.

    form: `pixels`, n numbers for each pixel, `b n h w`; `channels`, a number for each channel, `b n`; `places`, how
        much each place of an input counts for one pixel of the output, n times (as many as there are heads), `b n k l`.
    about: what the numbers are, in a few words.
    range: between which numbers they lie.
    sums_to_one: whether they do: the n numbers of each pixel or image, or of `places` those of all places.
    """

    form: MapForm
    about: str
    range: Range = ANY
    sums_to_one: bool = False

    @property
    def summed(self) -> tuple[int, ...]:
        """The axes over which the numbers sum to one, where they do."""
        return (2, 3) if self.form == "places" else (1,)


def declared_maps(module: nn.Module) -> Mapping[str, InnerMap]:
    """The maps that a module can show, by name: those of its block, none if it is no block."""
    entry = registry.blocks.get(type(module).__name__)
    return entry.inner_maps if entry is not None and entry.factory is type(module) else {}


def maps_within(module: nn.Module, path: str = "") -> dict[str, tuple[nn.Module, str]]:
    """The maps that a module and the blocks in it can show: their names below `path`, with the block and its own name.

    A block that is used twice in the module has the name of its first use.
    """
    found = {}
    for inner, each in module.named_modules():
        for name in declared_maps(each):
            found[".".join(filter(None, (path, inner, name)))] = (each, name)
    return found


def shown_maps(module: nn.Module, inputs: Sequence[Tensor], pixel: tuple[int, int]) -> dict[str, Tensor]:
    """The maps of a block for the inputs of a call; its method is asked once."""
    return module.inner_maps(*inputs, pixel=pixel)  # type: ignore[operator]  # a method, and no submodule
