"""The source `roadscene`: road scenes aligned by hand."""

from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Unmatched, open_set
from crossband.recipes.data.layout import Layout
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import source
from crossband.registry import FilePath

LAST_DRIVE: dict[str, Rule] = {"test": {"from": "FLIR_08526", "to": "FLIR_09016"}}  # not published
LAYOUTS = tuple(
    Layout({"visible": f"{visible}/*", "infrared": f"{infrared}/*"}, (visible, infrared), LAST_DRIVE)
    for visible, infrared in (("crop_LR_visible", "cropinfrared"), ("visible", "infrared"))
)


@source("roadscene", cite="xu2020fusiondn", counts={"all": 221})
def roadscene(
    *,
    folder: FilePath,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] | None = None,
) -> Pairs:
    """RoadScene: 221 aligned pairs of road scenes of many sizes, about 500x330 (Xu et al. 2020).

    Available from its authors: https://github.com/hanna-xu/RoadScene. `folder` is the unpacked folder, with
    `crop_LR_visible`, whose images have the size of those in `cropinfrared`; or it has `visible` and `infrared`, as for
    `pairs`. Scenes are called `FLIR_00006`, as in the videos of FLIR that they are taken from. No split is published:
    if there is no `split`, `FLIR_08526` to `FLIR_09016` are for testing, a choice made here.

    `range`, `outside`, `luminance` and `unmatched` are those of `pairs`. Raises DataError as `pairs` does, and for a
    folder with another layout.
    """
    reading = Reading(range, outside, luminance, unmatched)
    return open_set("roadscene", folder, LAYOUTS, reading, split)
