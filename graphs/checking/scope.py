"""Work out expressions and validate arguments against their schemas."""

import re
from collections import ChainMap
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.sizes import Dim
from crossband.graphs.checking.explain import trail
from crossband.graphs.language.diagnostics import Hint, Place, Problems, Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.expressions import ExpressionError, has_expression, is_expression, names_in, parse
from crossband.graphs.language.limits import MAX_ITEMS
from crossband.graphs.language.names import Index, parts
from crossband.graphs.language.schema import NAME
from crossband.graphs.language.syntax import Graph, Notes
from crossband.registry import FEW, Entry, Fault, correction, is_number, nearest, show, whole

SHAPE = "write `[3, H, W]`, or `[=channels, H, W]` with a param"
PlaceOf: TypeAlias = Callable[[str], Place | None]


def check_choices(
    graph: Graph, values: Mapping[str, Any], place_of: PlaceOf, problems: Problems, notes: Notes = ()
) -> frozenset[str]:
    """Report params with a value, or an item of it, that is not among its choices; return their names."""
    wrong: set[str] = set()
    for name, choices in graph.choices.items():
        if name not in graph.params:
            place = graph.at("choices", name)
            hint = nearest(name, graph.params, otherwise="declare it under `params:`")
            problems.add("E015", f"`{name}` has choices, but is no param", place and place.on_key(), hint, notes)
        value, place = values.get(name), place_of(name)
        words = f"{' or '.join(map(show, choices[:FEW]))}{f' or {len(choices) - FEW} more' * (len(choices) > FEW)}"
        known = {*choices} if all(isinstance(choice, Hashable) for choice in choices) else choices
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for number, item in items if name in values else ():
            if item not in (known if isinstance(item, Hashable) else choices):
                here = place.child(number) if place and number is not None else place
                hint = nearest(str(item), map(str, choices), few=0)
                what = f"`{name}`" if number is None else f"an item of `{name}`"
                message = f"{what} must be {words}, got {show(item)}"
                problems.add("E012", message, here, hint, notes)
                wrong.add(name)
    return frozenset(wrong)


