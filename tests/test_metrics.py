"""Metrics against plainly written formulas, and what an evaluation makes of them."""

import json
import math
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from crossband import registry
from crossband.blocks.contracts.ranges import ANY, UNIT
from crossband.blocks.laws import LawBroken, NothingDrawn
from crossband.recipes.basics import pretrained
from crossband.recipes.basics.colour import luminance
from crossband.recipes.kinds.metric import metric
from crossband.recipes.metrics import metrics
from crossband.recipes.metrics.baselines import MeanTarget, evaluate_baselines, grey_copy
from crossband.recipes.metrics.evaluation import Evaluation, EvaluationError, Summary, Table
from crossband.recipes.metrics.laws import OF_IMAGES, OF_SETS, check_laws
from crossband.recipes.metrics.metrics import DEFAULT
from crossband.registry import CrossbandError

PLAIN = ("mae", "mse", "rmse", "psnr", "ssim", "ms_ssim", "fft_l1", "corr_target", "corr_input", "corr_input_real")


def images(*shape: int, seed: int = 0, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """A smooth random target in [0, 1] and a noisy copy of it, `b c h w` in float64."""
    random = np.random.default_rng(seed)
    target = ndimage.gaussian_filter(random.random(shape), (0, 0, 2, 2))
    target = (target - target.min()) / (target.max() - target.min())
    output = np.clip(target + noise * random.standard_normal(shape), 0, 1)
    return torch.from_numpy(output), torch.from_numpy(target)


def plain_ssim(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """SSIM and its contrast term as in Wang et al. 2004: one pixel of the map at a time, inside the image only."""
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    similarity, contrast = [], []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb, vab = (
                (window * (a - ma) ** 2).sum(),
                (window * (b - mb) ** 2).sum(),
                (window * (a - ma) * (b - mb)).sum(),
            )
            contrast.append((2 * vab + 0.03**2) / (va + vb + 0.03**2))
            similarity.append((2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2) * contrast[-1])
    return float(np.mean(similarity)), float(np.mean(contrast))


def value(name: str, output: Tensor, target: Tensor, source: Tensor | None = None) -> list[float]:
    return registry.metrics[name].factory(output, target, source).tolist()


# ---------------------------------------------------------------- definitions


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("mae", lambda o, t: np.abs(o - t).mean()),
        ("mse", lambda o, t: ((o - t) ** 2).mean()),
        ("rmse", lambda o, t: np.sqrt(((o - t) ** 2).mean())),
        ("psnr", lambda o, t: 10 * np.log10(1 / ((o - t) ** 2).mean())),
        ("fft_l1", lambda o, t: np.abs(np.fft.fft2(o, norm="ortho") - np.fft.fft2(t, norm="ortho")).mean()),
        ("corr_target", lambda o, t: np.corrcoef(o.ravel(), t.ravel())[0, 1]),
        ("ssim", lambda o, t: plain_ssim(o, t)[0]),
    ],
)
@pytest.mark.parametrize("size", [(11, 11), (13, 18)])
def test_agrees_with_the_formula_image_by_image(name, formula, size):
    output, target = images(3, 1, *size)
    wanted = [formula(o[0], t[0]) for o, t in zip(output.numpy(), target.numpy(), strict=True)]
    assert value(name, output, target) == pytest.approx(wanted, rel=1e-9)


def test_ssim_agrees_with_torchmetrics_away_from_the_border():
    output, target = images(2, 3, 40, 50)
    _, full = structural_similarity_index_measure(output, target, data_range=1.0, return_full_image=True)
    wanted = full[..., 5:-5, 5:-5].mean((1, 2, 3)).tolist()  # the rest it computes from reflected borders
    assert value("ssim", output, target) == pytest.approx(wanted, rel=1e-9)


def test_ssim_of_colours_is_the_mean_over_channels():
    output, target = images(1, 3, 12, 14)
    wanted = np.mean([plain_ssim(output[0, c].numpy(), target[0, c].numpy())[0] for c in range(3)])
    assert value("ssim", output, target) == pytest.approx([wanted], rel=1e-9)


