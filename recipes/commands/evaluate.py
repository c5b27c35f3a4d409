"""`crossband evaluate`: trained weights against known answers, two trivial baselines and the figures of the paper."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crossband import registry
from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import print_json, refuse_unwritable, say
from crossband.recipes.language.columns import check_costs
from crossband.registry import CrossbandError, suggest

if TYPE_CHECKING:
    from crossband.recipes.metrics.results import Results
    from crossband.recipes.model.evaluating import Scored, TestImages
    from crossband.recipes.model.model import Model

RANKING = ("ssim", "psnr", "mae", "mse", "rmse")  # the first that was measured orders a picture


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Other images than those of the run: all of this folder",
)
@click.option("--split", help="Which images, by the rule of the recipe, or `all` [default: test, and all of `--data`]")
@click.option("--metrics", metavar="NAME,...", help="Which metrics, in the order of the sheet")
@click.option(
    "--cost", metavar="NAME,...", help="What a translation costs: parameters, macs; on this machine latency, memory"
)
@click.option("--against", metavar="RUN", help="Print the gains over this RUN, or `grey copy`, in percent")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the recipe: evaluate.load=256 (repeatable)"
)
@max_pixels
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]))
@click.option(
    "--json", "as_json", is_flag=True, help="For a program: metrics, differences, the paper's figures, what is absent"
)
@click.option(
    "--csv", "sheet", type=click.Path(path_type=Path), metavar="FILE", help="Write every image's figures to a new file"
)
@click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw images, the best first, to a new PNG"
)
@click.option(
    "--inside",
    metavar="LABEL,...",
    help="Measure inside of boxes, such as person,car, and outside; the picture has crops",
)
@click.option("--by", metavar="LABEL", help="Divide the figures by what the images tell of themselves, such as subset")
@click.option(
    "--order", metavar="NAME", help="The metric that orders the picture [default: ssim, or the first that is there]"
)
@click.option(
    "--rows", type=click.IntRange(2), default=3, show_default=True, help="Images in the picture, from best to worst"
)
def evaluate(
    *,
    runs: tuple[Path, ...],
    data: Path | None,
    split: str | None,
    metrics: str | None,
    cost: str | None,
    against: str | None,
    settings: tuple[str, ...],
    device: str | None,
    as_json: bool,
    sheet: Path | None,
    picture: Path | None,
    inside: str | None,
    by: str | None,
    order: str | None,
    rows: int,
) -> None:
    """Measure each RUN, a run folder or a weights file, on its test images, and print Markdown.

    Beside each run stand two trivial translations, with the difference to each and its 95% interval, and the figures
    of the paper where the recipe has them. Several runs share one table, and are compared with each other as well, if
    they translate between the same bands, on the same images; if not, each has its own.

    Of `--data FOLDER` all images are measured, beside the mean image of the run's own training set, and no figure of a
    paper counts as comparable; with `--split` those that the recipe's rule takes. Images of the run itself, wherever
    they are by now, are divided as they were. A weights file outside of a run folder needs `--data`, or says by
    `--set data.source.pairs.KEY=VALUE` how to read them.
    """
    refuse_unwritable(sheet, picture)
    from crossband.recipes.metrics.evaluation import declared
    from crossband.recipes.metrics.results import together
    from crossband.recipes.model.loading import load

    chosen, costs, things = _words(metrics), _words(cost), _words(inside)
    check_costs(costs or ())
    if order:
        declared(order)  # before anything is measured
    found: dict[Path, Results] = {}
    runs = tuple(dict.fromkeys(runs))
    other = None if against is None else _system(against, runs)
    for run in runs:
        model = load(run, settings=settings, device=device)
        with _ordering(by):
            found[run] = model.evaluate(data, split=split, metrics=chosen, cost=costs, inside=things, by=by)
    results = together(dict(zip(labels(runs), found.values(), strict=True)))
    results = results if other is None else results.gains_over(other)
    if picture and len(results.groups) > 1:
        strangers = "; ".join(results.warnings[: len(results.groups) - 1]).rstrip(".")
        raise CrossbandError(f"these runs share no picture: {strangers}", hint="draw one of them at a time")
    ranked = rank(results, order, rows) if picture else {}
    if as_json:
        print_json(results.as_dict())
    else:
        click.echo(str(results))
    if sheet:
        from crossband.recipes.reporting.sheet import write_sheet

        subsets = {value: {*part.table.images} for value, part in results.subsets.items()}
        count = write_sheet(sheet, results.tables, results.costs, by=results.by, subsets=subsets)
        say(f"the figures of {count} images in {sheet}")
    if picture:
        from crossband.recipes.model.test_images import images_of

        shown = {}
        for name, run in zip(results.baselines, found, strict=True):  # loaded again: not all fit into memory at once
            model = load(run, settings=settings, device=device)
            shown[name] = _scored(model, list(ranked), images_of(model, data, split), things)
        draw_examples(picture, shown, list(ranked.values()))
        say(f"{len(ranked)} images, the best first, in {picture}")


def _system(against: str, runs: Sequence[Path]) -> str:
    """The name in the table of what the gains are over: one of the runs, or a baseline."""
    named = dict(zip(runs, labels(runs), strict=True))
    baselines = {"grey copy", "mean image"}
    known = {
        **{str(run): name for run, name in named.items()},
        **{name: name for name in (*named.values(), *baselines)},
    }
    if (found := known.get(against) or named.get(Path(against))) is None:
        hint = suggest(against, known) or "name one of the runs that are measured"
        raise CrossbandError(f"--against {against}: is none of these runs, and no baseline", hint=hint)
    return found


def _words(text: str | None) -> list[str] | None:
    """The words of an option that takes several, parted by commas."""
    return [word.strip() for word in text.split(",")] if text else None


@contextmanager
def _ordering(by: str | None) -> Iterator[None]:
    """Tell who asks for a metric by `--by` that it orders a picture by `--order`."""
    try:
        yield
    except CrossbandError as error:
        if by in registry.metrics and f"`{by}`" in error.message:
            error.hint = f"to order a picture by a metric: `--order {by}`"
        raise


def labels(runs: Sequence[Path]) -> list[str]:
    """A name for each run: that of its folder or file, and the whole path where two are called alike."""
    names = [run.stem if run.suffix else run.resolve().name for run in runs]
    return [name if names.count(name) == 1 else str(run) for name, run in zip(names, runs, strict=True)]


def rank(results: "Results", by: str | None, count: int) -> dict[str, str]:
    """The images of a picture, the best of the first run first, with what is written below each."""
    table = results.table
    by = by or next((name for name in RANKING if name in table.summary), None)
    if by is None:
        raise CrossbandError("no image is best or worst by these metrics", hint="add `psnr` or `mae` to `--metrics`")
    from crossband.recipes.metrics.evaluation import declared

    metric, ranked = declared(by), table.ranked(by)
    last = len(ranked) - 1
    places = sorted({-(-last * row // (count - 1)) for row in range(count)})  # evenly spread, the ends among them
    ends = {len(ranked) // 2: "median", last: "worst", 0: "best"}
    return {
        ranked[place]: f"{ends.get(place, f'{place + 1} of {len(ranked)}')}: {ranked[place]}, "
        f"{metric.title} {metric.format(table.images[ranked[place]][by] or 0.0)}"
        for place in places
    }


def draw_examples(file: Path, shown: "Mapping[str, Sequence[Scored]]", captions: Sequence[str]) -> None:
    """Draw a row for each image: input, the result of each run, target, and the error of each run.

    Where images were measured inside of boxes, the largest of these follow, each a row.
    """
    from crossband.recipes.model.evaluating import columns_of
    from crossband.recipes.reporting.pictures import magnified, sample_grid, save

    names = ["output"] if len(shown) == 1 else list(shown)
    outputs = {name: [image.output[0] for image in own] for name, own in zip(names, shown.values(), strict=True)}
    first = next(iter(shown.values()))
    columns, captions = magnified(columns_of(first, outputs), captions, [image.boxes for image in first])
    save(sample_grid(columns, captions, errors=[(name, "target") for name in names]), file)


def _scored(model: "Model", names: Sequence[str], images: "TestImages", inside: Sequence[str] | None) -> "list[Scored]":
    """The images of these names, and what a model makes of them. Computed again: a test set may not fit into memory."""
    from crossband.recipes.model.evaluating import score, whole_scenes
    from crossband.recipes.model.looking import boxes_of

    scenes = whole_scenes(model.task, images.source, images.split)
    if missing := [name for name in names if name not in scenes.names]:
        message = f"{model.task.name}: its images lack `{missing[0]}`, so that it cannot be drawn beside the others"
        raise CrossbandError(message)
    labels = inside or model.task.evaluate.inside or ()
    found = score(model, scenes, [scenes.names.index(name) for name in names])
    return [image._replace(boxes=boxes_of(scenes, image.name, labels)) for image in found]
