"""Errors of torch, numpy and Python, and what they say. torch is not imported."""

SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "Unable to allocate", "bad_alloc")


def first_line(error: BaseException) -> str:
    """The first line of what an error says; where it says nothing, its class."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, of the machine or of its accelerator."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or any(sign in str(error) for sign in SIGNS))
    )
