"""The language of recipes. In: YAML text. Out: a checked `Experiment`, or faults with their places."""
