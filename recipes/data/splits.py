"""Rules that divide scene names into train, test and other splits: declared, never silently at random.

A split has one rule. Scenes that no rule takes are `train`, unless `train` has a rule of its own.

    split: {test: {from: FLIR_08526, to: FLIR_09016}}   # a range of ids, both ends included
    split: {test: {last: 0.1}}                          # the last tenth, or `last: 40`; also `first`
    split: {test: {every: 5, block: 100}}               # of blocks of 100 scenes every fifth, from the first on
    split: {test: {every: 10, start: 9}}                # every tenth from the tenth on: `start` are left out
    split: {test: {list: test.txt}}                     # a file of names, one a line, or the names themselves
    split: {test: {under: test}}                        # the scenes in the subfolder `test` of both bands, or in a list
    split: {test: {random: 0.1, seed: 7}}               # at random, if you say so: neighbouring video frames leak
    split: {train: {random: 500, seed: 7}, test: {random: 20, seed: 7, start: 500}}    # and the next 20 drawn

Scenes are in natural order: numbers within a name count by their value, so `a_9` comes before `a_10`.
Video frames next to each other are near copies: divide those by range or block.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, TypedDict

import numpy as np
from annotated_types import doc

from crossband.graphs.language.files import FileError, read_utf8
from crossband.recipes.kinds.source import DataError
from crossband.registry import FilePath, show, suggest

Rule = TypedDict(  # the keys that go together are those of RULES
    "Rule",
    {
        "from": Annotated[str | int, doc("The first scene of a range")],
        "to": Annotated[str | int, doc("The last scene of a range")],
        "first": Annotated[float, doc("So many of the first scenes, or below 1 that share of them")],
        "last": Annotated[float, doc("So many of the last scenes, or below 1 that share of them")],
        "every": Annotated[int, doc("One scene, or block, of so many: 5 takes every fifth")],
        "block": Annotated[int, doc("How many scenes are one block for `every`")],
        "start": Annotated[int, doc("How many scenes `every` leaves out before the first, or `random` of those drawn")],
        "list": Annotated[FilePath | list[str], doc("A file of names, one a line, or the names")],
        "under": Annotated[str | list[str], doc("The scenes in this subfolder of both bands, or in these")],
        "random": Annotated[float, doc("So many scenes drawn by chance, or below 1 that share of them")],
        "seed": Annotated[int, doc("What chance begins with")],
    },
    total=False,
)
WrittenRule = Mapping[str, object]  # before its values are checked


def divide(names: Sequence[str], rules: Mapping[str, WrittenRule]) -> dict[str, list[str]]:
    """The names of each split, in natural order. Raises DataError naming every rule at fault.

    Refused: a rule that is not one of the above, names of no scene, an empty split, and splits that overlap.
    """
    names = sorted(sorted(names), key=natural)
    taken: dict[str, list[str]] = {}
    problems: list[DataError] = []
    for split, rule in rules.items():
        try:
            taken[split] = _apply(names, rule)
        except DataError as error:
            problems.append(DataError(f"the split `{split}`: {error.message}", hint=error.hint))
    if problems:
        raise DataError.gathered(None, problems)
    if "train" not in rules:
        others = {name for chosen in taken.values() for name in chosen}
        taken = {"train": [name for name in names if name not in others], **taken}
    problems = [
        DataError(
            f"the split `{split}` is empty: none of {len(names)} scenes, `{names[0]}` to `{names[-1]}`, is left for it"
        )
        for split in taken
        if not taken[split]
    ]
    problems += _overlaps(taken)
    if problems:
        raise DataError.gathered(None, problems)
    return taken


def natural(name: str) -> tuple[str | int, ...]:
    """A sort key: text and whole numbers in turn, beginning and ending with text."""
    return tuple(int(part) if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", name)))


def _apply(names: Sequence[str], rule: WrittenRule) -> list[str]:
    """The names that one rule takes."""
    if found := RULES.get(frozenset(rule)):
        return found(names, rule)
    raise DataError(
        f"no rule has the keys {', '.join(f'`{key}`' for key in rule) or '(none)'}",
        hint="a rule is `from` and `to`, `first`, `last`, `every` (and `block`, `start`), `list`, `under`,"
        " or `random` and `seed` (and `start`)",
    )


def _range(names: Sequence[str], rule: WrittenRule) -> list[str]:
    low, high = (None if key not in rule else str(rule[key]) for key in ("from", "to"))
    return [name for name in names if _within(name, low, high)]


def _first(names: Sequence[str], rule: WrittenRule) -> list[str]:
    return list(names[: _count(rule, "first", len(names))])


def _last(names: Sequence[str], rule: WrittenRule) -> list[str]:
    return list(names[len(names) - _count(rule, "last", len(names)) :])


def _every(names: Sequence[str], rule: WrittenRule) -> list[str]:
    every, block, start = _whole(rule, "every"), _whole(rule, "block", 1), _whole(rule, "start", 0, least=0)
    return [name for at, name in enumerate(names) if at // block >= start and (at // block - start) % every == 0]


def _under(names: Sequence[str], rule: WrittenRule) -> list[str]:
    given = rule["under"]
    folders = {PurePosixPath(str(folder)) for folder in (given if isinstance(given, list) else [given])}
    return [name for name in names if folders & set(PurePosixPath(name).parents)]


def _random(names: Sequence[str], rule: WrittenRule) -> list[str]:
    order = np.random.default_rng(_whole(rule, "seed", least=0)).permutation(len(names))
    start = _whole(rule, "start", 0, least=0)
    return [names[int(at)] for at in sorted(order[start : start + _count(rule, "random", len(names))])]


def _within(name: str, low: str | None, high: str | None) -> bool:
    """Whether a name lies in a range. `to: 01299` includes `01299D`: names that begin with the end count."""
    key = natural(name)
    if low is not None and key < natural(low):
        return False
    if high is None or key <= (end := natural(high)):
        return True
    last = len(end) - 1
    return key[:last] == end[:last] and str(key[last]).startswith(str(end[last]))


def _listed(names: Sequence[str], rule: WrittenRule) -> list[str]:
    """The names in a list, or in a text file of one name a line (with or without the file's ending, `#` comments)."""
    listed = rule["list"]
    if isinstance(listed, str):
        try:
            lines = read_utf8(listed).splitlines()
        except FileError as error:
            raise DataError(f"cannot read the list {error.message}", hint=error.hint) from None
        wanted = [line.split("#")[0].strip() for line in lines]
    elif isinstance(listed, Sequence):
        wanted = [str(name) for name in listed]
    else:
        raise DataError(f"`list` must be a file or a list of names, got {show(listed)}")
    known, found = set(names), set()
    for name in filter(None, wanted):
        stem = str(PurePosixPath(name).with_suffix(""))
        if name not in known and stem not in known:
            raise DataError(f"no scene is called `{name}`", hint=suggest(name, names))
        found.add(name if name in known else stem)
    return [name for name in names if name in found]


def _whole(rule: WrittenRule, key: str, default: int | None = None, *, least: int = 1) -> int:
    value = rule.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(f"`{key}` must be a whole number, at least {least}, got {show(value)}")
    return value


def _count(rule: WrittenRule, key: str, total: int) -> int:
    """A number of scenes: a whole number, or a fraction of all, rounded and at least one."""
    value = rule[key]
    if isinstance(value, float) and 0 < value < 1:
        return max(1, round(value * total))
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DataError(f"`{key}` must be a number of scenes, or a fraction between 0 and 1, got {show(value)}")
    return min(value, total)


def _overlaps(taken: Mapping[str, Sequence[str]]) -> list[DataError]:
    """An error for every two splits that share scenes."""
    splits, found = list(taken), []
    for at, one in enumerate(splits):
        for other in splits[at + 1 :]:
            if shared := sorted(set(taken[one]) & set(taken[other]), key=natural):
                shares = f"the splits `{one}` and `{other}` share {len(shared)} scenes, first `{shared[0]}`"
                found.append(DataError(shares))
    return found


RULES: Mapping[frozenset[str], Callable[[Sequence[str], WrittenRule], list[str]]] = {
    frozenset(keys.split()): rule
    for keys, rule in {
        "from to": _range,
        "from": _range,
        "to": _range,
        "first": _first,
        "last": _last,
        "every": _every,
        "every block": _every,
        "every start": _every,
        "every block start": _every,
        "list": _listed,
        "under": _under,
        "random seed": _random,
        "random seed start": _random,
    }.items()
}
