"""The command line as its users meet it: start-up time, exit codes, streams, lists, plugins."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import COMMAND, SMALL, graph_file, run, succeed

from crossband import registry
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read
from crossband.recipes.commands import COMMANDS, listing
from crossband.registry import Description, summary

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


def test_help_lists_and_what_is_shown_of_a_thing_do_not_import_torch() -> None:
    code = f"""
import sys
from crossband.recipes.commands import cli
lists = ["ls"], ["ls", "--json"], ["ls", "--find", "discriminator"], ["schema", "graph"]
shown = ["show", "RSU"], ["show", "psnr"], ["show", "Adam"], ["show", "torchvision_resnet101"], ["cite", "RSU", "pool"]
for arguments in (["--help"], *lists, *shown, *([command, "--help"] for command in {list(COMMANDS)})):
    cli(arguments, standalone_mode=False)
    assert "torch" not in sys.modules, arguments
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("own", [None, "7"])
def test_threads_that_wait_are_told_to_sleep_before_torch_is_there(tmp_path: Path, own: str | None) -> None:
    """What spins while other programs keep the cores busy takes them from what it waits for. One's own choice holds."""
    path = tmp_path / "look.py"
    path.write_text("import os, sys\nprint(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules, file=sys.stderr)\n")
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {"GOMP_SPINCOUNT": own} if own else {}
    command = [*COMMAND, "--plugin", str(path), "ls"]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert found.stderr == f"{own or '10000'} False\n"


def test_every_command_is_in_the_help() -> None:
    text = succeed("--help")
    assert all(
        re.search(rf"^  {command} +{re.escape(words)}$", text, re.MULTILINE) for command, words in COMMANDS.items()
    )


# ---------------------------------------------------------------------- exit codes and streams


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["chek"], 2, "no command named `chek`\nhint: did you mean `check`?"),
        (["ls", "bloks"], 2, "no kind named `bloks`"),
        (["show", "u2nett"], 1, "nothing named `u2nett`\nhint: did you mean `u2net`?\n"),
        (["show", "u2net", "--kind", "block"], 1, "no block named `u2net`\nhint: `crossband ls` lists every name"),
        (["show", "RSU", "--code"], 2, "`--code` is for graphs, and `RSU` is a block"),
        (
            ["show", "l1", "--set", "a=1"],
            2,
            "`--set` and `--resolved` are for graphs, recipes and tables, and `l1` is a loss",
        ),
        (["show", "u2net", "--json", "--code"], 2, "`--json` and `--code` exclude each other"),
        (["show", "u2netp", "--svg", "u2net.yaml"], 2, "`--svg` writes a file that ends in `.svg`, got `u2net.yaml`"),
        (["show", "u2netp", "--size", "large"], 2, "`large` is no image size\nhint: write height x width in pixels"),
        (["show", "u2netp", "--set", "widht=3"], 1, "E011 `u2netp` has no param `widht`"),
        (
            ["show", "discriminator"],
            1,
            "nothing named `discriminator`\nhint: `crossband ls --find discriminator` finds `",
        ),
        (
            ["show", "discriminator", "--kind", "loss"],
            1,
            "finds `feature_matching`, `gradient_penalty`, `hinge_critic`",
        ),
        (["show", "psnrr"], 1, "did you mean `psnr`?"),
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
    def broken(kind: str) -> list[Description]:
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


@pytest.mark.slow  # it measures every graph
def test_the_index_is_what_the_library_has() -> None:
    """If this fails: `python tests/write_index.py`."""
    assert listing.FILE.read_text("utf-8") == listing.compute()


@pytest.mark.parametrize("kind", registry.KINDS)
def test_what_is_kept_of_a_kind_is_the_registry(kind: str) -> None:
    kept = listing._kept(kind)
    assert kept
    for item in kept:
        assert item == registry.KINDS[kind][item.name].describe()
    assert [item.name for item in kept] == [name for name, entry in registry.KINDS[kind].items() if entry.ours]


@pytest.mark.parametrize("kind", listing.CATALOGS)
def test_a_file_is_called_as_the_thing_in_it(kind: str) -> None:
    for name, path in listing.CATALOGS[kind].files().items():
        document = read(path, Problems())
        assert document
        assert document.data[kind if kind == "keys" else kind.removesuffix("s")] == name


@pytest.mark.parametrize("kind", listing.KINDS)
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
        ("Side by side: `b c *size, ... -> b sum(c) *size`.", "Side by side"),
        ("As Lai et al. 2017 do.", "As Lai et al. 2017 do"),
        ("`max(x, 0)`, elementwise: `b c h w` to the same, with values from 0 to 1.", "`max(x, 0)`, elementwise"),
        ("", ""),
    ],
)
def test_summary(doc: str, expected: str) -> None:
    assert summary(doc) == expected


def test_ls_as_json() -> None:
    found = json.loads(succeed("ls", "--json"))
    assert list(found) == list(listing.KINDS)
    assert json.loads(succeed("ls", "blocks", "--json")) == found["blocks"]
    [rsu] = [item for item in found["blocks"] if item["name"] == "RSU"]
    assert rsu["contract"] == "b c h w -> b {out} h w"
    assert [each["name"] for each in rsu["params"] if each["required"]] == ["depth", "mid", "out"]
    assert [each["name"] for each in rsu["params"] if not each["required"]] == ["dilated", "norm", "activation"]
    assert rsu["cite"] == ["qin2020u2net"]


