"""Losses: pure functions of tensors, named in recipes.

One module for each family, imported here by name so that what is registered can be read off this
file. A loss of your own: write a function under `@loss("name")` in a module here, or in a plugin.
"""

from crossband.recipes.losses.frequency import fft_l1
from crossband.recipes.losses.loss import LossInputError, loss
from crossband.recipes.losses.pixel import bce, charbonnier, l1, mse

__all__ = ["LossInputError", "bce", "charbonnier", "fft_l1", "l1", "loss", "mse"]
