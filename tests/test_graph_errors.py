"""What a broken graph is told: for every code the exact words, and that one mistake is one message.

The table is `graph_errors.txt`: a graph after `### `, further files after `--- NAME`, what is said after `>>>`.
`python tests/test_graph_errors.py` writes what is said now into it; read the difference before you keep it.
"""

import os
import re
from pathlib import Path

import pytest
from torch import nn

from crossband.graphs import InvalidFile, build, check
from crossband.graphs.language.diagnostics import CODES

TABLE = Path(__file__).with_name("graph_errors.txt")
SEPARATOR, SAYS, FILE = "### ", ">>>\n", re.compile(r"^--- (\S+)\n", re.MULTILINE)


def cases() -> dict[str, tuple[str, str]]:
    """Graph and answer by title."""
    found = {}
    for section in TABLE.read_text("utf-8").split(SEPARATOR)[1:]:
        title, _, rest = section.partition("\n")
        text, _, says = rest.partition(SAYS)
        found[title] = text, says.strip("\n")
    return found


def said(text: str, folder: Path) -> str:
    """What checking and building the graph in `text` says; files are named as seen from `folder`."""
    first, *others = FILE.split(text)
    for name, content in [("g.yaml", first), *zip(others[::2], others[1::2], strict=True)]:
        (folder / name).write_text(content, "utf-8")
    back = os.getcwd()
    os.chdir(folder)
    try:
        build(check("g.yaml"))
    except InvalidFile as error:
        return str(error)
    finally:
        os.chdir(back)
    return "nothing"


@pytest.mark.parametrize("title", cases())
def test_an_error_is_told_in_these_words(title: str, tmp_path: Path):
    text, says = cases()[title]
    assert said(text, tmp_path) == says


def test_every_code_of_graphs_is_in_the_table():
    told = set(re.findall(r"\bE\d{3}\b", " ".join(says for _, says in cases().values())))
    assert {code for code in CODES if code < "E070"} <= told


@pytest.mark.parametrize("title", [title for title in cases() if not title.endswith("(several)")])
def test_one_mistake_is_one_message(title: str):
    assert cases()[title][1].splitlines()[-1].startswith("1 error")


def test_every_message_says_its_place_and_has_no_full_stop():
    for _, says in cases().values():
        for line in re.findall(r"^.*\bE\d{3}\b.*$|^hint: .*$", says, re.MULTILINE):
            assert not line.endswith("."), line
        for line in re.findall(r"^.*\bE\d{3}\b.*$", says, re.MULTILINE):
            assert re.match(r"[\w.]+(:\d+:\d+)?: E\d{3} ", line), line


# --- the five everyday mistakes, five points each

NET = """\
graph: net
params: {width: 8}
inputs: {image: [3, H, W]}
nodes:
  stem: {Conv: {out: =width}}
  down: [MaxPool, {Conv: {out: =width}}]
  up: {Resize: {up: 2}}
  join: {from: [up, stem], Add: {}}
  head: {Conv: {out: 1}}
outputs: {head: [1, H, W]}
"""

MISTAKES = {  # what is changed into what; the token that is named, the node, what would be right
    "unknown block": ("MaxPool,", "MaxPol,", "MaxPol", "down", "`MaxPool`"),
    "misspelt parameter": ("{up: 2}", "{upp: 2}", "upp", "up", "`up`"),
    "wrong channels": ("{Conv: {out: =width}}]", "{Conv: {out: 4}}]", "Add", "join", "{Conv: {out: 4, kernel: 1}}"),
    "size that does not divide": ("[3, H, W]}\nnodes", "[3, 250, 31]}\nnodes", "31", "image", "nearest: 32"),
    "width that does not divide": ("out: 1}", "out: =width/3}", "/", "head", "`//`"),
    "cycle": ("stem: {Conv", "stem: {from: join, Conv", "join", "stem", "another node"),
    "dangling node": ("  join:", "  spare: {from: stem, Tanh: {}}\n  join:", "spare", "spare", "read it"),
    "dangling read": ("from: [up, stem]", "from: [up, sten]", "sten", "join", "`stem`"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_everyday_mistake_scores_five_of_five(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    right, wrong, token, node, hint = MISTAKES[mistake]
    assert NET.count(right) == 1
    path = tmp_path / "net.yaml"
    path.write_text(NET.replace(right, wrong), "utf-8")
    for name in ("__init__", "__call__"):  # no module is even made
        monkeypatch.setattr(nn.Module, name, lambda *args, **kwargs: pytest.fail("a module was made or called"))
    with pytest.raises(InvalidFile) as caught:
        check(path)
    [fault] = caught.value.problems
    shown = fault.render()
    assert fault.place
    assert fault.place.mark
    line = path.read_text("utf-8").splitlines()[fault.place.mark.line - 1]
    points = {
        "before any tensor runs": True,  # or the module above would have failed
        "names the token": line[fault.place.mark.column - 1 :].startswith(token) or f"`{token}`" in fault.message,
        "says where in the graph": f"{node}:" in line or f"`{node}`" in shown,
        "file and line": shown.startswith(f"{path}:{fault.place.mark.line}:"),
        "says what would be right": hint in (fault.hint or ""),
    }
    assert all(points.values()), (points, shown)


def test_the_net_of_the_mistakes_is_right(tmp_path: Path):
    (tmp_path / "net.yaml").write_text(NET, "utf-8")
    assert str(check(tmp_path / "net.yaml").sizes) == "H and W: multiples of 2"


if __name__ == "__main__":
    import tempfile

    sections = []
    for title, (text, _) in cases().items():
        with tempfile.TemporaryDirectory() as folder:
            sections.append(f"{SEPARATOR}{title}\n{text}{SAYS}{said(text, Path(folder))}\n\n")
    TABLE.write_text("".join(sections), "utf-8")
