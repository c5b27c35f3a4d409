"""Several processes: what torchrun takes for its own, and who speaks of a mistake that all of them meet."""

import contextlib
import io

import pytest
from commandline import run
from torch.distributed.run import get_args_parser

from crossband.recipes.commands.train import train

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


@pytest.mark.parametrize("words", [("train", "nothere"), ("train",)])
def test_one_process_speaks_for_all(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    codes = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        result = run(*words)
        codes.append(result.exit_code)
        assert bool(result.output) is (rank == "0")
    assert codes[0] == codes[1] != 0
