"""The metrics of image fusion against their formulas, written plainly: one pixel at a time, in numpy."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from crossband import registry
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.metrics.evaluation import Evaluation
from crossband.recipes.metrics.results import Results, remarks

ALONE = ("ag", "en", "sf", "sd")


def images(height: int, width: int, channels: int = 1, count: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy outputs, their targets and inputs, `b c h w` of whole bytes in [0, 1]."""
    random = np.random.default_rng(height)
    target, source = (
        ndimage.gaussian_filter(random.random((count, channels, height, width)), (0, 0, 2, 2)) for _ in "ab"
    )
    made = []
    for image in (target + 0.02 * random.standard_normal(target.shape), target, source):
        low, high = target.min(), target.max()
        made.append(torch.from_numpy(np.rint(255 * np.clip((image - low) / (high - low), 0, 1)) / 255))
    return made[0], made[1], made[2]


def average_gradient(x: np.ndarray) -> float:
    found = []
    for i in range(x.shape[0] - 1):
        for j in range(x.shape[1] - 1):
            found.append(math.sqrt(((x[i, j + 1] - x[i, j]) ** 2 + (x[i + 1, j] - x[i, j]) ** 2) / 2))
    return sum(found) / len(found)


def entropy(values: list) -> float:
    return -sum(n / len(values) * math.log2(n / len(values)) for n in Counter(values).values())


def bytes_of(x: np.ndarray) -> list[int]:
    return [math.floor(value + 0.5) for value in x.ravel().tolist()]


def spatial_frequency(x: np.ndarray) -> float:
    height, width = x.shape
    rows = sum((x[i, j] - x[i, j - 1]) ** 2 for i in range(height) for j in range(1, width))
    columns = sum((x[i, j] - x[i - 1, j]) ** 2 for i in range(1, height) for j in range(width))
    return math.sqrt(rows / (height * width) + columns / (height * width))


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


def edges(x: np.ndarray, i: int, j: int) -> tuple[float, float]:
    """Strength and angle of the Sobel gradient at a pixel."""
    dx = x[i - 1, j + 1] + 2 * x[i, j + 1] + x[i + 1, j + 1] - x[i - 1, j - 1] - 2 * x[i, j - 1] - x[i + 1, j - 1]
    dy = x[i + 1, j - 1] + 2 * x[i + 1, j] + x[i + 1, j + 1] - x[i - 1, j - 1] - 2 * x[i - 1, j] - x[i - 1, j + 1]
    return math.hypot(dx, dy), math.pi / 2 if abs(dx) < 1e-6 else math.atan(dy / dx)


