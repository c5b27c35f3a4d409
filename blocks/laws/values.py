"""Values for the parameters of any registered thing, drawn by Hypothesis from their types and bounds.

Needs the package hypothesis, which the library itself does not.
"""

import math
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from crossband.registry import Entry

SPREAD = 6  # numbers drawn above a lower bound, or below an upper one
STEPS = 64  # into which an interval is divided, so that its ends are drawn and numbers stay short
SMALL = 1e-4  # of an interval: what is just above its lower bound


def arguments(entry: Entry, fixed: Mapping[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Values for the parameters of a registered thing, optional ones left out at times; some may be fixed."""
    known = {name: st.just(value) for name, value in (fixed or {}).items() if name in entry.parameters}
    values = {name: values_of(each.schema) for name, each in entry.parameters.items()} | known
    always = {name: values[name] for name, each in entry.parameters.items() if each.required or name in known}
    return st.fixed_dictionaries(always, optional={name: each for name, each in values.items() if name not in always})


def values_of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema of the registry, small ones where it sets no upper bound."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "if" in schema:
        return st.sampled_from(schema["if"]["enum"]) | values_of(schema["else"])
    kinds = schema["type"]
    if isinstance(kinds, list):
        return st.one_of([values_of({**schema, "type": kind}) for kind in kinds])
    return {
        "null": st.none,
        "boolean": st.booleans,
        "string": lambda: _texts(schema),
        "integer": lambda: _integers(schema),
        "number": lambda: _floats(schema),
        "array": lambda: _lists(schema),
        "object": lambda: _mappings(schema),
    }[kinds]()


def _texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    least = schema.get("minLength", 0)
    return st.text("abc", min_size=least, max_size=min(schema.get("maxLength", math.inf), least + 4))


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf) - 1)
    if math.isinf(low):
        low = -SPREAD * step if high >= 0 else high - SPREAD * step
    return st.integers(math.ceil(low / step), min(high, low + SPREAD * step) // step).map(lambda n: n * step)


def _floats(schema: Mapping[str, Any]) -> st.SearchStrategy[float]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    if math.isinf(low):
        low = min(-2.0, high - 2.0)
    high = min(high, low + 4.0)
    first, last = int("exclusiveMinimum" in schema), STEPS - int(high == schema.get("exclusiveMaximum"))
    shares = st.integers(first, last).map(lambda n: n / STEPS) | st.just(SMALL)
    return shares.map(lambda share: min(high, low + (high - low) * share))


def _lists(schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*map(values_of, schema["prefixItems"])).map(list)
    least = schema.get("minItems", 0)
    return st.lists(values_of(schema["items"]), min_size=least, max_size=schema.get("maxItems", least + 2))


def _mappings(schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" in schema:
        values = {name: values_of(each) for name, each in schema["properties"].items()}
        needed = {name: values.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional=values)
    return st.dictionaries(st.text("abc", min_size=1), values_of(schema["additionalProperties"]), max_size=2)
