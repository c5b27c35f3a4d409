"""The language of graphs. In: YAML text. Out: a resolved `Graph`, or faults with their places; and back to text."""
