"""Validate a document against a JSON Schema and report the faults at their places."""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.reader import Document
from crossband.registry import explain, near, show, suggest

Path: TypeAlias = tuple[str | int, ...]
SECTION_AND_NAME = 2


def validate(document: Document, schema: Mapping[str, Any], problems: Problems, what: str) -> bool:
    """Add every fault of `document` to `problems`; `what` names the file's kind in them. True if there is none."""
    before = len(problems)
    unusable(document.data, document.place(), schema, problems, what)
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

    An extra key or a malformed name is a fault, but its surroundings stay usable. `hints` say how values are written,
    by top-level key.
    """
    from jsonschema import Draft202012Validator

    found: set[Path] = set()
    for error in Draft202012Validator(schema).iter_errors(data):
        path = tuple(error.absolute_path)
        place, where = at.child(*path), _where(path, what)
        match error.validator:
            case "additionalProperties":
                known = list(error.schema.get("properties", {}))
                for key in [key for key in error.instance if key not in known]:
                    hint = suggest(key, known)
                    problems.add("E005", f"{where} takes no key `{key}`", at.child(*path, key).on_key(), hint)
            case "required":
                found.add(path)
                for key in [key for key in error.validator_value if key not in error.instance]:
                    meant = near(
                        key, [name for name in error.instance if name not in error.schema.get("properties", {})]
                    )
                    if not meant:  # else it is reported as a misspelt key
                        problems.add("E007", f"{where} needs the key `{key}`", place, f"add `{key}:`")
            case "pattern":
                message = f"{where} must be letters, digits and `_`, a letter first, got {show(error.instance)}"
                problems.add("E016", message, place, f"`{usable_name(str(error.instance))}` would do")
            case _:
                found.add(path)
                message, hint = explain(error)
                hint = (hints or {}).get(str(path[0]), hint) if 0 < len(path) <= SECTION_AND_NAME else hint
                problems.add("E006", f"{where} {message}", place, hint)
    return found


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
