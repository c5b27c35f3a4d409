"""Read YAML text into plain data, with the line and column of every value.

Scalars follow the YAML 1.2 core schema: `1e-4` is a number, `no`, `on` and `12:30` are text. Surprising or harmful
input is refused: duplicate keys, tags, merge keys, keys that are not text, endless or huge structures. Written by
hand, over the events of PyYAML's parser, because PyYAML itself resolves scalars by YAML 1.1, accepts repeated keys and
overflows the stack on deep nesting.
"""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.document import LINE_BREAK, Document, Element, Mark, Place
from crossband.graphs.language.files import FileError, named, read_utf8
from crossband.graphs.language.limits import LARGEST, MAX_BYTES, MAX_DEPTH, MAX_VALUES
from crossband.graphs.language.misread import misread
from crossband.registry import show

NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_WORDS = {"": None, "~": None} | {
    spelling: value
    for word, value in {"null": None, "true": True, "false": False}.items()
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read(path: str | os.PathLike[str], problems: Problems) -> Document | None:
    """Read the YAML file at `path`. Returns None after adding every fault to `problems`."""
    try:
        text = read_utf8(path, MAX_BYTES)
    except FileError as error:
        return _unreadable(named(path), error.why, error.hint, problems)
    return read_text(text, problems, file=os.fspath(path))


def read_text(text: str, problems: Problems, file: str = "<text>") -> Document | None:
    """Read the YAML document in `text`. Returns None after adding every fault to `problems`.

    Messages call it `file`.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return _too_large(file, problems)
    return _Builder(Document(file, text.removeprefix("\ufeff")), problems).document()


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar by the YAML 1.2 core schema. Infinities and NaN are floats, as there."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > 100:  # int() of very long text is slow, and refused by Python
            return float("-inf" if text.startswith("-") else "inf")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


class _Refused(Exception):
    """The rest of the file cannot be read; the fault is reported already."""


class _Builder:
    """Turns the parser's events into elements and reports refused input."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems
        self._failed = False
        self._anchors: dict[str, Element | None] = {}  # None while the anchored value is still open
        self._values = 0

    def document(self) -> Document | None:
        text = self._document.text
        if odd := NOT_TEXT.search(text):
            breaks = list(LINE_BREAK.finditer(text, 0, odd.start()))
            mark = Mark(len(breaks) + 1, odd.start() - (breaks[-1].end() if breaks else 0) + 1, 1)
            self._refuse("E002", f"the character U+{ord(odd[0]):04X} cannot stand in a text file", mark)
            return None
        self._events = _events(text)
        try:
            root = self._root()
        except yaml.YAMLError as error:
            self._not_yaml(error)
            return None
        except _Refused:
            return None
        return None if self._failed else Document(self._document.file, text, root)

    def _root(self) -> Element:
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root:
                    hint = "remove the line `---`, or put what follows in a file of its own"
                    raise self._refuse("E002", "the file holds more than one document", self._mark(event), hint)
                root = self._node(next(self._events), 0, flow=False)
        if root is None:
            hint = "begin with `graph: its_name`, or a recipe with `recipe: its_name`"
            raise self._refuse("E002", "the file is empty", Mark(1, 1, 0), hint)
        return root

    def _node(self, event: Any, depth: int, *, flow: bool) -> Element:
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            return self._count(self._alias(event, mark, depth), mark)
        if event.tag is not None:
            self._refuse("E004", f"tags such as {show(_tag(event))} are not read", mark, "remove the tag")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._count(Element(self._scalar(event, mark, flow=flow), mark), mark)
        elif depth >= MAX_DEPTH:
            raise self._too_deep(mark)
        else:
            self._count(Element(None, mark), mark)
            collect = self._mapping if isinstance(event, yaml.MappingStartEvent) else self._list
            node = collect(event, depth + 1, flow=bool(event.flow_style))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _count(self, node: Element, mark: Mark) -> Element:
        self._values += node.size
        if self._values > MAX_VALUES:
            raise self._refuse("E004", f"more than {MAX_VALUES} values, uses of anchors counted in full", mark)
        return node

    def _alias(self, event: Any, mark: Mark, depth: int) -> Element:
        node = self._anchors.get(event.anchor)
        if event.anchor not in self._anchors:
            hint = "put text that begins with `*` in quotes"
            raise self._refuse("E004", f"no anchor `&{event.anchor}` stands above", mark, hint)
        if node is None:
            raise self._refuse("E004", f"the value of `&{event.anchor}` contains itself", mark)
        if depth + node.depth > MAX_DEPTH:
            raise self._too_deep(mark)
        return replace(node, mark=mark)

    def _list(self, opening: Any, depth: int, *, flow: bool) -> Element:
        items: list[Element] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth, flow=flow))
        size = 1 + sum(item.size for item in items)
        below = 1 + max((item.depth for item in items), default=0)
        mark = self._mark(opening, event) if flow else replace(self._mark(opening), length=1)
        return Element(items, mark, size, below)

    def _mapping(self, opening: Any, depth: int, *, flow: bool) -> Element:
        entries: dict[str, tuple[Mark, Element]] = {}
        first_key, size, below = None, 1, 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_mark = self._mark(event)
            first_key = first_key or key_mark
            key = self._key(event, depth, flow=flow)
            value = next(self._events)
            child = self._node(value, depth, flow=flow)
            if child.mark.length == 0 or (isinstance(value, yaml.CollectionStartEvent) and not value.flow_style):
                child = replace(child, mark=key_mark)
            size, below = size + 1 + child.size, max(below, 1 + child.depth)
            if key is None:
                continue
            if key in entries:
                first = Place(self._document, span=entries[key][0])
                self._refuse("E003", f"{show(key)} is given twice", key_mark, notes=(("first given here", first),))
            else:
                entries[key] = (key_mark, child)
        if flow:
            self._refuse_open_list(entries)
        mark = self._mark(opening, event) if flow or not first_key else first_key
        return Element(entries, mark, size, below)

    def _refuse_open_list(self, entries: dict[str, tuple[Mark, Element]]) -> None:
        """Report `{image: 3, H, W}`: a list without its brackets, which YAML takes for keys without a value."""
        keys = list(entries)
        without = [child.value is None and child.mark == mark for mark, child in entries.values()]
        for number, key in enumerate(keys):
            rest = list(itertools.takewhile(lambda each: without[each], range(number + 1, len(keys))))
            first = entries[key][1].value
            if len(rest) > 1 and isinstance(first, str | int | float):
                items = ", ".join([str(first), *(keys[each] for each in rest)])
                hint = f"write a list in brackets: `{key}: [{items}]`"
                raise self._refuse("E006", f"`{keys[rest[0]]}` has no value", entries[keys[rest[0]]][0], hint)

    def _key(self, event: Any, depth: int, *, flow: bool) -> str | None:
        mark = self._mark(event)
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
            hint = "write the keys out, or use `extends`"
            self._refuse("E004", "merge keys `<<` are not read", mark, hint)
            return None
        key = self._node(event, depth, flow=flow).value
        if isinstance(key, str):
            return key
        kind = "a mapping" if isinstance(key, dict) else "a list" if isinstance(key, list) else show(key)
        quoted = f"put it in quotes: '{event.value}'" if getattr(event, "value", "") else None
        self._refuse("E006", f"a key must be text, got {kind}", mark, quoted)
        return None

    def _scalar(self, event: Any, mark: Mark, *, flow: bool) -> str | int | float | bool | None:
        text = event.value
        if not event.implicit[0]:  # in quotes, or a block of text
            if odd := NOT_TEXT.search(text):
                self._refuse("E006", f"text must not contain the character U+{ord(odd[0]):04X}", mark)
            return text
        if flow and text.startswith("=") and text.count("(") > text.count(")"):
            hint = "inside `{}` and `[]`, put an expression that contains a comma in quotes: '=min(a, b)'"
            self._refuse("E014", f"the expression {show(text)} is cut off by the comma", mark, hint)
        elif flow and text.count("(") > text.count(")"):
            hint = "put a call that contains a comma in quotes; arguments of a block are `{Block: {name: value}}`"
            raise self._refuse("E002", f"{show(text)} is cut off by the comma", mark, hint)
        value = resolve(text)
        if _NOT_FINITE.fullmatch(text):
            self._refuse("E006", f"{show(text)} is not a finite number", mark)
        elif isinstance(value, int | float) and abs(value) >= (LARGEST if isinstance(value, int) else float("inf")):
            self._refuse("E006", f"the number {show(text)} is too large", mark)
        return value

    def _mark(self, opening: Any, closing: Any = None) -> Mark:
        """The stretch from the start of one event to the end of it or of another, cut at the end of its first line."""
        start, end = opening.start_mark, (closing or opening).end_mark
        stop = end.column if end.line == start.line else len(self._document.line(start.line + 1))
        return Mark(start.line + 1, start.column + 1, max(0, stop - start.column))

    def _not_yaml(self, error: Any) -> None:
        message, mark, hint, notes = misread(self._document, error)
        places = [(text, Place(self._document, span=where)) for text, where in notes]
        self._refuse("E002", message, mark, hint, places)

    def _too_deep(self, mark: Mark) -> "_Refused":
        return self._refuse("E004", f"nested more than {MAX_DEPTH} deep", mark)

    def _refuse(self, code: str, message: str, mark: Mark, hint: str | None = None, notes: Any = ()) -> "_Refused":
        """Report a fault. Callers raise the result if the rest of the file cannot be read."""
        self._failed = True
        self._problems.add(code, message, Place(self._document, span=mark), hint, notes)
        return _Refused()


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (ValueError, OverflowError) as error:  # PyYAML without libyaml, on an escape such as "\\UFFFFFFFF"
        raise yaml.MarkedYAMLError(problem=str(error)) from error


def _tag(event: Any) -> str:
    return event.tag.replace("tag:yaml.org,2002:", "!!")


def _unreadable(file: str, message: str, hint: str | None, problems: Problems) -> None:
    problems.add("E001", message, Place(Document(file, "")), hint)


def _too_large(file: str, problems: Problems) -> None:
    _unreadable(file, f"larger than {MAX_BYTES // 1_000_000} MB", None, problems)
