"""What is made of figures: how sure a difference is, what an image looks like, and what is told beside the paper's own."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats
from torch import Tensor
from torchmetrics.functional.image import visual_information_fidelity

from crossband import registry
from crossband.recipes import load_recipe
from crossband.recipes.basics import pretrained
from crossband.recipes.basics.parts import Grid, Notes
from crossband.recipes.language.syntax import Figure, Paper
from crossband.recipes.losses.perceptual import perceptual
from crossband.recipes.metrics import ladlenet, metrics, vgg19
from crossband.recipes.metrics.baselines import grey_copy
from crossband.recipes.metrics.comparable import Conditions
from crossband.recipes.metrics.evaluation import Evaluation, Summary, Table
from crossband.recipes.metrics.intervals import Difference, interval, paired
from crossband.recipes.metrics.results import Results, together
from crossband.recipes.metrics.verdict import verdicts
from crossband.registry import CrossbandError

seeds = st.integers(0, 2**31)


def scene(seed: int, channels: int = 1, size: int = 40, count: int = 2) -> Tensor:
    """Smooth random images `b c h w` that use most of [0, 1]."""
    random = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(random.random((count, channels, size, size)), (0, 0, 3, 3))
    low, high = (extreme(image, axis=(1, 2, 3), keepdims=True) for extreme in (np.min, np.max))
    return torch.from_numpy((image - low) / (high - low))


def measured(output: Tensor, target: Tensor, source: Tensor | None = None, *names: str) -> Table:
    evaluation = Evaluation(names or ("corr_target", "corr_input", "corr_input_real", "hist_dist"))
    evaluation.update(output, target, [f"image {i}" for i in range(len(output))], source)
    return evaluation.table()


# ---------------------------------------------------------------- metrics in files of their own, and the histogram


@pytest.mark.parametrize("channels", [1, 3])
def test_the_histogram_distance_is_that_of_wasserstein(channels: int) -> None:
    output, target = scene(0, channels), scene(1, channels).square()
    brightness = [metrics.luminance(image).flatten(1).numpy() for image in (output, target)]
    wanted = [stats.wasserstein_distance(a, b) for a, b in zip(*brightness, strict=True)]
    assert registry.metrics["hist_dist"].factory(output, target, None).tolist() == pytest.approx(wanted, rel=1e-9)


def test_the_histogram_distance_has_the_unit_of_the_range_and_sees_no_place() -> None:
    distance = registry.metrics["hist_dist"].factory
    black, image = torch.zeros(1, 1, 8, 8, dtype=torch.float64), scene(0, count=1)
    assert distance(black, 1 - black, None).tolist() == [1.0]
    assert distance(image * 0.5 + 0.25, image * 0.5, None).tolist() == pytest.approx([0.25])
    assert distance(image.flip(-1), image, None).tolist() == [0.0]


@pytest.mark.usefixtures("networks")
def test_the_vgg19_distance_is_the_loss_of_each_image() -> None:
    output, target = scene(0, channels=3), scene(1, channels=3)
    for recipe in ("multiscale_structure", "pix2pixhd"):  # whose networks give images in [-1, 1]
        arguments = load_recipe(recipe).phases[0].terms["perceptual"].arguments
        signed = (2 * output.float() - 1, 2 * target.float() - 1)
        wanted = [perceptual(*pair, **arguments).item() for pair in zip(*(x.split(1) for x in signed), strict=True)]
        assert vgg19.vgg19_dist(output, target, None).tolist() == pytest.approx(wanted)
    assert vgg19.vgg19_dist(target, target, None).tolist() == [0.0, 0.0]
    assert registry.metrics["vgg19_dist"].title != registry.metrics["lpips"].title


def test_without_its_weights_the_vgg19_distance_says_what_to_fetch(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    table = measured(scene(0), scene(1), None, "vgg19_dist")
    assert "the weights `vgg19-dcbb9e9d.pth` are not in" in table.absent["vgg19_dist"]
    with pytest.raises(pretrained.Unavailable, match="at least 16 pixels"):
        vgg19.vgg19_dist(scene(0, size=15), scene(1, size=15), None)


def matlab(colour: np.ndarray) -> np.ndarray:
    """The grey bytes of an image `h w 3` in [0, 1] as MATLAB makes them: bytes, then `rgb2gray`, then bytes."""
    grey = np.zeros(colour.shape[:2])
    for i, j in np.ndindex(*grey.shape):
        r, g, b = (math.floor(255 * value + 0.5) for value in colour[i, j])
        grey[i, j] = math.floor(0.299 * r + 0.587 * g + 0.114 * b + 0.5)
    return grey


def saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0, 255)


def test_the_sheet_of_ladlenet_is_of_grey_bytes_and_of_the_output_minus_the_target() -> None:
    output, target = scene(2, channels=3, count=1), scene(3, channels=3, count=1)
    a, b = (matlab(image[0].permute(1, 2, 0).numpy()) for image in (output, target))
    mse = saturated(saturated(a - b) ** 2).mean()
    assert mse != pytest.approx(saturated(saturated(b - a) ** 2).mean(), rel=0.05)
    measured = {name: registry.metrics[name].factory(output, target, None).tolist() for name in SHEET}
    assert measured["ladlenet_mse"] == pytest.approx([mse])
    assert measured["ladlenet_psnr"] == pytest.approx([math.log10(255 / math.sqrt(mse))])
    p, q = saturated(a - a.mean()), saturated(b - b.mean())
    over, first, second = (saturated(product).sum() for product in (p * q, p**2, q**2))
    assert measured["ladlenet_cc"] == pytest.approx([over / math.sqrt(first * second)])


def test_the_fidelity_of_ladlenet_is_that_of_the_library_but_for_bytes_that_saturate(monkeypatch) -> None:
    output, target = (255 * scene(seed, count=2, size=48) for seed in (4, 5))
    monkeypatch.setattr(ladlenet, "_bytes", torch.Tensor.clone)
    wanted = [visual_information_fidelity(o[None], t[None]).item() for o, t in zip(output, target, strict=True)]
    assert ladlenet._fidelity(target, output).tolist() == pytest.approx(wanted, rel=1e-6)


def test_squares_of_bytes_leave_only_what_is_dark_of_the_finest_scale() -> None:
    bright, dark = 0.5 + 0.5 * scene(4, size=64), 0.05 * scene(4, size=64)
    factory, plain = (registry.metrics[name].factory for name in ("ladlenet_vif", "vif"))
    for image, same in ((bright, False), (dark, True)):
        output = (image + 0.01 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
        bytes_of = [(255 * each).round() / 255 for each in (output, image)]
        assert (factory(*bytes_of, None) == pytest.approx(plain(*reversed(bytes_of), None), rel=1e-6)) == same


SHEET = ("ladlenet_mse", "ladlenet_psnr", "ladlenet_cc")


@pytest.mark.parametrize(
    ("output", "target", "mse", "psnr"),  # bytes
    [
        (110, 100, 100.0, 1.4065402),  # log10(255 / 10)
        (90, 100, 0.0, float("inf")),  # a negative difference is lost
        (200, 100, 255.0, 1.2032701),  # 100^2 becomes 255
    ],
)
def test_saturating_bytes(output: int, target: int, mse: float, psnr: float) -> None:
    a, b = (torch.full((1, 1, 4, 4), value / 255, dtype=torch.float64) for value in (output, target))
    assert registry.metrics["ladlenet_mse"].factory(a, b, None).tolist() == [mse]
    assert registry.metrics["ladlenet_psnr"].factory(a, b, None).tolist() == pytest.approx([psnr])


# ---------------------------------------------------------------- verdicts


@given(seeds)
def test_a_copy_of_the_input_is_found_out(seed: int) -> None:
    source, target = scene(seed, 3), scene(seed + 1)
    [line] = [line for line in verdicts(measured(grey_copy(source, 1), target, source)) if "copy" in line]
    assert line.startswith("looks like a grey copy of the input: its correlation with the input is 1.000, with the ")
    [line] = [line for line in verdicts(measured(1 - grey_copy(source, 1), target, source)) if "copy" in line]
    assert line.startswith("looks like an inverted grey copy of the input: its correlation with the input is -1.000")


@given(seeds)
def test_an_inverted_image_is_found_out(seed: int) -> None:
    source, target = scene(seed, 3), scene(seed + 1)
    assert verdicts(measured(1 - target, target, source)) == [
        "looks inverted: its correlation with the target is -1.000"
    ]


@given(seeds, st.floats(0, 1))
def test_the_target_itself_is_in_order_however_near_to_the_input_it_is(seed: int, share: float) -> None:
    source = scene(seed, 3)
    target = (1 - share) * scene(seed + 1) + share * metrics.luminance(source)
    assert verdicts(measured(target, target, source)) == []
    assert verdicts(measured(0.5 * target + 0.2, target, source)) == []


def summed(**means: float) -> Table:
    return Table({}, {name: Summary(mean, None, 1) for name, mean in means.items()})


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (summed(corr_target=0.5, corr_input=0.9), ["looks like a grey copy of the input"]),
        (summed(corr_target=0.5, corr_input=0.6, corr_input_real=0.7), ["follows its input more than its target"]),
        (summed(corr_target=0.6, corr_input=0.5, corr_input_real=0.4), []),
        (summed(corr_target=0.05, corr_input=0.1), []),
        (summed(corr_target=-0.05, corr_input=0.1), ["does not follow the target"]),
        (summed(corr_target=-0.5), ["looks inverted"]),
        (summed(corr_target=-0.5, corr_input=0.8), ["looks like a grey copy of the input", "looks inverted"]),
        (summed(corr_input=0.8), []),
    ],
)
def test_verdicts(table: Table, lines: list[str]) -> None:
    assert [line.split(":")[0] for line in verdicts(table)] == lines


# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize(("n", "ones"), [(10, 3), (40, 8), (200, 117)])
def test_an_interval_of_zeros_and_ones_is_that_of_the_binomial(n: int, ones: int) -> None:
    found = interval([1.0] * ones + [0.0] * (n - ones))
    wanted = [stats.binom.ppf(q, n, ones / n) / n for q in (0.025, 0.975)]
    assert found == pytest.approx(wanted, abs=1.01 / n)  # a quantile of 10,000 draws may fall one step beside


def test_an_interval_is_exact_where_nothing_varies_and_moves_with_the_values() -> None:
    assert interval([0.5] * 7) == (0.5, 0.5)
    assert interval([0.0, 1.0]) == (0.0, 1.0)
    values = np.random.default_rng(0).normal(size=30)
    low, high = interval(list(values))
    assert interval(list(values)) == (low, high)  # seeded
    assert interval(list(3 * values + 1)) == pytest.approx((3 * low + 1, 3 * high + 1))
    assert low < values.mean() < high


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    hits = sum(low < 0.3 < high for low, high in (interval(list(random.normal(0.3, 1, 40))) for _ in range(150)))
    assert 0.89 < hits / 150 < 0.99


def test_a_large_set_is_drawn_in_blocks_of_the_same_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(np.random.default_rng(0).normal(size=50))
    whole = interval(values)
    monkeypatch.setattr("crossband.recipes.metrics.intervals.BLOCK", 50 * 999)
    assert interval(values) == whole


def test_one_value_has_no_interval() -> None:
    with pytest.raises(CrossbandError, match="at least 2 values, got 1"):
        interval([0.5])


def one_metric(*values: float | None, name: str = "psnr") -> Table:
    found = [value for value in values if value is not None]
    return Table(
        {f"{i}": {name: value} for i, value in enumerate(values)},
        {name: Summary(float(np.mean(found)), None, len(found))},
    )


def test_pairs_are_made_image_by_image() -> None:
    first = one_metric(10.0, 20.0, 30.0, None, float("inf"), 7.0)
    second = one_metric(9.0, 19.0, 29.0, 5.0, 5.0)
    assert paired(first, second, "psnr") == Difference(1.0, 1.0, 1.0, 3)
    assert paired(first, one_metric(5.0), "psnr") == Difference(5.0, None, None, 1)
    assert paired(first, one_metric(5.0, name="mae"), "psnr") is None


# ---------------------------------------------------------------- what is told

PAPER = Paper(
    "fan2025",
    "row 2",
    "LLVIP",
    {"psnr": Figure(36.2), "ssim": Figure(0.889, note="read so"), "mae": Figure(9.73, False, "no unit")},
    note="a column is left out",
)


def results(**papers: list[Paper]) -> Results:
    tables = {"net": one_metric(12.0, 13.0), "grey copy": one_metric(10.0, 11.5)}
    return Results.of(tables, papers.get("net", ()))


def texts(found: Results) -> str:
    return "\n".join(line for part in found.parts() if isinstance(part, Notes) for line in part.lines)


def test_the_difference_to_each_baseline_has_its_interval() -> None:
    [_, grid] = [part for part in results().parts() if isinstance(part, Grid)]
    assert grid == Grid(["metric", "net − grey copy", "n"], [["PSNR (dB) ↑", "+1.75 [+1.50, +2.00]", "2"]], frozenset())
    few = "Intervals over fewer than 20 images are narrower than they should be: none of them is marked."
    assert few in texts(results())


@pytest.mark.parametrize(("n", "marked"), [(19, set()), (20, {(0, 1)})])
def test_an_interval_of_few_images_is_no_finding(n: int, marked: set[tuple[int, int]]) -> None:
    tables = {"net": one_metric(*(12.0 + i for i in range(n))), "grey copy": one_metric(*(10.0 + i for i in range(n)))}
    [_, grid] = [part for part in Results.of(tables).parts() if isinstance(part, Grid)]
    assert grid.best == marked


def test_one_image_has_a_difference_and_no_interval() -> None:
    found = Results.of({"net": one_metric(12.0), "grey copy": one_metric(10.0)})
    [_, grid] = [part for part in found.parts() if isinstance(part, Grid)]
    assert grid == Grid(["metric", "net − grey copy", "n"], [["PSNR (dB) ↑", "+2.00", "1"]])
    assert "A difference over one image has no interval: one value has no spread." in texts(found)


def test_the_paper_stands_beside_ours_with_its_caveats() -> None:
    found = results(net=[PAPER])
    [_, _, grid] = [part for part in found.parts() if isinstance(part, Grid)]
    assert grid == Grid(
        ["metric", "net", "fan2025, row 2"],
        [["MAE ↓", "–", "(9.73)"], ["PSNR (dB) ↑", "12.50", "36.2"], ["SSIM ↑", "–", "0.889*"]],
    )
    [caveats] = [part for part in found.parts() if isinstance(part, Notes) and "fan2025" in part.lines[0]]
    assert caveats.lines == [
        "fan2025, row 2: measured on LLVIP; only a run on the same images can be compared with it.",
        "fan2025, row 2: a column is left out.",
        "fan2025, row 2: its SSIM*: read so.",
        "fan2025, row 2: its MAE, in brackets, cannot be compared: no unit.",
        "Not measured, since others were asked for: `--metrics mae,ssim`.",
    ]


def test_a_row_of_several_data_sets_is_told_apart() -> None:
    rows = [
        Paper("gn2023", "table 4", data, {"psnr": Figure(value)}) for data, value in (("OSU", 18.07), ("FLIR", 13.52))
    ]
    [_, _, grid] = [part for part in results(net=[*rows, rows[0]]).parts() if isinstance(part, Grid)]
    assert grid.headers == ["metric", "net", "gn2023, table 4, OSU", "gn2023, table 4, FLIR"]
    assert grid.rows == [["PSNR (dB) ↑", "12.50", "18.07", "13.52"]]


def test_two_runs_share_what_is_equal_and_are_compared() -> None:
    other = Results.of({"net": one_metric(14.0, 15.5), "grey copy": one_metric(10.0, 11.5)}, [PAPER])
    found = together({"x": results(net=[PAPER]), "y": other})
    assert list(found.tables) == ["x", "y", "grey copy"]
    assert found.pairs() == [("x", "grey copy"), ("y", "grey copy"), ("y", "x")]
    assert found.differences["y", "x"]["psnr"] == Difference(2.25, 2.0, 2.5, 2)
    assert found.warnings == []
    grids = [part for part in found.parts() if isinstance(part, Grid)]
    assert grids[2].headers == ["metric", "x", "y", "fan2025, row 2"]  # one row of the paper, once
    assert together({"x": results()}) == results()
    rounded = Results.of({"net": one_metric(14.0, 15.5), "grey copy": one_metric(10.0 + 1e-6, 11.5)})
    assert list(together({"x": results(), "y": rounded}).tables) == ["x", "y", "grey copy"]


def test_a_run_is_compared_with_its_own_baselines() -> None:
    other = Results.of({"net": one_metric(14.0, 15.5), "grey copy": one_metric(9.0, 9.0)})
    found = together({"x": results(), "y": other})
    assert found.pairs() == [("x", "grey copy"), ("y", "grey copy (y)")]
    assert found.warnings == ["y cannot be compared with x: its images differ from those of the same name."]
    less = together({"x": results(), "y": Results.of({"net": one_metric(1.0), "grey copy": one_metric(10.0)})})
    assert less.pairs()[-1] == ("y", "x")
    assert less.differences["y", "x"]["psnr"].n == 1
    assert less.warnings == ["x, y: measured on different images; differences are over those that they share."]


THERE = Conditions("visible to infrared", "`test` of llvip", "64x64", "3 of visible and 1 of infrared")


@pytest.mark.parametrize(
    ("changed", "trivial", "reason"),
    [
        ({}, (10.0, 11.5), None),
        ({"channels": "3 of both"}, (10.0 + 1e-6, 11.5 - 1e-6), None),  # the same pixels, in another range
        ({"bands": "infrared to visible"}, (10.0, 11.5), "it translates infrared to visible, not visible to infrared"),
        ({"bands": "visible to near"}, (9.0, 9.0), "it translates visible to near, not visible to infrared"),
        ({"images": "`test` of demo"}, (9.0, 9.0), "it was measured on `test` of demo, not `test` of llvip"),
        ({"images": "`test` of pairs"}, (10.0, 11.5), None),  # the same pixels
        ({"size": "32x32"}, (9.0, 9.0), "its images are 32x32, not 64x64"),
        (
            {"channels": "1 of visible and 1 of infrared"},
            (9.0, 9.0),
            "its images have 1 of visible and 1 of infrared, not 3 of visible and 1 of infrared",
        ),
        ({}, (9.0, 9.0), "its images differ from those of the same name"),
    ],
)
def test_runs_that_cannot_be_compared_have_tables_of_their_own(
    changed: dict[str, str], trivial: tuple[float, ...], reason: str | None
) -> None:
    first = Results.of({"net": one_metric(12.0, 13.0), "grey copy": one_metric(10.0, 11.5)}, conditions=THERE)
    tables = {"net": one_metric(14.0, 15.5), "grey copy": one_metric(*trivial)}
    found = together({"x": first, "y": Results.of(tables, conditions=replace(THERE, **changed))})
    assert (("y", "x") in found.differences) == (reason is None)
    assert found.warnings == ([f"y cannot be compared with x: {reason}."] if reason else [])
    headings = [part for part in found.parts() if isinstance(part, str) and part.startswith("**")]
    assert [line.partition(":")[0] for line in headings] == (["**x**", "**y**"] if reason else [])
    heads = [part.headers for part in found.parts() if isinstance(part, Grid)]
    assert any({"x", "y"} <= set(head) for head in heads) == (reason is None)


def test_the_figures_of_a_paper_are_bracketed_beside_a_run_that_differs() -> None:
    other = replace(PAPER, differs="this run translates infrared to visible, and not visible to infrared")
    found = results(net=[other])
    [_, _, grid] = [part for part in found.parts() if isinstance(part, Grid)]
    assert [row[-1] for row in grid.rows] == ["(9.73)", "(36.2)", "(0.889)"]
    line = "fan2025, row 2: it, in brackets, cannot be compared with net: this run translates infrared to visible, and"
    assert f"{line} not visible to infrared." in texts(found)
    both = together({"x": results(net=[PAPER]), "y": results(net=[other])})
    [*_, grid] = [part for part in both.parts() if isinstance(part, Grid)]
    assert grid.headers == ["metric", "x", "y", "fan2025, row 2"]
    assert [row[-1] for row in grid.rows] == ["(9.73)", "36.2", "0.889*"]
    assert "fan2025, row 2: it cannot be compared with y: this run translates" in texts(both)


def test_results_are_json_without_the_figures_of_each_image() -> None:
    source, target = scene(0, 3), scene(1)
    tables = {"net": measured(grey_copy(source, 1), target, source), "grey copy": measured(target, target, source)}
    found = json.loads(json.dumps(Results.of(tables, [PAPER]).as_dict(), allow_nan=False))
    always = ["systems", "verdicts", "differences", "paper", "conditions", "warnings"]
    assert sorted(found) == sorted([*always, "cautions", "costs", "gains", "by", "subsets"])
    assert "images" not in found["systems"]["net"]
    assert found["verdicts"]["net"][0].startswith("looks like a grey copy")
    assert found["differences"][0]["metrics"]["corr_target"].keys() == {"mean", "low", "high", "n"}
    assert found["paper"]["net"][0]["values"]["psnr"] == {"value": 36.2, "comparable": True, "note": ""}
