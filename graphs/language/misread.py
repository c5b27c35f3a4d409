"""Say what is wrong with text that is not YAML: PyYAML tells where it gave up, a user wants to know where to look."""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from crossband.graphs.language.document import Document, Mark

QUOTE = "put text that contains brackets, commas or `: ` in quotes"
_HINTS = {  # by a part of the parser's message
    "mapping values are not allowed": "begin each key on its own line, and put text that contains `: ` in quotes",
    "expected `,` or": f"close the bracket, and {QUOTE}",
    "could not find expected `:`": "write `key: value`, with a space after the colon",
    "unexpected end of stream": "close the quote",
    "unknown escape character": "use single quotes, in which a backslash is plain text",
    "expected key": f"begin the keys of one mapping at the same column, and {QUOTE}",
    "expected <block end>": f"begin the keys of one mapping at the same column, and {QUOTE}",
    "expected `-` indicator": "begin the items of one list at the same column",
}
_KEY = re.compile(r"\s*(?:- )?(?P<name>[A-Za-z_][\w.-]*)(?P<between>:?\s+|:(?=\S)|(?=[\[{]))(?P<value>[^\s:#].*)")
LONG = 40  # characters of a value that a hint does not repeat
_INDEX = re.compile(r"\w\[[\w +*/-]*\]")  # `enc[2]`
Fault: TypeAlias = tuple[str, Mark, str | None, Sequence[tuple[str, Mark]]]  # message, position, hint, notes


def misread(document: Document, error: Any) -> Fault:
    """What a YAMLError is about: message, position, hint, and notes with positions."""
    problem = (error.problem or "it cannot be read").replace("'", "`")
    mark = _position(document, error.problem_mark)
    if found := _without_colon(document, problem, mark) or _dedented(document, problem, mark):
        return found
    hint = next((hint for part, hint in _HINTS.items() if part in problem), None)
    if "expected `,` or" in problem and _INDEX.search(document.line(mark.line)):
        hint = "an index is written with round brackets, `enc(2)`; or put text with brackets in quotes"
    if "cannot start any token" in problem or "tab character" in problem:
        found = document.line(mark.line)[mark.column - 1 :][:1]
        if found == "\t" or "tab" in problem:
            return "not YAML: a tab stands in the indentation", mark, "indent with spaces", ()
        hint = f"put text that begins with `{found}` in quotes"
    elif error.context and error.context_mark:
        start = _position(document, error.context_mark)
        if any(part in problem for part in ("find expected `:`", "unexpected end of stream")):
            mark = start  # the parser gives up much later, often on another line
        elif "expected `,` or" in problem and (
            start.line != mark.line or not document.line(mark.line)[mark.column - 1 :]
        ):
            bracket = document.line(start.line)[start.column - 1 :][:1]
            return f"not YAML: `{bracket}` is never closed", start, hint, ()
        else:
            return f"not YAML: {problem}", mark, hint, ((error.context, start),)
    return f"not YAML: {problem}", mark, hint, ()


def _position(document: Document, mark: Any) -> Mark:
    """Position where the parser stopped. At the end of the text it counts one line too many."""
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    while line > 1 and not document.line(line).strip():
        line, column = line - 1, len(document.line(line - 1)) + 1
    return Mark(line, column, 1)


def _without_colon(document: Document, problem: str, mark: Mark) -> Fault | None:
    """A line that says `key value` or `key:value`: the one that is blamed, or the one above it in the same mapping."""
    if not any(part in problem for part in ("expected key", "mapping values", "find expected `:`", "block end")):
        return None
    above = _above(document, mark.line)
    beside = above and _indent(document, above) == _indent(document, mark.line)
    for line in [mark.line, above] if above and beside else [mark.line]:
        found = _KEY.match(document.line(line))
        if not found or (":" in found["between"] and found["between"] != ":"):
            continue  # a line that says something else, or is right
        name, colon, value = found["name"], found["between"].strip(), found["value"]
        if line != mark.line or value[0] in "[{" or "find expected" in problem:
            what = f"a space is missing after `{name}:`" if colon else f"`:` is missing after `{name}`"
            hint = f"write `{name}: {value if len(value) < LONG else '...'}`"
            return f"not YAML: {what}", Mark(line, found.start("name") + 1, len(name)), hint, ()
    return None


def _dedented(document: Document, problem: str, mark: Mark) -> Fault | None:
    """A line that lost its indentation, directly below the key that it belongs to: what follows is blamed for it."""
    above = _above(document, mark.line)
    key = above and _above(document, above)
    if not above or not key or "expected key" not in problem or not document.line(key).rstrip().endswith(":"):
        return None
    outer, own, inner = (_indent(document, line) for line in (key, above, mark.line))
    if not outer == own < inner:
        return None
    text = document.line(above).strip()
    hint = "begin the keys of one mapping at the same column, those inside another one further to the right"
    name = text.partition(":")[0]
    return f"not YAML: `{name}` is indented less than what follows it", Mark(above, own + 1, len(name)), hint, ()


def _above(document: Document, line: int) -> int | None:
    """The number of the line above that says something."""
    return next((each for each in range(line - 1, 0, -1) if document.line(each).strip(" \t#")), None)


def _indent(document: Document, line: int) -> int:
    text = document.line(line)
    return len(text) - len(text.lstrip(" "))
