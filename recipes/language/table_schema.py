"""The JSON Schema of table files: rows, what they share, columns, and the figures that a paper prints."""

from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.graphs.language.schema import DIALECT, NAME, Known
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.language.schema import FORMS as FORMS_OF_RECIPES
from crossband.recipes.language.schema import SIZE, figure_schema
from crossband.registry import Described

Schema = dict[str, Any]
SEED: Schema = {"type": "integer", "minimum": 0}

FORMS = {  # how each section is written
    "rows": "write `rows: {ours: my_recipe.yaml, theirs: {recipe: pix2pix, settings: {epochs: 10}}}`",
    "protocol": "write `protocol: {data.size: 256, epochs: 10}`",
    "columns": "write `columns: [psnr, ssim, parameters]`",
    "seeds": "write `seeds: [0, 1, 2]`",
    "paper": "write `paper: {source: ..., table: ..., data: ..., values: {ours: {psnr: 20.1}}}`",
    "paper.task": FORMS_OF_RECIPES["task"],
    "variants": "write `variants: {tiny: {steps: 3}}`",
    # of keys that recipes have
    **dict.fromkeys(("data", "epochs", "steps", "task"), "what all rows share is under `protocol`, by dotted keys"),
    "seed": "it is `seeds`, one or a list",
    "metrics": "it is `columns`",
    "settings": "those of all rows are the `protocol`",
}


def table_schema(known: Known = registry.KINDS) -> Schema:
    """The schema of a table file. `known` are the entries of the registry, or descriptions of them."""
    metrics = known["metrics"]
    return {
        "$schema": DIALECT,
        "title": "crossband table",
        **_object(
            {
                "table": {"type": "string", "pattern": NAME, "description": "The name of this table"},
                "doc": {"type": "string", "description": "What it compares, in one sentence"},
                "cite": {
                    "type": ["string", "array"],
                    "items": {"type": "string"},
                    "description": "What it is of: keys of the references that `crossband cite` prints",
                },
                "rows": _names(_row(), "Named rows in their order, each a recipe: by name or path, or with `settings`"),
                "protocol": {
                    **_settings(),
                    "description": "Settings of every row, `key.of.the.recipe: value`: data, size, length",
                },
                "seeds": {
                    "type": ["integer", "array"],
                    "if": {"type": "array"},
                    "then": {"items": SEED, "minItems": 1, "uniqueItems": True},
                    "else": SEED,
                    "default": 0,
                    "description": "The seed of every row, or a list: each row is trained with each of them",
                },
                "columns": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "items": {"type": "string"},
                    "description": f"Metrics, and of the networks {', '.join(f'`{name}`' for name in FIGURES)}",
                },
                "reference": {
                    "type": "string",
                    "description": "The row that the others are compared with, image by image; without it, the first",
                },
                "paper": _paper(metrics),
                "variants": _names(
                    {**_settings(), "minProperties": 1},
                    "Named groups of settings of every row, chosen by `--set variant=NAME`",
                ),
            },
            ["table", "rows", "columns"],
        ),
    }


def _row() -> Schema:
    """A row: its recipe, by name or path, or with what it says otherwise than the protocol."""
    own = _object(
        {
            "recipe": {"type": "string", "description": "A recipe by name or path"},
            "settings": {**_settings(), "description": "Settings of this row alone; they win over the protocol"},
            "note": {"type": "string", "description": "What is to be known of this row"},
        },
        ["recipe"],
    )
    return {"type": ["string", "object"], "if": {"type": "string"}, "then": {}, "else": own}


def _paper(metrics: Mapping[str, Described]) -> Schema:
    """The figures that a paper prints, by row and metric, and what they are bound to."""
    known = {name: {**figure_schema(), "description": metric.doc} for name, metric in metrics.items()}
    values = {"type": "object", "minProperties": 1, "properties": known, "additionalProperties": figure_schema()}
    band: Schema = {"type": "string", "pattern": NAME}
    task = _object(
        {
            "from": {**band, "description": "The band that the paper translates"},
            "to": {**band, "description": "The band that it becomes"},
        },
        ["from", "to"],
    )
    return {
        "description": "The figures of the paper, printed beside ours. A row without `values` has those that its "
        "recipe gives of the same `source` and `data`",
        **_object(
            {
                "source": {"type": "string", "description": "The key of the paper in the references"},
                "table": {"type": "string", "description": "Where in the paper"},
                "data": {"type": "string", "description": "The images that they were measured on"},
                "task": {**task, "description": "The direction that they are of; rows of another have none"},
                "size": {**SIZE, "description": "The size of the images that they were measured on, where it is known"},
                "values": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": values,
                    "description": "Figures by row, and by the metric of ours that they stand for",
                },
                "note": {"type": "string", "description": "What holds for all of them"},
            },
            ["source", "table", "data"],
        ),
    }


def _settings() -> Schema:
    return {"type": "object"}


def _object(properties: Mapping[str, Schema], required: list[str] | None = None) -> Schema:
    closed: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**closed, "required": required} if required else closed


def _names(values: Schema, description: str) -> Schema:
    return {"type": "object", "description": description, "minProperties": 1, "additionalProperties": values}
