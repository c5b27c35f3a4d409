"""Gradient normalisation: its formula, its theorem, and what it leaves alone."""

import re

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from crossband.blocks import Conv, GradientNorm
from crossband.blocks.norm import Norm
from crossband.registry import CrossbandError


def critic(norm: Norm = "none") -> nn.Sequential:
    return nn.Sequential(
        Conv(3, out=8, kernel=4, stride=2, padding=1, activation="leaky_relu"),
        Conv(8, out=8, kernel=4, stride=2, padding=1, norm=norm, activation="leaky_relu"),
        Conv(8, out=1, kernel=3),
    )


class Pair(nn.Module):
    """A critic of two images."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        return (self.first(image).tanh() * self.second(target)).sum(1, keepdim=True)


@pytest.mark.parametrize("reduce", ["sum", "mean", "scalar"])
@pytest.mark.parametrize("formula", ["signed", "squared"])
def test_normalised_scores_are_bounded_and_know_no_scale(reduce, formula):
    network = critic("instance")
    wrapped = GradientNorm(network, reduce=reduce, formula=formula)
    x = torch.randn(3, 3, 16, 16)
    scores = wrapped(x)
    assert scores.shape == ((3, 1, 1, 1) if reduce == "scalar" else network(x).shape)
    assert scores.abs().max() < 1
    assert formula == "signed" or scores.min() >= 0
    for parameter in network[2].parameters():
        parameter.data *= 1000
    torch.testing.assert_close(wrapped(x), scores)


def test_the_formula():
    """Equation 6 of Wu et al., by hand, for the patch sum."""
    network, x = critic(), torch.randn(2, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    norm = gradient.flatten(1).norm(dim=1).view(2, 1, 1, 1)
    score = network(x)
    torch.testing.assert_close(GradientNorm(network)(x), score / (norm + score.abs()))
    torch.testing.assert_close(GradientNorm(network, zeta=0.5)(x), score / (norm + 0.5))
    torch.testing.assert_close(GradientNorm(network, formula="squared")(x), (score / (norm + score.abs())) ** 2)
    torch.testing.assert_close(GradientNorm(network, blend=0.0)(x), score)
    patches = score[0].numel()
    torch.testing.assert_close(GradientNorm(network, reduce="mean")(x), score / (norm / patches + score.abs()))


def test_a_piecewise_linear_critic_of_one_score_has_slope_at_most_one():
    network = critic().double()
    x = torch.randn(16, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(GradientNorm(network, reduce="scalar")(x).sum(), x)
    assert gradient.flatten(1).norm(dim=1).max() <= 1 + 1e-9


@pytest.mark.parametrize("reduce", ["sum", "mean", "scalar"])
def test_gradients_pass_through_the_norm_twice(reduce):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 1, 2)).double()
    wrapped = GradientNorm(network, reduce=reduce)
    x = torch.randn(2, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(wrapped, x)
    assert gradgradcheck(wrapped, x)
    wrapped(x).square().sum().backward()
    first = network[0]
    assert isinstance(first, nn.Conv2d)
    assert first.weight.grad is not None
    assert torch.isfinite(first.weight.grad).all()


def test_named_inputs_are_differentiated_directly():
    """The target depends on the image: its path must not count in the slope along the image."""
    network = Pair().double()
    image = torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    linked = GradientNorm(network, wrt=["image"])(image=image, target=2 * image)
    separate = GradientNorm(network, wrt=["image"])(image, (2 * image).detach())
    torch.testing.assert_close(linked, separate)
    assert not torch.allclose(linked, GradientNorm(network)(image, 2 * image))


def test_the_caller_s_tensors_stay_as_they_are():
    wrapped = GradientNorm(critic()).eval()
    x = torch.randn(2, 3, 8, 8)
    scores = wrapped(x)
    assert not x.requires_grad
    with torch.no_grad():
        silent = wrapped(x)
    with torch.inference_mode():
        inferred = wrapped(x * 1)
    assert not silent.requires_grad
    assert torch.equal(silent, scores)
    assert torch.equal(inferred, scores)
    leaf = x.clone().requires_grad_()
    wrapped(leaf).sum().backward()
    assert leaf.grad is not None


class Scales(nn.Module):
    """Scores of two scales, and an inner feature."""

    taps = frozenset({"layer"})

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.fine, self.coarse = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 1, 3), nn.Conv2d(3, 1, 3, stride=2)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        layer = self.layer(image).tanh()
        return {"score_1": self.fine(layer), "layer": layer, "score_2": self.coarse(layer)}


class One(nn.Module):
    """One result of a network as its only output."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image)[self.name]


@pytest.mark.parametrize("reduce", ["sum", "mean", "scalar"])
@pytest.mark.parametrize("learning", [True, False])
def test_of_several_outputs_each_has_its_own_norm_and_features_stay(reduce, learning):
    network, x = Scales(), torch.randn(2, 1, 9, 9)
    with torch.set_grad_enabled(learning):
        results = GradientNorm(network, reduce=reduce)(x)
        assert list(results) == ["score_1", "layer", "score_2"]
        assert all(result.requires_grad == learning for result in results.values())
        for name in ("score_1", "score_2"):
            torch.testing.assert_close(results[name], GradientNorm(One(network, name), reduce=reduce)(x))
        assert torch.equal(results["layer"], network(x)["layer"])


def test_the_parameters_learn_from_every_score_and_feature():
    """The gradient of everything that comes out, in the parameters, against finite differences."""
    network = Scales().double()
    wrapped, x = GradientNorm(network), torch.randn(2, 1, 7, 7, dtype=torch.float64)
    names = [name for name, _ in network.named_parameters()]

    def of_parameters(*values: Tensor) -> tuple[Tensor, ...]:
        given = {f"network.{name}": value for name, value in zip(names, values, strict=True)}
        return tuple(functional_call(wrapped, given, (x,)).values())

    assert gradcheck(of_parameters, tuple(network.parameters()))


def test_a_generator_learns_through_a_frozen_normalised_critic():
    generator, frozen = nn.Conv2d(3, 3, 1), critic().requires_grad_(False)
    GradientNorm(frozen)(generator(torch.randn(2, 3, 8, 8))).sum().backward()
    assert generator.weight.grad is not None
    assert generator.weight.grad.abs().max() > 0


def test_half_precision_does_not_reach_the_slope():
    wrapped, x = GradientNorm(critic()), torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(wrapped(x), wrapped(x.clone()))
        assert wrapped(x).dtype == torch.float32
    torch.testing.assert_close(wrapped(x).detach(), wrapped(x).detach())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"network": critic("batch")},
            "has batch normalisation at `1.norm`, which mixes the images of a batch\nhint: ",
        ),
        ({"network": Pair(), "wrt": ["imag"]}, "the network has no input `imag`\nhint: did you mean `image`?"),
        ({"network": Pair(), "reduce": "max"}, "`reduce` must be one of `sum`, `mean`, `scalar`, got `max`"),
        ({"network": Pair(), "zeta": -1.0}, "`zeta` must be `abs_f` or at least 0"),
        ({"network": Pair(), "blend": 2.0}, "`blend` must be at most 1"),
    ],
)
def test_what_cannot_be_normalised_is_refused(arguments, message):
    with pytest.raises(CrossbandError, match=re.escape(message)):
        GradientNorm(**arguments)
