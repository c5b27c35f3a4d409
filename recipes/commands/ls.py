"""`crossband ls`: everything that a YAML file can name."""

from textwrap import shorten

import click

from crossband import registry
from crossband.recipes.commands import listing
from crossband.recipes.commands.listing import KINDS, Item
from crossband.recipes.commands.output import print_json, print_table, say

PARAMETERS = "parameters"
LONGEST = 64  # characters of a rule of image sizes; `--json` and `crossband check` have all of it


@click.command()
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program: a list, or without KIND one for each kind")
def ls(kind: str | None, as_json: bool) -> None:
    """List everything that a YAML file can name, or one KIND of it.

    `crossband show NAME` tells more of each.
    """
    found = {each: listing.items(each) for each in ([kind] if kind else KINDS)}
    for failure in registry.plugin_failures:
        say(f"note: {failure}")
    if as_json:
        plain = {each: [item.as_dict() for item in items] for each, items in found.items()}
        print_json(plain[kind] if kind else plain)
        return
    for number, (each, items) in enumerate(found.items()):
        if number:
            click.echo()
        _print(each, items)


def _print(kind: str, items: list[Item]) -> None:
    columns = {
        kind: lambda item: item.name,
        "form": lambda item: "hybrid" if item.hybrid else "",
        PARAMETERS: lambda item: "" if item.parameters is None else f"{item.parameters:,}",
        "image sizes": lambda item: shorten(item.sizes or "", LONGEST, placeholder=" ..."),
        "contract": lambda item: item.contract or "",
        "what it is": lambda item: item.summary,
        "source": lambda item: ", ".join(item.cite),
    }
    used = {heading: column for heading, column in columns.items() if any(map(column, items))} or {kind: columns[kind]}
    print_table(list(used), [[column(item) for column in used.values()] for item in items], right=[PARAMETERS])
