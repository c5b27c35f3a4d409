"""The bands of a recipe: how many channels each has, and what the words `source` and `target` stand for.

A recipe names the bands once, under `task`. Everywhere else `source` is the band that `task.from` names and
`target` that of `task.to`, and `=source_channels` and `=target_channels` are their channels: another `task` turns
the recipe around.
"""

from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.recipes.data.source import CHANNELS

ROLES = {"source": "from", "target": "to"}  # word of a flow -> key of `task`


def channels_of(
    source: Any, arguments: Any, asked: Mapping[str, Any], found: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The channels of each band: as the recipe has `asked` for, as its data have (`found`), or as their source says."""
    entry = registry.sources.get(source) if isinstance(source, str) else None
    declared = arguments.get("channels") if isinstance(arguments, Mapping) else None
    own = declared if isinstance(declared, Mapping) else {}
    return {**(found or {**(entry.facts["bands"] if entry else CHANNELS), **own}), **asked}


def bound(task: Any) -> dict[str, str]:
    """Which band each word stands for."""
    known = task if isinstance(task, Mapping) else {}
    return {word: known[key] for word, key in ROLES.items() if isinstance(known.get(key), str)}


def known_numbers(recipe: Mapping[str, Any]) -> dict[str, int]:
    """The names that every `=` expression of a recipe, given as it is written, may use beside its params."""
    data = recipe.get("data")
    data = data if isinstance(data, Mapping) else {}
    source, arguments = data.get("source"), None
    if isinstance(source, Mapping):
        source, arguments = next(iter(source.items()), (None, None))
    asked = data.get("channels")
    channels = channels_of(source, arguments, asked if isinstance(asked, Mapping) else {})
    return {f"{word}_channels": channels[band] for word, band in bound(recipe.get("task")).items() if band in channels}
