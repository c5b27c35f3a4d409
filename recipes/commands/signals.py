"""Signals that end a command. In: any moment. Out: an exception in the main thread: nothing stays half written."""

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

SIGNALLED = 128  # and the number of the signal: what a shell reports
AGAIN = 0.05  # seconds, in which a finalizer is done


def heed() -> None:
    """End at SIGTERM and SIGHUP as at an error, and let no signal be lost in a finalizer."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, _leave)
    sys.unraisablehook = _sent_again(sys.unraisablehook)


def _leave(number: int, _: Any) -> None:
    sys.exit(SIGNALLED + number)


def _send(number: int) -> None:
    """Send a signal to the main thread, which may be waiting."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:  # Windows
        signal.raise_signal(number)


def _sent_again(before: Callable[["sys.UnraisableHookArgs"], Any]) -> Callable[["sys.UnraisableHookArgs"], None]:
    """A hook for what is raised where nothing can catch it, as in a finalizer, and would be printed and forgotten.

    The signal behind it is sent once more. At the end of Python there is nothing left to stop.
    """

    def hook(told: "sys.UnraisableHookArgs", /) -> None:
        error = told.exc_value
        if isinstance(error, KeyboardInterrupt):
            number = signal.SIGINT
        elif isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > SIGNALLED:
            number = error.code - SIGNALLED
        else:
            return before(told)
        if not sys.is_finalizing():
            sender = threading.Timer(AGAIN, _send, [number])
            sender.daemon = True
            sender.start()

    return hook
