"""Calls in recipes: what can be read, what it means, and where a fault is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossband.recipes.language.flow import CallError, Value, parse

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
VALUES = st.recursive(
    NAMES.map(lambda name: Value("name", name)),
    lambda inner: (
        st.builds(lambda name, of: Value("call", name, tuple(of)), NAMES, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda name, of: Value("part", name, (of,)), NAMES | st.just("*") | NAMES.map("{}*".format), inner)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_back(value: Value) -> None:
    assert parse(str(value)) == value
    assert parse(f"  {str(value).replace('(', ' ( ').replace(',', ' , ')} ") == value


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found: Value | CallError = parse(text)
    except CallError as error:
        found = error
    assert 0 <= found.offset <= len(text)
    assert found.length >= 1


def test_every_part_knows_its_place() -> None:
    text = "is_ir( pool(fake.main) )"
    found = {str(value): text[value.offset : value.offset + value.length] for value in parse(text).walk()}
    assert found == {
        "fake": "fake",
        "fake.main": "fake.main",
        "pool(fake.main)": "pool(fake.main)",
        "is_ir(pool(fake.main))": text,
    }


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "expected a name here, the text ends", 0),
        ("to_ir(", "expected a name here, the text ends", 6),
        ("to_ir()", "expected a name here, found `)`", 6),
        ("to_ir(visible", "expected `,` or `)` here", 13),
        ("to_ir(visible))", "did not expect `)` here", 14),
        ("to_ir(visible) + 1", "did not expect `+` here", 15),
        ("__import__('os')", "did not expect `'` here", 11),
        ("fake.", "expected the name of an output, or `*` for all of them, here, the text ends", 5),
        ("fake[0]", "did not expect `[` here", 4),
        ("a(" * 200 + "x" + ")" * 200, "the call is too long", 0),
    ],
)
def test_faults(text: str, message: str, offset: int) -> None:
    with pytest.raises(CallError) as caught:
        parse(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)
