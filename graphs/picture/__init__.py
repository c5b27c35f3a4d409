"""Pictures of graphs. In: a graph, right or wrong. Out: the text of an SVG file.

A graph, with the graphs inside it laid open (`opened`), becomes a sketch (`sketch`, with its `parts`, `words` and
`scales`); its parts get their places on a grid (`layout`), the wires their ways between them (`routing`), all of it
its pixels (`pixels`); `page` and `boxes` write the SVG, with the palette and elements of `svg`.
"""
