"""The README says what is so: its code runs, its commands exist, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from pages import Page

from crossband.graphs import check as check_graph
from crossband.graphs import digest
from crossband.recipes import check
from crossband.recipes.commands import cli, listing

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def named(text: str) -> str:
    found = re.match(r"# (\S+\.yaml)\n", text)
    assert found, "a YAML example begins with a comment that names its file"
    return found[1]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the YAML files of the README."""
    for text in fenced("yaml"):
        (tmp_path / named(text)).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("scratch")
def test_it_shows_what_is_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As printed and in its order: see `pages`."""
    page = Page(ROOT / "README.md")
    assert page.read(tmp_path) == README
    assert {"check", "show", "train"} <= {line.split()[1] for line in page.ran}
    shown = capsys.readouterr().out  # by Python, not by the commands
    assert "u2netp" not in shown  # that is no *unet*
    assert "True" in shown
    assert re.search(r"^\| bias +\|", shown, re.MULTILINE)
    assert (tmp_path / "thermal" / "street.png").is_file()


def test_the_first_hybrid_is_trained_as_it_is_shown(example: Path) -> None:
    """What the printed line trains is what `show` shows: no params of another graph come with the recipe."""
    [line] = [line for text in fenced("console") for line in text.splitlines() if line.startswith("crossband train ")]
    _, _, recipe, *options = shlex.split(line.rstrip("\\"))
    settings = [option for option in options if option != "--set"]
    trained = check(recipe, settings).plans["generator"].graph
    assert digest(trained) == digest(check_graph(example / "my_hybrid.yaml").graph)


def test_every_command_is_in_the_table() -> None:
    rows = re.findall(r"^\| `crossband (\w+)", README, re.MULTILINE)
    assert sorted(rows) == sorted(cli.list_commands(None))  # type: ignore[arg-type]


def test_every_data_source_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[`\w, ]+`) \|", README.partition("## Data")[2].partition("## Commands")[0], re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == [
        item.name for item in listing.items("sources")
    ]


def test_the_two_set_up_commands_are_there() -> None:
    assert "pip install . && crossband train demo" in README.splitlines()
    assert "pip install -e '.[test]' && pytest" in README.splitlines()
