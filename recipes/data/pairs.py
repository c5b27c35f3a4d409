"""The source `pairs`: aligned images in two folders, matched by name."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from einops import rearrange

from crossband.recipes.data.images import LUMINANCE, SUFFIXES, Header, ImageError, read_header, read_image
from crossband.recipes.data.source import Band, DataError, Source, source
from crossband.recipes.data.splits import divide, natural
from crossband.registry import ArgumentError, hint

CHANNELS = {"visible": 3, "infrared": 1}
BANDS = tuple(CHANNELS)
LAST_TENTH: dict[str, dict[str, int | float | str | list[str]]] = {"test": {"last": 0.1}}
EMPTY: dict[str, Any] = {}
COLOUR_PROBES = 8  # how many colour files of a one-channel band are decoded before training
LEAVE_OUT = "`unmatched: ignore` leaves out files that have no partner"
SHOWN = 20  # how many faults of a kind an error message lists


@dataclass(frozen=True)
class Files:
    """One band on disk: its files by scene name, and what their numbers mean."""

    folder: Path
    files: Mapping[str, Path]
    channels: int
    range: tuple[float, float] | None
    luminance: bool

    def decode(self, name: str) -> np.ndarray:
        """The image of a scene as Source.read promises: `c h w`, integers at full scale or float32 in [0, 1]."""
        path = self.files[name]
        array = self._to_channels(path, read_image(path))
        if self.range is not None:
            if not np.isfinite(array).all():
                raise ImageError(f"{path}: has pixels that are not finite\nhint: replace the file or take it out")
            low, high = self.range
            array = ((array.astype(np.float64) - low) / (high - low)).clip(0, 1).astype(np.float32)
        return np.ascontiguousarray(rearrange(array, "h w c -> c h w"))

    def _to_channels(self, path: Path, array: np.ndarray) -> np.ndarray:
        found = array.shape[2]
        if found == self.channels:
            return array
        if found == 1:
            return array.repeat(3, axis=2)
        if (array == array[..., :1]).all():  # grey saved as colour
            return array[..., :1]
        if not self.luminance:
            raise ImageError(
                f"{path}: a colour image in a band of 1 channel"
                "\nhint: `channels: {BAND: 3}` keeps the colour, `luminance: true` makes it grey"
            )
        grey = array.astype(np.float64) @ LUMINANCE
        return (np.rint(grey) if array.dtype.kind in "iu" else grey).astype(array.dtype)[..., None]


class Pairs(Source):
    """Scenes read from two folders. Made by `pairs`, which checks every file first."""

    def __init__(
        self, files: Mapping[str, Files], sizes: Mapping[str, tuple[int, int]], splits: Mapping[str, Sequence[str]]
    ) -> None:
        self.bands = {band: Band(found.channels) for band, found in files.items()}
        self.splits = splits
        self._files = files
        self._sizes = sizes

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises. Raises ImageError, naming the file, if one cannot be used."""
        return {band: self._files[band].decode(name) for band in (self.bands if bands is None else bands)}

    def size(self, name: str) -> tuple[int, int]:
        """Height and width, as the headers of the files say."""
        return self._sizes[name]


