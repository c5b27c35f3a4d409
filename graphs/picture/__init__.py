"""Pictures of graphs. In: a graph, right or wrong. Out: the text of an SVG file.

`opened` replaces graphs used as nodes by what is inside them; `sketch`, with `parts`, `words` and `scales`, collects
what to draw; `layout` places the parts on a grid, `routing` runs the wires between them, `pixels` turns both into
pixels; `page` and `boxes` write the SVG, with the palette and elements of `svg`. Written by hand because general graph
layout does not give an encoder and decoder their U.
"""
