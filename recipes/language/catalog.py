"""The shipped recipes by name."""

from crossband.graphs.language.catalog import Catalog

RECIPES = Catalog("recipes")
