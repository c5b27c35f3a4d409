"""Aligned image files as a source: the code that sources on disk share, and the checks of every file."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from einops import rearrange

from crossband.recipes.basics.colour import grey_pixels
from crossband.recipes.data.annotations import Annotations, annotations
from crossband.recipes.data.formats import Header, ImageError
from crossband.recipes.data.images import file_hash, read_header, read_image
from crossband.recipes.data.labels import Labelling, unlabelled
from crossband.recipes.data.layout import LEAVE_OUT, Found, Layout, choose, scan
from crossband.recipes.data.naming import proposed
from crossband.recipes.data.splits import Rule, divide, natural
from crossband.recipes.kinds.source import CHANNELS, Band, Box, DataError, Source
from crossband.registry import ArgumentError, CrossbandError, suggest

Ranges = dict[str, tuple[float, float]]
Outside = Literal["clip", "refuse"]
Unmatched = Literal["error", "ignore"]
BANDS = tuple(CHANNELS)
EMPTY: dict[str, Any] = {}
_left_out: ContextVar[list[CrossbandError] | None] = ContextVar("left_out", default=None)
COLOUR_PROBES = 8  # how many colour files of a one-channel band are decoded before training


class ColourImage(ImageError):
    """An image has colour, where its band has one channel."""


@dataclass(frozen=True)
class Reading:
    """Parameters that sources share: the meaning of the numbers in files, and the treatment of odd ones.

    `pairs` documents them.
    """

    range: Ranges
    outside: Outside
    luminance: bool
    unmatched: Unmatched
    channels: Mapping[str, Literal[1, 3]] = field(default_factory=dict)

    def check(self, name: str, bands: Collection[str] = BANDS) -> None:
        """Raise ArgumentError, naming the source, for an unknown band or an empty range."""
        for parameter, given in (("channels", self.channels), ("range", self.range)):
            check_bands(name, parameter, given, bands)
        for band, (low, high) in self.range.items():
            if low == high or not np.isfinite([low, high]).all():
                raise ArgumentError(
                    f"{name}: `range` of {band} must be two different finite numbers, got [{low}, {high}]"
                )
        if self.outside == "refuse" and not self.range:
            raise ArgumentError(f"{name}: `outside` needs a `range`", hint="add `range: {infrared: [LOW, HIGH]}`")


@dataclass(frozen=True)
class Files:
    """One band on disk: its files by scene name, and the meaning of their numbers."""

    folder: Path
    files: Mapping[str, Path]
    channels: int
    range: tuple[float, float] | None
    outside: Outside
    luminance: bool
    pixels: str = ""  # the type of most files, once their headers are read
    headers: Mapping[str, Header] = field(default_factory=dict)  # by scene: a file with another is not read

    @property
    def band(self) -> Band:
        """What a source says of it."""
        return Band(self.channels, self.pixels, self.luminance)

    def raw(self, name: str) -> np.ndarray:
        """The image of a scene in the units of its file, `c h w`. Raises ChangedImage where it is another by now."""
        path = self.files[name]
        pixels = read_image(path, self.headers.get(name))
        if not np.isfinite(pixels).all():
            raise ImageError(f"{path}: has pixels that are not finite", hint="replace the file or take it out")
        return np.ascontiguousarray(rearrange(self._to_channels(path, pixels), "h w c -> c h w"))

    def decode(self, name: str) -> np.ndarray:
        """The image of a scene as Source.read promises: `c h w`, integers at full scale or float32 in [0, 1]."""
        array = self.raw(name)
        return array if self.range is None else self._to_unit(self.files[name], array, self.range)

    def fingerprint(self, name: str) -> bytes:
        """A hash of the file, with the meaning of its numbers. Raises ImageError if it cannot be read, or changed."""
        meaning = repr((self.channels, self.range, self.outside, self.luminance)).encode()
        return file_hash(self.files[name], self.headers.get(name)) + meaning

    def _to_unit(self, path: Path, array: np.ndarray, range: tuple[float, float]) -> np.ndarray:
        low, high = range
        if self.outside == "refuse" and (array.min() < min(range) or array.max() > max(range)):
            raise ImageError(
                f"{path}: has values from {array.min():g} to {array.max():g}, outside of `range` [{low:g}, {high:g}]",
                hint="make `range` wider, or say `outside: clip`",
            )
        return ((array.astype(np.float64) - low) / (high - low)).clip(0, 1).astype(np.float32)

    def _to_channels(self, path: Path, array: np.ndarray) -> np.ndarray:
        found = array.shape[2]
        if found == self.channels:
            return array
        if found == 1:
            return array.repeat(3, axis=2)
        if (array == array[..., :1]).all():  # grey saved as colour
            return array[..., :1]
        if not self.luminance:
            raise ColourImage(
                f"{path}: a colour image in a band of 1 channel",
                hint="`channels: {BAND: 3}` keeps the colour, `luminance: true` makes it grey",
            )
        return grey_pixels(array)


@dataclass(frozen=True)
class Told:
    """What a source tells of its scenes beside their images: labels, and boxes where there are annotations."""

    labels: Labelling = unlabelled
    boxes: Annotations | None = None


NOTHING = Told()


class Pairs(Source):
    """Scenes read from files that were checked before. `open_pairs` makes one."""

    def __init__(
        self,
        files: Mapping[str, Files],
        sizes: Mapping[str, tuple[int, int]],
        splits: Mapping[str, Sequence[str]],
        unpaired: Mapping[str, Mapping[str, Sequence[str]]] = EMPTY,
        told: Told = NOTHING,
    ) -> None:
        self.bands = {band: found.band for band, found in files.items()}
        self.splits, self.unpaired = splits, unpaired
        self._files = files
        self._sizes = sizes
        self._told = told

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises. Raises ImageError, naming the file, if one cannot be used."""
        return {band: self._files[band].decode(name) for band in (self.bands if bands is None else bands)}

    def raw(self, name: str, band: str) -> np.ndarray:
        """The image `c h w` of a band in the units of its file. Raises ImageError as `read` does."""
        return self._files[band].raw(name)

    def file(self, name: str, band: str) -> Path:
        """The file of an image."""
        return self._files[band].files[name]

    def size(self, name: str) -> tuple[int, int]:
        """Height and width, from the headers of the files."""
        return self._sizes[name]

    def fingerprint(self, name: str, band: str) -> bytes:
        """A hash of the file, with the meaning of its numbers. Raises ImageError if it cannot be read."""
        return self._files[band].fingerprint(name)

    def labels(self, name: str) -> Mapping[str, str]:
        """What its folders, its name or a table say of a scene. Raises DataError, naming the line of the table."""
        return self._told.labels(name)

    def boxes(self, name: str) -> Sequence[Box] | None:
        """The boxes of the annotations, if there are any. Raises DataError, naming file and line."""
        return None if self._told.boxes is None else self._told.boxes.of(name, self.size(name))


