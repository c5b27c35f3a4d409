"""Contracts and symbolic sizes: the notation, what it infers, what it refuses, and its arithmetic."""

import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import formulas

from crossband.blocks.contracts.contract import Contract, ContractError, number
from crossband.blocks.contracts.sizes import NotPeriodic, Size, evaluate, largest, lower_bound, period, smallest, symbol

H, W, B = symbol("H"), symbol("W"), symbol("B")


def says(text: str, *shapes: tuple[Size, ...], **arguments: object) -> list[str]:
    """The output shapes of a contract, as text."""
    outputs = Contract.parse(text).apply(shapes, arguments).outputs
    return [" ".join(map(str, shape)) for shape in outputs]


@pytest.mark.parametrize(
    ("contract", "shapes", "output"),
    [
        ("b c h w -> b {out} h w", [(B, 3, H, W)], "B 8 H W"),
        ("b c h w -> b c ceil(h/2) ceil(w/2)", [(B, 3, H, W)], "B 3 ⌈H/2⌉ ⌈W/2⌉"),
        ("b c h w -> b {out} (h-2)//2+1 w//4", [(B, 3, H, 64)], "B 8 H/2 16"),
        ("b c1 h w, b c2 h w -> b c1+c2 h w", [(B, 3, H, W), (B, 5, H, W)], "B 8 H W"),
        ("b c h w, ... -> b sum(c) h w", [(B, 3, H, W), (B, 5, H, W), (B, 1, H, W)], "B 9 H W"),
        ("b c h w, ... -> b max(c,{out}) h w", [(B, 3, H, W)], "B 8 H W"),
        ("b c h w, ... -> b inputs*c h w", [(B, 3, H, W)] * 4, "B 12 H W"),
        ("b c h w -> b h*w {out}*c", [(B, 3, H, W)], "B H·W 24"),
        ("b c h w -> b c max(h,w) min(h,w)", [(B, 3, H, H + 2)], "B 3 H+2 H"),
        ("b c h w -> b c h%4 -(-w//4)", [(B, 3, 10, 10)], "B 3 2 3"),
    ],
)
def test_a_contract_gives_the_output_shape(contract, shapes, output):
    assert says(contract, *shapes, out=8) == [output]


def test_a_contract_may_give_several_outputs_with_commas_inside_calls():
    assert says("b c h w -> b c max(h,w) w, b 1 h w", (B, 3, H, W)) == ["B 3 max(H, W) W", "B 1 H W"]


def test_a_contract_infers_channels():
    contract = Contract.parse("b c1 h w, b c2 h w -> b c1 h w")
    assert contract.apply([(B, 3, H, W), (B, 5, H, W)], {}, ("c1", "c2")).inferred == {"c1": 3, "c2": 5}
    several = Contract.parse("b c h w, ... -> b c h w")
    assert several.apply([(B, 3, H, W)] * 4, {}, ("c", "inputs")).inferred == {"c": 3, "inputs": 4}
    with pytest.raises(ContractError, match="needs a known number for `c1`, got H"):
        contract.apply([(B, H, 3, W), (B, 5, 3, W)], {}, ("c1",))


@pytest.mark.parametrize(
    ("contract", "shapes", "reason"),
    [
        ("b c h w, b c h w -> b c h w", [(B, 3, H, W), (B, 4, H, W)], "`c` of input 2 must be 3, got 4"),
        ("b c h w, b c h w -> b c h w", [(B, 3, H, W), (B, 3, H // 2, W)], "`h` of input 2 must be H, got H/2"),
        ("b 1 h w -> b 1 h w", [(B, 3, H, W)], "`1` of input 1 must be 1, got 3"),
        ("b c h w -> b c h-4 w", [(B, 3, H, W)], "its output would have the size H-4"),
    ],
)
def test_a_contract_says_what_must_hold(contract, shapes, reason):
    [condition] = Contract.parse(contract).apply(shapes, {}).conditions
    assert condition.reason == reason


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("c % groups == 0", "it needs `c % groups == 0`, but c is 3, groups is 2"),
        ("c % groups == 0  # channels in pairs", "it needs channels in pairs, but c is 3, groups is 2"),
        ("h >= 2", "it needs `h >= 2`, but h is H"),
    ],
)
def test_conditions_are_told_in_words(where, reason):
    [condition] = Contract.parse("b c h w -> b c h w", [where]).apply([(B, 3, H, W)], {"groups": 2}).conditions
    assert condition.reason == reason


def test_conditions_on_arguments_alone_are_known_before_any_input():
    contract = Contract.parse("b c h w -> b c h w", ["up*down >= 2  # a factor", "h >= 2"])
    assert contract.argument_problems({"up": 1, "down": 1}) == ["it needs a factor, but down is 1, up is 1"]
    assert contract.argument_problems({"up": 2, "down": 1}) == []


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("b c h w", [], "the contract `b c h w` has no `->`"),
        ("b c h w, b c h w, ... -> b c h w", [], "must have one input before `...`"),
        ("b c H w -> b c h w", [], "has the input axis `H`: use a name or a number"),
        ("b c h w -> b c h/2 w", [], "has the output axis `h/2`: only names, whole numbers"),
        ("b c h w -> b c h( w", [], "has the output axis `h(`"),
        ("b c h w -> b c 0.5*h w", [], "has the output axis `0.5*h`: only names"),
        ("b c h w -> b c __import__('os') w", [], "only names"),
        ("b c h w -> b c sise(h) w", [], "calls `sise`: no such function is given"),
        ("b c h w -> b sum(c) h w", [], "`sum` adds up one axis of the inputs before `...`"),
        ("b inputs h w, ... -> b c h w", [], "has an axis named `inputs`: that is the number of inputs"),
        ("b c h w -> b c h w", ["h"], "the condition `h` cannot be read: it is not one comparison"),
        ("b c h w -> b c h w", ["2 <= h <= 8"], "it is not one comparison"),
        ("b c h w -> b c h w", ["h >="], "the condition `h >=` cannot be read"),
    ],
)
def test_a_malformed_contract_is_refused_by_name(text, where, message):
    with pytest.raises(ContractError, match=re.escape(message)):
        Contract.parse(text, where)


