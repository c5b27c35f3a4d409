"""Runs made with a plugin: they say which, in one message, and run nothing by themselves."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from commandline import run, succeed
from tiny import PAIRED, TO_ONE, write_files

from crossband import registry
from crossband.recipes import load
from crossband.recipes.data import write_image
from crossband.recipes.model.weights import CheckpointError

PLUGIN = '''
import torch
from torch import Tensor, nn

from crossband import block, loss, metric


@block("MyScale", contract="b c h w -> b c h w")
class MyScale(nn.Module):
    """Scale by a number that is learned: `b c h w` to the same."""

    def __init__(self, *, start: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(start))

    def forward(self, x):
        return self.scale * x


@loss("my_loss")
def my_loss(output: Tensor, target: Tensor, /) -> Tensor:
    """The mean difference, `mean |output - target|`."""
    return (output - target).abs().mean()


@metric("my_metric", better="lower")
def my_metric(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The largest error of each image."""
    return (output - target).abs().flatten(1).amax(1)
'''
RECIPE = (
    PAIRED.replace("{l1:", "{my_loss:").replace("steps: 8", "steps: 1").replace("[mae, psnr, ssim]", "[mae, my_metric]")
)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process know no plugin, as a new one."""
    for kind in registry.KINDS.values():
        monkeypatch.setattr(kind, "_entries", {name: kind[name] for name in kind if not name.lower().startswith("my")})
    monkeypatch.setattr(registry, "_loaded", {"entry points": None})
    monkeypatch.delitem(sys.modules, "crossband_plugin_my_things", raising=False)


@pytest.fixture(name="made")
def _made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: None) -> Path:
    """A run made with a plugin, which is then forgotten."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, mine=RECIPE)
    (tmp_path / "to_one.yaml").write_text(TO_ONE.replace("do: [{Conv: {out: 1}}", "do: [MyScale, {Conv: {out: 1}}"))
    (tmp_path / "my_things.py").write_text(PLUGIN)
    write_image(tmp_path / "photo.png", np.full((16, 16, 3), 9, np.uint8))
    forget(monkeypatch)
    succeed("train", "mine.yaml", "--plugin", "my_things.py", "--run", "done")
    forget(monkeypatch)
    return tmp_path


def test_a_run_says_its_plugins_in_one_message(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = str(made / "my_things.py")
    assert json.loads((made / "done" / "environment.json").read_text())["plugins"] == [plugin]
    said = (
        "made with `--plugin my_things.py`\n"
        "hint: say it again, which runs that file; in Python, `crossband.registry.load_plugin(file)`\n"
    )
    shutil.copy(made / "done" / "weights" / "generator.safetensors", "alone.safetensors")
    for words in (
        ("evaluate", "done"),
        ("translate", "done", "photo.png", "out.png"),
        ("translate", "done/weights/generator.safetensors", "photo.png", "out.png"),
        ("train", "--resume", "done"),
        ("check", "done/recipe.yaml"),
        ("show", "done/recipe.yaml"),
    ):
        result = run(*words)
        assert result.exit_code == 1
        what = words[1].split("/")[0] if words[0] != "train" else "done"
        assert result.output.split(": ", 1)[1].startswith(f"this run was {said}"), what
        assert result.output.endswith(("(file)`\n", "1 error\n"))
    assert run("translate", "alone.safetensors", "photo.png", "out.png").output == (
        f"alone.safetensors: these weights were {said}"
    )
    with pytest.raises(CheckpointError, match=r"done: this run was made with `--plugin my_things\.py`"):
        load("done")
    assert "my_loss" not in registry.losses  # nothing was run

    moved = made / "elsewhere"
    moved.mkdir()
    (made / "my_things.py").rename(moved / "my_things.py")
    assert "hint: there is no `my_things.py` here any more: say `--plugin`" in run("evaluate", "done").output
    plugin = str(moved / "my_things.py")
    succeed("evaluate", "done", "--plugin", plugin)
    succeed("translate", "alone.safetensors", "photo.png", "out.png", "--plugin", plugin)
    succeed("train", "--resume", "done", "--plugin", plugin)
    monkeypatch.chdir(moved)
    forget(monkeypatch)
    assert "`--plugin my_things.py`" in run("evaluate", "../done").output


def test_a_plugin_that_is_not_needed_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: None
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, mine=PAIRED.replace("steps: 8", "steps: 1"))
    (tmp_path / "my_things.py").write_text(PLUGIN)
    forget(monkeypatch)
    succeed("train", "mine.yaml", "--plugin", "my_things.py", "--run", "done")
    forget(monkeypatch)
    succeed("evaluate", "done")
    succeed("train", "--resume", "done")  # which keeps the name of the plugin
    assert "my_things.py" in (tmp_path / "done" / "environment.json").read_text()


def test_an_unknown_block_that_is_like_none_speaks_of_plugins(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TO_ONE.replace("Sigmoid", "Zzyzx"))
    assert "comes by `--plugin FILE`" in run("check", tmp_path / "a.yaml").output
