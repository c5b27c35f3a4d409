"""The JSON Schema of graph files, made from the registry: it validates files and serves editors.

`if`/`then` on the YAML type, not `anyOf`: an editor then reports the one thing that is wrong.
"""

from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.graphs.language.keys import told
from crossband.graphs.language.limits import MAX_REPEAT
from crossband.registry import Described, meaning

Schema = dict[str, Any]
Known = Mapping[str, Mapping[str, Described]]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAME = r"^[A-Za-z][A-Za-z0-9_]*$"  # no leading `_`: those belong to torch
NODE_KEYS = ("from", "do", "repeat", "index", "if", "share", "with", "doc")
STEP_KEYS = ("repeat", "index", "if", "share")
SHARE: Schema = {"type": "boolean", "default": False, "description": "Use the same weights in every repetition"}
ANCHORS: Mapping[str, Schema] = {
    "after": {"type": "string", "description": "The node behind which it is inserted; its readers read this one"},
    "before": {"type": "string", "description": "The node in front of which it is inserted, on its first input"},
}
NAMING = ("graph", "extends", "params")  # the keys of a graph file that a recipe says of a network in its own words
WHOLE: Schema = {  # required of a graph without `extends`
    "required": ["inputs", "nodes", "outputs"],
    "properties": {"inputs": {"minProperties": 1}, "outputs": {"minProperties": 1}},
}


def graph_schema(known: Known = registry.KINDS, *, arguments: bool = True) -> Schema:
    """The schema of a graph file.

    `known` are the entries of the registry, or descriptions of them. Without `arguments`, the arguments of blocks are
    left open: the checker validates them by the same schemas, after it has worked out their expressions.
    """
    entries = known["blocks"] if arguments else {}
    blocks = {name: _arguments(entry) for name, entry in entries.items()}
    wrappers = {name: _arguments(entry) for name, entry in known["wrappers"].items()} if arguments else {}
    bare = _bare(entries)
    body: Schema = {
        "doc": {"type": "string", "description": "What it is, in the place of the comment that the file begins with"},
        "params": _names({}, "Numbers, text or lists that `=` expressions use, with their defaults"),
        "inputs": _names(
            {"$ref": "#/$defs/shape"},
            "Named inputs: a map `[channels, H, W]`, a vector `[length]`, or `[]` for one number an image",
        ),
        "nodes": _names(
            {"$ref": "#/$defs/node"},
            "Named values in order: a block, a list of blocks, or a mapping; each reads the one above unless it says "
            "`from`; null removes one of the parent; a name with an index, `enc(i+1)`, makes one for each repetition",
        ),
        "outputs": _names(
            {"$ref": "#/$defs/output"}, "Named results and the shape each promises, `[1, H, W]`; `[...]` is any shape"
        ),
    }
    return {
        "$schema": DIALECT,
        "title": "crossband graph",
        **_object(
            {
                "graph": {"type": "string", "pattern": NAME, "description": "The name of this graph"},
                "extends": {"type": "string", "description": "The graph to start from, by name or path"},
                "cite": {
                    "description": "What it builds on: keys of the references that `crossband cite` prints",
                    **_either({"array": {"items": {"type": "string"}}, "string": {}}),
                },
                **body,
                "keep": {
                    "description": "The nodes to keep of the graph this one extends, `[en1..en6]`, with all that they "
                    "read; the rest goes, and what is kept becomes an output unless `outputs` says otherwise",
                    **_either({"array": {"minItems": 1, "items": {"type": "string"}}, "string": {}}),
                },
                "choices": _names(_choices(), "For a param all the values that it, or each item of it, may have"),
                "taps": _names(_either({"string": {}, "null": {}}), "Named inner features, by the node that is tapped"),
                "blocks": _names(
                    _either({"object": {**_object(body), "allOf": [WHOLE]}, "null": {}}),
                    "Graphs of this file, used as blocks by their names",
                ),
                "insert": _names(
                    {"$ref": "#/$defs/insertion"},
                    "Nodes spliced into the graph that this one extends, each `after` or `before` one of its nodes",
                ),
                "wrap": {
                    "type": "object",
                    "description": "Wrappers around the whole network, with their arguments",
                    "properties": {
                        name: {**told(inner), **_either({"object": inner, "null": {}})}
                        for name, inner in wrappers.items()
                    },
                    "additionalProperties": not arguments and _either({"object": {}, "null": {}}),
                },
            },
            ["graph"],
        ),
        "if": {"required": ["extends"]},
        "else": WHOLE,
        "$defs": {
            "shape": {"type": "array", "items": {"type": ["integer", "string"], "minimum": 1}},
            "output": _either(
                {
                    "array": {"$ref": "#/$defs/shape"},
                    "object": _object(
                        {
                            "from": {
                                "type": "string",
                                "description": "The node that it is, if not the one of its name",
                            },
                            "shape": {"$ref": "#/$defs/shape", "description": "The shape it promises, batch aside"},
                        },
                        ["shape"],
                    ),
                    "null": {},
                }
            ),
            "mapping": _mapping(blocks),
            "node": _either(
                {
                    "object": {"$ref": "#/$defs/mapping"},
                    "array": {"$ref": "#/$defs/chain"},
                    "string": bare,
                    "null": {},
                }
            ),
            "insertion": {"type": "object", "$ref": "#/$defs/mapping", "properties": ANCHORS},
            "chain": {
                "type": "array",
                "minItems": 1,
                "items": _either({"object": {"$ref": "#/$defs/step"}, "string": bare}),
            },
            "step": {
                "properties": {
                    **blocks,
                    "repeat": _repeat(),
                    "index": {"type": "string", "description": "A name for which repetition it is, from 1 on"},
                    "if": _condition("The step is there only where this is true"),
                    "share": SHARE,
                }
            },
        },
    }


