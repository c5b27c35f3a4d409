"""Judging images. In: outputs and targets. Out: tables of metrics, baselines, intervals and verdicts.

The modules that have metrics are imported here by name, so that the registry finds them.
"""

from crossband.recipes.metrics import fusion, ladlenet, metrics, regions, vgg19

__all__ = ["fusion", "ladlenet", "metrics", "regions", "vgg19"]
