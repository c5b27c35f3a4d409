"""A graph patched by a recipe: the same network as that of a graph file that extends it, and faults at their places."""

from pathlib import Path

import pytest
import torch
from commandline import run, succeed
from tiny import PAIRED, write_files

from crossband.graphs import check as check_graph
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.graphs.language.serial import digest
from crossband.graphs.language.writer import dump
from crossband.recipes import check, load, load_recipe, read_weights, train

PATCHED = PAIRED.replace("{graph: to_one.yaml}", "{graph: to_one.yaml, PATCH}")
NET = "networks.generator"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_files(tmp_path)


def recipe(folder: Path, patch: str, name: str = "mine", **others: str) -> Path:
    """The recipe `paired` whose network has a patch."""
    text = PATCHED.replace("PATCH", patch)
    for old, new in others.items():
        text = text.replace(f"{old}:", f"{new}:")
    (folder / f"{name}.yaml").write_text(text.lstrip("\n"))
    return folder / f"{name}.yaml"


def network(path: Path, *overrides: str) -> str:
    """The digest of the network of a recipe."""
    return digest(check(path, overrides).plans["generator"].graph)


def by_file(folder: Path, patch: str) -> str:
    """The digest of the graph file that says the same of `to_one`."""
    text = "\n".join(patch.split("; "))
    (folder / "child.yaml").write_text(f"graph: child\nextends: to_one.yaml\n{text}\n")
    return digest(check_graph(folder / "child.yaml").graph)


@pytest.mark.parametrize(
    "patch",
    [
        "insert: {look: {after: stem, Conv: {out: 4}, repeat: 2, share: true}}",
        "insert: {look: {before: main, Conv: {out: 6}}}; nodes: {drop: null}",
        "nodes: {side: {from: drop, do: [{Conv: {out: 1, kernel: 1}}, Sigmoid]}, more: {Conv: {out: 4}}}; taps: {more: more}",
        "nodes: {side: null}; outputs: {side: null}; taps: {features: null, deep: drop}",
        "nodes: {early: {from: stem, Conv: {out: 1}}}; outputs: {early: [1, H, W]}",
        "blocks: {twice: {inputs: {x: [c, H, W]}, nodes: {a: {Conv: {out: =c}}}, outputs: {a: [=c, H, W]}}}; "
        "insert: {look: {after: stem, twice: {}}}",
        "keep: [main]; nodes: {stem: {with: {Conv: {kernel: 5}}}}",
        "wrap: {SpectralNorm: {}}; doc: A patch.; cite: fan2025",
    ],
)
def test_a_patch_makes_the_network_of_a_graph_file_that_says_the_same(folder: Path, patch: str) -> None:
    path = recipe(folder, ", ".join(patch.split("; ")))
    assert network(path) == by_file(folder, patch) != network(folder / "paired.yaml")


def test_a_child_patches_what_its_parent_patched(folder: Path) -> None:
    recipe(
        folder,
        "insert: {look: {after: stem, Conv: {out: 4}}}, nodes: {drop: {Dropout: {p: 0.5}}, extra: Tanh}, taps: {e: extra}",
    )

    def child(patch: str) -> Path:
        (folder / "child.yaml").write_text(f"recipe: child\nextends: mine\n{NET.replace('.', ': {')}: {{{patch}}}}}\n")
        return folder / "child.yaml"

    def as_one(patch: str) -> str:
        return network(recipe(folder, patch, "one"))

    look, drop, extra = "look: {after: stem, Conv: {out: 4}}", "drop: {Dropout: {p: 0.5}}", "extra: Tanh"
    both = f"nodes: {{{drop}, {extra}}}, taps: {{e: extra}}"
    more = "insert: {again: {after: look, Conv: {out: 4, kernel: 1}}}"
    assert network(child(more)) == as_one(f"insert: {{{look}, {more[9:-1]}}}, {both}")
    assert network(child("insert: null")) == network(child("insert: {look: null}")) == as_one(both)
    assert network(child("nodes: {extra: null}, taps: {e: null}")) == as_one(f"insert: {{{look}}}, nodes: {{{drop}}}")
    gone = as_one(f"insert: {{{look}}}, {both.replace(drop, 'drop: null')}")  # what the graph has is removed from it
    assert network(child("nodes: {drop: null}")) == network(folder / "mine.yaml", f"{NET}.nodes.drop=null") == gone
    assert network(child("graph: to_one.yaml")) == network(folder / "mine.yaml")  # what a child does not say stays


