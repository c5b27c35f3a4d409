"""What a run leaves behind: weights that stand alone, states that go on to the bit, folders never overwritten."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CYCLE, PAIRED, write_files
from torch import Tensor

from crossband.graphs import build
from crossband.graphs.language.files import FileError
from crossband.recipes import load, read_weights, save_weights, train
from crossband.recipes.model.padding import SizeError, crop, pad, padded_size
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.weights import CheckpointError, put_weights
from crossband.recipes.reporting.curves import read_log
from crossband.recipes.training.checkpoint import read_state, save_state
from crossband.recipes.training.folder import Log
from crossband.recipes.training.session import Interrupted, Session
from crossband.registry import CrossbandError

RESUMABLE = {  # a recipe with dropout and batch norm, and one with pools, two optimizers and unpaired images
    "paired": PAIRED + "schedule: {cosine: 0.1}\nema: 0.9\nclip: 1.0\n",
    "ramp": PAIRED.replace("weight: =weight", "weight: {from: =weight, to: 3, over: 6 steps, after: 1 step}"),
    "cycle": CYCLE,
    "fresh": CYCLE.replace("train: [is_ir, is_vis]", "train: [is_ir, is_vis]\n    repeat: 2\n    fresh: true"),
    "plateau": PAIRED.replace("steps: 8", "epochs: 2\nschedule: {plateau: {factor: 0.5, patience: 0}}"),
}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return write_files(tmp_path, **{f"{name}_": text for name, text in RESUMABLE.items()})


def stopped_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the next run be interrupted after a step, as by Ctrl-C."""
    count = iter(range(1, 1000))
    monkeypatch.setattr(Session, "_stopped", lambda self: next(count) == step)


def tensors_of(run: Path) -> dict[str, Tensor]:
    files = sorted((run / "weights").glob("*.safetensors"))
    return {f"{file.stem}/{key}": tensor for file in files for key, tensor in read_weights(file).tensors.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMABLE)
