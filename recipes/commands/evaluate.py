"""`crossband evaluate`: trained weights against images with known answers, beside what is trivial."""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crossband.recipes.commands.output import print_json, say
from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from crossband.recipes.measuring.evaluation import Table
    from crossband.recipes.measuring.scoring import Scored
    from crossband.recipes.reporting.report import Grid

Tables = Mapping[str, "Table"]


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER", help="Other images than those of the run")
@click.option("--split", help="Which of the images [default: test]")
@click.option("--metrics", metavar="NAME,...", help="Which metrics, and in this order")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the recipe: evaluate.load=256 (repeatable)"
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option(
    "--json", "as_json", is_flag=True, help="For a program: mean, std and n of each metric, reasons of absent ones"
)
@click.option(
    "--csv", "sheet", type=click.Path(path_type=Path), metavar="FILE", help="Write every image's figures to a new file"
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the best, median and worst image to a new PNG",
)
def evaluate(
    *,
    runs: tuple[Path, ...],
    data: Path | None,
    split: str | None,
    metrics: str | None,
    settings: tuple[str, ...],
    device: str | None,
    as_json: bool,
    sheet: Path | None,
    picture: Path | None,
) -> None:
    """Measure each RUN, a run folder or a weights file, on its test images, beside two trivial translations.

    Several runs share one table. A weights file outside of a run folder needs `--data`.
    """
    _check_files(runs, sheet, picture)
    from crossband.recipes import evaluate as measure

    options: dict[str, Any] = {"overrides": settings, "data": data, "split": split, "device": device}
    options["metrics"] = [name.strip() for name in metrics.split(",")] if metrics else None
    tables = side_by_side({run: measure(run, **options) for run in dict.fromkeys(runs)})
    if as_json:
        rows = {name: table.as_dict() for name, table in tables.items()}
        print_json({name: {key: row[key] for key in ("summary", "absent", "notes")} for name, row in rows.items()})
    else:
        print_tables(tables)
    if sheet:
        write_sheet(sheet, tables)
    if picture:
        draw_examples(picture, list(dict.fromkeys(runs)), tables, settings=settings, data=data, split=split)


def _check_files(runs: Sequence[Path], sheet: Path | None, picture: Path | None) -> None:
    """Refuse, before anything is measured, what could not be written afterwards."""
    for file in filter(None, (sheet, picture)):
        if file.exists():
            raise CrossbandError(f"{file}: is there already\nhint: name another file")
    if picture is None:
        return
    if picture.suffix.lower() != ".png":
        raise CrossbandError(f"{picture}: a picture is written as PNG\nhint: name it `{picture.with_suffix('.png')}`")
    from crossband.recipes.translating.translator import run_of

    if lost := [str(run) for run in runs if run.exists() and run_of(run) is None]:
        raise CrossbandError(f"{', '.join(lost)}: in no run folder, whose recipe `--picture` needs")


def side_by_side(found: Mapping[Path, Tables]) -> Tables:
    """The tables of several runs as one: each run by the name of its folder, equal baselines once.

    The first table of a run is its result, the others are its baselines.
    """
    if len(found) == 1:
        return next(iter(found.values()))
    names = {run: run.stem if run.suffix else run.resolve().name for run in found}
    labels = {run: name if list(names.values()).count(name) == 1 else str(run) for run, name in names.items()}
    tables: dict[str, Table] = {labels[run]: next(iter(own.values())) for run, own in found.items()}
    for run, own in found.items():
        for name, table in list(own.items())[1:]:
            if tables.setdefault(name, table) != table:
                tables[f"{name} ({labels[run]})"] = table
    if len({tuple(table.images) for table in tables.values()}) > 1:
        say("note: the runs were measured on different images, which cannot be compared")
    return tables


def print_tables(tables: Tables) -> None:
    """Print figures side by side: set for the eye on a terminal, else as Markdown; what to know of them on stderr."""
    from crossband.recipes.reporting.report import comparison, markdown_table, remarks

    grid = comparison(tables)
    if sys.stdout.isatty():
        _rich_grid(grid)
    else:
        click.echo(markdown_table(grid))
    for line in remarks(tables)[1:]:
        say(f"note: {line}")


def _rich_grid(grid: "Grid") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading, side in zip(grid.headers, grid.align, strict=True):
        table.add_column(heading, justify="right" if side == "r" else "left")
    for i, row in enumerate(grid.rows):
        table.add_row(*(Text(cell, "bold" if (i, j) in grid.best else "") for j, cell in enumerate(row)))
    Console().print(table)


def write_sheet(file: Path, tables: Tables) -> None:
    """Write CSV: a line for each system and image, a column for each metric; empty where there is no value."""
    from crossband.recipes.files import replacing

    images = [(system, name, row) for system, table in tables.items() for name, row in table.images.items()]
    metrics = list(dict.fromkeys(metric for _, _, row in images for metric in row))
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["system", "image", *metrics])
        writer.writerows([system, name, *(row.get(metric) for metric in metrics)] for system, name, row in images)
    say(f"the figures of {len(images)} images in {file}")


def draw_examples(
    file: Path, runs: Sequence[Path], tables: Tables, *, settings: Sequence[str], data: Path | None, split: str | None
) -> None:
    """Draw the images in which the first run is best, median and worst: input, the result of each run, target."""
    from crossband.recipes.reporting.pictures import sample_grid, save

    table = next(iter(tables.values()))
    by = next((name for name in ("ssim", "psnr", "mae", "mse", "rmse") if name in table.summary), None)
    if by is None:
        raise CrossbandError("no image is best or worst by these metrics\nhint: add `psnr` or `mae` to `--metrics`")
    chosen = table.select(by)
    shown = [_scored(run, list(chosen.values()), settings, data, split) for run in runs]
    labels = ["output"] if len(runs) == 1 else list(tables)[: len(runs)]
    columns = {
        "input": [image.source[0] for image in shown[0]],
        **{name: [image.output[0] for image in own] for name, own in zip(labels, shown, strict=True)},
        "target": [image.target[0] for image in shown[0]],
    }
    save(sample_grid(columns, [f"{rank}: {name}" for rank, name in chosen.items()]), file)
    say(f"the best, median and worst image by {by} in {file}")


def _scored(
    run: Path, names: Sequence[str], settings: Sequence[str], data: Path | None, split: str | None
) -> "list[Scored]":
    """The images of these names, with what a run makes of them."""
    from crossband.recipes.measuring.scoring import open_source, score, whole_scenes
    from crossband.recipes.training.folder import RECIPE
    from crossband.recipes.training.runs import data_overrides, load_run
    from crossband.recipes.translating.translator import run_of

    folder = run_of(run)
    assert folder is not None  # checked before
    more = data_overrides(folder / RECIPE, settings, data) if data else []
    experiment, networks = load_run(folder, [*settings, *more])
    scenes = whole_scenes(experiment, open_source(experiment), split)
    for network in networks.values():
        network.eval()
    return list(score(experiment, networks, scenes, [scenes.names.index(name) for name in names]))