@pytest.mark.parametrize(
    ("contract", "shapes", "message"),
    [
        ("b c h w -> b c h w", [(B, 3, H, W)] * 2, "takes 1 input, got 2"),
        ("b c h w, b c h w -> b c h w", [(B, 3, H, W)], "takes 2 inputs, got 1"),
        ("b c h w, ... -> b c h w", [], "takes at least one input, got 0"),
        ("b c h w -> b c h w", [(B, 3, H)], "takes an input of the form `b c h w`, got 3 axes"),
    ],
)
def test_inputs_of_another_form_are_refused(contract, shapes, message):
    with pytest.raises(ContractError, match=re.escape(message)):
        Contract.parse(contract).apply(shapes, {})


def test_a_number_over_parameters():
    assert number("{dilation}*(kernel-1)+1", {"dilation": 2, "kernel": 5}) == 9


@given(formulas(), st.integers(1, 100), st.integers(1, 100))
def test_symbolic_arithmetic_is_arithmetic(formula, h, w):
    size, text = formula
    value = eval(text, {"max": max, "min": min, "h": h, "w": w})
    assert evaluate(size, {"h": h, "w": w}) == value
    assert lower_bound(size) <= value


@given(formulas(), st.integers(1, 50), st.integers(1, 50), st.sampled_from("hw"))
def test_sizes_repeat_with_their_period(formula, h, w, name):
    size, text = formula
    assume("max" not in text and "min" not in text)  # which are periodic from some size on only
    try:
        length, rise = period(size, name)
    except NotPeriodic:
        assume(False)
    sizes = {"h": h, "w": w}
    later = {**sizes, name: sizes[name] + length}
    assert evaluate(size, later) == evaluate(size, sizes) + rise


def test_the_smaller_of_two_sizes_has_a_lower_bound():
    assert lower_bound(smallest(H * W, 256)) == 1
    assert lower_bound(smallest(H + 3, W // 2)) == 0
    assert lower_bound(smallest(H * W, 5) * 2) == 2
    assert [str(smallest(H, 4)), str(2 * smallest(H // 2, W)), str(1 - largest(H, 4))] == [
        "min(H, 4)",
        "2·min(H/2, W)",
        "-1·max(H, 4)+1",
    ]


def test_a_falling_size_has_no_lower_bound():
    assert lower_bound((8 - H) // 3) == -math.inf
    [condition] = Contract.parse("b c h w -> b c (8-h)//3 w").apply([(B, 3, H, W)], {}).conditions
    assert condition.reason == f"its output would have the size {(8 - H) // 3}"


def test_equal_sizes_are_equal_objects():
    assert (H // 2) // 2 == H // 4
    assert (H // 2 + 3) // 2 == (H + 6) // 4
    assert (H + H) // 2 == H
    assert H - H == 0
    assert (2 * H + 5) // 2 == H + 2


@pytest.mark.parametrize(
    ("contract", "shapes", "says"),
    [
        ("b c *size -> b c *size", [(B, 3)], ["B 3"]),
        ("b c *size -> b {out} *size", [(B, 3, H, W)], ["B 8 H W"]),
        ("b *size -> b 1 *size", [(B,)], ["B 1"]),
        ("b c *size, ... -> b sum(c) *size", [(B, 3, H, W), (B, 4, H, W)], ["B 7 H W"]),
        ("b c *size, b c2 h w -> b c h w", [(B, 3), (B, 5, H, W)], ["B 3 H W"]),
        ("b c *size, b c2 h w -> b c h w", [(B, 3, 1, 1), (B, 5, H, W)], ["B 3 H W"]),
        ("b c *size, b c *size -> b c", [(B, 3, H), (B, 3, W)], ["B 3", "`axis 3` of input 2 must be H, got W"]),
        ("b c *size, b c *size -> b c", [(B, 3, H, W), (B, 3, W, W)], ["B 3", "`h` of input 2 must be H, got W"]),
        ("b c *size -> b axes(size)", [(B, 3, H, W)], ["B 2"]),
    ],
)
def test_a_star_is_any_number_of_axes(contract, shapes, says):
    result = Contract.parse(contract, axes=lambda size, **_: len(size)).apply(shapes, {"out": 8})
    found = [" ".join(map(str, shape)) for shape in result.outputs]
    assert found + [condition.reason for condition in result.conditions] == says


def test_a_star_is_the_same_number_of_axes_everywhere():
    joined = Contract.parse("b c *size, ... -> b c *size")
    with pytest.raises(ContractError, match="takes inputs of as many axes each, got 4 and 2"):
        joined.apply([(B, 3, H, W), (B, 3)], {})
    with pytest.raises(ContractError, match=re.escape("takes an input of the form `b c *size`, got 1 axis")):
        joined.apply([(B,)], {})
    with pytest.raises(ContractError, match="must be the last of an input"):
        Contract.parse("b *size c -> b c")
