"""The figures of the papers: the commands of recipes/README.md draw them, here of runs of three steps."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from commandline import succeed
from PIL import Image

PAGE = (Path(__file__).parents[1] / "recipes" / "README.md").read_text("utf-8").partition("## Figures of the papers")[2]
COMMANDS = [shlex.split(each) for each in re.findall(r"^\|.+\| `crossband (.+)` \|$", PAGE, re.MULTILINE)]


@pytest.mark.slow
def test_the_figures_of_the_papers_are_drawn_by_their_commands(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save("street.png")
    Image.fromarray(noise[..., 0]).save("thermal.png")
    for run in sorted({word for command in COMMANDS for word in command if word.startswith("runs/")}):
        name = run.removeprefix("runs/").removesuffix("-001")
        succeed("train", name, "--set", "variant=tiny", "--run-folder", run)
    for command in COMMANDS:
        printed = succeed(*command)
        assert printed.count("\n") >= 2
        assert Image.open(command[command.index("--picture") + 1]).width > 500
    assert {command[0] for command in COMMANDS} == {"curves", "inspect"}
