"""What a column of results can have beside metrics: what a translation costs, and not how good it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crossband.registry import CrossbandError, suggest


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


# how each is found is said in `crossband.recipes.model.cost`
FIGURES: Mapping[str, NetworkFigure] = {
    "parameters": NetworkFigure("parameters", "Learned numbers of the networks that translate, in millions", "M"),
    "macs": NetworkFigure("MACs", "Multiply-accumulates of convolutions and matrix products, for one image", "G"),
    "latency": NetworkFigure("latency", "Time from images on the device to their translations there", "ms"),
    "memory": NetworkFigure("peak memory", "Weights, images and all that is computed and held at once", "MB", 1),
}


def check_costs(names: Iterable[str]) -> tuple[str, ...]:
    """These names of figures. Raises CrossbandError with the nearest one for a name that is none."""
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in FIGURES:
            hint = suggest(name, FIGURES) or f"choose from {', '.join(FIGURES)}"
            raise CrossbandError(f"there is no cost `{name}`", hint=hint)
    return found
