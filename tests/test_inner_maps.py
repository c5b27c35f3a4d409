"""Inner maps: what blocks show of their work is what they work with."""

import pytest
import torch
from torch import Tensor, nn

from crossband import block
from crossband.blocks import (
    CBAM,
    AttentionGate,
    CrissCross,
    CrossAttention,
    PixelFusion,
    SelfAttention,
    SqueezeExcite,
    SwinBlock,
    WindowAttention,
    WindowedAttention,
)
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.maps import InnerMap, maps_within, shown_maps
from crossband.blocks.laws import LawBroken, check_laws

X = torch.randn(2, 8, 8, 12, generator=torch.Generator().manual_seed(0))
PIXELS = [(0, 0), (5, 3), (7, 11)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_weights_of_a_fusion_mix_its_inputs():
    inputs = [X, X.flip(2), X.flip(3)]
    for per in ("pixel", "channel"):
        fusion = PixelFusion(8, 3, per=per).eval()
        fused, own = fusion(*inputs)
        weights = shown_maps(fusion, inputs, (0, 0))["weights"]
        assert weights.shape == (2, 3, 8, 12)
        if per == "pixel":
            assert torch.equal(weights, own)
            mixed = torch.stack([weights[:, [n]] * each for n, each in enumerate(inputs)]).sum(0)
            assert torch.allclose(mixed, fused, atol=1e-6)


def test_gates_are_the_factors_of_what_comes_in():
    squeeze = SqueezeExcite(8, reduce=2).eval()
    assert torch.equal(squeeze(X), X * shown_maps(squeeze, [X], (0, 0))["gate"][:, :, None, None])
    both = CBAM(8, reduce=2).eval()
    first = shown_maps(both.get_submodule("channels"), [X], (0, 0))["gate"]
    second = shown_maps(both.get_submodule("pixels"), [X * first[:, :, None, None]], (0, 0))["gate"]
    assert torch.equal(both(X), X * first[:, :, None, None] * second)
    gate = AttentionGate(8, 4).eval()
    inputs = [X, torch.randn(2, 4, 4, 6)]
    assert torch.equal(gate(*inputs)[0], X * shown_maps(gate, inputs, (0, 0))["weights"])


@pytest.mark.parametrize("pixel", PIXELS)
def test_the_weights_of_a_cross_give_its_output(pixel):
    attention = CrissCross(8, reduce=2).eval()
    nn.init.constant_(attention.gamma, 0.7)
    row, column = pixel
    weights = shown_maps(attention, [X], pixel)["attention"]
    assert (weights != 0).sum() == 2 * (8 + 12 - 1)  # of two images: row and column, itself once
    seen = torch.einsum("bhw,bchw->bc", weights[:, 0], attention.value(X))
    assert torch.allclose(attention(X)[..., row, column], 0.7 * seen + X[..., row, column], atol=1e-5)


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize(("window", "shift"), [(4, 0), (4, 2), (2, 1), (8, 0)])
def test_the_weights_of_a_window_give_its_output(pixel, window, shift):
    x = X[..., :8] if window == 8 else X
    pixel = (pixel[0], min(pixel[1], x.shape[3] - 1))
    attention = WindowAttention(8, heads=2, window=window, shift=shift).eval()
    nn.init.normal_(attention.bias)
    values = attention.all(x.permute(0, 2, 3, 1))[..., 16:].unflatten(-1, (2, 4))
    weights = shown_maps(attention, [x], pixel)["attention"]
    seen = torch.einsum("bnhw,bhwnc->bnc", weights, values).flatten(1)
    assert torch.allclose(attention(x)[..., pixel[0], pixel[1]], attention.project(seen), atol=1e-5)


@pytest.mark.parametrize("pixel", PIXELS)
def test_the_weights_of_attention_give_its_output(pixel):
    row, column = pixel
    own = SelfAttention(8, heads=2).eval()
    values = own.all(own.norm(X))[:, 16:].unflatten(1, (2, 4))
    seen = torch.einsum("bnhw,bnchw->bnc", shown_maps(own, [X], pixel)["attention"], values).flatten(1)
    found = X[..., row, column] + own.project(seen[..., None, None])[..., 0, 0]
    assert torch.allclose(own(X)[..., row, column], found, atol=1e-5)
    other = torch.randn(2, 3, 2, 5)
    cross = CrossAttention(8, 3, heads=2).eval()
    weights = shown_maps(cross, [X, other], pixel)["attention"]
    assert weights.shape == (2, 2, 2, 5)
    seen = torch.einsum("bnhw,bnchw->bnc", weights, cross.both(other)[:, 8:].unflatten(1, (2, 4))).flatten(1)
    found = X[..., row, column] + cross.project(seen[..., None, None])[..., 0, 0]
    assert torch.allclose(cross(X, other)[..., row, column], found, atol=1e-5)
    windowed = WindowedAttention(heads=2, window=4)
    weights = shown_maps(windowed, [X, X.flip(2), X.flip(3)], pixel)["attention"]
    seen = torch.einsum("bnhw,bnchw->bnc", weights, X.flip(3).unflatten(1, (2, 4))).flatten(1)
    assert torch.allclose(windowed(X, X.flip(2), X.flip(3))[..., row, column], seen, atol=1e-5)


def test_a_block_made_of_such_blocks_shows_theirs():
    assert list(maps_within(CBAM(8, reduce=2), "node")) == ["node.channels.gate", "node.pixels.gate"]
    assert list(maps_within(SwinBlock(8, window=4))) == ["attention.attention"]
    assert not maps_within(nn.Conv2d(1, 1, 1))


# ---------------------------------------------------------------- the law


def declare(values, **said):
    """Register a block that shows what `values` makes of its input."""
    declared = {"map": InnerMap(said.get("form", "pixels"), "something", sums_to_one=said.get("sums_to_one", False))}

    @block("Custom", contract="b c h w -> b c h w", inner_maps=declared)
    class Custom(nn.Module):
        """Its input, and the sum of all that it was asked about."""

        asked: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("asked", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return x * 1.0 + self.asked

        def inner_maps(self, x: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
            return values(self, x)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("values", "said", "message"),
    [
        (lambda _, x: {"other": x}, {}, r"declares \['map'\] and gives \['other'\]"),
        (lambda _, x: {"map": x}, {"form": "channels"}, r"its map `map` of the pixel \(0, 0\) is to be `b n` and has"),
        (lambda _, x: {"map": x[:1].repeat(9, 1, 1, 1)}, {}, "is of 9 images in place of"),
        (lambda _, x: {"map": x / 0}, {}, "is not finite"),
        (lambda _, x: {"map": x.softmax(1) + 0.1}, {"sums_to_one": True}, "is to sum to 1 and does not, by"),
        (lambda self, x: {"map": x + self.asked.add_(1)}, {}, "weights or statistics are others after it was asked"),
    ],
)
def test_a_map_that_is_not_as_declared_breaks_the_law(values, said, message):
    declare(values, **said)
    with pytest.raises(LawBroken, match=message):
        check_laws("Custom", laws=["maps"])


@pytest.mark.usefixtures("scratch")
def test_maps_need_a_method_and_a_map_as_declared_is_fine():
    declare(lambda _, x: {"map": x.softmax(1)}, sums_to_one=True)
    assert check_laws("Custom", laws=["maps"])["maps"] > 0
    with pytest.raises(ContractError, match="`Lacks` declares inner maps and has no method"):

        @block("Lacks", contract="b c h w -> b c h w", inner_maps={"map": InnerMap("pixels", "none")})
        class Lacks(nn.Module):
            """Nothing."""