def test_settings_and_variants_patch_and_params_of_the_recipe_count(folder: Path) -> None:
    wide = by_file(folder, "nodes: {side: {from: stem, do: [{Conv: {out: 1, kernel: 5}}, Sigmoid]}}")
    one = "side={from: stem, do: [{Conv: {out: 1, kernel: 5}}, Sigmoid]}"
    assert network(folder / "paired.yaml", f"{NET}.nodes.{one}") == wide
    text = PAIRED + f"variants: {{wide: {{{NET}.nodes.{one.replace('=', ': ')}}}}}\nvariant: wide\n"
    (folder / "chosen.yaml").write_text(text)
    assert network(folder / "chosen.yaml") == wide
    asked = recipe(
        folder, "nodes: {side: {from: stem, do: [{Conv: {out: =target_channels, kernel: =2*reach+1}}, Sigmoid]}}"
    )
    asked.write_text(asked.read_text().replace("params: {", "params: {reach: 2, "))
    assert network(asked) == wide != network(asked, "params.reach=1")
    deep = recipe(folder, "insert: {look: {after: stem, Conv: {out: 4}}}")
    assert network(deep, f"{NET}.insert.look.Conv.kernel=5") == by_file(
        folder, "insert: {look: {after: stem, Conv: {out: 4, kernel: 5}}}"
    )


# (a patch, a setting, the only fault)
MISTAKES = [
    ("isnert: {}", "", "mine.yaml:5:35 E005 `generator` takes no key `isnert` | did you mean `insert`?"),
    (
        "insert: {look: {after: stemm, Tanh: {}}}",
        "",
        "mine.yaml:5:58 E051 there is no node `stemm` to insert `look` at | did you mean `stem`?",
    ),
    (
        "insert: {look: {after: stem, CrisCross: {}}}",
        "",
        "mine.yaml:5:64 E010 no block named `CrisCross` | did you mean `CrissCross`?",
    ),
    (
        "nodes: {side: [Tanh]}",
        "",
        "to_one.yaml:8:34 E040 `side` promises 1×H×W, but `side` is 4×H×W | change `side`, or promise [4, H, W]",
    ),
    (
        "nodes: {sidee: null}",
        "",
        "mine.yaml:5:43 E052 there is no node `sidee` to remove in `to_one` | did you mean `side`?",
    ),
    ("nodes: [Tanh]", "", "mine.yaml:5:42 E006 `nodes` must be a mapping, got [`Tanh`] | write a node as `name: "
     "Block`, `name: {Block: {...}}` or `name: [Block, ...]`"),
    (
        "insert: {look: {after: stem, Conv: {out: =weigth}}}",
        "",
        "mine.yaml:5:77 E015 `weigth` has no value here | declare it under `params:`",
    ),
    (
        "insert: {look: {after: stem, Conv: {out: 4}}}",
        f"{NET}.insert.look.Conv.kernel=0",
        "settings:1:44 E012 Conv: `kernel` must be at least 1, got 0",
    ),
    ("doc: A", f"{NET}.nodes.main=Tnah", "settings:1:31 E010 no block named `Tnah` | did you mean `Tanh`?"),
]  # fmt: skip


@pytest.mark.parametrize(("patch", "setting", "expected"), MISTAKES)
def test_a_mistake_is_one_message_at_its_place(folder: Path, patch: str, setting: str, expected: str) -> None:
    path = recipe(folder, patch)
    with pytest.raises(InvalidFile) as caught:
        check(path, [setting] if setting else [])
    [fault] = caught.value.problems
    said = f"{fault.place} {fault.code} {fault.message}" + (f" | {fault.hint}" if fault.hint else "")
    assert said.replace(f"{folder}/", "") == expected


def test_a_mistake_in_the_patch_of_a_parent_is_told_in_the_parent(folder: Path) -> None:
    recipe(folder, "insert: {look: {after: stem, CrisCross: {}}}")
    (folder / "child.yaml").write_text("recipe: child\nextends: mine\nnetworks: {generator: {doc: Mine.}}\n")
    with pytest.raises(InvalidFile) as caught:
        check(folder / "child.yaml")
    [fault] = caught.value.problems
    assert fault.place is not None
    assert fault.place.file.endswith("mine.yaml")


