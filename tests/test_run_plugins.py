"""Runs made with a plugin: they say which, in one message, and run nothing by themselves."""

import json
import os
import shutil
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from commandline import run, succeed
from tiny import PAIRED, TO_ONE, write_files

from crossband import registry
from crossband.recipes import load
from crossband.recipes.data import write_image
from crossband.recipes.model.weights import CheckpointError
from crossband.registry import CrossbandError

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


FAILING = {  # what a plugin does, and what is told of it
    "exits": ("import sys\n\nsys.exit(3)\n", ":3: the plugin did not load: SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt\n", ":1: the plugin did not load: KeyboardInterrupt"),
    "raises": (
        "class E(BaseException): ...\nraise E('a\\x1b[2J\\nb')\n",
        ":2: the plugin did not load: E: a\\u{1b}[2J b",
    ),
    "misspells": ("a = 1\nb = 2 2\n", ":2: the plugin did not load: SyntaxError: invalid syntax"),
    "lacks": ("import not_there_at_all\n", ":1: the plugin did not load: ModuleNotFoundError: No module named"),
    "bytes": ("'\udcff'\n", ":1: the plugin did not load: SyntaxError: (unicode error)"),
    "zero": ("\0\n", ": the plugin did not load: "),  # the rest depends on the version of Python
    "endless": ("def f(): f()\n\n\nf()\n", ":1: the plugin did not load: RecursionError: maximum recursion depth"),
    "torch": ("import torch\ntorch.zeros(2) @ torch.zeros(3)\n", ":2: the plugin did not load: RuntimeError: "),
}


@pytest.mark.parametrize("kind", FAILING)
def test_whatever_a_plugin_does_is_one_message_with_its_line(kind: str, tmp_path: Path, scratch: None) -> None:
    text, said = FAILING[kind]
    file = tmp_path / f"{kind}_it.py"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    result = run("ls", "blocks", "--plugin", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{file}{said}")
    assert len(result.stderr.splitlines()) == 1
    assert f"crossband_plugin_{kind}_it" not in sys.modules


def test_a_plugin_is_a_regular_file_of_some_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "loop.py").symlink_to("loop.py")
    with (tmp_path / "large.py").open("wb") as stream:
        stream.truncate(2**30)
    says = {
        "fifo": "not a regular file",
        "folder": "not a regular file",
        "loop": "cannot be read",
        "large": "at most 10,000",
    }
    for name, said in {**says, "a\0b": "cannot be read: embedded null"}.items():
        result = run("ls", "blocks", "--plugin", tmp_path / f"{name}.py")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr.splitlines()[0]


def test_what_a_plugin_registered_before_it_failed_is_gone(tmp_path: Path, scratch: None) -> None:
    file = tmp_path / "my_halves.py"
    file.write_text(PLUGIN + "\nraise ValueError\n")
    for _ in range(2):  # nothing is in the way of the second
        with pytest.raises(CrossbandError, match=r"my_halves.py:\d+: the plugin did not load: ValueError$"):
            registry.load_plugin(file)
        assert not {"MyScale", "my_loss", "my_metric"} & {*registry.blocks, *registry.losses, *registry.metrics}
    file.write_text(PLUGIN)
    registry.load_plugin(file)
    assert "MyScale" in registry.blocks
    assert "Conv" in registry.blocks


def test_what_a_plugin_prints_is_no_result(tmp_path: Path, scratch: None) -> None:
    (tmp_path / "says.py").write_text("print('hello')\n")
    result = run("ls", "blocks", "--json", "--plugin", tmp_path / "says.py")
    assert isinstance(json.loads(result.stdout), list | dict)
    assert result.stderr == "hello\n"


@pytest.mark.parametrize(
    "text", ["import sys\nsys.exit(3)", "raise KeyboardInterrupt", "a = 2 2", "import not_there_at_all"]
)
def test_an_installed_plugin_that_fails_is_set_aside_and_named(
    text: str, tmp_path: Path, scratch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("lab", "broken_package", "crossband.plugins")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry._loaded.pop("entry points", None)
    registry.load_plugins()
    [failure] = registry.plugin_failures
    assert failure.startswith(f"the plugin `lab`: {tmp_path / 'broken_package.py'}:")
    assert "the plugin did not load: " in failure
    assert run("ls", "blocks").exit_code == 0


@pytest.mark.parametrize("does", ["raise SystemExit(0)", "raise KeyError('a')", "torch.zeros(2) @ torch.zeros(3)"])
def test_a_plugin_that_fails_in_a_step_is_named_with_its_line(
    does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: None
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, mine=RECIPE)
    (tmp_path / "my_things.py").write_text(PLUGIN.replace("return (output - target).abs().mean()", does))
    forget(monkeypatch)
    result = run("train", "mine.yaml", "--plugin", "my_things.py", "--run", "run")
    assert result.exit_code == 1
    assert f"{tmp_path / 'my_things.py'}:23: the plugin failed: " in result.stderr
    assert "Traceback" not in result.output
    assert (tmp_path / "run" / "state.pt").is_file()
