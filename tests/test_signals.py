"""Signals that reach a command where Python would print and forget what they raise."""

import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys, time
from crossband.recipes.commands.signals import heed

heed()

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.{name})

del_me = Finalized()
del del_me
try:
    time.sleep(60)
    print("forgotten")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("name", "code", "said"), [("SIGINT", 0, "interrupted\n"), ("SIGTERM", 143, "")])
def test_a_signal_in_a_finalizer_is_not_lost(name: str, code: int, said: str):
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name)], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, said, "")


def test_other_errors_of_finalizers_are_printed_as_ever():
    script = SCRIPT.format(name="SIGINT").replace("signal.raise_signal(signal.SIGINT)", "1 / 0").replace("60", "0")
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stdout) == (0, "forgotten\n")
    assert "ZeroDivisionError" in ended.stderr