def test_a_file_that_names_no_source_has_those_of_its_parent() -> None:
    found = {item["name"]: item["cite"] for item in json.loads(succeed("ls", "graphs", "--json"))}
    assert found["u2netp"] == found["u2net"] == ["qin2020u2net"]


def test_ls_prints_a_line_for_each() -> None:
    lines = succeed("ls", "graphs").splitlines()
    assert lines[0].split()[0] == "graphs"
    assert [line.split()[0] for line in lines[1:]] == [item.name for item in listing.items("graphs")]


def test_graphs_are_listed_with_what_a_check_finds() -> None:
    found = {item["name"]: item for item in json.loads(succeed("ls", "graphs", "--json"))}
    assert all({"parameters", "sizes"} <= item.keys() for item in found.values())
    assert (found["u2net"]["parameters"], found["u2net"]["sizes"]) == (44_009_869, "H and W: any")
    assert re.search(r"^u2net +44,009,869  H and W: any ", succeed("ls", "graphs"), re.MULTILINE)


@pytest.mark.parametrize(
    ("word", "kind", "names"),
    [
        ("discriminator", "losses", {"lsgan_critic", "hinge_critic", "vanilla_critic", "wgan_critic"}),
        ("discriminator", "graphs", {"patchgan70", "patchgan_hd", "cut_patchgan", "multiscale_patchgan"}),
        ("discriminator", "wrappers", {"GradientNorm"}),
        ("Attention", "blocks", {"CBAM", "ChannelAttention"}),
        ("learning rate", "schedules", set()),
    ],
)
def test_things_are_found_by_a_word(word: str, kind: str, names: set[str]) -> None:
    found = {item["name"] for item in json.loads(succeed("ls", kind, "--find", word, "--json"))}
    assert names <= found < {item.name for item in listing.items(kind)}
    assert all(name in succeed("ls", "--find", word) for name in found) or not found


def test_a_word_that_nothing_has_is_told() -> None:
    result = run("ls", "--find", "transmogrify")
    assert result.exit_code == 1
    assert "nothing has the word `transmogrify`" in result.stderr


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of its own graphs: a parent, a hybrid of it, and one that is neither, and an index of them."""
    (tmp_path / "hybrids").mkdir()
    monkeypatch.setattr(
        registry, "FOLDERS", {"graphs": [tmp_path, tmp_path / "hybrids"], "recipes": [], "tables": [], "keys": []}
    )
    monkeypatch.setattr(registry, "KINDS", {})
    monkeypatch.setattr(listing, "ROOT", tmp_path)
    monkeypatch.setattr(listing, "FILE", tmp_path / "index.json")
    (tmp_path / "alone.yaml").write_text(SMALL.replace("small", "alone"))
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "hybrids" / "mixed.yaml").write_text("graph: mixed\nextends: ../small.yaml\nparams: {width: 8}\n")
    listing.FILE.write_text(listing.compute())
    return tmp_path


def test_hybrids_are_listed_as_such_and_last(three: Path) -> None:
    found = json.loads(succeed("ls", "graphs", "--json"))
    assert [(item["name"], item.get("hybrid"), item["parameters"]) for item in found] == [
        ("alone", None, 61),
        ("small", None, 61),
        ("mixed", True, 121),
    ]
    assert re.search(r"^mixed +hybrid +121  H and W: multiples of 2", succeed("ls", "graphs"), re.MULTILINE)


def test_a_graph_that_was_edited_is_described_afresh(three: Path) -> None:
    (three / "small.yaml").write_text(SMALL.replace("width: 4", "width: 5"))
    (three / "new.yaml").write_text(SMALL.replace("small", "new"))
    (three / "wrong.yaml").write_text("# Not right.\n" + SMALL.replace("small", "wrong").replace("Conv", "Canv"))
    kept = [path.stem for path in three.rglob("*.yaml") if listing._kept(path.relative_to(three).as_posix())]
    assert kept == ["alone"]  # `mixed` follows from `small`
    found = {item["name"]: item for item in json.loads(succeed("ls", "graphs", "--json"))}
    assert {name: item.get("parameters") for name, item in found.items()} == {
        "alone": 61,
        "new": 61,
        "small": 76,
        "wrong": None,
        "mixed": 121,
    }
    assert found["wrong"]["summary"] == "Not right"


def test_a_kind_whose_file_was_edited_is_described_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = json.loads(listing.FILE.read_text())
    index["losses"]["items"] = index["losses"]["items"][:1]
    monkeypatch.setattr(listing, "FILE", tmp_path / "index.json")
    listing.FILE.write_text(json.dumps(index))
    assert [item.name for item in listing.items("losses")] == ["bce"]  # believed
    index["losses"]["fingerprint"] = "another"
    monkeypatch.setattr(listing, "FILE", tmp_path / "other.json")
    listing.FILE.write_text(json.dumps(index))
    assert {item.name for item in listing.items("losses")} >= {"bce", "l1"}


@pytest.mark.parametrize("before", [True, False])
def test_a_plugin_is_listed_and_shown(plugin: Path, before: bool) -> None:
    option = ["--plugin", str(plugin)]
    for command in (["ls", "blocks"], ["show", "Plugged"]):
        text = succeed(*option, *command) if before else succeed(*command, *option)
        assert "A block of a plugin" in text


@pytest.mark.slow
def test_a_plugin_that_is_not_asked_for_is_not_there(plugin: Path) -> None:
    for options, there in (["--plugin", str(plugin)], True), ([], False):
        done = subprocess.run([*COMMAND, *options, "ls", "blocks"], check=True, capture_output=True, text=True)
        assert ("Plugged" in done.stdout) is there
