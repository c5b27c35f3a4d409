"""The processes that `torchrun` starts. torch is not imported."""

import os


def is_first() -> bool:
    """Whether this process is the first of those that `torchrun` started, or the only one."""
    return os.environ.get("RANK", "0") == "0"
