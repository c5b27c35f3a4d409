"""`crossband show` of what is registered, and of a key map: all that its description has."""

from collections.abc import Mapping
from typing import Any

import click

from crossband.graphs.language.keys import TYPE
from crossband.recipes.commands.output import plain, print_facts, print_json, print_table
from crossband.registry import ROOT, Description, Parameter, show


def show_entry(item: Description, form: str | None) -> None:
    """Print what a thing takes and gives, its documentation and its sources."""
    if form == "json":
        print_json(as_json(item))
        return
    tables = {name: value for name, value in item.details.items() if _is_table(value)}
    facts = {name: _words(value) for name, value in item.details.items() if name not in tables}
    written = str(ROOT / item.origin)  # which leaves an absolute path as it is
    print_facts({item.kind: item.name, **facts, "cite": ", ".join(item.cite), "written in": written})
    click.echo(f"\n{item.doc}")
    for name, table in tables.items():
        click.echo()
        print_table((name, "to"), list(table.items()))
    if item.parameters:
        click.echo()
        print_parameters("key" if item.kind == "format" else "param", item.parameters)


def print_parameters(heading: str, parameters: Mapping[str, Parameter]) -> None:
    """A table of parameters: name, type, default and, where any says so, what it is."""
    columns = {
        heading: list(parameters),
        "type": [type_text(p.schema) for p in parameters.values()],
        "default": [default_text(p) for p in parameters.values()],
        "what it is": [p.schema.get("description", "") for p in parameters.values()],
    }
    used = {heading: column for heading, column in columns.items() if any(column)}
    print_table(list(used), list(zip(*used.values(), strict=True)))


def as_json(item: Description) -> dict[str, Any]:
    """A thing for a program: `params` are its arguments in YAML, and what only its kind has stands beside them."""
    params = [
        {"name": p.name, "required": p.required, "type": type_text(p.schema), "schema": dict(p.schema)}
        for p in item.parameters.values()
    ]
    said = {"kind": item.kind, "name": item.name, "summary": item.summary, "doc": item.doc, "cite": list(item.cite)}
    return {**said, **item.details, "params": params, "written_in": str(ROOT / item.origin)}


def type_text(schema: Mapping[str, Any]) -> str:
    """The values that a schema takes: `int >= 1`, `"same" or int >= 0`, `list of text`."""
    if "enum" in schema:
        return " or ".join(map(show, schema["enum"]))
    if "if" in schema and "type" not in schema:
        return f"{type_text({**schema['if'], **schema['then']})} or {type_text(schema['else'])}"
    kinds = schema.get("type") or schema.get(TYPE, "anything")
    if isinstance(kinds, list):
        return " or ".join(type_text({**schema, "type": kind}) for kind in kinds)
    if kinds == "array":
        items = schema.get("prefixItems")
        if items:
            return f"[{', '.join(map(type_text, items))}]"
        return f"list of {type_text(schema['items'])}" if {"type", "enum"} & {*schema.get("items", ())} else "list"
    if kinds == "object" and "properties" in schema:
        return f"{{{', '.join(schema['properties'])}}}"
    if kinds == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {type_text(inner)}" if isinstance(inner, Mapping) and inner else "mapping"
    names = {"integer": "int", "number": "float", "string": "text", "boolean": "bool"}
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [
        f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema and kinds in ("integer", "number")
    ]
    return " ".join(filter(None, [names.get(kinds, kinds), ", ".join(bounds)]))


def _is_table(value: Any) -> bool:
    """Whether a detail is one text for each of many, such as the names of a key map."""
    return isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values())


def _words(value: Any) -> str:
    """A detail on one line, whole."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def default_text(parameter: Parameter) -> str:
    """The default of a parameter, or that it is required."""
    if parameter.required:
        return "required"
    return plain(parameter.default) if "default" in parameter.schema else ""
