"""How the files of a band are named: a pattern such as `ir_{name}`, matched, and found out from the names of files."""

import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from crossband.registry import ArgumentError

NAME = "{name}"
SEPARATORS = "_-. "


def check_names(source: str, names: Mapping[str, str]) -> None:
    """Raise ArgumentError, naming the data source, where a pattern does not have `{name}` once."""
    for band, pattern in names.items():
        if pattern.count(NAME) != 1:
            hint = f'`{NAME}` stands for the name that the images of a scene share: `{{{band}: "ir_{NAME}"}}`'
            raise ArgumentError(f"{source}: `names` of {band} must have `{NAME}` once, got `{pattern}`", hint=hint)


def expression(pattern: str) -> re.Pattern[str]:
    """A pattern with `{name}` as a regular expression whose groups, joined by `/`, are the name of the scene.

    `*` is any text that does not belong to the name. A pattern without `/` is of the name of the file alone: the
    folders that it lies in belong to the name of the scene.
    """
    before, after = (re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split(NAME))
    whole = f"{before}(.+){after}" if "/" in pattern else f"(?:(.+)/)?{before}([^/]+){after}"
    return re.compile(whole, re.DOTALL)  # names may have line breaks in them


def name_in(match: re.Match[str]) -> str:
    """The name of the scene in what an expression matched."""
    return "/".join(filter(None, match.groups()))


def proposed(files: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The patterns of bands by which most of their files have names in common: `{infrared: "ir_{name}"}`.

    `files` are paths without their ending, by band. What all names of a band begin and end with is no part of a name,
    unless those of the other bands have it too. Empty where there are no such patterns.
    """
    starts, ends = {}, {}
    for band, paths in files.items():
        stems = [PurePosixPath(path).name for path in paths]
        starts[band] = _common_start(stems)
        ends[band] = _common_end([stem.removeprefix(starts[band]) for stem in stems])
    begins = _common_end(list(starts.values())).lstrip(SEPARATORS)
    goes_on = _common_start(list(ends.values())).rstrip(SEPARATORS)
    found = {band: starts[band].removesuffix(begins) + NAME + ends[band].removeprefix(goes_on) for band in files}
    names = [
        {name_in(match) for path in paths if (match := expression(found[band]).fullmatch(path))}
        for band, paths in files.items()
    ]
    if 2 * len(set.intersection(*names)) < min(map(len, files.values())):
        return {}
    return {band: pattern for band, pattern in found.items() if pattern != NAME}


def _common_end(texts: list[str]) -> str:
    return _common_start([text[::-1] for text in texts])[::-1]


def _common_start(texts: Collection[str]) -> str:
    shortest = min(texts, key=len, default="")
    ends = (at for at, letter in enumerate(shortest) if any(text[at] != letter for text in texts))
    return shortest[: next(ends, len(shortest))]
