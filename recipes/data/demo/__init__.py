"""Street scenes that the library draws. In: a seed. Out: an aligned visible and thermal image."""
