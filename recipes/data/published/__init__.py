"""Published data sets as sources: each knows its folders and its splits, and downloads nothing.

Importing this package registers them all.
"""

from crossband.recipes.data.published.flir import flir
from crossband.recipes.data.published.kaist import kaist
from crossband.recipes.data.published.llvip import llvip
from crossband.recipes.data.published.msrs import msrs
from crossband.recipes.data.published.osu import osu
from crossband.recipes.data.published.roadscene import roadscene

__all__ = ["flir", "kaist", "llvip", "msrs", "osu", "roadscene"]
