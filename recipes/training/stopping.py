"""Signals that ask a run to stop."""

import signal
import threading
from contextlib import AbstractContextManager
from typing import Any, Self

from crossband.registry import CrossbandError

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # of which Windows lacks the last


class Interrupted(CrossbandError):
    """Training was stopped by Ctrl-C, SIGTERM or SIGHUP, after a checkpoint; `exit_code` is what a shell says of it."""

    def __init__(self, message: str, *, hint: str | None = None, number: int = signal.SIGINT) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + number


class Stopping(AbstractContextManager["Stopping"]):
    """Signals, while a run lasts: the first lets it finish its step and save, a second one stops it at once.

    Where nothing is left to save (`at_once`) the first one does. Stopping at once is a KeyboardInterrupt. A signal that
    is ignored, as SIGHUP under `nohup`, stays so, and so do all of them outside the main thread of a program.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal that asked
        self.at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: Any) -> None:
        again, self.number = bool(self.number), number
        if again or self.at_once:
            raise KeyboardInterrupt
