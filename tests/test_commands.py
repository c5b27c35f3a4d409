"""The command line as its users meet it: start-up time, exit codes, streams, lists, plugins."""

import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import COMMAND, SMALL, graph_file, run, succeed

from crossband.graphs.building import facts
from crossband.graphs.language.catalog import Catalog
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read
from crossband.recipes.commands import COMMANDS, listing

PLUGIN = '''
from torch import nn
from crossband.blocks import block

@block("Plugged", contract="b c h w -> b c h w")
class Plugged(nn.Module):
    """A block of a plugin."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x):
        """The same."""
        return x
'''


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return graph_file(tmp_path)


@pytest.fixture
def plugin(tmp_path: Path, scratch: None) -> Path:
    path = tmp_path / "plugged.py"
    path.write_text(PLUGIN)
    return path


# ---------------------------------------------------------------------- start


def test_help_and_lists_do_not_import_torch() -> None:
    code = f"""
import sys
from crossband.recipes.commands import cli
for arguments in (["--help"], ["ls"], ["ls", "--json"], *([verb, "--help"] for verb in {list(COMMANDS)})):
    cli(arguments, standalone_mode=False)
    assert "torch" not in sys.modules, arguments
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["check", "--help"]])
def test_start_is_quick(arguments: list[str]) -> None:
    """Well below half a second of computing, whatever else the machine does."""
    spent = []
    for _ in range(5):
        before = os.times()
        subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert statistics.median(spent) < 0.5


@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_threads_that_wait_are_told_to_sleep_before_torch_is_there(tmp_path: Path, own: str | None) -> None:
    """What spins while other programs keep the cores busy takes them from what it waits for. One's own choice holds."""
    path = tmp_path / "look.py"
    path.write_text("import os, sys\nprint(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules, file=sys.stderr)\n")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": own} if own else {}
    command = [*COMMAND, "--plugin", str(path), "ls"]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert found.stderr == f"{own or 'PASSIVE'} False\n"


def test_every_verb_is_in_the_help() -> None:
    text = succeed("--help")
    assert all(re.search(rf"^  {verb} +{re.escape(words)}$", text, re.MULTILINE) for verb, words in COMMANDS.items())


# ---------------------------------------------------------------------- exit codes and streams


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["chek"], 2, "no command named `chek`\nhint: did you mean `check`?"),
        (["ls", "bloks"], 2, "'bloks' is not one of"),
        (["show", "u2nett"], 1, "nothing named `u2nett`\nhint: did you mean `u2net`?\n"),
        (["show", "u2net", "--kind", "block"], 1, "no block named `u2net`\nhint: `crossband ls` lists every name"),
        (["show", "RSU", "--code"], 2, "`--code` is for graphs, and `RSU` is a block"),
        (["show", "l1", "--set", "a=1"], 2, "`--set` and `--resolved` are for graphs and recipes, and `l1` is a loss"),
        (["show", "u2net", "--json", "--code"], 2, "`--json` and `--code` exclude each other"),
        (["show", "u2netp", "--svg", "u2net.yaml"], 2, "`--svg` writes a file that ends in `.svg`, got `u2net.yaml`"),
        (["show", "u2netp", "--size", "large"], 2, "`large` is no image size\nhint: write height x width in pixels"),
        (["show", "u2netp", "--set", "widht=3"], 1, "E011 `u2netp` has no param `widht`"),
        (["show", "none.yaml"], 1, "none.yaml: E001 no such file"),
        (["cite", "nobody2020"], 1, "nothing named `nobody2020`"),
        (["--plugin", "none.py", "ls"], 1, "none.py: no such plugin file\n"),
        (["schema", "block"], 2, "'block' is not one of 'graph', 'recipe'"),
    ],
)
def test_wrong_input_is_told_on_stderr(arguments: list[str], code: int, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_a_fault_of_the_library_asks_to_be_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kind: str) -> list[listing.Item]:
        raise RuntimeError(kind)

    monkeypatch.setattr(listing, "items", broken)
    result = run("ls", "blocks")
    assert isinstance(result.exception, RuntimeError)
    assert "please report it" in result.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen([*COMMAND, "ls", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def test_no_colour_reaches_a_pipe(small: Path) -> None:
    small.write_text(SMALL.replace("Resize", "Resise"))
    assert "\x1b" not in run("check", small).output
    assert "\x1b" not in run("show", small).output


# ---------------------------------------------------------------------- ls


@pytest.mark.parametrize("kind", listing.DECORATED)
def test_the_list_read_off_the_source_is_the_registry(kind: str) -> None:
    ours = [item for item in listing.registered(kind) if not item.name.startswith("Plugged")]
    assert listing.declared(kind) == ours
    assert kind == "wrappers" or ours


@pytest.mark.parametrize("kind", listing.WRITTEN)
def test_the_head_of_a_file_is_what_the_whole_file_says(kind: str) -> None:
    for path in listing.WRITTEN[kind].files().values():
        problems = Problems()
        document = read(path, problems)
        assert document
        assert not problems
        head, _ = listing.header(path.read_text("utf-8"))
        assert head == {key: value for key, value in document.data.items() if key in listing._HEADER}
        assert head[kind.removesuffix("s")] == path.stem


@pytest.mark.parametrize("kind", [*listing.DECORATED, *listing.WRITTEN])
def test_everything_listed_says_what_it_is(kind: str) -> None:
    for item in listing.items(kind):
        assert len(item.summary) > 8, item.name
        assert not item.summary.endswith("."), item.name


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("A mean. And more.", "A mean"),
        ("Pool it: `b c h w -> b c 1 1`.\n\nMore.", "Pool it"),
        ("Each to itself: `b c h w` to the same.", "Each to itself"),
        ("As Lai et al. 2017 do.", "As Lai et al. 2017 do"),
        ("`max(x, 0)`, elementwise: `b c h w` to the same, with values from 0 to 1.", "`max(x, 0)`, elementwise"),
        ("", ""),
    ],
)
def test_summary(doc: str, expected: str) -> None:
    assert listing.summary(doc) == expected


