"""The graph of a network as a recipe patches it: in the words of a graph file that extends another."""

from collections.abc import Iterator, Mapping
from typing import Any

from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.expressions import is_expression, names_in
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.syntax import Graph
from crossband.graphs.language.validate import usable_name
from crossband.recipes.language.bands import known_numbers
from crossband.recipes.language.layers import Path_
from crossband.recipes.language.syntax import Network, Recipe
from crossband.registry import show

REMOVABLE = ("nodes", "outputs", "taps", "blocks", "wrap")  # sections in which null removes what the graph has


def patched(recipe: Recipe, name: str, graph: Graph, problems: Problems) -> Graph | None:
    """The graph of the network `name` with what the recipe says of it; None after reporting a fault.

    Expressions in the patch may use the params of the graph and those of the recipe.
    """
    patch, before = _effective(recipe, name, graph), len(problems)
    if not patch:
        return graph
    params = _params(recipe, name, graph, patch, problems)
    place = recipe.at("networks", name)
    whole = Resolver(problems).patched(graph, usable_name(name), patch, params, place)
    return whole if len(problems) == before else None


def patch_text(network: Network) -> str:
    """What a recipe says of a graph, in short: `insert look; nodes de1`."""
    return "; ".join(
        f"{word} {', '.join(said)}" if isinstance(said, Mapping) else word for word, said in network.patch.items()
    )


def _effective(recipe: Recipe, name: str, graph: Graph) -> dict[str, Any]:
    """The patch without the nulls that took back what a weaker layer of the recipe had added."""

    def taken_back(word: str, part: str) -> bool:
        there = word in REMOVABLE and part in getattr(graph, word)
        return not there and recipe.layers.adds(("networks", name, word, part))

    patch: dict[str, Any] = {}
    for word, said in recipe.networks[name].patch.items():
        if not isinstance(said, Mapping):
            patch[word] = said
        elif kept := {part: text for part, text in said.items() if text is not None or not taken_back(word, part)}:
            patch[word] = kept
    return patch


def _params(recipe: Recipe, name: str, graph: Graph, patch: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The params of the recipe that the patch uses and the graph lacks. A name with two values is a fault."""
    own = {**known_numbers(recipe.resolved), **recipe.resolved.get("params", {})}
    theirs = {**graph.params, **recipe.networks[name].params}
    used = names_in({word: said for word, said in patch.items() if word != "blocks"})  # which have params of their own
    for param in sorted(used & own.keys() & theirs.keys()):
        if own[param] != theirs[param]:
            message = f"`{param}` is {show(own[param])} in the recipe, and {show(theirs[param])} in `{graph.name}`"
            hint = f"give both one value, `params: {{{param}: ={param}}}`, or call that of the recipe otherwise"
            at = next(path for path, text in _texts(patch, ("networks", name)) if param in names_in(text))
            problems.add("E016", message, recipe.at(*at), hint)
    return {param: own[param] for param in sorted(used & (own.keys() - theirs.keys()))}


def _texts(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    """The expressions in plain data, with their paths."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))
    elif is_expression(value):
        yield path, value
