"""`crossband cite`: the sources of all that a name builds on, as BibTeX."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from crossband import registry
from crossband.recipes.commands.names import Named, meanings
from crossband.registry import CrossbandError, Entry, suggest

if TYPE_CHECKING:
    from crossband.graphs.language.syntax import Graph
    from crossband.graphs.plans.plan import Plan
    from crossband.recipes.language.layers import Setting
    from crossband.recipes.language.syntax import Recipe


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def cite(names: tuple[str, ...]) -> None:
    """Print BibTeX for all that each NAME builds on, each source once.

    NAME is a table (with its recipes), a recipe (with its graphs, their blocks, its losses, data, metrics and the rest
    of what it names), a graph, anything else that `crossband ls` lists, or the key of one source.
    """
    sources = registry.references()
    keys = {key for name in names for key in ([name] if name in sources else _keys(name))}
    if unknown := sorted(keys - sources.keys()):
        raise CrossbandError(f"no source named `{unknown[0]}`", hint=suggest(unknown[0], sources))
    if not keys:
        click.echo("nothing to cite: no source is given for this", err=True)
    click.echo("\n\n".join(text for key, text in sources.items() if key in keys), nl=bool(keys))


# ---------------------------------------------------------------------- what builds on what


def _keys(name: str) -> set[str]:
    try:
        return {key for named in meanings(name) for key in _cited(named)}
    except CrossbandError:
        if hint := suggest(name, registry.references(), few=0):
            raise CrossbandError(f"no source named `{name}`", hint=hint) from None
        raise


def _cited(named: Named) -> Iterator[str]:
    if named.kind == "graph":
        from crossband.graphs.checking.checker import check

        yield from _of_plan(check(str(named.path)))
    elif named.kind == "table":
        from crossband.recipes.language.tables import load_table

        table = load_table(str(named.path))
        yield from table.cite
        for row in table.rows:
            yield from _of_recipe(row.recipe, row.settings)
    elif named.kind == "recipe":
        yield from _of_recipe(str(named.path))
    elif named.item:
        yield from named.item.cite


def _of_plan(plan: "Plan") -> Iterator[str]:
    yield from _of_graph(plan.graph)
    yield from _of_entries([call.entry for call in plan.calls])
    yield from _of_entries([wrap.entry for wrap in plan.wrap])


def _of_graph(graph: "Graph") -> Iterator[str]:
    """Of a graph, and of the graphs that it uses as blocks."""
    yield from graph.cite
    for block in graph.blocks.values():
        yield from _of_graph(block) if block else ()


def _of_recipe(path: str, settings: "Sequence[Setting]" = ()) -> Iterator[str]:
    from crossband.recipes.commands.show_recipe import cited
    from crossband.recipes.language.checker import check

    experiment = check(path, settings)
    yield from cited(experiment.recipe)
    for plan in experiment.plans.values():
        yield from _of_plan(plan)
    yield from _of_entries(list(_named_in(experiment.recipe)))


def _named_in(recipe: "Recipe") -> Iterator[Entry]:
    """What a recipe itself names: data, functions of its calls, losses, optimizers, schedules, metrics."""
    from crossband.recipes.kinds.schedule import entry_of

    yield registry.sources[recipe.data.source]
    yield from (registry.augmentations[name] for name in recipe.data.augment)
    calls = [*recipe.flow.values()]
    for phase in recipe.phases:
        yield from (registry.losses[term.loss] for term in phase.terms.values())
        yield from (registry.optimizers[phase.optimizer[0]], entry_of(phase.schedule))
        calls += [value for term in phase.terms.values() for value in term.inputs]
    names = {part.name for value in calls for part in value.walk() if part.kind == "call"}
    yield from (entry for name, entry in registry.functions.items() if name in names)
    yield from (registry.metrics[name] for name in recipe.evaluate.metrics or ())


def _of_entries(entries: Sequence[Entry]) -> Iterator[str]:
    return (entry.cite for entry in entries if entry.cite)
