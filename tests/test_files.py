"""The edge to the file system: what is read and written, and who holds a folder."""

import errno
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.files import FileError, open_file, read_bytes, read_utf8, real
from crossband.graphs.language.reader import read
from crossband.recipes.basics import files
from crossband.recipes.basics.files import LOCK, check_unlocked, locked, replacing, write_text, writing


@contextmanager
def full_disk(room: int = 1000) -> Iterator[None]:
    """No file grows beyond so many bytes: as on a full disk, and needs no privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def odd(folder: Path) -> dict[str, tuple[str, str]]:
    """Paths that are no regular file, by kind, with what is said of them."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket"))
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to("circle")
    (folder / "lost").symlink_to("nothing")
    (folder / "text").write_text("a")
    return {
        "pipe": (str(folder / "pipe"), "not a regular file, but a named pipe"),
        "socket": (str(folder / "socket"), "not a regular file"),
        "device": ("/dev/null", "not a regular file, but a device"),
        "folder": (str(folder / "folder"), "a folder, and not a file"),
        "circle": (str(folder / "circle"), "too many links: they lead in a circle"),
        "lost": (str(folder / "lost"), "no such file"),
        "missing": (str(folder / "missing"), "no such file"),
        "below": (str(folder / "text" / "a"), "a part of its path is a file, and not a folder"),
        "long": (str(folder / ("n" * 300)), "the name is too long for a file"),
        "nul": (str(folder / "a\0b"), "embedded null byte"),
    }


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for path, why in odd(tmp_path).values():
        with pytest.raises(FileError) as caught:
            open_file(path)
        assert caught.value.why == why
        assert caught.value.message.endswith(f": {why}")
        assert len(caught.value.message) < 500
        problems = Problems()
        assert read(path, problems) is None  # and likewise as the text of a graph or recipe
        assert [(each.code, each.message) for each in problems] == [("E001", why)]
    (tmp_path / "link").symlink_to("text")
    assert read_bytes(tmp_path / "link") == b"a"  # an ordinary link is none of these


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EMFILE, "too many files are open"),
        (errno.ENOTTY, os.strerror(errno.ENOTTY)),
    ],
)
def test_every_error_of_the_system_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)  # the superuser, as whom tests may run, is denied nothing
    with pytest.raises(FileError, match=rf"a\.yaml: {why}"):
        read_utf8(tmp_path / "a.yaml")
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(FileError, match=rf"a\.yaml: cannot be written: {why}; nothing was changed"):
        write_text(tmp_path / "a.yaml", "text")
    assert not list(tmp_path.iterdir())


def test_text_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xe4" * 10)
    assert read_bytes(path, 10) == b"\xe4" * 10
    with pytest.raises(FileError, match=r"a\.txt: larger than 9e-06 MB"):
        read_bytes(path, 9)
    with pytest.raises(FileError, match=r"a\.txt: not UTF-8 text: byte 0 is 0xe4\nhint: save the file as UTF-8"):
        read_utf8(path)
    assert real(tmp_path / "a\0b") == tmp_path / "a\0b"


def test_files_have_the_mode_of_the_umask(tmp_path: Path) -> None:
    """Whatever a library makes of the temporary file: safetensors gives its owner alone a new one."""
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "weights") as temporary:
            save_file({"a": torch.zeros(2)}, temporary)
        with replacing(tmp_path / "state") as temporary:
            torch.save({}, temporary)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    def as_weights(path: Path) -> None:
        save_file({"a": torch.zeros(1000)}, path)

    def as_state(path: Path) -> None:
        with path.open("wb") as stream:
            torch.save({"a": torch.zeros(10000)}, stream)

    def as_text(path: Path) -> None:
        path.write_text("new" * 1000)

    for write in (as_weights, as_state, as_text):
        path = tmp_path / f"{write.__name__}.bin"
        path.write_text("old")
        words = (
            r"\.bin: cannot be written: it becomes larger than a file may be here; nothing was changed\nhint: `ulimit"
        )
        with full_disk(), pytest.raises(FileError, match=words), replacing(path) as temporary:
            write(temporary)
        assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


def test_mistakes_of_our_own_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a fault of ours"), replacing(tmp_path / "a"):
        raise RuntimeError("a fault of ours")
    assert not list(tmp_path.iterdir())


def test_without_over_nothing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        with replacing(tmp_path / "a", over=False) as temporary:
            temporary.write_text("new")

    def without_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for number in range(2):
        write()
        with pytest.raises(FileError, match="a: cannot be written: it is there already; nothing was changed"):
            write()
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        (tmp_path / "a").unlink()
        if number == 0:
            monkeypatch.setattr(os, "link", without_links)  # as on a disk that knows none


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Only ours, only of processes that are gone, and of other machines only what is a day old."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    own = files._machine()
    names = {
        "dead": f".crossband-{own}-{child.pid}-00000000.tmp",
        "alive": f".crossband-{own}-{os.getppid()}-00000000.tmp",
        "elsewhere": f".crossband-ffffffff-{child.pid}-00000000.tmp",
        "forgotten": f".crossband-ffffffff-{child.pid}-11111111.tmp",
        "foreign": f".other-{own}-{child.pid}-00000000.tmp",
    }
    for name in names.values():
        (tmp_path / name).write_text("half")
    os.utime(tmp_path / names["forgotten"], (0, 0))
    write_text(tmp_path / "a", "text")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a", names["alive"], names["elsewhere"], names["foreign"]}


def test_one_process_holds_a_folder(tmp_path: Path) -> None:
    code = f"""
import sys
from crossband.recipes.basics.files import locked
with locked({str(tmp_path / "run")!r}):
    print("held", flush=True)
    sys.stdin.read()
"""
    arguments = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **arguments) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        who = rf"run: another crossband, process {other.pid} on \S+ since [-0-9]+ [:0-9]+, is writing here\nhint: wait"
        with pytest.raises(FileError, match=who), locked(tmp_path / "run"):
            pass
        with pytest.raises(FileError, match=who):
            check_unlocked(tmp_path / "run")
        other.kill()
    assert (tmp_path / "run" / LOCK).exists()  # and is in nobody's way
    check_unlocked(tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_a_lock_does_not_outlive_its_process_in_those_that_it_made(tmp_path: Path) -> None:
    """A worker that loads images is a fork of its parent: of the parent's locks it holds none."""
    stop = multiprocessing.get_context("fork").Event()
    with locked(tmp_path):
        worker = multiprocessing.get_context("fork").Process(target=stop.wait)
        worker.start()
        with pytest.raises(FileError, match="another crossband"), locked(tmp_path):
            pass
    with locked(tmp_path):  # although the worker lives
        assert worker.is_alive()
    stop.set()
    worker.join()


def test_a_disk_without_locks_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unknown)
    with locked(tmp_path), locked(tmp_path):
        pass


def test_a_lock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "outside")
    with pytest.raises(FileError, match="run: cannot be written: too many links"), locked(tmp_path / "run"):
        pass
    assert not (tmp_path / "outside").exists()


def test_an_appended_file_is_named(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(FileError, match=r"log: cannot be written: it becomes larger"):  # noqa: SIM117
        with writing(tmp_path / "log"), (tmp_path / "log").open("w") as stream:
            stream.write("a" * 10000)
