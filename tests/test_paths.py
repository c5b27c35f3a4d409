"""A path is relative to the text that says it: a YAML file, or what is said in the working directory."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import PAIRED, PLAIN, write_files

from crossband import registry
from crossband.graphs import check as check_graph
from crossband.graphs.building.key_maps import load_key_map
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check, load_recipe
from crossband.recipes.commands import cli
from crossband.recipes.data import Source, source, write_image
from crossband.recipes.language.syntax import Recipe
from crossband.registry import FilePath

HYBRID = "graph: my_hybrid\nextends: plain.yaml\n"
KEY_MAP = "keys: mine\nfor: plain\nrename: {'a.{leaf}': 'hidden.{leaf}'}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recipes, and beside it `elsewhere`, the working directory."""
    (tmp_path / "home" / "maps").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    write_files(tmp_path / "home", my_hybrid=HYBRID)
    (tmp_path / "home" / "maps" / "mine.yaml").write_text(KEY_MAP)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


def heir(home: Path) -> Path:
    """A recipe in a folder of its own that extends `home/paired.yaml`."""
    folder = home / "heirs"
    folder.mkdir(exist_ok=True)
    (folder / "heir.yaml").write_text("recipe: heir\nextends: ../paired.yaml\n")
    return folder / "heir.yaml"


def same(found: object, expected: Path) -> bool:
    return isinstance(found, str) and ".." not in Path(found).parts and Path(found) == expected.resolve()


def test_a_graph_on_the_command_line_starts_at_the_working_directory(home: Path) -> None:
    write_files(Path(), my_hybrid=HYBRID)
    settings = ["networks.generator.graph=my_hybrid.yaml", "networks.generator.params=null"]
    for recipe in (home / "paired.yaml", "demo"):
        experiment = check(recipe, [*settings, "losses={pixel: {l1: [fake, target]}}"])
        assert experiment.plans["generator"].graph.name == "my_hybrid"
        assert same(experiment.recipe.networks["generator"].graph, Path("my_hybrid.yaml"))


def test_a_graph_in_a_file_starts_at_that_file_also_for_those_that_extend_it(home: Path) -> None:
    assert check(heir(home)).plans["generator"].graph.name == "to_one"
    (home / "heirs" / "to_one.yaml").write_text(PLAIN)  # beside the heir: not what the parent means
    assert check(heir(home)).plans["generator"].graph.name == "to_one"
    (home / "heirs" / "leaf.yaml").write_text("graph: leaf\nextends: ../my_hybrid.yaml\n")
    assert check_graph(home / "heirs" / "leaf.yaml").graph.name == "leaf"


SOURCES = {  # a data source, and which of its arguments are paths
    "{pairs: {folder: FILE}}": ["folder"],
    "{pairs: {visible: FILE, infrared: FILE}}": ["visible", "infrared"],
    "{folders: {visible: FILE, infrared: FILE, test: FILE}}": ["visible", "infrared", "test"],
    "{pairs: {folder: FILE, split: {test: {list: FILE}}}}": ["folder", "split.test.list"],
    **{f"{{{name}: {{folder: FILE}}}}": ["folder"] for name in ("llvip", "kaist", "flir", "osu", "roadscene", "msrs")},
}


