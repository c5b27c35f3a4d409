"""Where images come from. In: folders and files of images. Out: named scenes, batched by the loader.

Importing this package registers the sources; it does not import torch, which only the loader, its geometry
and the cache need.
"""

from crossband.recipes.data.demo.demo import demo
from crossband.recipes.data.folders import folders
from crossband.recipes.data.images import ImageError, read_image, write_image
from crossband.recipes.data.memory import memory
from crossband.recipes.data.pairs import pairs
from crossband.recipes.data.published import flir, kaist, llvip, msrs, osu, roadscene
from crossband.recipes.kinds.source import Band, Box, DataError, Source, source

__all__ = [
    "Band",
    "Box",
    "DataError",
    "ImageError",
    "Source",
    "demo",
    "flir",
    "folders",
    "kaist",
    "llvip",
    "memory",
    "msrs",
    "osu",
    "pairs",
    "read_image",
    "roadscene",
    "source",
    "write_image",
]