def open_set(
    name: str,
    folder: str,
    layouts: Sequence[Layout],
    reading: Reading,
    split: Mapping[str, Rule] | None,
    *,
    boxes: str | None = None,
) -> Pairs:
    """Open a published data set in a folder that has one of the layouts. The layout has its own splits and labels.

    `boxes` is where its annotations are, if not where the layout has them. Raises ArgumentError, naming the source
    `name`, and DataError for a wrong folder and as `open_pairs` does. With `split: {}` all scenes are in `train`.
    """
    reading.check(name)
    layout = choose(f"`{name}` data", folder, layouts)
    found = scan({band: Path(folder) for band in layout.images}, layout.images)
    own = next((str(place) for each in layout.boxes if (place := Path(folder, each)).is_dir()), None)
    told = Told(layout.labels, annotations(name, boxes or own, found.files))
    return open_pairs(replace(found, stray=()), reading, layout.split if split is None else split, told)


def open_pairs(found: Found, reading: Reading, split: Mapping[str, Rule], told: Told = NOTHING) -> Pairs:
    """Open the scenes that have a file in every band. Raises DataError that names every file at fault."""
    bands, headers = check_files(found, reading)
    sizes = {name: (header.height, header.width) for name, header in headers[next(iter(bands))].items()}
    return Pairs(bands, sizes, divide(list(sizes), split), told=told)


