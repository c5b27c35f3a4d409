"""What users are told who make a mistake: 199 of them, each answered word for word, each worth five points of five.

The tables are `mistakes/graphs.yaml`, `recipes.yaml` and `commands.yaml`. A row is what somebody writes, and the command
that it is given to: a `change` of a file that its table begins with (`of` says which), or a whole `text` instead;
further `files`; and `run`, if it is not that of the table. It says what the message must name (`names`), some words of the cure (`cure`),
and all of the output (`says`). `python tests/test_mistakes.py` writes what is said now into the tables; read the
difference before you keep it.
"""

import os
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
from torch import nn

from crossband.registry import ROOT

TABLES = Path(__file__).with_name("mistakes")
COUNTS = {"graphs": 54, "recipes": 64, "commands": 81}
POINTS = ("before any tensor", "file and place, or option", "the thing", "the cure", "one message")
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
    return Mistake(row["id"], row["mistake"], files, run, row["names"], row["cure"], row.get("says", ""))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which all of it happens."""
    folder = tmp_path_factory.mktemp("mistakes")
    back = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(back)


def answer(mistake: Mistake, folder: Path) -> Answer:
    """Make a mistake in a folder; what was written for it is removed again."""
    for name, text in mistake.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    called = []
    real = nn.Module.__call__
    nn.Module.__call__ = lambda self, *args, **kwargs: (called.append(self), real(self, *args, **kwargs))[1]  # type: ignore[method-assign]
    try:
        result = run(*shlex.split(mistake.run))
    finally:
        nn.Module.__call__ = real  # type: ignore[method-assign]
        for name in mistake.files:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "runs", ignore_errors=True)
    text = result.output.replace(str(folder), "<here>").replace(str(ROOT), "<crossband>")
    return Answer(text.strip("\n"), result.exit_code, len(called), mistake.files)


def score(mistake: Mistake, said: Answer) -> dict[str, bool]:
    """The five points of an answer, each by rules that know nothing of the mistake but its row."""
    faults = list(FAULT.finditer(said.output))
    lines = [line for line in said.output.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    first = faults[0][0] if faults else next(iter(lines), "")
    plain = [line for line in lines if not re.match(r"hint: |note: |  |\d+ errors? in ", line)]
    shown = "\n".join(line for line in lines if not line.startswith("  "))
    words = {word.partition("=")[0] for word in shlex.split(mistake.run)[1:]}
    place = re.match(r"\S+:\d+:\d+$", faults[0]["place"]) if faults else None
    named = mistake.names in first or any(mistake.names in said_at(each["place"], said.files) for each in faults[:1])
    return dict(
        zip(
            POINTS,
            (
                said.code in (1, 2) and not said.calls and "Traceback" not in said.output,
                bool(place) or any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", first) for word in words),
                named,
                mistake.cure in shown,
                len(faults) <= 1 and len(plain) <= (1 if faults else 3),
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

    os.chdir(folder := Path(tempfile.mkdtemp()).resolve())
    for each in sys.argv[1:] or COUNTS:
        write(each, folder)
    shutil.rmtree(folder)
