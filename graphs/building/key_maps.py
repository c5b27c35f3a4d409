"""Rename weights that were trained elsewhere: a key map in YAML says how their names translate to ours.

    rename: {"layer{l}.{n}.bn{k}.{leaf}": "layer{l}.Bottleneck_{n+1}.conv{k}.norm.{leaf}"}
    drop: ["fc.{leaf}"]

A placeholder of one letter stands for a whole number, to which our side may add or subtract; a longer one stands for
one part of a name, up to the next dot. The first rule that fits a name applies. Nothing is left open: every name of a
file is renamed or dropped, everything in the nodes that a map `fills` is filled, and shapes agree.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from crossband.graphs.language.catalog import KEYS
from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.document import Document
from crossband.graphs.language.reader import read
from crossband.graphs.language.schema import NAME
from crossband.graphs.language.validate import validate
from crossband.registry import CrossbandError

FEW = 3  # names that a message lists of each fault
COUNTS = ".num_batches_tracked"  # of batch normalisation: old files lack them, and nothing here depends on them
_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)([+-][0-9]+)?\}")
_TEXTS = {"type": "array", "minItems": 1, "items": {"type": "string"}}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "keys": {"type": "string", "pattern": NAME, "description": "The name of this map"},
        "for": {"type": "string", "description": "The graph whose nodes our side names"},
        "from": {"type": "string", "description": "Where the files that it renames are published"},
        "inside": {"type": "string", "description": "Where in the file the weights are, beside other things"},
        "fills": {**_TEXTS, "description": "The nodes that a file must fill; without it, the whole graph"},
        "rename": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
        "drop": {**_TEXTS, "description": "Names in the file that have no place here"},
    },
    "additionalProperties": False,
    "required": ["keys", "for", "rename"],
}


class RenamingError(CrossbandError):
    """The weights in a file do not fit a key map and a network; the message lists them, the hint says what to do."""


@dataclass(frozen=True)
class Rule:
    """One line of a key map: a pattern of names in the file, and our names for them; None drops them."""

    theirs: re.Pattern[str]
    ours: str | None

    def apply(self, key: str) -> str:
        """Our name for a key that fits this rule, which must not be one that drops."""
        found = self.theirs.fullmatch(key)
        assert found is not None
        assert self.ours is not None

        def filled(part: re.Match[str]) -> str:
            value = found[part[1]]
            return str(int(value) + int(part[2])) if part[2] else value

        return _PLACEHOLDER.sub(filled, self.ours)


@dataclass(frozen=True)
class KeyMap:
    """A translation of names of weights trained elsewhere to ours. `fills` are nodes of `graph`; () means all.

    `published` tells where the files that it renames can be had.
    """

    name: str
    graph: str
    rules: tuple[Rule, ...]
    fills: tuple[str, ...] = ()
    inside: str | None = None
    published: str | None = None

    def rule(self, key: str) -> Rule | None:
        """The first rule that fits a name; None if none does."""
        return next((rule for rule in self.rules if rule.theirs.fullmatch(key)), None)

    def nodes(self, into: str = "") -> tuple[str, ...]:
        """Prefixes of our names in the nodes that it fills, in a network whose node `into` is its graph."""
        base = f"{into}." if into else ""
        return tuple(f"{base}{node}." for node in self.fills) or (base,)

    def renamed(self, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], into: str = "") -> dict[str, Tensor]:
        """The tensors of `theirs` under our names, with the types of `ours`, the `state_dict` of a network.

        Raises RenamingError that lists every name which is not renamed, has no place, is not filled or has
        another shape.
        """
        faults = _Faults()
        found: dict[str, Tensor] = {}
        base = f"{into}." if into else ""
        for key, tensor in theirs.items():
            rule = self.rule(key)
            if rule is None:
                faults.add(f"the key map `{self.name}` does not know these", f"`{key}`", MAPPED)
                continue
            if rule.ours is None:
                continue
            name = base + rule.apply(key)
            if name not in ours:
                faults.add("these have no place in the network", f"`{key}` as `{name}`", PLACED)
            elif name in found:
                faults.add("the key map gives two of these one name", f"`{key}` as `{name}`", MAPPED)
            elif tensor.shape != ours[name].shape:
                shapes = f"{_words(tensor)} in the file, {_words(ours[name])} in the network"
                faults.add("shapes differ", f"`{name}` is {shapes}", SHAPED)
            found[name] = tensor
        for name in ours:
            if name.startswith(self.nodes(into)) and name not in found and not name.endswith(COUNTS):
                faults.add("nothing in the file fills these", f"`{name}`", FILLED)
        faults.raise_if_any()
        return {name: tensor.to(ours[name].dtype) for name, tensor in found.items()}


MAPPED = "take the key map that belongs to the file, or name them under its `rename` or `drop`"
PLACED = "say in which node they belong (`into:`), or set the graph's params to the network that the file is of"
SHAPED = "set the graph's params to those of the network that the file is of"
FILLED = "take a file of the whole network, or let the key map say which nodes it `fills`"


class _Faults:
    """Faults by kind, each with its first few names."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, list[str]]] = {}

    def add(self, what: str, name: str, hint: str) -> None:
        self._kinds.setdefault(what, (hint, []))[1].append(name)

    def raise_if_any(self) -> None:
        if not self._kinds:
            return
        faults = []
        for what, (hint, names) in self._kinds.items():
            more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
            faults.append(RenamingError(f"{what}: {', '.join(names[:FEW])}{more}", hint=hint))
        raise RenamingError.gathered(None, faults)


