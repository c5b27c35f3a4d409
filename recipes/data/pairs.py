"""The source `pairs`: aligned images in two folders, matched by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from crossband.graphs.language.document import RELATIVE
from crossband.recipes.data.aligned import (
    BANDS,
    EMPTY,
    Outside,
    Pairs,
    Ranges,
    Reading,
    Unmatched,
    check_bands,
    open_pairs,
)
from crossband.recipes.data.layout import Found, scan
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import DataError, source
from crossband.registry import ArgumentError, FilePath

LAST_TENTH: dict[str, Rule] = {"test": {"last": 0.1}}


@source("pairs")
def pairs(
    *,
    folder: FilePath | None = None,
    visible: FilePath | None = None,
    infrared: FilePath | None = None,
    suffix: dict[str, str] = EMPTY,
    channels: dict[str, Literal[1, 3]] = EMPTY,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] = LAST_TENTH,
) -> Pairs:
    """Aligned images in two folders, matched by name: PNG, TIFF, JPEG or BMP; 8 or 16 bits, or float.

    - `folder` has the subfolders `visible` and `infrared`; or give the folders `visible` and `infrared` themselves.
      The name of a scene is the path of its images in these folders without the ending: `a.jpg` matches `a.png`.
    - `suffix: {visible: _vis, infrared: _ir}` matches `a_vis.png` with `a_ir.png`; the two folders may then be one.
    - `channels` is `{visible: 3, infrared: 1}` unless given. A grey file of a colour band is repeated. A colour file of
      a grey band must have three equal channels, or `luminance: true` reduces it by Rec. 601.
    - `range: {infrared: [0, 16383]}` are the values that become 0 and 1 (put the higher first to invert), in the
      units of the file: counts of the sensor (14 bits: 0 to 16383), hundredths of a kelvin (`[27315, 32315]` is 0 to
      50 degrees Celsius), kelvin in a float TIFF. Without it uint8 and uint16 use their full scale; others need it.
    - `outside: refuse` makes values outside of `range` an error that names the file; they are clipped otherwise.
    - `unmatched: ignore` leaves out scenes that lack an image.
    - `split` has a rule for each split, as in `crossband.recipes.data.splits`; the last tenth is `test` unless given.

    Every file is checked first, by its header: DataError names all that lack their partner, cannot be read, or
    differ in size from their partner or in type from most files of their band. ArgumentError on wrong parameters.
    """
    check_bands("pairs", "suffix", suffix)
    reading = Reading(range, outside, luminance, unmatched, channels)
    reading.check("pairs")
    folders = _folders(folder, {"visible": visible, "infrared": infrared})
    return open_pairs(_scan(folders, suffix), reading, split)


def _folders(folder: str | None, given: Mapping[str, str | None]) -> dict[str, Path]:
    """The folder of each band. Raises DataError if one does not exist."""
    single = {band: path for band, path in given.items() if path is not None}
    if (folder is None) == (not single) or (folder is None and len(single) != len(given)):
        raise ArgumentError("pairs: needs either `folder`, or both `visible` and `infrared`")
    folders = {band: Path(single[band]) if folder is None else Path(folder, band) for band in given}
    missing = [path for path in dict.fromkeys(folders.values()) if not path.is_dir()]
    if missing:
        hint = RELATIVE
        if folder is not None and Path(folder).is_dir():
            hint = f"{folder} must have the subfolders {' and '.join(f'`{band}`' for band in given)}"
        raise DataError("\n".join(f"{path}: no such folder" for path in missing), hint=hint)
    return folders


def _scan(folders: Mapping[str, Path], suffix: Mapping[str, str]) -> Found:
    images = {band: f"**{suffix.get(band, '')}" for band in BANDS}
    if folders["visible"] == folders["infrared"] and images["visible"] == images["infrared"]:
        raise ArgumentError("pairs: one folder for both bands needs two different `suffix`es")
    return scan(folders, images)
