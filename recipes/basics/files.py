"""Write files whole or not at all, and hold a folder while it is written to."""

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from crossband.graphs.language.files import FileError, PathLike, number_of, open_file

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

PICKLED = "weights of other programs come in by a key map: `weights: {file: w.pth, keys: NAME}`; `crossband ls keys`"
LOCK = ".crossband.lock"
TEMPORARY = re.compile(r"\.crossband-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.tmp")
ABANDONED = 24 * 3600  # seconds after which the temporary file of another machine is taken to be left over
_held: set[int] = set()  # the handles of the locks that this process holds


def is_pickled(file: Path) -> bool:
    """Whether a file begins as those that `torch.save` writes: an archive, or a pickle from before version 1.6.

    A file of safetensors begins with the length of its header in eight bytes, of which the last are zero. Raises
    FileError.
    """
    with open_file(file) as stream:
        head = stream.read(8)
    return head.startswith(b"PK\x03\x04") or (head[:1] == b"\x80" and head[4:] != bytes(4))


# ---------------------------------------------------------------------- writing


@contextlib.contextmanager
def replacing(path: PathLike, *, over: bool = True, durable: bool = True) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it becomes `path` at the end, or is removed on an error.

    Makes the folder if there is none. An existing `path` is replaced; without `over` that is an error, also where
    another process puts it there meanwhile. `durable` files outlive a power cut once this has returned. Raises
    FileError, naming `path`, where it cannot be written.
    """
    path = Path(path)
    with writing(path, left="; nothing was changed"):
        make_folder(path.parent)
        _remove_leftovers(path.parent.absolute())
        temporary = path.with_name(f".crossband-{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
        try:
            temporary.touch(exist_ok=False)
            mode = stat.S_IMODE(temporary.stat().st_mode)  # by the umask, unlike what safetensors puts in its place
            yield temporary
            temporary.chmod(mode)
            if durable:
                _sync(temporary)
            _put(temporary, path, over)
            if durable:
                _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: PathLike, text: str) -> None:
    """Write a text file, whole or not at all, in place of an existing one. Raises FileError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def writing(path: PathLike, left: str = "") -> Iterator[None]:
    """Turn what the system and libraries raise while `path` is written into a FileError that names it."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError: torch, whose disk is full
        if number_of(error) is None:
            raise
        raise FileError.of(path, error, doing="cannot be written: ", left=left) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where there are none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def _put(temporary: Path, path: Path, over: bool) -> None:
    """Let the temporary file be `path`."""
    if over:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike renaming, it fails where there is a file
    except FileExistsError:
        raise
    except OSError:  # a disk without such links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.replace(temporary, path)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; some disks cannot do it for folders."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(handle)


@functools.lru_cache(maxsize=1024)  # once for each folder
def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that processes left in a folder which were killed while they wrote.

    Whether a process is alive is known of this machine alone, until it starts anew: of any other one that shares the
    disk, files are removed that nobody has written to for a day.
    """
    for found in filter(None, (TEMPORARY.fullmatch(file.name) for file in folder.iterdir())):
        file, own = folder / found[0], found["machine"] == _machine()
        with contextlib.suppress(OSError):  # it has just become what it was written for, or belongs to somebody else
            if not _is_alive(int(found["process"])) if own else time.time() - file.lstat().st_mtime > ABANDONED:
                file.unlink()


@functools.cache
def _machine() -> str:
    """What tells this machine from others that share a disk; containers do not know each other's processes."""
    facts = [platform.node()]
    with contextlib.suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii"))
        facts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("".join(facts).encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if fcntl is None:  # Windows, where signals of this kind end processes
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


# ---------------------------------------------------------------------- one at a time


@contextlib.contextmanager
def locked(folder: PathLike) -> Iterator[None]:
    """Hold a folder, which is made if there is none, while it is written to.

    Raises FileError where another process holds it, saying which. The lock is the kernel's, on a file in the folder:
    it ends with the process, however that ends, and what a killed one leaves is in nobody's way. (The package
    `filelock` empties the file before it has the lock, and with it the words on who holds it.) A disk that knows no
    locks, as some of other machines, holds nothing: there nobody is refused.
    """
    folder = Path(folder)
    with writing(folder):
        make_folder(folder)
        handle = _lock(folder)
    if handle is None:
        yield
        return
    _held.add(handle)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)  # while it is held: who waits at the door sees that it is gone
        _held.discard(handle)
        os.close(handle)


def _lock(folder: Path) -> int | None:
    """The handle of the lock of a folder; None where the disk knows no locks. Raises FileError where it is held."""
    if fcntl is None:
        return None
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held, holder = isinstance(error, BlockingIOError), os.pread(handle, 300, 0).decode("utf-8", "replace")
            os.close(handle)
            if not held:
                return None
            hint = "wait until it is done, or name another folder"
            raise FileError(
                f"{folder}: another crossband, {holder or 'just begun'}, is writing here", hint=hint
            ) from None
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            break
        os.close(handle)  # of one that has just ended: its file is gone
    with contextlib.suppress(OSError):  # the disk is full: the lock holds all the same
        os.truncate(handle, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()} since {since}".encode(), 0)
    return handle


def check_unlocked(folder: Path) -> None:
    """Raise FileError where another process holds a folder."""
    if (folder / LOCK).exists():
        with locked(folder):
            pass


def is_empty(folder: Path) -> bool:
    """Whether nothing is in a folder, but what a killed process may have left. Raises FileError."""
    with writing(folder):
        return all(file.name == LOCK or TEMPORARY.fullmatch(file.name) for file in folder.iterdir())


def _forget_locks() -> None:
    """In a process that this one made of itself, such as a worker that loads images: the lock ends with its parent."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
