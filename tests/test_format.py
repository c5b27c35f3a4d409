"""The keys of the two formats: each has a description, a default that is so, and is told by `crossband show format`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from commandline import run, succeed

from crossband import registry
from crossband.graphs import graph_schema
from crossband.graphs.language.syntax import Node, Step
from crossband.recipes import recipe_schema
from crossband.recipes.commands import listing
from crossband.recipes.data.geometry import Geometry
from crossband.recipes.language.syntax import Data, Figure, Measure, Network, Phase, Recipe, Term
from crossband.registry import meaning

FORMATS = {item.name: item for item in listing.formats()}
DEFAULTS = {  # where the code has the default of a key: that which the schema tells must be the same
    "graph": {"nodes.NAME": Node, "nodes.NAME.do": Step},
    "recipe": {
        **{"": Recipe, "data": Data, "evaluate": Measure, "networks.NAME": Network, "paper.values.NAME": Figure},
        **{"phases.NAME": Phase, "losses.NAME": Term, "phases.NAME.losses.NAME": Term},
    },
    "table": {"paper.values.NAME.NAME": Figure},
}
HELD = {"graph": 3, "recipe": 3, "table": 0}  # defaults of each format are more than so many


def described(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key anywhere in a schema, with the schema of its value; those of `if` are not for the reader."""
    if isinstance(schema, list):
        for item in schema:
            yield from described(item, path)
    elif isinstance(schema, dict):
        for name, own in schema.get("properties", {}).items():
            if own != {"minProperties": 1}:  # asks more of a key that is described elsewhere
                yield f"{path}.{name}", own
        for key, part in schema.items():
            if key not in ("if", "default", "enum", "examples", "not"):
                parts = part.items() if key in ("properties", "$defs") and isinstance(part, dict) else [(key, part)]
                for name, inner in parts:
                    yield from described(inner, f"{path}.{name}")


@pytest.mark.parametrize("kind", ["graph", "recipe"])
@pytest.mark.parametrize("arguments", [True, False])
def test_every_key_says_what_it_is(kind: str, arguments: bool) -> None:
    schema = (graph_schema if kind == "graph" else recipe_schema)(arguments=arguments)
    silent = [path for path, own in described(schema) if not str(own.get("description", "")).strip()]
    assert not silent, f"give each a `description` in {kind}s/language/schema.py"


@pytest.mark.parametrize("kind", [kind for kind in registry.KINDS.values() if kind.name != "function"], ids=str)
def test_every_parameter_of_what_is_registered_says_what_it_is(kind: registry.Kind) -> None:
    vague = [
        (name, parameter)
        for name, entry in kind.items()
        for parameter in entry.parameters
        if meaning(entry, parameter).startswith("See `crossband")
    ]
    assert not vague, "name it in backticks in the documentation, or give its type hint a `doc`"


@pytest.mark.parametrize("name", FORMATS)
def test_a_description_is_a_sentence_without_its_full_stop(name: str) -> None:
    for path, key in FORMATS[name].parameters.items():
        said = key.schema["description"]
        assert said[0].isupper() or said[0] == "`", path
        assert not said.endswith("."), path


@pytest.mark.parametrize("name", FORMATS)
def test_a_default_is_the_one_of_the_code(name: str) -> None:
    held = 0
    for path, key in FORMATS[name].parameters.items():
        above, _, last = path.rpartition(".")
        fields = getattr(DEFAULTS[name].get(above), "__dataclass_fields__", {})
        if last not in fields and above == "data":
            fields = Geometry.__dataclass_fields__
        if "default" in key.schema and last in fields:
            held += 1
            default = fields[last].default
            assert key.schema["default"] == (list(default) if isinstance(default, tuple) else default), path
    assert held > HELD[name]


def test_the_words_for_parameters_of_one_meaning_are_used() -> None:
    used = {name for kind in registry.KINDS.values() for entry in kind.values() for name in entry.parameters}
    assert registry.USUAL.keys() <= used


def test_every_key_of_a_format_is_told() -> None:
    for name, item in FORMATS.items():
        text = succeed("show", "format", name)
        for path, key in item.parameters.items():
            assert re.search(rf"^{re.escape(path)}  .*{re.escape(key.schema['description'])}$", text, re.MULTILINE)
    assert [line.split()[3] for line in succeed("show", "format").splitlines()] == [*FORMATS]
    assert json.loads(succeed("show", "format", "recipe", "--json"))["params"]


def test_one_key_is_told_with_those_inside_it_under_whatever_name() -> None:
    rows = [line.split()[0] for line in succeed("show", "format", "recipe", "networks.generator").splitlines()[1:]]
    assert {"networks.NAME.graph", "networks.NAME.weights.file"} <= {*rows}
    assert all(row.startswith("networks.NAME.") for row in rows)
    [_, row] = succeed("show", "format", "recipe", "data.batch").splitlines()
    assert row.split()[:4] == ["data.batch", "int", ">=", "1"]
    [key] = json.loads(succeed("show", "format", "recipe", "data.batch", "--json"))
    assert (key["name"], key["schema"]["default"]) == ("data.batch", 1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "format", "recpie"], 1, "no format named `recpie`\nhint: did you mean `recipe`?"),
        (["show", "format", "recipe", "bacth"], 1, "a recipe has no key `bacth`"),
        (["show", "format", "recipe", "batch"], 1, "a recipe has no key `batch`\nhint: did you mean `data.batch`?"),
        (["show", "format", "graph", "nodes", "from"], 2, "write `crossband show format graph KEY`"),
        (["show", "accumulate"], 1, "hint: it is a key: `crossband show format recipe accumulate`"),
        (["show", "u2net", "again"], 2, "`show` takes one NAME, got `u2net` and `again`"),
    ],
)
def test_what_is_no_key_is_told(words: list[str], code: int, said: str) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert said in result.output


@pytest.mark.parametrize("words", [("show", "format", "recipe"), ("schema", "recipe"), ("ls", "formats")])
def test_the_formats_are_told_without_torch(words: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom crossband.recipes.commands import cli\n"
        f"cli.main({words!r}, standalone_mode=False)\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
