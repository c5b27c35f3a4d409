"""`crossband check`, `schema` and `cite`."""

import json
import re
from pathlib import Path

import pytest
from commandline import RECIPE, SMALL, graph_file, recipe_file, run, succeed

from crossband import registry
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read
from crossband.recipes.commands import listing
from crossband.registry import RegistryError


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return graph_file(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return recipe_file(tmp_path)


def test_check_gathers_the_errors_of_all_files(small: Path, tmp_path: Path) -> None:
    first, second, odd = (tmp_path / f"{name}.yaml" for name in ("first", "second", "odd"))
    first.write_text(SMALL.replace("Resize", "Resise"))
    second.write_text(SMALL.replace("deep: down", "deep: dwn"))
    odd.write_text("grahp: x\n")
    result = run("check", first, small, second, odd, "nothing", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {key for each in found for key in each} == {"code", "file", "line", "column", "message", "hint"}
    where = [(each["file"] and Path(each["file"]).stem, each["code"]) for each in found]
    assert sorted(where, key=str) == [("first", "E010"), ("odd", "E007"), ("second", "E041"), (None, "E010")]
    text = run("check", first, small, second).stdout
    assert re.search(r"^graph small: 61 parameters; H and W: multiples of 2$", text, re.MULTILINE)
    assert text.rstrip().endswith("2 errors in 2 files")


def test_a_parent_that_is_wrong_is_told_for_each_child(tmp_path: Path) -> None:
    parent, child = tmp_path / "parent.yaml", tmp_path / "child.yaml"
    parent.write_text(SMALL.replace("small", "parent").replace("Resize", "Resise"))
    child.write_text("graph: child\nextends: parent\n")
    for files in ((parent, child), (child, parent)):
        result = run("check", *files)
        assert result.exit_code == 1
        assert "graph child:" not in result.stdout


def test_check_of_right_files_is_quiet_for_programs(small: Path) -> None:
    assert json.loads(succeed("check", small, "--json")) == []


def test_check_says_which_sizes_pass(small: Path) -> None:
    assert "graph small" in succeed("check", small, "--size", "64x32")
    result = run("check", small, "--size", "65x33", "--json")
    [found] = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["code"] == "E034"
    assert found["message"] == "65x33 does not pass through `small`"
    assert re.fullmatch(r"H and W: multiples of 2; nearest: (64|66)x(32|34)", found["hint"])
    assert found["line"] == 3


@pytest.mark.slow
def test_everything_shipped_is_right() -> None:
    lines = succeed("check").splitlines()
    assert len(lines) == sum(len(listing.items(kind)) for kind in ("graphs", "recipes", "tables"))


def test_a_recipe_is_checked_and_cited(recipe: Path) -> None:
    assert succeed("check", recipe) == "recipe tiny: to_ir 31 parameters (H and W: multiples of 2)\n"
    assert "@article{fan2025," in succeed("cite", recipe)
    recipe.write_text(RECIPE.replace("l1: [fake, infrared], weight", "l2: [fake, infrared], weight"))
    [found] = json.loads(run("check", recipe, "--json").stdout)
    assert found["code"] == "E073"
    result = run("show", recipe)
    assert result.exit_code == 1
    assert "E073" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["graph", "recipe"])
def test_schema_accepts_what_is_shipped(kind: str) -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads(succeed("schema", kind))
    Draft202012Validator.check_schema(schema)
    for path in listing.CATALOGS[f"{kind}s"].files().values():
        document = read(path, Problems())
        assert document
        assert list(Draft202012Validator(schema).iter_errors(document.data)) == []


# ---------------------------------------------------------------------- cite


def test_cite_follows_what_a_graph_builds_on() -> None:
    keys = re.findall(r"^@\w+\{(\w+),$", succeed("cite", "u2net_cca", "fft_l1", "RSU", "fan2025"), re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert keys == [key for key in registry.references() if key in keys]
    assert {"fan2025", "huang2019ccnet", "qin2020u2net"} <= set(keys)


def test_a_thing_without_a_source_says_so() -> None:
    result = run("cite", "l1")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "nothing to cite" in result.stderr


def test_every_source_that_is_cited_is_known_and_every_source_cited() -> None:
    cited = {key for kind in listing.KINDS for item in listing.items(kind) for key in item.cite}
    assert cited == registry.references().keys()


def test_sources_are_bibtex_and_printed_as_they_are_written() -> None:
    [file] = registry.REFERENCES
    written, sources = file.read_text("utf-8"), registry.references()
    assert len(sources) == written.count("@")
    for key, text in sources.items():
        assert re.fullmatch(r"@(misc|article|inproceedings)\{" + key + r",\n(  \w+ = \{.+\},?\n)+\}", text), text
        assert len(re.findall(r"^  title = \{\{.+\}\},?$", text, re.MULTILINE)) == 1
        assert text.isascii()
    assert succeed("cite", *sources) == "\n\n".join(sources.values()) + "\n"


def test_cite_knows_what_a_recipe_names(recipe: Path) -> None:
    recipe.write_text(RECIPE + "schedule: {cosine: 0}\nevaluate: {metrics: [lpips]}\n")
    text = succeed("cite", recipe)
    assert all(f"{{{key}," in text for key in ("fan2025", "kingma2015adam", "loshchilov2017sgdr", "zhang2018lpips"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@misc{mine,\n  title = {{A {B} C}}\n", "the entry `mine` is not closed"),
        ("@misc{mine,\n}\n@misc{mine,\n}\n", "the entry `mine` is there twice"),
    ],
)
@pytest.mark.usefixtures("scratch")
def test_a_broken_bibliography_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.bib"
    path.write_text(text)
    with pytest.raises(RegistryError, match=message):
        registry.add_references(path)
