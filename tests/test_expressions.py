"""The arithmetic after `=`: it agrees with Python's, and bad text gives a message at the right place."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossband.graphs.language.expressions import MAX_NUMBER, ExpressionError, is_expression, parse

often = settings(max_examples=60)  # text is cheap
SUM = "1+" * 60 + "1"
KNOWN = (
    "it has numbers, names, text, lists, `+ - * / // % **`, `min`, `max`, `== != < <= > >= in`, `and`, `or` and `not`"
)
TRUTH = "compare it, as in `depth > 3`"
PARAMS = {"width": 64, "out": 1, "rate": 0.5, "recurrence": 2, "cca_at": ["en5", "en6"], "norm": "batch", "bias": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("=width/2", 32),
        ("=width", 64),
        ("= 2*width + 1 ", 129),
        ("=7//2", 3),
        ("=-7//2", -4),
        ("=-7 % 3", 2),
        ("=2 - 3 - 4", -5),
        ("=2*(3+4)", 14),
        ("=--3", 3),
        ("=min(width, 32, 48)", 32),
        ("=max(out, 2)", 2),
        ("=recurrence * ('en5' in cca_at)", 2),
        ("=recurrence * ('de1' in cca_at)", 0),
        ("='en5' in ['en4', 'en5']", True),
        ("='in' in ['in']", True),
        ('=norm == "batch"', True),
        ("=norm != 'batch'", False),
        ("=1 + (width == 64)", 2),
        ("=norm", "batch"),
        ("=[width, 2*width]", [64, 128]),
        ("=cca_at", ["en5", "en6"]),
        ("=1e-4", 1e-4),
        ("=width*rate", 32.0),
        ("=3/2.0", 1.5),
        ("=.5", 0.5),
        ("=bias*3", 3),
        ("=width < 65", True),
        ("=width <= 63.5", False),
        ("=width > out", True),
        ("=width >= 64", True),
        ("=2*out < 3 and norm == 'batch'", True),
        ("=width > 64 or 'en5' in cca_at and bias", True),
        ("=not bias or not (out == 1)", False),
        ("=not out == 1", False),
        ("='de1' not in cca_at", True),
        ("=bias and width/out > 3 and rate <= .5", True),
        ("=out > 1 and 7/2 > 1", False),  # what cannot matter is not worked out
        ("=64 * (width > 32)", 64),
        ("=width*2**3", 512),
        ("=-2**2", -4),
        ("=2**-1", 0.5),
        ("=rate**2", 0.25),
        ("width/2", 32),
    ],
)
def test_values(text, value):
    found = parse(text).evaluate(PARAMS)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "meant", "hint"),
    [
        ("=", "an expression is missing after `=`", "", None),
        ("=7/2", "7/2 is not a whole number", "/", "use `//` to round down"),
        ("=width/(out - 1)", "64 / 0 divides by zero", "/", None),
        ("=width % 0", "64 % 0 divides by zero", "%", None),
        ("=wdith/2", "`wdith` has no value here", "wdith", "did you mean `width`?"),
        ("=norm * 2", "`*` needs numbers, got `batch`", "*", None),
        ("=-norm", "`-` needs numbers, got `batch`", "-", None),
        ("=min(cca_at)", "`min` needs numbers, got [`en5`, `en6`]", "min", None),
        ("=1 in width", "`in` needs a list on its right, got 64", "in", None),
        ("=width +", "the expression ends where a number or name is expected", "", None),
        ("=width * / 2", "`/` stands where a number or name is expected", "/", None),
        ("=width**width", "the result is beyond 1e+15", "**", None),
        ("=1.5**99", "an exponent is at most 64, got 99", "**", None),
        ("=9.9e14**64", "the result is beyond 1e+15", "**", None),
        ("=0**-1", "0 ** -1 divides by zero", "**", None),
        ("=(-out)**rate", "-1 ** 0.5 is no real number", "**", None),
        ("=norm < 2", "`<` needs numbers, got `batch`", "<", None),
        ("=1 >= cca_at", "`>=` needs numbers, got [`en5`, `en6`]", ">=", None),
        ("=width not in norm", "`not in` needs a list on its right, got `batch`", "not in", None),
        ("=width and bias", "`and` needs what is true or false, got 64", "and", TRUTH),
        ("=bias and out == 1 and norm", "`and` needs what is true or false, got `batch`", "and", TRUTH),
        ("=out == 2 or norm", "`or` needs what is true or false, got `batch`", "or", TRUTH),
        ("=not widht", "`widht` has no value here", "widht", "did you mean `width`?"),
        ("=not width", "`not` needs what is true or false, got 64", "not", TRUTH),
        ("=1 < width < 3", "comparisons cannot be chained", "<", "write `and` between two of them"),
        ("=bias && bias", "`&` means nothing in an expression", "&", "write `and`"),
        ("=!bias", "`!` means nothing in an expression", "!", "write `not`"),
        ("=norm is 'batch'", "`is` means nothing in an expression", "is", "write `==` to compare"),
        ("=2 width", "did not expect `width` here", "width", "write an operator such as `*` before it"),
        ("=width)", "did not expect `)` here", ")", None),
        ("=(width", "`(` is never closed", "(", None),
        ("=[1, 2", "`[` is never closed", "[", None),
        (
            "=max(1 2)",
            "did not expect `1 2` here",
            "1 2",
            "write an operator such as `*`, or a comma, between them",
        ),
        ("=max()", "`max` needs at least one number", "max", None),
        ("=max", "`max` is a function", "max", "write `max(a, b)`"),
        ("=sqrt(2)", "no function named `sqrt`", "sqrt", "the functions are `min` and `max`"),
        ("=width = 2", "`=` means nothing in an expression", "=", "write `==` to compare"),
        (
            "=os.system",
            "`.` means nothing in an expression",
            ".",
            "an expression takes the names of parameters as they are",
        ),
        ("='en5", "the quote is never closed", "'en5", None),
        ("=1 == 1 == 1", "comparisons cannot be chained", "==", "write `and` between two of them"),
        ("=999999999*999999999", "the result is beyond 1e+15", "*", None),
        ("=1e999", "the result is beyond 1e+15", "1e999", None),
        ("=" + SUM, "an expression has at most 100 parts", f"={SUM}", "divide it over `params`"),
        ("=" + "(" * 9 + "width" + ")" * 8, "`(` is never closed", "(", None),
        ("= ((width) + (norm))", "`+` needs numbers, got `batch`", "+", None),
        ("=width % ('é' == wdith)", "`wdith` has no value here", "wdith", "did you mean `width`?"),
        (
            "=width if bias else 1",
            "`width if bias else 1` means nothing in an expression",
            "width if bias else 1",
            KNOWN,
        ),
        ("=True", "`True` means nothing in an expression", "True", KNOWN),
        ("=2j", "`2j` means nothing in an expression", "2j", KNOWN),
        ("=cca_at[0]", "`cca_at[0]` means nothing in an expression", "cca_at[0]", KNOWN),
        ("=max(*cca_at)", "`*cca_at` means nothing in an expression", "*cca_at", KNOWN),
        ("=max(out, key=bias)", "`max(out, key=bias)` means nothing in an expression", "max(out, key=bias)", KNOWN),
        ("=(lambda: 1)()", "`lambda: 1` means nothing in an expression", "lambda: 1", KNOWN),
        ("=f'{width}'", "`f'{width}'` means nothing in an expression", "f'{width}'", KNOWN),
        ("=[1 for _ in cca_at]", "`[1 for _ in cca_at]` means nothing in an expression", "[1 for _ in cca_at]", KNOWN),
        ("=norm+-width", "`+` needs numbers, got `batch`", "+", None),
        ("=width << 2", "`<<` means nothing in an expression", "<<", KNOWN),
        ("=$width", "`$` means nothing in an expression", "$", KNOWN),
    ],
)
def test_messages(text, message, meant, hint):
    with pytest.raises(ExpressionError) as caught:
        parse(text).evaluate(PARAMS)
    error = caught.value
    assert (error.message, error.hint) == (message, hint)
    assert text[error.offset : error.offset + error.length] == meant


def test_an_unknown_name_is_told():
    with pytest.raises(ExpressionError) as caught:
        parse("=2*depth").evaluate({"width": 1})
    assert caught.value.unknown == "depth"
    assert caught.value.offset == 3


def test_names():
    assert parse("=min(a, 2*b) + ('en5' in at) - a").names() == {"a", "b", "at"}


def test_what_is_an_expression():
    assert is_expression("=1")
    assert not any(is_expression(value) for value in ("1", "", 1, None, ["=1"]))


def test_expressions_are_equal_by_their_text():
    assert parse("=a+1") == parse("=a+1") != parse("=a + 1")
    assert len({parse("=a"), parse("=a")}) == 1


numbers = st.integers(0, 9).map(str) | st.sampled_from(["a", "b", "c", "0.5", "2.25"])
arithmetic = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
        st.tuples(st.just("("), inner, st.just(")")).map("".join),
        st.tuples(st.just("-"), inner).map("".join),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda part: f"{part[0]}({part[1]}, {part[2]})"),
        st.tuples(inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner).map(
            lambda part: f"({' '.join(part)})"
        ),
        st.tuples(inner, inner).map(lambda part: f"(({part[0]}) in [{part[1]}, 1])"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda part: f"(({part[0]}) < 2 {part[1]} not ({part[2]}) > 1)"
        ),
    ),
    max_leaves=12,
)


@often
@given(arithmetic, st.integers(-9, 9), st.integers(1, 64), st.sampled_from([0.25, 1.5, 3]))
def test_agrees_with_python(text, a, b, c):
    names = {"a": a, "b": b, "c": c}
    try:
        found = parse(f"={text}").evaluate(names)
    except ExpressionError as error:
        assert any(reason in error.message for reason in ("zero", "whole number", "beyond", "parts"))  # noqa: PT017
        return
    assert found == eval(text, {"__builtins__": {}, "min": min, "max": max}, names)


@often
@given(st.integers(-(10**6), 10**6), st.integers(-(10**3), 10**3).filter(bool))
def test_division_of_whole_numbers_is_exact_or_refused(left, right):
    expression = parse("=left/right")
    exact = Fraction(left, right)
    if exact.denominator == 1:
        assert expression.evaluate({"left": left, "right": right}) == exact
    else:
        with pytest.raises(ExpressionError, match="is not a whole number"):
            expression.evaluate({"left": left, "right": right})


plain_values = st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.none())
values = plain_values | st.lists(plain_values, max_size=3)
pieces = st.sampled_from(
    [*"ab0123456789.+-*/%()[],'\"=!<>^ \n\t_{}", "in", "min", "max", "**", "1e9", "==", "and", "not ", "é", "\x00"]
)
scrawl = st.text(max_size=30) | st.lists(pieces, max_size=40).map("".join)


@often
@given(scrawl, values, values)
def test_any_text_gives_a_value_or_our_error(text, a, b):
    try:
        parse("=" + text).evaluate({"a": a, "b": b})
    except ExpressionError as error:
        assert 0 <= error.offset <= error.offset + error.length <= len(text) + 1  # noqa: PT017


@pytest.mark.parametrize("text", ["(" * 10**5, "-" * 10**5, "[" * 10**5, "1+" * 10**5, "9" * 10**5, "min(" * 10**5])
def test_hostile_text_is_refused_at_once(text):
    with pytest.raises(ExpressionError):
        parse(text).evaluate({})


@often
@given(st.integers(min_value=MAX_NUMBER + 1), st.integers(min_value=1))
def test_results_are_bounded(a, b):
    for text in ("=a+b", "=b-(-a)", "=-a-b", "=a*b", "=-a", "=max(a, b)"):
        with pytest.raises(ExpressionError, match="beyond"):
            parse(text).evaluate({"a": a, "b": b})