@source("pairs")
def pairs(
    *,
    folder: str | None = None,
    visible: str | None = None,
    infrared: str | None = None,
    suffix: dict[str, str] = EMPTY,
    channels: dict[str, Literal[1, 3]] = EMPTY,
    range: dict[str, tuple[float, float]] = EMPTY,
    luminance: bool = False,
    unmatched: Literal["error", "ignore"] = "error",
    split: dict[str, dict[str, int | float | str | list[str]]] = LAST_TENTH,
) -> Pairs:
    """Aligned images in two folders, matched by name: PNG, TIFF, JPEG or BMP; 8 or 16 bits, or float.

    - `folder` has the subfolders `visible` and `infrared`; or give the folders `visible` and `infrared` themselves.
      The name of a scene is the path of its images in these folders without the ending: `a.jpg` matches `a.png`.
    - `suffix: {visible: _vis, infrared: _ir}` matches `a_vis.png` with `a_ir.png`; the two folders may then be one.
    - `channels` is `{visible: 3, infrared: 1}` unless given. A grey file of a colour band is repeated. A colour file of
      a grey band must have three equal channels, or `luminance: true` reduces it by Rec. 601.
    - `range: {infrared: [0, 16383]}` are the file's values that become 0 and 1 (put the higher first to invert);
      others are clipped. Without it uint8 and uint16 use their full scale; other types need it.
    - `unmatched: ignore` leaves out scenes that lack an image.
    - `split` has a rule for each split, as in `crossband.recipes.data.splits`; the last tenth is `test` unless given.

    Every file is checked first, by its header: DataError names all that lack their partner, cannot be read, or
    differ in size from their partner or in type from the files around them. ArgumentError on wrong parameters.
    """
    for parameter, given in (("suffix", suffix), ("channels", channels), ("range", range)):
        _check_bands(parameter, given)
    for band, (low, high) in range.items():
        if low == high or not np.isfinite([low, high]).all():
            raise ArgumentError(f"pairs: `range` of {band} must be two different finite numbers, got [{low}, {high}]")
    folders = _folders(folder, {"visible": visible, "infrared": infrared})
    found, stray, twins = _scan(folders, {band: suffix.get(band, "") for band in BANDS})
    names = sorted(found["visible"].keys() & found["infrared"].keys(), key=lambda name: (natural(name), name))
    bands = {
        band: Files(folders[band], found[band], channels.get(band, CHANNELS[band]), _pair(range.get(band)), luminance)
        for band in BANDS
    }
    lonely = [*stray, *_unmatched(found, folders)] if unmatched == "error" else []
    headers, unreadable = _headers(bands, names)
    _report([twins, lonely, unreadable, _clashes(bands, headers), _colours(bands, headers)], len(names))
    sizes = {name: (header.height, header.width) for name, header in headers[BANDS[0]].items()}
    return Pairs(bands, sizes, divide(names, split))


def _pair(range: Sequence[float] | None) -> tuple[float, float] | None:
    return None if range is None else (float(range[0]), float(range[1]))  # YAML gives a list


def _check_bands(parameter: str, given: Mapping[str, object]) -> None:
    for band in given:
        if band not in BANDS:
            raise ArgumentError(f"pairs: `{parameter}` has no band `{band}`{hint(band, BANDS)}")


def _folders(folder: str | None, given: Mapping[str, str | None]) -> dict[str, Path]:
    """The folder of each band, all of which exist."""
    own = {band: path for band, path in given.items() if path is not None}
    if (folder is None) == (not own) or (folder is None and len(own) != len(given)):
        raise ArgumentError("pairs: needs either `folder`, or both `visible` and `infrared`")
    folders = {band: Path(own[band]) if folder is None else Path(folder, band) for band in given}
    missing = [path for path in dict.fromkeys(folders.values()) if not path.is_dir()]
    if missing:
        cure = "relative paths start at the working directory"
        if folder is not None and Path(folder).is_dir():
            cure = f"{folder} must have the subfolders {' and '.join(f'`{band}`' for band in given)}"
        raise DataError("\n".join(f"{path}: no such folder" for path in missing) + f"\nhint: {cure}")
    return folders


def _scan(
    folders: Mapping[str, Path], suffix: Mapping[str, str]
) -> tuple[dict[str, dict[str, Path]], list[str], list[str]]:
    """The image files of each band by scene name; a line for each of no band; a line for each scene with two files.

    Hidden files, as some file managers leave them, do not count.
    """
    if folders["visible"] == folders["infrared"] and suffix["visible"] == suffix["infrared"]:
        raise ArgumentError("pairs: one folder for both bands needs two different `suffix`es")
    found: dict[str, dict[str, Path]] = {band: {} for band in folders}
    stray, twins = [], []
    for folder in dict.fromkeys(folders.values()):
        here = sorted((band for band in folders if folders[band] == folder), key=lambda band: -len(suffix[band]))
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            band = next((band for band in here if path.stem.endswith(suffix[band])), None)
            if band is None:
                ends = " or ".join(f"`{suffix[band]}`" for band in here)
                stray.append(f"{path}: the name does not end in {ends}\nhint: {LEAVE_OUT}")
                continue
            name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(suffix[band])
            if other := found[band].get(name):
                twins.append(f"{path}: the scene `{name}` has another {band} image, {other.name}")
            found[band][name] = path
    for band, files in found.items():
        if not files:
            named = f" whose names end in `{suffix[band]}`" if suffix[band] else ""
            raise DataError(f"{folders[band]}: no {band} images{named}\nhint: images are {', '.join(SUFFIXES)} files")
    return found, stray, twins


