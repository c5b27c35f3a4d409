"""The source `folders`: images of two bands that show different things, for unpaired training."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from crossband.graphs.language.document import RELATIVE
from crossband.recipes.data.aligned import BANDS, EMPTY, Outside, Pairs, Ranges, Reading, check_files
from crossband.recipes.data.layout import Layout, choose, scan
from crossband.recipes.kinds.source import DataError, source
from crossband.registry import ArgumentError, FilePath

TEST = Layout({"visible": "visible/**", "infrared": "infrared/**"}, ("visible", "infrared"), {})


@source("folders", pairing=("unpaired",))
def folders(
    *,
    visible: FilePath,
    infrared: FilePath,
    test: FilePath,
    channels: dict[str, Literal[1, 3]] = EMPTY,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
) -> Pairs:
    """Unpaired images: a folder for each band, with names and numbers of their own.

    - `visible` and `infrared` are the folders to train on. The bands are drawn independently of each other; an epoch
      goes through the larger folder once, and repeats the smaller one.
    - `test` is a folder of aligned pairs, in `visible` and `infrared` as for `pairs`: comparing a translation with
      its target takes images of one scene.
    - `channels`, `range`, `outside` and `luminance` are those of `pairs`.

    Scenes are called `visible/NAME`, `infrared/NAME` and `test/NAME`. Raises DataError as `pairs` does.
    """
    reading = Reading(range, outside, luminance, "error", channels)
    reading.check("folders")
    given = {"visible": Path(visible), "infrared": Path(infrared)}
    if given["visible"] == given["infrared"]:
        raise ArgumentError(
            "folders: `visible` and `infrared` are one folder", hint="give each band a folder of its own"
        )
    if missing := [path for path in given.values() if not path.is_dir()]:
        lines = "\n".join(f"{path}: no such folder" for path in missing)
        raise DataError(lines, hint=RELATIVE)
    choose("folder of aligned pairs", test, [TEST])
    parts = {
        "train": check_files(scan(given, dict.fromkeys(BANDS, "**")), reading, aligned=False),
        "test": check_files(scan(dict.fromkeys(BANDS, Path(test)), TEST.images), reading),
    }
    files, sizes = {}, {}
    names: dict[str, dict[str, list[str]]] = {part: {} for part in parts}
    for band in BANDS:
        paths: dict[str, Path] = {}
        for part, (bands, headers) in parts.items():
            scenes = {name: f"{band if part == 'train' else part}/{name}" for name in headers[band]}
            paths |= {scene: bands[band].files[name] for name, scene in scenes.items()}
            sizes |= {scenes[name]: (header.height, header.width) for name, header in headers[band].items()}
            names[part][band] = list(scenes.values())
        files[band] = replace(parts["train"][0][band], files=paths)
    splits = {part: by_band[BANDS[0]] for part, by_band in names.items()}
    return Pairs(files, sizes, splits, {"train": names["train"]})
