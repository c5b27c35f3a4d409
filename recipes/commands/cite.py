"""`crossband cite`: the sources of all that a name builds on, as BibTeX."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from crossband import registry
from crossband.recipes.commands import listing
from crossband.recipes.commands.names import Named, meanings
from crossband.registry import CrossbandError, Entry, suggest

if TYPE_CHECKING:
    from crossband.graphs.language.syntax import Graph
    from crossband.graphs.plans.plan import Plan

REFERENCES = listing.ROOT / "blocks" / "references.yaml"
_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{
        "ß": r"{\ss}",
        "ø": r"{\o}",
        "Ø": r"{\O}",
        "ł": r"{\l}",
        "Ł": r"{\L}",
        "æ": r"{\ae}",
        "Æ": r"{\AE}",
        "ı": r"{\i}",
    },
    **{"–": "--", "—": "---", "’": "'", "“": "``", "”": "''"},
}
_ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0328",
        "`'^~=u.\"rHvdck",
        strict=True,
    )
)
_JOURNAL = re.compile(r"(?P<journal>.+?) (?P<volume>\d+)(?:\((?P<number>[\d-]+)\))?(?:, (?P<pages>[\d-]+))?")
_VERBATIM = ("doi", "url", "eprint", "archiveprefix")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def cite(names: tuple[str, ...]) -> None:
    """Print BibTeX for all that each NAME builds on, each source once.

    NAME is a recipe (with its graphs, their blocks, its losses and data), a graph, a block, a loss, a data source, a
    wrapper, or the key of one source.
    """
    sources = references()
    keys = sorted({key for name in names for key in ([name] if name in sources else _keys(name))})
    if unknown := [key for key in keys if key not in sources]:
        raise CrossbandError(
            f"no source named `{unknown[0]}` in `blocks/references.yaml`", hint=suggest(unknown[0], sources)
        )
    if not keys:
        click.echo("nothing to cite: no source is given for this", err=True)
    click.echo("\n\n".join(bibtex(key, sources[key]) for key in keys), nl=bool(keys))


def references() -> Mapping[str, Mapping[str, Any]]:
    """Every source by its key."""
    from crossband.graphs.language.diagnostics import Problems
    from crossband.graphs.language.reader import read

    problems = Problems()
    return problems.value(read(REFERENCES, problems)).data


def bibtex(key: str, source: Mapping[str, Any]) -> str:
    """One entry. Titles keep their capitals; an identifier is not escaped."""
    kind, where = _venue(source.get("venue"))
    fields = {
        "title": f"{{{_escaped(source['title'])}}}",
        "author": " and ".join(map(_escaped, source.get("authors", ()))),
        **{name: value if name in _VERBATIM else _escaped(value) for name, value in where.items()},
        "year": str(source.get("year", "")),
        "doi": source.get("doi", ""),
        "url": source.get("url", ""),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _venue(venue: str | None) -> tuple[str, dict[str, str]]:
    """The kind of an entry and the fields that say where it appeared."""
    if not venue:
        return "misc", {}
    if venue.startswith("arXiv "):
        return "misc", {"eprint": venue.removeprefix("arXiv "), "archiveprefix": "arXiv"}
    if found := _JOURNAL.fullmatch(venue):
        fields = {name: value for name, value in found.groupdict().items() if value}
        return "article", {name: value.replace("-", "--") for name, value in fields.items()}
    return "inproceedings", {"booktitle": venue}


def _escaped(text: str) -> str:
    """Text for LaTeX: its special characters escaped, accents as commands, which every BibTeX can sort."""
    return "".join(_SPECIAL.get(character) or _accented(character) for character in unicodedata.normalize("NFC", text))


def _accented(character: str) -> str:
    base, *marks = unicodedata.normalize("NFD", character)
    if len(marks) != 1 or marks[0] not in _ACCENTS:
        return character
    accent = _ACCENTS[marks[0]]
    letter = {"i": r"\i ", "j": r"\j "}.get(base, base) if accent not in "dck" else base
    return f"{{\\{accent}{{{letter.strip()}}}}}"


# ---------------------------------------------------------------------- what builds on what


def _keys(name: str) -> set[str]:
    listing.import_all()
    return {key for named in meanings(name) for key in _cited(named)}


def _cited(named: Named) -> Iterator[str]:
    if named.kind == "graph":
        from crossband.graphs.checking.checker import check

        yield from _of_plan(check(str(named.path)))
    elif named.kind == "recipe":
        yield from _of_recipe(str(named.path))
    else:
        kinds = {
            "block": registry.blocks,
            "wrapper": registry.wrappers,
            "loss": registry.losses,
            "source": registry.sources,
        }
        yield from _of_entries([kinds[named.kind][named.name]])


def _of_plan(plan: "Plan") -> Iterator[str]:
    yield from _of_graph(plan.graph)
    yield from _of_entries([call.entry for call in plan.calls])
    yield from _of_entries([wrap.entry for wrap in plan.wrap])


def _of_graph(graph: "Graph") -> Iterator[str]:
    """Of a graph, and of the graphs that it uses as blocks."""
    yield from graph.cite
    for block in graph.blocks.values():
        yield from _of_graph(block) if block else ()


def _of_recipe(path: str) -> Iterator[str]:
    from crossband.recipes.commands.show_recipe import cited
    from crossband.recipes.language.checker import check

    experiment = check(path)
    yield from cited(experiment.recipe)
    for plan in experiment.plans.values():
        yield from _of_plan(plan)
    terms = [term for phase in experiment.recipe.phases for term in phase.terms.values()]
    yield from _of_entries([registry.losses[term.loss] for term in terms])
    yield from _of_entries([registry.sources[experiment.recipe.data.source]])


def _of_entries(entries: Sequence[Entry]) -> Iterator[str]:
    return (entry.cite for entry in entries if entry.cite)
