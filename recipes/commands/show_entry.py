"""`crossband show BLOCK`, and of a loss, a data source or a wrapper."""

from collections.abc import Mapping
from typing import Any

import click

from crossband import registry
from crossband.blocks.contracts.block import BlockEntry
from crossband.recipes.commands import listing
from crossband.recipes.commands.output import plain, print_facts, print_json, print_table
from crossband.registry import Entry, Parameter, show


def show_entry(kind: str, name: str, form: str | None) -> None:
    """Print what a registered thing takes and gives, its documentation and its source."""
    listing.import_all()
    kinds = {
        "block": registry.blocks,
        "wrapper": registry.wrappers,
        "loss": registry.losses,
        "source": registry.sources,
    }
    entry = kinds[kind][name]
    if form == "json":
        print_json({"kind": kind, **_as_dict(entry)})
        return
    print_facts(
        {
            kind: entry.name,
            "contract": contract_text(entry),
            "where": "; ".join(_conditions(entry)),
            "inputs": ", ".join(getattr(entry, "inputs", ())),
            "bands": ", ".join(f"{band} ({channels})" for band, channels in getattr(entry, "bands", {}).items()),
            "pairing": " or ".join(getattr(entry, "pairing", ())),
            "cite": entry.cite or "",
            "written in": entry.origin,
        }
    )
    click.echo(f"\n{entry.doc}")
    if entry.parameters:
        click.echo()
        rows = [(p.name, type_text(p.schema), _default(p)) for p in entry.parameters.values()]
        print_table(("parameter", "type", "default"), rows)


def contract_text(entry: Entry) -> str:
    """The contract of a block; what stands for it where it has none; nothing for anything else."""
    if not isinstance(entry, BlockEntry):
        return ""
    if entry.contract:
        return entry.contract.text
    return "a function of the input shapes" if entry.shape else "found by running it on the meta device"


def type_text(schema: Mapping[str, Any]) -> str:
    """The values that a schema takes: `int >= 1`, `"same" or int >= 0`, `list of text`."""
    if "enum" in schema:
        return " or ".join(map(show, schema["enum"]))
    if "if" in schema:
        return f"{type_text(schema['if'])} or {type_text(schema['else'])}"
    kinds = schema.get("type", "anything")
    if isinstance(kinds, list):
        return " or ".join(type_text({**schema, "type": kind}) for kind in kinds)
    if kinds == "array":
        items = schema.get("prefixItems")
        return f"[{', '.join(map(type_text, items))}]" if items else f"list of {type_text(schema['items'])}"
    if kinds == "object" and "properties" in schema:
        return f"{{{', '.join(schema['properties'])}}}"
    if kinds == "object":
        return f"mapping to {type_text(schema['additionalProperties'])}"
    names = {"integer": "int", "number": "float", "string": "text", "boolean": "bool"}
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [
        f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema and kinds in ("integer", "number")
    ]
    return " ".join(filter(None, [names.get(kinds, kinds), ", ".join(bounds)]))


def _conditions(entry: Entry) -> list[str]:
    contract = getattr(entry, "contract", None)
    return [text.partition("#")[2].strip() or text for text, _ in contract.where] if contract else []


def _default(parameter: Parameter) -> str:
    return "required" if parameter.required else plain(parameter.default)


def _as_dict(entry: Entry) -> dict[str, Any]:
    inputs = getattr(entry, "inputs", None)
    return {
        "name": entry.name,
        "doc": entry.doc,
        "cite": entry.cite,
        **({"contract": contract_text(entry), "where": _conditions(entry)} if isinstance(entry, BlockEntry) else {}),
        **({"inputs": list(inputs)} if inputs else {}),
        **{fact: getattr(entry, fact) for fact in ("bands", "pairing") if hasattr(entry, fact)},
        "parameters": [
            {"name": p.name, "required": p.required, "type": type_text(p.schema), "schema": dict(p.schema)}
            for p in entry.parameters.values()
        ],
    }
