"""`crossband table`: the rows of a table, trained or found, beside what the paper prints."""

import json
from pathlib import Path

import click

from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import refuse_existing, report, say


class Seeds(click.ParamType):
    """Whole numbers with commas between them."""

    name = "N,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The seeds in their order."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
            self.fail(f"`{value}` is no list of seeds\nhint: write whole numbers, such as `0,1,2`", param, ctx)
        return tuple(map(int, parts))


FILE = click.Path(path_type=Path)


@click.command()
@click.argument("name")
@click.option("--data", type=FILE, metavar="FOLDER", help="The folder of the images of every row, as in `train`")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change every row: steps=100; variant=NAME is a variant of the table (repeatable)",
)
@click.option("--seeds", type=Seeds(), help="Instead of those of the table: 0,1,2")
@click.option(
    "--runs", type=FILE, metavar="FOLDER", help="Folder with a run for each row and seed [default: runs/NAME]"
)
@max_pixels
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="As `--set device=...`")
@click.option("--csv", "sheet", type=FILE, metavar="FILE", help="Write a line for each row and column to a new file")
@click.option("--json", "as_json", type=FILE, metavar="FILE", help="Write all of it for a program to a new file")
@click.option("--latex", type=FILE, metavar="FILE", help="Write it in LaTeX, for the package booktabs, to a new file")
@click.pass_context
def table(  # noqa: PLR0917  one for each option
    ctx: click.Context,
    name: str,
    data: Path | None,
    settings: tuple[str, ...],
    seeds: tuple[int, ...] | None,
    runs: Path | None,
    device: str | None,
    sheet: Path | None,
    as_json: Path | None,
    latex: Path | None,
) -> None:
    """Train the rows of the table NAME, a shipped name or a file, and print them beside the paper's, as Markdown.

    Each row and seed has a run folder, in which a finished run of exactly this recipe is found and not trained again.
    Ctrl-C saves; the same command goes on. A row that fails is shown as failed and does not stop the others: the exit
    code is then 1. A run of another recipe in the place of one of the table is refused, and never overwritten.
    """
    refuse_existing(sheet, as_json, latex)
    from crossband.recipes import Interrupted
    from crossband.recipes import table as start
    from crossband.recipes.basics.files import write_text

    given = [*settings, *([f"device={device}"] if device else [])]
    try:
        result = start(name, data, settings=given, seeds=seeds, runs=runs)
    except Interrupted as stopped:
        report(stopped)
        ctx.exit(stopped.exit_code)
    click.echo(str(result))
    if sheet:
        result.write_csv(sheet)
    if as_json:
        write_text(as_json, json.dumps(result.as_dict(), indent=1, ensure_ascii=False) + "\n")
    if latex:
        write_text(latex, result.latex())
    for file in filter(None, (sheet, as_json, latex)):
        say(f"the table in {file}")
    ctx.exit(1 if result.failed else 0)
