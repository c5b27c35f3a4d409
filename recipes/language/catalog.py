"""The shipped recipes, and the shipped tables of them."""

from pathlib import Path

from crossband.graphs.language.catalog import Catalog

RECIPES = Catalog("recipes", "recipe", "recipe")
TABLES = Catalog("tables", "table", "table")


def is_shipped(file: Path) -> bool:
    """Whether a file is a recipe or a table that is shipped: images that it names are looked for where one works."""
    return any(catalog.ships(file) for catalog in (RECIPES, TABLES))