def _unmatched(found: Mapping[str, Mapping[str, Path]], folders: Mapping[str, Path]) -> list[str]:
    lines = []
    for band, other in (BANDS, BANDS[::-1]):
        for name in sorted(set(found[band]) - set(found[other]), key=natural):
            lines.append(f"{found[band][name]}: no {other} image of this name in {folders[other]}\nhint: {LEAVE_OUT}")
    return lines


def _headers(bands: Mapping[str, Files], names: Sequence[str]) -> tuple[dict[str, dict[str, Header]], list[str]]:
    """What the files of each band say of themselves, and a line for each that cannot be read."""

    headers: dict[str, dict[str, Header]] = {band: {} for band in bands}
    unreadable: list[str] = []
    for band, own in bands.items():
        for name in names:  # one after the other: threads are slower, unless the disk is very far away
            try:
                headers[band][name] = read_header(own.files[name])
            except ImageError as error:
                unreadable.append(str(error))
    return headers, unreadable


def _clashes(bands: Mapping[str, Files], headers: Mapping[str, Mapping[str, Header]]) -> list[str]:
    """A line for each file whose size differs from its partner's, or whose type is odd or has no scale."""
    lines = []
    visible, infrared = (headers[band] for band in BANDS)
    for name in visible.keys() & infrared.keys():
        one, other = visible[name], infrared[name]
        if (one.height, one.width) != (other.height, other.width):
            lines.append(
                f"{bands['infrared'].files[name]}: {other.height}x{other.width} pixels, "
                f"but {bands['visible'].files[name]} has {one.height}x{one.width}"
                "\nhint: the images of a scene must be aligned pixel by pixel: resample one of them"
            )
    lines.sort(key=natural)
    for band, own in bands.items():
        types = Counter(header.dtype for header in headers[band].values())
        if not types:
            continue
        usual = types.most_common(1)[0][0]
        for name, header in headers[band].items():
            if header.dtype != usual:
                lines.append(f"{own.files[name]}: {header.dtype} pixels, where most {band} images have {usual}")
        if own.range is None and usual not in (np.uint8, np.uint16):
            lines.append(
                f"{own.folder}: {usual} pixels have no full scale"
                f"\nhint: declare what becomes 0 and 1: `range: {{{band}: [LOW, HIGH]}}`"
            )
    return lines


def _colours(bands: Mapping[str, Files], headers: Mapping[str, Mapping[str, Header]]) -> list[str]:
    """A line for each colour file found in a band of one channel. Only some are decoded: it takes long."""
    lines = []
    for band, own in bands.items():
        coloured = [name for name, header in headers[band].items() if header.channels > own.channels]
        for name in coloured[:: max(1, len(coloured) // COLOUR_PROBES)]:
            try:
                own.decode(name)
            except ImageError as error:
                lines.append(str(error).replace("BAND", band))
    return lines


def _report(groups: Sequence[Sequence[str]], matched: int) -> None:
    """Raise one DataError for all the lines, if there are any: a few of each group in full, the rest as a number."""
    problems = [line for group in groups for line in group]
    if not problems:
        if not matched:
            raise DataError("no visible image has an infrared image of the same name")
        return
    text = [f"the data cannot be used, {len(problems)} file{'s are' if len(problems) > 1 else ' is'} at fault"]
    for group in groups:
        text += ["  " + line.split("\nhint: ")[0] for line in group[:SHOWN]]
        if len(group) > SHOWN:
            text.append(f"  and {len(group) - SHOWN} more like these")
    hints = dict.fromkeys(line.split("\nhint: ")[1] for line in problems if "\nhint: " in line)
    raise DataError("\n".join([*text, *(f"hint: {cure}" for cure in hints)]), problems)
