"""The format of each file that crossband reads back: what a weights file, a state, a log and others hold.

A format is a JSON Schema with a few words more, which `crossband.recipes.basics.readback` knows:

    type: number, integer    as in JSON: finite, and no `3.0` in the place of 3
    type: real               a number that may be infinite, as the best loss is before the first one
    type: tensor             of these sizes (`shape`, null is any) and of this type (`dtype`, `floating` is any such)
    type: random             what a random generator of torch on the CPU remembers
    atleast: 0               the one number of a tensor is finite, and not less than this
    increasing: true         each number of a list is larger than the one before it
    title                    what a wrong value must be, in words
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from crossband.graphs.language.limits import MAX_BYTES

LARGEST = 2**53  # of counted things: whole numbers up to here are exact in every reader of JSON


class Format(NamedTuple):
    """What a file holds: its JSON Schema, and what to do where it holds something else."""

    schema: Mapping[str, Any]
    hint: str | None = None


def _by_name(each: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": each}


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0, "maximum": LARGEST}
_NUMBER = {"type": "number"}
_TENSORS = _by_name({"type": "tensor"})
_LIMITS = {
    **{"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2, "increasing": True},
    "title": "a list of two numbers, the lower one first",
}
_FIGURE = {"type": ["real", "string"], "pattern": "^-?inf$", "title": "a number, or the text `inf`"}
_SIDE = {"type": "integer", "minimum": 1}
_BANDS = {"type": ["string", "array"], "items": _TEXT, "minItems": 1, "uniqueItems": True}

WEIGHTS = Format(  # the metadata of `weights/*.safetensors`, under the key `crossband`
    {
        "type": "object",
        "required": ["graph", "digest", "facts"],
        "properties": {
            "version": {"type": ["string", "null"]},  # of crossband
            "graph": {"type": "string", "maxLength": MAX_BYTES},  # resolved, as YAML
            "digest": _TEXT,  # of the graph
            "facts": {  # about the training, as far as there was one; others may stand beside them
                "type": "object",
                "properties": {
                    "network": {"type": "string", "minLength": 1},  # its name in the recipe
                    "recipe": _TEXT,
                    "step": _COUNT,
                    "seed": _COUNT,
                    "range": _LIMITS,  # the numbers in images that stand for black and white
                    "channels": _by_name({"enum": [1, 3]}),
                    "scale": _by_name({**_LIMITS, "increasing": False, "title": "a list of two numbers"}),
                    "images": _by_name(
                        {
                            "type": "object",
                            "required": ["channels"],
                            "properties": {
                                "channels": {"enum": [1, 3]},
                                "pixels": _TEXT,
                                "luminance": {"type": "boolean"},
                            },
                            "additionalProperties": False,
                        }
                    ),
                    "task": {  # the bands that it translates between
                        "type": ["object", "null"],
                        "required": ["from", "to"],
                        "properties": {"from": _BANDS, "to": _TEXT},
                    },
                    "load": {"type": ["integer", "array"], "minimum": 1, "items": _SIDE, "minItems": 2, "maxItems": 2},
                    "test": {"enum": ["training", None]},  # the mode in which it translates
                    "plugins": {"type": "array", "items": _TEXT},
                },
            },
        },
    },
    "take another copy of the file, or train again",
)

MEANS = Format(  # `mean_images.safetensors`: tensors by band, and of its metadata what stands under `crossband`
    {
        "type": "object",
        "required": ["means"],
        "properties": {
            "means": _by_name(
                {"type": "tensor", "shape": [None, None, None], "dtype": "floating"}
            ),  # `c h w` in [0, 1]
            "images": {"type": ["string", "null"]},  # a hash of the training images, where they are files
        },
        "additionalProperties": False,
    },
    "remove it: the mean image is then made of the images of the run anew",
)

STATE = Format(  # `state.pt`; what it must be like for a certain recipe is known to `Training`
    {
        "type": "object",
        "required": [
            *("format", "step", "graphs", "networks", "optimizers", "rates", "functions"),
            *("average", "epoch_loss", "precision", "random"),
        ],
        "properties": {
            "format": _COUNT,
            "step": _COUNT,
            "graphs": _by_name(
                {"type": "object", "required": ["graph", "digest"], "properties": {"graph": _TEXT, "digest": _TEXT}}
            ),
            "networks": _by_name(_TENSORS),
            "optimizers": _by_name(
                {
                    "type": "object",
                    "required": ["state", "param_groups"],
                    "properties": {
                        "state": {"type": "object"},
                        "param_groups": {"type": "array", "items": {"type": "object"}},
                    },
                }
            ),
            "rates": _by_name(_by_name({"type": "real"})),
            "functions": _by_name({"type": "object"}),
            "average": _by_name(_TENSORS),
            "epoch_loss": _by_name(
                {
                    **{"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2},
                    "title": "a list of two numbers, the sum and the count",
                }
            ),
            "precision": _by_name({"type": "real"}),
            "random": {
                "type": "object",
                "required": ["cpu", "cuda"],
                "properties": {
                    "cpu": {"type": "random"},
                    "cuda": {"type": "array", "items": {"type": "tensor"}},
                },
            },
        },
    },
    "a run goes on from a whole state only: its weights still translate; to train on, begin a new run",
)

LOG_LINE = Format(  # of `metrics.jsonl`: numbers inside of mappings are curves
    {
        "type": "object",
        "required": ["step"],
        "properties": {"step": _COUNT},
        "additionalProperties": {"$ref": "#/$defs/figure"},
        "title": "an object with a whole number `step`",
        "$defs": {
            "figure": {
                "type": ["number", "object", "array", "string", "boolean", "null"],
                **{"minimum": -1e100, "maximum": 1e100},  # no loss of 32 bits is beyond, and curves can be drawn
                "additionalProperties": {"$ref": "#/$defs/figure"},
            }
        },
    },
    "move it away: the run then begins a new one",
)

ENVIRONMENT = Format(  # `environment.json`: of all that it says only the plugins are read back
    {"type": "object", "properties": {"plugins": {"type": "array", "items": _TEXT}}},
    "move it away: it only says where and with what the run was made",
)

TABLE = Format(  # one table of `evaluation.json`; JSON has no infinity, which is the text `inf`
    {
        "type": "object",
        "required": ["images", "summary", "absent", "notes"],
        "properties": {
            "images": _by_name(_by_name({**_FIGURE, "type": ["real", "null", "string"]})),
            "summary": _by_name(
                {
                    "type": "object",
                    "required": ["mean", "std", "n"],
                    "properties": {
                        "mean": _FIGURE,
                        "std": {"type": ["real", "null"]},
                        "n": _COUNT,
                    },
                }
            ),
            "absent": _by_name(_TEXT),
            "notes": _by_name(_TEXT),
        },
    },
    "`crossband evaluate` measures the run again",
)

_MATRIX = {
    "type": "array",
    "minItems": 3,
    "maxItems": 3,
    "items": {
        "type": "array",
        "items": {"type": "number", "minimum": -1e9, "maximum": 1e9},
        "minItems": 3,
        "maxItems": 3,
    },
    "title": "a matrix of three rows of three numbers",
}
ALIGNMENT = Format(  # what `crossband data align` writes and `data.align` names
    {
        "type": "object",
        "required": ["version", "model", "to", "scenes", "refused"],
        "properties": {
            "version": {"type": "integer", "minimum": 1, "maximum": 1},
            "model": {"type": "string", "enum": ["shift", "similarity", "homography"]},
            "to": _TEXT,
            "scenes": _by_name(
                {
                    "type": "object",
                    "required": ["error", "bands"],
                    "properties": {"error": {"type": "number", "minimum": 0}, "bands": _by_name(_MATRIX)},
                }
            ),
            "refused": _by_name(_TEXT),
        },
    },
    "write it anew: `crossband data align`",
)
MANIFEST = Format(  # what `crossband data check --write-manifest` writes
    {
        "type": "object",
        "required": ["version", "files"],
        "properties": {
            "version": {"type": "integer", "minimum": 1, "maximum": 1},
            "counts": _by_name(_by_name(_COUNT)),
            "files": _by_name(_by_name({"type": "string", "pattern": "^[0-9a-f]{64}$", "title": "a SHA-256"})),
        },
    },
    "write it anew: `crossband data check --write-manifest`",
)
