"""The bands of a recipe: how many channels each has, and what the words `source` and `target` stand for.

A recipe names the bands once, under `task`. Everywhere else `source` is the band that `task.from` names and
`target` that of `task.to`, and `=source_channels` and `=target_channels` are their channels: another `task` turns
the recipe around.
"""

from collections.abc import Mapping
from typing import Any

CHANNELS = {"visible": 3, "infrared": 1}  # of a band, unless the recipe or its data say otherwise
ROLES = {"source": "from", "target": "to"}  # word of a flow -> key of `task`


def channels_of(declared: Any, asked: Mapping[str, Any], found: Mapping[str, int] | None = None) -> dict[str, int]:
    """The channels of each band: as the recipe has `asked` for, as the data have (`found`, or `declared`), or usual."""
    own = declared if isinstance(declared, Mapping) else {}
    return {**(found or {**CHANNELS, **own}), **asked}


def bound(task: Any) -> dict[str, str]:
    """Which band each word stands for."""
    known = task if isinstance(task, Mapping) else {}
    return {word: known[key] for word, key in ROLES.items() if isinstance(known.get(key), str)}


def known_numbers(recipe: Mapping[str, Any]) -> dict[str, int]:
    """The names that every `=` expression of a recipe, given as it is written, may use beside its params."""
    data = recipe.get("data")
    data = data if isinstance(data, Mapping) else {}
    source = data.get("source")
    arguments = next(iter(source.values()), None) if isinstance(source, Mapping) else None
    declared = arguments.get("channels") if isinstance(arguments, Mapping) else None
    asked = data.get("channels")
    channels = channels_of(declared, asked if isinstance(asked, Mapping) else {})
    return {f"{word}_channels": channels[band] for word, band in bound(recipe.get("task")).items() if band in channels}
