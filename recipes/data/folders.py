"""The source `folders`: images of two bands that show different things, for unpaired training."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from crossband.graphs.language.document import RELATIVE
from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Told, check_band_names, check_files
from crossband.recipes.data.annotations import annotations
from crossband.recipes.data.formats import Header
from crossband.recipes.data.labels import labelling
from crossband.recipes.data.layout import Layout, choose, scan
from crossband.recipes.kinds.source import DataError, source
from crossband.registry import ArgumentError, FilePath


@source("folders", pairing=("unpaired",))
def folders(
    *,
    visible: FilePath | None = None,
    infrared: FilePath | None = None,
    bands: dict[str, FilePath] = EMPTY,
    test: FilePath,
    channels: dict[str, Literal[1, 3]] = EMPTY,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    boxes: FilePath | None = None,
    labels: list[str] | None = None,
    table: FilePath | None = None,
) -> Pairs:
    """Unpaired images: a folder for each band, with names and numbers of their own.

    - `visible` and `infrared` are the folders to train on; or `bands` has those of others or of more,
      `{visible: rgb, long: lwir}`. The bands are drawn independently of each other; an epoch goes through the largest
      folder once, and repeats the others.
    - `test` is a folder of aligned pairs, in subfolders called as the bands, as for `pairs`: comparing a translation
      with its target takes images of one scene.
    - `boxes`, `labels` and `table` tell of the aligned pairs what they do for `pairs`; the folders that `labels` names
      begin inside of those of the bands.
    - `channels`, `range`, `outside` and `luminance` are those of `pairs`.

    Scenes are called `visible/NAME`, `infrared/NAME` and `test/NAME`. Raises DataError as `pairs` does.
    """
    reading = Reading(range, outside, luminance, "error", channels)
    given = _folders(bands, visible, infrared)
    reading.check("folders", given)
    if missing := [path for path in given.values() if not path.is_dir()]:
        lines = "\n".join(f"{path}: no such folder" for path in missing)
        raise DataError(lines, hint=RELATIVE)
    layout = Layout({band: f"{band}/**" for band in given}, tuple(given), {})
    choose("folder of aligned pairs", test, [layout])
    parts = {
        "train": check_files(scan(given, dict.fromkeys(given, "**")), reading, aligned=False),
        "test": check_files(scan(dict.fromkeys(given, Path(test)), layout.images), reading),
    }
    files, sizes = {}, {}
    names: dict[str, dict[str, list[str]]] = {part: {} for part in parts}
    for band in given:
        paths, known = dict[str, Path](), dict[str, Header]()
        for part, (own, headers) in parts.items():
            scenes = {name: f"{band if part == 'train' else part}/{name}" for name in headers[band]}
            paths |= {scene: own[band].files[name] for name, scene in scenes.items()}
            known |= {scenes[name]: header for name, header in headers[band].items()}
            names[part][band] = list(scenes.values())
        files[band] = replace(parts["train"][0][band], files=paths, headers=known)
        sizes |= {scene: (header.height, header.width) for scene, header in known.items()}
    splits = {part: by_band[next(iter(given))] for part, by_band in names.items()}
    tested = {band: {name: files[band].files[name] for name in own} for band, own in names["test"].items()}
    told = Told(  # the name of a tested scene begins with `test/`
        labelling("folders", ["_", *(labels or ())], table), annotations("folders", boxes, tested)
    )
    return Pairs(files, sizes, splits, {"train": names["train"]}, told)


def _folders(bands: Mapping[str, str], visible: str | None, infrared: str | None) -> dict[str, Path]:
    """The folder of each band. Raises ArgumentError where there is not one for each."""
    usual = {"visible": visible, "infrared": infrared}
    if bool(bands) == any(usual.values()) or not (bands or all(usual.values())):
        raise ArgumentError("folders: needs either both `visible` and `infrared`, or `bands`")
    given = {band: Path(path) for band, path in (bands or usual).items() if path is not None}
    check_band_names("folders", given)
    for (one, folder), (other, path) in itertools.combinations(given.items(), 2):
        if folder == path:
            message = f"folders: `{one}` and `{other}` are one folder"
            raise ArgumentError(message, hint="give each band a folder of its own")
    return given
