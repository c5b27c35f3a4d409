"""Where the images of a source lie: path patterns, the files that match them, and errors if there are none."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import FileError, files_below
from crossband.recipes.data.formats import SUFFIXES
from crossband.recipes.data.labels import Labelling, unlabelled
from crossband.recipes.data.naming import NAME, expression, name_in
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import CHANNELS, DataError
from crossband.registry import near

SHOWN = 8  # how many folders an error message lists
WILDCARDS = re.compile(r"\*\*|\*|\{[^}]+\}")
LEAVE_OUT = "`unmatched: ignore` leaves out files that have no partner"


@dataclass(frozen=True)
class Layout:
    """How a data set is laid out in its folder.

    `images` has a path for each band, without the ending of the files: `*` stands for a name or a part of one,
    `{a,b}` for one of these, `**` for names in folders of any depth. The parts that these match, joined by `/`, name
    the scene: `*/*/lwir/*` finds the infrared image of `set00/V000/I00000`. With `{name}` it is a pattern of
    `crossband.recipes.data.naming`. A folder has this layout if each of
    `folders`, patterns of pathlib, matches a folder in it. `split` are the rules of its splits. `labels` says what the
    name of a scene tells of it; `boxes` are folders that may have its annotations, of which the first is taken.
    """

    images: Mapping[str, str]
    folders: tuple[str, ...]
    split: Mapping[str, Rule]
    labels: Labelling = unlabelled
    boxes: tuple[str, ...] = ()

    def missing(self, folder: Path) -> list[str]:
        """The patterns of `folders` that match nothing in `folder`."""
        return [pattern for pattern in self.folders if not any(path.is_dir() for path in folder.glob(pattern))]


@dataclass(frozen=True)
class Found:
    """The image files of each band by scene name, the folders that were searched, and an error for each odd file.

    `stray` files belong to no band, `twins` to a scene that has another file in the same band; the names of
    `nameless` ones are no text.
    """

    folders: Mapping[str, Path]
    files: Mapping[str, Mapping[str, Path]]
    stray: Sequence[DataError]
    twins: Sequence[DataError]
    nameless: Sequence[DataError] = ()


def choose(what: str, folder: str, layouts: Sequence[Layout]) -> Layout:
    """The layout of a folder; the first one is the usual. Raises DataError that names the folders it lacks and has."""
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder", hint=RELATIVE)
    for layout in layouts:
        if not layout.missing(root):
            return layout
    usual = layouts[0]
    missing = usual.missing(root)
    *others, last = (f"`{pattern}`" for pattern in missing)
    inside = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    has = ", ".join(f"`{name}`" for name in inside[:SHOWN]) + (", ..." if len(inside) > SHOWN else "")
    message = f"{root}: no {what}: it has no {', '.join(others)}{' or ' if others else ''}{last}, only {has or 'files'}"
    raise DataError(message, hint=_hint(root, inside, usual, missing))


def _hint(root: Path, inside: Sequence[str], usual: Layout, missing: Sequence[str]) -> str:
    """The hint for a folder: it is one level too high, has other names inside, or is another one."""
    if nested := [name for name in inside if not usual.missing(root / name)]:
        return f"did you mean `{root / nested[0]}`?"
    wanted = sorted({part for pattern in missing for part in pattern.split("/")})
    similar = {name: near(name, wanted) for name in inside if name not in wanted}
    if renamed := [f"rename `{name}` to `{names[0]}`" for name, names in similar.items() if names]:
        return ", ".join(renamed)
    if CHANNELS.keys() <= set(inside) and len(missing) == len(usual.folders):
        return f"aligned images of your own are for `pairs`: `--set 'data.source={{pairs: {{folder: {root}}}}}'`"
    return f"name the folder that has {', '.join(f'`{pattern}`' for pattern in usual.folders)}"


def scan(folders: Mapping[str, Path], images: Mapping[str, str]) -> Found:
    """Find the files in the folder of each band whose path matches the band's pattern, see `Layout`.

    A file that matches several belongs to the band with the longest pattern. Hidden files, which some file managers
    leave, do not count. Raises DataError if a band has no image, or if a folder cannot be read.
    """
    patterns = {band: _expression(images[band]) for band in folders}
    found: dict[str, dict[str, Path]] = {band: {} for band in folders}
    stray, twins, nameless = [], [], []
    for folder in dict.fromkeys(folders.values()):
        here = sorted((band for band in folders if folders[band] == folder), key=lambda band: -len(images[band]))
        for path in _files(folder):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            where = path.relative_to(folder).with_suffix("").as_posix()
            if any("\ud800" <= sign <= "\udfff" for sign in where):  # bytes that Python could not make letters of
                nameless.append(DataError(f"{path}: the name is no UTF-8 text, as tables need", hint="rename the file"))
                continue
            matches = ((band, match) for band in here if (match := patterns[band].fullmatch(where)))
            band, match = next(matches, (None, None))
            if band is None or match is None:
                ends = " or ".join(f"`{images[band].removeprefix('**')}`" for band in here)
                wrong = "is not like" if any(NAME in images[band] for band in here) else "does not end in"
                stray.append(DataError(f"{path}: the name {wrong} {ends}", hint=LEAVE_OUT))
                continue
            name = name_in(match)
            if other := found[band].get(name):
                twins.append(DataError(f"{path}: the scene `{name}` has another {band} image, {other.name}"))
            found[band][name] = path
    for band, files in found.items():
        if not files:
            text = f"{folders[band]}: no {band} images{_words(images[band])}"
            raise DataError(text, hint=f"images are {', '.join(SUFFIXES)} files")
    return Found(folders, found, stray, twins, nameless)


def _files(folder: Path) -> list[Path]:
    try:
        return files_below(folder)
    except FileError as error:
        raise DataError(error.message, hint=error.hint) from None


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression with a group for each wildcard."""
    if NAME in pattern:
        return expression(pattern)
    text, end = "", 0
    for wildcard in WILDCARDS.finditer(pattern):
        choices = "|".join(re.escape(choice) for choice in wildcard[0][1:-1].split(","))
        group = {"**": "(.+)", "*": "([^/]+)"}.get(wildcard[0], f"({choices})")
        text += re.escape(pattern[end : wildcard.start()]) + group
        end = wildcard.end()
    return re.compile(text + re.escape(pattern[end:]), re.DOTALL)  # names may have line breaks in them


def _words(pattern: str) -> str:
    """A pattern in words, for a message."""
    if NAME in pattern:
        return f" whose names are like `{pattern}`"
    if not pattern.startswith("**"):
        return f" at `{pattern}`"
    return f" whose names end in `{pattern[2:]}`" if pattern[2:] else ""