def test_ms_ssim_at_the_smallest_size():
    output, target = images(1, 1, 161, 163)
    wanted, x, y = 1.0, output[0, 0].numpy(), target[0, 0].numpy()
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        similarity, contrast = plain_ssim(x, y)
        wanted *= (similarity if scale == 4 else contrast) ** weight
        # Wang's downsampling: the 2x2 mean with mirrored borders, at every second pixel
        x, y = (ndimage.uniform_filter(image, 2, mode="reflect", origin=-1)[::2, ::2] for image in (x, y))
    assert value("ms_ssim", output, target) == pytest.approx([wanted], rel=1e-9)


def test_ms_ssim_of_an_inverted_image_is_zero_and_not_nan():
    _, target = images(1, 1, 161, 161)
    assert value("ms_ssim", 1 - target, target) == [0.0]


@given(seed=st.integers(0, 2**31), channels=st.sampled_from([1, 3]))
@settings(max_examples=15, deadline=None)
def test_the_better_direction_is_the_better_direction(seed, channels):
    near, target = images(1, channels, 24, 31, seed=seed, noise=0.05)
    far, _ = images(1, channels, 24, 31, seed=seed, noise=0.4)
    for name in ("mae", "mse", "rmse", "psnr", "ssim", "fft_l1", "corr_target"):
        [good], [bad] = value(name, near, target), value(name, far, target)
        assert (good > bad) == (registry.metrics[name].better == "higher"), name


@pytest.mark.parametrize("name", PLAIN)
def test_a_grey_image_three_times_has_the_same_value(name):
    output, target = images(2, 1, 161, 170)
    grey = value(name, output, target, target.square())
    three = value(name, *(image.repeat(1, 3, 1, 1) for image in (output, target, target.square())))
    assert three == pytest.approx(grey, rel=1e-9)


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("name", "law"),
    [(name, law) for name, each in registry.metrics.items() for law in (OF_SETS if each.whole_set else OF_IMAGES)],
)
def test_every_metric_keeps_every_law(name, law):
    concerned = {"best": registry.metrics[name].better is not None, "alone": registry.metrics[name].alone}
    assert (check_laws(name, laws=[law])[law] > 0) == concerned.get(law, True)


def error(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().flatten(1).mean(1)


def overwriting(output: Tensor, target: Tensor) -> Tensor:
    found = error(output, target)
    target.mul_(0.5)
    return found


def refusing_flat(output: Tensor, target: Tensor) -> Tensor:
    if not output.flatten(1).std(1).all():
        raise ValueError("flat")
    return error(output, target)


BREAKERS = [
    ("values", lambda o, t, s: (o - t).abs().mean(), "it gives values of the shape \\(\\), not \\(\\d,\\)"),
    ("values", lambda o, t, s: error(o, t) / 0, "it gives \\[inf.* for images that differ"),
    ("values", lambda o, t, s: error(o, t) + torch.rand(()), "a second call gives another value"),
    ("values", lambda o, t, s: 1 + error(o, t), "it gives \\[1.*, and its range is \\[0, 1\\]"),
    ("best", lambda o, t, s: -error(o, t), "targets have \\[-?0.0.*\\], and others \\[-"),
    ("alone", lambda o, t, s: error(o, t), "with others .*, before "),
    ("batch", lambda o, t, s: error(o, t) - error(o, t).mean(), "in a batch .*, alone "),
    ("grey", lambda o, t, s: error(o, t) * o.shape[1], "grey images have .*, their three-channel copies "),
    ("flat", lambda o, t, s: refusing_flat(o, t), "ValueError\\('flat'\\)"),
    ("source", lambda o, t, s: error(o, t) if s is None else error(o, s), "with the input image .*, without "),
    ("unchanged", lambda o, t, s: overwriting(o, t), "an image is overwritten"),
    ("unchanged", lambda o, t, s: error(o, t) + 0 * torch.rand(()), "it draws random numbers"),
]
BREAKERS_OF_SETS = [
    ("values", lambda o, t: (math.inf, ""), "it gives \\[inf\\] for images that differ"),
    ("best", lambda o, t: (-float(error(o, t).mean()), ""), "targets have"),
    ("few", lambda o, t: (float(error(o, t).mean()), ""), "one image has a value"),
    ("few", lambda o, t: [float(error(o, t).mean())], "it gives no value and note"),
    ("order", lambda o, t: (float(error(o, t)[0]), ""), "in one order .*, in another "),
    ("unchanged", lambda o, t: (float(overwriting(o, t).mean()), ""), "an image is overwritten"),
]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("law", "function", "words"), BREAKERS)
def test_a_metric_that_breaks_a_law_is_told_which(law, function, words):
    @metric("custom", better="lower", range=UNIT if "range" in words else ANY, alone=law == "alone")
    def custom(output, target, source):
        return function(output, target, source)

    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by custom on \(\d.*\): .*{words}"):
        check_laws("custom", laws=[law])


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("law", "function", "words"), BREAKERS_OF_SETS)
def test_a_metric_of_sets_that_breaks_a_law_is_told_which(law, function, words):
    @metric("custom", better="lower", whole_set=True)
    def custom(outputs, targets):
        return function(outputs, targets)

    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by custom on \(\d.*\): .*{words}"):
        check_laws("custom", laws=[law])


