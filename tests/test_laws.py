"""Every registered block keeps every law, and every law finds a block that breaks it."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import refused
from torch import Tensor, nn

from crossband import registry
from crossband.blocks import block
from crossband.blocks.laws import LAWS, LawBroken, check_laws

NAMES = list(registry.blocks)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", NAMES)
def test_every_block_keeps_every_law(name: str, law: str):
    check_laws(name, laws=[law])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"Add", "Mul", "GateChannels", "GatePixels"}])
@given(st.data())
def test_a_contract_refuses_nothing_that_would_run(name: str, data: st.DataObject):
    """Exactness, in eval. Those left out refuse on purpose what torch would broadcast."""
    example = data.draw(refused(registry.blocks[name]))
    if example is None:
        return
    try:
        module = example.entry.factory(**example.result.inferred, **example.arguments).eval()
        output = module(*map(torch.zeros, example.shapes))
    except (RuntimeError, ValueError):  # ArgumentError is a ValueError
        return
    assert output.numel() == 0, example


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
    custom(BREAKERS[law])
    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by Custom\(c=\d+\) on \(2, \d+, "):
        check_laws("Custom", laws=[law])


@pytest.mark.usefixtures("scratch")
def test_the_law_of_symbols_finds_a_shape_function_that_knows_numbers_only():
    custom(lambda x: x, contract=None, shape=lambda x: (x if isinstance(x[2], int) else (*x[:2], x[2] + 1, x[3]),))
    with pytest.raises(LawBroken, match=r"the law `symbols`.*for unknown sizes it says"):
        check_laws("Custom")


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
        check_laws(Custom, examples=30)


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
@pytest.mark.parametrize("facts", [{}, {"contract": None, "shape": lambda x: (x,)}, {"contract": None}])
def test_a_sound_block_keeps_the_laws_however_it_gives_its_shapes(facts: dict[str, object]):
    check_laws(custom(lambda x: x * 2, **facts), examples=2)


@pytest.mark.usefixtures("scratch")
def test_a_block_may_say_why_it_does_not_export():
    custom(BREAKERS["export"], exports="it looks at values")
    check_laws("Custom", laws=["export"])


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
        check_laws(Custom, examples=20)


def test_laws_are_said_in_one_sentence_each():
    assert all(law.__doc__ and law.__doc__.endswith(".") and "\n" not in law.__doc__ for law in LAWS.values())
