"""`crossband ls`: everything that a YAML file can name."""

from collections.abc import Callable, Mapping
from textwrap import shorten

import click

from crossband import registry
from crossband.recipes.commands import listing
from crossband.recipes.commands.output import print_json, print_table, say
from crossband.recipes.commands.show_entry import as_json
from crossband.registry import CrossbandError, Description, suggest

LONGEST = 64  # characters of a rule of image sizes; `--json` and `crossband check` have all of it
RIGHT = ["parameters"]


class Kind(click.Choice[str]):
    """A kind of thing, as the argument of a command."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The kind; where there is none of the name, the nearest is named."""
        if value not in self.choices:
            self.fail(f"no kind named `{value}`\nhint: {suggest(value, list(self.choices))}", param, ctx)
        return value


@click.command()
@click.argument("kind", type=Kind(list(listing.KINDS)), required=False)
@click.option("--find", "word", metavar="WORD", help="Only what has this word in its name or its documentation")
@click.option("--json", "as_program", is_flag=True, help="For a program: a list, or without KIND one for each kind")
def ls(kind: str | None, word: str | None, as_program: bool) -> None:
    """List everything that a YAML file can name, or one KIND of it.

    `crossband show NAME` tells more of each.
    """
    kinds = [kind] if kind else list(listing.KINDS)
    found = listing.find(word, kinds) if word else {each: listing.items(each) for each in kinds}
    for failure in registry.plugin_failures:
        say(f"note: {failure}")
    if as_program:
        plain = {each: [as_json(item) for item in items] for each, items in found.items()}
        print_json(plain[kind] if kind else plain)
        return
    if word:
        found = {each: items for each, items in found.items() if items}
    if not found:
        raise CrossbandError(f"nothing has the word `{word}`", hint="`crossband ls` lists everything")
    for number, (each, items) in enumerate(found.items()):
        if number:
            click.echo()
        _print(each, items)


def _print(kind: str, items: list[Description]) -> None:
    """A table of the columns in which any of the things has something to say."""
    columns: Mapping[str, Callable[[Description], str]] = {
        kind: lambda item: item.name,
        "form": lambda item: "hybrid" if "hybrid" in item.details else "",
        "parameters": lambda item: f"{item.details['parameters']:,}" if "parameters" in item.details else "",
        "image sizes": lambda item: shorten(item.details.get("sizes", ""), LONGEST, placeholder=" ..."),
        "range": lambda item: ", ".join(dict.fromkeys(item.details.get("ranges", {}).values())),
        "contract": lambda item: item.details.get("contract", ""),
        "inputs": lambda item: ", ".join(item.details.get("inputs", ())),
        "takes": lambda item: item.details.get("takes", ""),
        "written": lambda item: item.details.get("written", ""),
        "better": lambda item: item.details.get("better", ""),
        "unit": lambda item: item.details.get("unit", ""),
        "what it is": lambda item: item.summary,
        "caution": lambda item: item.details.get("caution", ""),
        "source": lambda item: ", ".join(item.cite),
    }
    used = {heading: column for heading, column in columns.items() if heading == kind or any(map(column, items))}
    print_table(list(used), [[column(item) for column in used.values()] for item in items], right=RIGHT)
