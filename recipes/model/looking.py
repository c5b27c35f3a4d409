"""What a source tells of the scenes that are measured: the boxes to look inside of, the labels to divide them by."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from crossband.recipes.data.loader import Scenes
from crossband.recipes.data.splits import natural
from crossband.recipes.kinds.source import Box, DataError
from crossband.recipes.metrics.regions import mask_of
from crossband.registry import suggest

LISTED = 20  # labels that a message lists
NO_BOXES = "these images tell of no boxes"
WITH_BOXES = (
    "`pairs` takes them from `boxes: FILE.json` (COCO) or a folder (VOC), `llvip` and others from their release"
)
WITH_LABELS = "`pairs` takes them from `labels: [subset]`, the names of folders, or from `table: scenes.csv`"


@dataclass(frozen=True)
class Looked:
    """The boxes of some labels in each scene, as they are in its images after loading; `notes` are what to know."""

    boxes: Mapping[str, Sequence[Box]]
    notes: tuple[str, ...] = ()

    def mask(self, name: str, height: int, width: int) -> Tensor:
        """Where the boxes of a scene are, `1 1 h w`."""
        return mask_of(self.boxes.get(name, ()), height, width)


def look_inside(scenes: Scenes, names: Iterable[str], labels: Sequence[str]) -> Looked:
    """The boxes of these labels in scenes, cut at the edges of their images.

    Raises DataError where there are no boxes, and where none of them has one of the labels: it says which there are.
    """
    found: dict[str, list[Box]] = {}
    known, seen = Counter[str](), Counter[str]()  # the labels of boxes; images and odd boxes
    for name in names:
        seen["images"] += 1
        if (told := scenes.source.boxes(name)) is None:
            seen["untold"] += 1
            continue
        known.update(box.label for box in told)
        height, width = scenes.source.size(name)
        wanted = [box for box in told if box.label in labels]
        outside = sum(box.clipped(height, width) is None for box in wanted)
        seen["outside"] += outside
        seen["cut"] += sum(_leaves(box, height, width) for box in wanted) - outside
        found[name] = boxes_of(scenes, name, labels)
    if not known:
        raise DataError(NO_BOXES, hint=WITH_BOXES)
    for label in labels:
        if label not in known:
            listed = ", ".join(f"`{name}` ({times:,})" for name, times in known.most_common(LISTED))
            raise DataError(f"no box of these images is called `{label}`", hint=f"there are {listed}")
    return Looked(found, tuple(_notes(labels, found, seen)))


def boxes_of(scenes: Scenes, name: str, labels: Sequence[str]) -> list[Box]:
    """The boxes of these labels in a scene, as they are in what is seen of it after loading, cut at its edges."""
    size, geometry = scenes.source.size(name), scenes.geometry
    whole = (box.clipped(*size) for box in scenes.source.boxes(name) or () if box.label in labels)
    moved = geometry.boxes([box for box in whole if box], size)
    seen = geometry.window or geometry.loaded(*size)
    return [part for box in moved if (part := box.clipped(*seen))]


def _leaves(box: Box, height: int, width: int) -> bool:
    return box.x < 0 or box.y < 0 or box.x + box.width > width or box.y + box.height > height


def _notes(labels: Sequence[str], found: Mapping[str, Sequence[Box]], seen: Mapping[str, int]) -> list[str]:
    """How many images and boxes there are, and what became of odd ones."""
    total, within = sum(map(len, found.values())), sum(map(bool, found.values()))
    line = f"boxes of {' and '.join(labels)}, {total:,} in {within:,} of {seen['images']:,} images"
    if none := len(found) - within:
        line += f"; {none:,} have no such box"
    if untold := seen["untold"]:
        line += f"; of {untold:,} nobody has said what is in them"
    lines = [line]
    if cut := seen["cut"]:
        lines.append(f"{cut:,} of these boxes reach beyond their image, and are cut at its edge")
    if outside := seen["outside"]:
        lines.append(f"{outside:,} more lie outside of their image, and are left out")
    return [f"Inside: {line}." for line in lines]


def divided(scenes: Scenes, names: Sequence[str], by: str) -> dict[str, list[str]]:
    """The names of scenes by their value of a label, in natural order. Scenes without it are in no part.

    Raises DataError where none has it: it says which labels there are.
    """
    told = {name: scenes.source.labels(name) for name in names}
    found: dict[str, list[str]] = {}
    for name, labels in told.items():
        if by in labels:
            found.setdefault(labels[by], []).append(name)
    if not found:
        known = list(dict.fromkeys(label for labels in told.values() for label in labels))
        hint = suggest(by, known) if known else WITH_LABELS
        raise DataError(f"these images have no label `{by}`", hint=hint)
    return {value: found[value] for value in sorted(found, key=lambda value: (natural(value), value))}
