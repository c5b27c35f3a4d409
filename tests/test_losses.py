"""Laws of every registered loss, and the behaviour of the decorator that makes one."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from crossband.recipes.losses import LossInputError, fft_l1, l1, loss
from crossband.registry import CrossbandError, RegistryError, losses

OURS = [name for name, entry in losses.items() if entry.factory.__module__.startswith("crossband.")]
PAIRED = [name for name in OURS if losses[name].facts["same_shape"] and len(losses[name].facts["inputs"]) == 2]


def spectrum(x: Tensor, norm: str = "ortho") -> Tensor:
    return torch.fft.fft2(x, norm=norm)


def entropy(p: Tensor, t: Tensor) -> Tensor:
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()


# each loss as its equation, over the whole spectrum where there is one: (name, parameters, formula)
EQUATIONS: list[tuple[str, Mapping[str, Any], Callable[[Tensor, Tensor], Tensor]]] = [
    ("l1", {}, lambda o, t: torch.mean(torch.abs(o - t))),
    ("mse", {}, lambda o, t: torch.mean((o - t) ** 2)),
    ("charbonnier", {}, lambda o, t: torch.mean(torch.sqrt((o - t) ** 2 + 1e-6))),
    ("charbonnier", {"eps": 0.5}, lambda o, t: torch.mean(torch.sqrt((o - t) ** 2 + 0.25))),
    ("fft_l1", {}, lambda o, t: (spectrum(o) - spectrum(t)).abs().mean()),
    ("fft_l1", {"norm": "backward"}, lambda o, t: (spectrum(o, "backward") - spectrum(t, "backward")).abs().mean()),
    ("fft_l1", {"norm": "forward"}, lambda o, t: (spectrum(o, "forward") - spectrum(t, "forward")).abs().mean()),
    ("fft_l1", {"mode": "amplitude"}, lambda o, t: (spectrum(o).abs() - spectrum(t).abs()).abs().mean()),
    ("bce", {}, entropy),
    ("bce", {"logits": True}, lambda o, t: entropy(torch.sigmoid(o), t)),
]


@st.composite
def pairs(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two different random images `b c h w`, strictly within (0, 1)."""
    shape = [draw(st.integers(1, high)) for high in (3, 3, 9, 9)]
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    output, target = (0.01 + 0.98 * torch.rand(shape, generator=random, dtype=dtype) for _ in range(2))
    return output, target


def test_every_loss_has_an_equation():
    assert set(OURS) == {name for name, _, _ in EQUATIONS}


@pytest.mark.parametrize(("name", "parameters", "equation"), EQUATIONS)
@given(images=pairs())
@settings(max_examples=20, deadline=None)
def test_agrees_with_its_equation(name, parameters, equation, images):
    losses[name].check(parameters)
    value = losses[name].factory(*images, **parameters)
    assert value.dtype == torch.float64
    torch.testing.assert_close(value, equation(*images), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PAIRED)
@given(images=pairs())
@settings(max_examples=20, deadline=None)
def test_is_least_at_identity_and_its_gradient_points_away(name, images):
    output, target = images
    output.requires_grad_()
    value = losses[name].factory(output, target)
    [gradient] = torch.autograd.grad(value, output)
    assert losses[name].factory(target, target) < value
    assert (gradient * (output - target)).sum() > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("name", "parameters", "_equation"), EQUATIONS)
def test_value_and_gradient_are_finite_at_identity_and_at_the_ends(name, parameters, _equation, dtype):
    for level in (0.0, 0.5, 1.0):
        image = torch.full((2, 1, 4, 5), level, dtype=dtype, requires_grad=True)
        for target in (torch.full_like(image, level), torch.zeros_like(image), torch.ones_like(image)):
            value = losses[name].factory(image, target, **parameters)
            [gradient] = torch.autograd.grad(value, image)
            assert value.isfinite()
            assert gradient.isfinite().all()


@pytest.mark.parametrize("name", PAIRED)
def test_works_in_float32_under_autocast_and_on_half_precision(name):
    output, target = torch.rand(2, 1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.98 + 0.01
    output, target = output.bfloat16(), target.bfloat16()
    exact = losses[name].factory(output.double(), target.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = losses[name].factory(output, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("other", [(1, 3, 8, 8), (2, 1, 8, 8), (2, 3, 8, 4), (3, 8, 8), (1,)])
def test_refuses_shapes_that_would_broadcast(name, other):
    with pytest.raises(LossInputError, match=rf"the loss `{name}` needs tensors of one shape: output \(2, 3, 8, 8\)"):
        losses[name].factory(torch.rand(2, 3, 8, 8), torch.rand(other))


@pytest.mark.parametrize("name", OURS)
def test_refuses_whole_numbers_and_wrong_counts(name):
    count = len(losses[name].facts["inputs"])
    with pytest.raises(CrossbandError, match="floating-point"):
        losses[name].factory(*[torch.zeros(1, 1, 8, 8, dtype=torch.uint8)] * count)
    with pytest.raises(CrossbandError, match=f"got {count + 1} tensors"):
        losses[name].factory(*[torch.zeros(1, 1, 8, 8)] * (count + 1))


@pytest.mark.parametrize("name", OURS)
def test_says_what_it_is(name):
    entry = losses[name]
    assert len(entry.doc) > 60
    assert all(len(parameter.schema) > 0 and not parameter.required for parameter in entry.parameters.values())


def test_amplitude_is_blind_to_a_shift_and_complex_is_not():
    image = torch.rand(1, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = image.roll((3, 5), dims=(-2, -1))
    assert fft_l1(image, shifted, mode="amplitude") < 1e-12
    assert fft_l1(image, shifted) > 0.1


def test_ortho_keeps_the_spectrum_on_the_scale_of_the_pixels():
    output, target = torch.rand(2, 1, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rms = (output - target).square().mean().sqrt()
    assert 0.8 * rms < fft_l1(output, target) <= rms  # Parseval, then mean <= root mean square


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
