"""Every registered block keeps every law, and every law finds a block that breaks it."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
import torch
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from crossband import blocks, registry
from crossband.blocks import block, wrapper
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.sizes import Shape
from crossband.blocks.laws import LAWS, LawBroken, NothingDrawn, check_laws
from crossband.blocks.laws.examples import can_refuse
from crossband.blocks.laws.values import values_of
from crossband.registry import CrossbandError, Parameter, schema_of

NAMES = list(registry.blocks)
REFUSING = [name for name in NAMES if can_refuse(registry.blocks[name])]


@pytest.mark.parametrize("law", [law for law in LAWS if law not in ("exact", "maps")])
@pytest.mark.parametrize("name", NAMES)
def test_every_block_keeps_every_law(name: str, law: str):
    assert check_laws(name, laws=[law])[law] > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_block_shows_the_inner_maps_that_it_declares(name: str):
    assert bool(check_laws(name, laws=["maps"])["maps"]) == bool(registry.blocks[name].inner_maps)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSING)
def test_a_contract_refuses_nothing_that_would_run(name: str):
    assert check_laws(name, laws=["exact"])["exact"] > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSING])
def test_a_block_that_refuses_nothing_takes_one_input_and_asks_nothing_of_it(name: str):
    """What is left out of the law above, by another road: no condition and no size that would have to agree."""
    contract = registry.blocks[name].contract
    assert check_laws(name, laws=["exact"]) == {"exact": 0}
    assert contract is None or (len(contract.inputs) == 1 and not contract.variadic and not contract.where)
    assert contract is None or all(isinstance(axis, str) for axis in contract.inputs[0])


SAME = "b c h w -> b c h w"


def custom(function: Callable[[Tensor], Tensor], **facts: object) -> type[nn.Module]:
    """A block made of one function."""

    @block("Custom", **{"contract": SAME, **facts})
    class Custom(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    return Custom


BREAKERS: dict[str, Callable[[Tensor], Tensor]] = {
    "contract": lambda x: x[..., :1],
    "meta": lambda x: x if x.sum() > 0 else -x,
    "batch": lambda x: x - x.mean(0),
    "deterministic": lambda x: x + torch.rand(()),
    "inputs": lambda x: x.mul_(2),
    "gradients": lambda x: x.detach(),
    "dtypes": lambda x: x.float(),
    "export": lambda x: x if x.sum() > 0 else -x,
}


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("law", BREAKERS)
def test_a_block_that_breaks_a_law_is_told_which(law: str):
    cls = custom(BREAKERS[law])
    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by ") as error:
        check_laws("Custom", laws=[law])
    call = re.search(r"is broken by (Custom\(c=\d+\)\(torch\.randn\(2, \d+, \d+, \d+\)\)): ", str(error.value))
    assert call
    assert isinstance(eval(call[1], {"Custom": cls, "torch": torch}), Tensor)  # what is said can be copied and run


@pytest.mark.usefixtures("scratch")
def test_the_law_of_symbols_finds_a_shape_function_that_knows_numbers_only():
    custom(lambda x: x, contract=None, shape=lambda x: (x if isinstance(x[2], int) else (*x[:2], x[2] + 1, x[3]),))
    with pytest.raises(LawBroken, match=r"the law `symbols`.*for unknown sizes it says"):
        check_laws("Custom", laws=["symbols"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_state_finds_a_tensor_that_is_no_buffer():
    @block("Custom", contract=SAME)
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.rand(())

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    with pytest.raises(LawBroken, match=r"the law `state`.*a module with the same state gives another output"):
        check_laws(Custom, laws=["state"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_gradients_finds_an_idle_parameter():
    @block("Custom", contract=SAME)
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(LawBroken, match=r"the law `gradients`.*the parameter `idle` gets no gradient"):
        check_laws(Custom, laws=["gradients"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_arguments_finds_a_missing_bound():
    @block("Custom", contract=SAME)
    class Custom(nn.Module):
        def __init__(self, *, width: int) -> None:
            super().__init__()
            if width < 0:
                raise ValueError("negative")

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(LawBroken, match=r"the law `arguments`.*ValueError\('negative'\)"):
        check_laws(Custom, count=30)


@pytest.mark.usefixtures("scratch")
def test_the_law_of_arguments_finds_a_constructor_that_takes_anything():
    cls = custom(lambda x: x)
    cls.__init__ = lambda self, *args, **kwargs: nn.Module.__init__(self)  # type: ignore[method-assign]
    with pytest.raises(LawBroken, match=r"the law `arguments`.*an unknown argument is accepted"):
        check_laws(cls, laws=["arguments"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_reach_finds_an_understatement():
    custom(lambda x: nn.functional.avg_pool2d(x, 3, 1, 1), reach=2)
    with pytest.raises(LawBroken, match=r"the law `reach`.*it declares 2 for input 1, and 3 was found"):
        check_laws("Custom", laws=["reach"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_exactness_finds_a_contract_that_asks_too_much():
    custom(lambda x: x, where=["h >= 4"])
    with pytest.raises(LawBroken, match=r"the law `exact`.*it runs, and is refused: it needs `h >= 4`, but h is"):
        check_laws("Custom", laws=["exact"])


JOINS = {
    "sizes that are not compared": ("b c h w, b d h w -> b c h w", lambda x, y: x),
    "images that are not compared": ("b c h w, b c2 h2 w2 -> b c h w", lambda x, y: x + y.mean()),
    "channels that are any number": ("b c h w, b 3 h w -> b c h w", lambda x, y: x + y.mean((1, 2, 3), keepdim=True)),
}


def join(contract: str, function: Callable[[Tensor, Tensor], Tensor], **facts: Any) -> None:
    """A block of two inputs made of one function."""

    @block("Join", contract=contract, **facts)
    class Join(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return function(x, y)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("case", JOINS)
def test_the_law_of_exactness_finds_inputs_that_need_not_agree(case: str):
    join(*JOINS[case])
    with pytest.raises(LawBroken, match=r"the law `exact`.*it runs, and is refused: `\w+` of input 2 must be "):
        check_laws("Join", laws=["exact"])


@pytest.mark.usefixtures("scratch")
def test_a_block_may_say_why_it_refuses_more_and_must_then_do_so(monkeypatch: pytest.MonkeyPatch):
    join(*JOINS["sizes that are not compared"], exact="they are of the same pixels")
    assert check_laws("Join", laws=["exact"])["exact"] > 0
    join("b c h w, b c h w -> b c h w", lambda x, y: x + y, exact="there is none")
    monkeypatch.setattr("crossband.blocks.laws.SEARCHED", 50)
    with pytest.raises(LawBroken, match=r"Join gives a reason to refuse what would run .*, and refuses no such thing"):
        check_laws("Join", laws=["exact"])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_forms_finds_a_shape_function_that_trusts_its_inputs():
    custom(lambda x: x, contract=None, shape=lambda x: ((x[0], x[1], x[2], x[3]),))
    with pytest.raises(LawBroken, match=r"the law `form`.*an axis less makes its shape function raise IndexError"):
        check_laws("Custom", laws=["form"])


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("facts", [{}, {"contract": None, "shape": lambda x: (x,)}, {"contract": None}])
def test_a_sound_block_keeps_the_laws_however_it_gives_its_shapes(facts: dict[str, object]):
    check_laws(custom(lambda x: x * 2, **facts), count=2)


@pytest.mark.usefixtures("scratch")
def test_a_block_may_say_why_it_does_not_export():
    custom(BREAKERS["export"], exports="it looks at values")
    check_laws("Custom", laws=["export"])


@pytest.mark.usefixtures("scratch")
def test_a_block_may_say_why_no_gradient_reaches_its_inputs_and_must_then_not_pass_one():
    custom(lambda x: x.detach().round(), differentiable="steps have no slope")
    check_laws("Custom", laws=["gradients"])
    custom(lambda x: x * 2, differentiable="steps have no slope")
    with pytest.raises(LawBroken, match=r"the law `gradients`.*it says why no gradient reaches its inputs"):
        check_laws("Custom", laws=["gradients"])


RANDOM = {"contract": "b c h w -> b c h w", "deterministic": lambda *, noisy, **_: not noisy or "it adds noise"}


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("adds", [True, False])
def test_a_block_may_say_why_it_is_random_and_must_then_be(adds: bool):
    @block("Custom", **RANDOM)
    class Custom(nn.Module):
        def __init__(self, *, noisy: bool) -> None:
            super().__init__()
            self.noisy = noisy

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(()) if self.noisy and adds else x

    if adds:
        check_laws(Custom)
        return
    with pytest.raises(LawBroken, match=r"the law `deterministic`.*declares randomness .* and has none"):
        check_laws(Custom, count=20)


def test_laws_are_said_in_one_sentence_each():
    assert all(law.__doc__ and law.__doc__.endswith(".") and "\n" not in law.__doc__ for law in LAWS.values())


# Examples: drawn, or given


HARD = {
    "multiples": ["c % 32 == 0"],
    "large sides": ["h >= 20", "w >= 20"],
    "both": ["c % 32 == 0", "h % 24 == 0", "w >= 30"],
    "products": ["heads*dim == c"],
    "squares": ["h == w", "h >= 19"],
}


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("case", HARD)
def test_sizes_are_found_that_satisfy_conditions(case: str):
    @block("Custom", contract=SAME, where=HARD[case])
    class Custom(nn.Module):
        def __init__(self, c: int, *, heads: Annotated[int, Ge(1)], dim: Annotated[int, Ge(2)] = 2) -> None:
            super().__init__()
            assert case != "products" or heads * dim == c

        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    assert check_laws(Custom, laws=["contract"], count=3) == {"contract": 3}


def picky(x: Shape) -> tuple[Shape, ...]:
    if len(x) != 4 or not isinstance(x[1], int) or x[1] % 32 or (isinstance(x[2], int) and x[2] < 20):
        raise ContractError("takes a multiple of 32 channels, and at least 20 rows")
    return (x,)


@pytest.mark.usefixtures("scratch")
def test_sizes_are_found_that_a_shape_function_takes():
    custom(lambda x: x, contract=None, shape=picky)
    assert check_laws("Custom", laws=["contract"], count=3) == {"contract": 3}


@pytest.mark.usefixtures("scratch")
def test_the_shapes_of_inputs_can_be_given():
    seen = set()

    def see(x: Tensor, y: Tensor) -> Tensor:
        seen.add((tuple(x.shape), tuple(y.shape)))
        return x + y

    join("b c h w, b c h w -> b c h w", see)
    given = [[(2, 64, 3, 5), (2, 64, 3, 5)], [(1, 3, 9, 9)] * 2]
    assert check_laws("Join", shapes=given, laws=["contract", "deterministic"])["contract"] > 0
    assert seen == {tuple(map(tuple, each)) for each in given}
    custom(lambda x: x, where=["h*w == 91"])
    check_laws("Custom", shapes=[(2, 4, 7, 13)], laws=["contract", "batch"], count=2)


REFUSED = {
    "what is no shape": (
        {"shapes": ["64"]},
        "`shapes=` of ReLU gives '64', no shapes",
        "write `shapes=[(2, 8, 16, 16)]`",
    ),
    "sizes below 1": (
        {"shapes": [(2, 0, 3, 3)]},
        "gives (2, 0, 3, 3), no shapes",
        "write `shapes=[(2, 8, 16, 16)]`",
    ),
    "an axis and all axes": (
        {"shapes": [(2, 8, 3, 3)], "examples": [{"c": 8}]},
        "an example of ReLU gives the axis `c`, and `shapes=` gives all axes",
        "leave one of them out",
    ),
    "a law that is no list": ({"laws": "gradients"}, "the names of laws are a list", 'write `laws=["gradients"]`'),
    "a law misspelt": ({"laws": ["grads"]}, "there is no law `grads`", "did you mean `gradients`?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_call_that_cannot_be_is_told_what_to_write(case: str):
    arguments, message, hint = REFUSED[case]
    with pytest.raises(CrossbandError) as error:
        check_laws("ReLU", **arguments)
    assert message in error.value.message
    assert error.value.hint == hint


def test_a_module_is_not_its_class():
    with pytest.raises(
        CrossbandError, match=r"of a block, by its name or its class, .*\nhint: write `check_laws\(ReLU\)`"
    ):
        check_laws(blocks.ReLU())  # type: ignore[arg-type]


class Odd(nn.Module):
    """A block whose arguments follow a rule that no type says."""

    def __init__(self, c: int, *, code: str, factor: float = 2.0) -> None:
        super().__init__()
        if len(code) != c or set(code) - set("xyz"):
            raise ValueError(f"{code} is not for {c} channels")
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.usefixtures("scratch")
def test_examples_are_given_with_the_block_or_with_the_call():
    given = [{"code": "xyzzy", "c": 5, "h": 3}, {"code": "z", "c": 1, "factor": 0.5}]
    custom = type("Custom", (Odd,), {"__init__": Odd.__init__})
    block("Custom", contract=SAME)(custom)
    with pytest.raises(LawBroken, match=r"the law `arguments`.*ValueError"):
        check_laws("Custom")
    check_laws("Custom", examples=given)
    custom = type("Custom", (Odd,), {"__init__": Odd.__init__})
    block("Custom", contract=SAME, examples=given)(custom)
    check_laws("Custom")
    with pytest.raises(CrossbandError, match=r"an example of Custom gives `kode`, .*\nhint: did you mean `code`"):
        check_laws("Custom", examples=[{"kode": "x"}])


@pytest.mark.usefixtures("scratch")
def test_where_nothing_can_be_drawn_it_says_for_which_law_why_and_what_to_give():
    custom(lambda x: x, where=["c*c == 10+h*h*h"])
    with pytest.raises(NothingDrawn) as error:
        check_laws("Custom")
    message, hint, *notes = str(error.value).splitlines()
    assert message == "the law `arguments` was not tried on Custom: no example could be drawn"
    assert hint == (
        "hint: give examples, `@block(..., examples=[{...}])` or `check_laws('Custom', examples=[{...}])`, "
        "with values for some of `b`, `c`, `h`, `w`; or the shapes of its inputs, `shapes=[...]`"
    )
    assert notes[0].startswith("note: it needs `c*c == 10+h*h*h`, but c is ")


def test_a_class_of_the_name_of_a_block_is_not_the_block():
    with pytest.raises(CrossbandError, match=r"`torch\.nn\.modules\.activation\.ReLU` is not a registered block"):
        check_laws(nn.ReLU)
    with pytest.raises(CrossbandError, match=r"no block named `LSTM`"):
        check_laws(nn.LSTM)


@pytest.mark.usefixtures("scratch")
def test_a_block_needs_no_constructor():
    join("b c h w, b c h w -> b c h w", lambda x, y: x + y)
    assert not registry.blocks["Join"].parameters
    check_laws("Join", count=3)
    with pytest.raises(registry.ArgumentError, match="Join has no parameter `c`"):
        registry.blocks["Join"].factory(c=1)


UNSAID = {
    "no hint": ("self, c, *, width", "the parameter `width` needs a type hint", "write `width: int`"),
    "no hint and a default": ("self, *, slope=0.2", "`slope` needs a type hint", "write `slope: float = 0.2`"),
    "no hint and a list": ("self, *, sizes=[1]", "`sizes` needs a type hint", "write `sizes: list[int] = [1]`"),
    "no hint and None": ("self, *, stride=None", "`stride` needs a type hint", "write `stride: int | None = None`"),
    "anything": ("self, **options", "`**options` takes anything", "name each parameter: `width: int = 8`"),
    "a hint that YAML cannot say": (
        "self, *, norm: nn.Module",
        "the parameter `norm` needs a type hint that YAML knows, not torch.nn.modules.module.Module",
        "use int, float, str, bool, None,",
    ),
    "a hint that is nowhere": ("self, *, norm: 'Unknown'", "a type hint cannot be read: name 'Unknown'", ""),
    "channels that are no axis": (
        "self, channels: int",
        "the block `Custom` takes `channels` first, which is no axis of its contract `b c h w -> b c h w`",
        "give it the name of its axis, as in `c: int`, or make it an option, `*, channels: int`",
    ),
}


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("case", UNSAID)
def test_a_parameter_that_does_not_say_what_it_takes_is_told_what_to_write(case: str):
    head, message, hint = UNSAID[case]
    made: dict[str, Any] = {"nn": nn}
    exec(f"class Custom(nn.Module):\n    def __init__({head}):\n        super().__init__()", made)
    with pytest.raises(CrossbandError) as error:
        block("Custom", contract=SAME)(made["Custom"])
    assert message in error.value.message
    assert (error.value.hint or "").startswith(hint)


@pytest.mark.usefixtures("scratch")
def test_a_constructor_that_is_inherited_is_told_of():
    with pytest.raises(
        CrossbandError, match=r"`Custom` has no `__init__` of its own.*\nhint: write `def __init__\(self"
    ):
        block("Custom", contract=SAME)(type("Custom", (nn.Linear,), {}))
    with pytest.raises(
        CrossbandError, match=r"`Custom` has no `__init__` that.*\nhint: .*`def __init__\(self, network: nn.M"
    ):
        wrapper("Custom")(type("Custom", (nn.Module,), {}))


class Options(TypedDict):
    level: Literal[1, 2]


HINTS = [
    *(int, float, str, bool, Literal["a", 2], int | None, Literal["same"] | int, Literal["same"] | None, Options),
    *(Annotated[int, Ge(5)], Annotated[int, Gt(5), Lt(7)], Annotated[int, Le(-10)], Annotated[int, Lt(3)]),
    *(Annotated[int, Ge(1), MultipleOf(32)], Annotated[int, Ge(33), Le(95), MultipleOf(32)]),
    *(Annotated[float, Ge(0.1), Le(0.3)], Annotated[float, Gt(0), Lt(1e-3)], Annotated[float, Le(-1e6)]),
    *(Annotated[float, Gt(0.7)], Annotated[float, Lt(-0.1)], Annotated[str, MinLen(7)], Annotated[str, MaxLen(1)]),
    *(list[int], Annotated[list[Annotated[int, Ge(1)]], MinLen(3)], tuple[int, str], dict[str, float]),
]


@pytest.mark.parametrize("hint", HINTS, ids=str)
@given(data=st.data())
def test_values_are_drawn_from_types_and_bounds(hint: object, data: st.DataObject):
    schema = schema_of(hint)
    assert Parameter("value", schema).fault(data.draw(values_of(schema))) is None


def test_the_page_for_contributors_names_the_laws_of_each_kind():
    page = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    found = re.findall(r"`(crossband[\w.]+)\.(check_laws)\(\"", page)
    assert len(found) == 5
    assert all(callable(getattr(importlib.import_module(module), name)) for module, name in found)
