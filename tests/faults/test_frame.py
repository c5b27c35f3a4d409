"""The frame of the campaign: what it counts, what it finds and shrinks, and how it tells it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faults.campaign import Campaign, Series, _seconds, pytest_terminal_summary
from faults.law import LONGEST_OUTPUT, Broken, Files, Outcome, hold, run_here
from hypothesis import strategies as st

FAULT = 'Traceback (most recent call last):\n  File "/x/y.py", line 7, in f\n    g()\nTypeError: no\n'
NUMBERS = st.integers(0, 1000).map(
    lambda number: Files(("check", "x.yaml"), {"x.yaml": f"{number}\n", "y.yaml": "of no use\n"})
)


def campaign(folder: Path, cases: Any, attempt: Any, *, budget: float = 0.0, **options: Any) -> Campaign:
    """A series at work, run to its end."""
    options = {"faults_seed": 0, "failures": None, "parts": 1, **options}
    found = Campaign(Series("some", 1, 40, lambda: cases, attempt, budget), folder, SimpleNamespace(**options), part=0)
    found.run()
    return found


def over(limit: int) -> Any:
    """What is refused below a number, and a fault from there on."""

    def attempt(case: Files, folder: Path) -> Outcome:
        path = folder / "x.yaml"
        number = int(path.read_text() or 0) if path.exists() else 0
        return Outcome(1, FAULT) if number >= limit else Outcome(number % 2, "no: odd")

    return attempt


@pytest.mark.parametrize(
    ("outcome", "broken"),
    [
        (Outcome(0, ""), None),
        (Outcome(2, "no such option"), None),
        (Outcome(0, "a" * (LONGEST_OUTPUT + 1)), None),  # data that were asked for
        (Outcome(3, "x"), "exit 3"),
        (Outcome(-9, "x"), "exit -9"),
        (Outcome(1, " \n"), "exit 1 without a word"),
        (Outcome(1, FAULT), "Traceback: TypeError in y.py:7 f"),
        (Outcome(1, "this is a fault of crossband"), r"fault of crossband: \? in \?:\? \?"),
        (Outcome(0, "a\x1b[31m"), r"control character U\+001B in the output"),
        (Outcome(1, "a" * (LONGEST_OUTPUT + 1)), "more output than anybody reads"),
        (Outcome(0, "", seconds=9), "too slow"),
        (Outcome(0, "", gigabytes=9), "too much memory"),
    ],
)
def test_the_law(outcome: Outcome, broken: str | None):
    if broken is None:
        assert hold(outcome, measured=True) is outcome
        return
    with pytest.raises(Broken, match=rf"^{broken}$"):
        hold(outcome, measured=True)


def test_time_and_memory_are_not_held_in_the_normal_suite():
    assert hold(Outcome(0, "", seconds=9, gigabytes=9), measured=False)


def test_cases_are_counted(tmp_path: Path):
    found = campaign(tmp_path, NUMBERS, over(2000))
    assert not found.faults
    count = found.count
    assert count.tried == found.quick
    assert (count.refused + count.through, count.failed) == (count.tried, 0)
    assert count.refused > 0
    assert count.through > 0
    assert not list(tmp_path.iterdir())


def test_a_failure_is_shrunk_told_and_kept(tmp_path: Path):
    found = campaign(tmp_path, NUMBERS, over(100), failures=tmp_path / "kept")
    assert list(found.faults) == ["Traceback: TypeError in y.py:7 f"]  # once, however many show it
    assert found.count.failed > 0
    text = found.faults["Traceback: TypeError in y.py:7 f"]
    assert "(seed 0)" in text
    assert "cat > x.yaml <<'EOF'\n100\nEOF\ncrossband check x.yaml" in text
    (kept,) = (tmp_path / "kept").iterdir()
    assert (kept / "files" / "x.yaml").read_text() == "100\n"
    assert (kept / "reproduce.sh").read_text() in text + "\n"


def test_a_seed_gives_the_same_cases(tmp_path: Path):
    def tried(number: int) -> list[str]:
        seen: list[str] = []

        def attempt(case: Files, folder: Path) -> Outcome:
            seen.append((folder / "x.yaml").read_text())
            return Outcome(0, "")

        campaign(tmp_path, NUMBERS, attempt, faults_seed=number)
        return seen

    assert tried(3) == tried(3) != tried(4)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_list_is_tried_to_its_end_by_all_parts_together(tmp_path: Path, parts: int):
    seen: list[str] = []

    def attempt(case: Files, folder: Path) -> Outcome:
        seen.append((folder / "x.yaml").read_text())
        return Outcome(0, "")

    cases = [Files((), {"x.yaml": str(number)}) for number in range(20)]
    for part in range(parts):
        options = SimpleNamespace(faults_seed=0, failures=None, parts=parts)
        Campaign(Series("some", 1, 9, lambda: cases, attempt, budget=1e6), tmp_path, options, part).run()
    assert sorted(seen, key=int) == [str(number) for number in range(20)] != seen


def test_what_is_slow_is_tried_again(tmp_path: Path):
    times = iter([9.0, 0.1])
    cases = [Files((), {})]
    found = campaign(tmp_path, cases, lambda *_: Outcome(0, "", seconds=next(times)), budget=1e6)
    assert not found.faults
    assert found.count.longest == 0.1


def test_files_are_told_as_a_script_that_makes_them(tmp_path: Path):
    files = {"a.yaml": "graph: a\n", "deep/b c.yaml": "no end", "odd.yaml": "\ud800\n", "c.bin": b"\0\1", "d": "EOF\n"}
    case = Files(("check", "a b"), files)
    there, again = tmp_path / "there", tmp_path / "again"
    there.mkdir()
    case.lay(there)
    (again / "deep").mkdir(parents=True)
    script = str(case)
    assert script.endswith("crossband check 'a b'")
    subprocess.run(["bash", "-euc", script.rpartition("\n")[0]], cwd=again, check=True)
    for name in files:
        assert (again / name).read_bytes() == (there / name).read_bytes()


def test_files_over_a_folder(tmp_path: Path):
    base, folder = tmp_path / "base", tmp_path / "folder"
    base.mkdir()
    folder.mkdir()
    for name in ("a", "b", "c"):
        (base / name).write_text(name)
    Files((), {"a": "other", "b": None}, base).lay(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "other", "c": "c"}
    assert (base / "a").read_text() == "a"


def test_a_command_runs_here_as_it_does_there(tmp_path: Path):
    (tmp_path / "x.yaml").write_text("graph: [\n")
    outcome = run_here(("check", "x.yaml"), tmp_path)
    assert outcome.code == 1
    assert outcome.output.startswith("x.yaml:")
    there = subprocess.run(
        [sys.executable, "-m", "crossband.recipes.commands", "check", "x.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (there.returncode, there.stdout + there.stderr) == (outcome.code, outcome.output)
    assert run_here(("chek",), tmp_path).code == 2
    assert run_here(("--version",), tmp_path).code == 0


def test_a_command_that_fails_here_leaves_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crossband.graphs.language.resolve.load_graph", None)
    monkeypatch.setattr("crossband.graphs.checking.checker.check_into", None)
    (tmp_path / "x.yaml").write_text("graph: x\n")
    outcome = run_here(("check", "x.yaml"), tmp_path)
    assert "fault of crossband" in outcome.output
    with pytest.raises(Broken, match=r"Traceback: TypeError in check\.py"):
        hold(outcome, measured=False)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_a_budget(text: str, seconds: float):
    assert _seconds(text) == seconds


def test_the_table_gathers_all_parts():
    lines: list[str] = []

    def report(name: str, **count: Any) -> SimpleNamespace:
        return SimpleNamespace(when="call", user_properties=[("faults", {"series": name, "count": count})])

    reporter = SimpleNamespace(
        stats={
            "passed": [report("b", tried=1000, refused=900, through=100, longest=1.5), SimpleNamespace()],
            "failed": [report("b", tried=500, refused=498, failed=2, longest=0.5, largest=0.25), report("a", tried=1)],
        },
        section=lines.append,
        write_line=lines.append,
        config=SimpleNamespace(option=SimpleNamespace(faults_seed=7)),
    )
    pytest_terminal_summary(reporter)
    assert lines[0] == "faults, seed 7"
    assert lines[3:] == [
        "| a | 1 | 0 | 0 | 0 | 0.0 s | 0.0 GB |",
        "| b | 1,500 | 1,398 | 100 | 2 | 1.5 s | 0.2 GB |",
        "| all | 1,501 | 1,398 | 100 | 2 | 1.5 s | 0.2 GB |",
    ]
