"""Every metric there is, by name and in the order of a table; one in a file of its own is imported here."""

from crossband.recipes.metrics import ladlenet, vgg19  # noqa: F401  they declare themselves
from crossband.recipes.metrics.metrics import METRICS

__all__ = ["METRICS"]