def test_ls_as_json() -> None:
    found = json.loads(succeed("ls", "--json"))
    assert list(found) == list(listing.KINDS)
    assert json.loads(succeed("ls", "blocks", "--json")) == found["blocks"]
    [rsu] = [item for item in found["blocks"] if item["name"] == "RSU"]
    assert rsu["contract"] == "b c h w -> b {out} h w"
    assert rsu["required"] == ["depth", "mid", "out"]
    assert rsu["optional"] == ["dilated"]
    assert rsu["cite"] == ["qin2020u2net"]


def test_a_file_that_names_no_source_has_those_of_its_parent() -> None:
    found = {item["name"]: item["cite"] for item in json.loads(succeed("ls", "graphs", "--json"))}
    assert found["u2netp"] == found["u2net"] == ["qin2020u2net"]


def test_ls_prints_a_line_for_each() -> None:
    lines = succeed("ls", "graphs").splitlines()
    assert lines[0].split()[0] == "graphs"
    assert [line.split()[0] for line in lines[1:]] == [item.name for item in listing.items("graphs")]


def test_what_is_said_of_shipped_graphs_is_what_a_check_finds() -> None:
    """If this fails: `python tests/write_facts.py`."""
    assert facts.FILE.read_text("utf-8") == facts.compute()
    found = {item["name"]: item for item in json.loads(succeed("ls", "graphs", "--json"))}
    assert all({"parameters", "sizes"} <= item.keys() for item in found.values())
    assert (found["u2net"]["parameters"], found["u2net"]["sizes"]) == (44_009_869, "H and W: any")
    assert re.search(r"^u2net +44,009,869  H and W: any ", succeed("ls", "graphs"), re.MULTILINE)


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped graphs of its own: a parent, a hybrid of it, and one that is neither."""
    (tmp_path / "hybrids").mkdir()
    catalog = Catalog((tmp_path, tmp_path / "hybrids"))
    monkeypatch.setattr(facts, "GRAPHS", catalog)
    monkeypatch.setattr(listing, "GRAPHS", catalog)
    monkeypatch.setattr(facts, "FILE", tmp_path / "facts.json")
    (tmp_path / "alone.yaml").write_text(SMALL.replace("small", "alone"))
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "hybrids" / "mixed.yaml").write_text("graph: mixed\nextends: ../small.yaml\nparams: {width: 8}\n")
    facts.FILE.write_text(facts.compute())
    return tmp_path


def test_hybrids_are_listed_as_such_and_last(three: Path) -> None:
    found = json.loads(succeed("ls", "graphs", "--json"))
    assert [(item["name"], item["hybrid"], item["parameters"]) for item in found] == [
        ("alone", False, 61),
        ("small", False, 61),
        ("mixed", True, 121),
    ]
    assert re.search(r"^mixed +hybrid +121  H and W: multiples of 2", succeed("ls", "graphs"), re.MULTILINE)


def test_of_a_graph_that_was_edited_nothing_is_said(three: Path) -> None:
    (three / "small.yaml").write_text(SMALL.replace("width: 4", "width: 5"))
    (three / "new.yaml").write_text(SMALL.replace("small", "new"))
    assert list(facts.known()) == ["alone"]
    found = {item["name"]: item for item in json.loads(succeed("ls", "graphs", "--json"))}
    assert [name for name, item in found.items() if "parameters" in item] == ["alone"]
    assert "61" not in next(line for line in succeed("ls", "graphs").splitlines() if line.startswith("small"))


@pytest.mark.parametrize("before", [True, False])
def test_a_plugin_is_listed_and_shown(plugin: Path, before: bool) -> None:
    option = ["--plugin", str(plugin)]
    for verb in (["ls", "blocks"], ["show", "Plugged"]):
        text = succeed(*option, *verb) if before else succeed(*verb, *option)
        assert "A block of a plugin" in text


def test_a_plugin_that_is_not_asked_for_is_not_there(plugin: Path) -> None:
    succeed("--plugin", plugin, "ls", "blocks")
    assert "Plugged" not in succeed("ls", "blocks")
