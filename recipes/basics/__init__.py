"""Helpers of all rooms of the recipes, which import none of them: image ranges, files, progress, cached weights."""
