"""Image files through a model into image files: all that can be known beforehand is checked before any is computed."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from crossband.recipes.basics.files import locked, make_folder, writing
from crossband.recipes.basics.progress import Screen
from crossband.recipes.data.images import ImageError, read_header, read_image, write_image
from crossband.recipes.model.forms import to_counts
from crossband.recipes.model.inputs import Input, inputs_of, side_by_side
from crossband.recipes.model.jobs import Job, TranslationError
from crossband.recipes.model.task import Range, Task, Trained
from crossband.recipes.model.tiles import Tiling
from crossband.registry import CrossbandError, suggest

Bits: TypeAlias = Literal[8, 16, 32]
Place: TypeAlias = str | os.PathLike[str]
BITS: dict[str, Bits] = {"8": 8, "16": 16, "32": 32}
PROBES = 8  # images that are decoded before the first is translated
NOTED = 5  # notes of a kind that are printed


@dataclass(frozen=True)
class Output:
    """How results are written: with so many `bits`, the whole of which stands for [0, 1], or as counts on a `scale`."""

    bits: Bits
    scale: Range | None = None

    @property
    def type(self) -> str:
        """The type of the pixels in a file."""
        return "float32" if self.bits == 32 else f"uint{self.bits}"

    def pixels(self, unit: np.ndarray) -> np.ndarray:
        """A result `h w c` in [0, 1] as it goes into the file."""
        return unit if self.scale is None else to_counts(unit, self.scale, self.type)


def output_of(task: Task, bits: Bits | None, counts: bool) -> Output:
    """How results are written: with 8 bits unless said, or as `counts` of the band that they are of.

    These are of the type that the images of training had. Raises TranslationError where the data declared none.
    """
    if not counts:
        return Output(bits or 8)
    if bits is not None:
        raise TranslationError(
            "counts have the bits of the images of training", hint="leave out `--bits` or `--counts`"
        )
    scale, kind = task.scale(task.target), task.images.get(task.target)
    if scale is None:
        message = f"these weights know no counts of {task.target or 'their images'}: their data declared no `range`"
        raise TranslationError(message, hint="leave out `--counts`, or train with a `range` of the data source")
    types: dict[str, Bits] = {"uint8": 8, "uint16": 16}
    return Output(types.get(kind.pixels, 32) if kind else 32, scale)


@dataclass(frozen=True, repr=False)
class Translated:
    """What was done: the files written, in the order of the images, and the seconds that it took without loading.

    `notes` say what is odd about images that were translated all the same.
    """

    files: tuple[Path, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        count, folders = len(self.files), sorted({str(file.parent) for file in self.files})
        return f"<Translated: {count} file{'s' * (count != 1)} in {', '.join(folders[:1])}, {self.seconds:.1f} s>"


def translate_files(
    model: Trained,
    jobs: Sequence[Job],
    *,
    output: "Output",
    range: Range | None,
    tiling: Tiling | None,
    batch: int,
    folder: Path | None,
    force: bool,
    silent: bool,
) -> Translated:
    """Translate image files: see `Model.translate`. Nobody else may write into the `folder` meanwhile.

    A file that comes there meanwhile is replaced with `force` only. Raises TranslationError, and FileError where
    another process holds the folder.
    """
    task = model.task
    wanted = inputs_of(task, range)
    check(jobs, model, wanted, range, tiling, batch=batch if tiling else 1)
    began, failures, written, notes = time.perf_counter(), list[CrossbandError](), list[Path](), list[str]()
    with locked(folder) if folder else nullcontext(), Screen("translate", len(jobs), silent=silent) as screen:
        for group in _groups(_decoded(jobs, task, wanted, failures, notes), 1 if tiling else batch):
            results = model.compute(torch.cat([image for _, image in group]), tiling, batch)
            for (job, _), result in zip(group, results, strict=True):
                try:
                    _write(job, result, output, over=force)
                except CrossbandError as error:
                    failures.append(_named(job.target, error))
                else:
                    written.append(job.target)
            screen.update(len(written) + len(failures))
        for note in notes[:NOTED]:
            screen.say(f"note: {note}")
        if len(notes) > NOTED:
            screen.say(f"note: and {len(notes) - NOTED} more")
    if failures:
        left = f"{len(written)} of {len(jobs)} images were translated, not these:"
        raise TranslationError.gathered(left, failures)
    return Translated(tuple(written), time.perf_counter() - began, tuple(notes))


# ---------------------------------------------------------------------- beforehand


def places_of(task: Task, source: Place | Mapping[str, Place]) -> dict[str, Path]:
    """The folder or file of the images of each band that a task translates. Raises TranslationError."""
    if isinstance(source, Mapping):
        if odd := [band for band in source if band not in task.sources]:
            raise TranslationError(f"the model takes no {odd[0]}", hint=suggest(odd[0], task.sources))
        given = {band: Path(path) for band, path in source.items()}
    elif len(task.sources) == 1:
        given = {task.source: Path(source)}
    else:
        folders = {band: Path(source, band) for band in task.sources}
        given = folders if any(folder.is_dir() for folder in folders.values()) else {task.source: Path(source)}
    if missing := [band for band in task.sources if band not in given]:
        inside = " and ".join(f"`{band}`" for band in task.sources)
        hint = f"name its folder, `--band {missing[0]}=FOLDER`; or a folder that has the subfolders {inside}"
        raise TranslationError(f"the model translates {inside}: there are no images of {missing[0]}", hint=hint)
    return {band: given[band] for band in task.sources}


def check(
    jobs: Sequence[Job],
    model: Trained,
    wanted: Sequence[Input],
    range: Range | None,
    tiling: Tiling | None,
    *,
    batch: int = 1,
) -> None:
    """Raise TranslationError if an image cannot be read or translated, naming each such image.

    The header of every image is looked at, and all of PROBES images. A `range` that is asked for may be that which the
    data declared, which may be inverted.
    """
    task = model.task
    if range is not None and len(wanted) > 1:
        hint = "declare the `range` of each in the data of training"
        raise TranslationError(f"one range is asked for, and images are of {' and '.join(task.sources)}", hint=hint)
    if range is not None and range != task.scale(task.source) and not range[0] < range[1]:
        raise TranslationError(f"a range is LOW HIGH, got {range[0]:g} {range[1]:g}")
    problems: list[CrossbandError] = []
    probed = {jobs[int(at)] for at in np.linspace(0, len(jobs) - 1, PROBES)}
    for job in jobs:
        size = None
        for path, each in zip(job.files, wanted, strict=True):
            try:
                header = read_header(path)
                size = size or (header.height, header.width)
                if size != (header.height, header.width):
                    message = f"{header.height}x{header.width} pixels, but {job.source} has {size[0]}x{size[1]}"
                    raise ImageError(message, hint="the images of a scene must be aligned pixel by pixel")
                model.check_size(*size, tiling, batch)
                _check_type(header.dtype, each)
                if job in probed and (each.scale is not None or header.channels == 3):
                    each.to_unit(read_image(path))
            except CrossbandError as error:
                problems.append(_named(path, error))
    if problems:
        raise TranslationError.gathered("these images cannot be translated:", problems)


def _check_type(dtype: np.dtype, wanted: Input) -> None:
    """Raise ImageError if pixels of a type need a range, or cannot be in it."""
    if wanted.scale is None and dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{dtype} pixels have no full scale", hint="say which values become 0 and 1: `--range LOW HIGH`"
        )
    top = np.iinfo(dtype).max if dtype.kind in "iu" else 1
    wanted.check_type(dtype, f"for their full scale `--range 0 {top}`")


# ---------------------------------------------------------------------- image by image


def _decoded(
    jobs: Sequence[Job], task: Task, wanted: Sequence[Input], failures: list[CrossbandError], notes: list[str]
) -> Iterator[tuple[Job, Tensor]]:
    """The images one by one, with `notes` on odd ones; the name of one that cannot be used goes to `failures`."""
    for job in jobs:
        bands: list[Tensor] = []
        for path, each in zip(job.files, wanted, strict=True):
            try:
                pixels = read_image(path)
                bands.append(each.to_unit(pixels))
                notes += [f"{path}: {note}" for note in each.notes(pixels)]
            except ImageError as error:
                failures.append(_named(path, error))
                break
        else:
            yield job, side_by_side(task, bands)


def _groups(images: Iterator[tuple[Job, Tensor]], count: int) -> Iterator[list[tuple[Job, Tensor]]]:
    """Images that follow each other and have one shape, up to `count` together."""
    group: list[tuple[Job, Tensor]] = []
    for job, image in images:
        if group and (len(group) == count or group[0][1].shape != image.shape):
            yield group
            group = []
        group.append((job, image))
    if group:
        yield group


def _write(job: Job, image: Tensor, output: Output, *, over: bool) -> None:
    """Write one image `c h w`. Raises ImageError, and FileError where its folder cannot be made."""
    with writing(job.target):
        make_folder(job.target.parent)
    write_image(job.target, output.pixels(image.permute(1, 2, 0).contiguous().numpy()), output.bits, over=over)


def _named(path: Path, error: CrossbandError) -> CrossbandError:
    """An error that begins with the file that it is about."""
    text = error.message
    return TranslationError(text if text.startswith(str(path)) else f"{path}: {text}", hint=error.hint)
