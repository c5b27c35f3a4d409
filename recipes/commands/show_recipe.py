"""`crossband show RECIPE`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from crossband.graphs.language.serial import digest
from crossband.graphs.language.writer import dump
from crossband.graphs.plans.cost import count_parameters
from crossband.recipes.commands.listing import about
from crossband.recipes.commands.output import plain, print_facts, print_json, print_table
from crossband.recipes.language.experiment import Experiment, call_of, turns, unfinished
from crossband.recipes.language.flow import Value
from crossband.recipes.language.functions import words
from crossband.recipes.language.meaning import Meaning
from crossband.recipes.language.papers import beside
from crossband.recipes.language.patches import patch_text
from crossband.recipes.language.ramps import Ramp
from crossband.recipes.language.syntax import Network, Paper, Phase, Recipe, Term
from crossband.recipes.model.plugins import check_file


def show_recipe(path: str, overrides: Sequence[str], form: str | None) -> None:
    """Print a recipe as tables of its networks, flow and losses, or in the `form` asked for. Raises InvalidFile."""
    experiment = check_file(path, overrides)
    if form == "resolved":
        click.echo(dump(experiment.recipe.resolved), nl=False)
        return
    parameters = {name: count_parameters(plan) for name, plan in experiment.plans.items()}
    view = _print_json if form == "json" else _print
    view(experiment, parameters, about(path))


def _print(experiment: Experiment, parameters: Mapping[str, int], doc: str) -> None:
    recipe = experiment.recipe
    networks = [
        (
            name,
            _graph(recipe.networks[name], plan.graph.name),
            arguments(recipe.networks[name].params),
            f"{parameters[name]:,}",
            str(plan.sizes),
        )
        for name, plan in experiment.plans.items()
    ]
    print_table(("network", "graph", "params", "parameters", "sizes"), networks, right=("parameters",))
    click.echo()
    rows = [(name, str(value), *_meaning(experiment.flow[name])) for name, value in recipe.flow.items()]
    print_table(("value", "is", "shape", "range", "band"), rows)
    click.echo()
    print_table(("phase", "trains", "term", "weight", "loss"), _terms(recipe), right=("weight",))
    click.echo()
    step = order_of_step(experiment) if len(recipe.phases) > 1 else ""
    print_facts({"recipe": recipe.name + (f": {doc}" if doc else ""), "step": step, **_facts(recipe)})


def _meaning(value: Meaning) -> tuple[str, str, str]:
    """The shape and the range of a value, and the band that it stands for."""
    return words(value.shape), str(value.range), value.band or ""


def _graph(network: Network, name: str) -> str:
    """The graph of a network, with what the recipe patches in it."""
    return f"{Path(network.graph).name} ({patch_text(network)})" if network.patch else name


def _weight(term: Term) -> float | dict[str, Any]:
    return term.weight.as_dict() if isinstance(term.weight, Ramp) else term.weight


def order_of_step(experiment: Experiment) -> str:
    """What a step does, in order: `critics, generators, more (fake computed again)`."""
    flow = experiment.recipe.flow

    def expanded(value: Value) -> Value:
        return value.rebuilt(
            lambda part: expanded(flow[part.name]) if part.kind == "name" and part.name in flow else part
        )

    named = {name: call_of(expanded(value)) for name, value in flow.items()}
    found: dict[str, str] = {}
    for turn in turns(experiment.phases, experiment.kept, experiment.plans):
        words = []
        for calls, what in ((turn.again, "computed again"), (turn.kept, "kept")):
            if names := [name for name, call in named.items() if call in calls]:
                words.append(f"{', '.join(names)} {what}")
        phase = turn.phase.phase
        times = _times(phase)
        found.setdefault(phase.name, f"{phase.name}{times}" + (f" ({'; '.join(words)})" if words else ""))
    return ", ".join(found.values())


def _terms(recipe: Recipe) -> list[tuple[str, ...]]:
    """A row for each term of each phase; what repeats is said once."""
    rows: list[tuple[str, ...]] = []
    for phase in recipe.phases:
        name = phase.name + _times(phase)
        for number, (term, what) in enumerate(phase.terms.items()):
            head = ("", "") if number else (name, ", ".join(phase.train))
            rows.append(
                (
                    *head,
                    term,
                    f"{what.weight}" if isinstance(what.weight, Ramp) else f"{what.weight:g}",
                    term_text(what),
                )
            )
    return rows


def _times(phase: Phase) -> str:
    """How often a step does a phase, and whether each time with images of its own: ` ×5 fresh`."""
    return f" ×{phase.repeat}{' fresh' * phase.fresh}" if phase.repeat != 1 else ""


def _facts(recipe: Recipe) -> dict[str, str]:
    data = recipe.data
    optimizers = dict.fromkeys(f"{phase.optimizer[0]}({arguments(phase.optimizer[1])})" for phase in recipe.phases)
    return {
        "task": f"{' and '.join(recipe.sources)} to {recipe.target}, {recipe.pairing}",
        "data": data.source + (f"({arguments(data.arguments)})" if data.arguments else ""),
        "images": arguments({**data.geometry, "batch": data.batch}),
        **({"augmented": "; ".join(augmented(data.augment))} if data.augment else {}),
        "optimizer": ", ".join(optimizers),
        "schedule": ", ".join(dict.fromkeys(arguments(phase.schedule) or "constant" for phase in recipe.phases)),
        "length": f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs} epochs",
        "note": "; ".join(unfinished(recipe)),
        "paper": "; ".join(map(paper_text, beside(recipe))),
        **{name: ", ".join(words) for name, words in _lists(recipe).items() if words},
        "cite": ", ".join(cited(recipe)),
    }


def _lists(recipe: Recipe) -> dict[str, Sequence[str]]:
    """What only some recipes say."""
    as_trained = [name for name, network in recipe.networks.items() if network.test == "training"]
    return {"keeps": recipe.keep, "tested as in training": as_trained, "variants": recipe.variants}


def cited(recipe: Recipe) -> tuple[str, ...]:
    """The citation keys that a recipe itself gives."""
    keys = recipe.resolved.get("cite") or ()
    return (keys,) if isinstance(keys, str) else tuple(keys)


def paper_text(paper: Paper) -> str:
    """What a paper prints, on a line; what is not comparable in brackets, with the reason that holds for all."""
    figures = [
        f"{name} {figure.value:.10g}" if figure.comparable and not paper.differs else f"({name} {figure.value:.10g})"
        for name, figure in paper.values.items()
    ]
    reason = f", as {paper.differs}" if paper.differs else ""
    return f"{paper.source}, {paper.table}, on {paper.data}: {', '.join(figures)}{reason}"


def term_text(term: Term) -> str:
    """A term as a formula: `fft_l1(fake, infrared; mode=amplitude)`."""
    inputs = ", ".join(map(str, term.inputs))
    return f"{term.loss}({inputs}{'; ' if term.arguments else ''}{arguments(term.arguments)})"


def augmented(steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each augmentation with its arguments: `rotate(degrees=5)`."""
    return [f"{name}({arguments(own)})" for name, own in steps.items()]


