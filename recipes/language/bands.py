"""The bands of a recipe: their channels, and the words `source` and `target`.

A recipe names the bands once, under `task`. Everywhere else `source` is the band of `task.from` and `target` that of
`task.to`, and `=source_channels` and `=target_channels` are their channels. So another `task` reverses the recipe.

Several bands under `task.from` are translated together. Then `source` is their images side by side, as by `cat`, and
`=source_channels` the channels of all: a network of one input takes them as they are. One of several inputs is given
each band by its own name, `generator(visible, near)`, which has the channels `=visible_channels` and `=near_channels`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crossband import registry
from crossband.recipes.kinds.source import CHANNELS
from crossband.recipes.language.flow import Value

ROLES = {"source": "from", "target": "to"}  # word of a flow -> key of `task`


def channels_of(
    source: Any, arguments: Mapping[str, Any], asked: Mapping[str, Any], found: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The channels of each band: as `asked` in the recipe, else as `found` in the data, else as the source has them."""
    entry = registry.sources.get(source) if isinstance(source, str) else None
    usual = entry.bands_of(arguments) if entry else {**CHANNELS, **_mapping(arguments.get("channels"))}
    return {**(found or usual), **asked}


def bound(task: Any) -> dict[str, tuple[str, ...]]:
    """The bands that each of the words `source` and `target` stands for; no more than one for `target`."""
    written = {word: _mapping(task).get(key) for word, key in ROLES.items()}
    listed = {word: [found] if isinstance(found, str) else found for word, found in written.items()}
    return {
        word: tuple(found)
        for word, found in listed.items()
        if isinstance(found, list) and found and all(isinstance(band, str) for band in found)
    }


def in_place_of(role: Value, bands: tuple[str, ...]) -> Value:
    """The value that stands in the place of the word `source` or `target`."""
    each = tuple(replace(role, name=band) for band in bands)
    return each[0] if len(each) == 1 else replace(role, kind="call", name="cat", operands=each)


def known_numbers(recipe: Mapping[str, Any]) -> dict[str, int]:
    """The names that expressions of a recipe may use beside its params, from its data as written.

    A param that is called as the channels of a band is left in its place.
    """
    data = _mapping(recipe.get("data"))
    source = data.get("source")
    name, arguments = next(iter(source.items()), (None, None)) if isinstance(source, Mapping) else (source, None)
    channels = channels_of(name, _mapping(arguments), _mapping(data.get("channels")))
    own = {f"{band}_channels": count for band, count in channels.items() if isinstance(count, int)}
    known = {name: count for name, count in own.items() if name not in _mapping(recipe.get("params"))}
    for word, bands in bound(recipe.get("task")).items():
        if all(f"{band}_channels" in own for band in bands):
            known[f"{word}_channels"] = sum(own[f"{band}_channels"] for band in bands)
    return known


def _mapping(written: Any) -> Mapping[str, Any]:
    """`written` if it is a mapping, else an empty one; the fault is reported elsewhere."""
    return written if isinstance(written, Mapping) else {}
