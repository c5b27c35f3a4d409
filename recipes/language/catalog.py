"""Where the shipped recipes are."""

from pathlib import Path

from crossband.graphs.language.catalog import Catalog

RECIPES = Catalog((Path(__file__).parents[1],), "recipe", "recipe")
