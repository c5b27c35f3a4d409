"""What every room of the recipes uses, and what uses none of them: image ranges, files, progress, cached weights."""
