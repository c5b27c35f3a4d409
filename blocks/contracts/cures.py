"""What would be right where a condition of a contract does not hold."""

import ast
from collections.abc import Mapping
from typing import Any

FEW = 6  # divisors worth listing
MOST = 1 << 16  # channels


def cure(condition: ast.Compare, names: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """For `c % groups == 0`, the values of the argument that divide the number, those next to the given one."""
    match condition:
        case ast.Compare(ast.BinOp(ast.Name(number), ast.Mod(), ast.Name(divisor)), [ast.Eq()], [ast.Constant(0)]):
            total, given = names.get(number), arguments.get(divisor)
        case _:
            return None
    if not isinstance(total, int) or not isinstance(given, int) or not 0 < total <= MOST:
        return None
    divisors = sorted((each for each in range(1, total + 1) if total % each == 0), key=lambda each: abs(each - given))
    *some, last = sorted(divisors[:FEW])
    return f"`{divisor}` may be {', '.join(map(str, some))} or {last}" if some else f"`{divisor}` may be {last}"
