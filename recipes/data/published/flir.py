"""The source `flir`: driving scenes, the aligned part of FLIR's thermal data set."""

from dataclasses import replace
from pathlib import Path

from crossband.graphs.language.files import read_utf8
from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Unmatched, open_set
from crossband.recipes.data.layout import Layout
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import DataError, source
from crossband.registry import FilePath

LINKS = (
    "as of November 2026, not verified here: the page of FLIR's own data set has moved or is gone, as a user told in "
    "March 2026 (https://github.com/Zhao-Tian-yi/M2D-LIF/issues/13). The aligned part is "
    "where its first author put it: https://drive.google.com/file/d/1xHDMGl6HJZwtarNWkEV3T4O9X4ZQYz2Y/view, see "
    "https://github.com/CalayZhou/Multispectral-Pedestrian-Detection-Resource/issues/6"
)
LISTS = {"train": "align_train.txt", "test": "align_validation.txt"}
LAYOUT = Layout(
    images={"visible": "JPEGImages/*_RGB", "infrared": "JPEGImages/*_PreviewData"},
    folders=("JPEGImages",),
    split={},  # from LISTS
    boxes=("Annotations",),
)


@source(
    "flir",
    cite="zhang2020cyclic",
    counts={"train": 4129, "test": 1013},
    links=LINKS,
)
def flir(
    *,
    folder: FilePath,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] | None = None,
    boxes: FilePath | None = None,
) -> Pairs:
    """FLIR-aligned: 5,142 pairs of driving scenes, 640x512, an aligned part of FLIR ADAS (Zhang et al. 2020).

    FLIR's own data set, whose pairs are not aligned, is at https://www.flir.com/oem/adas/adas-dataset-form/; the
    aligned part comes with the publication. `folder` is the unpacked folder. It has the images in `JPEGImages`:
    `FLIR_00002_RGB.jpg` and `FLIR_00002_PreviewData.jpeg` are the scene `FLIR_00002`. It also has the lists of the
    data set's own split, used if there is no `split`: `align_train.txt`, 4,129 pairs, and `align_validation.txt`,
    1,013 pairs for testing, as counted by its users.

    Boxes come from `Annotations`, with VOC files such as `FLIR_00002_PreviewData.xml`, where that folder is there, or
    from `boxes`, as for `pairs`.

    `range`, `outside`, `luminance` and `unmatched` are those of `pairs`; the images are 8-bit pictures of the camera,
    not temperatures. Raises DataError as `pairs` does, and for a folder with another layout.
    """
    reading = Reading(range, outside, luminance, unmatched)
    lists = Path(folder, "JPEGImages").is_dir()
    layout = LAYOUT if split is not None or not lists else replace(LAYOUT, split=_lists(folder))
    return open_set("flir", folder, [layout], reading, split, boxes=boxes)


def _lists(folder: str) -> dict[str, Rule]:
    """The rules of the two lists. They name a scene, or its infrared image."""
    if missing := [name for name in LISTS.values() if not Path(folder, name).is_file()]:
        raise DataError(
            f"{folder}: no {' and no '.join(f'`{name}`' for name in missing)}, which list its splits",
            hint="name the scenes for testing: `split: {test: {last: 0.2}}`",
        )
    return {split: {"list": _names(Path(folder, name))} for split, name in LISTS.items()}


def _names(file: Path) -> list[str]:
    return [line.strip().removesuffix("_PreviewData") for line in read_utf8(file).splitlines() if line.strip()]
