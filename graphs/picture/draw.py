"""The picture of a graph as SVG: nodes as boxes, scales as rows, skips as dashed wires, faults in red.

It stands by itself: fonts of the system, its own light background, no script and no style sheet.
"""

from collections.abc import Mapping
from pathlib import Path

from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.syntax import Graph
from crossband.graphs.picture.page import Page
from crossband.graphs.picture.sketch import sketch


def draw(source: str | Path | Graph, params: Mapping[str, YamlValue] | None = None) -> str:
    """The picture of a graph, by shipped name, path or as a `Graph`, as the text of an SVG file.

    Each node is a box with its blocks; rows are the scales of the image, so that an encoder goes down and a
    decoder comes up; wires bear the shape of what runs along them; skips are dashed. Where another graph is used
    alone in a node, and once, what is inside it is drawn in its place, `handle.dec1`, as long as the picture stays
    within 60 parts. The same graph gives the same text. A graph that is wrong is drawn as it is written, as far as
    it is known, its faulty nodes in red with what is wrong. Raises InvalidFile for a file that does not hold a
    graph at all.
    """
    return Page(sketch(source, params)).text()
