"""The source `kaist`: driving scenes by day and night, as videos."""

from dataclasses import replace
from typing import Literal

from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Unmatched, open_set
from crossband.recipes.data.layout import Layout
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import source
from crossband.registry import ArgumentError, FilePath, suggest

LINKS = (
    "as of November 2026, not verified here: users told in 2025 that the links of the authors' page no longer work, "
    "https://github.com/SoonminHwang/rgbt-ped-detection/issues/34. Copies by others are named in its issue 32; "
    "one is said to be incomplete: compare the counts of `crossband data check`"
)
DAY = ("set00", "set01", "set02", "set06", "set07", "set08")
NIGHT = ("set03", "set04", "set05", "set09", "set10", "set11")
SETS = {"all": (*DAY, *NIGHT), "day": DAY, "night": NIGHT}
BOXES = ("sanitized_annotations", "annotations-xml-new-sanitized", "annotations-xml-new", "annotations")


def labels(name: str) -> dict[str, str]:
    """Where and when a scene was filmed: the set names both."""
    place, video, _ = name.split("/")
    return {"subset": "day" if place in DAY else "night", "place": place, "video": f"{place}/{video}"}


LAYOUT = Layout(
    images={"visible": "*/*/visible/*", "infrared": "*/*/lwir/*"},
    folders=("set*/V*/visible", "set*/V*/lwir"),
    split={"train": {"from": "set00", "to": "set05"}, "test": {"from": "set06", "to": "set11"}},
    labels=labels,
    boxes=BOXES,
)


@source("kaist", cite="hwang2015kaist", links=LINKS)
def kaist(
    *,
    folder: FilePath,
    sets: Literal["all", "day", "night"] | list[str] = "all",
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] | None = None,
    boxes: FilePath | None = None,
) -> Pairs:
    """KAIST Multispectral Pedestrian: videos from a car by day and night, aligned, 640x512 (Hwang et al. 2015).

    Available from its authors: https://github.com/SoonminHwang/rgbt-ped-detection. `folder` has `set00` to `set11`, or
    some of them, as `set00/V000/visible/I00000.jpg` and `set00/V000/lwir/I00000.jpg`; scenes are called
    `set00/V000/I00000`. `sets` takes those filmed by `day` (00, 01, 02, 06, 07, 08) or by `night` (the others), or
    those in a list, for example `[set01]`; no file of the others is read.

    Its own split, used if there is no `split`, is by sets: 00 to 05 for training, 06 to 11 for testing.
    `split: {test: {every: 10, start: 9}}` tests on every tenth pair, as papers do with `sets: [set01]`: frames are
    neighbours, so a test image has near copies in the training set. Their 8,029 pairs become 7,227 and 802; the
    authors' list counts 8,035 frames.

    Labels of a scene are its `subset`, day or night, its `place`, such as `set03`, and its `video`. Boxes of `person`,
    `people`, `cyclist` and `person?` come from the first of these folders that is there: `sanitized_annotations` (Li et
    al. 2018; `set00_V000_I00000.txt`), `annotations-xml-new-sanitized`, `annotations-xml-new` (XML) and `annotations`
    (`set00/V000/I00000.txt`), as they are known from public code; or from `boxes`, as for `pairs`. Videos of boxes
    (`.vbb`, of MATLAB) are not read: Dollár's toolbox writes the text files of them.

    `range`, `outside`, `luminance` and `unmatched` are those of `pairs`. Raises DataError as `pairs` does, and for a
    folder with another layout.
    """
    chosen = SETS[sets] if isinstance(sets, str) else tuple(sets)
    for name in chosen:
        if name not in SETS["all"]:
            raise ArgumentError(f"kaist: `sets` has no `{name}`", hint=suggest(name, SETS["all"]))
    images = {band: pattern.replace("*", f"{{{','.join(chosen)}}}", 1) for band, pattern in LAYOUT.images.items()}
    reading = Reading(range, outside, luminance, unmatched)
    return open_set("kaist", folder, [replace(LAYOUT, images=images)], reading, split, boxes=boxes)