def test_a_name_with_two_values_is_refused(folder: Path) -> None:
    (folder / "plain_one.yaml").write_text(
        PAIRED.replace(
            "{graph: to_one.yaml}",
            ("{graph: plain.yaml, params: {out: 1}, insert: {look: {after: hidden, Conv: {out: =out}}}}"),
        )
        .replace("params: {weight: 0.5}", "params: {weight: 0.5, out: 4}")
        .replace("fake.main", "fake")
    )
    with pytest.raises(InvalidFile) as caught:
        check(folder / "plain_one.yaml")
    [fault] = caught.value.problems
    assert fault.code == "E016"
    assert fault.message == "`out` is 4 in the recipe, and 1 in `plain`"
    assert network(folder / "plain_one.yaml", f"{NET}.params.out=1", "params.out=1") != ""


@pytest.mark.slow
def test_a_run_of_a_patched_graph_needs_nothing_but_its_folder(folder: Path) -> None:
    patch = "insert: {look: {after: stem, Conv: {out: =2*2}}}, nodes: {drop: null}"
    path = recipe(folder, patch)
    straight = train(path, settings={"steps": 2}, run="straight", silent=True)
    train(path, settings={"steps": 1}, run="halves", silent=True)
    written = folder / "halves" / "recipe.yaml"
    written.write_text(written.read_text().replace("steps: 1", "steps: 2"))
    wanted = network(path)
    for other in folder.glob("*.yaml"):
        other.unlink()
    weights = [read_weights(run / "weights" / "generator.safetensors") for run in (Path("straight"), Path("halves"))]
    assert [each.digest for each in weights] == [wanted, wanted]
    assert "look" in weights[0].graph
    assert "look" in (folder / "halves" / "graphs" / "generator.yaml").read_text()
    train(resume="halves", silent=True)
    model, other = load("straight"), load("halves")
    image = torch.rand(3, 16, 16)
    assert model.digest == wanted
    assert torch.equal(model(image), other(image))
    assert torch.equal(load("straight/weights/generator.safetensors")(image), model(image))
    assert not load_recipe(written).networks["generator"].patch
    assert straight.results is not None


def test_show_says_what_is_patched(folder: Path) -> None:
    path = recipe(folder, "insert: {look: {after: stem, Tanh: {}}}, nodes: {drop: null}")
    assert "to_one.yaml (insert look; nodes drop)" in succeed("show", path)
    assert '"patch": {' in succeed("show", path, "--json")
    assert dump({"look": {"after": "stem", "Tanh": {}}}).strip() in succeed("show", path, "--resolved")


@pytest.mark.slow
def test_show_tells_of_the_network_as_it_is_patched(folder: Path) -> None:
    path = recipe(folder, "insert: {look: {after: stem, Conv: {out: 4}}}, nodes: {drop: null}")
    shown = succeed("show", path, "--network", "generator")
    assert [line.split()[0] for line in shown.splitlines()[1:5]] == ["stem", "look", "main", "side"]
    assert network(path) in succeed("show", path, "--network", "generator", "--json", "--size", "16")
    succeed("show", path, "--network", "generator", "--svg", "picture.svg")
    assert "look" in (folder / "picture.svg").read_text()
    (folder / "whole.yaml").write_text(succeed("show", path, "--network", "generator", "--resolved"))
    assert digest(check_graph(folder / "whole.yaml").graph) == network(path)
    assert "did you mean `generator`?" in run("show", path, "--network", "genrator").output
    assert "`--network` is for recipes" in run("show", "to_one.yaml", "--network", "generator").output
    assert "`--network NAME` shows one of its graphs" in run("show", path, "--svg", "b.svg").output
    assert succeed("show", "u2net", "--network", "generator", "--set", "params.width=8").startswith("node")


def test_the_example_of_the_readme_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "recipes" / "README.md").read_text()
    [_, example, *_] = text.split("```yaml\n# attention.yaml\n")
    (tmp_path / "attention.yaml").write_text(example.split("```")[0])
    assert "look" in check(tmp_path / "attention.yaml").plans["generator"].graph.nodes
