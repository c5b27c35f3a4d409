"""What a column of a table can have beside metrics: figures of the networks that translate, and not of images."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkFigure:
    """A figure of the networks that make the result of a recipe: how it is headed, written and read."""

    title: str
    doc: str
    unit: str = ""
    digits: int = 2

    def format(self, value: float) -> str:
        """`value` with as many digits as it is usually read with."""
        return f"{value:.{self.digits}f}"


# how each is computed is said in `crossband.recipes.model.figures`
FIGURES: Mapping[str, NetworkFigure] = {
    "parameters": NetworkFigure("parameters", "Learned numbers of the networks that translate, in millions", unit="M"),
}
