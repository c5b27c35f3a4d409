"""`crossband curves`: losses and metrics of several runs in one plot, how they fluctuate and converge."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crossband.recipes.commands.output import print_json, print_table, refuse_unwritable, say
from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from crossband.recipes.reporting.run_curves import Logged


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--of", multiple=True, metavar="NAME[,NAME...]", help="A loss or metric, the first that a run has (repeatable)"
)
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw a plot for each to a new PNG")
@click.option(
    "--against", type=click.Choice(["steps", "epochs", "seconds"]), default="steps", show_default=True, help="The axis"
)
@click.option(
    "--smooth", type=click.FloatRange(0, min_open=True), metavar="WIDTH", help="[default: a 20th of the axis]"
)
@click.option("--level", type=float, help="Converged is at it or better [default: what all of them reach]")
@click.option("--seeds", is_flag=True, help="Draw runs that differ in their seed alone as a mean with a band")
@click.option("--csv", "sheet", type=click.Path(path_type=Path), metavar="FILE", help="Write the table to a new file")
@click.option("--json", "as_json", is_flag=True, help="For a program")
def curves(
    *,
    runs: tuple[Path, ...],
    of: tuple[str, ...],
    picture: Path | None,
    against: str,
    smooth: float | None,
    level: float | None,
    seeds: bool,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Compare a loss or metric of several RUNs over training, and print Markdown.

    Lines are smoothed by the mean within a window, over the raw values in pale. `end` is where the smoothed line ends;
    fluctuation is how much the raw values vary about it over the second half, relative to it; converged is the first
    place from which it stays at the level or better. A run may still be training. Where runs call a quantity
    differently, `--of cycle,reconstruction` takes the first that each has. Without `--of`, a list of what they have.
    """
    refuse_unwritable(sheet, picture)
    from crossband.recipes.basics.parts import Grid, markdown_table
    from crossband.recipes.reporting.run_curves import (
        cells,
        draw_panels,
        figures,
        headings,
        panel_of,
        runs_of,
        uneven,
    )

    wanted = [names for text in of if (names := [name.strip() for name in text.split(",") if name.strip()])]
    if not wanted and (of or picture or sheet):
        raise click.UsageError("say what to draw: `--of NAME`; without it, the list of what the runs have")
    if any(number is not None and not math.isfinite(number) for number in (level, smooth)):
        raise click.UsageError("`--level` and `--smooth` take finite numbers")
    logged = runs_of(runs)
    if not wanted:
        _list(logged)
        return
    options: dict[str, Any] = {"against": against, "window": smooth, "level": level, "seeds": seeds}
    panels = [panel_of(names, logged, **options) for names in wanted]
    heads, rows = headings(against), figures(panels)  # type: ignore[arg-type]
    if as_json:
        print_json([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        shown = [cells(row, against) for row in rows]  # type: ignore[arg-type]
        click.echo(markdown_table(Grid(heads, shown, align="ll" + "r" * (len(heads) - 2))))
    if uneven(panels):
        say("note: the points of some runs are means of more steps (`every.log`), which makes them fluctuate less")
    if sheet:
        from crossband.recipes.reporting.sheet import write_rows

        write_rows(sheet, heads, rows)
        say(f"{len(rows)} rows in {sheet}")
    if picture:
        draw_panels(panels, picture, against=against)  # type: ignore[arg-type]
        say(f"{len(rows)} curves in {picture}")


def _list(logged: "dict[str, Logged]") -> None:
    """The table of what the runs have."""
    from crossband.recipes.reporting.run_curves import quantities

    found = quantities(logged)
    if not found:
        raise CrossbandError("none of these runs has a curve yet", hint="wait for two points in their logs")
    every: Sequence[str] = list(logged)
    rows = [(name, "all" if len(own) == len(every) else ", ".join(own)) for name, own in found.items()]
    print_table(("--of", "runs"), rows)
