"""The output shapes of a block for input shapes: the one question that all other code asks of a block."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossband.blocks.contracts.block import BlockEntry, ShapeFunction
from crossband.blocks.contracts.contract import ContractError, Result
from crossband.blocks.contracts.sizes import Shape


def shapes_of(entry: BlockEntry, shapes: Sequence[Shape], arguments: Mapping[str, Any]) -> Result:
    """Output shapes, inferred arguments and conditions of a block for symbolic or plain input shapes.

    Asks the contract of the block, its shape function, or, if it has neither, a probe that runs it on the
    meta device. Missing arguments take their defaults. Raises ContractError if the block does not take
    these inputs: because of their number, their axes, or unknown channels.
    """
    arguments = {name: p.default for name, p in entry.parameters.items() if not p.required} | dict(arguments)
    if contract := entry.contract:
        return contract.apply(shapes, arguments, entry.inferred)
    inferred = _channels(entry, shapes)
    if shape := entry.shape:
        if (number := images_of(shape)) not in (None, len(shapes)):
            raise ContractError(f"takes {number} input{'s' * (number != 1)}, got {len(shapes)}")
        found = shape(*shapes, **arguments)
        return replace(found, inferred=inferred) if isinstance(found, Result) else Result.of(found, inferred)
    from crossband.blocks.contracts.probe import probe

    return probe(entry, shapes, arguments, inferred)


def images_of(shape: ShapeFunction) -> int | None:
    """How many inputs a shape function takes: its positional parameters, or None for any number."""
    kinds = [parameter.kind for parameter in inspect.signature(shape).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


def _channels(entry: BlockEntry, shapes: Sequence[Shape]) -> dict[str, int]:
    """The channels of the inputs for the parameters that are not keyword-only, in order."""
    names = entry.inferred
    if len(shapes) < max(1, len(names)):
        raise ContractError(f"takes at least {max(1, len(names))} inputs, got {len(shapes)}")
    found: dict[str, int] = {}
    for name, shape in zip(names, shapes, strict=False):
        channels = shape[1] if len(shape) > 1 else None
        if not isinstance(channels, int):
            raise ContractError(f"needs a known number for `{name}`, got {channels}")
        found[name] = channels
    return found