def arguments(values: Mapping[str, Any]) -> str:
    """`lr=0.0002, betas=[0.5, 0.999]`."""
    return ", ".join(f"{name}={plain(value)}" for name, value in values.items())


def _print_json(experiment: Experiment, parameters: Mapping[str, int], doc: str) -> None:
    recipe = experiment.recipe
    print_json(
        {
            "recipe": recipe.name,
            "doc": doc,
            "task": {"from": recipe.resolved["task"]["from"], "to": recipe.target, "pairing": recipe.pairing},
            "parameters": sum(parameters.values()),
            "networks": {
                name: {
                    "graph": network.graph,
                    "params": dict(network.params),
                    "patch": dict(network.patch),
                    "parameters": parameters[name],
                    "digest": digest(experiment.plans[name].graph),
                }
                for name, network in recipe.networks.items()
            },
            "flow": {name: str(value) for name, value in recipe.flow.items()},
            "values": {
                name: {"shape": list(each.shape), "range": each.range.as_pair(), "band": each.band}
                for name, each in experiment.flow.items()
            },
            "phases": [
                {
                    "name": phase.name,
                    "train": list(phase.train),
                    "repeat": phase.repeat,
                    "fresh": phase.fresh,
                    "losses": {
                        name: {"loss": term_text(term), "weight": _weight(term)} for name, term in phase.terms.items()
                    },
                    "optimizer": {phase.optimizer[0]: dict(phase.optimizer[1])},
                    "schedule": dict(phase.schedule),
                }
                for phase in recipe.phases
            ],
            "data": recipe.resolved["data"],
            "epochs": recipe.epochs,
            "steps": recipe.steps,
            "paper": [asdict(paper) for paper in beside(recipe)],
            "variants": list(recipe.variants),
            "cite": list(cited(recipe)),
        }
    )
