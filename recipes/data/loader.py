"""Scenes of a source as batches of tensors: joint geometry, and randomness that survives a restart.

Every random choice is a function of (seed, epoch, scene) alone. Neither the number of worker
processes nor where a run was interrupted changes what the network sees.
"""

import itertools
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from crossband.recipes.basics.colour import with_channels
from crossband.recipes.data.augmenting import Augmenting, in_unit
from crossband.recipes.data.geometry import Geometry, check_window
from crossband.recipes.kinds.source import DataError, Pairing, Source
from crossband.registry import ArgumentError, CrossbandError, blamed, suggest

SHUFFLE, PARTNER, DRAW, AUGMENT = 0, 1, 2, 3  # purposes of random numbers: independent streams of one seed


class Draw(NamedTuple):
    """A request of the sampler to the dataset: an epoch, a scene, and if unpaired that of each other group of bands."""

    epoch: int
    scene: int
    partners: tuple[int, ...] = ()


WHOLE = Geometry()


class Scenes(Dataset[dict[str, Any]]):
    """One split of a source as a torch dataset: each item has a tensor `c h w` by band, and `name`.

    `range` are the numbers that stand for 0 and 1 of the source, usually [0, 1] or [-1, 1]. `channels` changes the
    number of channels of a band: grey is repeated, colour reduced to Rec. 601 luminance. `bands` are those that it
    gives, by default all. `augment` are augmentations by name: see `crossband.recipes.data.augmenting`.

    With `pairing: unpaired` the bands fall into two groups, those that stand `together` (by default the first alone)
    and the others, each of which shows a scene of its own, with a geometry of its own: the name of the item names both.
    Where the bands of the split have scenes of their own, each is a group.

    Raises DataError if there is no such split, or if a scene is smaller than the window, naming those scenes.
    """

    def __init__(
        self,
        source: Source,
        split: str,
        *,
        geometry: Geometry = WHOLE,
        range: tuple[float, float] = (0.0, 1.0),
        channels: Mapping[str, int] | None = None,
        bands: Collection[str] | None = None,
        together: Collection[str] = (),
        pairing: Pairing = "paired",
        augment: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        seed: int = 0,
    ) -> None:
        wanted = [band for band in source.bands if bands is None or band in bands]
        self.groups = [wanted]
        if split in source.unpaired:
            self.groups = [[band] for band in wanted]
        elif pairing == "unpaired":
            own = {*together} if wanted[0] in together else {*wanted} - {*together} if together else {wanted[0]}
            self.groups = [[band for band in wanted if band in own], [band for band in wanted if band not in own]]
        self.source = source
        self.names, *self.partners = (source.names(split, group[0]) for group in self.groups)
        self.geometry, self.range, self.seed, self.augment = geometry, range, seed, dict(augment)
        self.channels = {name: band.channels for name, band in source.bands.items()} | dict(channels or {})
        for band, count in self.channels.items():
            if band not in source.bands or count not in (1, 3):
                raise ArgumentError(
                    f"the data cannot give {count} channels of `{band}`", hint=suggest(band, source.bands)
                )
        check_window(geometry, source, list(dict.fromkeys(itertools.chain(self.names, *self.partners))))

    def __len__(self) -> int:
        return max(map(len, [self.names, *self.partners]))

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        """The item of a scene by its number, as in epoch 0, or the item of a Draw."""
        draw = (
            key if isinstance(key, Draw) else Draw(0, key % len(self.names), tuple(key % len(p) for p in self.partners))
        )
        names = [self.names[draw.scene], *(own[at] for own, at in zip(self.partners, draw.partners, strict=True))]
        item: dict[str, Any] = {"name": " + ".join(names)}
        augmenting = Augmenting(self.augment, (self.seed, AUGMENT, draw.epoch))
        for at, (name, group) in enumerate(zip(names, self.groups, strict=True)):
            words = (draw.scene, at) if len(names) > 1 else (draw.scene,)
            for band, image in self.source.read(name, group).items():
                rng = _generator(self.seed, DRAW, draw.epoch, *words)
                tensor = self.geometry.apply(image, rng, partial(augmenting.moved, scene=words))
                tensor = augmenting.changed(tensor, words, band, self.source.bands[band].channels)
                item[band] = self._finish(tensor, self.channels[band])
        return item

    def __getitems__(self, draws: Sequence[int | Draw]) -> list[dict[str, Any]] | CrossbandError:
        """The items of one batch, for a DataLoader. An error is returned instead of raised: see Loader."""
        try:
            return [self[draw] for draw in draws]
        except CrossbandError as error:
            return error
        except (Exception, SystemExit) as error:
            if told := blamed(error):  # while the lines that it came through are known
                return told
            raise

    def _finish(self, tensor: Tensor, channels: int) -> Tensor:
        """Convert to float32 in `range`, with this number of channels."""
        tensor = with_channels(in_unit(tensor), channels)
        low, high = self.range
        return (tensor if (low, high) == (0, 1) else tensor * (high - low) + low).contiguous()


