"""Write plain data as readable YAML, so that `read_text(dump(data)).data == data`."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from crossband.graphs.language.limits import LARGEST
from crossband.graphs.language.reader import NOT_TEXT, resolve

WIDTH = 100  # columns that a value in flow style may reach
_PLAIN = re.compile(r"(\.{0,2}/|\.?\w|[=(])[\w./()*+<>=%-]*( [\w./()*+<>=%-]+)*")  # means itself wherever it stands
_SIGN = r"[!-~\xa1-\u2027\u202a-\ud7ff]"
_LITERAL = re.compile(f"{_SIGN}({_SIGN}| )*(\n+({_SIGN}| )*{_SIGN})*\n?")  # lines that a block after `|` gives back
_LONGEST_KEY = 1000  # YAML wants the colon within 1024 characters


def dump(data: Any, *, expand: Collection[str] = ()) -> str:
    """YAML text of dicts with text keys, lists, tuples, str, int, float, bool and None; keys keep their order.

    A value that fits on a line of 100 columns is written in flow style, `{depth: 7, mid: 32}`. The values of the
    keys named in `expand` are not: each of their own entries gets a line.

    Raises ValueError on text that YAML cannot hold (control characters), numbers that are not finite, keys of more
    than 1000 characters, and TypeError on anything that is not plain data.
    """
    if isinstance(data, Mapping) and data:
        return _block(data, 0, expand)
    return flow(data) + "\n"


def _block(data: Any, indent: int, expand: Collection[str]) -> str:
    """A mapping or list with one entry a line, each line with its indentation and line break."""
    margin = " " * indent
    if isinstance(data, Mapping):
        entries = [(f"{margin}{_key(key)}:", value, key in expand) for key, value in data.items()]
    else:
        entries = [(f"{margin}-", value, False) for value in data]
    return "".join(_entry(head, value, indent + 2, expand, open_up) for head, value, open_up in entries)


def _entry(head: str, value: Any, indent: int, expand: Collection[str], open_up: bool) -> str:
    if isinstance(value, str) and "\n" in value and _LITERAL.fullmatch(value):
        lines = value.removesuffix("\n").split("\n")
        body = "".join((" " * indent + line if line else "") + "\n" for line in lines)
        return f"{head} |{'' if value.endswith(chr(10)) else '-'}\n{body}"
    line = f"{head} {flow(value)}\n"
    if not isinstance(value, Mapping | list | tuple) or not value or (len(line) <= WIDTH + 1 and not open_up):
        return line
    body = _block(value, indent, expand)
    return f"{head} {body[indent:]}" if head.endswith("-") else f"{head}\n{body}"


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be text, got {key!r}")
    if len(text := _text(key)) > _LONGEST_KEY:
        raise ValueError(f"a key must have at most {_LONGEST_KEY} characters, got {len(key)}")
    return text


def flow(value: Any) -> str:
    """Plain data as YAML on one line. Raises as `dump` does."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(child) for child in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        if resolve(text := repr(value)) != value or (isinstance(value, int) and abs(value) >= LARGEST):
            raise ValueError(f"{text} cannot be written as YAML")
        return text
    raise TypeError(f"{value!r} is not plain data")


def _text(text: str) -> str:
    """A string as a scalar, quoted where it must be."""
    if odd := NOT_TEXT.search(text):
        raise ValueError(f"text with the character U+{ord(odd[0]):04X} cannot be written as YAML")
    if _PLAIN.fullmatch(text) and isinstance(resolve(text), str):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