@dataclass(frozen=True)
class Scope:
    """The names that expressions may use here: params, and in a local block its axes.

    `broken` are params whose own value is wrong: whatever uses them is unknown, not wrong.
    """

    names: Mapping[str, Any]
    problems: Problems
    notes: Notes = ()
    broken: frozenset[str] = frozenset()

    def value(self, value: YamlValue, place: Place | None, shift: int = 0, hint: str | None = None) -> Any:
        """`value` with its expressions worked out. Raises Reported after reporting a fault.

        `shift` is where an expression inside a name begins, `hint` what to say of a name that has no value.
        """
        if isinstance(value, list):
            return [self.value(item, place and place.child(number)) for number, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.value(item, place and place.child(key)) for key, item in value.items()}
        if not is_expression(value):
            return value
        try:
            expression = parse(value)
            used = {name: self.names[name] for name in expression.names() if name in self.names}
            if not self.broken.isdisjoint(expression.names()):
                raise Reported
            result = expression.evaluate({name: number for name, number in used.items() if not isinstance(number, Dim)})
            if _items(result) > MAX_ITEMS:
                raise ExpressionError(f"the list has more than {MAX_ITEMS} items", 0, len(value))
            return result
        except ExpressionError as error:
            self._report(error, place, shift, hint)
            raise Reported from None

    def whole(self, value: YamlValue, place: Place | None) -> Any:
        """Like `value`, where a whole number is wanted: an expression may give 12.0 for it, but nobody writes that."""
        found = self.value(value, place)
        return whole(found) if is_expression(value) else found

    def index(self, index: Index, place: Place | None) -> int:
        """The whole number of an index inside a name. Raises Reported after reporting a fault."""
        hint = "write `repeat: 4, index: i` in the node, or declare it under `params:`"
        number = whole(self.value(f"={index.text}", place, index.start - 1, hint))
        if type(number) is not int:
            message = f"an index is a whole number, got {show(number)}, which `{index.text}` gives"
            self.problems.add("E027", message, place, None, self.notes)
            raise Reported
        return number

    def name(self, name: str, place: Place | None) -> str:
        """A name with its indices worked out. Raises Reported after reporting a fault."""
        return "".join(part if isinstance(part, str) else str(self.index(part, place)) for part in parts(name))

    def size(self, value: YamlValue, place: Place | None, hint: str = SHAPE) -> int | str:
        """One item of a shape: a number of at least 1, or an axis name. Raises Reported after reporting a fault."""
        size = self.whole(value, place)
        if (type(size) is int and size >= 1) or (isinstance(size, str) and re.fullmatch(NAME, size)):
            return size
        worked_out = f", which `{value}` gives" if is_expression(value) else ""
        message = f"a size is a whole number of at least 1 or a name, got {show(size)}{worked_out}"
        self.problems.add("E006", message, place, hint, self.notes)
        raise Reported

    def with_names(self, names: Mapping[str, Any]) -> "Scope":
        """The same scope with further names."""
        return replace(self, names=ChainMap({**names}, self.names)) if names else self  # type: ignore[arg-type]

    def noted(self, notes: Notes) -> "Scope":
        """The same scope with other notes on the faults it reports."""
        return replace(self, notes=notes)

    def params(self, declared: Mapping[str, YamlValue], place_of: PlaceOf | None = None) -> "Scope":
        """The same scope with params added, which may use each other in any order. Faults are reported."""
        names, broken = {**self.names}, {*self.broken}  # which grow
        scope = replace(self, names=names, broken=broken)
        ordered, circle = _in_order(declared)
        for name in ordered:
            place = place_of(name) if place_of else None
            try:
                value = scope.value(declared[name], place)
                if isinstance(value, str) and is_number(value):
                    self.problems.add(
                        "E006", f"`{name}` must be a number, got {show(value)}", place, correction(value, "number")
                    )
                    raise Reported
                names[name] = value
            except Reported:
                broken.add(name)
        if circle:
            use = "uses itself" if len(circle) == 1 else "use each other"
            message = f"{trail(circle, ' and ')} {use}, so there is no value to begin with"
            place = place_of(circle[0]) if place_of else None
            self.problems.add("E015", message, place, "give one of them a number", self.notes)
        return replace(scope, broken=frozenset({*broken, *circle}))

    def arguments(self, entry: Entry, given: Mapping[str, YamlValue], place: Place | None) -> dict[str, Any]:
        """Every argument of a block, defaults included. Raises Reported after reporting every fault."""
        good = True
        values: dict[str, Any] = {}
        for name, value in given.items():
            here = place and place.child(name)
            parameter = entry.parameters.get(name)
            if parameter is None:
                self._unknown(entry, name, here and here.on_key())
                good = False
                continue
            try:
                values[name] = self.value(value, here)
            except Reported:
                good = False
                continue
            fault = parameter.fault(values[name])
            if fault and has_expression(value) and not parameter.fault(as_whole := whole(values[name])):
                values[name], fault = as_whole, None
            if fault:
                self._unfit(entry, name, value, fault, here)
                good = False
        for name in entry.missing(given):
            message = f"{entry.name} needs the parameter `{name}`"
            hint = f"write `{{{entry.name}: {{{name}: ...}}}}`"
            self.problems.add("E013", message, place and place.on_key() if given else place, hint, self.notes)
            good = False
        if not good:
            raise Reported
        defaults = {name: parameter.default for name, parameter in entry.parameters.items() if not parameter.required}
        return {**defaults, **values}

    def _report(self, error: ExpressionError, place: Place | None, shift: int, hint: str | None) -> None:
        here = place if place is None or place.key else place.within(error.offset + shift, error.length)
        if isinstance(self.names.get(error.unknown or ""), Dim):
            message = f"`{error.unknown}` depends on the image"
            hint = "an expression takes params, and in a local block the channels of its inputs"
            self.problems.add("E015", message, here, hint, self.notes)
        elif error.unknown:
            nothing = hint or "declare it under `params:`"
            closest = nearest(error.unknown, self._numbers(), otherwise=nothing)
            self.problems.add("E015", error.message, here, closest, self.notes)
        else:
            self.problems.add("E014", error.message, here, error.hint, self.notes)

    def _numbers(self) -> Iterator[str]:
        """The names that expressions can use. Those of a hint are taken when it is shown: there may be more by then."""
        for name, value in [*self.names.items()]:
            if not isinstance(value, Dim):
                yield name

    def _unfit(self, entry: Entry, name: str, value: YamlValue, fault: Fault, place: Place | None) -> None:
        worked_out = f", which `{value}` gives" if is_expression(value) else ""
        hint: Hint = fault.hint
        if isinstance(value, str) and (value in self.names or value in self.broken):
            hint = f"write `={value}` for the value of the param"
        elif isinstance(value, str) and not worked_out:
            hint = nearest(value, _choices(entry, name), otherwise=fault.hint, few=0)
        self.problems.add("E012", f"{entry.name}: `{name}` {fault.message}{worked_out}", place, hint, self.notes)

    def _unknown(self, entry: Entry, name: str, place: Place | None) -> None:
        hint: Hint
        if isinstance(entry, BlockEntry) and name in entry.inferred:
            hint = f"leave it out: `{name}` is the number of channels that comes in"
        else:
            taken = ", ".join(f"`{known}`" for known in entry.parameters) or "none"
            hint = nearest(name, entry.parameters, otherwise=f"it takes {taken}", few=0)
        self.problems.add("E011", f"{entry.name} has no parameter `{name}`", place, hint, self.notes)


def _in_order(declared: Mapping[str, YamlValue]) -> tuple[list[str], list[str]]:
    """Sort params so that each comes after those it uses; also return those that use each other in a circle."""
    uses = {name: names_in(value) & declared.keys() for name, value in declared.items()}
    readers: dict[str, list[str]] = {}
    for name, used in uses.items():
        for other in used:
            readers.setdefault(other, []).append(name)
    ordered = [name for name, used in uses.items() if not used]
    for name in ordered:  # grows while it is read
        for reader in readers.get(name, ()):
            uses[reader].discard(name)
            if not uses[reader]:
                ordered.append(reader)
    return ordered, [name for name, used in uses.items() if used]


def _items(value: Any) -> int:
    """How many numbers and texts a value holds; counting stops at MAX_ITEMS."""
    if not isinstance(value, list):
        return 1
    total = 0
    for item in value:
        total += _items(item)
        if total > MAX_ITEMS:
            break
    return total


def _choices(entry: Entry, name: str) -> list[str]:
    """The words that a parameter accepts."""
    schema = entry.parameters[name].schema
    words = [*schema.get("enum", ()), *schema.get("if", {}).get("enum", ())]
    return [word for word in words if isinstance(word, str)]
