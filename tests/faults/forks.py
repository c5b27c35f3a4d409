"""Run the real command line in processes of its own, each forked from one that has imported everything already.

`python forks.py SOCKET` is the server: it listens at SOCKET until its stdin ends. For each connection it reads an
`Order`, forks the command, passes on the signals that it is sent (a byte each), and says how the command ended. The
server has one thread and never computes, so that it can be forked.
"""

import atexit
import contextlib
import ctypes
import faulthandler
import fcntl
import gc
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = (
    *("imagecodecs", "tifffile", "matplotlib.pyplot", "torchmetrics", "torch.utils.tensorboard", "rich.progress"),
    *("crossband", "crossband.graphs", "crossband.recipes", "crossband.recipes.training.runs"),
    *("crossband.recipes.metrics.evaluation", "crossband.recipes.reporting.report", "crossband.recipes.model.jobs"),
    *(f"crossband.recipes.commands.{name}" for name in ("check", "cite", "evaluate", "ls", "new", "output", "schema")),
    *(f"crossband.recipes.commands.{name}" for name in ("show", "show_graph", "show_recipe", "train", "translate")),
)
TOUCHES = ("open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.listdir", "os.scandir", "os.truncate")
GIB = 1 << 30
MOST_SAID = 1 << 20  # bytes that a pipe holds


@dataclass(frozen=True)
class Order:
    """A command to run: its words, where, under which limits and with which streams.

    A stream is `pipe`, which is read at the end; or `closed`; or `broken`, a pipe that nobody reads; or a file. What the
    command does with files below `folder` (opening, renaming, listing, ...) is counted, and `acts` are what happens
    before it does so the n-th time: it is sent the signal of that name, or a line of shell is run.
    """

    words: Sequence[str]
    folder: str
    out: str = "pipe"
    err: str = "pipe"
    variables: Mapping[str, str] = field(default_factory=dict)
    memory: int = 4 * GIB  # more than what the server has
    file_size: int | None = None
    processor: int = 60  # seconds
    plain: bool = False  # without the privileges of root, for whom permissions are nothing
    acts: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, that of a shell for a signal; what it printed; what it used."""

    code: int
    out: str
    err: str
    seconds: float  # of processor time
    memory: int  # the most at any time, in bytes beyond that of the server
    hung: bool = False  # it had to be stopped

    @property
    def text(self) -> str:
        """All that was printed."""
        return self.out + self.err


# ---------------------------------------------------------------------- the side of the tests


class Running:
    """A command that runs."""

    def __init__(self, connection: socket.socket, order: Order) -> None:
        self._connection = connection
        pipes = [os.pipe() for _ in ("out", "err")]
        for _, writer in pipes:
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, MOST_SAID)
        socket.send_fds(connection, [json.dumps(asdict(order)).encode()], [writer for _, writer in pipes])
        self._said = [open(reader, "rb") for reader, _ in pipes]  # noqa: SIM115
        for _, writer in pipes:
            os.close(writer)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(BrokenPipeError):
            self._connection.sendall(bytes([number]))

    def ended(self, within: float = 0) -> bool:
        """Whether it has ended, or does so in this time."""
        return bool(select.select([self._connection], [], [], within)[0])

    def wait(self, deadline: float = 60) -> Ended:
        """Wait for its end. The deadline stops what hangs, and is no measure."""
        if hung := not self.ended(deadline):
            self.signal(signal.SIGUSR1)  # it says where it is
            self.ended(1)
            self.signal(signal.SIGKILL)
        with self._connection, self._connection.makefile() as stream:
            told = json.loads(stream.readline())
        out, err = (stream.read().decode("utf-8", "replace") for stream in self._said)
        for stream in self._said:
            stream.close()
        return Ended(told["code"], out, err, told["seconds"], told["memory"], hung)


class Forks:
    """The server, seen from the tests: `run` a command, or `start` it to meddle with it."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="forks-")
        self._path = str(Path(self._folder, "socket"))
        words = [sys.executable, __file__, self._path]
        self._server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout
        assert self._server.stdout.readline() == "ready\n", "the server could not begin"

    def start(self, words: Sequence[str | Path], folder: Path, **how: Any) -> Running:
        """Start `crossband WORDS` in a folder; see `Order` for the rest."""
        order = Order([str(word) for word in words], str(folder), **how)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        return Running(connection, order)

    def run(self, words: Sequence[str | Path], folder: Path, **how: Any) -> Ended:
        """Run it to its end."""
        return self.start(words, folder, **how).wait()

    def close(self) -> None:
        """End the server."""
        self._server.communicate()
        shutil.rmtree(self._folder)


