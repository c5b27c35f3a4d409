"""The source `pairs`: aligned images in two folders, matched by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from crossband.graphs.language.document import RELATIVE
from crossband.recipes.data.aligned import (
    EMPTY,
    Outside,
    Pairs,
    Ranges,
    Reading,
    Told,
    Unmatched,
    check_band_names,
    check_bands,
    open_pairs,
)
from crossband.recipes.data.annotations import annotations
from crossband.recipes.data.labels import labelling
from crossband.recipes.data.layout import Found, scan
from crossband.recipes.data.naming import check_names
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import DataError, source
from crossband.registry import ArgumentError, FilePath, near

FEW = 6  # subfolders that a hint lists
LAST_TENTH: dict[str, Rule] = {"test": {"last": 0.1}}


@source("pairs")
def pairs(
    *,
    folder: FilePath | None = None,
    visible: FilePath | None = None,
    infrared: FilePath | None = None,
    bands: list[str] | dict[str, FilePath] | None = None,
    names: dict[str, str] = EMPTY,
    suffix: dict[str, str] = EMPTY,
    channels: dict[str, Literal[1, 3]] = EMPTY,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] = LAST_TENTH,
    boxes: FilePath | None = None,
    labels: list[str] | None = None,
    table: FilePath | None = None,
) -> Pairs:
    """Aligned images in a folder for each band, matched by name: PNG, TIFF, JPEG or BMP; 8 or 16 bits, or float.

    - `folder` has the subfolders `visible` and `infrared`; or give the folders `visible` and `infrared` themselves.
      The name of a scene is the path of its images in these folders without the ending: `a.jpg` matches `a.png`.
    - `bands: [visible, near, long]` names other bands, or more: `folder` has their subfolders; or `bands` has the
      folder of each, `{visible: rgb, near: nir, long: lwir}`.
    - `names: {infrared: "ir_{name}"}` matches `ir_a.png` with `a.png`: `{name}` is what the names of a scene have in
      common, `*` any other text. A pattern with a `/` is of the path in the folder, any other of the file alone.
    - `suffix: {visible: _vis, infrared: _ir}` matches `a_vis.png` with `a_ir.png`, as `names: {visible: "{name}_vis",
      infrared: "{name}_ir"}` does. The folders may then be one.
    - `channels` is 3 of `visible` and 1 of any other band unless given, `{infrared: 3}`. A grey file of a colour band
      is repeated. A colour file of a grey band must have three equal channels, or `luminance: true` reduces it by
      Rec. 601.
    - `range: {infrared: [0, 16383]}` are the values that become 0 and 1 (put the higher first to invert), in the
      units of the file: counts of the sensor (14 bits: 0 to 16383), hundredths of a kelvin (`[27315, 32315]` is 0 to
      50 degrees Celsius), kelvin in a float TIFF. Without it uint8 and uint16 use their full scale; others need it.
    - `outside: refuse` makes values outside of `range` an error that names the file; they are clipped otherwise.
    - `unmatched: ignore` leaves out scenes that lack an image.
    - `split` has a rule for each split, as in `crossband.recipes.data.splits`; the last tenth is `test` unless given.
    - `boxes` is a COCO file, `boxes.json`, or a folder with a VOC file (`.xml`) for each image or a text file of
      `LABEL LEFT TOP WIDTH HEIGHT`, called as the scene or as one of its images. It may be the folder of the images.
    - `labels: [place, subset]` names the folders that a scene lies in: `set03/night/0001` has the place `set03` and the
      subset `night`; `_` skips one. `table: scenes.csv` has a line for each scene: its name in the column `scene`, a
      label in every other one. `crossband evaluate --by subset` divides its figures by them.

    Every file is checked first, by its header: DataError names all that lack their partner, cannot be read, or
    differ in size from their partner or in type from most files of their band. ArgumentError on wrong parameters.
    """
    given: dict[str, str | None] = {"visible": visible, "infrared": infrared}
    if bands is not None:
        check_band_names("pairs", bands)
        if any(given.values()):
            raise ArgumentError("pairs: `bands` has the folder of every band: leave out `visible` and `infrared`")
        given = dict(bands) if isinstance(bands, Mapping) else dict.fromkeys(bands)
    for parameter, by_band in (("suffix", suffix), ("names", names)):
        check_bands("pairs", parameter, by_band, given)
    check_names("pairs", names)
    reading = Reading(range, outside, luminance, unmatched, channels)
    reading.check("pairs", given)
    found = _scan(_folders(folder, given), names, suffix)
    told = Told(labelling("pairs", labels or (), table), annotations("pairs", boxes, found.files))
    return open_pairs(found, reading, split, told)


def _folders(folder: str | None, given: Mapping[str, str | None]) -> dict[str, Path]:
    """The folder of each band. Raises DataError if one does not exist."""
    single = {band: path for band, path in given.items() if path is not None}
    if (folder is None) == (not single) or (folder is None and len(single) != len(given)):
        every = " and ".join(f"`{band}`" for band in given)
        raise ArgumentError(f"pairs: needs either `folder`, or {'both ' if len(given) == 2 else ''}{every}")
    folders = {band: Path(single[band]) if folder is None else Path(folder, band) for band in given}
    missing = [path for path in dict.fromkeys(folders.values()) if not path.is_dir()]
    if missing:
        hint = RELATIVE if folder is None or not Path(folder).is_dir() else _renamed(Path(folder), missing, given)
        raise DataError("\n".join(f"{path}: no such folder" for path in missing), hint=hint)
    return folders


def _renamed(folder: Path, missing: Sequence[Path], bands: Mapping[str, object]) -> str:
    """The hint for a folder without some subfolders: what there is in their place."""
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in bands)
    alike = {path.name: near(path.name, others) for path in missing}
    if all(alike.values()):
        return ", ".join(f"rename `{there[0]}` to `{band}`" for band, there in alike.items())
    hint = f"{folder} must have the subfolders {' and '.join(f'`{band}`' for band in bands)}"
    return hint + (f", it has {', '.join(f'`{name}`' for name in others[:FEW])}" if others else "")


def _scan(folders: Mapping[str, Path], names: Mapping[str, str], suffix: Mapping[str, str]) -> Found:
    if both := [band for band in names if band in suffix]:
        raise ArgumentError(f"pairs: {both[0]} has `names` and `suffix`", hint="`names` alone says it")
    images = {band: names.get(band, f"**{suffix.get(band, '')}") for band in folders}
    if len({*zip(folders.values(), images.values(), strict=True)}) < len(folders):
        several = "both bands needs two" if len(folders) == 2 else "several bands needs"
        raise ArgumentError(f"pairs: one folder for {several} different `suffix`es", hint="or `names`")
    return scan(folders, images)
