"""Names that carry an index: `enc(i+1)` is `enc3` where `i` is 2.

What a node reads may say more:

    dec(i+1) or enc(i+1)      the first of these that is there
    head(1..depth)            head1, head2, ... in a row; `head1..head6` is the same with numbers

Nothing is worked out here: see `crossband.graphs.checking.expand`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crossband.graphs.language.limits import MAX_RANGE

RANGE = ".."
_INDEX = re.compile(r"\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")  # an expression with brackets of its own inside
_OR = re.compile(r"\s+or\s+(?![^()]*\))")  # not inside an index
_NUMBERED = re.compile(r"([A-Za-z]\w*?)([0-9]+)\.\.\1([0-9]+)")
_PLAIN_RANGE = re.compile(r"([A-Za-z]\w*)\(\s*([0-9]+)\s*\.\.\s*([0-9]+)\s*\)")


class Index(NamedTuple):
    """An expression in brackets inside a name, and where it begins."""

    text: str
    start: int

    @property
    def ends(self) -> tuple["Index", "Index"] | None:
        """The two ends of a range; None for a single number."""
        first, dots, last = self.text.partition(RANGE)
        return (Index(first, self.start), Index(last, self.start + len(first) + len(RANGE))) if dots else None


def has_index(name: str) -> bool:
    """Whether a name carries an index."""
    return bool(_INDEX.search(name))


def parts(name: str) -> Iterator[str | Index]:
    """The parts of a name in order: plain text, and each index."""
    end = 0
    for found in _INDEX.finditer(name):
        yield name[end : found.start()]
        yield Index(found[1], found.start(1))
        end = found.end()
    yield name[end:]


def plain(name: str) -> str:
    """The name with a number in the place of each index, to look at how it is spelled."""
    return "".join(part if isinstance(part, str) else "1" for part in parts(name))


def alternatives(read: str) -> list[str]:
    """The names that `a or b` joins."""
    return _OR.split(read)


def nodes_of(read: str) -> list[str]:
    """The nodes that something read may be from: its alternatives, without the names of their outputs."""
    return [name.partition(".")[0] if RANGE not in name else name for name in alternatives(read)]


def renamed(read: str, old: str, new: str) -> str:
    """What is read, with one name replaced by another."""
    return " or ".join(new if name == old else name for name in alternatives(read))


def in_a_row(read: str) -> list[str]:
    """The names of a range between two plain numbers; any other name alone."""
    found = _NUMBERED.fullmatch(read) or _PLAIN_RANGE.fullmatch(read)
    if not found or abs(int(found[3]) - int(found[2])) >= MAX_RANGE:
        return [read]
    first, last = int(found[2]), int(found[3])
    return [f"{found[1]}{number}" for number in range(first, last + 1)] or [read]


def expressions_in(names: Sequence[str]) -> list[str]:
    """The expressions inside names, each with `=` before it."""
    indices = [part for name in names for part in parts(name) if isinstance(part, Index)]
    return [f"={text}" for index in indices for text in index.text.split(RANGE)]
