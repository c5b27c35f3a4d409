"""Write files whole or not at all."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

PICKLED = "weights of other programs come in by a key map: `weights: {file: w.pth, keys: NAME}`; `crossband ls keys`"


def is_pickled(file: Path) -> bool:
    """Whether a file begins as those that `torch.save` writes: an archive, or a pickle from before version 1.6.

    A file of safetensors begins with the length of its header in eight bytes, of which the last are zero.
    """
    with file.open("rb") as stream:
        head = stream.read(8)
    return head.startswith(b"PK\x03\x04") or (head[:1] == b"\x80" and head[4:] != bytes(4))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it becomes `path` at the end, or is removed on an error.

    Makes the folder if there is none. An existing `path` is replaced: callers that must not overwrite check first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")  # machines that share a disk, too
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
