"""The edge of the program: what nobody foresaw and is no fault of crossband is one message, without a traceback."""

import errno
import os

import numpy as np
import pytest
import torch
from commandline import run

from crossband.recipes.basics.edge import SMALLER, explained
from crossband.recipes.commands import listing


def allocated() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def failing(error: BaseException) -> None:
    raise error


def nested() -> None:
    nested()


WORLD = {  # what happens, and what is said
    "disk": (
        lambda: failing(OSError(errno.ENOSPC, "No space", "a.txt")),
        "a.txt: the disk is full\nhint: make room, or ",
    ),
    "files": (lambda: failing(OSError(errno.EMFILE, "Too many")), "a file: too many files are open\nhint: `ulimit -n "),
    "bytes": (lambda: os.stat(b"nowhere\x1b\xff"), "nowhere\\u{1b}\\u{dcff}: no such file or folder\n"),
    "unnamed": (lambda: failing(OSError()), "a file: OSError\n"),
    "memory": (
        lambda: failing(MemoryError()),
        f"there is not enough memory for this\nhint: {SMALLER}\nnote: MemoryError\n",
    ),
    "numpy": (
        lambda: np.empty(2**60, np.uint8),
        f"there is not enough memory for this\nhint: {SMALLER}\nnote: Unable to",
    ),
    "torch": (allocated, f"there is not enough memory for this\nhint: {SMALLER}\nnote: "),
    "cuda": (lambda: failing(torch.OutOfMemoryError("CUDA out of memory.\nTried")), "note: CUDA out of memory.\n"),
    "depth": (nested, "something in the input is nested too deeply\nhint: "),
    "worker": (
        lambda: failing(RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed.")),
        "a process that reads images ended: DataLoader worker (pid 3) is killed by signal: Killed.\nhint: it may have",
    ),
}


@pytest.mark.parametrize("kind", WORLD)
def test_the_world_of_the_user_is_no_fault_of_ours(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    happens, said = WORLD[kind]
    monkeypatch.setattr(listing, "items", lambda kind: happens())
    result = run("ls", "blocks")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert "fault of crossband" not in result.output


@pytest.mark.parametrize(
    "error", [KeyError("a"), RuntimeError("a"), SystemExit(3), AssertionError(), ValueError("memory")]
)
def test_a_fault_of_ours_stays_one(error: BaseException) -> None:
    assert explained(error) is None
