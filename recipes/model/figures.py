"""The figures of networks that a column of a table can have: how those of `recipes.language.columns` are made."""

from collections.abc import Callable, Mapping, Sequence

from crossband.graphs.plans.cost import count_parameters
from crossband.recipes.model.task import Trained

Figure = Callable[[Trained], float]


def parameters(model: Trained) -> float:
    """Millions of learned numbers in the networks that translate: critics are not among them."""
    return sum(map(count_parameters, model.task.plans.values())) / 1e6


MADE: Mapping[str, Figure] = {"parameters": parameters}


def figures_of(model: Trained, names: Sequence[str]) -> dict[str, float]:
    """The figures of these names of a trained model; names of metrics are left out."""
    return {name: MADE[name](model) for name in names if name in MADE}
