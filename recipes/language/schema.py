"""The JSON Schema of recipe files, made from the registry: it validates files and serves editors."""

from collections.abc import Mapping
from typing import Any

from crossband import registry
from crossband.graphs.language.keys import INNER, TYPE, told
from crossband.graphs.language.schema import DIALECT, NAME, Known, graph_schema, parameter_schemas, patch_of
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.language.ramps import NEEDED as NEEDED_OF_RAMP
from crossband.recipes.language.ramps import SHAPES
from crossband.registry import Described

Schema = dict[str, Any]
COUNT: Schema = {"type": "integer", "minimum": 1}
PATCH = patch_of(
    graph_schema(arguments=False)
)  # what a recipe may say of the graph of a network, in the words of a graph file
MERGED = (  # mappings that a child merges with those of its parent; it replaces any other value
    *("params", "networks", "networks.*", "networks.*.params", "flow", "phases", "phases.*", "phases.*.losses"),
    *("losses", "data", "data.augment", "task", "every", "evaluate", "variants", "variants.*"),
    *(f"networks.*.{word}" for word, own in PATCH.items() if own.get("type") == "object"),
)
NEEDED = ["recipe", "task", "networks", "flow", "optimizer", "data"]  # of a recipe with those that it extends
CALLS: Schema = {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}
SIZE: Schema = {
    "description": "One number for both sides, or `[height, width]`",
    "if": {"type": "array"},
    "then": {"items": COUNT, "minItems": 2, "maxItems": 2},
    "else": {"type": "integer", "minimum": 1},
}

FORMS = {  # how each section is written
    "task": "write `task: {from: visible, to: infrared}`",
    "networks": "write `networks: {generator: {graph: unet, params: {...}}}`",
    "flow": "write `flow: {fake: generator(source)}`",
    "losses": "write `losses: {pixel: {l1: [fake, target], weight: 1}}`",
    "phases": "write `phases: {generator: {train: [generator], losses: {...}}}`",
    "optimizer": "write `optimizer: {Adam: {lr: 2e-4}}`",
    "schedule": "write `schedule: {hold: 100, decay: 100}`",
    "data.source": "write `source: {pairs: {folder: ...}}`",
    "data.range": "write the numbers that stand for 0 and 1, `range: [-1, 1]`",
    "data.size": "write `size: 256`, or `size: [256, 320]`",
    "data.load": "write `load: 286`, or `load: [286, 358]`",
    "every": "write `every: {sample: 500}`",
    "evaluate": "write `evaluate: {metrics: [psnr, ssim]}`",
    "variants": "write `variants: {tiny: {steps: 3}}`",
    # of keys that other programs have
    **dict.fromkeys(("lr", "learning_rate"), "it belongs to the optimizer: `optimizer: {Adam: {lr: 2e-4}}`"),
    "batch_size": "it is `data.batch`",
    **dict.fromkeys(("iterations", "max_steps"), "it is `steps`"),
    **dict.fromkeys(("lambda", "lambda_l1"), "a loss has a `weight`: `pixel: {l1: [fake, target], weight: 100}`"),
}