def test_every_law_of_metrics_has_its_breaker():
    assert {law for law, *_ in BREAKERS} == {*OF_IMAGES}
    assert {law for law, *_ in BREAKERS_OF_SETS} == {*OF_SETS}


def test_a_metric_that_cannot_be_had_is_not_held_to_anything(no_weights):
    with pytest.raises(
        NothingDrawn, match=r"not tried on the metric `lpips`: .*\nhint: fetch them once with .*\nnote: the w"
    ):
        check_laws("lpips")
    with pytest.raises(CrossbandError, match=r"there is no law `gray`\nhint: did you mean `grey`"):
        check_laws("mae", laws=["gray"])


def test_small_differences_survive_that_eight_bits_would_lose():
    target = torch.full((1, 1, 16, 16), 0.5, dtype=torch.float64)
    assert value("mae", target + 1e-4, target) == pytest.approx([1e-4])
    assert value("psnr", target + 1e-4, target) == pytest.approx([80.0])


def test_every_metric_is_declared_with_what_a_reader_needs():
    assert set(DEFAULT) <= set(registry.metrics)
    for name, entry in registry.metrics.items():
        assert name == entry.name
        assert entry.title
        assert len(entry.doc) > 40
        assert entry.better in ("lower", "higher", None)


@pytest.mark.parametrize("better", [metric.better for metric in registry.metrics.values() if metric.whole_set])
def test_whole_set_metrics_are_better_when_lower(better):
    assert better == "lower"


# ---------------------------------------------------------------- whole-set metrics, on features made up here


