"""Progress on stderr: a bar on a terminal, elsewhere a line now and then."""

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from crossband.recipes.basics.terminal import coloured, talk, talking
from crossband.registry import visible

T = TypeVar("T")
QUIET_SECONDS = 30.0  # between two lines where there is no terminal


class Screen(AbstractContextManager["Screen"]):
    """The progress of one long task: how much is done, how long the rest takes, and a few words."""

    def __init__(self, title: str, total: int, done: int = 0, *, silent: bool = False) -> None:
        self.title, self.total, self.done, self.silent = title, total, done, silent
        self._talk = talk(sys.stderr)
        self._console = Console(file=coloured(sys.stderr), quiet=silent)
        self._bar: Progress | None = None
        self._talking = contextlib.ExitStack()
        self._began = self._last_line = time.monotonic()
        self._first = done

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self.silent:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            words = TextColumn("{task.fields[words]}", style="dim", markup=False)
            bar = self._bar = Progress(
                *columns, TextColumn("left"), TimeRemainingColumn(), words, console=self._console
            )
            bar.start()
            self._talking.enter_context(talking())  # what others print now goes above the bar, cleaned before
            self._task = bar.add_task(visible(self.title), total=self.total, completed=self.done, words="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._talking.close()
            self._bar.stop()

    def update(self, done: int, words: str = "") -> None:
        """Show that `done` of `total` is done."""
        self.done = done
        if self._bar:
            self._bar.update(self._task, completed=done)
            self._bar.tasks[self._task].fields["words"] = visible(words)
        elif time.monotonic() - self._last_line >= QUIET_SECONDS or (done == self.total and done > self._first):
            self._last_line = time.monotonic()
            self.say(f"{self.title} {done}/{self.total}, {self._left()}{', ' + words if words else ''}")

    def say(self, text: str) -> None:
        """Print a line above the bar, or by itself."""
        if self.silent:
            return
        if self._bar:
            self._console.print(visible(text), highlight=False, markup=False)
        else:
            self._talk.write(f"{text}\n")
            self._talk.flush()

    def _left(self) -> str:
        spent, worked = time.monotonic() - self._began, self.done - self._first
        if self.done >= self.total:
            return f"{_clock(spent)} in all"
        return f"{_clock(spent * (self.total - self.done) / worked)} left" if worked else "no estimate yet"


def followed(items: Iterable[T], title: str, total: int, *, silent: bool = False) -> Iterator[T]:
    """Iterate over items and show the progress."""
    with Screen(title, total, silent=silent) as screen:
        for done, item in enumerate(items, 1):
            yield item
            screen.update(done)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
