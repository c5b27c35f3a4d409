"""Read files: regular ones, no larger than asked, and with every error in words that name the path and the cure."""

import errno
import os
import re
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Self, TypeAlias

from crossband.graphs.language.document import RELATIVE
from crossband.registry import CrossbandError, near, suggest

PathLike: TypeAlias = str | os.PathLike[str]
LONGEST = 300  # characters of a path that a message shows
ROOM = "make room, or name a folder on another disk"
OWNER = "`ls -l` shows who may read and write it"
PLAIN: Mapping[int, tuple[str, str | None]] = {  # what the system says, in plain words, and the cure
    errno.ENOENT: ("no such file or folder", None),
    errno.EEXIST: ("it is there already", "take another name"),
    errno.ENOTDIR: ("a part of its path is a file, and not a folder", None),
    errno.EISDIR: ("a folder, and not a file", None),
    errno.ELOOP: ("too many links: they lead in a circle", "remove the link, or let it lead to a file"),
    errno.ENAMETOOLONG: ("the name is too long for a file", "take a shorter one"),
    errno.EACCES: ("permission denied", OWNER),
    errno.EPERM: ("permission denied", OWNER),
    errno.ENXIO: ("not a regular file", "save what it gives in a file, and name that"),
    errno.ENOSPC: ("the disk is full", ROOM),
    errno.EDQUOT: ("the quota of this disk is used up", ROOM),
    errno.EFBIG: ("it becomes larger than a file may be here", "`ulimit -f` shows the limit"),
    errno.EROFS: ("the disk is read-only", "name a folder on another disk"),
    errno.EMFILE: ("too many files are open", "`ulimit -n 4096` allows more"),
    errno.ENFILE: ("too many files are open", None),
    errno.EIO: ("the disk reports an error", None),
}
KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_NUMBER = re.compile(r"\(os error (\d+)\)")  # ends the messages of libraries written in Rust, such as safetensors


class FileError(CrossbandError):
    """A file or folder cannot be read or written: the message begins with its path. `why` is the reason alone."""

    why = ""

    @classmethod
    def about(cls, path: PathLike, why: str, *, hint: str | None = None, doing: str = "", left: str = "") -> Self:
        """The error of one path. `doing` stands before the reason, `left`, what there is now, behind it."""
        error = cls(f"{named(path)}: {doing}{why}{left}", hint=hint)
        error.why = why
        return error

    @classmethod
    def of(cls, path: PathLike, error: Exception, *, doing: str = "", left: str = "") -> Self:
        """The same from what the system or a library raised."""
        first = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        why, hint = PLAIN.get(number_of(error) or 0, (first, None))
        return cls.about(path, why, hint=hint, doing=doing, left=left)


def named(path: PathLike) -> str:
    """A path as a message shows it, on one line: one that is very long is cut in its middle."""
    text = os.fspath(path).replace("\n", "\\n")
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"


def number_of(error: BaseException | None) -> int | None:
    """The number of the system's error behind an exception, which a library may have put into one of its own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        if found := _NUMBER.search(str(error)):
            return int(found[1])
        error = error.__cause__ or error.__context__
    return None


def open_file(path: PathLike) -> BufferedReader:
    """Open a regular file to read its bytes. Nothing else is waited for: a pipe, a socket or a device is refused.

    Raises FileError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise FileError.about(path, "no such file", hint=near_file(Path(path)) or RELATIVE) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise FileError.of(path, error) from None
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind == stat.S_IFREG:
        return os.fdopen(handle, "rb")
    os.close(handle)
    why, hint = PLAIN[errno.EISDIR if kind == stat.S_IFDIR else errno.ENXIO]
    raise FileError.about(path, f"{why}, but {KINDS[kind]}" if kind in KINDS else why, hint=hint)


def read_bytes(path: PathLike, limit: int | None = None) -> bytes:
    """The content of a regular file, of `limit` bytes at most. Raises FileError."""
    with open_file(path) as stream:
        try:
            content = stream.read() if limit is None else stream.read(limit + 1)
        except OSError as error:
            raise FileError.of(path, error) from None
    if limit is not None and len(content) > limit:
        raise FileError.about(path, f"larger than {limit / 1e6:g} MB")
    return content


def read_utf8(path: PathLike, limit: int | None = None) -> str:
    """The text of a regular file, of `limit` bytes at most. Raises FileError."""
    content = read_bytes(path, limit)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        why = f"not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}"
        raise FileError.about(path, why, hint="save the file as UTF-8") from None


def files_below(folder: PathLike) -> list[Path]:
    """Everything in a folder and in those below it that is no folder, sorted. Links to folders are followed.

    Raises FileError for a folder that cannot be read, and for links in a circle.
    """

    def refuse(error: OSError) -> None:
        raise FileError.of(error.filename, error)

    found: list[Path] = []
    for here, _, names in os.walk(folder, onerror=refuse, followlinks=True):
        place = Path(here)
        if place.is_symlink() and place != Path(folder):
            above = place.parents[: len(place.relative_to(folder).parts)]
            if real(place) in map(real, above):
                raise FileError.of(place, OSError(errno.ELOOP, ""))
        found += [place / name for name in names]
    return sorted(found)


def real(path: PathLike) -> Path:
    """Where a path leads, through all links. Links in a circle, and names that no file has, stay: reading refuses them.

    (`Path.resolve` raises errors of several kinds on these.)
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a NUL in the name
        return Path(path)


def near_file(path: Path) -> str | None:
    """The hint for a missing file: one in the same folder with a similar name."""
    try:
        others = [each for each in path.parent.iterdir() if each.suffix == path.suffix and near(path.stem, [each.stem])]
    except (OSError, ValueError):
        return f"there is no folder `{named(path.parent)}`"
    return suggest(str(path), [str(other) for other in others], few=0)