@contextlib.contextmanager
def forks() -> Iterator[Forks]:
    """A server for as long as it is wanted."""
    server = Forks()
    try:
        yield server
    finally:
        server.close()


# ---------------------------------------------------------------------- the side of the server


def serve(path: str) -> None:
    """Fork a command for each connection, pass signals on and tell its end, until stdin ends."""
    for name in IMPORTED:
        import_module(name)
    import torch

    torch.set_num_threads(1)
    gc.freeze()
    running: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells the end: process, connection
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    while True:
        talking = {connection: pid for pid, connection in running.values()}
        ready = select.select([listener, sys.stdin, *talking, *running], [], [])[0]
        for one in ready:
            if one is sys.stdin:
                os._exit(0)
            elif one is listener:
                connection, _ = listener.accept()
                told, pipes, *_ = socket.recv_fds(connection, 1 << 20, 2)
                if (pid := os.fork()) == 0:
                    obey(Order(**json.loads(told)), *pipes)
                for pipe in pipes:
                    os.close(pipe)
                running[os.pidfd_open(pid)] = pid, connection
            elif isinstance(one, int):
                _tell(*running.pop(one))
                os.close(one)
            elif one in talking and one.fileno() >= 0:
                for number in one.recv(16) or [signal.SIGKILL]:  # nobody waits any more
                    os.kill(talking[one], number)


def _tell(pid: int, connection: socket.socket) -> None:
    """Tell how a command ended, and end the processes that it left."""
    _, status, used = os.wait4(pid, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    [own] = re.findall(r"RssAnon:\s*(\d+)", Path("/proc/self/status").read_text())  # what a fork begins with
    told = {"code": code if code >= 0 else 128 - code, "seconds": used.ru_utime + used.ru_stime}
    told["memory"] = max(0, used.ru_maxrss - int(own)) * 1024
    with connection, contextlib.suppress(BrokenPipeError):
        connection.sendall(json.dumps(told).encode() + b"\n")


def obey(order: Order, out: int, err: int) -> NoReturn:
    """Become the command: folder, streams, limits; then run it."""
    os.setsid()
    os.chdir(order.folder)
    os.environ.update(order.variables)
    sys.argv = ["crossband", *order.words]
    sys.stdin = open(os.devnull)  # noqa: SIM115
    os.dup2(sys.stdin.fileno(), 0)
    _redirect(1, "stdout", order.out, out)
    _redirect(2, "stderr", order.err, err)
    os.closerange(3, 256)  # those of the server
    faulthandler.register(signal.SIGUSR1, 2, all_threads=True)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = {resource.RLIMIT_AS: own + order.memory, resource.RLIMIT_CPU: order.processor}
    if order.file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the error EFBIG in its place
        limits[resource.RLIMIT_FSIZE] = order.file_size
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))
    if order.plain:
        _drop_privileges()
    _meddle(order.acts, os.path.realpath(order.folder))
    _end(_code_of_main())


def _code_of_main() -> int:
    from crossband.recipes.commands import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as the interpreter does, but leave the modules standing: to take torch apart costs two seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            code = 120
    os._exit(code)


def _redirect(number: int, name: str, to: str, pipe: int) -> None:
    """Give a stream to the command as the interpreter gives it at its start."""
    if to == "closed":
        os.close(number)
        setattr(sys, name, None)
        return
    if to == "broken":
        reader, pipe = os.pipe()
        os.close(reader)
    elif to != "pipe":
        pipe = os.open(to, os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(pipe, number)
    setattr(sys, name, open(number, "w", 1 if name == "stderr" else -1, closefd=False))  # noqa: SIM115


def _drop_privileges() -> None:
    """Give up all capabilities of Linux; whoever has none stays as they are."""
    version, none = 0x20080522, bytes(24)  # two sets of three words
    done = ctypes.CDLL(None).capset(struct.pack("Ii", version, 0), none)
    assert done == 0, "capset"


def _meddle(acts: Sequence[tuple[int, str]], folder: str) -> None:
    waiting, count, busy = dict(acts), 0, False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count, busy
        if busy or event not in TOUCHES or not _below(arguments[0], folder):
            return
        count += 1
        if act := waiting.pop(count, None):
            busy = True
            if act.startswith("SIG"):
                os.kill(os.getpid(), getattr(signal, act))
            else:
                subprocess.run(["sh", "-c", act], cwd=folder, check=False, capture_output=True)
            busy = False

    if waiting:
        sys.addaudithook(hook)


def _below(path: Any, folder: str) -> bool:
    """Whether something that is opened lies in the folder of the command."""
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    return os.path.abspath(os.fsdecode(path)).startswith(folder + os.sep)


if __name__ == "__main__":
    serve(sys.argv[1])
