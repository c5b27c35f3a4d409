"""Weights of losses that change while a recipe trains: what they are in each step, and what is said of a wrong one."""

import json
import math
from pathlib import Path

import pytest
import torch
from commandline import run, succeed
from tiny import PAIRED, write_files

from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check, load_recipe, read_weights, train
from crossband.recipes.language.experiment import unfinished
from crossband.recipes.language.ramps import Ramp, ramp_of


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_files(tmp_path)


def recipe(folder: Path, weight: str, name: str = "mine") -> Path:
    """The recipe `paired`, with this weight of its second loss: 8 steps, 5 of which are an epoch."""
    text = PAIRED.replace("weight: =weight", f"weight: {weight}").replace("params: {weight: 0.5}\n", "")
    (folder / f"{name}.yaml").write_text(text.lstrip("\n"))
    return folder / f"{name}.yaml"


def ramp(path: Path, *overrides: str) -> Ramp:
    weight = load_recipe(path, overrides).phases[0].terms["spectrum"].weight
    assert isinstance(weight, Ramp)
    return weight


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ({"from": 0, "to": 10, "over": "4 steps"}, [0, 2.5, 5, 7.5, 10, 10, 10]),
        ({"from": 1, "to": 0, "over": "2 steps", "after": "3 steps"}, [1, 1, 1, 1, 0.5, 0, 0]),
        ({"from": 0, "to": 6, "over": "2 epochs"}, [0, 1, 2, 3, 4, 5, 6]),  # three steps each
        ({"from": 0, "to": 3, "over": "1 epoch", "after": "1 epoch"}, [0, 0, 0, 0, 1, 2, 3]),
        ({"from": 0, "to": 2, "over": "4 steps", "by": "cosine"}, [1 - math.cos(math.pi * t / 4) for t in range(5)]),
        ({"from": 0, "to": 1, "over": "0.5 epochs"}, [0, 2 / 3, 1, 1]),
    ],
)
def test_the_weight_of_each_step(written: dict[str, object], steps: list[float]) -> None:
    assert [ramp_of(written).at(step, 3) for step in range(len(steps))] == pytest.approx(steps, abs=1e-12)


@pytest.mark.slow
def test_a_term_of_weight_0_changes_nothing_and_every_step_is_logged(folder: Path) -> None:
    path = recipe(folder, "{from: 0, to: 1, over: 1 epoch}")
    weights = {}
    for name, settings in {"ramp": [], "without": ["losses.spectrum=null"]}.items():
        for steps in (1, 2):
            folder_of = train(path, settings=[f"steps={steps}", "every.log=1", *settings], silent=True).folder
            weights[name, steps] = read_weights(folder_of / "weights" / "generator.safetensors").tensors
    first, second = weights["ramp", 1], weights["ramp", 2]
    assert all(torch.equal(first[key], weights["without", 1][key]) for key in first)
    assert not all(torch.equal(second[key], weights["without", 2][key]) for key in second)
    whole = train(path, settings=["every.log=1"], silent=True).folder
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    logged = [line["weights"] for line in lines if "losses" in line]
    assert logged == [{"generator": {"spectrum": pytest.approx(min(1, step / 5))}} for step in range(8)]


def test_params_and_settings_count(folder: Path) -> None:
    path = recipe(folder, "{from: =low, to: =2*low, over: =warm}")
    path.write_text(path.read_text().replace("networks:", "params: {low: 2, warm: 4 steps}\nnetworks:", 1))
    assert str(ramp(path)) == "2 to 4 over 4 steps"
    assert str(ramp(path, "losses.spectrum.weight.after=1 epoch")) == "2 to 4 over 4 steps after 1 epoch"
    again = recipe(folder, "2", "again")
    assert str(ramp(again, "losses.spectrum.weight={from: 0, to: 1, over: 2 steps, by: cosine}")).endswith(", cosine")


# (a weight, the only fault)
MISTAKES = [
    ("{from: 0, to: 10}", "9:53 E072 a weight that changes needs the key `over` | write `{from: 0, to: 10, over: 20 "
     "epochs}`"),
    ("{from: 0, to: 10, over: 20}", "9:77 E072 `over` has no unit, got 20 | write `20 epochs` or `20 steps`"),
    ("{from: 0, to: 10, over: 20 epoks}", "9:77 E072 `over`: no unit named `epoks` | did you mean `epochs`?"),
    ("{from: 0, to: 10, over: 20 days}", "9:77 E072 `over`: no unit named `days` | write `20 epochs` or `20 steps`"),
    ("{from: 0, to: 10, over: -2 steps}", "9:77 E072 `over` must not be negative, got `-2 steps`"),
    ("{from: 0, to: 10, over: 0 steps}", "9:77 E072 `over` must be more than 0 | write the weight alone where it does "
     "not change"),
    ("{from: 0, to: 10, over: soon}", "9:77 E072 `over` is a number of epochs or steps, got `soon` | write `20 "
     "epochs`"),
    ("{from: a, to: 10, over: 2 steps}", "9:60 E072 `from` must be a number, got `a` | write `{from: 0, to: 10, over: "
     "20 epochs}`"),
    ("{from: 0, too: 10, over: 2 steps}", "9:68 E072 `weight` takes no key `too` | did you mean `to`?"),
    ("{from: 0, to: 10, over: 2 steps, by: cubic}", "9:90 E072 `by` must be `linear` or `cosine`, got `cubic`"),
    ("[0, 10]", "9:53 E006 `weight` must be a number, got [0, 10]"),
]  # fmt: skip


@pytest.mark.parametrize(("weight", "expected"), MISTAKES)
def test_a_mistake_is_one_message_at_its_place(folder: Path, weight: str, expected: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        check(recipe(folder, weight))
    [fault] = caught.value.problems
    mark = fault.place and fault.place.mark
    said = f"{mark and mark.line}:{mark and mark.column} {fault.code} {fault.message}"
    assert said + (f" | {fault.hint}" if fault.hint else "") == expected


def test_a_weight_that_does_not_get_there_is_told(folder: Path) -> None:
    path = recipe(folder, "{from: 0, to: 10, over: 16 steps}")
    told = "the loss `spectrum`: the weight goes from 0 to 10 over 16 steps, and training ends after 8 steps, at 5"
    assert unfinished(load_recipe(path)) == [told]
    shown = succeed("show", path)
    assert "0 to 10 over 16 steps" in shown
    assert told in shown
    assert '"over": "16 steps"' in succeed("show", path, "--json")
    assert f"note: {told}" in run("train", path).stderr
    epochs = recipe(folder, "{from: 0, to: 10, over: 16 epochs}")
    assert unfinished(load_recipe(epochs)) == []  # until the data say how many steps an epoch has
    assert len(unfinished(load_recipe(epochs), 5)) == 1
    assert unfinished(load_recipe(recipe(folder, "{from: 0, to: 10, over: 8 steps}"))) == []