def written(home: Path, recipe: Path | str, key: str, value: str, how: str) -> Recipe:
    """The recipe where `key` is `value`, said by a file of the folder `home`, by a variant in it, or by a setting."""
    if how == "setting":
        return load_recipe(recipe, [f"{key}={value}"])
    *above, last = key.split(".")
    text = (
        "".join(f"{'  ' * depth}{step}:\n" for depth, step in enumerate(above)) + f"{'  ' * len(above)}{last}: {value}"
    )
    if how == "variant":
        text = f"variants: {{moved: {{{key}: {value}}}}}\nvariant: moved"
    (home / "parent.yaml").write_text(f"recipe: parent\nextends: paired\n{text}\n")
    (home / "heirs").mkdir(exist_ok=True)
    (home / "heirs" / "heir.yaml").write_text("recipe: heir\nextends: ../parent.yaml\n")
    return load_recipe(home / "heirs" / "heir.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["file", "variant", "setting"])
@pytest.mark.parametrize("path", ["images", "../images", "ABSOLUTE"])
def test_every_path_of_a_recipe_starts_at_the_text_that_says_it(home: Path, how: str, path: str) -> None:
    text = str(home / "far") if path == "ABSOLUTE" else path
    expected = (Path() if how == "setting" else home) / text

    def said(key: str, value: str) -> Recipe:
        return written(home, home / "paired.yaml", key, value.replace("FILE", text), how)

    assert same(said("data.cache", "FILE").data.cache, expected)
    for value, keys in SOURCES.items():
        arguments = said("data.source", value).data.arguments
        for key in keys:
            found: object = arguments
            for step in key.split("."):
                assert isinstance(found, Mapping)
                found = found[step]
            assert same(found, expected), (value, key)
    assert same(said("networks.generator.weights", "FILE").networks["generator"].weights, expected)
    loss = "{perceptual: [fake.main, infrared], range: unit, path: FILE}"
    assert same(said("losses.look", loss).phases[0].terms["look"].arguments["path"], expected)


@pytest.mark.parametrize("how", ["file", "variant", "setting"])
def test_weights_from_elsewhere_and_their_key_maps(home: Path, how: str) -> None:
    start = Path("../home") if how == "setting" else Path()

    def weights(file: str, keys: str) -> Mapping[str, str]:
        value = f"{{file: {file}, keys: {keys}}}"
        found = written(home, home / "paired.yaml", "networks.generator.weights", value, how).networks["generator"]
        assert isinstance(found.weights, Mapping)
        return found.weights

    found = weights(f"{start / 'w.pth'}", f"{start / 'maps' / 'mine.yaml'}")
    assert same(found["file"], home / "w.pth")
    assert same(found["keys"], home / "maps" / "mine.yaml")
    assert load_key_map(found["keys"]).name == "mine"
    shipped = weights("torchvision/resnet101", "torchvision_resnet101")
    assert shipped == {"file": "torchvision/resnet101", "keys": "torchvision_resnet101"}


def test_a_list_of_names_is_no_path(home: Path) -> None:
    recipe = load_recipe(home / "paired.yaml", ["data.source={pairs: {folder: a, split: {test: {list: [b, c]}}}}"])
    assert recipe.data.arguments["split"] == {"test": {"list": ["b", "c"]}}


def test_a_bare_name_is_shipped_or_else_of_a_file_beside_the_text(home: Path) -> None:
    (home / "bare.yaml").write_text(PAIRED.replace("to_one.yaml", "to_one"))
    assert check(home / "bare.yaml").plans["generator"].graph.name == "to_one"
    (home / "mine.yaml").write_text(KEY_MAP)
    text = PAIRED.replace("graph: to_one.yaml", "graph: plain, weights: {file: w, keys: mine}").replace(".main", "")
    (home / "keys.yaml").write_text(text)
    weights = check(home / "keys.yaml").recipe.networks["generator"].weights
    assert isinstance(weights, Mapping)
    assert same(weights["keys"], home / "mine.yaml")
    (home / "u2net.yaml").write_text(PAIRED.replace("recipe: paired", "recipe: u2net"))  # a recipe called as a graph
    (home / "bare.yaml").write_text(PAIRED.replace("to_one.yaml", "u2net").replace(".main", ".fused"))
    assert check(home / "bare.yaml").plans["generator"].graph.name == "u2net"


@pytest.mark.parametrize(
    ("file", "content", "text", "fault"),
    [
        ("u2net.yaml", HYBRID, PAIRED.replace("to_one.yaml", "u2net"), "5:22: E016 `u2net` is a shipped graph, and"),
        ("u2net.yaml", PAIRED, "recipe: a\nextends: u2net\n", "2:10: E016 `u2net` is a shipped recipe, and"),
        (
            "torchvision_resnet101.yaml",
            KEY_MAP,
            PAIRED.replace("to_one.yaml", "to_one.yaml, weights: {file: w, keys: torchvision_resnet101}"),
            "E016 `torchvision_resnet101` is a shipped key map, and",
        ),
    ],
)
def test_a_file_that_has_a_shipped_name_is_told(home: Path, file: str, content: str, text: str, fault: str) -> None:
    (home / file).write_text(content)
    (home / "a.yaml").write_text(text.lstrip("\n"))
    with pytest.raises(InvalidFile) as caught:
        check(home / "a.yaml")
    assert f"{fault} `{home / file}` has the same name" in str(caught.value)
    assert f"hint: rename the file, or write `{file}` where you mean it" in str(caught.value)
    assert len(list(caught.value.problems)) == 1


def test_what_is_not_there_is_told_where_it_is_named_with_the_path_that_was_meant(home: Path) -> None:
    missing = Path("my_hybrid.yaml").absolute()
    with pytest.raises(InvalidFile) as caught:
        check(home / "paired.yaml", ["networks.generator.graph=my_hybrid.yaml"])
    assert f"settings:1:26: E001 no such file: `{missing}`" in str(caught.value)
    assert "hint: a path in a YAML file is relative to that file, any other to the working directory" in str(
        caught.value
    )
    (home / "a.yaml").write_text(PAIRED.replace("to_one.yaml", "to_on.yaml").lstrip("\n"))
    with pytest.raises(InvalidFile) as caught:
        check(home / "a.yaml")
    assert f"{home / 'a.yaml'}:5:22: E001 no such file: `{home / 'to_on.yaml'}`" in str(caught.value)
    assert f"hint: did you mean `{home / 'to_one.yaml'}`?" in str(caught.value)
    (home / "b.yaml").write_text("recipe: b\nextends: deep/none.yaml\n")
    with pytest.raises(InvalidFile, match=r"b.yaml:2:10: E001 no such file: `.*none.yaml`(.|\n)*there is no folder `"):
        check(home / "b.yaml")


def test_a_shipped_recipe_looks_for_images_in_the_working_directory() -> None:
    assert same(load_recipe("u2net").data.arguments["folder"], Path("data/LLVIP"))
    assert same(load_recipe("gn_cyclegan", ["variant=osu"]).data.arguments["folder"], Path("data/OSU"))


def test_a_parameter_of_a_plugin_says_that_it_is_a_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.sources, "_entries", dict(registry.sources._entries))

    @source("shelves")
    def shelves(*, files: list[FilePath], extra: dict[str, FilePath | None], title: str) -> Source:
        """Images on shelves."""
        raise NotImplementedError

    value = "{shelves: {files: [a, b], extra: {c: d, e: null}, title: f}}"
    found = written(home, home / "paired.yaml", "data.source", value, "file").data.arguments
    assert all(same(path, home / name) for path, name in zip(found["files"], "ab", strict=True))
    assert same(found["extra"]["c"], home / "d")
    assert (found["extra"]["e"], found["title"]) == (None, "f")


@pytest.mark.slow
def test_a_run_works_from_anywhere_and_wherever_it_is_moved(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 4, 16, 16, 3), dtype=np.uint8)
    for name, band, channels in (("visible", images[0], 3), ("infrared", images[1], 1)):
        (home / "images" / name).mkdir(parents=True)
        for number, image in enumerate(band):
            write_image(home / "images" / name / f"{number}.png", image[..., :channels])
    text = PAIRED.replace("{demo: {train: 10, test: 3, size: 24}}", "{pairs: {folder: images}}, cache: kept")
    (home / "paired.yaml").write_text(text.replace("steps: 8", "steps: 1"))

    def crossband(*arguments: str) -> None:
        result = CliRunner().invoke(cli, list(arguments))
        assert result.exit_code == 0, result.output

    monkeypatch.chdir(home)
    crossband("train", "paired.yaml", "--run", "runs/x")
    monkeypatch.chdir(home / "maps")
    crossband("evaluate", "../runs/x")
    shutil.move(home / "runs" / "x", home / "moved")
    crossband("evaluate", "../moved")
    crossband("train", "--resume", "../moved")
    monkeypatch.chdir(home / "moved")
    crossband("evaluate", ".")
    assert (home / "kept").is_dir()
