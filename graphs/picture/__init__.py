"""What `crossband.graphs.draw` is made of.

A graph becomes a sketch (`sketch`, with its `words` and `scales`), the parts of the sketch get their places
on a grid (`layout`), the wires their ways between them (`routing`), all of it its pixels (`pixels`).
"""
