"""Faults of graph and recipe files: a stable code, a message, a place, a hint.

A check adds every fault to `Problems`, so that the user sees all of them at once, sorted by position.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from crossband.graphs.language.document import Mark, Place
from crossband.graphs.language.limits import MAX_ERRORS
from crossband.registry import CrossbandError, shortened, visible

T = TypeVar("T")
Hint: TypeAlias = str | Callable[[], str | None] | None  # a search for a near name waits until it is shown
CODES: Mapping[str, str] = {
    "E001": "the file cannot be read: it is missing, too large or not UTF-8 text",
    "E002": "the text is not YAML",
    "E003": "a key is given twice in one mapping",
    "E004": "a part of YAML that is not read here: tags, merge keys, recursive or excessive anchors, deep nesting",
    "E005": "a key that means nothing here",
    "E006": "a value of the wrong type, or out of its range",
    "E007": "a key that must be given is missing",
    "E010": "no block, wrapper or graph has this name",
    "E011": "a block has no parameter of this name",
    "E012": "a parameter has a value that it does not take",
    "E013": "a parameter that must be given is missing",
    "E014": "an expression after `=` cannot be read or has no value",
    "E015": "an expression uses a name that has no value here",
    "E016": "a name that cannot be used: reserved, malformed, or already taken",
    "E020": "no node or input has this name",
    "E021": "a node, input, parameter or local block is never used",
    "E022": "nodes read each other in a circle",
    "E023": "a node reads itself",
    "E024": "a block is given more or fewer inputs than it takes",
    "E025": "a node names several blocks, or none",
    "E026": "a node that is read is not there, because of its `if`",
    "E027": "a repetition with an index is wrong",
    "E028": "a node cannot share the weights of another",
    "E030": "channels do not match",
    "E031": "heights or widths do not match",
    "E032": "the input of a block does not meet its condition",
    "E033": "no image size passes through the graph",
    "E034": "this image size does not pass through the graph",
    "E040": "an output is not what `outputs` promises",
    "E041": "a tap names nothing that can be tapped",
    "E050": "`extends` names nothing that can be extended",
    "E051": "`insert` names no place to insert at",
    "E052": "a node to replace or remove is not there",
    "E053": "a block or graph contains itself",
    "E054": "`keep` names nothing to keep",
    "E060": "`wrap` is wrong",
    "E070": "a name in a recipe is unknown",
    "E071": "a call in a recipe cannot be read",
    "E072": "a call or loss is given the wrong arguments",
    "E073": "no loss has this name",
    "E074": "no data source has this name",
    "E075": "networks and phases contradict each other",
    "E076": "the images do not have the shape that a network takes",
    "E077": "the optimizer or the schedule is wrong",
    "E078": "no recipe has this name",
    "E079": "the data source does not give what the task asks for",
    "E080": "images use little of the scale of their values, or lie beside it",
    "E081": "values are not in the range that is asked for, or images of different ranges meet",
    "E082": "a value stands for another band than it is used for, or a task for none",
    "E083": "images that show different scenes are compared pixel by pixel",
    "E084": "a file that is there is not of the kind that is wanted",
    "E085": "a run could not begin: its images, weights or device are not as it needs them",
    "E086": "no augmentation has this name, or it is given the wrong arguments",
    "E087": "no table has this name",
}

_INDENT = "  "
_WIDTH = 120  # columns of a source line to show; a longer line is cut around the token
_TAB = "    "


@dataclass(frozen=True)
class Diagnostic:
    """One fault. `notes` explain its context ("in the block `stage`, used here"), each with an optional place."""

    code: str
    message: str
    place: Place | None = None
    advice: Hint = field(default=None, repr=False, compare=False)
    notes: tuple[tuple[str, Place | None], ...] = ()

    @cached_property
    def hint(self) -> str | None:
        """What would be right, where that is known."""
        found = self.advice() if callable(self.advice) else self.advice
        return found and shortened(found)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "advice": self.hint}  # a search cannot be pickled

    def __post_init__(self) -> None:
        assert self.code in CODES, f"{self.code} is not in CODES"

    def render(self, *, colour: bool = False) -> str:
        """The fault for a terminal: place, code and message, the source line with carets, hint and notes."""
        red, cyan, bold, plain = ("\x1b[31m", "\x1b[36m", "\x1b[1m", "\x1b[0m") if colour else ("", "", "", "")
        where = f"{bold}{_shown(str(self.place))}:{plain} " if self.place else ""
        lines = [f"{where}{red}{self.code}{plain} {_shown(self.message)}"]
        mark = self.place.mark if self.place else None
        if self.place and mark and (line := self.place.document.line(mark.line)).strip():
            source, carets = _excerpt(line, mark)
            lines += [_INDENT + source, f"{_INDENT}{red}{carets}{plain}"]
        if self.hint:
            lines.append(f"{cyan}hint:{plain} {_shown(self.hint)}")
        for text, place in self.notes:
            where = f" ({_shown(str(place))})" if place else ""
            lines.append(f"{cyan}note:{plain} {_shown(shortened(text))}{where}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain data for JSON; `line` and `column` count from 1."""
        mark = self.place.mark if self.place else None
        return {
            "code": self.code,
            "file": self.place.file if self.place else None,
            "line": mark.line if mark else None,
            "column": mark.column if mark else None,
            "message": self.message,
            "hint": self.hint,
        }

    def _position(self) -> tuple[str, int, int, str, str]:
        mark = (self.place.mark if self.place else None) or Mark(0, 0, 0)
        return (self.place.file if self.place else "", mark.line, mark.column, self.code, self.message)


