"""The source `osu`: a university campus seen from a roof."""

from crossband.recipes.data.aligned import EMPTY, Outside, Pairs, Ranges, Reading, Unmatched, open_set
from crossband.recipes.data.layout import Layout
from crossband.recipes.data.splits import Rule
from crossband.recipes.kinds.source import source
from crossband.registry import FilePath

LINKS = "as of November 2026, not verified here: the papers that use it name no other address"
LAYOUT = Layout(
    images={"visible": "{1,2,3,4,5,6}b/*", "infrared": "{1,2,3,4,5,6}a/*"},
    folders=("[1-6]b", "[1-6]a"),
    split={"test": {"under": ["3", "6"]}},  # not published
)


@source("osu", cite="davis2007osu", links=LINKS)
def osu(
    *,
    folder: FilePath,
    range: Ranges = EMPTY,
    outside: Outside = "clip",
    luminance: bool = False,
    unmatched: Unmatched = "error",
    split: dict[str, Rule] | None = None,
) -> Pairs:
    """OSU Color-Thermal: six videos of two places on a campus, 320x240, set 03 of OTCBVS (Davis and Sharma 2007).

    Available from the OTCBVS Benchmark Dataset Collection: http://vcipl-okstate.org/pbvs/bench/. Unpack each archive
    into a folder of its own name: `folder` then has `1a` to `6a`, the thermal bitmaps of each sequence, and `1b` to
    `6b`, the colour ones; files with the same name in both are a scene, called `1/img_00001`. A few sequences suffice.

    No split is published: if there is no `split`, sequences 3 and 6 are for testing, a choice made here (1 to 3 seem
    to show one place, 4 to 6 the other). Frames of a video are near copies of their neighbours: with a split within a
    sequence, test images have near copies in the training set.

    `range`, `outside`, `luminance` and `unmatched` are those of `pairs`. Raises DataError as `pairs` does, and for a
    folder with another layout.
    """
    reading = Reading(range, outside, luminance, unmatched)
    return open_set("osu", folder, [LAYOUT], reading, split)
