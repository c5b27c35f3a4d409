"""The law that every case of the campaign is held to, and how a command is run to be held to it.

Whatever the input: exit 0, 1 or 2, something said where it is refused, no traceback, no "fault of crossband", no
control characters, and for the small files of the campaign 2 s and 2 GB beyond start-up. Time is that of the
processor, not of the clock, and both have slack: a busy machine fails nothing.
"""

import base64
import contextlib
import io
import re
import resource
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

import pytest
from scratch import forget_afterwards

from crossband.recipes.commands import INTERRUPTED, main

SECONDS, GIGABYTES = 2.0, 2.0
SLACK = 2.0  # a shared core, a module that is imported on the way
HUNG = 120.0  # by the clock: then a case is taken to wait for ever
CODES = (0, 1, 2)
LONGEST_OUTPUT = 200_000  # characters of a refusal: whoever gets more reads none of it
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
FORBIDDEN = ("Traceback", "fault of crossband")


class Case(Protocol):
    """An input: `lay` puts its files into an empty folder, `str` says how to make it and try it by hand."""

    def lay(self, folder: Path) -> None:
        """Write the files of the case."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What came of a command: exit code, stdout and stderr, processor seconds, and memory beyond start-up."""

    code: int
    output: str
    seconds: float = 0.0
    gigabytes: float = 0.0

    @property
    def slow(self) -> bool:
        """Whether it took more time or memory than the law allows."""
        return self.seconds > SECONDS * SLACK or self.gigabytes > GIGABYTES * SLACK


class Broken(AssertionError):
    """A case that breaks the law, or a promise of its own series."""


def hold(outcome: Outcome, *, measured: bool) -> Outcome:
    """The same outcome, if it keeps the law; with `measured`, that of time and memory too. Raises Broken."""
    if outcome.code not in CODES:
        raise Broken(f"exit {outcome.code}")
    for words in FORBIDDEN:
        if words in outcome.output:
            raise Broken(f"{words}: {_last_call(outcome.output)}")
    if outcome.code and not outcome.output.strip():
        raise Broken(f"exit {outcome.code} without a word")
    if odd := CONTROL.search(outcome.output):
        raise Broken(f"control character U+{ord(odd[0]):04X} in the output")
    if outcome.code and len(outcome.output) > LONGEST_OUTPUT:
        raise Broken("more output than anybody reads")
    if measured and outcome.slow:
        raise Broken("too slow" if outcome.seconds > SECONDS * SLACK else "too much memory")
    return outcome


def _last_call(output: str) -> str:
    """What was raised and where, without what differs from case to case: one fault has one name."""
    calls = re.findall(r'^  File "[^"]*?([^/"]+)", line (\d+), in (\S+)', output, re.MULTILINE)
    raised = re.findall(r"^([\w.]+(?:Error|Exception|Exit|Hung|Interrupt|Iteration))(?::|$)", output, re.MULTILINE)
    file, line, name = calls[-1] if calls else ("?", "?", "?")
    return f"{raised[-1] if raised else '?'} in {file}:{line} {name}"


# ---------------------------------------------------------------------- files and a command line


@dataclass(frozen=True)
class Files:
    """Files by name, text or bytes, and the command line that is given them.

    With `base`, they are laid over a copy of that folder, and None removes a file of it.
    """

    command: tuple[str, ...]
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    base: Path | None = None

    def lay(self, folder: Path) -> None:
        """Write the files."""
        if self.base:
            shutil.copytree(self.base, folder, dirs_exist_ok=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    def smaller(self) -> "Iterator[Files]":
        """The same without one of the files, or without some lines of one: perhaps they show the same fault."""
        for name in self.files:
            yield replace(self, files={other: text for other, text in self.files.items() if other != name})
        for name, text in self.files.items():
            lines = text.splitlines(keepends=True) if isinstance(text, str) else []
            step = len(lines) // 2
            while step:
                for start in range(0, len(lines), step):
                    rest = "".join([*lines[:start], *lines[start + step :]])
                    yield replace(self, files={**self.files, name: rest})
                step //= 2

    def __str__(self) -> str:
        """A shell script that makes the files and runs the command."""
        lines = [f"cp -r {shlex.quote(str(self.base))}/. .", *map(_written, self.files.items())]
        return "\n".join([*lines[not self.base :], shlex.join(["crossband", *self.command])])


def _written(file: tuple[str, str | bytes | None]) -> str:
    name, content = shlex.quote(file[0]), file[1]
    if content is None:
        return f"rm {name}"
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    text = None if isinstance(content, bytes) else content
    if text is not None and text.endswith("\n") and not re.search(r"^EOF$|[^\n\x20-\x7e]", text, re.MULTILINE):
        return f"cat > {name} <<'EOF'\n{text}EOF"
    return f"base64 -d > {name} <<'EOF'\n{base64.encodebytes(data).decode()}EOF"


def run_here(command: Sequence[str] | Callable[[], None], folder: Path, *, patience: float = HUNG) -> Outcome:
    """Run a command line in this process, in a folder, by the entry point of the real `crossband`; or a function.

    What is not done after `patience` seconds of the processor is interrupted, as by Ctrl-C. That counts as done: it may
    have been told to train for long.
    """
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="replace", write_through=True)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder), _limited(patience) as spent:
        forget_afterwards(patch)
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)  # `main` puts its own there
        patch.setattr(sys, "argv", ["crossband", *([] if callable(command) else command)])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", out)
        try:
            command() if callable(command) else main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                out.write(end.code)
        except Broken:
            raise
        except BaseException:
            traceback.print_exc(file=out)
            code = 1
    text = out.buffer.getvalue().decode("utf-8", "replace")  # pyright: ignore[reportAttributeAccessIssue]
    return Outcome(
        0 if "interrupted" in spent and code == INTERRUPTED else code, text, spent["seconds"], spent["gigabytes"]
    )


class Hung(BaseException):
    """A case that does not end; no `except Exception` catches it."""


@contextlib.contextmanager
def _limited(patience: float) -> Iterator[dict[str, float]]:
    """Measure what is done inside, interrupt it and end it where it hangs, and let it have only so much memory."""
    spent: dict[str, float] = {}

    def interrupt(*_: int | FrameType | None) -> None:
        spent["interrupted"] = 1.0
        signal.raise_signal(signal.SIGINT)

    def end(*_: int | FrameType | None) -> None:
        raise Hung("neither done nor refused")

    before = signal.signal(signal.SIGALRM, end), signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_REAL, HUNG)
    signal.setitimer(signal.ITIMER_PROF, patience, patience)  # again: one may fall into what ignores it
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size, start = _memory("VmSize"), _peak_from_now()
    if size:
        resource.setrlimit(resource.RLIMIT_AS, (int(size + 2 * SLACK * GIGABYTES * 2**30), hard))
    begun = time.process_time()
    try:
        yield spent
    finally:
        spent["seconds"] = time.process_time() - begun
        spent["gigabytes"] = max(0.0, _memory("VmHWM") - start) / 2**30
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGPROF, before[1])


def _peak_from_now() -> float:
    """Forget the largest memory this process ever had; what it has now, in bytes. 0 where the system cannot say."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _memory("VmHWM")
    return _memory("VmRSS")


def _memory(key: str) -> float:
    """A line of what Linux says of the memory of this process, in bytes; 0 elsewhere."""
    try:
        found = re.search(rf"^{key}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return float(found[1]) * 1024 if found else 0.0
