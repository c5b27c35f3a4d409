"""A recipe as the sum of its parts: the file, the recipes it extends, and what the command line sets.

Of every value it is known which part said it last, so that a fault is shown where it can be cured.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crossband.graphs.checking.scope import Scope
from crossband.graphs.language.diagnostics import Problems, Reported
from crossband.graphs.language.document import Document, Mark, Place
from crossband.graphs.language.expressions import is_expression, names_in
from crossband.graphs.language.reader import read_text
from crossband.recipes.language.bands import known_numbers
from crossband.registry import suggest

Path_ = tuple[str | int, ...]
SETTINGS = "settings"  # what errors call the text of a setting, of the command line or from Python
MERGED = (  # mappings that a child adds to; any other value it replaces whole
    *("params", "networks", "networks.*", "networks.*.params", "flow", "phases", "phases.*", "phases.*.losses"),
    *("losses", "data", "task", "every", "evaluate", "variants", "variants.*"),
)
TEXT = ("flow", "doc", "recipe", "cite", "paper", "variants")  # where `=` has no meaning, or not yet
OWN = ("paper",)  # what a child does not have from its parent: the figures of a paper are those of one system


@dataclass(frozen=True)
class Setting:
    """One `key.of.the.recipe=value` of the command line, or of a variant, which stands `inside` a recipe file.

    On the command line the text before `=` is the path, what follows is YAML.
    """

    path: tuple[str, ...]
    document: Document
    inside: Path_ = ()

    @property
    def value(self) -> Any:
        """What is set."""
        return Place(self.document, self.inside).written()

    def covers(self, path: Path_) -> bool:
        """Whether this setting says what stands at `path`."""
        own, size = self.path, min(len(path), len(self.path))
        return bool(path) and own[:size] == path[:size]

    def place(self, path: Path_, *, key: bool) -> Place:
        """Where in the text of the setting the value at `path` stands."""
        if not key and len(path) >= len(self.path):
            return self.document.place(*self.inside, *path[len(self.path) :])
        if self.inside:
            return self.document.place(*self.inside, key=True)
        return Place(self.document, span=Mark(1, 1, len(".".join(self.path))))


def read_setting(text: str, problems: Problems) -> Setting | None:
    """The setting in `key=value`; None where it cannot be read, with the reason in `problems`."""
    key, sign, value = text.partition("=")
    path = tuple(key.split("."))
    if not sign or not all(path) or not value.strip():
        place = Place(Document(SETTINGS, text), span=Mark(1, 1, max(1, len(text))))
        problems.add("E002", f"`{text}` is not `key=value`", place, "write `--set name=value`")
        return None
    padded = read_text(" " * (len(key) + 1) + value, problems, SETTINGS)  # so that columns agree
    return Setting(path, Document(SETTINGS, text, padded._root)) if padded else None


class Layers(Document):
    """The documents of a recipe, the strongest first, with the settings above them, as one document."""

    def __init__(self, documents: Sequence[Document], settings: Sequence[Setting] = ()) -> None:
        super().__init__(documents[0].file, documents[0].text)
        self.documents = tuple(documents)
        self.settings = tuple(settings)

    @cached_property
    def data(self) -> Any:
        """What all the parts say together, expressions as written."""
        merged: dict[str, Any] = {}
        for document in reversed(self.documents):
            inherited = {key: value for key, value in merged.items() if key not in OWN}
            merged = _merge(inherited, document.data, ())
        merged.pop("extends", None)
        merged = deepcopy(merged)  # the settings must not reach into the documents
        for setting in self.settings:
            _set(merged, setting.path, deepcopy(setting.value))
        return merged

    def with_variants(self, problems: Problems) -> "Layers":
        """The same with the settings of the variants that are chosen, if any are, below those of the command line."""
        chosen, known = self.data.get("variant", []), self.data.get("variants", {})
        own: list[Setting] = []
        for number, name in enumerate(chosen if isinstance(chosen, list) else [chosen]):
            if isinstance(known, Mapping) and isinstance(known.get(name), Mapping):
                places = {key: self.place("variants", name, key) for key in known[name]}
                own += [Setting(tuple(key.split(".")), place.document, place.path) for key, place in places.items()]
            else:
                hint = suggest(str(name), known) or "the recipe has no variants"
                place = self.place("variant", number) if isinstance(chosen, list) else self.place("variant")
                problems.add("E070", f"no variant named `{name}`", place, hint)
        return Layers(self.documents, [*own, *self.settings]) if own else self

    def place(self, *path: str | int, key: bool = False) -> Place:
        """Where the value at `path` was said, by the strongest part that says it, or the nearest value around it."""
        rank = self.rank(path)
        if rank is None:
            return self.place(*path[:-1]) if path else self.documents[0].place()
        if rank < len(self.settings):
            return self.settings[-1 - rank].place(path, key=key)
        return self.documents[rank - len(self.settings)].place(*path, key=key)

    def rank(self, path: Path_) -> int | None:
        """Which part says the value at `path`: 0 is the strongest setting, the last the oldest parent; None is none."""
        said = [each.covers(path) for each in reversed(self.settings)]
        said += [_has(each.data, path) for each in self.documents]
        return said.index(True) if True in said else None


def worked_out(layers: Layers, problems: Problems) -> dict[str, Any]:
    """The data of a recipe with its `=` expressions worked out, over its `params` and the channels of its bands.

    A param may use others, in any order. Faults go to `problems`. A param that no part of the recipe uses is one, most
    likely misspelt; one whose use a child or a setting replaces is none.
    """
    given, params = known_numbers(layers.data), layers.data.get("params")
    params = params if isinstance(params, Mapping) else {}
    scope = Scope(given, problems).params(params, lambda name: layers.place("params", name))

    def value(found: Any, path: Path_) -> Any:
        if isinstance(found, Mapping):
            return {key: value(item, (*path, key)) for key, item in found.items()}
        if isinstance(found, list):
            return [value(item, (*path, number)) for number, item in enumerate(found)]
        if not is_expression(found) or path[0] in TEXT:
            return found
        try:
            return scope.value(found, layers.place(*path))
        except Reported:
            return 1  # wrong, and said so already

    for name in (name for name in params if name in given):
        place = layers.place("params", name, key=True)
        problems.add("E016", f"`{name}` has a value already", place, "take another name")
    data = {key: value(item, (key,)) for key, item in layers.data.items()}
    used = names_in([*(document.data for document in layers.documents), *(each.value for each in layers.settings)])
    for name in [name for name in params if name not in {*given, *used} and not len(problems)]:
        hint = f"use it as `={name}`, or remove it"
        problems.add("E021", f"the param `{name}` is never used", layers.place("params", name, key=True), hint)
    return data


def _merge(parent: Mapping[str, Any], child: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """A child over its parent: mappings of MERGED are added to, null removes, anything else replaces."""
    merged = dict(parent)
    for key, value in child.items():
        here = (*path, key)
        if value is None and key in parent:
            del merged[key]
        elif isinstance(value, dict) and isinstance(parent.get(key), dict) and _adds(here):
            merged[key] = _merge(parent[key], value, here)
        else:
            merged[key] = value
    return merged


def _adds(path: tuple[str, ...]) -> bool:
    return any(
        len(path) == len(names) and all(name in ("*", step) for name, step in zip(names, path, strict=True))
        for names in (pattern.split(".") for pattern in MERGED)
    )


def _set(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *above, last = path
    for step in above:
        inner = data.get(step)
        data[step] = inner if isinstance(inner, dict) else {}
        data = data[step]
    if value is None:  # as in a child: what is said above is removed
        data.pop(last, None)
    else:
        data[last] = value


def _has(data: Any, path: Path_) -> bool:
    for step in path:
        inside = isinstance(data, dict) and step in data
        if not inside and not (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            return False
        data = data[step]  # type: ignore[index]  one of the two, as was just made sure
    return True