def check_files(
    found: Found, reading: Reading, *, aligned: bool = True
) -> tuple[dict[str, Files], dict[str, dict[str, Header]]]:
    """The files and the headers of files, both by band. Raises DataError that names every file at fault.

    If scenes are `aligned`, every image needs a partner of the same size, and files without one have no header here.
    Where no file has one, the error says by which `names` they would have.
    """
    bands = {band: _files(found, band, reading) for band in found.files}
    names = {band: sorted(files, key=lambda name: (natural(name), name)) for band, files in found.files.items()}
    lonely: list[CrossbandError] = []
    if aligned:
        shared = set.intersection(*(set(files) for files in found.files.values()))
        if not shared:
            raise no_scene(found)
        lonely = [*found.stray, *_unmatched(found)] if reading.unmatched == "error" else []
        names = {band: [name for name in ordered if name in shared] for band, ordered in names.items()}
    headers, unreadable = _headers(bands, names)
    bands = {band: replace(own, pixels=_usual(headers[band]), headers=headers[band]) for band, own in bands.items()}
    clashes = [*(_misaligned(bands, headers) if aligned else ()), *_types(bands, headers)]
    groups = [found.nameless, found.twins, lonely, unreadable, clashes, _colours(bands, headers)]
    if (left_out := _left_out.get()) is not None and (sound := _sound(bands, headers, aligned=aligned)):
        left_out += itertools.chain(*groups[:-1])
        return {band: replace(own, headers=sound[band]) for band, own in bands.items()}, sound
    if count := sum(map(len, groups)):
        files = "1 file is" if count == 1 else f"{count} files are"
        raise DataError.gathered(f"the data cannot be used, {files} at fault", *groups)
    return bands, headers


@contextmanager
def leaving_out() -> Iterator[list[CrossbandError]]:
    """Open sources without the scenes whose files are at fault; the faults are in the list that is given."""
    faults: list[CrossbandError] = []
    token = _left_out.set(faults)
    try:
        yield faults
    finally:
        _left_out.reset(token)


def _sound(
    bands: Mapping[str, Files], headers: Mapping[str, Mapping[str, Header]], *, aligned: bool
) -> dict[str, dict[str, Header]]:
    """The headers of scenes that are whole, with files of one size, of the usual type; empty where a band has none."""
    sound = {
        band: {name: header for name, header in headers[band].items() if header.dtype == own.pixels}
        for band, own in bands.items()
    }
    if aligned:
        first, *others = sound.values()
        shape = {name: (header.height, header.width) for name, header in first.items()}
        whole = [
            name
            for name in first
            if all(name in own and (own[name].height, own[name].width) == shape[name] for own in others)
        ]
        sound = {band: {name: own[name] for name in whole} for band, own in sound.items()}
    return sound if all(sound.values()) else {}


def _files(found: Found, band: str, reading: Reading) -> Files:
    range = reading.range.get(band)
    return Files(
        found.folders[band],
        found.files[band],
        reading.channels.get(band, CHANNELS.get(band, 1)),
        None if range is None else (float(range[0]), float(range[1])),  # YAML gives a list
        reading.outside,
        reading.luminance,
    )


def check_bands(source: str, parameter: str, given: Mapping[str, object], bands: Collection[str] = BANDS) -> None:
    """Raise ArgumentError if a mapping by band names an unknown band."""
    for band in given:
        if band not in bands:
            raise ArgumentError(f"{source}: `{parameter}` has no band `{band}`", hint=suggest(band, bands))


def check_band_names(source: str, bands: Collection[str]) -> None:
    """Raise ArgumentError where bands cannot be called so in a flow, or are fewer than two."""
    for band in bands:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", band) or band in ("source", "target"):
            hint = "a name has letters, digits and `_`; `source` and `target` stand for the bands of the task"
            raise ArgumentError(f"{source}: a band cannot be called `{band}`", hint=hint)
    if len({*bands}) < 2 or len({*bands}) < len(bands):
        raise ArgumentError(f"{source}: `bands` are two or more, each named once, got {', '.join(bands)}")


