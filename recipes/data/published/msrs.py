"""The source `msrs`: driving scenes by day and night."""

from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Unmatched, open_set
from crossband.recipes.data.layout import Layout
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import source
from crossband.registry import FilePath


def labels(name: str) -> dict[str, str]:
    """When a scene was filmed: its name ends in `D` or `N`."""
    subset = {"D": "day", "N": "night"}.get(name[-1:])
    return {"subset": subset} if subset else {}


LAYOUTS = (
    Layout(
        images={"visible": "{train,test}/vi/*", "infrared": "{train,test}/ir/*"},
        folders=("train/vi", "train/ir", "test/vi", "test/ir"),
        split={"train": {"under": "train"}, "test": {"under": "test"}},
        labels=labels,
    ),
    Layout(
        images={"visible": "visible/*", "infrared": "infrared/*"},
        folders=("visible", "infrared"),
        split={"test": {"from": "01186", "to": "01299"}},  # not published: the last block of ids, scenes of their own
        labels=labels,
    ),
)


@source("msrs", cite="tang2022piafusion", counts={"train": 1083, "test": 361})
def msrs(
    *,
    folder: FilePath,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] | None = None,
) -> Pairs:
    """MSRS: 1,444 aligned pairs of driving scenes, 715 by day (`D`) and 729 by night (`N`), 640x480 (Tang et al. 2022).

    Available from its authors: https://github.com/Linfeng-Tang/MSRS. `folder` is the unpacked folder, with `train/vi`,
    `train/ir`, `test/vi` and `test/ir`; scenes are called `train/00001D`. Its own split, used if there is no `split`,
    is that of the folders: 1,083 pairs for training and 361 for testing. They are frames of the same drives, about
    every fourth for testing, so test images have near copies in the training set.

    The label `subset` of a scene is `day` or `night`. A part of it in folders `visible` and `infrared`, as for `pairs`,
    is read too; ids from 01186 to 01299 are then for testing, a choice made here. `range`, `outside`, `luminance` and
    `unmatched` are those of `pairs`. Raises DataError as `pairs` does, and for a folder with another layout.
    """
    reading = Reading(range, outside, luminance, unmatched)
    return open_set("msrs", folder, LAYOUTS, reading, split)