class Problems:
    """The faults found so far, each once, iterated by file and position.

    `len` counts every report, also a repeated one (a faulty block may be used twice): comparing it before and after a
    check shows whether that check found anything.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int, str, str], Diagnostic] = {}
        self._reports = 0

    def add(
        self,
        code: str,
        message: str,
        place: Place | None,
        hint: Hint = None,
        notes: Sequence[tuple[str, Place | None]] = (),
    ) -> None:
        """Report one fault. A fault with the same words at the same place is kept once, with its first notes.

        A `hint` that takes a search may be a function: of thousands of faults only the first ones are shown.
        """
        self.take(Diagnostic(code, shortened(message), place, hint, tuple(notes)))

    def take(self, diagnostic: Diagnostic, notes: Sequence[tuple[str, Place | None]] = ()) -> None:
        """Report a fault that was found elsewhere, with further notes."""
        if notes:
            diagnostic = replace(diagnostic, notes=(*diagnostic.notes, *notes))
        self._found.setdefault(diagnostic._position(), diagnostic)
        self._reports += 1

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter([self._found[position] for position in sorted(self._found)])

    def __len__(self) -> int:
        return self._reports

    def render(self, *, colour: bool = False) -> str:
        """The first faults, a blank line between them, and how many there are in all."""
        found = list(self)
        more = [f"and {len(found) - MAX_ERRORS} more"] if len(found) > MAX_ERRORS else []
        files = {diagnostic.place.file for diagnostic in found if diagnostic.place}
        count = f"{len(found)} error{'s' if len(found) != 1 else ''}"
        where = f" in {_shown(files.pop())}" if len(files) == 1 else f" in {len(files)} files" if files else ""
        return "\n\n".join([*(each.render(colour=colour) for each in found[:MAX_ERRORS]), *more, count + where])

    def raise_if_any(self) -> None:
        """Raise InvalidFile with every fault, if there is one."""
        if self:
            raise InvalidFile(self)

    def value(self, found: T | None) -> T:
        """Return `found` if there are no faults. Raises InvalidFile with every fault otherwise.

        This turns `check_into`, which adds faults and returns None, into `check`, which raises.
        """
        self.raise_if_any()
        assert found is not None, "None is returned only after a fault is reported"
        return found


class InvalidFile(CrossbandError):
    """A graph or recipe is wrong; the text of the error is the first faults of `problems`, rendered."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems.render())
        self.problems = problems
        self.args = (problems,)  # pickle makes the error from these


class Reported(Exception):
    """A fault was reported already; nothing that depends on it can be checked."""


def _excerpt(line: str, mark: Mark) -> tuple[str, str]:
    """The part of `line` to show and the carets below it, aligned by terminal columns."""
    start = min(mark.column - 1, len(line))
    stop = max(start + 1, min(start + mark.length, len(line)))
    before, token, after = (  # of a line of any length no more than may be shown
        _shown(part) for part in (line[max(0, start - _WIDTH) : start], line[start:stop][:_WIDTH], line[stop:][:_WIDTH])
    )
    if _columns(before + token + after) > _WIDTH:
        before = before if _columns(before) <= _WIDTH // 2 else "..." + before[-_WIDTH // 4 :]
        token = token if _columns(token) <= _WIDTH // 2 else token[: _WIDTH // 4] + "..."
        after = after if _columns(after) <= _WIDTH // 4 else after[: _WIDTH // 8] + "..."
    return (before + token + after).rstrip(), " " * _columns(before) + "^" + "~" * (_columns(token) - 1)


def _shown(text: str) -> str:
    """`text` as a terminal may be given it, with tabs as spaces, so that carets below it can be aligned."""
    return visible(text).replace("\t", _TAB)


def _columns(text: str) -> int:
    """Width of `text` in terminal columns: wide characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
