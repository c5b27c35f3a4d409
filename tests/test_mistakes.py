"""What users are told who make a mistake: 199 of them, each answered word for word, each worth five points of five.

The tables are `mistakes/graphs.yaml`, `recipes.yaml` and `commands.yaml`. A row is what somebody writes, and the command
that it is given to: a `change` of a file that its table begins with (`of` says which), or a whole `text` instead;
further `files`; and `run`, if it is not that of the table. It says what the message must name (`names`), some words of the cure (`cure`),
and all of the output (`says`). With `processes` it is given to so many, as torchrun starts them. Where a command does
what is asked, and marks what is wrong with it, only the lines with the words `marked` are held. How a command is used,
which click prints before an error, is left out. `python tests/test_mistakes.py` writes what is said now into the tables; read the
difference before you keep it.
"""

import contextlib
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import run
from scratch import forget_afterwards
from torch import nn
from workshop import write_workshop

from crossband.registry import ROOT

TABLES = Path(__file__).with_name("mistakes")
COUNTS = {"graphs": 54, "recipes": 64, "commands": 81}
POINTS = ("before any tensor", "file and place, or option", "the thing", "the cure", "one message")
FEW = 4  # lines of an error that is no fault of a file: what is wrong, and images of which it is
USAGE = re.compile(r"^Usage:.*?^Try .*?$|^`\w+` is a \w+ too:.*?$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^note: .* here: \S+:\d+:\d+$", re.MULTILINE)
FAULT = re.compile(r"^(?P<place>\S.*?): E\d{3} (?P<message>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Mistake:
    """A row of a table: files by name, the command line, and what is said of them."""

    id: str
    mistake: str
    files: Mapping[str, str]
    run: str
    names: str
    cure: str
    says: str
    processes: int = 1
    marked: str = ""


@dataclass
class Answer:
    """What a command said: its output, its exit code, and how many modules were called."""

    output: str
    code: int
    calls: int = 0
    files: Mapping[str, str] = field(default_factory=dict)


@cache
def table(name: str) -> tuple[Mistake, ...]:
    """The rows of one table."""
    data = yaml.safe_load((TABLES / f"{name}.yaml").read_text("utf-8"))
    return tuple(_row(row, data) for row in data["rows"])


def _row(row: Mapping[str, Any], data: Mapping[str, Any]) -> Mistake:
    files = dict(row.get("files", {}))
    if "text" in row or "change" in row:
        text = row.get("text", data["bases"][row.get("of", "mine")])
        for old, new in row.get("change", {}).items():
            assert text.count(old) == 1, f"{row['id']}: `{old}` is there {text.count(old)} times"
            text = text.replace(old, new)
        files[data["file"]] = text
    run = row.get("run", data["run"])
    more = {key: row[key] for key in ("processes", "marked") if key in row}
    return Mistake(row["id"], row["mistake"], files, run, row["names"], row["cure"], row.get("says", ""), **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which all of it happens."""
    folder = tmp_path_factory.mktemp("mistakes")
    with contextlib.chdir(folder):
        write_workshop(folder)
        yield folder


def answer(mistake: Mistake, folder: Path) -> Answer:
    """Make a mistake in a folder; what was written for it is removed again."""
    for name, text in mistake.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    called = []
    real = nn.Module.__call__

    def counted(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        called.append(self)
        return real(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        forget_afterwards(patch)
        patch.setattr(nn.Module, "__call__", counted)
        results = []
        for process in range(mistake.processes):  # as torchrun starts them
            patch.setenv("RANK", str(process)) if mistake.processes > 1 else None
            results.append(run(*shlex.split(mistake.run)))
    for name in mistake.files:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    text = "".join(result.output for result in results)
    if mistake.marked:
        text = "\n".join(line for line in text.splitlines() if mistake.marked in line)
    text = re.sub(r"Invalid value for '\[[^']*\]'", "Invalid value for 'KIND'", re.sub(USAGE, "", text))
    text = text.replace(str(folder), "<here>").replace(str(ROOT), "<crossband>")
    return Answer(text.strip("\n"), results[0].exit_code, len(called), mistake.files)


def score(mistake: Mistake, said: Answer) -> dict[str, bool]:
    """The five points of an answer, each by rules that know nothing of the mistake but its row."""
    faults = list(FAULT.finditer(said.output))
    lines = [line for line in said.output.splitlines() if line]
    plain = [line for line in lines if not re.match(r"hint: |note: |\d+ errors?( in |$)", line)]
    first = faults[0][0] if faults else "\n".join(plain)
    shown = "\n".join(line for line in lines if not faults or not line.startswith("  "))
    words = {word.partition("=")[0] for word in shlex.split(mistake.run)}
    place = re.match(r"\S+:\d+:\d+$", faults[0]["place"]) if faults else None
    named = mistake.names in first or any(mistake.names in said_at(each["place"], said.files) for each in faults[:1])
    return dict(
        zip(
            POINTS,
            (
                said.code == 0 if mistake.marked else said.code in (1, 2) and not said.calls,
                bool(place or PLACE.search(said.output))
                or any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", first) for word in words),
                named,
                mistake.cure in shown,
                len(faults) == 1 if faults else len(plain) <= FEW,
            ),
            strict=True,
        )
    )


def said_at(place: str, files: Mapping[str, str]) -> str:
    """The text from `file:line:column` to the end of the line."""
    name, _, rest = place.partition(":")
    line, _, column = rest.partition(":")
    if name not in files or not line.isdigit():
        return ""
    return files[name].splitlines()[int(line) - 1 :][:1][0][int(column) - 1 :] if files[name] else ""


ROWS = [pytest.param(mistake, id=mistake.id) for name in COUNTS for mistake in table(name)]


@pytest.mark.parametrize("mistake", ROWS)
def test_a_mistake_is_answered_in_these_words_with_five_points(mistake: Mistake, place: Path):
    said = answer(mistake, place)
    assert said.output == mistake.says.strip("\n")
    assert all((points := score(mistake, said)).values()), points


def test_there_are_199_of_them():
    assert {name: len(table(name)) for name in COUNTS} == COUNTS
    assert len({mistake.id for name in COUNTS for mistake in table(name)}) == sum(COUNTS.values())


SCORED_BELOW_FIVE = """
g02 g14 g22 g23 g30 g37 g38 g39 g41 g42 g45 g50 g54
r09 r11 r14 r15 r16 r19 r22 r23 r24 r25 r26 r29 r30 r34 r35 r36 r38 r41 r42 r43 r45 r48 r53 r54 r55 r57
d_names d_small d_case
"""


def test_those_that_were_answered_badly_are_among_them():
    assert {*SCORED_BELOW_FIVE.split()} <= {mistake.id for name in COUNTS for mistake in table(name)}


# --- writing the tables


def write(name: str, folder: Path) -> None:
    """Write what is said now into a table, and print what scores less than five."""
    path = TABLES / f"{name}.yaml"
    data = yaml.safe_load(path.read_text("utf-8"))
    total = 0
    for row in data["rows"]:
        mistake = _row(row, data)
        said = answer(mistake, folder)
        assert "this is a fault of crossband" not in said.output, f"{mistake.id}: crossband {mistake.run}"
        row["says"] = said.output + "\n"
        points = score(mistake, said)
        total += sum(points.values())
        if missed := [point for point, got in points.items() if not got]:
            print(f"--- {mistake.id} {mistake.mistake}: {sum(points.values())}, not {', '.join(missed)}")
            print(f"$ {mistake.run}\n{said.output}\n")
    print(f"{name}: {total} of {5 * len(data['rows'])} points")
    yaml.add_representer(str, _text, Dumper=yaml.SafeDumper)
    path.write_text(yaml.safe_dump(data, sort_keys=False, width=10_000, allow_unicode=True), "utf-8")


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_workshop(Path(folder))
        for each in sys.argv[1:] or COUNTS:
            write(each, Path(folder))
