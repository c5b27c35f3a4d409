"""A checked graph that shows itself: as a table in print, as its picture in a notebook."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from crossband.graphs.checking.checker import check as check_graph
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.resolve import load_graph
from crossband.graphs.language.syntax import Graph
from crossband.graphs.picture.columns import table_lines
from crossband.graphs.picture.draw import draw
from crossband.graphs.picture.table import HEADINGS, RIGHT, Survey
from crossband.graphs.plans.image_size import usual
from crossband.graphs.plans.plan import Plan


@dataclass(frozen=True, repr=False, eq=False)
class DrawnPlan(Plan):
    """A Plan with the graph that it was made from, as `written`, and its `params`."""

    written: Graph = field(kw_only=True)
    params: Mapping[str, YamlValue] = field(kw_only=True)

    def __str__(self) -> str:
        """The table of `crossband show`."""
        survey = Survey(self, usual(self))
        facts = {name: text for name, text in {"graph": self.graph.name, **survey.facts()}.items() if text}
        width = max(map(len, facts))
        lines = table_lines(HEADINGS, survey.cells(), RIGHT)
        return "\n".join([*lines, "", *(f"{name.ljust(width)}  {text}" for name, text in facts.items())])

    def _repr_svg_(self) -> str:
        """What a notebook shows: the picture of `crossband show --svg`."""
        return draw(self.written, self.params)


def check(source: str | Path | Graph, params: Mapping[str, YamlValue] | None = None) -> DrawnPlan:
    """Check a graph, by shipped name, path or as a `Graph`, with other values for some params.

    The plan draws itself in a notebook, prints as a table, and can be given to `build`: `plan.sizes` says which image
    sizes pass, `plan.shapes` has the shapes of all values. Raises InvalidFile with every fault found.
    """
    plan = check_graph(source, params)
    written = source if isinstance(source, Graph) else load_graph(source)
    parts = {each.name: getattr(plan, each.name) for each in fields(plan)}
    return DrawnPlan(**parts, written=written, params=params or {})
