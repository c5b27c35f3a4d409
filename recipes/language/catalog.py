"""The shipped recipes."""

from crossband.graphs.language.catalog import Catalog

RECIPES = Catalog("recipes", "recipe", "recipe")
