"""Where the shipped recipes are."""

from pathlib import Path

from crossband.graphs.shelf import Shelf

RECIPES = Shelf((Path(__file__).parent,))
