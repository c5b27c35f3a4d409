"""The bands of a recipe: their channels, and the words `source` and `target`.

A recipe names the bands once, under `task`. Everywhere else `source` is the band of `task.from` and `target` that of
`task.to`, and `=source_channels` and `=target_channels` are their channels. So another `task` reverses the recipe.
"""

from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.recipes.kinds.source import CHANNELS

ROLES = {"source": "from", "target": "to"}  # word of a flow -> key of `task`


def channels_of(
    source: Any, arguments: Mapping[str, Any], asked: Mapping[str, Any], found: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The channels of each band: as `asked` in the recipe, else as `found` in the data, else as the source has them."""
    entry = registry.sources.get(source) if isinstance(source, str) else None
    usual, declared = entry.bands if entry else CHANNELS, arguments.get("channels")
    return {**(found or {**usual, **_mapping(declared)}), **asked}


def bound(task: Any) -> dict[str, str]:
    """The band that each of the words `source` and `target` stands for."""
    known = _mapping(task)
    return {word: known[key] for word, key in ROLES.items() if isinstance(known.get(key), str)}


def known_numbers(recipe: Mapping[str, Any]) -> dict[str, int]:
    """The names that expressions of a recipe may use beside its params, from its data as written."""
    data = _mapping(recipe.get("data"))
    source = data.get("source")
    name, arguments = next(iter(source.items()), (None, None)) if isinstance(source, Mapping) else (source, None)
    channels = channels_of(name, _mapping(arguments), _mapping(data.get("channels")))
    return {f"{word}_channels": channels[band] for word, band in bound(recipe.get("task")).items() if band in channels}


def _mapping(written: Any) -> Mapping[str, Any]:
    """`written` if it is a mapping, else an empty one; the fault is reported elsewhere."""
    return written if isinstance(written, Mapping) else {}
