"""`crossband show`: one thing that has a name."""

from pathlib import Path

import click

from crossband.recipes.commands.names import FILES, JSON, KINDS, SET, SIZE, Named, meanings
from crossband.recipes.commands.output import say
from crossband.recipes.commands.show_format import WORD, show_format


@click.command()
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[KEY]")
@SET
@SIZE
@JSON
@click.option("--code", "form", flag_value="code", help="Of a graph: the forward pass that is generated")
@click.option(
    "--resolved", "form", flag_value="resolved", help="The flat YAML: parents merged in, expressions worked out"
)
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of a graph: write its picture to this file; what is inside other graphs that it uses is drawn too, "
    "as long as that makes no more than 60 parts",
)
@click.option("--network", metavar="NAME", help="Of a recipe: the graph of this network, with its params and patches")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), help="What is meant, where several kinds of thing have the name"
)
def show(  # noqa: PLR0917  one for each option
    name: str,
    words: tuple[str, ...],
    overrides: tuple[str, ...],
    size: tuple[int, int] | None,
    as_json: bool,
    form: str | None,
    svg: Path | None,
    network: str | None,
    kind: str | None,
) -> None:
    """Show what NAME is, of any kind that `crossband ls` lists; a graph, recipe or table of one's own by its path.

    Of a graph: for each node its blocks, the shape and the receptive field of its output, its parameters, and its
    multiply-accumulates at `--size`, or at the admissible size nearest to 256x256. Then what it takes and gives,
    between which numbers that lies, the image sizes that pass, what `--set` can change, and its digest.

    `crossband show format graph`, `crossband show format recipe` and `crossband show format table` tell every key of
    the three kinds of YAML file, with its type, its default and what it is; `crossband show format recipe data` those
    of one key.
    """
    if name == WORD:
        show_format(words, "json" if as_json else form)
        return
    if words:
        raise click.UsageError(f"`show` takes one NAME, got `{name}` and `{' '.join(words)}`")
    if as_json and form:
        raise click.UsageError(f"`--json` and `--{form}` exclude each other")
    if svg and svg.suffix.lower() != ".svg":
        raise click.UsageError(f"`--svg` writes a file that ends in `.svg`, got `{svg}`")
    kind = kind or ("recipe" if network else None)
    found, *others = meanings(name, (kind,) if kind else KINDS)
    if network and found.kind != "recipe":
        raise click.UsageError(f"`--network` is for recipes, and `{name}` is a {found.kind}")
    if others:
        say(f"`{name}` is a {' and a '.join(other.kind for other in others)} too: `--kind {others[0].kind}` shows it")
    graph_only = {"--size": size, "--code": form == "code", "--svg": svg}
    if found.kind != "graph" and not network and (given := [option for option, value in graph_only.items() if value]):
        hint = ": `--network NAME` shows one of its graphs" if found.kind == "recipe" else ""
        raise click.UsageError(f"`{given[0]}` is for graphs, and `{name}` is a {found.kind}{hint}")
    if found.kind not in FILES and (overrides or form):
        raise click.UsageError(
            f"`--set` and `--resolved` are for graphs, recipes and tables, and `{name}` is a {found.kind}"
        )
    form = "json" if as_json else form
    if network:
        from crossband.recipes.commands.show_graph import show_network

        show_network(str(found.path), network, overrides, size=size, form=form, svg=svg)
    else:
        _show(found, overrides, size, form, svg)


def _show(
    found: Named, overrides: tuple[str, ...], size: tuple[int, int] | None, form: str | None, svg: Path | None
) -> None:
    if found.kind == "graph":
        from crossband.recipes.commands.show_graph import show_graph

        show_graph(str(found.path), overrides, size, form, svg)
    elif found.kind == "table":
        from crossband.recipes.commands.show_table import show_table

        show_table(str(found.path), overrides, form)
    elif found.kind == "recipe":
        from crossband.recipes.commands.show_recipe import show_recipe

        show_recipe(str(found.path), overrides, form)
    elif found.item:
        from crossband.recipes.commands.show_entry import show_entry

        show_entry(found.item, form)
