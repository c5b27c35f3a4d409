"""Training. In: a checked recipe and its data. Out: the folder of a run."""