def recipe_schema(known: Known = registry.KINDS, *, arguments: bool = True) -> Schema:
    """The schema of a recipe file.

    `known` are the entries of the registry, or descriptions of them. Without `arguments`, those of losses, sources,
    optimizers and schedules are left open: the checker validates them by the same schemas one by one. With `arguments`
    the schema is for editors: it knows every registered name, and admits `=` expressions in place of numbers and files
    that hold only a part of a recipe.
    """
    losses: Schema = _names(
        _term(known["losses"] if arguments else {}), "Named terms, summed: a loss of values of the flow, and its weight"
    )
    optimizer = _one_of(known["optimizers"]) if arguments else {"type": "object", "minProperties": 1}
    schedule = _schedules(known["schedules"]) if arguments else {"type": ["string", "object"]}
    source = _one_of(known["sources"], bare=True) if arguments else {"type": ["string", "object"], "minProperties": 1}
    augment = _augment(known["augmentations"] if arguments else None)
    learning: Schema = {
        "optimizer": {**optimizer, "description": "Its name and arguments, `{Adam: {lr: 2e-4}}`, of every phase"},
        "schedule": {
            **schedule,
            "default": "constant",
            "description": "How the learning rate changes: `constant`, or the mapping of a schedule",
        },
    }
    own = {name: {**each, "description": f"The {name} of this phase alone"} for name, each in learning.items()}
    own["schedule"].pop("default")
    phase = _object(
        {
            "train": {**_texts(), "description": "The networks that it trains"},
            "repeat": {**COUNT, "default": 1, "description": "How often the phase is done in a step"},
            "fresh": {
                "type": "boolean",
                "default": False,
                "description": "Each repetition has images of its own; what follows in the step works on the last ones",
            },
            "losses": losses,
            **own,
        },
        ["train", "losses"],
    )
    graphs = graph_schema(known, arguments=arguments)
    patch = patch_of(graphs) if arguments else {word: told(own) for word, own in PATCH.items()}  # checked as a graph
    schema = {
        "$schema": DIALECT,
        "title": "crossband recipe",
        **_object(
            {
                "recipe": {"type": "string", "pattern": NAME, "description": "The name of this recipe"},
                "extends": {"type": "string", "description": "The recipe to start from, by name or path"},
                "cite": {
                    "type": ["string", "array"],
                    "items": {"type": "string"},
                    "description": "What it builds on: keys of the references that `crossband cite` prints",
                },
                "doc": {"type": "string", "description": "What it is, in one sentence"},
                "params": {"type": "object", "description": "Numbers or text that `=` expressions use"},
                "paper": _paper(known["metrics"] if arguments else {}),
                "task": _task(),
                "networks": _names(_network(patch), "Named networks, each a graph with its params"),
                "flow": _names({"type": "string"}, "Named values: calls of networks on bands and other values"),
                "phases": _names(phase, "What each step does, in order: losses, and the networks that they train"),
                "order": {
                    **_texts(),
                    "description": "Every phase, in the order of a step, unless it is as written",
                },
                "losses": losses,
                **learning,
                "data": _data(source, augment),
                "epochs": {**COUNT, "description": "How long it trains, in passes over the images: this, or `steps`"},
                "steps": {**COUNT, "description": "How long it trains, in steps of the optimizer: this, or `epochs`"},
                **_running(),
                "variants": _variants(),
                "variant": {"type": ["string", "array"], "items": {"type": "string"}, "description": "Those chosen"},
            },
            ["recipe"],
        ),
    }
    if not arguments:
        return schema
    return {**_with_expressions(_with_parents(schema)), "$defs": graphs["$defs"]}


def complete_schema() -> Schema:
    """The schema of a recipe merged with the recipes that it extends, for the checker."""
    schema = recipe_schema(arguments=False)
    del schema["properties"]["extends"]
    return schema | {"required": NEEDED}


def _task() -> Schema:
    band = {"type": "string", "pattern": NAME}
    several: Schema = {"if": {"type": "array"}, "then": {"items": band, "minItems": 1}, "else": band}
    pairing = "Whether each image has its counterpart: paired images are compared pixel by pixel"
    return {
        "description": "Which band is translated into which",
        **_object(
            {
                "from": {
                    **several,
                    "description": "The band that is translated, elsewhere called `source`; or a list of bands that "
                    "are translated together: then `source` is their images side by side",
                },
                "to": {**band, "description": "The band that it becomes; elsewhere it is called `target`"},
                "pairing": {"enum": ["paired", "unpaired"], "default": "paired", "description": pairing},
            },
            ["from", "to"],
        ),
    }


def figure_schema() -> Schema:
    """One figure as a paper prints it: the number, or a mapping of it and of how it is to be read."""
    return {
        "type": ["number", "object"],
        "if": {"type": "object"},
        "then": {
            **_object(
                {
                    "value": {"type": "number", "description": "The figure as it is printed"},
                    "comparable": {
                        "type": "boolean",
                        "default": True,
                        "description": "Whether ours can be held against it",
                    },
                    "note": {"type": "string", "description": "How it is to be read, or why it is not comparable"},
                },
                ["value"],
            ),
            "if": {"required": ["comparable"], "properties": {"comparable": {"const": False}}},
            "then": {"required": ["note"]},
        },
    }