def features(n: int, shift: float, seed: int) -> Tensor:
    return torch.randn(n, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + shift


def test_fid_agrees_with_the_closed_form_of_two_gaussians():
    x, y = features(40, 0.0, 1), features(40, 0.5, 2)
    a, b = (z - z.mean(0) for z in (x, y))
    # the trace of the root of a product of covariances is the sum of the singular values of the cross product
    root = torch.linalg.svdvals(a @ b.T).sum() / 39
    wanted = (x.mean(0) - y.mean(0)).square().sum() + (a.square().sum() + b.square().sum()) / 39 - 2 * root
    found, note = metrics.fid(x, y)
    assert found == pytest.approx(float(wanted), rel=1e-6)
    assert note == "over 40 images"
    assert "10 images are fewer than the 16 features" in metrics.fid(x[:10], y[:10])[1]


def test_kid_is_the_unbiased_estimate_over_all_images():
    x, y = features(30, 0.0, 1), features(30, 0.5, 2)
    kernel = lambda a, b: (a @ b.T / 16 + 1) ** 3  # noqa: E731
    off = lambda k: (k.sum() - k.diagonal().sum()) / (30 * 29)  # noqa: E731
    wanted = off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()
    found, note = metrics.kid(x, y)
    assert found == pytest.approx(float(wanted), rel=1e-6)
    assert note == "one estimate over 30 images: few, so that it varies much from sample to sample"


def test_kid_of_many_images_draws_subsets_without_touching_the_random_state(monkeypatch):
    monkeypatch.setattr(metrics, "KID_SUBSET", 20)
    x, y = features(30, 0.0, 1), features(30, 0.5, 2)
    before = torch.get_rng_state()
    first, note = metrics.kid(x, y)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(7)
    assert metrics.kid(x, y)[0] == first
    assert note == "100 random subsets of 20 of 30 images"


@pytest.mark.parametrize("distance", [metrics.fid, metrics.kid])
def test_one_image_is_no_set(distance):
    with pytest.raises(pretrained.Unavailable, match="at least 2 images, got 1"):
        distance(features(1, 0, 1), features(1, 0, 2))


# ---------------------------------------------------------------- pretrained networks


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """An empty hub cache, and networks built earlier forgotten."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for network in (pretrained.lpips_network, pretrained.inception_network):
        network.cache_clear()
        yield_after = network.cache_clear
    yield tmp_path
    yield_after()


def test_missing_weights_make_a_metric_absent_with_a_hint(no_weights):
    evaluation = Evaluation(["mae", "lpips", "fid", "kid"])
    evaluation.update(*images(1, 1, 40, 40), ["a"])
    table = evaluation.table()
    assert set(table.summary) == {"mae"}
    assert set(table.absent) == {"lpips", "fid", "kid"}
    for name, file in (("lpips", "alexnet-owt-7be5be79.pth"), ("fid", "weights-inception-2015-12-05-6726825d.pth")):
        assert f"the weights `{file}` are not in `{no_weights / 'checkpoints'}`" in table.absent[name]
        assert "torch.hub.load_state_dict_from_url(" in table.absent[name]


def test_weights_that_are_more_than_tensors_are_refused(no_weights):
    (no_weights / "checkpoints").mkdir()
    file = no_weights / "checkpoints" / "alexnet-owt-7be5be79.pth"
    torch.save({"evil": os.path.join}, file)
    with pytest.raises(pretrained.Unavailable, match="not a file of plain tensors"):
        pretrained.lpips_network("cpu")
    file.write_bytes(b"not even a zip")
    with pytest.raises(pretrained.Unavailable, match="fetch it again"):
        pretrained.lpips_network("cpu")


def test_networks_get_three_channels_in_the_form_they_were_trained_on(monkeypatch):
    seen = []

    def network(*images: Tensor, **options: bool) -> tuple[Tensor]:
        seen.append((images, options))
        return (torch.zeros(len(images[0]), 4),)

    monkeypatch.setattr(metrics, "inception_network", lambda device: network)
    assert metrics.inception_features(torch.tensor([0.0, 0.3, 1.0]).view(1, 1, 1, 3)).dtype == torch.float64
    [pixels] = seen[0][0]
    assert pixels.tolist() == [[[[0, 76, 255]]] * 3]  # 0.3 * 255 = 76.5, to even
    monkeypatch.setattr(metrics, "lpips_network", lambda device: lambda *x, **o: network(*x, **o)[0][:, :1])
    assert metrics.lpips(*images(2, 1, 40, 40), None).shape == (2,)
    given, options = seen[1]
    assert options == {"normalize": True}  # which takes [0, 1] to the [-1, 1] of the network
    assert [(image.shape, image.dtype) for image in given] == [((2, 3, 40, 40), torch.float32)] * 2


# ---------------------------------------------------------------- evaluation


def test_a_table_has_each_image_and_the_mean_and_deviation_over_images():
    output, target = images(5, 1, 20, 20)
    evaluation = Evaluation(["mae", "psnr"])
    for start in (0, 2, 4):  # the size of the batches does not matter
        stop = start + 2
        evaluation.update(output[start:stop].float(), target[start:stop].float(), list("abcde")[start:stop])
    table = evaluation.table()
    errors = (output.float() - target.float()).double().abs().flatten(1).mean(1).numpy()
    assert [row["mae"] for row in table.images.values()] == pytest.approx(list(errors), rel=1e-6)
    assert table.summary["mae"].mean == pytest.approx(errors.mean(), rel=1e-6)
    assert table.summary["mae"].std == pytest.approx(errors.std(ddof=1), rel=1e-6)
    assert table.summary["mae"].n == 5
    ranked = sorted(zip(errors, "abcde", strict=True))
    assert table.select("mae") == {"best": ranked[0][1], "median": ranked[2][1], "worst": ranked[4][1]}
    assert table.images[table.select("psnr")["best"]]["psnr"] == max(row["psnr"] or 0 for row in table.images.values())


def test_an_infinite_psnr_is_counted_and_not_averaged():
    output, target = images(3, 1, 16, 16)
    output[1] = target[1]
    evaluation = Evaluation(["psnr"])
    evaluation.update(output, target, ["a", "b", "c"])
    table = evaluation.table()
    finite = [value("psnr", output[[i]], target[[i]])[0] for i in (0, 2)]
    assert table.images["b"]["psnr"] == math.inf
    assert table.summary["psnr"].mean == pytest.approx(np.mean(finite))
    assert table.summary["psnr"].n == 2
    assert table.notes["psnr"].startswith("infinite for 1 of 3 images")
    assert table.select("psnr")["best"] == "b"


def test_equal_images_have_an_infinite_psnr_and_a_table_that_json_can_hold():
    _, target = images(2, 1, 16, 16)
    evaluation = Evaluation(["psnr", "mae", "fft_l1", "ssim", "corr_target"])
    evaluation.update(target, target, ["a", "b"])
    table = evaluation.table()
    assert table.summary["psnr"] == Summary(math.inf, None, 2)
    assert table.summary["mae"] == table.summary["fft_l1"] == Summary(0.0, 0.0, 2)
    assert table.summary["ssim"].mean == table.summary["corr_target"].mean == pytest.approx(1)
    assert Table.from_dict(json.loads(json.dumps(table.as_dict(), allow_nan=False))) == table


def test_images_that_a_metric_cannot_take_are_left_out_and_counted():
    evaluation = Evaluation(["ms_ssim", "corr_target", "ssim", "corr_input"])
    evaluation.update(*images(1, 1, 164, 170), ["large"])
    flat = torch.full((1, 1, 40, 40), 0.1)
    evaluation.update(flat, images(1, 1, 40, 40)[1], ["flat"])
    table = evaluation.table()
    assert table.summary["ms_ssim"].n == table.summary["corr_target"].n == 1
    assert table.summary["ms_ssim"].std is None
    assert "1 of 2 images left out" in table.notes["ms_ssim"]
    assert "at least 161 pixels, got 40x40" in table.notes["ms_ssim"]
    assert table.notes["corr_target"] == "1 of 2 images left out: not defined for a constant image"
    assert table.images["flat"]["corr_target"] is None
    assert table.absent == {"corr_input": "the input images were not given"}


def test_an_output_is_held_to_the_range_in_which_it_is_written():
    target = torch.ones(1, 1, 8, 8)
    evaluation = Evaluation(["mae"])
    evaluation.update(target + 3, target, ["a"])
    assert evaluation.table().summary["mae"].mean == 0


NAN = torch.full((1, 1, 8, 8), torch.nan)
HALF = torch.full((1, 1, 8, 8), 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((HALF.repeat(1, 3, 1, 1), HALF, ["a"]), r"a: output and target must have one shape `b c h w`"),
        ((HALF[0], HALF[0], ["a"]), r"a: output and target must have one shape `b c h w`"),
        ((HALF, HALF, ["a", "b"]), r"a, b: .* got \(1, 1, 8, 8\), \(1, 1, 8, 8\) and 2 names"),
        ((NAN, HALF, ["a"]), "a: the output has numbers that are not finite"),
        ((HALF, NAN, ["a"]), "a: the target has numbers that are not finite"),
        ((HALF, HALF * 510, ["a"]), r"a: the target must be in \[0, 1\], got \[255, 255\]"),
        ((HALF, HALF, ["seen"]), "seen: measured twice"),
    ],
)
def test_images_that_cannot_be_compared_are_named(arguments, message):
    evaluation = Evaluation(["mae"])
    evaluation.update(HALF, HALF, ["seen"])
    with pytest.raises(EvaluationError, match=message):
        evaluation.update(*arguments)
    assert list(evaluation.table().images) == ["seen"]


def test_unknown_metrics_and_empty_evaluations_say_so():
    with pytest.raises(EvaluationError, match="no metric named `pnsr`\nhint: did you mean `psnr`"):
        Evaluation(["pnsr"])
    with pytest.raises(EvaluationError, match="no image was measured"):
        Evaluation().table()
    evaluation = Evaluation(["corr_input"])
    evaluation.update(*images(1, 1, 8, 8), ["a"])
    with pytest.raises(EvaluationError, match="no image is best by `corr_input`"):
        evaluation.table().select("corr_input")


def test_an_evaluation_leaves_the_random_state_the_tensors_and_autocast_alone():
    output, target = (image.float() for image in images(1, 1, 32, 32))
    copies, before = (output.clone(), target.clone()), torch.get_rng_state()
    plain, cast = Evaluation(DEFAULT), Evaluation(DEFAULT)
    plain.update(output, target, ["a"], output)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast.update(output, target, ["a"], output)
    assert plain.table() == cast.table()
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, copies, (output, target)))


# ---------------------------------------------------------------- baselines


def test_luminance_is_rec_601_and_grey_stays_grey():
    colours = torch.eye(3).view(3, 3, 1, 1)
    assert luminance(colours).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])
    grey = torch.rand(2, 1, 4, 4)
    assert torch.equal(luminance(grey), grey)
    with pytest.raises(CrossbandError, match="1 or 3 channels, got 4"):
        luminance(torch.rand(1, 4, 2, 2))


def test_the_mean_target_is_the_mean_and_takes_the_size_of_each_input():
    targets = torch.rand(5, 1, 12, 10)
    mean = MeanTarget([targets[:2], targets[2:]])
    same = mean(torch.zeros(3, 3, 12, 10), 1)
    assert same.shape == (3, 1, 12, 10)
    torch.testing.assert_close(same[1], targets.mean(0))
    assert mean(torch.zeros(1, 3, 33, 7), 1).shape == (1, 1, 33, 7)
    mixed = MeanTarget([torch.full((1, 1, 8, 8), 0.2), torch.full((3, 1, 16, 4), 0.6)])
    torch.testing.assert_close(mixed.mean, torch.full((1, 1, 8, 8), 0.5))


@pytest.mark.parametrize("targets", [[], [torch.zeros(0, 1, 4, 4)]])
def test_an_empty_training_set_has_no_mean(targets):
    with pytest.raises(CrossbandError, match="it has no mean image"):
        MeanTarget(targets)


def test_mixed_channels_have_no_mean():
    with pytest.raises(CrossbandError, match="mixes 1 and 3 channels"):
        MeanTarget([torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4)])
    with pytest.raises(CrossbandError, match="has 1 channels, not 3"):
        MeanTarget([torch.zeros(1, 1, 4, 4)])(torch.zeros(1, 3, 4, 4), 3)


def test_a_grey_copy_is_found_out_by_its_correlation_with_the_input():
    source = torch.rand(2, 3, 16, 16)
    target = images(2, 1, 16, 16)[1]
    tables = evaluate_baselines({"grey copy": grey_copy, "mean": MeanTarget([target])}, [(source, target, ["a", "b"])])
    assert tables["grey copy"].summary["corr_input"].mean == pytest.approx(1)
    assert abs(tables["mean"].summary["corr_input"].mean) < 0.5
    assert tables["grey copy"].summary["mae"].n == 2
