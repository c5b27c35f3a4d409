"""A document against a JSON Schema, with the faults as diagnostics at their places."""

from collections.abc import Mapping
from typing import Any

from crossband.graphs.diagnostics import Problems
from crossband.graphs.reader import Document
from crossband.registry import explain, near


def validate(document: Document, schema: Mapping[str, Any], problems: Problems, what: str) -> bool:
    """Add every fault of `document` to `problems`; `what` names the file's kind in them. True if there is none."""
    from jsonschema import Draft202012Validator

    before = len(problems)
    for error in Draft202012Validator(schema).iter_errors(document.data):
        path = tuple(error.absolute_path)
        place = document.place(*path)
        where = (
            f"`{path[-1]}`"
            if path and isinstance(path[-1], str)
            else f"the item of `{path[-2]}`"
            if path
            else f"the {what}"
        )
        match error.validator:
            case "additionalProperties":
                known = list(error.schema.get("properties", {}))
                for key in [key for key in error.instance if key not in known]:
                    hint = _hint(key, known)
                    problems.add("E005", f"{where} takes no key `{key}`", document.place(*path, key, key=True), hint)
            case "required":
                missing = [key for key in error.validator_value if key not in error.instance]
                for key in missing:
                    problems.add("E007", f"{where} needs the key `{key}`", place)
            case "pattern":
                problems.add("E016", f"{where} must be letters, digits and `_`, got `{error.instance}`", place)
            case _:
                problems.add("E006", f"{where} {explain(error)}", place)
    return len(problems) == before


def _hint(key: str, known: list[str]) -> str | None:
    if matches := near(key, known):
        return f"did you mean `{matches[0]}`?"
    return f"choose from {', '.join(f'`{name}`' for name in known)}" if len(known) <= 16 else None
