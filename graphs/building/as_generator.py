"""A wrapper that makes a generator, as GANs have it, of a graph that ends in sigmoids."""

from dataclasses import replace

from crossband.graphs.building.multiscale import graph_wrapper, taps_as_outputs
from crossband.graphs.language.syntax import Graph, Node, Output, Step

INNER = "network"


@graph_wrapper("AsGenerator")
def as_generator(graph: Graph) -> Graph:
    """One image in [-1, 1]: the first output of a graph whose outputs end in sigmoids, such as U2-Net with its sides.

    Every output is brought from [0, 1] to [-1, 1]. The first is the image; the others, the side outputs, become taps
    under their names, so that a loss may still look at them: `l1: [fake.side*, target]`. A graph that ends in a
    Tanh needs none of this. Other wrappers go around the whole.
    """
    name = next(name for name in (graph.name, f"{graph.name}_one") if name not in graph.blocks)
    whole = replace(graph, outputs={**graph.outputs, **taps_as_outputs(graph)}, taps={}, blocks={})
    given = {param: f"={param}" for param in graph.params}
    network = Node(INNER, (Step(name, given, place=graph.place),), tuple(graph.inputs))
    outputs = [output for output in graph.outputs.values() if output]
    signed = {
        output.name: Node(output.name, (Step("Signed", place=graph.place),), (f"{INNER}.{output.name}",))
        for output in outputs
    }
    image, *sides = outputs
    taps = {side.name: side.name for side in sides} | {tap: f"{INNER}.{tap}" for tap in graph.taps}
    return replace(
        graph,
        nodes={INNER: network, **signed},
        outputs={image.name: Output(image.name, image.shape, image.name, image.place)},
        taps=taps,
        blocks={**graph.blocks, name: whole},
    )
