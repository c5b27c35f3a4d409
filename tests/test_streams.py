"""What commands print: clean of what steers a terminal, and lost without harm where nobody can read it."""

import errno
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commandline import COMMAND, graph_file, run
from tiny import PAIRED, write_files

from crossband import CrossbandError
from crossband.recipes import train
from crossband.recipes.basics.progress import Screen
from crossband.recipes.basics.terminal import Talk, coloured, talking
from crossband.recipes.commands import COMMANDS, IN_FILES, cli
from crossband.recipes.commands.output import print_facts, print_json, print_table, say
from crossband.recipes.data import write_image
from crossband.recipes.training.session import Session
from crossband.recipes.training.stopping import SIGNALS, Interrupted, Stopping
from crossband.registry import visible

HOSTILE = "a\x1b[31mb\x1b]0;title\x07c\x9b2Jd\u202ee\u2066f\rg\x7fh\ud800i\u2028j"
CLEAN = (
    r"a\u{1b}[31mb\u{1b}]0;title\u{7}c\u{9b}2Jd\u{202e}e\u{2066}f\u{d}g\u{7f}h\u{d800}i\u{2028}j"  # every sign is there
)

# ---------------------------------------------------------------------- clean


@pytest.mark.parametrize(
    ("text", "shown"), [(HOSTILE, CLEAN), ("\tü\n漢 é ✓", "\tü\n漢 é ✓"), (CLEAN, CLEAN), ("", "")]
)
def test_what_acts_on_a_terminal_is_written_as_its_number(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_an_error_is_clean_wherever_it_is_printed() -> None:
    assert str(CrossbandError(HOSTILE, hint=HOSTILE, notes=[HOSTILE])) == f"{CLEAN}\nhint: {CLEAN}\nnote: {CLEAN}"


def test_all_that_is_printed_is_clean_whoever_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    monkeypatch.setattr(sys, "stderr", err := io.StringIO())
    log = logging.Logger("somebody")
    with talking():
        print_table(["a", "b"], [[HOSTILE, "x"]])
        print_facts({HOSTILE: HOSTILE})
        print(HOSTILE)
        say(HOSTILE)
        log.warning(HOSTILE)
        with Screen(HOSTILE, 1) as screen:
            screen.say(HOSTILE)
            screen.update(1, HOSTILE)
        coloured(sys.stderr).write("\x1b[31mours\x1b[0m")
    ours = err.getvalue().replace("\x1b[31mours\x1b[0m", "")
    assert len(ours) < len(err.getvalue())
    for text in (out.getvalue(), ours):
        assert text == visible(text)
        assert text.count("title") == text.count(r"title\u{7}") > 3


def test_data_for_programs_keeps_its_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    with talking():
        print_json({"ü\u202e": "\x1b\x9b\U000e0001 \t\n漢"})
    assert json.loads(out.getvalue()) == {"ü\u202e": "\x1b\x9b\U000e0001 \t\n漢"}
    assert out.getvalue() == visible(out.getvalue())
    assert "ü" in out.getvalue()


def test_names_of_files_and_things_reach_no_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[31m\u202e.yaml"
    file.write_text('graph: "b\\e[2J"\nnodes: {"\\u202ec": {Conv: {out: 4}}}\n')
    for words in (["check", file], ["show", file], ["show", "a\x1b[31m"], ["ls", "\x1b[31m"], [f"--\x1b[2J={file}"]):
        result = run(*words)
        assert result.exit_code in (1, 2)
        assert result.output == visible(result.output)


def test_a_bar_on_a_terminal_is_clean_and_so_is_what_others_print(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", err := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with Screen(f"title {HOSTILE}", 2) as screen:
        print("\x1b]0;others\x07", file=sys.stderr)
        screen.say("\x1b]0;ours\x07")
        screen.update(1, "\x1b]0;words\x07")
    assert sys.stderr is err
    assert "\x1b[" in err.getvalue()  # the bar moves the cursor
    assert not {"\x1b]", "\x07", "\x9b", "\u202e"} & {
        part for part in ("\x1b]", "\x07", "\x9b", "\u202e") if part in err.getvalue()
    }
    assert r"\u{1b}]0;others" in err.getvalue()


# ---------------------------------------------------------------------- broken streams


class Broken(io.StringIO):
    """A stream that cannot be written to."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str, /) -> int:
        raise OSError(self.number, os.strerror(self.number))


WAYS = {"closed": 0, "full": errno.ENOSPC, "unread": errno.EPIPE, "hung up": errno.EIO}


def broken(way: str) -> Broken | None:
    return Broken(WAYS[way]) if WAYS[way] else None


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_files(tmp_path_factory.mktemp("streams"), short=PAIRED.replace("steps: 8", "steps: 2"))
    graph_file(folder)
    (folder / "rows.yaml").write_text("table: rows\nrows: {alone: short.yaml}\ncolumns: [mae]\n")
    train(folder / "short.yaml", run=folder / "done", silent=True)
    write_image(folder / "photo.png", np.random.default_rng(0).random((16, 16, 3)))
    return folder


TRAINING = ("train", "table")
LINES = {  # and a file that it makes
    "ls": ("blocks", ""),
    "show": ("RSU", ""),
    "check": ("small.yaml", ""),
    "cite": ("RSU", ""),
    "schema": ("graph", ""),
    "new": ("block Sharpen", "sharpen.py"),
    "evaluate": ("done", ""),
    "translate": ("done photo.png out.png", "out.png"),
    "train": ("short.yaml --run again", "again/report.md"),
    "table": ("rows.yaml --runs rows", "rows/alone-seed0/report.md"),
    "curves": ("done", ""),
    "inspect": ("done photo.png", ""),
    "data": ("check short.yaml", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("way", WAYS)
def test_no_command_is_lost_where_nobody_listens(
    command: str, way: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both streams broken, and with one of them: files are there, and the exit code tells what is not."""
    if way == "hung up" and command in ("evaluate", "translate", *TRAINING):
        return  # as full, and slow
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    words, file = LINES[command]

    def code_of(out: io.StringIO | None, err: io.StringIO | None) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as caught:
                cli.main([command, *words.split()], prog_name="crossband")
        for path in (made for made in (file, "test_sharpen.py") if made and command not in TRAINING):
            Path(path).unlink(missing_ok=path != file)
        return int(caught.value.code or 0)

    lost = 0 if command in IN_FILES else 141 if way == "unread" else 1
    assert code_of(broken(way), broken(way)) == lost
    if command in TRAINING:  # which is slow
        assert Path(file).is_file()
        return
    assert code_of(said := io.StringIO(), broken(way)) == 0
    assert said.getvalue() or command == "translate"
    assert code_of(broken(way), err := io.StringIO()) == lost
    assert ("stdout: the result cannot be printed: " in err.getvalue()) is (lost == 1)
    assert "Traceback" not in err.getvalue()


@pytest.mark.parametrize("way", WAYS)
def test_an_error_keeps_its_exit_code_where_nobody_listens(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, code in ((["show", "nothing"], 1), (["nothing"], 2), (["ls", "--nothing"], 2)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", broken(way))
            patch.setattr(sys, "stderr", broken(way))
            with pytest.raises(SystemExit) as caught:
                cli.main(words, prog_name="crossband")
        assert caught.value.code == code


def test_a_run_from_python_goes_on_where_nobody_listens(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken(errno.EPIPE))
    assert train(made / "short.yaml", run=tmp_path / "run").steps == 2


def test_a_stream_that_lacks_a_sign_gets_a_question_mark() -> None:
    held = io.BytesIO()
    talk = Talk(io.TextIOWrapper(held, encoding="ascii"))
    talk.write("ü ✓")
    talk.flush()
    assert (held.getvalue(), talk.lost) == (b"? ?", None)


SHELL = {  # what a shell says: exit code, and words of what is left
    "{ls} >&-": (1, "stdout: the result cannot be printed: "),
    "{ls} >/dev/full": (1, "stdout: the result cannot be printed: No space left on device"),
    "{ls} 2>/dev/full >/dev/full <&-": (1, ""),
    "{ls} <&- >/dev/null 2>&-": (0, ""),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("line", SHELL)
def test_of_whole_processes(line: str) -> None:
    code, words = SHELL[line]
    command = line.format(ls=f"{sys.executable} -m crossband.recipes.commands ls blocks")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 1


# ---------------------------------------------------------------------- signals


def started(folder: Path, *options: str, **more: object) -> subprocess.Popen[bytes]:
    """A long run, without its output."""
    write_files(folder)
    words = ["train", folder / "paired.yaml", "--set", "steps=100000", *options, "--run", folder / "run"]
    return subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.DEVNULL, **more)  # type: ignore[call-overload]


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("name", SIGNALS)
def test_the_first_signal_asks_and_the_second_one_stops(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with Stopping() as stopping:
        signal.raise_signal(number)
        assert stopping.number == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    with Stopping() as stopping:
        stopping.at_once = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As SIGHUP under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            signal.raise_signal(signal.SIGHUP)
        assert stopping.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "case",
    [
        ("_sample", 2, "the checkpoint of step 0"),
        ("_finish", 1, "the checkpoint of step 2"),
        ("_checkpoint", 2, "no checkpoint yet"),
    ],
)
def test_stopping_at_once_says_what_is_kept(
    case: tuple[str, int, str], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second signal while there is something to save; any signal where there is nothing more."""
    where, times, kept = case

    def signalled(*_: object) -> None:
        for _number in range(times):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Session, where, signalled)
    with pytest.raises(Interrupted) as caught:
        train(made / "short.yaml", run=tmp_path / "run", silent=True)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert caught.value.message == f"stopped at once, {tmp_path / 'run'} keeps {kept}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_a_signal_to_the_whole_job_saves(name: str, tmp_path: Path) -> None:
    """As a terminal that closes, or a queue that ends a job, sends it: to the processes that read images, too."""
    options = ["--set", "data.workers=1"]
    process = started(tmp_path, *options, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(tmp_path / "run" / "metrics.jsonl", process)
    number = getattr(signal, name)
    os.killpg(process.pid, number)
    _, said = process.communicate()
    assert process.returncode == 128 + number
    assert b"everything is saved\nhint: `crossband train --resume " in said
    assert b"Traceback" not in said


@pytest.mark.slow
def test_a_signal_before_the_first_step_waits_for_the_first_state(tmp_path: Path) -> None:
    process = started(tmp_path, stderr=subprocess.PIPE)
    wait_for(tmp_path / "run" / "recipe.yaml", process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert b"stopped after step " in said
    assert (tmp_path / "run" / "state.pt").is_file()


@pytest.mark.slow
def test_a_terminal_that_is_read_no_more_ends_no_run(tmp_path: Path) -> None:
    """As `crossband train 2>&1 | head -1`."""
    process = started(tmp_path, "--set", "every={log: 1, checkpoint: 1}", stderr=subprocess.PIPE)
    assert process.stderr
    process.stderr.readline()
    process.stderr.close()
    wait_for(tmp_path / "run" / "metrics.jsonl", process)
    log, before = tmp_path / "run" / "metrics.jsonl", 0
    while before < 5:
        assert process.poll() is None
        before = len(log.read_bytes().splitlines())
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 128 + signal.SIGINT
    assert (tmp_path / "run" / "state.pt").is_file()
