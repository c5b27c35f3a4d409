"""What a translation costs, and by how many percent a system is better: as numbers, on the command line and in files."""

import csv
import json
import math
import re
from pathlib import Path

import pytest
import tiny
import torch
from commandline import run, succeed
from torch import Tensor

import crossband
from crossband import registry
from crossband.graphs.plans.cost import cost
from crossband.recipes.language.columns import FIGURES
from crossband.recipes.metrics.costs import Cost
from crossband.recipes.metrics.evaluation import Summary, Table
from crossband.recipes.metrics.gain import gain
from crossband.recipes.metrics.results import Results, together
from crossband.recipes.model import cost as measuring
from crossband.recipes.model.cost import cost_of
from crossband.registry import CrossbandError

SHORT = {"steps": 1, "evaluate.metrics": ["mae", "psnr", "sf"], "device": "cpu"}
TWICE = tiny.PAIRED.replace("to_one.yaml", "plain.yaml").replace("fake.*", "fake").replace("fake.main", "fake")
TWICE = TWICE.replace("fake: generator(visible)", "once: generator(visible)\n  fake: again(once)")
TWICE = TWICE.replace("evaluate: {", "evaluate: {output: fake, ")
TWICE = TWICE.replace("networks:", "networks:\n  again: {graph: plain.yaml, params: {channels: 1}}")
PADDED = tiny.PAIRED.replace("{graph: to_one.yaml}", "{graph: halves.yaml, fit: pad}").replace("fake.*", "fake")
PADDED = PADDED.replace("fake.main", "fake")
PLAIN_MACS, PLAIN_AGAIN_MACS = 3 * 4 * 9 + 4 * 9, 4 * 9 + 4 * 9  # of a pixel: two convolutions of 3x3


@pytest.fixture(scope="module", name="runs")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.write_files(tmp_path_factory.mktemp("cost"), twice=TWICE, padded=PADDED)
    for name in ("paired", "twice", "padded"):
        crossband.train(folder / f"{name}.yaml", settings=SHORT, run=folder / name, silent=True)
    return folder


# ---------------------------------------------------------------------- what it costs


def test_parameters_and_operations_are_those_of_the_graphs_that_translate(runs: Path) -> None:
    model = crossband.load(runs / "paired", device="cpu")
    [plan] = model.task.plans.values()
    wanted = cost(plan, {"H": 24, "W": 20})
    found = cost_of(model, (24, 20))
    assert list(found.figures) == ["parameters", "macs"]
    assert found.figures["parameters"] == wanted.parameters / 1e6
    assert found.figures["macs"] == pytest.approx(wanted.macs / 1e9)
    assert found.size == "an image of 24x20 pixels"


def test_networks_in_a_row_and_padding_count(runs: Path) -> None:
    twice = crossband.load(runs / "twice", device="cpu")
    found = cost_of(twice, (16, 10), batch=3).figures
    assert found["parameters"] == sum(p.numel() for net in twice.networks.values() for p in net.parameters()) / 1e6
    assert found["macs"] == pytest.approx(160 * (PLAIN_MACS + PLAIN_AGAIN_MACS) / 1e9)  # of one image
    padded = crossband.load(runs / "padded", device="cpu")
    assert cost_of(padded, (15, 15)).figures["macs"] == cost_of(padded, (16, 16)).figures["macs"]
    assert cost_of(padded, (15, 15)).size == "an image of 15x15 pixels, padded to 16x16"