def patch_of(schema: Schema) -> dict[str, Schema]:
    """What a graph that extends another may say of it: of the schema of graphs all keys but name, parent and params."""
    return {key: part for key, part in schema["properties"].items() if key not in NAMING}


def _mapping(blocks: Mapping[str, Schema]) -> Schema:
    """A node written as a mapping: a block as a key, or `do`, beside the keys of a node."""
    return {
        "properties": {
            **blocks,
            "from": {
                "description": "The node or input that it reads, or a list of them; without it, the node above; "
                "`a or b` is the first that is there, `head1..head6` all in a row",
                **_either({"array": {"minItems": 1, "items": {"type": "string"}}, "string": {}}),
            },
            "do": {"$ref": "#/$defs/chain", "description": "Several blocks, each on what the one before gives"},
            "repeat": {
                **told(_repeat()),
                "if": {"type": "array"},
                "then": {"type": "array", "minItems": 1, "items": _repeat()},
                "else": _repeat(),
            },
            "index": {
                "description": "A name for which repetition it is, from 1 on, which arguments use as `=i` and names as "
                "`enc(i+1)`; or a list of names, for as many counts under `repeat`",
                **_either({"string": {}, "array": {"minItems": 1, "items": {"type": "string"}}}),
            },
            "if": _condition("The node is there only where this is true; without it, its readers read what it reads"),
            "share": {
                **SHARE,
                "description": f"{SHARE['description']}; or the node whose blocks and weights this one applies too",
                **_either({"boolean": {}, "string": {}}),
            },
            "with": {
                "type": "object",
                "description": "Of a node that a child changes: further arguments of its blocks, `{RSU: {depth: 5}}`; "
                "null goes back to the default",
                "additionalProperties": {"type": "object"},
            },
            "doc": {"type": "string", "description": "What the node is for"},
        }
    }


def _bare(blocks: Mapping[str, Described]) -> Schema:
    """A bare block name, allowed for blocks without required arguments."""
    if not blocks:
        return {}
    needing = {name: any(each.required for each in entry.parameters.values()) for name, entry in blocks.items()}
    return {
        "examples": [name for name, needs in needing.items() if not needs],
        "not": {"enum": [name for name, needs in needing.items() if needs]},
    }


def _arguments(entry: Described) -> Schema:
    """The mapping of arguments of a block or wrapper; any value may be an expression instead."""
    properties = {name: _or_expression(schema) for name, schema in parameter_schemas(entry).items()}
    required = [name for name, parameter in entry.parameters.items() if parameter.required]
    arguments = _object(properties, required)
    return {"description": entry.doc, **_either({"object": arguments, **({} if required else {"null": {}})})}


def parameter_schemas(entry: Described) -> dict[str, Schema]:
    """The schema of each parameter of a registered thing, with what it means."""
    return {
        name: {**parameter.schema, "description": meaning(entry, name)} for name, parameter in entry.parameters.items()
    }


def _choices() -> Schema:
    return {"type": "array", "minItems": 1, "items": {"type": ["string", "integer", "number", "boolean"]}}


def _repeat() -> Schema:
    count = _or_expression({"type": "integer", "minimum": 0, "maximum": MAX_REPEAT})
    threads = "what comes out takes the place of the first inputs, the others stay; 0 passes the first inputs on"
    return {"description": f"How often: {threads}", "default": 1, **count}


def _condition(description: str) -> Schema:
    return {"description": description, "default": True, **_or_expression({"type": "boolean"})}


def _or_expression(schema: Mapping[str, Any]) -> Schema:
    """The schema, with an expression allowed in place of the value or of any item of a list."""
    inner = {key: _or_expression(part) if key in ("items", "else") else part for key, part in schema.items()}
    return {**told(schema), "if": {"type": "string", "pattern": "^="}, "then": {}, "else": inner}


def _either(kinds: Mapping[str, Schema]) -> Schema:
    """One schema per YAML type."""
    branches = [{"if": {"type": kind}, "then": schema} for kind, schema in kinds.items() if schema]
    return {"type": list(kinds), **({"allOf": branches} if branches else {})}


def _object(properties: Mapping[str, Schema], required: list[str] | None = None, *, closed: bool = True) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        **({"additionalProperties": False} if closed else {}),
        **({"required": required} if required else {}),
    }


def _names(values: Schema, description: str) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": values}