@pytest.mark.parametrize("step", [1, 7])
def test_a_resumed_run_equals_the_uninterrupted_one(
    name: str, step: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(folder / f"{name}_.yaml", run=folder / "whole", silent=True)
    with monkeypatch.context() as patch:
        stopped_after(patch, step)
        with pytest.raises(Interrupted) as caught:
            train(folder / f"{name}_.yaml", run=folder / "parts", silent=True)
    assert f"stopped after step {step} of {whole.steps}, everything is saved" in str(caught.value)
    assert f"hint: `crossband train --resume {folder / 'parts'}` goes on" in str(caught.value)
    torch.rand(7)  # whatever happened to the random state meanwhile
    parts = train(resume=folder / "parts", silent=True)
    first, second = tensors_of(whole.folder), tensors_of(parts.folder)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    steps = [json.loads(line)["step"] for line in (parts.folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_run_leaves_all_that_is_promised(folder: Path) -> None:
    result = train(folder / "paired.yaml", settings=["every.log=1"], run=folder / "run", silent=True)
    found = {str(path.relative_to(result.folder)) for path in result.folder.rglob("*") if path.is_file()}
    boards = {name for name in found if name.startswith("tensorboard/")}
    assert boards
    assert found - boards == {
        *("recipe.yaml", "graphs/generator.yaml", "environment.json", "metrics.jsonl", "state.pt"),
        "mean_images.safetensors",
        *("weights/generator.safetensors", "samples/step_000008.png", "samples/step_000005.png"),
        *("curves.png", "pictures.png", "evaluation.json", "evaluation.csv", "report.md", "report.html"),
    }
    assert set(result.tables) == {"paired", "grey copy", "mean image"}
    line = json.loads((result.folder / "metrics.jsonl").read_text().splitlines()[0])
    assert line["step"] == 1
    assert set(line["losses"]["generator"]) == {"pixel", "spectrum"}
    assert {"lr", "data_seconds", "compute_seconds", "images_per_second", "epoch"} <= line.keys()
    environment = json.loads((result.folder / "environment.json").read_text())
    assert {"crossband", "torch", "command", "seed", "device", "threads"} <= environment.keys()


def test_evaluation_of_a_run_is_that_of_its_end(folder: Path) -> None:
    result = train(folder / "paired.yaml", settings=["steps=2"], run=folder / "run", silent=True)
    for path in (result.folder, result.folder / "weights" / "generator.safetensors"):
        tables = load(path).evaluate(silent=True).tables
        assert tables["paired"].images == result.tables["paired"].images
    moved = folder / "moved.safetensors"
    os.replace(result.folder / "weights" / "generator.safetensors", moved)
    with pytest.raises(CrossbandError, match="lie in no run folder\nhint: say which images"):
        load(moved).evaluate(silent=True)


def test_a_run_is_never_overwritten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(
        CrossbandError, match="mine: is a folder with other files in it, and a run has a folder of its own"
    ):
        train("paired.yaml", run=Path("mine"), silent=True)
    with pytest.raises(CrossbandError, match="no such file or folder"):
        train("paired.yaml", settings=["networks.generator.weights=absent.safetensors"], silent=True)
    assert not Path("runs").exists()
    names = [train("paired.yaml", settings=["steps=1"], silent=True).folder for _ in range(2)]
    assert names == [Path("runs/paired-001"), Path("runs/paired-002")]


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom crossband.recipes import train, Interrupted\n"
        f"try:\n    train({str(folder / 'paired.yaml')!r}, settings=['steps=100000'],"
        f" run=Path({str(folder / 'run')!r}))\n"
        "except Interrupted as error:\n    print(error, file=sys.stderr)\n    sys.exit(error.exit_code)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not (folder / "run" / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "everything is saved" in errors
    assert read_state(folder / "run" / "state.pt")["step"] >= 1


def test_weights_need_nothing_beside_them(folder: Path) -> None:
    network = build(folder / "to_one.yaml", seed=3).eval()
    save_weights(folder / "one.safetensors", network, {"network": "generator", "task": {"from": "a", "to": "b"}})
    (folder / "to_one.yaml").unlink()
    again = load(folder / "one.safetensors").networks["generator"]
    image = torch.rand(1, 3, 9, 11)
    assert torch.equal(again(image)["main"], network(image)["main"])
    weights = read_weights(folder / "one.safetensors")
    assert weights.facts["network"] == "generator"
    assert weights.digest == network.meta["digest"]  # type: ignore[index]
    assert not list(folder.glob(".*"))


def test_weights_of_another_network_show_the_difference(folder: Path) -> None:
    save_weights(folder / "one.safetensors", build(folder / "plain.yaml"), {})
    other = build(folder / "plain.yaml", {"out": 3})
    with pytest.raises(CheckpointError) as caught:
        put_weights(other, read_weights(folder / "one.safetensors"))
    message = str(caught.value)
    assert message.startswith(
        f"{folder / 'one.safetensors'}: these weights belong to another network\n--- in the file\n+++ asked for\n"
    )
    assert "\n-" in message
    assert "out: 3" in message
    assert "size mismatch" not in message


def test_files_that_are_no_checkpoints_are_refused(folder: Path) -> None:
    (folder / "text.safetensors").write_text("not weights")
    (folder / "state.pt").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match="no such weights file"):
        read_weights(folder / "absent.safetensors")
    with pytest.raises(CheckpointError, match="not a weights file"):
        read_weights(folder / "text.safetensors")
    with pytest.raises(CheckpointError, match="not a training state"):
        read_state(folder / "state.pt")
    torch.save({"format": 1, "bad": Path("x")}, folder / "state.pt")  # more than plain data: would run code
    with pytest.raises(CheckpointError, match="not a training state"):
        read_state(folder / "state.pt")
    with pytest.raises(CheckpointError, match="no training state"):
        read_state(folder / "nothing.pt")


def test_a_failed_write_leaves_the_old_file(folder: Path) -> None:
    save_state(folder / "state.pt", {"step": 1})
    before = (folder / "state.pt").read_bytes()
    with pytest.raises(Exception, match="pickle"):
        save_state(folder / "state.pt", {"step": lambda: None})
    assert (folder / "state.pt").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(("height", "width"), [(7, 10), (8, 8), (1, 5), (2, 2), (13, 1)])
def test_padding_is_undone_by_cropping(height: int, width: int) -> None:
    image = torch.rand(2, 3, height, width)
    padded = pad(image, 32, 48)
    assert padded.shape == (2, 3, 32, 48)
    assert torch.equal(crop(padded, height, width), image)
    assert set(padded.unique().tolist()) == set(image.unique().tolist())


def test_padded_sizes_suit_every_network(folder: Path) -> None:
    from crossband.graphs import check

    halves = check(folder / "halves.yaml")
    assert padded_size([halves], 7, 10) == (8, 10)
    text = (folder / "halves.yaml").read_text().replace("[3, H, W]", "[3, 8, 8]").replace("[1, H, W]", "[1, 8, 8]")
    (folder / "fixed.yaml").write_text(text)
    fixed = check(folder / "fixed.yaml")
    assert padded_size([fixed, halves], 5, 8) == (8, 8)
    with pytest.raises(SizeError, match="`halves` takes images of 8x8, got 9x8"):
        padded_size([fixed], 9, 8)


def test_a_finished_run_that_goes_on_measures_its_last_step_again_and_no_other(tmp_path: Path) -> None:
    lines = [{"step": 4, "test": {"mae": 0.2}}, {"step": 6, "losses": {}}, {"step": 6, "test": {"mae": 0.1}}]
    run = RunFolder(tmp_path)
    run.log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with Log(run, 6, finished=True):
        pass
    assert read_log(run.log) == lines[:2]


def test_a_board_that_cannot_be_written_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", threads.append)
    with pytest.raises(FileError, match="tensorboard: cannot be written"), Log(RunFolder(tmp_path)) as log:  # noqa: PT012
        shutil.rmtree(log._folder)
        log._folder.touch()
        with pytest.raises(FileError, match="tensorboard: cannot be written"):
            log.write(1, 0, loss=1.0)
    assert not threads
    assert threading.excepthook == threads.append


def test_a_board_cut_off_by_ctrl_c_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handing a figure to the thread of the board, cut off in its middle, leaves both waiting for each other."""
    ended: list[str] = []
    with pytest.raises(KeyboardInterrupt), Log(RunFolder(tmp_path)) as log:  # noqa: PT012
        log.write(1, 0, loss=1.0)
        monkeypatch.setattr(log._board, "close", lambda: ended.append("cut off"))
        raise KeyboardInterrupt
    with Log(RunFolder(tmp_path), 1) as log:
        monkeypatch.setattr(log._board, "close", lambda: ended.append("whole"))
    assert ended == ["whole"]
    assert [line["step"] for line in read_log(RunFolder(tmp_path).log)] == [1]
