"""Several processes: what torchrun takes for its own, and who speaks of a mistake that all of them meet."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from commandline import run, succeed
from torch.distributed.run import get_args_parser

from crossband.recipes.commands.train import train

ROOT = Path(__file__).parents[1]
SCRIPT = ["--nproc-per-node", "2", "crossband", "train", "u2net"]
OPTIONS = [option for parameter in train.params for option in parameter.opts if option.startswith("--")]


def passed_on(*arguments: str) -> list[str]:
    return get_args_parser().parse_args([*arguments]).training_script_args


@pytest.mark.parametrize("option", OPTIONS)
def test_torchrun_passes_every_option_on_but_one(option: str) -> None:
    if option != "--run":
        assert passed_on(*SCRIPT, option, "x") == ["train", "u2net", option, "x"]
        return
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        passed_on(*SCRIPT, option, "x")  # newer Pythons pass it on
    assert not said.getvalue() or "ambiguous option: --run" in said.getvalue()
    assert "--run-folder" in OPTIONS


def test_the_lines_of_the_documentation_start_a_run() -> None:
    """As printed: torchrun takes its own options, and crossband those that it has."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("graphs/*.md"), *ROOT.glob("recipes/*.md")]
    texts = [*(page.read_text("utf-8") for page in pages), succeed("train", "--help")]
    lines = [" ".join(line.split()) for text in texts for line in re.findall(r"`(torchrun [^`]*)`", text)]
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line.replace("$(which crossband)", "crossband"))[1:]
        found = get_args_parser().parse_args(words)
        assert found.training_script == "crossband"
        assert found.training_script_args == words[words.index("crossband") + 1 :]
        assert found.training_script_args[0] == "train"
        options = [word for word in found.training_script_args if word.startswith("-")]
        assert set(options) <= {*OPTIONS} - {"--run"}


@pytest.mark.parametrize("words", [("train", "nothere"), ("train",)])
def test_one_process_speaks_for_all(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    codes = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        result = run(*words)
        codes.append(result.exit_code)
        assert bool(result.output) is (rank == "0")
    assert codes[0] == codes[1] != 0
