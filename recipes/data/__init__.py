"""Where images come from: sources of aligned scenes, image files, and the loader that batches them.

Importing this package registers the sources `demo` and `pairs`; it does not import torch, which
only `crossband.recipes.data.loader` needs.
"""

from crossband.recipes.data.demo import demo
from crossband.recipes.data.images import ImageError, read_image, write_image
from crossband.recipes.data.pairs import pairs
from crossband.recipes.data.source import Band, DataError, Source, source

__all__ = ["Band", "DataError", "ImageError", "Source", "demo", "pairs", "read_image", "source", "write_image"]
