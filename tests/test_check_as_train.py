"""`crossband check` sees what a run would: the words of `train` for all that it refuses, and nothing written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import run, succeed
from tiny import PAIRED, write_files

from crossband.recipes.data import write_image
from crossband.recipes.model.weights import save_weights


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    for band in ("visible", "infrared"):
        (tmp_path / "own" / band).mkdir(parents=True)
    for number in range(12):
        for band, channels in (("visible", 3), ("infrared", 1)):
            write_image(tmp_path / "own" / band / f"{number}.png", np.full((20, 24, channels), number, np.uint8))
    return tmp_path


def own(**changes: str) -> str:
    """The recipe `paired` with other words, in the file `mine.yaml`."""
    text = PAIRED
    for old, new in changes.items():
        text = text.replace({"source": "{demo: {train: 10, test: 3, size: 24}}", "graph": "to_one.yaml"}[old], new)
    Path("mine.yaml").write_text(text.lstrip("\n"))
    return "mine.yaml"


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"source": "{pairs: {folder: nowhere}}"}, [], "E001 no such file or folder: `"),
        ({}, ["--data", "nowhere"], "nowhere: no such folder"),
        ({}, ["--data", "own", "--set", "data.size=32"], "smaller than the window 32x32"),
        ({}, ["--set", "data.batch=bach"], "E006 `batch` must be a whole number, got `bach`"),
        ({}, ["--set", "evaluate.split=tset"], "the data has no split `tset`"),
        ({"graph": "to_one.yaml, weights: start.safetensors"}, [], "mine.yaml:5:44: E001 no such file or folder: `"),
        (
            {},
            ["--set", "networks.generator.weights=start.safetensors"],
            "settings:1:28: E001 no such file or folder: `",
        ),
        ({}, ["--set", "networks.generator.weights=to_one.yaml"], "to_one.yaml: not a weights file"),
        ({}, ["--set", "networks.generator.weights=other.safetensors"], "these weights belong to another network"),
        ({}, ["--device", "cuda"], "there is no device `cuda` here"),
    ],
)
def test_what_train_refuses_check_refuses_with_the_same_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], options: list[str], said: str
) -> None:
    from crossband.graphs import build

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    save_weights(folder / "other.safetensors", build(folder / "plain.yaml"), {})
    before = sorted(folder.rglob("*"))
    recipe = own(**changes)
    checked, trained = run("check", recipe, *options), run("train", recipe, *options)
    assert (checked.exit_code, trained.exit_code) == (1, 1)
    assert said in checked.output
    assert trained.output.partition("hint: ")[0].strip().splitlines()[0] in checked.output
    assert "1 error" in checked.output
    assert sorted(path for path in folder.rglob("*") if path.name != "mine.yaml") == before


def test_a_missing_folder_is_told_at_the_text_that_says_it(folder: Path) -> None:
    assert "mine.yaml:12:33: E001 " in run("check", own(source="{pairs: {folder: nowhere}}")).output
    (folder / "child.yaml").write_text("recipe: child\nextends: mine\n")
    assert "mine.yaml:12:33: E001 " in run("check", "child.yaml").output
    (folder / "empty").mkdir()
    assert "mine.yaml:12:16: E085 " in run("check", own(source="{pairs: {folder: empty}}")).output


def test_images_of_shipped_recipes_that_are_not_here_are_a_note(folder: Path) -> None:
    (folder / "mine.yaml").write_text("recipe: mine\nextends: unet\nparams: {width: 4}\n")
    for words in (("mine.yaml",), ("unet", "--set", "params.width=4")):
        result = run("check", *words)
        assert result.exit_code == 0
        assert "note: " in result.stderr
        assert "are not here; `--data FOLDER` names yours" in result.stderr
    assert "note" not in run("check", "unet").output


def test_right_options_are_right(folder: Path) -> None:
    recipe = own()
    assert succeed("check", recipe).startswith("recipe paired: generator ")
    before = sorted(folder.rglob("*"))
    succeed("check", recipe, "--data", "own", "--set", "data.batch=3", "--precision", "bf16-mixed", "--device", "cpu")
    assert sorted(folder.rglob("*")) == before
    assert "`--data` is for recipes" in run("check", "plain.yaml", "--data", "own").output
    wide = succeed("check", "plain.yaml", "--set", "out=2")
    assert wide != succeed("check", "plain.yaml")
    assert succeed("check", "u2netp", "--set", "out=2").startswith("graph u2netp")


def test_a_weight_that_does_not_get_there_is_a_note_in_steps_of_the_data(folder: Path) -> None:
    text = PAIRED.replace("weight: =weight", "weight: {from: 0, to: 1, over: 2 epochs}")
    Path("mine.yaml").write_text(text.replace("params: {weight: 0.5}\n", ""))
    assert "training ends after 8 steps, at 0.8" in run("check", "mine.yaml").stderr