def _paper(metrics: Mapping[str, Described]) -> Schema:
    """The figures that papers print for the system of this recipe; recipes that extend it do not inherit them."""
    figure = figure_schema()
    known = {name: {**figure, "description": metric.doc} for name, metric in metrics.items()}
    values = {"type": "object", "minProperties": 1, "properties": known, "additionalProperties": figure}
    row = _object(
        {
            "source": {"type": "string", "description": "The key of the paper in `blocks/references.bib`"},
            "table": {"type": "string", "description": "Where in the paper: the table and the row"},
            "data": {"type": "string", "description": "The images that it was measured on"},
            "values": {**values, "description": "Figures by the metric of ours that they stand for"},
            "note": {"type": "string", "description": "What holds for all of them"},
            "differs": {
                "type": "string",
                "description": "Why none of them can be compared with the run; written by training",
            },
        },
        ["source", "table", "data", "values"],
    )
    return {
        "description": "The figures of the paper for this recipe, printed beside ours, or a list: one for each data "
        "set. They are not inherited by `extends`",
        "type": ["object", "array"],
        "if": {"type": "array"},
        "then": {"items": row, "minItems": 1},
        "else": row,
    }


def _network(patch: Mapping[str, Schema]) -> Schema:
    """A network: its graph, what the recipe says of the network, and a `patch` of the graph."""
    gain = {"type": "number", "exclusiveMinimum": 0}
    laws = {
        "normal": {**gain, "description": "Normal numbers of this deviation"},
        "xavier": {**gain, "description": "Glorot's normal numbers, times this gain"},
    }
    init = {
        "type": ["string", "object"],
        "properties": laws,
        "additionalProperties": False,
        "default": "default",
        "description": "How its weights begin: `default` is torch's way, or `{normal: 0.02}`, `{xavier: 0.02}`",
    }
    return _object(
        {
            "graph": {"type": "string", "format": "graph", "description": "A graph by name or path"},
            "params": {"type": "object", "description": "Values for params of the graph, which has defaults"},
            **patch,
            "init": {**init, "if": {"type": "string"}, "then": {"const": "default"}, "else": {"maxProperties": 1}},
            "weights": _weights(),
            "frozen": {"type": "boolean", "default": False, "description": "No phase trains it"},
            "fit": {"enum": ["pad"], "description": "Pad images to what the graph admits, and crop what comes out"},
            "test": {
                "enum": ["training"],
                "description": "Work on test images as in training: dropout stays on, and batch normalisation looks at "
                "the one image",
            },
            "gives": {
                "type": "string",
                "description": "The band that its images stand for, `source`, `target` or by name, where the losses do "
                "not tell",
            },
        },
        ["graph"],
    )


def _weights() -> Schema:
    file: Schema = {
        "type": "string",
        "description": "A path, or `torchvision/resnet101` in torch's cache",
        "if": {"pattern": "^torchvision/"},
        "then": {},
        "else": {"format": "path"},
    }
    keys: Schema = {
        "type": "string",
        "format": "key map",
        "description": "The key map that renames what is in the file",
    }
    into: Schema = {"type": "string", "description": "The node that the file is of; without it, the whole network"}
    foreign = _object({"file": file, "keys": keys, "into": into}, ["file", "keys"])
    return {
        "description": "A weights file to start from, of crossband or, with a key map, of others",
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"format": "path"},
        "else": foreign,
    }


def _variants() -> Schema:
    settings: Schema = {
        "type": "object",
        "minProperties": 1,
        "description": "`key.of.the.recipe: value`, as in `--set`",
    }
    return _names(settings, "Named groups of settings, chosen by `variant: NAME` or a list of names")


def _augment(known: Mapping[str, Described] | None) -> Schema:
    """Augmentations by name; without those that are known, any."""
    names = "Random changes of training images, by name in their order: `{rotate: {degrees: 5}}`; test images have none"
    if known is None:
        return {"type": "object", "description": names, "additionalProperties": {"type": ["object", "null"]}}
    each = {name: {**_object(parameter_schemas(entry)), "description": entry.doc} for name, entry in known.items()}
    return {**_object(each), "description": names}


