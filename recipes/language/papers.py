"""The figures of a paper are those of its own system: what differs in a recipe as it is run is said beside them.

A recipe file with figures stands for the paper's system. Settings and variants may make it translate the other way, by
other networks, or learn from other images; other changes, such as a shorter training, are the reader's to judge.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from crossband.graphs.language.diagnostics import Problems
from crossband.recipes.language.bands import bound
from crossband.recipes.language.layers import Layers, worked_out
from crossband.recipes.language.syntax import Paper, Recipe
from crossband.recipes.language.tables import Comparison, Printed, Row
from crossband.registry import show, sources


def beside(recipe: Recipe) -> tuple[Paper, ...]:
    """The figures of papers, each row with what differs between its system and the recipe, if anything does."""
    if not recipe.paper:
        return ()
    if any(setting.path == ("paper",) for setting in recipe.layers.settings):  # given for what is run
        written = recipe.layers.data
    else:
        written = worked_out(Layers(recipe.layers.documents).with_variants(Problems()), Problems())
    changes = list(_changes(written, recipe.layers.data))
    return tuple(_with(paper, [*changes, *_other_images(paper, recipe, written)]) for paper in recipe.paper)


def of_row(printed: Printed, row: Row, written: Recipe, run: Recipe) -> Paper | None:
    """The figures that a paper prints for a row of a table, with what differs in the run; None where it prints none.

    `written` is the recipe of the row as the table file says it, which stands for the paper's system, and `run` the
    recipe as it is run.
    """
    file = worked_out(Layers(run.layers.documents).with_variants(Problems()), Problems())
    reasons: list[str] = []
    if row.name in printed.values:
        place, values, note = f"{printed.table}, {row.name}", printed.values[row.name], printed.note
    else:
        own = [paper for paper in run.paper if (paper.source, paper.data) == (printed.source, printed.data)]
        if not own:
            return None
        place, values, note = own[0].table, own[0].values, own[0].note or printed.note
        reasons += _changes(file, written.layers.data)
    if printed.task:
        reasons += _changes({"task": {**printed.task}}, {"task": run.resolved["task"], "networks": {}})
    paper = Paper(printed.source, place, printed.data, values, note)
    reasons += [*_changes(written.layers.data, run.layers.data), *_other_images(paper, run, written.layers.data)]
    return _with(paper, reasons)


def paper_of(table: Comparison, row: Row) -> Paper | None:
    """The figures that the paper of a table prints for a row; None where it has none. Raises InvalidFile."""
    if table.paper is None:
        return None
    problems = Problems()
    written, run = (problems.value(row.load(problems, written=each)) for each in (True, False))
    return of_row(table.paper, row, written, run)


def differing(paper: Paper, reason: str) -> Paper:
    """The same figures, which cannot be compared for one more reason."""
    return _with(paper, [reason])


def _with(paper: Paper, reasons: list[str]) -> Paper:
    known = [paper.differs] if paper.differs else []
    new = [reason for reason in dict.fromkeys(reasons) if reason not in paper.differs]
    return replace(paper, differs="; ".join([*known, *new]))


def _changes(written: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    """How the direction or the networks of a recipe as it is run differ from those of its files."""
    bands = [bound(data["task"]) for data in (run, written) if "task" in data]
    directions = [f"{' and '.join(each['source'])} to {each['target'][0]}" for each in bands]
    if len(set(directions)) > 1:
        yield f"this run translates {directions[0]}, and not {directions[1]}"
        return  # the channels of the networks follow from it
    before = written.get("networks", {})
    for name, network in run["networks"].items():
        own, now = before.get(name, {}), network
        if own.get("graph") != now.get("graph"):
            yield f"`{name}` is {show(now.get('graph'))} here, and not {show(own.get('graph'))}"
        elif changed := _differing(own.get("params") or {}, now.get("params") or {}):
            yield f"`{name}` has {', '.join(changed)}"
        elif own.get("weights") and not now.get("weights"):
            yield f"`{name}` begins here without the weights of {show(own['weights']['keys'])}"
        elif any(own.get(key) != now.get(key) for key in {*own, *now} - {"weights", "frozen", "init", "fit"}):
            yield f"`{name}` is patched here"


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The params that differ: `width` 4 for 64."""
    names = [name for name in {**now, **before} if now.get(name) != before.get(name)]
    return [f"`{name}` {show(now.get(name))} for {show(before.get(name))}" for name in names]


def _other_images(paper: Paper, recipe: Recipe, written: Mapping[str, Any]) -> Iterator[str]:
    """That the figures are of other images: of another set, or of others of the same."""
    known = {name for name, entry in sources.items() if "folder" in entry.parameters and entry.cite}
    named = known & set(re.findall(r"\w+", paper.data.lower()))
    before, arguments = _source(written)
    if (named and recipe.data.source not in named) or (not named and before not in (None, recipe.data.source)):
        yield f"this run sees images of `{recipe.data.source}`"
    elif (
        before is not None
        and before == recipe.data.source
        and (changed := _chosen_otherwise(before, arguments, _source(recipe.layers.data)[1]))
    ):
        yield f"this run takes other images of `{before}`: {' and '.join(changed)} differ{'s' * (len(changed) == 1)}"


def _source(data: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """The data source of a recipe as it is written, and its arguments."""
    source = data.get("data", {}).get("source")
    if not isinstance(source, Mapping):
        return source, {}
    name = next(iter(source), None)
    return name, source.get(name) or {}


def _chosen_otherwise(source: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The arguments that choose or read images and that differ; where the images lie changes nothing."""
    places = {name for name, each in sources[source].parameters.items() if each.schema.get("format") == "path"}
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [f"its `{name}`" for name in names if name not in places]
