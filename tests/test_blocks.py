"""What single blocks compute: against the papers' counts, dense formulas and theorems."""

import math
import pickle
import re
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from crossband import blocks, registry
from crossband.blocks import block
from crossband.blocks.activation import ACTIVATIONS, Activation
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.reach import reach_of
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import symbol
from crossband.blocks.conv import PadMode
from crossband.blocks.criss_cross import criss_cross
from crossband.blocks.laws import measured_reach
from crossband.blocks.laws.examples import Example
from crossband.blocks.norm import NORMS, Norm
from crossband.registry import ArgumentError

H, W, B = symbol("H"), symbol("W"), symbol("B")


def example(name: str, *shapes: tuple[int, ...], **arguments: object) -> Example:
    entry = registry.blocks[name]
    return Example(entry, arguments, shapes, shapes_of(entry, shapes, arguments))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# The registry of blocks


def test_every_public_block_is_registered_and_every_registered_block_public():
    wrappers = {name for name, entry in registry.wrappers.items() if not entry.rewrites}
    assert {*registry.blocks, *wrappers, "block", "wrapper"} == set(blocks.__all__)


@pytest.mark.parametrize("name", [*registry.blocks, *registry.wrappers])
def test_every_block_says_what_it_does(name: str):
    entry = (registry.blocks if name in registry.blocks else registry.wrappers)[name]
    assert len(entry.doc.splitlines()[0]) > 20
    assert entry.cite is None or entry.cite in registry.references()


@pytest.mark.parametrize(("table", "names"), [(NORMS, Norm), (ACTIVATIONS, Activation)])
def test_what_a_schema_admits_by_name_is_in_its_table(table, names):
    assert tuple(table) == get_args(names)


