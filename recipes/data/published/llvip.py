"""The source `llvip`: street scenes at night, seen from above."""

from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Unmatched, open_set
from crossband.recipes.data.layout import Layout
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import source
from crossband.registry import FilePath

LAYOUT = Layout(
    images={"visible": "visible/{train,test}/*", "infrared": "infrared/{train,test}/*"},
    folders=("visible/train", "visible/test", "infrared/train", "infrared/test"),
    split={"train": {"under": "train"}, "test": {"under": "test"}},
    boxes=("Annotations",),
)


@source("llvip", cite="jia2021llvip", counts={"train": 12025, "test": 3463})
def llvip(
    *,
    folder: FilePath,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] | None = None,
    boxes: FilePath | None = None,
) -> Pairs:
    """LLVIP: 15,488 aligned pairs of street scenes, most of them at night, 1280x1024 (Jia et al. 2021).

    Available from its authors: https://bupt-ai-cz.github.io/LLVIP/. `folder` is the unpacked folder, with
    `visible/train`, `visible/test`, `infrared/train` and `infrared/test`; scenes are called `train/010001`. Its own
    split, used if there is no `split`, is that of the folders: 12,025 pairs for training and 3,463 for testing,
    according to copies of its readme. Nothing here depends on these numbers.

    Boxes of `person` come from `Annotations`, with VOC files such as `010001.xml`, where that folder is there, or from
    `boxes`, as for `pairs`.

    `range`, `outside`, `luminance` and `unmatched` are those of `pairs`. Raises DataError as `pairs` does, and for a
    folder with another layout.
    """
    reading = Reading(range, outside, luminance, unmatched)
    return open_set("llvip", folder, [LAYOUT], reading, split, boxes=boxes)
