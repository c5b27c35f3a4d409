"""Where the images of a source lie: paths with gaps, the files that fit them, and what is said where none are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossband.graphs.language.document import RELATIVE
from crossband.recipes.data.images import SUFFIXES
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import CHANNELS, DataError
from crossband.registry import near

SHOWN = 8  # how many folders an error message lists
GAPS = re.compile(r"\*\*|\*|\{[^}]+\}")
LEAVE_OUT = "`unmatched: ignore` leaves out files that have no partner"


@dataclass(frozen=True)
class Layout:
    """How a data set is laid out in its folder.

    `images` has a path for each band, without the ending of the files: `*` stands for a name or a part of one,
    `{a,b}` for one of these, `**` for names in folders of any depth. What they stand for, joined by `/`, is the name
    of the scene: `*/*/lwir/*` finds the infrared image of `set00/V000/I00000`. `folders`, patterns of pathlib, are
    found at least once each in a folder that is so laid out. `split` are the rules of its splits.
    """

    images: Mapping[str, str]
    folders: tuple[str, ...]
    split: Mapping[str, Rule]

    def missing(self, folder: Path) -> list[str]:
        """The folders that it has and `folder` has not."""
        return [pattern for pattern in self.folders if not any(path.is_dir() for path in folder.glob(pattern))]


@dataclass(frozen=True)
class Found:
    """The image files of each band by scene name, where they were looked for, and a line for each that is odd.

    `stray` files are of no band, `twins` of a scene that has another file in the same band.
    """

    folders: Mapping[str, Path]
    files: Mapping[str, Mapping[str, Path]]
    stray: Sequence[DataError]
    twins: Sequence[DataError]


def choose(what: str, folder: str, layouts: Sequence[Layout]) -> Layout:
    """The layout that a folder has, the first being the usual one. Raises DataError with what it lacks and has."""
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
    """What may be wrong with a folder: one too high, one with other names, or another one."""
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
    """The files in the folder of each band whose path fits the band's pattern, as `Layout` explains it.

    A file that fits several is of the band with the longest pattern. Hidden files, as some file managers leave them,
    do not count. Raises DataError where a band has no image.
    """
    patterns = {band: _expression(images[band]) for band in folders}
    found: dict[str, dict[str, Path]] = {band: {} for band in folders}
    stray, twins = [], []
    for folder in dict.fromkeys(folders.values()):
        here = sorted((band for band in folders if folders[band] == folder), key=lambda band: -len(images[band]))
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            where = path.relative_to(folder).with_suffix("").as_posix()
            fits = ((band, match) for band in here if (match := patterns[band].fullmatch(where)))
            band, match = next(fits, (None, None))
            if band is None or match is None:
                ends = " or ".join(f"`{images[band].removeprefix('**')}`" for band in here)
                stray.append(DataError(f"{path}: the name does not end in {ends}", hint=LEAVE_OUT))
                continue
            name = "/".join(match.groups())
            if other := found[band].get(name):
                twins.append(DataError(f"{path}: the scene `{name}` has another {band} image, {other.name}"))
            found[band][name] = path
    for band, files in found.items():
        if not files:
            text = f"{folders[band]}: no {band} images{_words(images[band])}"
            raise DataError(text, hint=f"images are {', '.join(SUFFIXES)} files")
    return Found(folders, found, stray, twins)


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression with a group for each gap."""
    text, end = "", 0
    for gap in GAPS.finditer(pattern):
        choices = "|".join(re.escape(choice) for choice in gap[0][1:-1].split(","))
        text += re.escape(pattern[end : gap.start()]) + {"**": "(.+)", "*": "([^/]+)"}.get(gap[0], f"({choices})")
        end = gap.end()
    return re.compile(text + re.escape(pattern[end:]))


def _words(pattern: str) -> str:
    """What a pattern asks of a file, for a message."""
    if not pattern.startswith("**"):
        return f" at `{pattern}`"
    return f" whose names end in `{pattern[2:]}`" if pattern[2:] else ""
