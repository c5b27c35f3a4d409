"""The README says what is so: its code runs, its commands exist, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

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
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("scratch")
def test_python_examples_run(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As printed and in their order, in a folder that has the photos they speak of."""
    Image.new("RGB", (60, 40), "gray").save(example / "photos" / "street.png")
    names: dict[str, object] = {"__name__": "__main__"}
    for code in fenced("python"):
        exec(compile(code, "README.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "u2netp" not in shown  # that is no *unet*
    assert "True" in shown
    assert re.search(r"^\| bias +\|", shown, re.MULTILINE)
    assert (example / "thermal" / "street.png").is_file()


@pytest.mark.usefixtures("example")
def test_console_examples_run() -> None:
    printed = [line for text in fenced("console") for line in text.replace("\\\n", " ").splitlines()]
    lines = [line for line in printed if line.startswith("crossband ")]
    assert {"check", "show", "train"} <= {line.split()[1] for line in lines}
    for line in lines:
        result = CliRunner().invoke(cli, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"


def test_the_first_hybrid_is_trained_as_it_is_shown(example: Path) -> None:
    """What the printed line trains is what `show` shows: no params of another graph come with the recipe."""
    [line] = [line for text in fenced("console") for line in text.splitlines() if line.startswith("crossband train ")]
    _, _, recipe, *options = shlex.split(line.rstrip("\\"))
    settings = [option for option in options if option != "--set"]
    trained = check(recipe, settings).plans["generator"].graph
    assert digest(trained) == digest(check_graph(example / "my_hybrid.yaml").graph)


def test_the_message_shown_is_the_message_given(example: Path) -> None:
    [shown] = fenced("text")
    path = example / "my_hybrid.yaml"
    path.write_text(path.read_text().replace("CrissCross", "CrisCross"))
    result = CliRunner().invoke(cli, ["check", "my_hybrid.yaml"])
    assert result.exit_code == 1
    assert shown.strip() in result.output


def test_every_command_is_in_the_table() -> None:
    rows = re.findall(r"^\| `crossband (\w+)", README, re.MULTILINE)
    assert sorted(rows) == sorted(cli.list_commands(None))  # type: ignore[arg-type]


def test_every_data_source_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[`\w, ]+`) \|", README.partition("## Data")[2].partition("## Commands")[0], re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == [
        item.name for item in listing.items("sources")
    ]


def test_links_lead_to_files() -> None:
    for document in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
            assert link.startswith("http") or (ROOT / link).exists(), f"{document} links to {link}"


def test_the_two_set_up_commands_are_there() -> None:
    assert "pip install . && crossband train demo" in README.splitlines()
    assert "pip install -e '.[test]' && pytest" in README.splitlines()
