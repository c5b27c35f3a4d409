"""What figures depend on beside the system that is measured, and which runs can therefore be compared."""

from collections.abc import Mapping
from dataclasses import dataclass

from crossband.recipes.metrics.evaluation import Table


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
    if _shared(trivial, shared) == _shared(of_other, shared):
        return None
    return found[0] if found else "its images differ from those of the same name"


def _shared(table: Table, names: set[str]) -> Mapping[str, Mapping[str, float | None]]:
    return {name: table.images[name] for name in names}
