"""Validate a document against a JSON Schema and report the faults at their places."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.reader import Document
from crossband.registry import MANY, explain, near, show, suggest, validator

Path: TypeAlias = tuple[str | int, ...]
SECTION_AND_NAME = 2
FEW = 3  # sections that a message names

SECTIONS: Mapping[str, tuple[str, ...]] = {  # of the files of each kind, those that no other kind has
    "graph": ("inputs", "nodes", "outputs", "taps", "blocks", "insert", "wrap"),
    "recipe": ("task", "networks", "flow", "losses", "phases", "optimizer", "schedule", "data", "epochs", "steps"),
    "table": ("rows", "columns", "protocol", "seeds"),
}


def is_of_kind(document: Document, kind: str, problems: Problems) -> bool:
    """Whether a file is the `graph`, `recipe` or `table` that it is read as; report one that has the name of another.

    A file begins with its kind and its name, `graph: mine`. Where that and its sections contradict each other, they
    are all that there is to say.
    """
    data = document.data
    if not isinstance(data, dict):
        return True  # which its schema tells
    sections = {each: [key for key in known if key in data] for each, known in SECTIONS.items()}
    others = [each for each in SECTIONS if each != kind]
    meant = max(sections, key=lambda each: len(sections[each]))
    if kind in data and (sections[kind] or not any(sections[other] for other in others)):
        return True
    if kind not in data and not any(other in data or sections[other] for other in others):
        return True
    named = next((data[each] for each in (kind, *others) if each in data), None)
    name = named if isinstance(named, str) else "its_name"
    found = ", ".join(f"`{key}`" for key in sections[meant][:FEW])
    written = next((each for each in (kind, *others) if each in data), None)
    if written and written != meant and found:
        message = f"a {written} has no {found}, which make a {meant}"
        problems.add("E007", message, document.place(written, key=True), f"begin with `{meant}: {name}`")
    elif written is None:
        message = f"the first line is missing: {found} make a {meant}"
        problems.add("E007", message, document.place(), f"begin with `{meant}: {name}`")
    else:
        message = f"a {kind} is wanted here, and this is the {written} `{name}`"
        problems.add("E007", message, document.place(written, key=True), f"name a {kind}")
    return False


def validate(
    document: Document, schema: Mapping[str, Any], problems: Problems, what: str, hints: Mapping[str, str] | None = None
) -> bool:
    """Add every fault of `document` to `problems`; `what` names the file's kind in them. True if there is none."""
    before = len(problems)
    unusable(document.data, document.place(), schema, problems, what, hints=hints)
    return len(problems) == before


def unusable(
    data: Any,
    at: Place,
    schema: Mapping[str, Any],
    problems: Problems,
    what: str,
    *,
    hints: Mapping[str, str] | None = None,
) -> set[Path]:
    """Like `validate`, for data that stand at a place, but return the paths of unusable values.

    An extra key or a malformed name is a fault, but its surroundings stay usable. `hints` say how lists and mappings
    are written, by top-level key or by dotted path.
    """
    found: set[Path] = set()
    wrong: set[Path] = set()  # values of which something is said
    for error in validator(schema).iter_errors(data):
        path = tuple(error.absolute_path)
        place, where = at.child(*path), _where(path, what)
        match error.validator:
            case "additionalProperties":
                known = list(error.schema.get("properties", {}))
                odd = [key for key in error.instance if key not in known]
                for key in odd:
                    hint = partial(_home, key, schema, path, known, hints or {})
                    problems.add("E005", f"{where} takes no key `{key}`", at.child(*path, key).on_key(), hint)
                if not path and any(set(near(key, known)[:1]) - {*error.instance} for key in odd[:MANY]):
                    found.add(path)  # what a misspelt section declares is unknown, and so is all that uses it
            case "required":
                found.add(path)
                for key in [key for key in error.validator_value if key not in error.instance]:
                    properties = error.schema.get("properties", {})
                    meant = near(key, [name for name in error.instance if name not in properties])
                    if not meant:  # else it is reported as a misspelt key
                        problems.add("E007", f"{where} needs the key `{key}`", place, f"add `{key}:`")
            case "pattern":
                message = f"{where} must be letters, digits and `_`, a letter first, got {show(error.instance)}"
                problems.add("E016", message, place, f"`{usable_name(str(error.instance))}` would do")
            case _:
                found.add(path)
                message, hint = explain(error)
                if path[-1:] == ("if",) and isinstance(error.instance, str):
                    hint = f"write `if: ={error.instance}`"
                if path not in wrong:
                    problems.add("E006", f"{where} {message}", place, _form(path, error, hints or {}, hint))
                wrong.add(path)
    return found


def _home(
    key: str, schema: Mapping[str, Any], path: Path, known: Sequence[str], hints: Mapping[str, str]
) -> str | None:
    """The hint for a key that means nothing at `path`, where `known` ones do."""
    return hints.get(key) or elsewhere(key, schema, path) or suggest(key, known)


def elsewhere(key: str, schema: Mapping[str, Any], path: Path = ()) -> str | None:
    """The hint for a key that means nothing at `path`, but elsewhere in the file; None if it means nothing at all."""
    homes = [home for home in _homes(key, schema, ()) if home != path]
    if not homes or near(key, list(_inside(schema, path))):
        return None
    if not (home := min(homes, key=len)):
        return "it stands at the top"
    return (
        f"it belongs to `{'.'.join(home)}`: `{home[-1]}: {{{key}: ...}}`, in a setting `{'.'.join((*home, key))}=...`"
    )


def _homes(key: str, schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of the mappings that have a key of this name."""
    properties = schema.get("properties", {})
    if key in properties:
        yield path
    for name, inner in properties.items():
        yield from _homes(key, inner, (*path, name))


def _inside(schema: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The keys that the mapping at `path` takes, as far as they have names."""
    for step in path:
        schema = schema.get("properties", {}).get(step, {})
    return schema.get("properties", {})


def _form(path: Path, error: Any, forms: Mapping[str, str], otherwise: str | None) -> str | None:
    """How the value at `path` is written, where it is a list or a mapping: by its path, or by that of its section."""
    if error.validator in ("enum", "const") or {"number", "integer", "boolean"} & {*_types(error)}:
        return otherwise
    dotted = ".".join(map(str, path))
    section = forms.get(str(path[0])) if 0 < len(path) <= SECTION_AND_NAME else None
    return forms.get(dotted) or otherwise or section


def _types(error: Any) -> Sequence[str]:
    types = error.schema.get("type", ())
    return [types] if isinstance(types, str) else types


def usable_name(text: str) -> str:
    """A name like `text` that consists of letters, digits and `_`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text.strip()).lstrip("_0123456789") or "name"


def _where(path: Path, what: str) -> str:
    """Name a value in a message: by its key, or as an item of a list."""
    if not path:
        return f"the {what}"
    if isinstance(path[-1], str):
        return f"`{path[-1]}`"
    named = next((step for step in reversed(path) if isinstance(step, str)), what)
    return f"item {path[-1] + 1} of `{named}`"
