"""Hostile graphs and recipes: shipped ones mutated, values of other types, texts that were written to break a reader."""

from collections.abc import Sequence
from pathlib import Path

from faults import corpus
from faults.campaign import series
from faults.corpus import Base
from faults.law import Files, Outcome, run_here
from faults.mutate import garbled, mutated, to_yaml
from hypothesis import strategies as st

GRAPH_COMMANDS = (
    *[("check", "x.yaml")] * 4,
    ("show", "x.yaml"),
    ("show", "x.yaml", "--svg"),
    ("show", "x.yaml", "--size", "64x96"),
    ("check", "x.yaml", "--json"),
    ("cite", "x.yaml"),
)
RECIPE_COMMANDS = (*[("check", "x.yaml")] * 4, ("show", "x.yaml"), ("cite", "x.yaml"), ("check", "x.yaml", "--json"))


@st.composite
def hostile(draw: st.DrawFn, bases: Sequence[Base], commands: Sequence[tuple[str, ...]]) -> Files:
    """A graph or recipe of the corpus, mutated, and a command that reads it."""
    small = [base for base in bases if base.small]  # which take little time, and are tried as often as all others
    known = small if small and draw(st.booleans()) else bases
    base = known[draw(st.integers(0, len(known) - 1))]
    donor = bases[draw(st.integers(0, len(bases) - 1))]
    text, how = base.text, draw(st.sampled_from(["tree", "tree", "tree", "text", "both"]))
    if how != "text":
        text = to_yaml(draw(mutated(base.data, [donor.data])))
    if how != "tree":
        text = draw(garbled(text))
    command = draw(st.sampled_from(commands))
    if base.settings and command[0] == "check" and draw(st.integers(0, 3)) == 3:
        command = (*command, "--set", *base.settings)
    return Files(command, {"x.yaml": text, **base.beside})


@series("mutated graphs", weight=20, quick=60, cases=lambda: hostile(corpus.graphs(), GRAPH_COMMANDS))
def test_mutated_graphs(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


@series("mutated recipes", weight=20, quick=40, cases=lambda: hostile(corpus.recipes(), RECIPE_COMMANDS))
def test_mutated_recipes(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)
