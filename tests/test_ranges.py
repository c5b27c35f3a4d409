"""Ranges: their arithmetic, what each block declares, and what graphs derive for outputs and taps."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import once
import pytest
import torch
from commandline import succeed
from graph_strategies import SIDE, graphs
from hypothesis import given
from hypothesis import strategies as st
from test_graphs import drawn
from torch import Tensor, nn

from crossband import blocks, registry
from crossband.blocks import block
from crossband.blocks.activation import ACTIVATIONS, RANGES
from crossband.blocks.contracts.ranges import ANY, POSITIVE, SIGNED, UNIT, Declared, Range, hull
from crossband.blocks.contracts.sizes import evaluate
from crossband.blocks.laws import LawBroken, check_laws
from crossband.graphs import build, check, shipped
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.plans.image_size import symbols_at
from crossband.graphs.plans.plan import Plan
from crossband.registry import CrossbandError

NUMBERS = st.floats(-100, 100)
ENDS = NUMBERS | st.sampled_from([-math.inf, math.inf])


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Range, float]:
    """A range and a number in it."""
    low, at, high = sorted((draw(ENDS), draw(NUMBERS), draw(ENDS)))
    if not math.isfinite(at):
        low, high, at = min(low, 0.0), max(high, 0.0), 0.0
    return Range(low, high), at


@given(ranges(), ranges())
def test_what_ranges_give_holds_what_their_numbers_give(one: tuple[Range, float], other: tuple[Range, float]):
    (left, a), (right, b) = one, other
    for found, value in ((left + right, a + b), (left * right, a * b), (left | right, a), (left | right, b)):
        assert found.holds(Range(value, value))
    assert (left | right).holds(left)
    assert ANY.holds(left)
    assert (2 * left + 1).holds(Range(2 * a + 1, 2 * a + 1))


def test_a_range_is_said_in_few_words():
    found = [UNIT, POSITIVE, Range(high=2.5), ANY, Range(-1.23456, 255), Range(0, 65535)]
    assert [*map(str, found)] == ["[0, 1]", "at least 0", "at most 2.5", "any", "[-1.235, 255]", "[0, 65535]"]
    assert [each.as_pair() for each in found[:2]] == [[0, 1], [0, None]]


@pytest.mark.parametrize("ends", [(1, 0), (math.inf, math.inf), (math.nan, 1)])
def test_an_empty_range_is_refused(ends: tuple[float, float]):
    with pytest.raises(CrossbandError, match=r"no number is in the range from .*\nhint: give the lower end first"):
        Range(*ends)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(inside=ranges())
def test_the_range_of_an_activation_holds_what_it_gives(name: str, inside: tuple[Range, float]):
    found = RANGES[name](inside[0])
    with torch.no_grad():
        value = ACTIVATIONS[name]().double()(torch.tensor([inside[1]], dtype=torch.float64)[None, :, None, None]).item()
    assert found.holds(Range(value, value), 1e-9)


def test_every_activation_has_a_range():
    assert tuple(RANGES) == tuple(ACTIVATIONS)


# What blocks declare


def declared(name: str, *inputs: Range, **arguments: object) -> str:
    return ", ".join(map(str, registry.blocks[name].ranges(inputs, arguments)))


PIXELS, DEEP = Range(0, 255), Range(-2, 3)
DECLARED = {
    "an unknown, rectified": ("at least 0", lambda: declared("ReLU", ANY)),
    "a known, rectified": ("[0, 3]", lambda: declared("ReLU", DEEP)),
    "rectified with a slope": ("[-1, 3]", lambda: declared("LeakyReLU", DEEP, slope=0.5)),
    "a sigmoid of anything": ("[0, 1]", lambda: declared("Sigmoid", ANY)),
    "a sigmoid of what is rectified": ("[0.5, 1]", lambda: declared("Sigmoid", POSITIVE)),
    "a hyperbolic tangent of what is rectified": ("[0, 1]", lambda: declared("Tanh", POSITIVE)),
    "a sine": ("[-1, 1]", lambda: declared("Sine", ANY)),
    "an exponential unit": ("at least -1", lambda: declared("ELU", ANY)),
    "a unit of Gauss": ("at least -0.17", lambda: declared("GELU", ANY)),
    "a swish": ("at least -0.2785", lambda: declared("SiLU", ANY)),
    "a convolution": ("any", lambda: declared("Conv", UNIT)),
    "a convolution with an activation": ("[-1, 1]", lambda: declared("Conv", ANY, activation="tanh")),
    "a transposed one": ("at least -1", lambda: declared("ConvTranspose", ANY, activation="elu")),
    "a normalisation": ("any", lambda: declared("InstanceNorm", UNIT)),
    "what is normalised and rectified": ("at least 0", lambda: declared("RSU", ANY)),
    "a sum": ("[-2, 4]", lambda: declared("Add", DEEP, UNIT)),
    "a mean": ("[-2, 3]", lambda: declared("Mean", DEEP, UNIT)),
    "a product": ("[-510, 765]", lambda: declared("Mul", DEEP, PIXELS)),
    "a product of unknowns": ("any", lambda: declared("Mul", ANY, UNIT)),
    "side by side": ("[-1, 255]", lambda: declared("Concat", SIGNED, PIXELS)),
    "joined to a skip": ("at least -1", lambda: declared("UpCat", POSITIVE, SIGNED)),
    "of the size of another": ("[0, 1]", lambda: declared("ResizeTo", UNIT, PIXELS)),
    "means of windows": ("[3, 4]", lambda: declared("AvgPool", Range(3, 4), padding=1, count_include_pad=False)),
    "means of windows with zeros": ("[0, 4]", lambda: declared("AvgPool", Range(3, 4), padding=1)),
    "several sizes": ("[0, 1], [0, 1]", lambda: declared("Pyramid", UNIT, levels=2)),
    "a gate": ("[0, 255]", lambda: declared("GatePixels", PIXELS, UNIT)),
    "attention by a gate": ("[0, 4]", lambda: declared("CBAM", Range(3, 4))),
    "attention by a sum": ("any", lambda: declared("CrissCross", UNIT)),
    "fused": ("[-1, 255], [0, 1]", lambda: declared("PixelFusion", SIGNED, PIXELS)),
    "lightness and colours": ("[0, 1], [0, 1.001]", lambda: declared("RGBToLab", ANY)),
    "their image": ("[0, 1]", lambda: declared("LabToRGB", ANY, ANY)),
    "vectors of length 1": ("[-1, 1], [-1, 1]", lambda: declared("PatchSample", ANY, ANY)),
}


@pytest.mark.parametrize("case", DECLARED)
def test_a_block_says_the_range_of_what_comes_out(case: str):
    expected, found = DECLARED[case]
    assert found() == expected


def custom(function: Callable[[Tensor], Tensor], declares: Declared) -> None:
    @block("Custom", contract="b c h w -> b c h w", range=declares)
    class Custom(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)


def doubled(x: Range) -> Range:
    """Twice that of the input."""
    return 2 * x


@pytest.mark.usefixtures("scratch")
def test_the_law_of_ranges_finds_an_understatement():
    custom(lambda x: x * 2, hull)
    with pytest.raises(LawBroken, match=r"the law `ranges`.*in \[0, 1\] it says \[0, 1\], and gives \["):
        check_laws("Custom", laws=["ranges"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_ranges_tries_weights_that_training_may_find():
    @block("Custom", contract="b c h w -> b c h w", range=hull)
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.gamma

    with pytest.raises(LawBroken, match=r"the law `ranges`"):
        check_laws(Custom, laws=["ranges"])


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("declares", [doubled, None, lambda x: (2 * x,), lambda x: 3 * x | x])
def test_a_range_is_declared_in_several_ways(declares: Declared):
    custom(lambda x: x * 2, declares)
    assert check_laws("Custom", laws=["ranges"])["ranges"] > 0


@pytest.mark.usefixtures("scratch")
def test_a_range_that_does_not_take_the_arguments_is_told_how():
    @block("Custom", contract="b c h w -> b c h w", range=lambda x: x)
    class Custom(nn.Module):
        def __init__(self, *, factor: float = 1.0) -> None:
            super().__init__()

    with pytest.raises(
        CrossbandError, match=r"the `range=` of Custom cannot .* 'factor'\nhint: its function takes the"
    ):
        graph("nodes: {same: Custom}\noutputs: {same: [3, H, W]}").ranges()
    with pytest.raises(LawBroken, match=r"the law `ranges`.*the `range=` of Custom cannot be worked out"):
        check_laws("Custom", laws=["ranges"])


# What graphs derive


def test_a_graph_knows_the_range_of_its_outputs_and_taps():
    plan = once.plan("u2netp")
    assert plan.range("fused") == UNIT
    assert plan.ranges() == {**dict.fromkeys(plan.outputs, UNIT), "deep": POSITIVE}
    with pytest.raises(CrossbandError, match=r"`u2netp` has no output or tap `fusd`\nhint: did you mean `fused`"):
        plan.range("fusd")
    with pytest.raises(CrossbandError, match=r"`u2netp` has no input `imag`\nhint: did you mean `image`"):
        plan.range("fused", {"imag": UNIT})


def graph(text: str) -> Plan:
    problems = Problems()
    found = Resolver(problems).load_text(f"graph: mine\ninputs: {{image: [3, H, W]}}\n{text}")
    problems.raise_if_any()
    assert found
    return check(found)


GRAPHS = {
    "given on": ("nodes: {same: Identity}\noutputs: {same: [3, H, W]}", "any", "[0, 255]"),
    "of two": ("nodes: {same: {from: [image, image], Add: {}}}\noutputs: {same: [3, H, W]}", "any", "[0, 510]"),
    "in a local block": (
        "blocks: {twice: {inputs: {x: [c, h, w]}, nodes: {out: {from: [x, x], Add: {}}}, outputs: {out: [c, h, w]}}}\n"
        "nodes: {same: {twice: {}, repeat: 3}}\noutputs: {same: [3, H, W]}",
        *("any", "[0, 2040]"),
    ),
    "of a chain": ("nodes: {same: [{Conv: {out: 3}}, ReLU, Tanh]}\noutputs: {same: [3, H, W]}", "[0, 1]", "[0, 1]"),
    "of one of several": (
        "nodes: {lab: RGBToLab, same: {from: lab.L, Identity: {}}}\noutputs: {same: [1, H, W]}",
        *("[0, 1]", "[0, 1]"),
    ),
    "of another graph": (
        "nodes: {unet: u2netp, same: {from: unet.side1, Identity: {}}}\noutputs: {same: [1, H, W]}",
        *("[0, 1]", "[0, 1]"),
    ),
    "normalised by its gradient": (
        "nodes: {same: {Conv: {out: 1}}}\noutputs: {same: [1, H, W]}\nwrap: {GradientNorm: {}}",
        *("[-1, 1]", "[-1, 1]"),
    ),
    "normalised by its gradient in part": (
        "nodes: {same: {Conv: {out: 1, activation: tanh}}}\noutputs: {same: [1, H, W]}\n"
        "wrap: {GradientNorm: {formula: squared, blend: 0.5}}",
        *("[-0.5, 1]", "[-0.5, 1]"),
    ),
    "normalised by its gradient and a number": (
        "nodes: {same: {Conv: {out: 1, activation: relu}}}\noutputs: {same: [1, H, W]}\n"
        "wrap: {GradientNorm: {zeta: 0.1}}",
        *("at least 0", "at least 0"),
    ),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_a_graph_derives_ranges_along_its_calls(case: str):
    text, unknown, pixels = GRAPHS[case]
    plan = graph(text)
    assert [str(plan.range("same")), str(plan.range("same", {"image": PIXELS}))] == [unknown, pixels]


def test_an_undeclared_wrapper_leaves_nothing_known_of_the_outputs():
    plan = once.plan("patchgan70_gn", narrow=True)
    assert plan.range("score") == SIGNED
    undeclared = [replace(each, entry=replace(each.entry, range=None)) for each in plan.wrap]
    assert replace(plan, wrap=tuple(undeclared)).range("score") == ANY


QUICK = {"cut_head", "ladlenet_plus", "multiscale_sine", "resnet9_cbam", "tir2lab", "u2net", "unet", "unetpp_mrf"}
SHIPPED = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in shipped()]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_graph_stays_within_its_ranges(name: str):
    plan = once.plan(name, narrow=True)
    numbers = plan.sizes.nearest(**symbols_at(plan, 40, 56))
    inputs = {key: (UNIT, SIGNED)[number % 2] for number, key in enumerate(plan.inputs)}
    network = build(plan, taps=list(plan.taps), seed=1).eval()
    images = [
        at_random(inputs[key], [2, *(int(evaluate(size, numbers)) for size in shape[1:])])
        for key, shape in plan.inputs.items()
    ]
    with torch.no_grad():
        outputs = network(*images)
    outputs = outputs if isinstance(outputs, dict) else dict(zip(plan.outputs, [outputs], strict=True))
    for key, derived in plan.ranges(inputs).items():
        found = Range(outputs[key].min().item(), outputs[key].max().item())
        assert derived.holds(found, 1e-4), key


def at_random(inside: Range, shape: Sequence[int]) -> Tensor:
    return inside.low + (inside.high - inside.low) * torch.rand(*shape)


@given(graphs(), st.sampled_from([UNIT, SIGNED, Range(-3, 255)]))
def test_any_graph_stays_within_its_ranges(data, inside: Range):
    plan = drawn(data)
    sizes = plan.sizes.nearest(H=SIDE, W=SIDE)
    network = build(plan, taps=list(plan.taps), seed=1).double().eval()
    image = at_random(inside, [2, data["inputs"]["image"][0], sizes["H"], sizes["W"]]).double()
    with torch.no_grad():
        results = network(image)
    derived = plan.ranges({"image": inside})
    results = results if isinstance(results, dict) else dict(zip(derived, [results], strict=True))
    for name, each in derived.items():
        found = Range(results[name].min().item(), results[name].max().item())
        assert each.holds(found, 1e-4 * max(1.0, *(abs(end or 0) for end in each.as_pair()))), name


@pytest.mark.parametrize("formula", ["signed", "squared"])
@pytest.mark.parametrize("zeta", ["abs_f", 0.01])
@pytest.mark.parametrize("blend", [1.0, 0.25])
@pytest.mark.parametrize("last", [nn.Identity, nn.Tanh, nn.ReLU])
def test_normalisation_by_the_gradient_stays_within_its_range(formula: str, zeta, blend: float, last: type[nn.Module]):
    end = {nn.Identity: ANY, nn.Tanh: SIGNED, nn.ReLU: POSITIVE}[last]
    options = {"formula": formula, "zeta": zeta, "blend": blend}
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, 3), last())
    wrapped = blocks.GradientNorm(network, **options)
    found = wrapped(100 * torch.randn(4, 1, 9, 9))
    assert registry.wrappers["GradientNorm"].wrapped(end, options).holds(Range(found.min().item(), found.max().item()))


TRANSLATED = {
    "[-1, 1]": (
        "cut_resnet9 multiscale_sine multiscale_sine_residual multiscale_sine_wide pix2pixhd_global pix2pixhd_local "
        "resnet6 resnet9 resnet9_cbam resnet9_cca ticcgan unet128 unet256 unetpp unetpp_deep unetpp_mrf "
        "unetpp_mrf_nearest"
    ),
    "[0, 1]": "tir2lab unet unet_cca unet_ir2vi",
    "any": "bridged_unet ladle_bowl ladle_bowl_cbam ladlenet ladlenet_cbam ladlenet_plus ladlenet_u2net pix2pix_ir2vi",
}


@pytest.mark.parametrize("found", TRANSLATED)
def test_the_range_of_a_translated_image_is_that_of_its_paper(found: str):
    """It is unknown where the published network does not bound its image either."""
    names = TRANSLATED[found].split()
    assert {name: str(once.plan(name).range("translated")) for name in names} == dict.fromkeys(names, found)


def test_show_tells_the_ranges():
    assert "\nranges      fused [0, 1], side1 [0, 1]," in (text := succeed("show", "u2netp"))
    assert "deep at least 0" in text
    found = json.loads(succeed("show", "u2netp", "--json"))["ranges"]
    assert (found["fused"], found["deep"]) == ([0, 1], [0, None])
    assert "values: [0, 1]</title>" in once.drawing("u2netp")
    assert re.search(r"^graphs .* range ", text := succeed("ls", "graphs"))
    assert re.search(r"^patchgan70_gn .*  \[-1, 1\]  ", text, re.MULTILINE)
    assert "\nrange       Within [0, 1]\n" in succeed("show", "Sigmoid")
    assert "\nrange       [-1, 1]\n" in succeed("show", "Sine")
