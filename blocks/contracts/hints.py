"""Hints for conditions that do not hold: the arguments that would be right."""

import ast
from collections.abc import Mapping
from typing import Any

FEW = 6  # divisors worth listing
MOST = 1 << 16  # channels


def hint(condition: ast.Compare, names: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """For `c % groups == 0`, list the divisors of `c` nearest to `groups`; None for other conditions."""
    match condition:
        case ast.Compare(ast.BinOp(ast.Name(number), ast.Mod(), ast.Name(divisor)), [ast.Eq()], [ast.Constant(0)]):
            total, wrong = names.get(number), arguments.get(divisor)
        case _:
            return None
    if not isinstance(total, int) or not isinstance(wrong, int) or not 0 < total <= MOST:
        return None
    divisors = sorted((each for each in range(1, total + 1) if total % each == 0), key=lambda each: abs(each - wrong))
    *some, last = sorted(divisors[:FEW])
    return f"`{divisor}` may be {', '.join(map(str, some))} or {last}" if some else f"`{divisor}` may be {last}"
