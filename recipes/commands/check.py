"""`crossband check`: graphs, recipes and tables against everything that they name."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from crossband.recipes.commands import listing
from crossband.recipes.commands.names import FILES, JSON, SIZE, Named, meanings
from crossband.recipes.commands.names import settings as params
from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import print_json, print_problems, say
from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from crossband.graphs.language.diagnostics import Place, Problems
    from crossband.graphs.plans.plan import Plan
    from crossband.recipes.language.syntax import Recipe

KINDS = FILES


class Asked(NamedTuple):
    """What is to be checked of each file: with which settings and images, and for which image size."""

    settings: tuple[str, ...]
    data: Path | None
    size: tuple[int, int] | None


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="As in `train`, or for a graph a param: width=32 (repeatable)",
)
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER", help="As in `train`")
@max_pixels
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="As in `train`")
@click.option("--precision", type=click.Choice(["32", "bf16-mixed", "16-mixed"]), help="As in `train`")
@SIZE
@JSON
@click.pass_context
def check(
    ctx: click.Context,
    *,
    files: tuple[str, ...],
    settings: tuple[str, ...],
    data: Path | None,
    device: str | None,
    precision: str | None,
    size: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Check graphs, recipes and tables, by path or shipped name, and print every error of all of them.

    A recipe of your own, or one with other options, is checked as `train` would begin it: its images are opened, its
    weights read, its networks built, and nothing is written. Of the folders that shipped recipes name, such as
    `data/LLVIP`, it is only told that they are not there. Of a table, the recipe of each row is checked with its
    settings; its images are opened when it is trained.

    Without FILE, everything that is shipped is checked. A right file is one line: what it is, how many parameters
    it has, which image sizes pass. `--size` asks whether images of one size do. With `--json`, the errors are a
    list of `{code, file, line, column, message, hint}`, empty where there are none. The exit code is 1 where there
    are errors.
    """
    from crossband.graphs.language.diagnostics import Problems

    given = {"device": device, "precision": precision}
    asked = Asked((*settings, *(f"{key}={value}" for key, value in given.items() if value)), data, size)
    problems = Problems()
    lines = [_checked(named, asked, problems) for named in _asked(files, asked, problems)]
    if as_json:
        print_json([diagnostic.as_dict() for diagnostic in problems])
    else:
        for line in filter(None, lines):
            click.echo(line)
        if problems:
            print_problems(problems, sys.stdout)
    ctx.exit(1 if problems else 0)


def _asked(files: tuple[str, ...], asked: Asked, problems: "Problems") -> list[Named]:
    """What to check: a name stands for every shipped file of that name, nothing for all of them.

    With settings or images, the name of a graph and a recipe is that of the recipe.
    """
    if not files:
        names = {kind: listing.known(f"{kind}s") for kind in KINDS}
        return [named for kind in KINDS for name in names[kind] for named in meanings(name, [kind])]
    found: list[Named] = []
    for file in files:
        try:
            named = meanings(file, KINDS)
            found += named[-1:] if asked.settings or asked.data else named
        except CrossbandError as error:
            _gather(error, problems)
    return found


def _checked(named: Named, asked: Asked, problems: "Problems") -> str | None:
    """One line on a right file; the faults of any other are added to `problems`."""
    try:
        return {"graph": _graph, "recipe": _recipe, "table": _table}[named.kind](named, asked)
    except CrossbandError as error:
        _gather(error, problems)
        return None


def _graph(named: Named, asked: Asked) -> str:
    from crossband.graphs.checking.checker import check_into
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.resolve import load_graph
    from crossband.graphs.plans.cost import count_parameters
    from crossband.graphs.plans.room import shortage

    if asked.data:
        raise click.UsageError(f"`--data` is for recipes, and `{named.name}` is a graph")
    problems = Problems()
    plan = problems.value(check_into(str(named.path), problems, *params(asked.settings)))
    if asked.size:
        _refuse_size([(plan, load_graph(str(named.path)).at("inputs"))], asked.size)
    if not named.item and (short := shortage(plan)):
        say(f"note: {short}")
    return f"graph {plan.graph.name}: {count_parameters(plan):,} parameters; {plan.sizes}"


def _recipe(named: Named, asked: Asked) -> str:
    from crossband.graphs.plans.cost import count_parameters
    from crossband.recipes.language.experiment import unfinished
    from crossband.recipes.model.plugins import check_file, is_of_run

    path = str(named.path)
    experiment = check_file(path, asked.settings)
    recipe, plans = experiment.recipe, experiment.plans
    _refuse_size([(plan, recipe.at("networks", name, key=True)) for name, plan in plans.items()], asked.size)
    own = named.item is None and not is_of_run(path)
    notes = _begin(recipe, path, asked) if own or asked.settings or asked.data else unfinished(recipe)
    for note in notes:
        say(f"note: {note}")
    networks = [f"{name} {count_parameters(plan):,} parameters ({plan.sizes})" for name, plan in plans.items()]
    return f"recipe {recipe.name}: {', '.join(networks)}"


def _table(named: Named, asked: Asked) -> str:
    from crossband.recipes.language.tables import check_rows, load_table

    if asked.size:
        raise click.UsageError(f"`--size` is for graphs and recipes, and `{named.name}` is a table")
    table = load_table(str(named.path), asked.settings)
    check_rows(table)
    counts = {"row": len(table.rows), "column": len(table.columns), "seed": len(table.seeds)}
    return f"table {table.name}: {', '.join(f'{count} {what}' + 's' * (count > 1) for what, count in counts.items())}"


def _begin(recipe: "Recipe", path: str, asked: Asked) -> list[str]:
    """Do what `train` does before its first step; what is worth a note. Raises InvalidFile for all that it refuses."""
    from crossband.graphs.language.diagnostics import InvalidFile, Problems
    from crossband.recipes.kinds.source import DataError
    from crossband.recipes.language.catalog import is_shipped
    from crossband.recipes.language.experiment import unfinished
    from crossband.recipes.training.runs import begin, prepare

    problems = Problems()
    place = None if asked.data else recipe.at("data", "source")
    try:
        session = begin(*prepare(path, asked.settings, asked.data), silent=True)
        return unfinished(recipe, session.per_epoch)
    except InvalidFile:
        raise
    except DataError as error:
        if place and is_shipped(Path(place.file)):  # which names the place where one may put them
            return [f"{error.message}: the images of `{recipe.name}` are not here; `--data FOLDER` names yours"]
        problems.add("E085", error.message, place, error.hint)
    except CrossbandError as error:
        problems.add("E085", error.message, None, error.hint)
    raise InvalidFile(problems)


def _refuse_size(plans: "list[tuple[Plan, Place | None]]", size: tuple[int, int] | None) -> None:
    """Raise InvalidFile where images of the size asked for do not pass through every graph."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.plans.image_size import refuse_size

    if size is None:
        return
    problems = Problems()
    for plan, place in plans:
        refuse_size(plan, *size, problems, place)
    problems.raise_if_any()


def _gather(error: CrossbandError, problems: "Problems") -> None:
    """Add what an error says to the problems of all files."""
    from crossband.graphs.language.diagnostics import InvalidFile

    if isinstance(error, InvalidFile):
        for each in error.problems:
            problems.take(each)
    else:
        problems.add("E010", error.message, None, error.hint)
