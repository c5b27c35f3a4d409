"""Streams to talk through: nothing steers a terminal but our own colours, and nobody has to listen."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from crossband.registry import visible


class Talk(io.TextIOBase):
    """A text stream on stdout or stderr that cleans what goes through it, and that never raises.

    What a file says cannot steer the terminal, whoever prints it: see `visible`. Where the stream is closed, full, or
    read by nobody any more, `lost` says so and the rest is dropped: a long run does not end because its terminal does.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.lost: Exception | None = None if stream else OSError(errno.EBADF, "it is closed")

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What becomes of a sign that the stream lacks: `?`, and no error."""
        return "replace"

    def write(self, text: str, /) -> int:
        """Write a text, cleaned."""
        return self.write_coloured(visible(text))

    def write_coloured(self, text: str) -> int:
        """Write a text that was cleaned before it was given colours."""
        with self._losing() as stream:
            stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        with self._losing() as stream:
            stream.flush()

    def isatty(self) -> bool:
        """Whether a terminal listens."""
        return self.lost is None and bool(self._stream and self._stream.isatty())

    def fileno(self) -> int:
        """The number of the stream. Raises OSError where it has none."""
        if self._stream is None:
            raise io.UnsupportedOperation("a closed stream has no number")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always: what nobody reads is dropped."""
        return True

    @contextlib.contextmanager
    def _losing(self) -> Iterator[Any]:
        """The stream, until it fails; after that one that keeps nothing."""
        try:
            yield io.StringIO() if self.lost else self._stream
        except (OSError, ValueError) as error:  # ValueError: Python's stream is closed
            self.lost = error
            with contextlib.suppress(OSError, ValueError):  # what it still holds is flushed at the end of Python
                _redirect(self.fileno())


class _Coloured(io.TextIOBase):
    """The same stream for texts that were cleaned before they were given colours."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.isatty, self.fileno, self.flush = talk.isatty, talk.fileno, talk.flush

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the stream."""
        return self._talk.encoding

    def write(self, text: str, /) -> int:
        """Write a text as it is."""
        return self._talk.write_coloured(text)


def talk(stream: TextIO | None) -> Talk:
    """A stream to talk through, which may be one already."""
    return stream if isinstance(stream, Talk) else Talk(stream)


def coloured(stream: TextIO | None) -> TextIO:
    """The same stream for texts that were cleaned before they were given colours."""
    return cast(TextIO, _Coloured(talk(stream)))


@contextlib.contextmanager
def talking() -> Iterator[Talk]:
    """Let all that this process prints go through `Talk`: ours, warnings, logs and errors of others. Gives stdout."""
    before = sys.stdout, sys.stderr
    out, err = talk(sys.stdout), talk(sys.stderr)
    sys.stdout, sys.stderr = out, err  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def open_closed() -> None:
    """Open stdin, stdout and stderr on nothing where they are closed: else the next file that is opened is one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _redirect(number)


def _redirect(number: int) -> None:
    """Let a descriptor lead to nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)
