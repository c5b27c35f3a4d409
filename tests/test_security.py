"""What `SECURITY.md` promises: strangers' files run nothing, and reach nothing that was not named."""

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commandline import run
from tiny import PAIRED, write_files

from crossband.recipes import train
from crossband.recipes.data import write_image

ROOT = Path(__file__).parents[1]
STARTED = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile")
CALLED = ("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request")
_heard: list[tuple[str, Any]] | None = None  # events of Python, while a test listens: a hook cannot be removed


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard is not None and event in ("open", "os.mkdir", "os.rename", *STARTED, *CALLED):
        _heard.append((event, arguments))


@pytest.fixture(name="events")
def _events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """What Python is asked to open, start and call during a test."""
    if not getattr(sys, "_crossband_hears", False):
        sys.addaudithook(_hear)
        sys._crossband_hears = True  # type: ignore[attr-defined]
    monkeypatch.setattr(sys.modules[__name__], "_heard", events := [])
    yield events
    monkeypatch.undo()


@pytest.fixture(scope="module", name="done")
def _done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_files(tmp_path_factory.mktemp("security"), short=PAIRED.replace("steps: 8", "steps: 1"))
    write_image(folder / "photo.png", np.random.default_rng(0).random((16, 16, 3)))
    train(folder / "short.yaml", run=folder / "run", silent=True)
    return folder


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 8
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


def test_commands_start_nothing_and_stay_in_their_folders(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[tuple[str, Any]]
) -> None:
    shutil.copytree(done, tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    (tmp_path / "mine" / "out").mkdir()
    for words in (
        ("check", "short.yaml", "run/recipe.yaml"),
        ("show", "run/graphs/generator.yaml", "--svg", "out/a.svg"),
        ("cite", "short.yaml"),
        ("evaluate", "run", "--csv", "out/a.csv"),
        ("translate", "run", "photo.png", "out/a.png"),
        ("train", "short.yaml", "--run", "out/again"),
        ("train", "--resume", "run"),
    ):
        result = run(*words)
        assert result.exit_code == 0, result.output
    assert [event for event in events if event[0] in (*STARTED, *CALLED)] == []
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    opened = [arguments for event, arguments in events if event == "open" and isinstance(arguments[0], str | bytes)]
    written = [Path(os.fsdecode(name)) for name, _, flags in opened if flags & writing]
    own = (tmp_path / "mine", Path(os.devnull), Path("/dev/shm"))
    strangers = {path for path in written if not any(path.absolute().is_relative_to(place) for place in own)}
    assert {path for path in strangers if "__pycache__" not in path.parts} == set()
    assert len(written) > 10


class Bomb:
    """What unpickling would run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.marker),))


def test_a_pickle_runs_nothing(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(done / "run", tmp_path / "run")
    marker, bomb = tmp_path / "marker", tmp_path / "bomb.pth"
    torch.save({"format": 1, "step": 1, "\x1b[2J": Bomb(marker)}, bomb)
    shutil.copy(bomb, tmp_path / "run" / "state.pt")
    shutil.copy(bomb, tmp_path / "alone.safetensors")
    shutil.copy(bomb, tmp_path / "run" / "weights" / "generator.safetensors")
    write_files(tmp_path)
    (tmp_path / "keys.yaml").write_text('keys: some\nfor: to_one\nrename: {"{leaf}": "{leaf}"}\n')
    monkeypatch.chdir(tmp_path)
    setting = "networks.generator.weights={file: bomb.pth, keys: keys.yaml}"
    for words in (
        ("train", "--resume", "run"),
        ("evaluate", "run"),
        ("translate", "run", done / "photo.png", "out.png"),
        ("translate", "alone.safetensors", done / "photo.png", "out.png"),
        ("check", "paired.yaml", "--set", setting),
        ("train", "paired.yaml", "--set", setting),
    ):
        result = run(*words)
        assert (result.exit_code, result.stdout if words[0] != "check" else "") == (1, ""), result.output
        assert "Traceback" not in result.output
        assert "\x1b" not in result.output
        assert not marker.exists(), words


@pytest.mark.parametrize("inside", ["weights", "metrics.jsonl", "state.pt", "samples"])
def test_a_link_leads_out_of_no_run(inside: str, done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "run", folder := tmp_path / "run")
    path, outside = folder / inside, tmp_path / "outside"
    if path.exists():
        path.rename(outside)
    else:
        outside.mkdir()
    path.symlink_to(outside)
    before = sorted((file, file.stat().st_mtime_ns) for file in [outside, *outside.rglob("*")])
    for words in (
        ("train", "--resume", folder),
        ("evaluate", folder),
        ("translate", folder, done / "photo.png", "no.png"),
    ):
        result = run(*words)
        assert result.exit_code == 1
        assert f"{path}: a link that leads out of the run" in result.stderr
    assert sorted((file, file.stat().st_mtime_ns) for file in [outside, *outside.rglob("*")]) == before