def test_the_latency_is_the_median_of_runs_after_some_to_warm_up(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of our own: what it says is 1, 2, ... 8 seconds for eight runs, whatever went before."""
    model, ran, now = crossband.load(runs / "paired", device="cpu"), [], [0.0]
    predict = model.predict

    def slow(bands: dict[str, Tensor]) -> Tensor:
        ran.append({name: tuple(band.shape) for name, band in bands.items()})
        now[0] += 100.0 if len(ran) <= 2 else len(ran) - 2
        return predict(bands)

    monkeypatch.setattr(model, "predict", slow)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])
    found = cost_of(model, (16, 16), ["latency"], batch=5, runs=8, warm_up=2)
    assert ran == [{"visible": (5, 3, 16, 16)}] * 10
    assert found.figures == {"latency": 4500.0}
    assert found.quartiles == (2750.0, 6250.0)
    assert found.runs == "8 runs after 2 to warm up"
    assert found.size == "5 images of 16x16 pixels"
    assert re.fullmatch(r".+, \d+ threads?, float32", found.on)


def test_memory_is_what_is_held_at_once_and_grows_with_the_images(runs: Path) -> None:
    model = crossband.load(runs / "twice", device="cpu")
    weights = sum(p.numel() for p in model.parameters()) * 4
    small, large = (cost_of(model, (64, 64), ["memory"], batch=batch).figures["memory"] * 1e6 for batch in (1, 4))
    image = 64 * 64 * 4
    assert weights + (3 + 4 + 1) * image <= small <= weights + 24 * image  # the input, four channels, the result
    assert large - weights == pytest.approx(4 * (small - weights), rel=0.05)
    model.double()
    assert cost_of(model, (64, 64), ["memory"]).figures["memory"] * 1e6 > 1.5 * small
    assert cost_of(model, (64, 64), ["memory"]).on.endswith("float64")


def test_measuring_changes_nothing(runs: Path) -> None:
    model = crossband.load(runs / "paired", device="cpu")
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    assert [*cost_of(model, (16, 16), list(FIGURES), runs=2, warm_up=1).figures] == list(FIGURES)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_unknown_costs_and_sizes_say_so(runs: Path) -> None:
    model = crossband.load(runs / "paired", device="cpu")
    with pytest.raises(CrossbandError, match="there is no cost `latancy`\nhint: did you mean `latency`"):
        cost_of(model, (16, 16), ["latancy"])
    with pytest.raises(CrossbandError, match="there is no cost `latancy`"):
        model.evaluate(cost=["latancy"])


# ---------------------------------------------------------------------- gains


@pytest.mark.parametrize(
    ("metric", "value", "reference", "wanted"),
    [
        ("ssim", 0.9, 0.8, 12.5),
        ("mae", 0.03, 0.04, 25.0),
        ("mae", 0.05, 0.04, -25.0),
        ("kid", -0.01, -0.02, -50.0),
        ("psnr", math.inf, 20.0, None),
        ("mae", 0.1, 0.0, None),
        ("sf", 12.0, 10.0, None),
    ],
)
def test_a_gain_is_above_zero_where_it_is_better(metric, value, reference, wanted) -> None:
    found = gain(registry.metrics[metric], value, reference)
    assert found == (None if wanted is None else pytest.approx(wanted))


def of(psnr: float, sf: float) -> Table:
    images = {name: {"psnr": psnr, "sf": sf} for name in "ab"}
    return Table(images, {"psnr": Summary(psnr, 0.0, 2), "sf": Summary(sf, 0.0, 2)})


def test_gains_stand_below_the_figures_they_are_of() -> None:
    trivial = of(10.0, 3.0)
    both = {name: Results.of({"net": of(psnr, 5.0), "grey copy": trivial}) for name, psnr in (("x", 20.0), ("y", 22.0))}
    found = together(both).gains_over("x")
    assert found.gains == {"y": {"psnr": pytest.approx(10.0)}, "grey copy": {"psnr": pytest.approx(-50.0)}}
    assert "| PSNR | +10.0 % |   -50.0 % |" in str(found)
    assert found.as_dict()["gains"]["against"] == "x"
    assert "Gain" not in str(together(both))
    with pytest.raises(CrossbandError, match="there is no `z` among these results\nhint: choose from `x`, `y`"):
        found.gains_over("z")


def test_runs_on_other_images_have_no_gain() -> None:
    one = Results.of({"net": of(20.0, 5.0), "grey copy": of(10.0, 3.0)})
    other = Results.of({"net": of(30.0, 5.0), "grey copy": of(11.0, 3.0)})
    assert list(together({"x": one, "y": other}).gains_over("x").gains) == ["grey copy"]


# ---------------------------------------------------------------------- where they are shown


def test_the_cost_of_each_run_stands_beside_that_of_the_others() -> None:
    costs = {
        "x": Cost(
            {"parameters": 44.009869, "latency": 12.345}, "an image of 8x8 pixels", "a CPU", (12.0, 13.0), "9 runs"
        ),
        "y": Cost({"parameters": 1.131181, "macs": 2.5}, "an image of 8x8 pixels", "a CPU"),
    }
    found = together({name: Results.of({"net": of(20.0, 5.0)}, cost=each) for name, each in costs.items()})
    text = str(found)
    for line in (
        "| parameters (M) |                44.01 | 1.13 |",
        "| MACs (G)       |                    – | 2.50 |",
        "| latency (ms)   | 12.35 [12.00, 13.00] |    – |",
        "- Cost of x: of an image of 8x8 pixels; on a CPU; the latency is the median and the quartiles of 9 runs.",
        "- Cost of y: of an image of 8x8 pixels.",
    ):
        assert line in text
    assert json.loads(json.dumps(found.as_dict()))["costs"]["x"]["figures"]["latency"] == 12.345


@pytest.mark.slow
def test_the_command_prints_writes_and_compares(runs: Path, tmp_path: Path) -> None:
    one, two, sheet = runs / "paired", runs / "twice", tmp_path / "sheet.csv"
    names = "parameters,macs,latency,memory"
    words = ["evaluate", str(one), str(two), "--cost", names, "--against", str(one), "--csv", str(sheet)]
    found = json.loads(succeed(*words, "--json"))
    assert [*found["costs"]["twice"]["figures"]] == names.split(",")
    assert found["gains"]["against"] == "paired"
    assert {*found["gains"]["percent"]} == {"twice", "grey copy", "mean image"}
    assert {*found["gains"]["percent"]["twice"]} == {"mae", "psnr"}
    with sheet.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["parameters (M)"]) == found["costs"]["paired"]["figures"]["parameters"]
    assert {row["memory (MB)"] for row in rows if row["system"] == "grey copy"} == {""}
    assert "--against nobody: is none of these runs" in run("evaluate", one, "--against", "nobody").output
    assert "there is no cost `speed`" in run("evaluate", one, "--cost", "speed").output


def test_a_recipe_asks_for_its_cost_and_its_report_has_it(runs: Path, tmp_path: Path) -> None:
    settings = {**SHORT, "steps": 2, "every.evaluate": 1, "evaluate.cost": ["parameters", "macs"]}
    done = crossband.train(runs / "paired.yaml", settings=settings, run=tmp_path / "run", silent=True)
    report = (done.folder / "report.md").read_text("utf-8")
    assert "What a translation costs:" in report
    assert "parameters (M)" in report
    assert done.results is not None
    assert {*done.results.costs["paired"].figures} == {"parameters", "macs"}
    with pytest.raises(CrossbandError, match=r"speed"):
        crossband.train(runs / "paired.yaml", settings={"evaluate.cost": ["speed"]}, run=tmp_path / "no", silent=True)