@pytest.mark.parametrize("name", list(registry.blocks))
def test_blocks_pickle(name: str):
    arguments = {
        "ASPP": {"rates": [1, 2], "out": 3},
        "Bottleneck": {"width": 2, "out": 3},
        "Conv": {"out": 3},
        "ClassEmbedding": {"classes": 3, "out": 4},
        "ConvTranspose": {"out": 3},
        "Linear": {"out": 3},
        "SeparableConv": {"out": 3},
        "TimeEmbedding": {"out": 4},
        "RSU": {"depth": 3, "mid": 2, "out": 3},
    }
    entry = registry.blocks[name]
    shapes = {
        "Broadcast": [(2, 32), (2, 32, 8, 8)],
        "GateChannels": [(2, 32, 8, 8), (2, 32, 1, 1)],
        "GatePixels": [(2, 32, 8, 8), (2, 1, 8, 8)],
        "LabToRGB": [(2, 1, 8, 8), (2, 2, 8, 8)],
        "RGBToLab": [(2, 3, 8, 8)],
    }
    contract = entry.contract
    number = 1 if contract is None else 2 if contract.variadic else len(contract.inputs)
    axes = [4 if "*size" in pattern else len(pattern) for pattern in contract.inputs] if contract else [4]
    usual = [(2, 32, 8, 8)[: axes[min(at, len(axes) - 1)]] for at in range(number)]
    given = shapes.get(name, usual)
    case = example(name, *given, **arguments.get(name, {"up": 2} if name == "Resize" else {}))
    module, tensors = case.module().eval(), case.tensors()
    torch.testing.assert_close(pickle.loads(pickle.dumps(module))(*tensors), module(*tensors), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "positional", "arguments", "message"),
    [
        ("Conv", (4,), {}, "Conv needs the parameter `out`"),
        ("Conv", (4,), {"out": 0}, "Conv: `out` must be at least 1, got 0"),
        ("Conv", (4,), {"out": 4, "kernl": 3}, "Conv has no parameter `kernl`\nhint: did you mean `kernel`?"),
        (
            "Conv",
            (4,),
            {"out": 4, "norm": "weight"},
            "Conv: `norm` must be one of `none`, `batch`, `instance`, `layer`, `group`, got `weight`",
        ),
        (
            "Conv",
            (4,),
            {"out": 6, "groups": 4},
            "output channels that divide into the groups, but groups is 4, out is 6",
        ),
        ("Conv", (0,), {"out": 4}, "Conv: `c` must be a whole number of at least 1, got 0"),
        ("ConvTranspose", (4,), {"out": 4, "output_padding": 2}, "it needs `output_padding < stride`"),
        ("Resize", (), {}, "Resize: it needs a factor: `up` or `down`, or `plus`"),
        ("MaxPool", (), {"padding": 2}, "it needs padding of at most half the kernel"),
        ("RSU", (4,), {"depth": 1, "mid": 4, "out": 4}, "RSU: `depth` must be at least 2, got 1"),
        ("CrissCross", (4,), {}, "CrissCross: it needs at least `reduce` channels, but c is 4, reduce is 8"),
        ("GroupNorm", (4,), {}, "channels that divide into the groups, but c is 4, groups is 32"),
    ],
)
def test_wrong_arguments_are_named(name, positional, arguments, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        registry.blocks[name].factory(*positional, **arguments)


# Convolution


@pytest.mark.parametrize(
    ("norm", "bias", "present"),
    [
        ("none", None, True),
        ("instance", None, True),
        ("batch", None, False),
        ("batch", True, True),
        ("none", False, False),
    ],
)
def test_the_rule_of_the_bias(norm, bias, present):
    for made in (blocks.Conv(2, out=3, norm=norm, bias=bias), blocks.ConvTranspose(2, out=3, norm=norm, bias=bias)):
        assert (made.conv.bias is not None) == present


@pytest.mark.parametrize("kernel", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_keeps_the_size_over_the_stride(kernel: int, stride: int):
    output = blocks.Conv(1, out=1, kernel=kernel, stride=stride)(torch.zeros(1, 1, 11, 8))
    assert output.shape[2:] == (math.ceil(11 / stride), math.ceil(8 / stride))


def test_same_padding_of_an_even_kernel_puts_the_smaller_half_before():
    conv = blocks.Conv(1, out=1, kernel=4, bias=False)
    nn.init.ones_(conv.conv.weight)
    x = torch.zeros(1, 1, 6, 6)
    x[..., 0, 0] = 1
    assert conv(x)[0, 0, :, 0].tolist() == [1, 1, 0, 0, 0, 0]  # pixel 0 is in the windows from -1 and from 0


def test_order_is_convolution_normalisation_activation():
    conv = blocks.Conv(2, out=3, norm="instance", activation="leaky_relu")
    x = torch.randn(2, 2, 6, 6)
    expected = nn.functional.leaky_relu(nn.functional.instance_norm(conv.conv(x)), 0.2)
    assert torch.equal(conv(x), expected)


@pytest.mark.parametrize(("mode", "edge"), [("zeros", 0.0), ("reflect", 2.0), ("replicate", 1.0)])
def test_padding_modes(mode: PadMode, edge: float):
    conv = blocks.Conv(1, out=1, kernel=3, pad_mode=mode, bias=False)
    nn.init.zeros_(conv.conv.weight)
    conv.conv.weight.data[0, 0, 1, 0] = 1  # the left neighbour
    assert conv(torch.tensor([[[[1.0, 2.0, 3.0]] * 3]]))[0, 0, 1, 0].item() == edge


# Residual U-blocks and criss-cross attention: counts of the reference implementations


@pytest.mark.parametrize(
    ("c", "options", "count"),
    [
        (3, {"depth": 7, "mid": 32, "out": 64}, 206_016),
        (64, {"depth": 6, "mid": 32, "out": 128}, 305_856),
        (128, {"depth": 5, "mid": 64, "out": 256}, 1_108_992),
        (256, {"depth": 4, "mid": 128, "out": 512}, 3_986_688),
        (512, {"depth": 4, "mid": 256, "out": 512, "dilated": True}, 10_034_688),
        (1024, {"depth": 4, "mid": 256, "out": 512, "dilated": True}, 12_393_984),
        (1024, {"depth": 4, "mid": 128, "out": 256}, 4_280_064),
        (512, {"depth": 5, "mid": 64, "out": 128}, 1_181_952),
        (256, {"depth": 6, "mid": 32, "out": 64}, 323_904),
        (128, {"depth": 7, "mid": 16, "out": 64}, 139_200),
    ],
)
def test_parameters_of_residual_u_blocks(c, options, count):
    with torch.device("meta"):
        assert parameters(blocks.RSU(c, **options)) == count


def test_a_residual_u_block_is_the_paper_s_steps():
    """RSU with depth 4 step by step."""
    rsu = blocks.RSU(3, depth=4, mid=2, out=5).eval()
    x = torch.randn(1, 3, 13, 10)
    first = rsu.entry(x)
    e1 = rsu.encoder[0](first)
    e2 = rsu.encoder[1](nn.functional.max_pool2d(e1, 2, ceil_mode=True))
    e3 = rsu.encoder[2](nn.functional.max_pool2d(e2, 2, ceil_mode=True))
    assert rsu.bottom.conv.dilation == (2, 2)
    d3 = rsu.decoder[0](torch.cat([rsu.bottom(e3), e3], 1))
    d2 = rsu.decoder[1](torch.cat([interpolate(d3, e2.shape[2:], mode="bilinear"), e2], 1))
    d1 = rsu.decoder[2](torch.cat([interpolate(d2, e1.shape[2:], mode="bilinear"), e1], 1))
    assert torch.equal(rsu(x), d1 + first)


def test_dilations_of_the_dilated_residual_u_block():
    rsu = blocks.RSU(3, depth=4, mid=2, out=5, dilated=True)
    layers = [layer for layer in (rsu.entry, *rsu.encoder, rsu.bottom, *rsu.decoder) if isinstance(layer, blocks.Conv)]
    rates = [layer.conv.dilation[0] for layer in layers]
    assert rates == [1, 1, 2, 4, 8, 4, 2, 1]


@pytest.mark.parametrize(("c", "count"), [(64, 5_201), (256, 82_241), (512, 328_321)])
def test_parameters_of_criss_cross_attention(c: int, count: int):
    assert parameters(blocks.CrissCross(c)) == count


def dense(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention between all pairs of pixels, masked to the same row or column: the definition."""
    h, w = query.shape[2:]
    rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w
    cross = (rows[:, None] == rows) | (columns[:, None] == columns)
    energies = torch.einsum("bku,bkv->buv", query.flatten(2), key.flatten(2))
    weights = energies.masked_fill(~cross, -torch.inf).softmax(-1)
    return torch.einsum("buv,bcv->bcu", weights, value.flatten(2)).unflatten(2, (h, w))


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (5, 5), (7, 4), (13, 9)])
def test_criss_cross_attention_is_dense_attention_on_the_cross(size: tuple[int, int]):
    block = blocks.CrissCross(16, reduce=4).double()
    nn.init.ones_(block.gamma)
    x = torch.randn(2, 16, *size, dtype=torch.float64)
    expected = dense(block.query(x), block.key(x), block.value(x)) + x
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


def test_criss_cross_attention_starts_as_the_identity_that_can_learn():
    block = blocks.CrissCross(8)
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(block(x), x)
    block(x).sum().backward()
    assert block.gamma.grad is not None
    assert block.gamma.grad.abs() > 0


def test_two_rounds_of_criss_cross_attention_see_the_whole_image():
    block = blocks.CrissCross(8).double()
    nn.init.ones_(block.gamma)
    x = torch.randn(1, 8, 5, 7, dtype=torch.float64, requires_grad=True)
    for rounds, whole in ((1, False), (2, True)):
        y = x
        for _ in range(rounds):
            y = block(y)
        (gradient,) = torch.autograd.grad(y[..., 2, 3].sum(), x)
        assert bool((gradient.abs().sum(1) > 0).all()) == whole


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_energies_of_half_precision_stay_finite(dtype: torch.dtype):
    query = torch.full((1, 64, 6, 6), 100.0, dtype=dtype)  # energies of 640000, beyond float16
    assert torch.equal(criss_cross(query, query, torch.ones_like(query)), torch.ones_like(query))
    with torch.autocast("cpu", dtype=dtype):
        assert torch.isfinite(criss_cross(query, query, query)).all()


# Reach


@pytest.mark.parametrize(
    ("name", "shapes", "arguments", "reach"),
    [
        ("Conv", [(1, 1, 12, 12)], {"out": 1}, (3,)),
        ("Conv", [(1, 1, 16, 16)], {"out": 1, "kernel": 5, "dilation": 2, "norm": "instance"}, (9,)),
        ("ConvTranspose", [(1, 1, 6, 6)], {"out": 1}, (2,)),
        ("ConvTranspose", [(1, 1, 6, 6)], {"out": 1, "kernel": 7, "stride": 2}, (4,)),
        ("MaxPool", [(1, 1, 12, 12)], {"kernel": 3, "stride": 2}, (3,)),
        ("Resize", [(1, 1, 6, 6)], {"up": 2, "mode": "bilinear"}, (2,)),
        ("Resize", [(1, 1, 6, 6)], {"up": 2}, (1,)),
        ("UpCat", [(1, 1, 4, 4), (1, 1, 8, 7)], {}, (2, 1)),
        ("Add", [(1, 1, 4, 4)] * 3, {}, (1, 1, 1)),
        ("InstanceNorm", [(1, 2, 5, 5)], {}, (1,)),
        ("BlurDown", [(1, 1, 9, 8)], {}, (3,)),
        ("BlurUp", [(1, 1, 6, 6)], {}, (2,)),
        ("SpatialAttention", [(1, 2, 16, 16)], {"kernel": 5}, (5,)),
        ("Residual", [(1, 1, 12, 12)], {"kernel": 4, "norm": "none"}, (7,)),
        ("RSU", [(1, 1, 13, 13)], {"depth": 2, "mid": 1, "out": 1}, (11,)),
        ("RSU", [(1, 1, 33, 33)], {"depth": 3, "mid": 1, "out": 1}, (28,)),
        ("RSU", [(1, 1, 65, 1)], {"depth": 4, "mid": 1, "out": 1}, (60,)),
        ("RSU", [(1, 1, 64, 1)], {"depth": 4, "mid": 1, "out": 1, "dilated": True}, (47,)),
    ],
)
def test_the_declared_reach_is_the_measured_one(name, shapes, arguments, reach):
    case = example(name, *shapes, **arguments)
    assert reach_of(case.entry, arguments, len(shapes)) == reach
    assert measured_reach(case) == reach


@pytest.mark.parametrize("name", ["CBAM", "CrissCross", "GlobalPool"])
def test_blocks_that_see_far_have_no_bound(name: str):
    assert reach_of(registry.blocks[name], {}) == (math.inf,)


# Blocks without a contract


def probed(function, *shapes) -> list[str]:
    @block("Probed")
    class Probed(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(c, 6, 5, 3)

        def forward(self, *inputs: Tensor) -> object:
            return function(self, *inputs)

    result = shapes_of(registry.blocks["Probed"], shapes, {})
    assert result.inferred == {"c": shapes[0][1]}
    return [" ".join(map(str, shape)) for shape in result.outputs] + [str(c.size) for c in result.conditions]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("function", "shapes", "found"),
    [
        (lambda self, x: self.conv(x), [(B, 3, H, W)], ["B 6 ⌊(H+1)/3⌋-1 ⌊(W+1)/3⌋-1", "H-5", "W-5"]),
        (lambda self, x: interpolate(x, scale_factor=2), [(B, 3, H, 7)], ["B 3 2·H 14"]),
        (lambda self, x: (x.mean((2, 3)), x), [(B, 3, H // 4, W)], ["B 3", "B 3 H/4 W"]),
        (lambda self, x, y: torch.cat([x[..., ::2, :], y], 1), [(B, 3, 2 * H, W), (B, 1, H, W)], ["B 4 H W"]),
    ],
)
def test_a_probe_finds_simple_rules(function, shapes, found):
    assert [line for line in probed(function, *shapes) if " " in line or line in found] == found


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda self, x: x.flatten(2), "none could be found by running it: the rule found does not hold"),
        (
            lambda self, x: x.unflatten(2, (-1, 4)),
            "running it on inputs of the shape|fails for some H and not for others",
        ),
        (lambda self, x: x[:, :, : int(x.shape[2] ** 0.5)], "follows no simple rule"),
        (lambda self, x: x.cat, "`Probed` has no contract, and running it on inputs of the shape"),
    ],
)
def test_a_probe_that_finds_no_rule_asks_for_a_contract(function, message):
    with pytest.raises(ContractError, match=message):
        probed(function, (B, 3, H, W))
