"""What figures depend on beside the system that is measured, and which runs can therefore be compared."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from crossband.recipes.metrics.evaluation import Table

ROUNDING = 1e-4  # images that one run has in [-1, 1], and another in [0, 1], are equal but for their rounding


@dataclass(frozen=True)
class Conditions:
    """Under which conditions a run was measured: its bands, images, their size and channels, in words."""

    bands: str = ""
    images: str = ""
    size: str = ""
    channels: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.bands, self.images, self.size)))

    def differences(self, other: "Conditions") -> list[str]:
        """In what they differ, the first that there is to say: other bands make all else differ, too."""
        pairs = {
            "it translates": (self.bands, other.bands),
            "it was measured on": (self.images, other.images),
            "its images are": (self.size, other.size),
            "its images have": (self.channels, other.channels),
        }
        return [f"{words} {one}, not {two}" for words, (one, two) in pairs.items() if one != two and one and two]


def obstacle(run: Conditions, other: Conditions, trivial: Table | None, of_other: Table | None) -> str | None:
    """Why a run cannot be compared with another one, in words that follow its name; None where it can.

    Besides the conditions, `trivial` tells: the figures that a copy of the input has. Equal ones, for the images that
    both runs saw, mean that these were the same pixels.
    """
    found = run.differences(other)
    if found and run.bands != other.bands:
        return found[0]
    if trivial is None or of_other is None:
        return None
    if not (shared := trivial.images.keys() & of_other.images.keys()):
        return found[0] if found else "it was measured on other images; `--data FOLDER` measures all on the same"
    if alike(trivial, of_other, shared):
        return None
    return found[0] if found else "its images differ from those of the same name"


def alike(one: Table, other: Table, names: Collection[str]) -> bool:
    """Whether two tables have the same figures of these images, but for rounding."""
    pairs = [(one.images[name], other.images[name]) for name in names]
    return all(a.keys() == b.keys() and all(_close(a[metric], b[metric]) for metric in a) for a, b in pairs)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2)
