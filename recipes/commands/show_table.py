"""`crossband show TABLE`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from crossband.graphs.language.writer import dump
from crossband.recipes.commands.output import print_facts, print_json, print_table
from crossband.recipes.commands.show_recipe import arguments, paper_text
from crossband.recipes.language.papers import paper_of
from crossband.recipes.language.syntax import Paper
from crossband.recipes.language.tables import Comparison, load_table


def show_table(path: str, overrides: Sequence[str], form: str | None) -> None:
    """Print a table: its rows with the figures of the paper, what all share, its columns. Raises InvalidFile."""
    table = load_table(path, overrides)
    if form == "resolved":
        click.echo(dump(table.document.data), nl=False)
        return
    papers = {row.name: paper_of(table, row) for row in table.rows}
    if form == "json":
        print_json(_as_dict(table, papers))
        return
    rows = [(row.name, row.recipe, arguments(row.own), _figures(papers[row.name]), row.note) for row in table.rows]
    used = [number for number in range(5) if any(row[number] for row in rows)]
    heads = ("row", "recipe", "its own settings", "the paper prints", "note")
    print_table([heads[number] for number in used], [[row[number] for number in used] for row in rows])
    click.echo()
    facts = {
        "table": table.name + (f": {table.doc}" if table.doc else ""),
        "protocol": arguments(table.protocol),
        "seeds": ", ".join(map(str, table.seeds)),
        "columns": ", ".join(table.columns),
        "compared with": table.reference,
        "paper": f"{table.paper.source}, {table.paper.table}, on {table.paper.data}" if table.paper else "",
        "variants": ", ".join(table.variants),
        "cite": ", ".join(table.cite),
    }
    print_facts(facts)


def _figures(paper: Paper | None) -> str:
    return paper_text(paper).partition(": ")[2] if paper else ""


def _as_dict(table: Comparison, papers: Mapping[str, Paper | None]) -> dict[str, Any]:
    rows = [
        {
            "name": row.name,
            "recipe": row.recipe,
            "settings": dict(row.own),
            "departs": list(row.departs),
            "note": row.note,
        }
        for row in table.rows
    ]
    return {
        "table": table.name,
        "doc": table.doc,
        "rows": [{**row, "paper": asdict(paper) if (paper := papers[row["name"]]) else None} for row in rows],
        "protocol": dict(table.protocol),
        "seeds": list(table.seeds),
        "columns": list(table.columns),
        "reference": table.reference,
        "variants": list(table.variants),
        "cite": list(table.cite),
    }
