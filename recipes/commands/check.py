"""`crossband check`: graphs and recipes against everything that they name."""

import sys
from typing import TYPE_CHECKING

import click

from crossband.recipes.commands import listing
from crossband.recipes.commands.names import JSON, SIZE, Named, meanings
from crossband.recipes.commands.output import colourful, print_json
from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from crossband.graphs.language.diagnostics import Place, Problems
    from crossband.graphs.plans.plan import Plan

KINDS = ("graph", "recipe")


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@SIZE
@JSON
@click.pass_context
def check(ctx: click.Context, files: tuple[str, ...], size: tuple[int, int] | None, as_json: bool) -> None:
    """Check graphs and recipes, by path or shipped name, and print every error of all of them.

    Without FILE, everything that is shipped is checked. A right file is one line: what it is, how many parameters
    it has, which image sizes pass. `--size` asks whether images of one size do. With `--json`, the errors are a
    list of `{code, file, line, column, message, hint}`, empty where there are none. The exit code is 1 where there
    are errors.
    """
    from crossband.graphs.language.diagnostics import Problems

    problems = Problems()
    lines = [_checked(named, size, problems) for named in _asked(files, problems)]
    if as_json:
        print_json([diagnostic.as_dict() for diagnostic in problems])
    else:
        for line in filter(None, lines):
            click.echo(line)
        if problems:
            click.echo(problems.render(colour=colourful(sys.stdout)))
    ctx.exit(1 if problems else 0)


def _asked(files: tuple[str, ...], problems: "Problems") -> list[Named]:
    """What to check: a name stands for every shipped file of that name, nothing for all of them."""
    if not files:
        names = {kind: listing.known(f"{kind}s") for kind in KINDS}
        return [named for kind in KINDS for name in names[kind] for named in meanings(name, [kind])]
    found: list[Named] = []
    for file in files:
        try:
            found += meanings(file, KINDS)
        except CrossbandError as error:
            _gather(error, problems)
    return found


def _checked(named: Named, size: tuple[int, int] | None, problems: "Problems") -> str | None:
    """One line on a right file; the faults of any other are added to `problems`."""
    try:
        return (_graph if named.kind == "graph" else _recipe)(str(named.path), size)
    except CrossbandError as error:
        _gather(error, problems)
        return None


def _graph(path: str, size: tuple[int, int] | None) -> str:
    from crossband.graphs.checking.checker import check as check_graph
    from crossband.graphs.language.resolve import load_graph
    from crossband.graphs.plans.cost import count_parameters

    plan = check_graph(path)
    _refuse_size([(plan, load_graph(path).at("inputs"))], size)
    return f"graph {plan.graph.name}: {count_parameters(plan):,} parameters; {plan.sizes}"


def _recipe(path: str, size: tuple[int, int] | None) -> str:
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.plans.cost import count_parameters
    from crossband.recipes.language.files import check_files
    from crossband.recipes.model.plugins import check_file

    experiment, problems = check_file(path), Problems()
    check_files(experiment.recipe, problems)
    problems.raise_if_any()
    recipe, plans = experiment.recipe, experiment.plans
    _refuse_size([(plan, recipe.at("networks", name, key=True)) for name, plan in plans.items()], size)
    networks = [f"{name} {count_parameters(plan):,} parameters ({plan.sizes})" for name, plan in plans.items()]
    return f"recipe {recipe.name}: {', '.join(networks)}"


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
            problems.add(each.code, each.message, each.place, each.hint, each.notes)
    else:
        problems.add("E010", error.message, None, error.hint)