class Batches(Sampler[list[Draw]]):
    """The scenes of each batch of an epoch, for one process of `world_size`.

    `batch` counts the scenes of one process: together, the processes see the batches that one process would see
    with a `batch` of `batch * world_size`. Call `seek` before an epoch; its `start` leaves out batches already done.

    An incomplete last batch is left out with `drop_last`. Otherwise every scene comes once, except that a shuffled
    epoch repeats up to `world_size - 1` scenes: processes that train together must take equally many steps.

    `partners` counts the scenes of each other group of bands, if bands are unpaired: an epoch is as long as the largest
    number, and repeats the others, in a new order each time.
    """

    def __init__(
        self,
        count: int,
        *,
        batch: int,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        partners: Sequence[int] = (),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.scenes, self.partners = count, tuple(partners)
        count = max([self.scenes, *self.partners])
        if drop_last and count < batch * world_size:
            raise DataError(
                f"{count} scenes do not fill one batch of {batch * world_size}",
                hint="make `batch` smaller, or add images",
            )
        self.count, self.batch, self.seed = count, batch, seed
        self.shuffle, self.drop_last = shuffle, drop_last
        self.rank, self.world_size = rank, world_size
        self.epoch = self.start = 0

    def seek(self, epoch: int, start: int = 0) -> None:
        """Let the next iteration be that of `epoch`, from its batch `start` on."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return len(self._bounds())

    def __iter__(self) -> Iterator[list[Draw]]:
        order = self._order(self.scenes, SHUFFLE) if self.shuffle else np.arange(self.count) % self.scenes
        others = [self._order(scenes, PARTNER, *([at] if at else [])) for at, scenes in enumerate(self.partners)]
        draws = [Draw(self.epoch, int(one), tuple(map(int, rest))) for one, *rest in zip(order, *others, strict=True)]
        if self.shuffle:
            draws = [draws[at % self.count] for at in range(self.count + -self.count % self.world_size)]
        return iter([draws[low : low + self._together][self.rank :: self.world_size] for low in self._bounds()])

    @property
    def _together(self) -> int:
        return self.batch * self.world_size

    def _bounds(self) -> range:
        """The positions where the remaining batches begin, in the order common to all processes."""
        if self.drop_last:
            end = self.count - self.count % self._together
        else:  # a last batch without scenes for this process does not count
            end = self.count + (-self.count % self.world_size if self.shuffle else -self.rank)
        return range(self.start * self._together, max(end, 0), self._together)

    def _order(self, scenes: int, purpose: int, *more: int) -> np.ndarray:
        rng = _generator(self.seed, purpose, self.epoch, *more)
        return np.concatenate([rng.permutation(scenes) for _ in range(-(-self.count // scenes))])[: self.count]


class Loader(DataLoader[dict[str, Any]]):
    """A DataLoader whose workers hand over crossband's errors as batches, to be raised here.

    An error that a worker raises would reach the user as the text of a traceback.
    """

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        return map(_raise_error, super().__iter__())


def make_loader(
    scenes: Scenes,
    *,
    batch: int,
    shuffle: bool = False,
    drop_last: bool = False,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> Loader:
    """A DataLoader of batches: float32 `b c h w` by band, and `name`, a list.

    Its order follows from the seed of `scenes` and the epoch: iterate by `epoch_of`, or call
    `loader.batch_sampler.seek(epoch, start)` first. Nothing is drawn from torch's global generator.
    Raises DataError if `drop_last` would leave no batch.
    """
    batches = Batches(
        len(scenes.names),
        batch=batch,
        seed=scenes.seed,
        shuffle=shuffle,
        drop_last=drop_last,
        partners=[len(names) for names in scenes.partners],
        rank=rank,
        world_size=world_size,
    )
    return Loader(
        scenes,
        batch_sampler=batches,
        num_workers=workers,
        worker_init_fn=leave_signals if workers else None,
        collate_fn=_collate_or_error,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # else each epoch takes a number from the global one, and a resumed run one more
    )


def leave_signals(_: int) -> None:
    """Leave signals that reach every process of a terminal or a job to the one that trains: it finishes and saves.

    A second SIGTERM ends this process: that one comes from the one that trains.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: signal.signal(number, signal.SIG_DFL) and None)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def epoch_of(loader: DataLoader[dict[str, Any]], epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
    """The batches of an epoch, from batch `start` on, without reading those before."""
    cast(Batches, loader.batch_sampler).seek(epoch, start)
    return iter(loader)


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Items of Scenes as one batch. Raises DataError if their sizes differ."""
    batch: dict[str, Any] = {"name": [item["name"] for item in items]}
    for band in items[0].keys() - {"name"}:
        shapes = {item[band].shape: item["name"] for item in items}
        if len(shapes) > 1:
            (one, first), (other, second) = list(shapes.items())[:2]
            raise DataError(
                f"one batch cannot hold images of different sizes: {one[1]}x{one[2]} ({first}) and "
                f"{other[1]}x{other[2]} ({second})",
                hint="set `size` or `load`, or `batch: 1`",
            )
        batch[band] = torch.stack([item[band] for item in items])
    return batch


def _collate_or_error(items: list[dict[str, Any]] | CrossbandError) -> dict[str, Any] | CrossbandError:
    try:
        return items if isinstance(items, CrossbandError) else collate(items)
    except CrossbandError as error:
        return error


def _raise_error(batch: dict[str, Any] | CrossbandError) -> dict[str, Any]:
    try:
        if isinstance(batch, CrossbandError):
            raise batch
        return batch
    finally:
        del batch  # an error whose traceback leads back to it would keep the workers alive until they time out


def _generator(*words: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
