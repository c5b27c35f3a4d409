"""The keys of a format as its JSON Schema has them: what `crossband show format` and the pages of the formats tell.

A key is written as a path, `networks.NAME.graph`, in which NAME stands for any name that the file itself gives.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crossband.registry import REQUIRED, Parameter

ANY = "NAME"
TOLD = ("description", "default")  # what a schema says of a value beside what it admits
TYPE, INNER = "x-type", "x-inner"  # type and inner schema of a value that a schema leaves to others to check

Schema = Mapping[str, Any]


def keys(schema: Schema) -> dict[str, Parameter]:
    """Every key that a format has, by its path, a key before those inside it."""
    found: dict[str, Parameter] = {}
    for path, own, default in _inside(schema, (), schema, set()):
        name = ".".join(path)
        found.setdefault(name, Parameter(name, own, default))
    return found


def look_up(path: str, known: Mapping[str, Parameter]) -> str | None:
    """The key that a path means, `networks.generator.graph` for `networks.NAME.graph`; None if there is none."""
    found: tuple[str, ...] = ()
    for step in path.split("."):
        inner = next((name for name in (step, ANY) if _begins(known, (*found, name))), None)
        if inner is None:
            return None
        found = (*found, inner)
    return ".".join(found)


def below(path: str, known: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """A key, and every key inside it."""
    return {name: key for name, key in known.items() if f"{name}.".startswith(f"{path}.")}


def told(schema: Schema) -> dict[str, Any]:
    """What a schema says of a value, for a schema around it or in its place: editors show the outermost."""
    said = {key: schema[key] for key in (*TOLD, TYPE) if key in schema}
    return {**said, TYPE: schema["type"]} if "type" in schema else said


def _begins(known: Mapping[str, Parameter], path: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{'.'.join(path)}.") for name in known)


def _inside(
    part: Schema, path: tuple[str, ...], root: Schema, opened: set[str]
) -> Iterator[tuple[tuple[str, ...], Schema, Any]]:
    """The keys inside a part of a schema: path, schema and default. Each definition is opened where it is met first."""
    if (reference := part.get("$ref")) and reference not in opened:
        opened.add(reference)
        yield from _inside(_resolved(part, root), path, root, opened)
    needed = {*part.get("required", ()), *part.get("else", {}).get("required", ())}
    for name, own in part.get("properties", {}).items():
        if own:
            yield (*path, name), _alone(_resolved(own, root)), REQUIRED if name in needed else own.get("default")
            yield from _inside(own, (*path, name), root, opened)
    if isinstance(named := part.get("additionalProperties"), Mapping):
        yield from _inside(named, (*path, ANY), root, opened)
    for inner in (part.get(INNER), part.get("items"), part.get("then"), part.get("else"), *part.get("allOf", ())):
        if isinstance(inner, Mapping):
            yield from _inside(inner, path, root, opened)


def _resolved(part: Schema, root: Schema) -> Schema:
    """A part of a schema with what it refers to written out, one level deep."""
    reference = part.get("$ref")
    own = {key: value for key, value in part.items() if key != "$ref"}
    return {**root["$defs"][reference.rpartition("/")[2]], **own} if reference else part


def _alone(own: Schema) -> Schema:
    """The schema of a key without that of the keys inside it, which have rows of their own."""
    inner = own.get("additionalProperties")
    plain = isinstance(inner, Mapping) and inner.keys() & {"type", "enum"} and "properties" not in inner
    left_out = {"properties", "required", *(() if plain else ("additionalProperties",))}
    return {key: value for key, value in own.items() if key not in left_out}