def shipped() -> list[str]:
    """The names of the key maps that come with the library."""
    return list(KEYS.files())


def load_key_map(name: str) -> KeyMap:
    """The key map of a shipped name or a path. Raises InvalidFile with every fault."""
    problems = Problems()
    return problems.value(load_key_map_into(name, problems))


def load_key_map_into(name: str, problems: Problems, place: Place | None = None) -> KeyMap | None:
    """Like `load_key_map`, but add faults to `problems`, an unknown name at `place`, and return None then."""
    path = KEYS.look_up(name, place, problems, "E070")
    document = read(path, problems) if path else None
    if document is None or not validate(document, SCHEMA, problems, "key map"):
        return None
    return _read(document, problems)


def _read(document: Document, problems: Problems) -> KeyMap | None:
    data, before = document.data, len(problems)
    rules = [Rule(_pattern(theirs), ours) for theirs, ours in data["rename"].items()]
    rules += [Rule(_pattern(theirs), None) for theirs in data.get("drop", [])]
    for theirs, ours in data["rename"].items():
        known = {name for name, _ in _PLACEHOLDER.findall(theirs)}
        for part in _PLACEHOLDER.finditer(ours):
            if part[1] not in known or (part[2] and len(part[1]) > 1):
                what = "is no whole number" if part[1] in known else "is not in the name that it belongs to"
                place = document.place("rename", theirs).within(part.start(), len(part[0]))
                problems.add("E015", f"`{part[0]}` {what}", place, _known(known))
    if len(problems) > before:
        return None
    fills, inside, published = tuple(data.get("fills", ())), data.get("inside"), data.get("from")
    return KeyMap(data["keys"], data["for"], tuple(rules), fills, inside, published)


def _known(names: Sequence[str] | set[str]) -> str | None:
    return f"choose from {', '.join(f'`{{{name}}}`' for name in sorted(names))}" if names else None


def _pattern(text: str) -> re.Pattern[str]:
    """The regular expression of a pattern; a repeated placeholder must match the same text."""
    parts: list[str] = []
    seen: set[str] = set()
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        name = found[1]
        value = f"(?P={name})" if name in seen else f"(?P<{name}>{'[0-9]+' if len(name) == 1 else '[^.]+'})"
        parts += [re.escape(text[end : found.start()]), value]
        seen.add(name)
        end = found.end()
    return re.compile("".join(parts) + re.escape(text[end:]))


def _words(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
