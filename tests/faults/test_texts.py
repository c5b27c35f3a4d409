"""Hostile graphs and recipes: shipped ones mutated, values of other types, texts that were written to break a reader."""

from collections.abc import Sequence
from pathlib import Path

import torch
from faults import corpus
from faults.campaign import series
from faults.corpus import Base
from faults.law import Broken, Files, Outcome, run_here
from faults.mutate import garbled, mutated, to_yaml
from hypothesis import strategies as st

import crossband
from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs.plans.image_size import nearest
from crossband.registry import CrossbandError

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
    text = text.replace("workers: 1", "workers: 0")
    command = draw(st.sampled_from(commands))
    if base.settings and command[0] == "check" and draw(st.integers(0, 3)) == 3:
        command = (*command, "--set", *base.settings)
    return Files(command, {"x.yaml": text, **base.beside})


@series("mutated graphs", weight=20, quick=36, cases=lambda: hostile(corpus.graphs(), GRAPH_COMMANDS))
def test_mutated_graphs(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


@series("mutated recipes", weight=20, quick=24, cases=lambda: hostile(corpus.recipes(), RECIPE_COMMANDS))
def test_mutated_recipes(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


# ---------------------------------------------------------------------- what is right is built, called and trained


@series(
    "mutated graphs, built and called", weight=6, quick=6, cases=lambda: hostile(small(corpus.graphs()), [("build",)])
)
def test_mutated_graphs_are_built(case: Files, folder: Path) -> Outcome:
    """What is checked is right: it is built without values, called, and gives the shapes that were promised."""
    return run_here(lambda: build_and_call(folder / "x.yaml"), folder)


def small(bases: Sequence[Base]) -> Sequence[Base]:
    """Those of few lines."""
    return [base for base in bases if len(base.text) < 2000]


def build_and_call(path: Path) -> None:
    """Build a graph on the meta device and call it. Ends as a command does where the file is wrong."""
    try:
        plan = crossband.check(path)
        numbers = nearest(plan, 64, 64)
        shapes = [tuple(evaluate(size, numbers) for size in shape[1:]) for shape in plan.inputs.values()]
    except CrossbandError as error:
        raise SystemExit(str(error)) from None
    with torch.device("meta"):
        network = crossband.build(path).eval()
        given = network(*(torch.empty(2, *map(int, shape)) for shape in shapes))
    found = given if isinstance(given, dict) else {next(iter(plan.outputs)): given}
    for name, ref in plan.outputs.items():
        promised = tuple(int(evaluate(size, numbers)) for size in plan.shape(ref)[1:])
        if tuple(found[name].shape[1:]) != promised:
            raise Broken(f"`{name}` has {tuple(found[name].shape[1:])}, and {promised} was promised")


@series(
    "mutated recipes, trained",
    weight=6,
    quick=2,
    cases=lambda: hostile(trainable(), [("train", "x.yaml", "--run", "run")]),
)
def test_mutated_recipes_are_trained(case: Files, folder: Path) -> Outcome:
    """What is checked trains; what asks for much is interrupted."""
    return run_here(case.command, folder, patience=3.0)


def trainable() -> Sequence[Base]:
    """Recipes that train in a second."""
    beside = {name: text for name, text in corpus.tiny.FILES.items() if text.startswith("\ngraph")}
    texts = {**corpus.RUNS, "rich": corpus.RICH_RECIPE, "gan": corpus.tiny.GAN + "evaluate: {metrics: [mae]}\n"}
    return [Base(name, "recipe", text, beside) for name, text in texts.items()]