def edges_kept(fused: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Xydeas and Petrovic 2000, of a fused image and two sources."""
    over = under = 0.0
    for i in range(1, fused.shape[0] - 1):
        for j in range(1, fused.shape[1] - 1):
            g, angle = edges(fused, i, j)
            for strength, turned in (edges(a, i, j), edges(b, i, j)):
                ratio = min(g, strength) / max(g, strength) if max(g, strength) > 0 else 0.0
                alike = 1 - abs(angle - turned) / (math.pi / 2)
                kept = 0.9994 / (1 + math.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + math.exp(-22 * (alike - 0.8)))
                over, under = over + kept * strength, under + strength
    return over / under


def fidelity(reference: np.ndarray, image: np.ndarray) -> float:
    """Sheikh and Bovik 2006 in the pixel domain, with correlations of scipy."""
    over = under = 0.0
    for scale in range(1, 5):
        side = 2 ** (5 - scale) + 1
        line = np.exp(-0.5 * ((np.arange(side) - side // 2) / (side / 5)) ** 2)
        window, cut = np.outer(line, line) / line.sum() ** 2, slice(side // 2, -(side // 2))
        mean = lambda x: ndimage.correlate(x, window)[cut, cut]  # noqa: B023, E731  where the window fits
        if scale > 1:
            reference, image = mean(reference)[::2, ::2], mean(image)[::2, ::2]
        var, other = (np.maximum(mean(x * x) - mean(x) ** 2, 0) for x in (reference, image))
        common = mean(reference * image) - mean(reference) * mean(image)
        gain = np.maximum(common / (var + 1e-10), 0)
        rest = np.where(common > 0, other - gain * common, other)
        over += np.log10(1 + gain**2 * var / (np.maximum(rest, 1e-10) + 2)).sum()
        under += np.log10(1 + var / 2).sum()
    return over / under


FORMULAS = {
    "rmse_255": lambda o, t, s: math.sqrt(((o - t) ** 2).mean()),
    "ag": lambda o, t, s: average_gradient(o),
    "en": lambda o, t, s: entropy(bytes_of(o)),
    "sf": lambda o, t, s: spatial_frequency(o),
    "sd": lambda o, t, s: math.sqrt(sum((value - o.mean()) ** 2 for value in o.ravel()) / o.size),
    "mi": lambda o, t, s: entropy(bytes_of(o)) + entropy(bytes_of(t)) - entropy([*zip(bytes_of(o), bytes_of(t), strict=True)]),
    "vif": lambda o, t, s: fidelity(t, o),
    "scd": lambda o, t, s: correlation(o - t, s) + correlation(o - s, t),
    "qabf": lambda o, t, s: edges_kept(o, t, t),
}  # fmt: skip


@pytest.mark.parametrize("size", [(41, 48), (50, 43)])
@pytest.mark.parametrize("name", FORMULAS)
def test_agrees_with_the_formula(name: str, size: tuple[int, int]) -> None:
    given = images(*size)
    wanted = [FORMULAS[name](*pixels) for pixels in zip(*(255 * each[:, 0].numpy() for each in given), strict=True)]
    assert registry.metrics[name].factory(*given).tolist() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "rmse_255"])
def test_colours_are_measured_by_their_brightness(name: str) -> None:
    colours = images(44, 44, channels=3)
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    grey = [(each * weights).sum(1, keepdim=True) for each in colours]
    factory = registry.metrics[name].factory
    assert factory(*colours).tolist() == pytest.approx(factory(*grey).tolist(), rel=1e-5)


def test_what_a_perfect_output_has() -> None:
    _, target, source = images(48, 48)
    found = {name: registry.metrics[name].factory(target, target, source) for name in FORMULAS}
    levels = torch.tensor([entropy(bytes_of(255 * each[0].numpy())) for each in target], dtype=torch.float64)
    wanted = {"rmse_255": 0.0, "vif": 1.0, "qabf": 0.9994 / (1 + math.exp(-7.5)) * 0.9879 / (1 + math.exp(-4.4))}
    for name, value in wanted.items():
        assert found[name].tolist() == pytest.approx([value] * 2, rel=1e-6), name
    assert found["mi"].tolist() == pytest.approx(levels.tolist(), rel=1e-5)  # all of its entropy


def test_the_sum_of_the_correlations_of_differences_prefers_a_mixture_to_the_target() -> None:
    _, target, source = images(48, 48)
    factory = registry.metrics["scd"].factory
    assert (factory((target + source) / 2, target, source) > factory(target, target, source)).all()
    assert registry.metrics["scd"].better is None


@pytest.mark.parametrize("name", ALONE)
def test_noise_raises_what_sees_the_output_alone_and_is_no_gain(name: str) -> None:
    output, target, _ = images(48, 48)
    metric = registry.metrics[name]
    assert (metric.factory(output, target, None) > metric.factory(target, target, None)).all()
    assert metric.alone
    assert metric.better is None
    tables = {}
    for system, image in (("noise", output), ("net", target)):
        evaluation = Evaluation([name])
        evaluation.update(image, target, ["a", "b"])
        tables[system] = evaluation.table()
    results = Results.of(tables)
    assert results.differences["noise", "net"] == {}
    assert f"{metric.title}: that of the targets is {metric.format(tables['net'].summary[name].mean)}" in remarks(
        tables
    )
    assert f"{metric.title}: {metric.caution}." in remarks(tables)
    assert results.as_dict()["cautions"] == {name: metric.caution}


@pytest.mark.parametrize(("name", "side"), [("vif", 40), ("ladlenet_vif", 40), ("ag", 1), ("qabf", 2), ("mi", 15)])
def test_images_that_are_too_small_say_so(name: str, side: int) -> None:
    image = torch.zeros(1, 1, side, side, dtype=torch.float64)
    with pytest.raises(Unavailable, match=r"pixels"):
        registry.metrics[name].factory(image, image, None)


def test_whatever_comes_from_fusion_or_from_bytes_says_what_it_does_not_mean() -> None:
    names = [name for name, entry in registry.metrics.items() if entry.module.endswith((".fusion", ".ladlenet"))]
    assert len(names) == 12
    assert all(registry.metrics[name].caution for name in names)
    assert all(registry.metrics[name].describe().details["caution"] for name in names)
