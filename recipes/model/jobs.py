"""Which image files are translated into which: settled from their names, before anything is decoded."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import files_below, near_file, real
from crossband.recipes.data.aligned import no_scene
from crossband.recipes.data.formats import SUFFIXES
from crossband.recipes.data.layout import Found, scan
from crossband.registry import CrossbandError

FORMATS = {".png": (8, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32)}  # endings that can be written, and their bits


class TranslationError(CrossbandError):
    """Images cannot be translated as asked. `faults` has every one."""


@dataclass(frozen=True)
class Job:
    """One image: the file to read, and the file to write; of several bands also the files of the `others`."""

    source: Path
    target: Path
    others: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files to read, in the order of the bands."""
        return (self.source, *self.others)


def jobs_of(source: Path, target: str | os.PathLike[str], *, suffix: str | None, bits: int, force: bool) -> list[Job]:
    """What is read and where it goes, nothing being decoded. Raises TranslationError."""
    goal, usual = Path(target), ".tif" if bits == 32 else ".png"
    is_folder = _is_folder(target)
    if os.path.isdir(source):
        if not is_folder and goal.suffix.lower() in {*FORMATS, *SUFFIXES}:
            raise TranslationError(f"{source} is a folder, {goal} is to be a file", hint="name a folder to write to")
        names = _images(source, goal)
        jobs = [Job(source / name, goal / name.with_suffix(_ending(suffix or usual, bits))) for name in names]
    elif not os.path.lexists(source):
        raise TranslationError(f"{source}: no such file or folder", hint=near_file(source) or RELATIVE)
    elif is_folder:
        jobs = [Job(source, goal / Path(source.name).with_suffix(_ending(suffix or usual, bits)))]
    else:
        _ending(goal.suffix, bits, f"{goal}: ")
        if suffix is not None and suffix != goal.suffix:
            raise TranslationError(f"{goal} says its format itself", hint="leave out `--suffix`, or name a folder")
        jobs = [Job(source, goal)]
    _check_targets(jobs, goal, force)
    return jobs


def jobs_of_bands(
    places: Mapping[str, Path],
    target: str | os.PathLike[str],
    *,
    names: Mapping[str, str],
    suffix: str | None,
    bits: int,
    force: bool,
) -> list[Job]:
    """The same of several bands, each of which has a file or a folder; results are called as the first band's images.

    The files in folders are matched by their names, as those of the data source `pairs`: `names` has the patterns of
    bands. Raises TranslationError, and DataError where no names match.
    """
    first, *others = places
    if all(os.path.lexists(place) and not os.path.isdir(place) for place in places.values()):
        [job] = jobs_of(places[first], target, suffix=suffix, bits=bits, force=force)
        return [Job(job.source, job.target, tuple(places[band] for band in others))]
    if missing := [
        TranslationError(f"{place}: no such folder") for place in places.values() if not os.path.isdir(place)
    ]:
        raise TranslationError.gathered(None, missing)
    if not _is_folder(target):
        raise TranslationError(
            f"{places[first]} is a folder, {target} is to be a file", hint="name a folder to write to"
        )
    found = scan(places, {band: names.get(band, "**") for band in places})
    scenes = [name for name in found.files[first] if all(name in found.files[band] for band in others)]
    if not scenes:
        raise no_scene(found)
    if odd := [*found.twins, *_lonely(found)]:
        raise TranslationError.gathered("these images cannot be translated:", odd)
    goal, ending = Path(target), _ending(suffix or (".tif" if bits == 32 else ".png"), bits)
    jobs = []
    for name in scenes:
        source, *partners = (found.files[band][name] for band in places)
        jobs.append(Job(source, goal / source.relative_to(places[first]).with_suffix(ending), tuple(partners)))
    _check_targets(jobs, goal, force)
    return jobs


def _lonely(found: Found) -> list[CrossbandError]:
    """An error for each image of the first band that has none of its name in another."""
    first, *others = found.files
    return [
        TranslationError(f"{path}: no {band} image of this name in {found.folders[band]}")
        for band in others
        for name, path in found.files[first].items()
        if name not in found.files[band]
    ]


def _is_folder(target: str | os.PathLike[str]) -> bool:
    """Whether results go into a folder of this name, and not into a file."""
    return os.path.isdir(target) or str(target).endswith(("/", os.sep)) or not Path(target).suffix


def _ending(suffix: str, bits: int, what: str = "") -> str:
    """The ending, if files of it can be written with so many bits; `what` begins the error if not."""
    endings = ", ".join(f"`{ending}`" for ending in FORMATS)
    if suffix.lower() not in FORMATS:
        raise TranslationError(
            f"{what}cannot write `{suffix}` images", hint=f"choose from {endings}; a folder ends in `/`"
        )
    if bits not in FORMATS[suffix.lower()]:
        raise TranslationError(f"{what}`{suffix}` cannot hold {bits} bits", hint="choose `.tif`, or 16 bits")
    return suffix


def _images(folder: Path, goal: Path) -> list[Path]:
    """The image files in a folder and below, by their path in it; hidden ones and those in `goal` left aside."""
    inside = real(goal)
    found = []
    for path in files_below(folder):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        own = inside != real(folder) and inside in real(path).parents
        if path.suffix.lower() in SUFFIXES and not hidden and not own:
            found.append(name)
    if not found:
        raise TranslationError(f"{folder}: no image in it", hint=f"images end in {', '.join(SUFFIXES)}")
    return found


def _check_targets(jobs: Sequence[Job], goal: Path, force: bool) -> None:
    """No input and, without `force`, no other file is replaced; no two images become one."""
    above = next((path for path in (goal, *goal.parents) if os.path.exists(path)), goal)
    if os.path.isfile(above) and (above != goal or jobs[0].target != goal):
        raise TranslationError(f"{above}: a file, and no folder to write to")
    inputs = {real(file) for job in jobs for file in job.files}
    if own := [TranslationError(str(job.target)) for job in jobs if real(job.target) in inputs]:
        raise TranslationError.gathered("the output would overwrite these inputs:", own, hint="name another folder")
    counts = Counter(job.target for job in jobs)
    if twice := [TranslationError(f"{job.source} -> {job.target}") for job in jobs if counts[job.target] > 1]:
        raise TranslationError.gathered(
            "several images would become one file:", twice, hint="rename them, or translate one by one"
        )
    if folders := [TranslationError(str(job.target)) for job in jobs if os.path.isdir(job.target)]:
        raise TranslationError.gathered("these are folders, and not files to write to:", folders)
    if not force and (there := [TranslationError(str(job.target)) for job in jobs if os.path.lexists(job.target)]):
        raise TranslationError.gathered("these files are there already:", there, hint="`--force` replaces them")
