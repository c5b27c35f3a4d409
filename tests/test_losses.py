"""Laws of every registered loss, and the behaviour of the decorator that makes one."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from crossband.blocks.contracts.ranges import SIGNED
from crossband.blocks.laws import LawBroken
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.losses import LossInputError, fft_l1, l1, loss, ms_ssim, patch_nce, ssim, vanilla, vgg
from crossband.recipes.losses.laws import LAWS, check_laws
from crossband.recipes.losses.structural import EXPONENTS
from crossband.registry import CrossbandError, RegistryError, losses, metrics

OURS = [name for name, entry in losses.items() if entry.factory.__module__.startswith("crossband.")]
perceptual = losses["perceptual"].factory
PENALTIES = [name for name in OURS if losses[name].differentiates]
GENERATORS = ["hinge", "lsgan", "vanilla", "wgan"]
VGG: dict[str, Any] = {"range": "unit", "random": True, "layers": {"relu1_1": 0.5, "relu2_1": 2.0}}


def spectrum(x: Tensor, norm: str = "ortho") -> Tensor:
    return torch.fft.fft2(x, norm=norm)


def entropy(p: Tensor, t: Tensor) -> Tensor:
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()


def log_sigmoid(x: Tensor) -> Tensor:
    return torch.log(1 / (1 + torch.exp(-x)))


def structure(
    o: Tensor, t: Tensor, sigma: float = 1.5, side: int = 11, k: tuple[float, float] = (0.01, 0.03)
) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast term as in Wang et al. 2004, from every window by itself."""
    line = torch.exp(-((torch.arange(side, dtype=o.dtype) - side // 2) ** 2) / (2 * sigma**2))
    window = torch.outer(line, line) / line.sum() ** 2
    x, y = (image.unfold(2, side, 1).unfold(3, side, 1) for image in (o, t))
    mx, my = ((window * each).sum((-1, -2), keepdim=True) for each in (x, y))
    vx, vy = ((window * (each - m) ** 2).sum((-1, -2)) for each, m in ((x, mx), (y, my)))
    vxy = (window * (x - mx) * (y - my)).sum((-1, -2))
    contrast = (2 * vxy + k[1] ** 2) / (vx + vy + k[1] ** 2)
    mx, my = mx[..., 0, 0], my[..., 0, 0]
    return (2 * mx * my + k[0] ** 2) / (mx**2 + my**2 + k[0] ** 2) * contrast, contrast


def multi_scale(o: Tensor, t: Tensor, exponents: tuple[float, ...], k: tuple[float, float] = (0.01, 0.03)) -> Tensor:
    product = torch.ones(o.shape[:2], dtype=o.dtype)
    for scale, exponent in enumerate(exponents):
        term = structure(o, t, k=k)[0 if scale == 4 else 1].mean((-1, -2))
        product = product * term.clamp(min=1e-6) ** exponent
        o, t = (
            F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2), "replicate").unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
            for x in (o, t)
        )
    return 1 - product.mean()


def zhao(o: Tensor, t: Tensor) -> Tensor:
    maps = [structure(o, t, sigma, 33) for sigma in (0.5, 1, 2, 4, 8)]
    product = maps[4][0] * maps[0][1] * maps[1][1] * maps[2][1] * maps[3][1]
    return 1 - product.mean()


def contrastive(o: Tensor, t: Tensor, temperature: float) -> Tensor:
    terms = []
    for queries, keys in zip(o, t, strict=True):
        for place, query in enumerate(queries):
            scores = [torch.exp(torch.cosine_similarity(query, key, dim=0) / temperature) for key in keys]
            terms.append(-torch.log(scores[place] / sum(scores)))
    return torch.stack(terms).mean()


def seen(image: Tensor) -> tuple[Tensor, Tensor]:
    """Layers relu1_1 and relu2_1 of VGG with the weights that `random` draws."""
    network = vgg.frozen("vgg19", ["relu2_1"], image.device, image.dtype, None, random=True)
    w = list(network.parameters())
    colours = torch.cat([image] * 3, 1) if image.shape[1] == 1 else image
    mean, deviation = (
        torch.tensor(v, dtype=image.dtype).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    first = F.relu(F.conv2d((colours - mean) / deviation, w[0], w[1], padding=1))
    second = F.relu(F.conv2d(first, w[2], w[3], padding=1))
    return first, F.relu(F.conv2d(F.max_pool2d(second, 2), w[4], w[5], padding=1))


def perceived(o: Tensor, t: Tensor, power: int = 1) -> Tensor:
    first, second = (((a - b).abs() ** power).mean() for a, b in zip(seen(o), seen(t), strict=True))
    return 0.5 * first + 2 * second


def angle(o: Tensor, t: Tensor) -> Tensor:
    return -torch.stack([a.flatten() @ b.flatten() / (a.norm() * b.norm()) for a, b in zip(o, t, strict=True)]).mean()


def least_shifted(o: Tensor, t: Tensor, reach: int) -> Tensor:
    inner = o[..., reach : o.shape[-2] - reach, reach : o.shape[-1] - reach]
    shifted = [t.roll((-y, -x), (-2, -1)) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    windows = [each[..., reach : o.shape[-2] - reach, reach : o.shape[-1] - reach] for each in shifted]
    return torch.stack([(inner - each).abs().mean((1, 2, 3)) for each in windows]).amin(0).mean()


# each loss as its equation, over the whole spectrum where there is one: (name, parameters, formula)
EQUATIONS: list[tuple[str, Mapping[str, Any], Callable[..., Tensor]]] = [
    ("l1", {}, lambda o, t: torch.mean(torch.abs(o - t))),
    ("shift_l1", {}, lambda o, t: least_shifted(o, t, 3)),
    ("shift_l1", {"reach": 1}, lambda o, t: least_shifted(o, t, 1)),
    ("shift_l1", {"reach": 0}, lambda o, t: torch.mean(torch.abs(o - t))),
    ("mse", {}, lambda o, t: torch.mean((o - t) ** 2)),
    ("charbonnier", {}, lambda o, t: torch.mean(torch.sqrt((o - t) ** 2 + 1e-6))),
    ("charbonnier", {"eps": 0.5}, lambda o, t: torch.mean(torch.sqrt((o - t) ** 2 + 0.25))),
    ("fft_l1", {}, lambda o, t: (spectrum(o) - spectrum(t)).abs().mean()),
    ("fft_l1", {"norm": "backward"}, lambda o, t: (spectrum(o, "backward") - spectrum(t, "backward")).abs().mean()),
    ("fft_l1", {"norm": "forward"}, lambda o, t: (spectrum(o, "forward") - spectrum(t, "forward")).abs().mean()),
    ("fft_l1", {"mode": "amplitude"}, lambda o, t: (spectrum(o).abs() - spectrum(t).abs()).abs().mean()),
    ("bce", {}, entropy),
    ("bce", {"logits": True}, lambda o, t: entropy(torch.sigmoid(o), t)),
    ("ssim", {}, lambda o, t: 1 - structure(o, t)[0].mean()),
    ("ssim", {"range": "tanh"}, lambda o, t: 1 - structure((o + 1) / 2, (t + 1) / 2)[0].mean()),
    ("ssim", {"k": (0.02, 0.2)}, lambda o, t: 1 - structure(o, t, k=(0.02, 0.2))[0].mean()),
    ("dssim", {}, lambda o, t: (1 - structure(o, t)[0].mean()) / 2),
    ("dssim", {"k": (0.01, 0.04)}, lambda o, t: (1 - structure(o, t, k=(0.01, 0.04))[0].mean()) / 2),
    ("ms_ssim", {"k": (0.01, 0.04)}, lambda o, t: multi_scale(o, t, EXPONENTS["standard"], (0.01, 0.04))),
    ("ms_ssim", {}, lambda o, t: multi_scale(o, t, (0.0448, 0.2856, 0.3001, 0.2363, 0.1333))),
    ("ms_ssim", {"weights": "ladlenet_exponents"}, lambda o, t: multi_scale(o, t, (0.5, 1, 2, 4, 8))),
    ("ms_ssim", {"weights": "zhao_sigmas"}, zhao),
    ("cosine", {}, angle),
    ("cosine", {"range": "tanh"}, lambda o, t: angle((o + 1) / 2, (t + 1) / 2)),
    ("tv", {}, lambda o: (o[..., 1:] - o[..., :-1]).abs().mean() + (o[..., 1:, :] - o[..., :-1, :]).abs().mean()),
    (
        "tv",
        {"reduction": "sum"},
        lambda o: ((o[..., 1:] - o[..., :-1]).abs().sum() + (o[..., 1:, :] - o[..., :-1, :]).abs().sum()) / len(o),
    ),
    (
        "tv",
        {"reduction": "total"},
        lambda o: (o[..., 1:] - o[..., :-1]).abs().sum() + (o[..., 1:, :] - o[..., :-1, :]).abs().sum(),
    ),
    (
        "tvd",
        {},
        lambda o, t: (
            ((o - t)[..., 1:] - (o - t)[..., :-1]).square().mean()
            + ((o - t)[..., 1:, :] - (o - t)[..., :-1, :]).square().mean()
        ),
    ),
    ("feature_matching", {}, lambda o, t: (o - t).abs().mean()),
    ("feature_matching", {"distance": "l2"}, lambda o, t: ((o - t) ** 2).mean()),
    ("perceptual", VGG, perceived),
    ("perceptual", VGG | {"distance": "mse"}, lambda o, t: perceived(o, t, 2)),
    ("perceptual", VGG | {"range": "tanh"}, lambda o, t: perceived((o + 1) / 2, (t + 1) / 2)),
    ("patch_nce", {}, lambda o, t: contrastive(o, t, 0.07)),
    ("patch_nce", {"temperature": 0.5}, lambda o, t: contrastive(o, t, 0.5)),
    ("vanilla", {}, lambda f: -log_sigmoid(f).mean()),
    ("vanilla", {"saturating": True}, lambda f: torch.log(1 - torch.sigmoid(f)).mean()),
    ("vanilla_critic", {}, lambda r, f: -log_sigmoid(r).mean() - torch.log(1 - torch.sigmoid(f)).mean()),
    ("lsgan", {}, lambda f: ((f - 1) ** 2).mean()),
    ("lsgan_critic", {}, lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean()),
    ("hinge", {}, lambda f: -f.mean()),
    ("hinge_critic", {}, lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean()),
    ("wgan", {}, lambda f: -f.mean()),
    ("wgan_critic", {}, lambda r, f: f.mean() - r.mean()),
]


def shape_for(name: str, parameters: Mapping[str, Any], more: tuple[int, int, int, int]) -> list[int]:
    """A shape that a loss takes: `more` is what is drawn, from zero."""
    least = losses[name].least_side(parameters)
    batch, channels, rows, columns = more
    if name == "patch_nce":
        return [1 + batch, 2 + rows, 2 + columns]
    channels = 2 * (channels % 2) if name == "perceptual" else channels
    few = least > 11  # windows of every pixel by itself take their time
    return [1 + batch * (not few), 1 + channels * (not few), least + rows, least + columns]


def tensors(name: str, shape: list[int], seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Different random inputs, strictly within (0, 1)."""
    random = torch.Generator().manual_seed(seed)
    return [0.01 + 0.98 * torch.rand(shape, generator=random, dtype=dtype) for _ in losses[name].inputs]


EXTRA = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 8), st.integers(0, 8))
SEEDS = st.integers(0, 2**31)


def test_every_loss_has_an_equation():
    assert set(OURS) == {name for name, _, _ in EQUATIONS} | set(PENALTIES)


@pytest.mark.parametrize(("name", "parameters", "equation"), EQUATIONS)
@given(more=EXTRA, seed=SEEDS)
def test_agrees_with_its_equation(name, parameters, equation, more, seed):
    losses[name].check(parameters)
    inputs = tensors(name, shape_for(name, parameters, more), seed)
    value = losses[name].factory(*inputs, **parameters)
    assert value.dtype == torch.float64
    torch.testing.assert_close(value, equation(*inputs), rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", losses)
def test_every_loss_keeps_every_law(name, law):
    assert (check_laws(name, laws=[law])[law] > 0) == (law != "least" or bool(losses[name].least_where_equal))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "_equation"), EQUATIONS)
def test_every_law_holds_with_the_parameters_of_an_equation(name, parameters, _equation):
    axes = [{"c": 1}, {"c": 3}] if name == "perceptual" else [{}]
    laws = [law for law in LAWS if law != "least" or losses[name].is_least_where_equal(parameters)]
    tried = check_laws(name, laws=laws, examples=[{**parameters, **fixed} for fixed in axes], count=3)
    assert all(tried[law] for law in laws if law != "least" or losses[name].least_where_equal)


def test_the_losses_that_are_least_where_their_inputs_are_equal_are_those_that_compare_images():
    comparing = {name for name in OURS if losses[name].inputs == ("output", "target")} - {"patch_nce"}
    assert {name for name in OURS if losses[name].least_where_equal} == comparing


def mean(x: Tensor) -> Tensor:
    return x.abs().mean()


def drawing(o: Tensor, t: Tensor) -> Tensor:
    return mean(o - t) + 0 * torch.rand(())


def overwriting(o: Tensor, t: Tensor) -> Tensor:
    value = mean(o - t)
    t.data.mul_(0.5)
    return value


def rounding(o: Tensor, t: Tensor) -> Tensor:
    return mean(o - t) if o.dtype == torch.float64 else mean(o.bfloat16() - t.bfloat16()).float()


# for each law what breaks it, what the loss says of itself, and how it is told; what is `said` is not held by the guard
BREAKERS: list[tuple[str, Callable[..., Tensor], Mapping[str, Any], str]] = [
    ("number", lambda o, t: (o - t).abs().flatten(1).mean(1), {}, "float64 inputs give a tensor of the shape"),
    ("number", lambda o, t: mean(o - t) / 0, {}, "float64 inputs give inf"),
    ("number", lambda o, t: mean(o - t).double(), {}, "float32 inputs give torch.float64, not torch.float32"),
    ("number", lambda o, t: mean(o - t) + torch.rand(()), {}, "a second call gives another value"),
    ("precision", rounding, {}, "it gives .* instead of"),
    ("flat", lambda o, t: (o - t).square().mean().sqrt(), {}, "the gradient of .* in torch.float64 is not finite"),
    ("flat", lambda o, t: mean(o / t), {}, "the value of 0.0 and 0.0 in torch.float64 is nan"),
    ("gradient", lambda o, t: mean(o - t).detach(), {}, "its value has no gradient"),
    ("gradient", lambda o, t: mean(o.detach() - t), {}, "`output` gets no gradient"),
    ("gradient", lambda o, t: mean(o - t), {"constant": ("target",)}, "`target` is constant and gets a gradient"),
    ("unchanged", overwriting, {}, "an input is overwritten"),
    ("unchanged", drawing, {}, "it draws random numbers from the common state"),
    ("order", lambda o, t: mean((o - t)[0]), {}, "it is .*, and .* in another order"),
    ("least", lambda o, t: -mean(o - t), {"least_where_equal": True}, "equal inputs give -?0, and some that differ -"),
    ("least", lambda o, t: 2 * mean(o - t).detach() - mean(o - t), {"least_where_equal": True}, "does not point away"),
    (
        "flat",
        lambda o, t: mean((o + 1).log() - t),
        {"range": SIGNED},
        "the value of -1.0 and -1.0 in torch.float64 is inf",
    ),
    ("aligned", lambda o, t: mean(o.mean() - t.mean()), {"aligned": True}, "it is 0 for both"),
    ("refusals", lambda o, t: mean(o - t), {"same_shape": True}, "another size of `.` is accepted"),
    ("refusals", lambda o, t: mean(o - t), {"least": 5}, "a side of 4 is accepted"),
]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("law", "function", "said", "words"), BREAKERS)
def test_a_loss_that_breaks_a_law_is_told_which(law, function, said, words):
    @loss("custom", same_shape=False)
    def custom(output: Tensor, target: Tensor, /) -> Tensor:
        return function(output, target)

    losses._entries["custom"] = replace(losses["custom"], **said)
    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by custom\(\) on \(\d.*\): .*{words}"):
        check_laws("custom", laws=[law])


def test_every_law_has_its_breaker():
    assert {law for law, *_ in BREAKERS} == {*LAWS}


@pytest.mark.usefixtures("scratch")
def test_what_cannot_be_drawn_for_a_loss_is_given():
    @loss("custom", least_where_equal=True)
    def custom(output: Tensor, target: Tensor, /, *, only: str) -> Tensor:
        if only != "this" or output.shape[1] != 5:
            raise ValueError(only)
        return (output - target).abs().mean()

    with pytest.raises(LawBroken, match="ValueError"):
        check_laws("custom")
    assert all(check_laws("custom", examples=[{"only": "this", "c": 5}]).values())
    with pytest.raises(CrossbandError, match=r"gives `onyl`, which it does not have\nhint: did you mean `only`"):
        check_laws("custom", examples=[{"onyl": "this"}])
    with pytest.raises(CrossbandError, match=r"there is no law `nubmer`\nhint: did you mean `number`"):
        check_laws("custom", laws=["nubmer"])


SMALL, LARGE = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([LARGE, LARGE[:1]], r"needs tensors of one shape: output \(2, 3, 16, 16\), target \(1, 3, 16, 16\)"),
        ([LARGE.byte(), LARGE], r"needs floating-point tensors, output is torch\.uint8"),
        ([LARGE] * 3, "compares output and target, got 3 tensors"),
        ([LARGE[..., 1:, :], LARGE[..., 7:]], "needs tensors of one shape"),
        ([SMALL, SMALL], "needs images of at least 11x11, got 8x8"),
        ([LARGE[..., 6:]] * 2, "needs images of at least 11x11, got 16x10"),
    ],
)
def test_what_it_is_told_that_it_cannot_compare(inputs, message):
    with pytest.raises(LossInputError, match=rf"the loss `ssim` {message}"):
        losses["ssim"].factory(*inputs)


@pytest.mark.parametrize("name", OURS)
def test_says_what_it_is(name):
    entry = losses[name]
    assert len(entry.doc) > 60
    for parameter in entry.parameters.values():
        assert parameter.schema
        assert re.search(rf"\b{parameter.name}\b", entry.doc)


# ---------------------------------------------------------------- adversarial


@pytest.mark.parametrize("name", GENERATORS)
@given(seed=SEEDS)
def test_a_generator_wants_high_scores_and_its_critic_tells_them_apart(name, seed):
    real, fake = (2 * torch.rand(2, 2, 1, 3, 4, generator=torch.Generator().manual_seed(seed)) - 1).requires_grad_()
    [up] = torch.autograd.grad(losses[name].factory(fake), fake)
    assert (up < 0).all()
    own, other = torch.autograd.grad(losses[f"{name}_critic"].factory(real, fake), (real, fake))
    assert (own < 0).all()
    assert (other > 0).all() if name != "lsgan" else ((other > 0) == (fake > 0)).all()


def test_scores_of_any_shapes_weigh_as_much_as_each_other():
    real, fake = torch.rand(1, 1, 3, 4), torch.rand(4, 1, 5, 5)
    for name in GENERATORS:
        value = losses[f"{name}_critic"].factory(real, fake)
        torch.testing.assert_close(value, losses[f"{name}_critic"].factory(real.flatten(), fake.flatten()))


def test_a_critic_that_can_tell_nothing():
    nothing = torch.zeros(1, 1, 3, 3)
    assert losses["vanilla_critic"].factory(nothing, nothing) == pytest.approx(2 * math.log(2))
    assert losses["vanilla"].factory(nothing) == pytest.approx(math.log(2))
    assert losses["vanilla"].factory(nothing, saturating=True) == pytest.approx(-math.log(2))
    assert losses["lsgan_critic"].factory(nothing + 0.5, nothing + 0.5) == pytest.approx(0.5)


def test_logits_far_from_zero():
    sure = torch.full((1, 1, 2, 2), 80.0, requires_grad=True)
    for saturating, value in ((False, 0), (True, -80)):
        found = vanilla(sure, saturating=saturating)
        assert float(found.detach()) == pytest.approx(value)
        assert torch.autograd.grad(found, sure)[0].isfinite().all()


# ---------------------------------------------------------------- slopes


def score_of(weight: Tensor, image: Tensor) -> Tensor:
    return F.conv2d(F.conv2d(image, weight).tanh(), weight.sum(0, keepdim=True)[:, :1].expand(1, 2, -1, -1)).sin()


@pytest.mark.parametrize("name", ["vanilla", "vanilla_critic"])
def test_a_critic_may_give_probabilities(name: str) -> None:
    entry = losses[name]
    scores = [torch.linspace(-5, 5, 24, dtype=torch.float64).view(2, 1, 3, 4) for _ in entry.inputs]
    probabilities = [score.sigmoid() for score in scores]
    torch.testing.assert_close(entry.factory(*probabilities, logits=False), entry.factory(*scores))
    assert entry.factory(*(torch.ones_like(score) for score in scores), logits=False).isfinite()


@pytest.mark.parametrize(
    ("name", "of_slopes"), [("r1", lambda n: n**2 / 2), ("gradient_penalty", lambda n: (n - 1) ** 2)]
)
def test_penalties_agree_with_finite_differences(name, of_slopes):
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 2, 2, 2, dtype=torch.float64, generator=random).requires_grad_()
    image = torch.randn(2, 2, 4, 4, dtype=torch.float64, generator=random).requires_grad_()
    value = losses[name].factory(score_of(weight, image), image)
    squares, step = torch.zeros(2, dtype=torch.float64), 1e-6
    with torch.no_grad():
        for place in range(image[0].numel()):
            moved = torch.zeros_like(image).flatten(1)
            moved[:, place] = step
            up, down = (score_of(weight, image + sign * moved.view_as(image)).flatten(1).sum(1) for sign in (1, -1))
            squares += ((up - down) / (2 * step)) ** 2
    torch.testing.assert_close(value, of_slopes(squares.sqrt()).mean(), rtol=1e-6, atol=1e-9)
    assert torch.autograd.gradcheck(lambda w: losses[name].factory(score_of(w, image), image), (weight,))


@pytest.mark.parametrize("name", PENALTIES)
def test_a_critic_without_slope(name):
    weight, image = torch.zeros(1, 1, 3, 3, requires_grad=True), torch.rand(2, 1, 5, 5, requires_grad=True)
    value = losses[name].factory(F.conv2d(image, weight), image)
    assert float(value.detach()) == (name == "gradient_penalty")
    assert torch.autograd.grad(value, weight)[0].isfinite().all()


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_need_a_score_of_the_image(name):
    image = torch.rand(1, 1, 4, 4, requires_grad=True)
    with pytest.raises(LossInputError, match="from an image that takes gradients"):
        losses[name].factory(image.detach() * 2, image)
    with pytest.raises(LossInputError, match="the image that its score was computed from"):
        losses[name].factory(torch.rand(1, 1, 4, 4, requires_grad=True) * 2, image)


# ---------------------------------------------------------------- structure, angle, patches


@pytest.mark.parametrize(("name", "side"), [("ssim", 11), ("ms_ssim", 161)])
def test_the_loss_and_the_metric_are_one_definition(name, side):
    output, target = tensors(name, [2, 3, side, side + 4], 0)
    output = target + 0.1 * (output - target)
    torch.testing.assert_close(
        losses[name].factory(output, target), 1 - metrics[name].factory(output, target, None).mean()
    )


def test_the_exponents_of_ladlenet_punish_noise_more():
    target, noise = tensors("ms_ssim", [1, 1, 161, 161], 0)
    output = target + 0.2 * (noise - 0.5)
    assert ms_ssim(output, target, weights="ladlenet_exponents") > 4 * ms_ssim(output, target)


def test_an_inverted_image_has_a_gradient_that_is_a_number():
    target = tensors("ms_ssim", [1, 1, 161, 161], 0)[0]
    output = (1 - target).requires_grad_()
    for weights in ("standard", "ladlenet_exponents", "zhao_sigmas"):
        [gradient] = torch.autograd.grad(ms_ssim(output, target, weights=weights), output)
        assert gradient.isfinite().all()


def test_rounding_does_not_spoil_the_variance_of_a_bright_flat_image():
    flat = torch.full((1, 1, 16, 16), 0.9) + 1e-3 * torch.rand(1, 1, 16, 16)
    exact = ssim(flat.double(), flat.double().flip(-1))
    assert float(ssim(flat, flat.flip(-1))) == pytest.approx(float(exact), abs=1e-3)


def test_cosine_knows_no_scale_and_leaves_a_black_image_alone():
    output, target = tensors("cosine", [2, 3, 4, 5], 0)
    cosine = losses["cosine"].factory
    torch.testing.assert_close(cosine(3 * output, target), cosine(output, target))
    torch.testing.assert_close(cosine(2 * target, target), torch.tensor(-1.0, dtype=torch.float64))
    black = torch.zeros(1, 1, 4, 4, requires_grad=True)
    value = cosine(black, torch.ones(1, 1, 4, 4))
    assert not value.any()
    assert not torch.autograd.grad(value, black)[0].any()


def test_patch_nce_finds_the_place_and_holds_the_target():
    target = torch.eye(6, dtype=torch.float64)[None].requires_grad_()
    assert patch_nce(2 * target.detach(), target) < 1e-5  # lengths do not matter
    assert patch_nce(target.detach().roll(1, 1), target) > 10
    output = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    gradients = torch.autograd.grad(patch_nce(output, target), (output, target), allow_unused=True)
    assert gradients[0].any()
    assert gradients[1] is None
    with pytest.raises(LossInputError, match="sets of vectors `b p d`, got"):
        patch_nce(torch.rand(1, 2, 3, 4), torch.rand(1, 2, 3, 4))


# ---------------------------------------------------------------- VGG


@pytest.fixture(name="cache")
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_no_random_weights_in_place_of_published_ones(cache):
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(Unavailable, match=r"the weights `vgg16-397923af.pth` are not in .*\nhint: fetch them once"):
        perceptual(image, image, range="unit", network="vgg16")
    with pytest.raises(Unavailable, match=r"there are no weights of vgg19 at `nowhere\.pth`"):
        perceptual(image, image, range="unit", path="nowhere.pth")
    assert perceptual(image, image, range="unit", random=True) == 0


def test_weights_come_from_the_cache_or_a_file(cache, tmp_path):
    drawn = vgg.frozen("vgg16", ["relu2_1"], torch.device("cpu"), torch.float32, None, random=True)
    kept = {f"features.{key}": 2 * tensor for key, tensor in drawn.state_dict().items()} | {
        "classifier.0.bias": torch.ones(1)
    }
    torch.save(kept, cache / "vgg16-397923af.pth")
    torch.save(kept, tmp_path / "own.pth")
    torch.save(kept | {"features.2.weight": torch.ones(1)}, tmp_path / "wrong.pth")
    output, target = torch.rand(2, 1, 3, 16, 16)
    chosen: dict[str, Any] = {"range": "unit", "network": "vgg16", "layers": {"conv1_1": 1.0}}
    value = perceptual(output, target, **chosen)
    torch.testing.assert_close(value, 2 * perceptual(output, target, random=True, **chosen))
    torch.testing.assert_close(value, perceptual(output, target, path=str(tmp_path / "own.pth"), **chosen))
    with pytest.raises(Unavailable, match=r"it has another shape for `features\.2\.weight`"):
        perceptual(output, target, **chosen | {"layers": {"conv1_2": 1.0}, "path": str(tmp_path / "wrong.pth")})
    with pytest.raises(Unavailable, match=r"it lacks `features\.7\.weight`"):
        perceptual(output, target, **chosen | {"layers": {"relu5_3": 1.0}})
    said = losses["perceptual"].prepare(torch.device("cpu"), **chosen)["vgg16"]
    assert said.startswith(f"{cache / 'vgg16-397923af.pth'}, sha256 ")


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_layers_are_those_of_torchvision(name: vgg.Name):
    from torchvision.models import get_model

    image, known = torch.rand(1, 3, 32, 32), vgg.layers(name)
    network = vgg.frozen(name, known, torch.device("cpu"), torch.float32, None, random=True)
    with torch.device("meta"):
        model: Any = get_model(name, weights=None)
    modules: torch.nn.Sequential = model.features
    modules.load_state_dict(network.state_dict(), assign=True)
    block, number, value, found = 1, 1, image, network(image)
    for module in modules:
        value = module(value.clone())  # torchvision's ReLU works in place
        if isinstance(module, torch.nn.MaxPool2d):
            block, number = block + 1, 1
            continue
        layer = f"{'conv' if isinstance(module, torch.nn.Conv2d) else 'relu'}{block}_{number}"
        number += layer.startswith("relu")
        assert torch.equal(found.pop(layer), value)
        assert known[layer] == 2 ** (block - 1)
    assert not found


def test_a_convolution_and_its_activation_are_both_kept():
    network = vgg.frozen("vgg16", ["conv1_1", "relu1_1"], torch.device("cpu"), torch.float32, None, random=True)
    found = network(torch.rand(1, 3, 8, 8))
    assert found["conv1_1"].min() < 0 == found["relu1_1"].min()


def test_the_network_is_frozen_and_takes_grey_as_three_channels():
    image, target = torch.rand(2, 1, 1, 16, 16)
    grey, colours = image.requires_grad_(), target.expand(-1, 3, -1, -1)
    value = perceptual(grey, target, **VGG)
    torch.testing.assert_close(value, perceptual(grey.expand(-1, 3, -1, -1), colours, **VGG))
    value.backward()
    network = vgg.frozen("vgg19", ["relu2_1"], image.device, image.dtype, None, random=True)
    assert not network.training
    assert all(not p.requires_grad and p.grad is None for p in network.parameters())
    assert grey.grad is not None
    with pytest.raises(LossInputError, match="1 or 3 channels, got 2"):
        perceptual(torch.rand(1, 2, 16, 16), torch.rand(1, 2, 16, 16), **VGG)


def test_drawing_random_weights_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    vgg.frozen("vgg16", ["conv1_2"], torch.device("cpu"), torch.float64, None, random=True)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"relu3_5": 1.0}, "vgg19 has no layer `relu3_5`\nhint: did you mean `relu3_"),
        ({}, "`perceptual` compares no layer"),
    ],
)
def test_layers_that_vgg_does_not_have(layers, message):
    with pytest.raises(LossInputError, match=message):
        perceptual(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16), range="unit", layers=layers)


# ---------------------------------------------------------------- one by one, and the decorator


def test_amplitude_is_blind_to_a_shift_and_complex_is_not():
    image = torch.rand(1, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = image.roll((3, 5), dims=(-2, -1))
    assert fft_l1(image, shifted, mode="amplitude") < 1e-12
    assert fft_l1(image, shifted) > 0.1


def test_ortho_keeps_the_spectrum_on_the_scale_of_the_pixels():
    output, target = torch.rand(2, 1, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rms = (output - target).square().mean().sqrt()
    assert 0.8 * rms < fft_l1(output, target) <= rms  # Parseval, then mean <= root mean square


@given(seed=SEEDS)
def test_bce_with_logits_is_least_at_the_logits_of_the_target(seed):
    target, noise = tensors("bce", [2, 1, 4, 4], seed)
    best = target.logit()
    output = (best + 0.02 * (noise - target)).requires_grad_()
    value = losses["bce"].factory(output, target, logits=True)
    [gradient] = torch.autograd.grad(value, output)
    assert losses["bce"].factory(best, target, logits=True) < value
    assert (gradient * (output - best)).sum() > 0


def test_bce_with_logits_survives_large_values():
    bce = losses["bce"].factory
    assert math.isclose(bce(torch.full((1, 1, 2, 2), 80.0), torch.zeros(1, 1, 2, 2), logits=True), 80, rel_tol=1e-6)
    assert torch.equal(bce(torch.zeros(4), torch.ones(4), logits=True), F.softplus(torch.tensor(0.0)))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda output, target, /: output, "`output` must be a positional-only `Tensor`"),
        (lambda *, eps=1.0: eps, "takes no tensor"),
    ],
)
def test_a_signature_that_breaks_the_contract_is_refused(function, message):
    with pytest.raises(RegistryError, match=message):
        loss("broken")(function)
    assert "broken" not in losses


def test_a_parameter_without_a_type_is_refused():
    def untyped(output: Tensor, target: Tensor, /, *, eps=1e-3) -> Tensor:
        return (output - target).abs().mean() + eps

    with pytest.raises(RegistryError, match="`eps` needs a type hint"):
        loss("untyped")(untyped)


def test_a_name_is_taken_once():
    def another(output: Tensor, target: Tensor, /) -> Tensor:
        return (output - target).abs().mean()

    with pytest.raises(RegistryError, match="the loss `l1` is registered twice"):
        loss("l1")(another)
    assert losses["l1"].factory is l1