def _headers(
    bands: Mapping[str, Files], names: Mapping[str, Sequence[str]]
) -> tuple[dict[str, dict[str, Header]], list[CrossbandError]]:
    """The headers of the files of each band, and an error for each file that cannot be read."""
    headers: dict[str, dict[str, Header]] = {band: {} for band in bands}
    unreadable: list[CrossbandError] = []
    for band, own in bands.items():
        for name in names[band]:  # one after the other: threads are slower, unless the disk is very far away
            try:
                headers[band][name] = read_header(own.files[name])
            except ImageError as error:
                unreadable.append(error)
    return headers, unreadable


def no_scene(found: Found) -> DataError:
    """The error for bands that have no name in common, with the patterns by which they would have."""
    paths = {
        band: [path.relative_to(found.folders[band]).with_suffix("").as_posix() for path in files.values()]
        for band, files in found.files.items()
    }
    first, *others = (
        f"`{min(files.values(), key=lambda path: natural(path.name)).name}`" for files in found.files.values()
    )
    one, *rest = found.files
    message = f"no {', '.join([one, *rest[:-1]])} and {rest[-1]} image have one name"
    written = ", ".join(f'{band}: "{pattern}"' for band, pattern in proposed(paths).items())
    hint = (
        f"say how they are named: `names: {{{written}}}`"
        if written
        else f'such as `names: {{{rest[0]}: "ir_{{name}}"}}`'
    )
    return DataError(f"{message}: {first} beside {', '.join(others)}", hint=hint)


def _unmatched(found: Found) -> list[CrossbandError]:
    """An error for each file and each other band that has none of its name."""
    lines: list[CrossbandError] = []
    for band, other in itertools.permutations(found.files, 2):
        for name in sorted(set(found.files[band]) - set(found.files[other]), key=natural):
            path, there = found.files[band][name], found.folders[other]
            lines.append(DataError(f"{path}: no {other} image of this name in {there}", hint=LEAVE_OUT))
    return lines


def _misaligned(bands: Mapping[str, Files], headers: Mapping[str, Mapping[str, Header]]) -> list[CrossbandError]:
    """An error for each file whose size differs from that of the first band."""
    lines: list[CrossbandError] = []
    first, *others = bands
    for band in others:
        for name in headers[first].keys() & headers[band].keys():
            one, other = headers[first][name], headers[band][name]
            if (one.height, one.width) != (other.height, other.width):
                sizes = (
                    f"{bands[band].files[name]}: {other.height}x{other.width} pixels, "
                    f"but {bands[first].files[name]} has {one.height}x{one.width}"
                )
                hint = "the images of a scene must be aligned pixel by pixel: resample one of them"
                lines.append(DataError(sizes, hint=hint))
    return sorted(lines, key=lambda line: natural(line.message))


def _usual(headers: Mapping[str, Header]) -> str:
    """The type of the pixels in most files; empty where there is none."""
    types = Counter(str(header.dtype) for header in headers.values())
    return types.most_common(1)[0][0] if types else ""


def _types(bands: Mapping[str, Files], headers: Mapping[str, Mapping[str, Header]]) -> list[CrossbandError]:
    """An error for each file whose type differs from most others, and for each band whose type has no full scale."""
    lines: list[CrossbandError] = []
    for band, own in bands.items():
        for name, header in headers[band].items():
            if header.dtype != own.pixels:
                odd = f"{own.files[name]}: {header.dtype} pixels, where most {band} images have {own.pixels}"
                lines.append(DataError(odd))
        if own.range is None and own.pixels not in ("", "uint8", "uint16"):
            hint = f"declare what becomes 0 and 1: `range: {{{band}: [LOW, HIGH]}}`"
            lines.append(DataError(f"{own.folder}: {own.pixels} pixels have no full scale", hint=hint))
    return lines


def _colours(bands: Mapping[str, Files], headers: Mapping[str, Mapping[str, Header]]) -> list[CrossbandError]:
    """An error for each colour file found in a band of one channel. Only some are decoded, since that takes long."""
    lines: list[CrossbandError] = []
    for band, own in bands.items():
        coloured = [name for name, header in headers[band].items() if header.channels > own.channels]
        for name in coloured[:: max(1, len(coloured) // COLOUR_PROBES)]:
            try:
                own.decode(name)
            except ImageError as error:
                lines.append(ImageError(error.message, hint=error.hint and error.hint.replace("BAND", band)))
    return lines
