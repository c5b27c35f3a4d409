"""Draw a graph as SVG: nodes as boxes, scales as rows, skips as dashed wires, faults in red.

The file is self-contained: fonts of the system, its own light background, no script and no style sheet.
"""

from collections.abc import Mapping
from pathlib import Path

from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.syntax import Graph
from crossband.graphs.picture.page import Page
from crossband.graphs.picture.sketch import sketch


def draw(source: str | Path | Graph, params: Mapping[str, YamlValue] | None = None) -> str:
    """The picture of a graph, by shipped name, path or as a `Graph`, as the text of an SVG file.

    Each node is a box with its blocks; rows are the scales of the image, so that an encoder goes down and a decoder
    comes up; wires show the shapes of their values; skips are dashed. If a node only uses another graph, once, the
    inside of that graph is drawn instead (`handle.dec1`), as long as the picture has at most 60 parts. The same graph
    gives the same text. A graph with faults is drawn as far as it is known, with its faulty nodes and their faults in
    red. Raises InvalidFile for a file that does not hold a graph at all.
    """
    return Page(sketch(source, params)).text()
