"""`crossband data`: whether images can be trusted, and transforms that bring the bands of a scene over each other."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crossband.recipes.commands import listing
from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import print_json, refuse_existing, say
from crossband.registry import CrossbandError, suggest

if TYPE_CHECKING:
    from crossband.recipes.data.checks import Finding
    from crossband.recipes.data.registration import Model
    from crossband.recipes.kinds.source import Source
    from crossband.recipes.language.syntax import Data

WORST = 6  # pairs in a picture


@click.group()
def data() -> None:
    """Check images before training on them, and align the bands of a scene."""


def _opening(command: Any) -> Any:
    """The argument and the options that say which images."""
    for option in (
        max_pixels,
        click.option(
            "--workers", type=click.IntRange(0), default=lambda: min(4, os.cpu_count() or 1), help="Processes that read"
        ),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in `train`: data.source=..."),
        click.option("--data", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="As in `train`"),
        click.argument("what", metavar="FOLDER|SOURCE|RECIPE"),
    ):
        command = option(command)
    return command


@data.command()
@_opening
@click.option("--json", "as_json", is_flag=True, help="For a program: counts, offsets, findings")
@click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw the pairs that lie farthest apart, as PNG"
)
@click.option("--manifest", type=click.Path(path_type=Path), metavar="FILE", help="Compare all files with a manifest")
@click.option(
    "--write-manifest",
    "written",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the SHA-256 of all files",
)
@click.pass_context
def check(
    ctx: click.Context,
    *,
    what: str,
    folder: Path | None,
    settings: tuple[str, ...],
    workers: int,
    as_json: bool,
    picture: Path | None,
    manifest: Path | None,
    written: Path | None,
) -> None:
    """Look at every image and print, as Markdown, what is odd.

    FOLDER has aligned pairs, as for the source `pairs`; SOURCE is the name of a data source, whose images lie in
    `--data FOLDER`; RECIPE is a recipe, by path or shipped name.

    Told are: the scenes of each split, beside those of the release where they are known; files that cannot be read;
    16 bits that hold 8; saturated images and such of one value; grey in a band of colour; test images with near copies
    among those for training, neighbouring frames of a video by themselves; and bands of a scene that lie apart, with
    the standard error of what was measured.

    The exit code is 1 only where something is certainly broken: a file that cannot be read, has no partner or another
    size, or is not as the manifest says. All else is a note.
    """
    from crossband.recipes.data.checks import findings, look_at
    from crossband.recipes.reporting.trust import as_dict, as_text, draw_apart

    refuse_existing(picture, written)
    chosen = _data_of(what, folder, settings)
    source, faults = _opened(chosen, what)
    looks = list(look_at(source, workers))
    found = [*faults, *findings(source, looks), *_of_release(chosen, source)]
    if manifest:
        from crossband.recipes.data.manifests import differences

        found += differences(source, manifest)
    found.sort(key=lambda finding: not finding.broken)
    print_json(as_dict(source, looks, found)) if as_json else click.echo(as_text(what, source, looks, found))
    if written:
        from crossband.recipes.data.manifests import write_manifest

        say(f"{write_manifest(written, source)} files in {written}")
    if picture:
        say(f"{draw_apart(picture, source, looks, WORST)} pairs, the farthest apart first, in {picture}")
    ctx.exit(1 if any(finding.broken for finding in found) else 0)


@data.command()
@_opening
@click.option(
    "--model",
    type=click.Choice(["shift", "similarity", "homography"]),
    default="shift",
    show_default=True,
    help="What may differ between the bands of a scene",
)
@click.option("--together", is_flag=True, help="One transform for all scenes, as of a rig that is rigid")
@click.option("--to", metavar="BAND", help="The band that stays as it is [default: the first]")
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=1.5,
    show_default=True,
    help="Refuse larger errors, in pixels",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The new file, as JSON")
@click.pass_context
def align(
    ctx: click.Context,
    *,
    what: str,
    folder: Path | None,
    settings: tuple[str, ...],
    workers: int,
    model: "Model",
    together: bool,
    to: str | None,
    limit: float,
    out: Path,
) -> None:
    """Find how the bands of each scene lie to each other, and write it to a file that `data.align` names.

    No image is touched. Scenes whose transform is not certain enough are refused by name: they are left out where the
    file is used. The error of a transform is the standard error of the place of the corners, with how far the ways
    there and back disagree. With `--together` all scenes get the median of the transforms that are certain.

    FOLDER, SOURCE and RECIPE are those of `crossband data check`. The exit code is 1 where no scene can be aligned.
    """
    from crossband.recipes.data.aligning import align_all
    from crossband.recipes.data.alignment import write_alignment

    refuse_existing(out)
    source, faults = _opened(_data_of(what, folder, settings), what)
    for fault in faults:
        say(str(fault))
    to = to or next(iter(source.bands))
    if to not in source.bands:
        raise CrossbandError(f"the data has no band `{to}`", hint=suggest(to, source.bands))
    found = align_all(source, model, to, limit, together=together, workers=workers)
    for name, why in found.refused.items():
        say(f"refused: {name}: {why}")
    if not found.scenes:
        raise CrossbandError("no scene can be aligned", hint="a simpler `--model`, or a larger `--limit`")
    write_alignment(out, found)
    errors = sorted(found.errors.values())
    say(
        f"{len(found.scenes)} scenes aligned to {to}, {len(found.refused)} refused; the median error is "
        f"{errors[len(errors) // 2]:.2f} pixels. Use it: `data: {{align: {out}}}`"
    )


def _data_of(what: str, folder: Path | None, settings: Sequence[str]) -> "Data":
    """The data that is meant, as a recipe would say it."""
    from crossband.recipes.language.syntax import Data

    sources = listing.known("sources")
    if what in sources and not settings:
        takes = "folder" in sources[what].parameters
        if folder and not takes:
            raise CrossbandError(f"the data source `{what}` reads no folder", hint="leave out `--data`")
        return Data(what, {"folder": str(folder)} if folder else {}, {})
    if Path(what).is_dir():
        if folder:
            raise CrossbandError("the images are in one folder or the other", hint="leave out `--data`")
        return _in_folder(Path(what), settings)
    if not what.endswith((".yaml", ".yml")) and what not in listing.known("recipes"):
        hint = suggest(what, [*sources, *listing.known("recipes")])
        raise CrossbandError(f"{what}: no such folder, data source or recipe", hint=hint)
    from crossband.recipes.language.reading import load_recipe
    from crossband.recipes.training.runs import folder_settings

    path = str(listing.CATALOGS["recipes"].files()[what]) if what in listing.known("recipes") else what
    written = load_recipe(path, settings).data
    return load_recipe(path, [*settings, *folder_settings(written, folder)]).data if folder else written


def _in_folder(folder: Path, settings: Sequence[str]) -> "Data":
    from crossband.recipes.language.syntax import Data

    if settings:
        raise CrossbandError("`--set` changes a recipe, and this is a folder", hint="name the recipe that reads it")
    return Data("pairs", {"folder": str(folder.resolve())}, {})


def _opened(chosen: "Data", what: str) -> "tuple[Source, list[Finding]]":
    """The images, and a finding for each file that cannot be among them."""
    from crossband.recipes.data.aligned import leaving_out
    from crossband.recipes.data.checks import Finding
    from crossband.recipes.data.opening import open_source

    with leaving_out() as faults:
        source = open_source(chosen)
    return source, [Finding(str(fault), broken=True) for fault in faults]


def _of_release(chosen: "Data", source: "Source") -> "list[Finding]":
    """A finding where the splits are those of a release, and count other scenes."""
    from crossband import registry
    from crossband.recipes.data.checks import Finding

    known = registry.sources[chosen.source].counts
    own = {split: len(names) for split, names in source.splits.items()}
    if set(known) == {"all"}:
        own = {"all": sum(own.values())}
    elif "split" in chosen.arguments:
        return []
    wrong = {split: count for split, count in known.items() if own.get(split, 0) != count}
    names = {split: "the data" if split == "all" else f"`{split}`" for split in wrong}
    return [
        Finding(f"{names[split]} has {own.get(split, 0):,} scenes, the release {count:,}")
        for split, count in wrong.items()
    ]
