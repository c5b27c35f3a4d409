"""The layers of a recipe: its file, the recipes that it extends, and the settings of the command line.

Each value records the strongest layer that says it, so that a fault is shown where it can be corrected.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

from crossband.graphs.checking.scope import Scope
from crossband.graphs.language.diagnostics import Problems, Reported
from crossband.graphs.language.document import Document, Mark, Place
from crossband.graphs.language.expressions import is_expression, names_in
from crossband.graphs.language.reader import read_text
from crossband.recipes.language.bands import ROLES, known_numbers
from crossband.recipes.language.schema import MERGED, PATCH
from crossband.registry import nearest, show, whole

Path_ = tuple[str | int, ...]
SETTINGS = "settings"  # what errors call the text of a setting, of the command line or from Python
ONE = ("optimizer",)  # of which a recipe has one, by its name; of `data.source` the reader tells
PARTS: Mapping[str, tuple[str, ...]] = {  # what holds parts by name, and the keys by which a setting adds a new one
    "networks": ("graph",),
    "phases": ("train", "losses"),
    **dict.fromkeys(ONE, ()),
}
TEXT = ("flow", "doc", "recipe", "cite", "paper", "variants")  # sections without `=` expressions
OWN = ("paper",)  # not inherited: the figures of a paper belong to one system


@dataclass(frozen=True)
class LayeredPlace(Place):
    """The place of the value at `whole` in the layer that says it; what is inside it may be said by another one."""

    layers: "Layers | None" = None
    whole: Path_ = ()

    def written(self) -> Any:
        """The value at this place, as all layers together say it."""
        return _at(self.layers.data, self.whole) if self.layers else None

    def child(self, *steps: str | int) -> Place:
        """The value at `steps` below this one, in the layer that says that."""
        assert self.layers is not None
        return self.layers.place(*self.whole, *steps)

    def on_key(self) -> Place:
        """The place of the key of this value."""
        assert self.layers is not None
        return self.layers.place(*self.whole, key=True)


@dataclass(frozen=True)
class Setting:
    """One `key.of.the.recipe=value`: on the command line, or in a variant, at the path `inside` of a recipe file.

    On the command line the text before `=` is the path and the text after it is YAML.
    """

    path: tuple[str, ...]
    document: Document
    inside: Path_ = ()

    @property
    def value(self) -> Any:
        """The value that is set."""
        return Place(self.document, self.inside).written()

    def place(self, path: Path_, *, key: bool) -> Place:
        """The place in the text of the setting of the value at `path`."""
        if not key and len(path) >= len(self.path):
            return self.document.place(*self.inside, *path[len(self.path) :])
        if self.inside:
            return self.document.place(*self.inside, key=True)
        return Place(self.document, span=Mark(1, 1, len(".".join(self.path))))


def read_setting(text: str, problems: Problems) -> Setting | None:
    """Read the setting in `key=value`; None after reporting a fault."""
    key, sign, value = text.partition("=")
    path = tuple(key.split("."))
    if not sign or not all(path) or not value.strip():
        place = Place(Document(SETTINGS, text), span=Mark(1, 1, max(1, len(text))))
        problems.add("E002", f"`{text}` is not `key=value`", place, "write `--set name=value`")
        return None
    found = Problems()
    padded = read_text(" " * (len(key) + 1) + value, found, SETTINGS)  # so that columns agree
    for each in found:
        place = Place(Document(SETTINGS, text), span=each.place.mark if each.place else None)
        problems.take(replace(each, place=place))
    return Setting(path, Document(SETTINGS, text, padded._root)) if padded else None


class Layers(Document):
    """The documents of a recipe, the strongest first, and the settings above them, as one document."""

    def __init__(self, documents: Sequence[Document], settings: Sequence[Setting] = ()) -> None:
        super().__init__(documents[0].file, documents[0].text)
        self.documents = tuple(documents)
        self.settings = tuple(settings)

    @cached_property
    def data(self) -> Any:
        """The merged data of all layers, expressions as written."""
        merged: dict[str, Any] = {}
        for document in reversed(self.documents):
            inherited = {key: value for key, value in merged.items() if key not in OWN}
            merged = _merge(inherited, document.data, ())
        merged.pop("extends", None)
        merged = deepcopy(merged)  # settings must not change the documents
        for setting in self.settings:
            _set(merged, setting.path, deepcopy(setting.value))
        return merged

    def with_variants(self, problems: Problems) -> "Layers":
        """The same layers with the settings of the chosen variants added, below those of the command line."""
        chosen, known = self.data.get("variant", []), self.data.get("variants", {})
        names = chosen if isinstance(chosen, list) else [chosen]
        if not isinstance(known, Mapping) or not all(isinstance(name, str) for name in names):
            return self  # which the schema tells
        own: list[Setting] = []
        for number, name in enumerate(names):
            if isinstance(known.get(name), Mapping):
                places = {key: self.place("variants", name, key) for key in known[name]}
                own += [Setting(tuple(key.split(".")), place.document, place.path) for key, place in places.items()]
            else:
                hint = nearest(name, known, otherwise="the recipe has no variants")
                place = self.place("variant", number) if isinstance(chosen, list) else self.place("variant")
                problems.add("E070", f"no variant named `{name}`", place, hint)
        return Layers(self.documents, [*own, *self.settings]) if own else self

    def settings_fit(self, problems: Problems) -> bool:
        """Whether each setting of a part of something finds it; report those of what the recipe does not have."""
        before, merged = len(problems), Layers(self.documents).data
        for setting in self.settings:
            for section, new in PARTS.items():
                above, rest = section.split("."), setting.path[section.count(".") + 1 :]
                holder = reduce(lambda data, step: data.get(step) if isinstance(data, dict) else None, above, merged)
                if setting.path[: len(above)] == tuple(above) and len(rest) > 1 and rest[1] not in new:
                    self._has_part(section, holder, setting, rest, problems)
            _set(merged, setting.path, deepcopy(setting.value))
        return len(problems) == before

    @staticmethod
    def _has_part(section: str, holder: Any, setting: Setting, rest: Path_, problems: Problems) -> None:
        name, known = str(rest[0]), list(holder) if isinstance(holder, dict) else [holder]
        if name in known or not holder:
            return
        message, hint = f"the recipe has no `{name}` under `{section}`", nearest(name, known)
        if section in ONE:
            message = f"`{section}` is `{known[0]}` here, and not `{name}`"
            inner = show(setting.value).replace("`", "")
            for key in reversed(rest):
                inner = f"{{{key}: {inner}}}"
            hint = f"to take the other one, write `{section}={inner}`"
        problems.add("E070", message, setting.place(setting.path, key=True), hint)

    def place(self, *path: str | int, key: bool = False) -> Place:
        """The place of the value at `path` in the strongest layer that says it, or of the nearest value around it."""
        rank = self.rank(path)
        if rank is None:
            return self.place(*path[:-1]) if path else self.documents[0].place()
        if rank < len(self.settings):
            found = self.settings[-1 - rank].place(path, key=key)
        else:
            found = self.documents[rank - len(self.settings)].place(*path, key=key)
        return LayeredPlace(found.document, found.path, found.key, found.span, self, path)

    def rank(self, path: Path_) -> int | None:
        """The number of the strongest layer that says the value at `path`, from 0 for the strongest; None for none."""
        exact, above = self._said
        found = [exact.get(path[:length], -1) for length in range(1, len(path) + 1)] + [above.get(path, -1)]
        if path and max(found) >= 0:
            return len(self.settings) - 1 - max(found)
        documents = (number for number, each in enumerate(self.documents) if _has(each.data, path))
        first = next(documents, None)
        return None if first is None else len(self.settings) + first

    @cached_property
    def _said(self) -> tuple[dict[Path_, int], dict[Path_, int]]:
        """The number of the strongest setting of each path, and of each path above it."""
        exact: dict[Path_, int] = {each.path: number for number, each in enumerate(self.settings)}
        above = {path[:length]: number for path, number in exact.items() for length in range(1, len(path))}
        return exact, {**above, **{path: max(number, above.get(path, -1)) for path, number in exact.items()}}

    def added(self, section: str) -> list[str]:
        """The names that layers add to a section, beside names of the weakest layer that has it."""
        first = next((each.data[section] for each in reversed(self.documents) if section in each.data), {})
        own = [name for name in self.data[section] if name not in first]
        return own if len(own) < len(self.data[section]) else []

    def adds(self, path: Path_) -> bool:
        """Whether any layer gives the value at `path`, and not only null, which removes it."""
        given = [each.value for each in self.settings if each.path == path]
        given += [_at(each.data, path) for each in self.documents if _has(each.data, path)]
        return any(value is not None for value in given)


def worked_out(layers: Layers, problems: Problems) -> dict[str, Any]:
    """The data of a recipe with its `=` expressions worked out from its `params` and the channels of its bands.

    A param may use others, in any order. Faults go to `problems`. A param that no layer uses is reported, as it is most
    likely misspelt. One whose use is replaced by a child or a setting is not reported.
    """
    given, params = known_numbers(layers.data), layers.data.get("params")
    params = params if isinstance(params, Mapping) else {}
    unknown = frozenset(f"{word}_channels" for word in ROLES) - given.keys()  # as the task is wrong, which is told
    scope = Scope(given, problems, broken=unknown).params(params, lambda name: layers.place("params", name))

    def value(found: Any, path: Path_) -> Any:
        if isinstance(found, Mapping):
            return {key: value(item, (*path, key)) for key, item in found.items()}
        if isinstance(found, list):
            return [value(item, (*path, number)) for number, item in enumerate(found)]
        if not is_expression(found) or path[0] in TEXT or _in_patch(path):
            return found
        try:
            known = scope.value(found, layers.place(*path))
            return known if _is_param(path) else whole(known)  # `=8*1.5` is 12, and a param may be divided further
        except Reported:
            return 1  # reported already

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
    """Merge a child into its parent: mappings of MERGED are merged, null removes, any other value replaces."""
    merged = dict(parent)
    for key, value in child.items():
        here = (*path, key)
        if value is None and key in parent and not _names_part(here):
            del merged[key]
        elif isinstance(value, dict) and isinstance(parent.get(key), dict) and _adds(here):
            merged[key] = _merge(parent[key], value, here)
        else:
            merged[key] = value
    return merged


def _in_patch(path: Path_) -> bool:
    """Whether a path leads to what a recipe says of the graph of a network."""
    return len(path) > 2 and path[0] == "networks" and path[2] in PATCH


def _is_param(path: Path_) -> bool:
    """Whether a path leads to a param, of the recipe or of a graph, which other expressions may use."""
    return path[0] == "params" or (len(path) > 2 and path[0] == "networks" and path[2] == "params")


def _names_part(path: Path_) -> bool:
    """Whether a path leads to a named part of a graph: there null removes the part, and so it has to be kept."""
    return _in_patch(path) and len(path) == 4 and f"networks.*.{path[2]}" in MERGED


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
    if value is None and not _names_part(path):  # removes the value below, as in a child
        data.pop(last, None)
    else:
        data[last] = value


def _at(data: Any, path: Path_) -> Any:
    for step in path:
        data = data[step]
    return data


def _has(data: Any, path: Path_) -> bool:
    for step in path:
        inside = isinstance(data, dict) and step in data
        if not inside and not (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            return False
        data = data[step]  # type: ignore[index]  one of the two, as was just made sure
    return True
