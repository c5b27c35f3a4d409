"""Recipes as written: read, laid over their parents, checked against graphs, losses and data."""
