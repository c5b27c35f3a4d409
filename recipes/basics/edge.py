"""The edge of the program: errors that nobody foresaw and that are not faults of crossband, in words for the user."""

import os

from crossband import registry
from crossband.graphs.language.files import FileError
from crossband.recipes.basics.errors import first_line, out_of_memory
from crossband.registry import CrossbandError

SMALLER = "lower `data.batch` or `data.size`; in `translate`, `--batch`, or take `--tile`"


def explained(error: BaseException) -> CrossbandError | None:
    """What the user is told of an error; None where it is a fault of crossband, or no error."""
    if isinstance(error, CrossbandError):
        return error
    if plugin := registry.blamed(error):
        return plugin
    if out_of_memory(error):
        return CrossbandError("there is not enough memory for this", hint=SMALLER, notes=[first_line(error)])
    if isinstance(error, RecursionError):
        return CrossbandError("something in the input is nested too deeply", hint="make it flatter")
    if isinstance(error, OSError):
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        return FileError.of(" and ".join(names) or "a file", error)
    if isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
        hint = "it may have used up the memory: lower `data.workers` or `data.batch`"
        return CrossbandError(f"a process that reads images ended: {first_line(error)}", hint=hint)
    return None
