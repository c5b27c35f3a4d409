"""Image files through a model into image files: what goes where is settled before anything is computed."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from crossband.recipes.basics.progress import Screen
from crossband.recipes.data.images import SUFFIXES, ImageError, read_header, read_image, write_image
from crossband.recipes.model.forms import to_counts
from crossband.recipes.model.inputs import Input
from crossband.recipes.model.task import Range, Task, Trained
from crossband.recipes.model.tiles import Tiling
from crossband.registry import CrossbandError

FORMATS = {".png": (8, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32)}  # endings that can be written, and their bits
Bits: TypeAlias = Literal[8, 16, 32]
BITS: dict[str, Bits] = {"8": 8, "16": 16, "32": 32}
PROBES = 8  # images that are decoded before the first is translated
NOTED = 5  # notes of a kind that are printed


class TranslationError(CrossbandError):
    """Images cannot be translated as asked. `faults` has every one."""


@dataclass(frozen=True)
class Job:
    """One image: the file to read, and the file to write."""

    source: Path
    target: Path


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


@dataclass(frozen=True)
class Translated:
    """What was done: the files written, in the order of the images, and the seconds that it took without loading.

    `notes` say what is odd about images that were translated all the same.
    """

    files: tuple[Path, ...]
    seconds: float
    notes: tuple[str, ...] = ()


def translate_files(
    model: Trained,
    jobs: Sequence[Job],
    *,
    output: "Output",
    range: Range | None,
    tiling: Tiling | None,
    batch: int,
    silent: bool,
) -> Translated:
    """Translate image files: see `Model.translate`. Raises TranslationError."""
    task = model.task
    scale = task.scale(task.source)
    wanted = Input(task.source, range or scale, task.images.get(task.source))
    check(jobs, model, wanted, scale, tiling)
    began, failures, written, notes = time.perf_counter(), list[CrossbandError](), list[Path](), list[str]()
    with Screen("translate", len(jobs), silent=silent) as screen:
        for group in _groups(_decoded(jobs, wanted, failures, notes), 1 if tiling else batch):
            results = model.compute(torch.cat([image for _, image in group]), tiling, batch)
            for (job, _), result in zip(group, results, strict=True):
                _write(job, result, output, failures, written)
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


def jobs_of(source: Path, target: str | os.PathLike[str], *, suffix: str | None, bits: int, force: bool) -> list[Job]:
    """What is read and where it goes, nothing being decoded. Raises TranslationError."""
    goal, usual = Path(target), ".tif" if bits == 32 else ".png"
    is_folder = goal.is_dir() or str(target).endswith(("/", os.sep)) or not goal.suffix
    if source.is_dir():
        if not is_folder and goal.suffix.lower() in {*FORMATS, *SUFFIXES}:
            raise TranslationError(f"{source} is a folder, {goal} is to be a file", hint="name a folder to write to")
        names = _images(source, goal)
        jobs = [Job(source / name, goal / name.with_suffix(_ending(suffix or usual, bits))) for name in names]
    elif not source.is_file():
        raise TranslationError(f"{source}: no such file or folder")
    elif is_folder:
        jobs = [Job(source, goal / Path(source.name).with_suffix(_ending(suffix or usual, bits)))]
    else:
        _ending(goal.suffix, bits)
        if suffix is not None and suffix != goal.suffix:
            raise TranslationError(f"{goal} says its format itself", hint="leave out `--suffix`, or name a folder")
        jobs = [Job(source, goal)]
    _check_targets(jobs, goal, force)
    return jobs


def _ending(suffix: str, bits: int) -> str:
    """The ending, if files of it can be written with so many bits."""
    endings = ", ".join(f"`{ending}`" for ending in FORMATS)
    if suffix.lower() not in FORMATS:
        raise TranslationError(f"cannot write `{suffix}` images", hint=f"choose from {endings}; a folder ends in `/`")
    if bits not in FORMATS[suffix.lower()]:
        raise TranslationError(f"`{suffix}` cannot hold {bits} bits", hint="choose `.tif`, or 16 bits")
    return suffix


def _images(folder: Path, goal: Path) -> list[Path]:
    """The image files in a folder and below, by their path in it; hidden ones and those in `goal` left aside."""
    inside = goal.resolve()
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        own = inside != folder.resolve() and inside in path.resolve().parents
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden and not own:
            found.append(name)
    if not found:
        raise TranslationError(f"{folder}: no image in it", hint=f"images end in {', '.join(SUFFIXES)}")
    return found


def _check_targets(jobs: Sequence[Job], goal: Path, force: bool) -> None:
    """No input and, without `force`, no other file is replaced; no two images become one."""
    above = next((path for path in (goal, *goal.parents) if path.exists()), goal)
    if above.is_file() and (above != goal or jobs[0].target != goal):
        raise TranslationError(f"{above}: a file, and no folder to write to")
    inputs = {job.source.resolve() for job in jobs}
    if own := [TranslationError(str(job.target)) for job in jobs if job.target.resolve() in inputs]:
        raise TranslationError.gathered("the output would overwrite these inputs:", own, hint="name another folder")
    counts = Counter(job.target for job in jobs)
    if twice := [TranslationError(f"{job.source} -> {job.target}") for job in jobs if counts[job.target] > 1]:
        raise TranslationError.gathered(
            "several images would become one file:", twice, hint="rename them, or translate one by one"
        )
    if folders := [TranslationError(str(job.target)) for job in jobs if job.target.is_dir()]:
        raise TranslationError.gathered("these are folders, and not files to write to:", folders)
    if not force and (there := [TranslationError(str(job.target)) for job in jobs if job.target.exists()]):
        raise TranslationError.gathered("these files are there already:", there, hint="`--force` replaces them")


def check(jobs: Sequence[Job], model: Trained, wanted: Input, scale: Range | None, tiling: Tiling | None) -> None:
    """Raise TranslationError if an image cannot be read or translated, naming each such image.

    The header of every image is looked at, and all of PROBES images. The range that is `wanted` may be another than
    the `scale` that the data declared, which may be inverted.
    """
    range = wanted.scale
    if range is not None and range != scale and not range[0] < range[1]:
        raise TranslationError(f"a range is LOW HIGH, got {range[0]:g} {range[1]:g}")
    problems: list[CrossbandError] = []
    probed = {jobs[at] for at in np.linspace(0, len(jobs) - 1, PROBES).astype(int)}
    for job in jobs:
        try:
            header = read_header(job.source)
            model.check_size(header.height, header.width, tiling)
            _check_type(header.dtype, wanted)
            if job in probed and (range is not None or header.channels == 3):
                wanted.to_unit(read_image(job.source))
        except CrossbandError as error:
            problems.append(_named(job.source, error))
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
    jobs: Sequence[Job], wanted: Input, failures: list[CrossbandError], notes: list[str]
) -> Iterator[tuple[Job, Tensor]]:
    """The images one by one, with `notes` on odd ones; the name of one that cannot be used goes to `failures`."""
    for job in jobs:
        try:
            pixels = read_image(job.source)
            unit = wanted.to_unit(pixels)
        except ImageError as error:
            failures.append(_named(job.source, error))
        else:
            notes += [f"{job.source}: {note}" for note in wanted.notes(pixels)]
            yield job, unit


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


def _write(job: Job, image: Tensor, output: Output, failures: list[CrossbandError], written: list[Path]) -> None:
    """Write one image `c h w`, or note why it cannot be."""
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_image(job.target, output.pixels(image.permute(1, 2, 0).contiguous().numpy()), output.bits)
    except ImageError as error:
        failures.append(_named(job.target, error))
    except OSError as error:
        failures.append(TranslationError(f"{job.target}: cannot be written: {error.strerror or error}"))
    else:
        written.append(job.target)


def _named(path: Path, error: CrossbandError) -> CrossbandError:
    """An error that begins with the file that it is about."""
    text = error.message
    return TranslationError(text if text.startswith(str(path)) else f"{path}: {text}", hint=error.hint)