def _data(source: Schema, augment: Schema) -> Schema:
    return {
        "description": "The images, and how they are cut",
        **_object(
            {
                "source": {
                    **source,
                    "description": "Where images come from: a data source, `{pairs: {folder: photos}}`",
                },
                "size": {**SIZE, "description": "The window that training cuts out; one number or `[height, width]`"},
                "load": {**SIZE, "description": "The size to which images are resized before"},
                "crop": {
                    "enum": ["random", "centre"],
                    "default": "random",
                    "description": "Where training cuts out its window",
                },
                "flip": {"type": "boolean", "default": False, "description": "Mirror half of the training images"},
                "flip_vertical": {
                    "type": "boolean",
                    "default": False,
                    "description": "Turn half of the training images upside down",
                },
                "align": {
                    "type": "string",
                    "format": "path",
                    "description": "A file of `crossband data align`: images of a scene are moved over each other, and "
                    "cut to what all of them have, before anything else",
                },
                "augment": augment,
                "batch": {
                    **COUNT,
                    "default": 1,
                    "description": "Images in a batch of training, with which a network computes at once",
                },
                "range": {
                    "type": "array",
                    "items": {"type": "number"},
                    "minItems": 2,
                    "maxItems": 2,
                    "default": [0, 1],
                    "description": "The values of black and white that networks see: [0, 1], or [-1, 1] for a tanh",
                },
                "channels": {
                    "type": "object",
                    "additionalProperties": {"enum": [1, 3]},
                    "description": "Channels by band, in the place of those of the source: `{infrared: 3}`",
                },
                "workers": {
                    "type": "integer",
                    "minimum": 0,
                    "default": 0,
                    "description": "Processes that read images while the network computes",
                },
                "cache": {
                    "type": "string",
                    "format": "path",
                    "description": "A folder that keeps images decoded and resized for later epochs and runs; "
                    "`evaluate` of a run uses it only where `--set data.cache=` names it",
                },
            },
            ["source"],
        ),
    }


def _running() -> Schema:
    """The keys that control a run, not what it learns."""
    often = {
        "log": "lines of losses",
        "sample": "pictures of translated images",
        "checkpoint": "checkpoints, from which `--resume` goes on",
        "evaluate": "measurements on test images",
    }
    every = {
        name: {"type": "integer", "minimum": 0, "description": f"Steps between {what}; 0 for none"}
        for name, what in often.items()
    }
    return {
        "seed": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "Of initial weights, of the order of images, of crops and flips, of dropout",
        },
        "device": {
            "enum": ["auto", "cpu", "cuda", "mps"],
            "default": "auto",
            "description": "Where it runs: `auto` takes the best there is",
        },
        "precision": {
            "enum": ["32", 32, "bf16-mixed", "16-mixed"],
            "default": "32",
            "description": "Bits of the numbers that networks compute with",
        },
        "accumulate": {**COUNT, "default": 1, "description": "Batches whose gradients are averaged for one step"},
        "clip": {"type": "number", "exclusiveMinimum": 0, "description": "The largest norm of a phase's gradient"},
        "ema": {
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "description": "Decay of averaged weights",
        },
        "keep": {**_texts(), "description": "Flow values computed once a step, whatever is updated in between"},
        "every": {"description": "How often a run reports; what is left out, the run decides", **_object(every)},
        "evaluate": {
            "description": "How the result is measured, after training and by `crossband evaluate`",
            **_object(
                {
                    "output": {
                        "type": "string",
                        "description": "The value of the flow that is the result; without it, the first",
                    },
                    "metrics": {
                        **_texts(),
                        "description": "What is measured; without it, the usual metrics and those of `paper`",
                    },
                    "split": {
                        "type": "string",
                        "default": "test",
                        "description": "Which images of the source; `all` are those of every split",
                    },
                    "load": {**SIZE, "description": "The size to which images are resized before; else as in `data`"},
                    "size": {**SIZE, "description": "The window that is cut out of their middle; else they stay whole"},
                    "images": {**COUNT, "description": "The first so many images only"},
                    "cost": {
                        "type": "array",
                        "items": {"enum": list(FIGURES)},
                        "description": "What a translation costs at the size of the images, the last two here",
                    },
                    "inside": {
                        **_texts(),
                        "description": "Labels of boxes, which the source tells of: figures inside of them, too",
                    },
                    "by": {
                        "type": "string",
                        "description": "A label of the scenes, such as `subset`: figures for each of its values, too",
                    },
                }
            ),
        },
    }


