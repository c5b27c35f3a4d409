"""A parsed YAML file: its data, and the position of each value and key in its text."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

YamlValue: TypeAlias = Any  # a number, text, bool, null or a list of them; text that begins with `=` is an expression
RELATIVE = "a path in a YAML file is relative to that file, any other to the working directory"
LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # those of YAML's scanner, so that line numbers agree


@dataclass(frozen=True)
class Mark:
    """A stretch of one line of text. `line` and `column` count from 1, columns and `length` in characters."""

    line: int
    column: int
    length: int


@dataclass(slots=True, repr=False)
class Element:
    """A value and its position. `size` counts the value and everything inside it, `depth` the levels below it.

    `value` is a scalar, a list of elements, or a dict from key to (position of the key, element).
    """

    value: Any
    mark: Mark
    size: int = 1
    depth: int = 0

    def plain(self) -> Any:
        """A new copy of the value as plain Python."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, (_, child) in self.value.items()}
        return [child.plain() for child in self.value] if isinstance(self.value, list) else self.value


@dataclass(frozen=True)
class Place:
    """The value at `path` in a document, or its key. `span` narrows it down to a stretch of text."""

    document: "Document"
    path: tuple[str | int, ...] = ()
    key: bool = False
    span: Mark | None = None

    @property
    def file(self) -> str:
        """The file as the user named it."""
        return self.document.file

    @property
    def folder(self) -> Path:
        """The folder that paths written here are relative to.

        A path is relative to the text that says it: in a YAML file to the folder of that file, also where a file in
        another folder extends it; in what no file says, such as `--set` and the settings given from Python, to the
        working directory.
        """
        return Path(self.file).parent  # the name of a text that is no file, such as `<text>`, has no folder in it

    @property
    def mark(self) -> Mark | None:
        """Position in the text; None if the file could not be read at all."""
        return self.span or self.document.mark(self.path, key=self.key)

    def written(self) -> Any:
        """The plain data at this place."""
        data = self.document.data
        for step in self.path:
            data = data[step]
        return data

    def child(self, *steps: str | int) -> "Place":
        """The value at `steps` below this one."""
        return Place(self.document, (*self.path, *steps))

    def on_key(self) -> "Place":
        """The place of the key of this value."""
        return Place(self.document, self.path, key=True)

    def within(self, offset: int, length: int) -> "Place":
        """The place of `length` characters from `offset` in this text; the whole value if it spans several lines."""
        return replace(self, span=self.document.span(self.path, offset, length))

    def __str__(self) -> str:
        mark = self.mark
        return f"{self.file}:{mark.line}:{mark.column}" if mark else self.file


class Document:
    """One YAML file: its text, its `data` as plain Python, and the position of each value and key."""

    def __init__(self, file: str, text: str, root: Element | None = None) -> None:
        self.file = file
        self.text = text
        self._root = root

    @cached_property
    def data(self) -> Any:
        """Dicts, lists and scalars; each use of an alias is a copy of its own."""
        return self._root.plain() if self._root else None

    @cached_property
    def _lines(self) -> list[str]:
        return LINE_BREAK.split(self.text)

    def line(self, number: int) -> str:
        """Line `number`, counted from 1, without its line break."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def place(self, *path: str | int, key: bool = False) -> Place:
        """The place of the value at `path`, or of its key. If it is absent, the nearest value around it is shown."""
        return Place(self, path, key)

    def mark(self, path: tuple[str | int, ...], *, key: bool = False) -> Mark | None:
        """Position of the value at `path`, of its key, or of the nearest value around it.

        A mapping or list in block style is marked at its key. A value that is used through an alias is marked at the
        alias, the values inside it where they are written.
        """
        element = self._find(path[:-1])[0]
        if key and path and element and isinstance(element.value, dict) and path[-1] in element.value:
            return element.value[path[-1]][0]
        return self._find(path)[1]

    def span(self, path: tuple[str | int, ...], offset: int, length: int) -> Mark | None:
        """Position of `length` characters from `offset` in the text at `path`; of all of it if on several lines."""
        element, mark = self._find(path)
        if not element or not mark or not isinstance(element.value, str):
            return mark
        start = self.line(mark.line)[mark.column - 1 :][: mark.length].find(element.value)  # behind a quote or anchor
        return Mark(mark.line, mark.column + start + offset, length) if start >= 0 else mark

    def _find(self, path: tuple[str | int, ...]) -> tuple[Element | None, Mark | None]:
        """The element at `path`, or None, and the position of the last element on the way there."""
        element = self._root
        mark = element.mark if element else None
        for step in path:
            value = element.value if element else None
            if isinstance(value, dict) and step in value:
                element = value[step][1]
            elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
                element = value[step]
            else:
                return None, mark
            mark = element.mark
        return element, mark
