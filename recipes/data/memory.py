"""The source `memory`: images that are given from Python, a dataset of one's own or a list of pairs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from einops import rearrange

from crossband.recipes.data.aligned import EMPTY
from crossband.recipes.data.arrays import as_pixels
from crossband.recipes.data.images import ImageError
from crossband.recipes.data.pairs import LAST_TENTH
from crossband.recipes.data.splits import divide
from crossband.recipes.kinds.source import Band, DataError, Source, source


class Memory(Source):
    """Aligned scenes out of Python objects that have a length and items, such as lists or torch datasets.

    An item is an image for each of the `bands`: a mapping by band, or a list in their order. An image is
    what `crossband.recipes.data.arrays.as_pixels` takes. `given` is a mapping from splits to such objects, or one of
    them, whose last tenth is for testing. An item is asked for each time that it is read.

    Raises DataError where the first item of a split is not so; `read` does where another is not.
    """

    def __init__(self, given: Any, bands: Sequence[str]) -> None:
        if isinstance(given, Mapping):
            self._items = {f"{split}/{at}": (own, at) for split, own in given.items() for at in range(_length(own))}
            self.splits = {split: [f"{split}/{at}" for at in range(_length(own))] for split, own in given.items()}
        else:
            self._items = {str(at): (given, at) for at in range(_length(given))}
            self.splits = divide(list(self._items), LAST_TENTH)
        first = self._pixels(next(iter(self._items)), bands)
        self.bands = {band: Band(pixels.shape[2], str(pixels.dtype)) for band, pixels in first.items()}
        for names in self.splits.values():
            self.read(names[0])

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The images of a scene, as Source.read promises. Raises DataError, naming the item that cannot be used."""
        found = self._pixels(name, list(self.bands))
        for band, pixels in found.items():
            if pixels.shape[2] != self.bands[band].channels:
                counts = f"{pixels.shape[2]} channels, the first item has {self.bands[band].channels}"
                raise DataError(f"item {name}, {band}: {counts}")
        if len({pixels.shape[:2] for pixels in found.values()}) > 1:
            sizes = " and ".join(f"{band} is {pixels.shape[0]}x{pixels.shape[1]}" for band, pixels in found.items())
            hint = "the images of a scene must be aligned pixel by pixel: resample one of them"
            raise DataError(f"item {name}: {sizes}", hint=hint)
        wanted = self.bands if bands is None else bands
        return {band: np.ascontiguousarray(rearrange(found[band], "h w c -> c h w")) for band in wanted}

    def _pixels(self, name: str, bands: Sequence[str]) -> dict[str, np.ndarray]:
        """The images `h w c` of an item."""
        found = {}
        for band, image in self._images(name, bands).items():
            try:
                found[band] = as_pixels(image)
            except ImageError as error:
                raise DataError(f"item {name}, {band}: {error.message}", hint=error.hint) from None
        return found

    def _images(self, name: str, bands: Sequence[str]) -> dict[str, Any]:
        """The image of each band in an item, as it was given."""
        items, at = self._items[name]
        item = items[at]
        words = " and ".join(f"`{band}`" for band in bands)
        if isinstance(item, Mapping):
            if missing := [band for band in bands if band not in item]:
                keys = ", ".join(f"`{key}`" for key in item)
                raise DataError(f"item {name} has no `{missing[0]}`, only {keys}", hint=f"it needs {words}")
            return {band: item[band] for band in bands}
        if not isinstance(item, Sequence) or isinstance(item, str) or len(item) != len(bands):
            what = "pair" if len(bands) == 2 else f"list of {len(bands)}"
            hint = f"give a mapping with {words}, or a {what} of them in this order"
            count = f" of {len(item)}" if isinstance(item, Sequence) else ""
            what += "" if len(bands) > 2 else " of images"
            raise DataError(f"item {name} is no {what} but {type(item).__name__}{count}", hint=hint)
        return dict(zip(bands, item, strict=True))


@source("memory")
def memory(
    *,
    scenes: dict[str, int] = EMPTY,
    bands: list[str] | None = None,
    channels: dict[str, Literal[1, 3]] = EMPTY,
) -> Source:
    """Images given from Python, `crossband.train(recipe, data=...)`: a torch dataset of one's own, or a list of pairs.

    A recipe cannot hold them. That of a run names this source to say so, with the numbers of `scenes` by split, the
    `bands` and their `channels`: whoever resumes or evaluates the run gives the images again. Always raises DataError.
    """
    counts = ", ".join(f"{count} for {split}" for split, count in scenes.items())
    message = f"these images were given from Python{f' ({counts})' if counts else ''}, and are in no file"
    raise DataError(message, hint="give them again, or others: `data=...`, on the command line `--data FOLDER`")


def _length(items: Any) -> int:
    """The number of items. Raises DataError where there is none."""
    if isinstance(items, str) or not hasattr(items, "__len__") or not hasattr(items, "__getitem__"):
        hint = "a dataset or a list of pairs, or a mapping of these by split: `{'train': ..., 'test': ...}`"
        raise DataError(f"data has a length and items, got {type(items).__name__}", hint=hint)
    if not len(items):
        raise DataError("the data is empty")
    return len(items)
