"""`crossband schema`: what an editor needs to complete and check YAML files."""

import click

from crossband import registry
from crossband.recipes.commands import listing
from crossband.recipes.commands.output import print_json


@click.command()
@click.argument("kind", type=click.Choice(["graph", "recipe", "table"]), default="graph")
def schema(kind: str) -> None:
    """Print the JSON Schema of graph files, of recipe files, or of table files.

    Write it to a file and name that in the first line of a graph, for an editor with the YAML language server:

    \b
        crossband schema graph > graph.schema.json
        # yaml-language-server: $schema=graph.schema.json
    """
    if kind == "graph":
        from crossband.graphs.language.schema import graph_schema as made
    elif kind == "recipe":
        from crossband.recipes.language.schema import recipe_schema as made
    else:
        from crossband.recipes.language.table_schema import table_schema as made
    print_json(made({name: listing.known(name) for name in registry.KINDS}))