def _term(losses: Mapping[str, Described]) -> Schema:
    """One term of an objective: the loss as a key, beside it the parameters of the loss and its weight."""
    weight: Schema = {
        "default": 1.0,
        "description": "What the loss is multiplied by: a number, or `{from: 0, to: 10, over: 20 epochs}`",
        TYPE: ["number", "object"],
        "if": {"type": "object"},
        "then": _ramp(),
        "else": {"type": "number"},
    }
    if not losses:
        return {"type": "object", "minProperties": 1, "properties": {"weight": {**told(weight), INNER: _ramp()}}}
    branches = []
    for name, entry in losses.items():
        own = {name: {**CALLS, "description": entry.doc}, "weight": weight} | parameter_schemas(entry)
        then = _object(own, [parameter.name for parameter in entry.parameters.values() if parameter.required])
        branches.append({"if": {"required": [name]}, "then": then})
    properties = {name: {**CALLS, "description": entry.doc} for name, entry in losses.items()}
    return {"type": "object", "properties": {**properties, "weight": weight}, "allOf": branches}


def _ramp() -> Schema:
    """A weight that changes while the recipe trains."""
    span: Schema = {"type": "string", "pattern": r"^(=|\s*[0-9.])"}
    return _object(
        {
            "from": {"type": "number", "description": "The weight of the first step"},
            "to": {"type": "number", "description": "The weight that it gets to, and keeps"},
            "over": {**span, "description": "How long it takes, in epochs or steps: `20 epochs`, `500 steps`"},
            "after": {**span, "default": "0 steps", "description": "How long it stays as it is before that"},
            "by": {"enum": list(SHAPES), "default": "linear", "description": "By a straight line, or half a cosine"},
        },
        list(NEEDED_OF_RAMP),
    )


def _schedules(known: Mapping[str, Described]) -> Schema:
    """The word `constant`, or the mapping of the one schedule that its keys name."""
    named = {**known}
    mapping = _object(parameter_schemas(named.pop("constant")))
    for name, entry in named.items():
        own = _object(
            parameter_schemas(entry), [parameter.name for parameter in entry.parameters.values() if parameter.required]
        )
        mapping = {"if": {"required": [name]}, "then": own, "else": mapping}
    keys = {name: {"description": entry.doc} for name, entry in named.items()}
    whole = {"type": "object", "properties": keys, **mapping}
    return {"type": ["string", "object"], "if": {"type": "string"}, "then": {"const": "constant"}, "else": whole}


def _one_of(entries: Mapping[str, Described], *, bare: bool = False) -> Schema:
    """A mapping from one of the names to its arguments, or with `bare` also the name alone."""
    properties = {
        name: {"description": entry.doc, **_object(parameter_schemas(entry))} for name, entry in entries.items()
    }
    mapping = {**_object(properties), "minProperties": 1, "maxProperties": 1}
    if not bare:
        return mapping
    return {"type": ["string", "object"], "if": {"type": "string"}, "then": {"enum": list(entries)}, "else": mapping}


def _texts() -> Schema:
    return {"type": "array", "minItems": 1, "items": {"type": "string"}}


def _object(properties: Mapping[str, Schema], required: list[str] | None = None) -> Schema:
    closed: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**closed, "required": required} if required else closed


def _names(values: Schema, description: str) -> Schema:
    return {"type": "object", "description": description, "minProperties": 1, "additionalProperties": values}


def _with_parents(schema: Schema) -> Schema:
    """The schema of a file that may have parts only, and `null` to remove parts of its parent."""
    for path in ("", *MERGED):
        part = schema
        for step in path.split(".") if path else ():
            part = part["additionalProperties"] if step == "*" else part["properties"][step]
            part = part.get("else", part)
        if path:
            part.pop("required", None)
        if isinstance(part.get("additionalProperties"), dict):
            part["additionalProperties"] = _or_nothing(part["additionalProperties"])
        part["properties"] = {name: _or_nothing(own) for name, own in part.get("properties", {}).items()}
    return schema


def _or_nothing(schema: Schema) -> Schema:
    return {**told(schema), "if": {"type": "null"}, "then": {}, "else": schema} if schema else schema


def _with_expressions(schema: Any) -> Any:
    """The schema with an `=` expression allowed in place of every number."""
    if isinstance(schema, list):
        return [_with_expressions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: value if key in ("default", "enum") else _with_expressions(value) for key, value in schema.items()}
    if inner.get("type") in ("integer", "number"):
        return {**told(inner), "if": {"type": "string", "pattern": "^="}, "then": {}, "else": inner}
    return inner
