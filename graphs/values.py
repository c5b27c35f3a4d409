"""What is written becomes what is meant: expressions are worked out, arguments are held to their schemas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossband.blocks.sizes import Dim
from crossband.graphs.diagnostics import Place, Problems
from crossband.graphs.expressions import ExpressionError, is_expression, parse
from crossband.graphs.syntax import Notes, Value
from crossband.registry import Entry, near


class Invalid(Exception):
    """A part of the graph is wrong, said so already, and what depends on it cannot be checked."""


@dataclass(frozen=True)
class Scope:
    """The names that expressions may use here: params, and in a local block its axes."""

    names: Mapping[str, Any]
    problems: Problems
    notes: Notes = ()

    def value(self, value: Value, place: Place | None) -> Any:
        """`value` with its expressions worked out. Raises Invalid, the fault being reported."""
        if isinstance(value, list):
            return [self.value(item, place and place.child(number)) for number, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.value(item, place and place.child(key)) for key, item in value.items()}
        if not is_expression(value):
            return value
        known = {name: number for name, number in self.names.items() if not isinstance(number, Dim)}
        try:
            return parse(value).evaluate(known)
        except ExpressionError as error:
            self._report(error, place)
            raise Invalid from None

    def with_names(self, names: Mapping[str, Any]) -> "Scope":
        """The scope with further names."""
        return Scope({**self.names, **names}, self.problems, self.notes)

    def _report(self, error: ExpressionError, place: Place | None) -> None:
        here = place and place.within(error.offset, error.length)
        if isinstance(self.names.get(error.unknown or ""), Dim):
            message = f"`{error.unknown}` depends on the image, an expression takes params and channels"
            self.problems.add("E015", message, here, None, self.notes)
        else:
            self.problems.add("E015" if error.unknown else "E014", error.message, here, error.hint, self.notes)

    def params(self, declared: Mapping[str, Value], place: Place | None) -> "Scope":
        """A scope with params added in order; the default of one may use those above it."""
        scope = self
        for name, value in declared.items():
            found = scope.value(value, place and place.child(name))
            scope = scope.with_names({name: found})
        return scope

    def arguments(self, entry: Entry, given: Mapping[str, Value], place: Place | None) -> dict[str, Any]:
        """Every argument of a block, defaults included. Raises Invalid, each fault being reported."""
        before = len(self.problems)
        values: dict[str, Any] = {}
        for name, value in given.items():
            here = place and place.child(name)
            parameter = entry.parameters.get(name)
            if parameter is None:
                self._unknown(entry, name, here and here.on_key())
                continue
            try:
                values[name] = self.value(value, here)
            except Invalid:
                continue
            if problem := parameter.problem(values[name]):
                worked_out = f", which `{value}` gives" if is_expression(value) else ""
                self.problems.add("E012", f"{entry.name}: `{name}` {problem}{worked_out}", here, None, self.notes)
        self._missing(entry, given, place)
        if len(self.problems) > before:
            raise Invalid
        defaults = {name: parameter.default for name, parameter in entry.parameters.items() if not parameter.required}
        return {**defaults, **values}

    def _unknown(self, entry: Entry, name: str, place: Place | None) -> None:
        if name in entry.facts.get("inferred", ()):
            hint = f"leave it out: `{name}` is the number of channels that comes in"
        elif matches := near(name, entry.parameters):
            hint = f"did you mean `{matches[0]}`?"
        else:
            hint = f"it takes {', '.join(f'`{known}`' for known in entry.parameters) or 'none'}"
        self.problems.add("E011", f"{entry.name} has no parameter `{name}`", place, hint, self.notes)

    def _missing(self, entry: Entry, given: Mapping[str, Value], place: Place | None) -> None:
        missing = [name for name, parameter in entry.parameters.items() if parameter.required and name not in given]
        misspelt = {match for name in given if name not in entry.parameters for match in near(name, missing)[:1]}
        for name in (name for name in missing if name not in misspelt):
            hint = f"write `{{{entry.name}: {{{name}: ...}}}}`"
            self.problems.add(
                "E013",
                f"{entry.name} needs the parameter `{name}`",
                place and place.on_key() if given else place,
                hint,
                self.notes,
            )
