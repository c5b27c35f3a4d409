"""Resolve the calls of a recipe: look names up, give networks their inputs, compute shapes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from crossband.blocks.contracts.sizes import Shape as Symbolic
from crossband.blocks.contracts.sizes import evaluate, symbols_of
from crossband.graphs.language.diagnostics import Problems, Reported
from crossband.graphs.plans.plan import Plan, Ref
from crossband.recipes.kinds.function import FunctionError, Shape
from crossband.recipes.language.bands import ROLES
from crossband.recipes.language.flow import Value
from crossband.recipes.language.syntax import Recipe
from crossband.registry import functions, suggest

Path = tuple[str | int, ...]


@dataclass
class FlowShapes:
    """Looks values up. Nothing is reported of a value that depends on a faulty one."""

    recipe: Recipe
    plans: Mapping[str, Plan | None]
    bands: Mapping[str, Shape]
    problems: Problems
    used: set[str] = field(default_factory=set)  # names of the flow and networks that are read
    taps: dict[str, set[str]] = field(default_factory=dict)
    _flow: dict[str, tuple[Value, Shape] | None] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def flow(self, name: str) -> tuple[Value, Shape]:
        """The value that a name of the flow stands for, and its shape. Raises Reported."""
        if name not in self._flow:
            self._open.append(name)
            try:
                self._flow[name] = self.look_up(self.recipe.flow[name], ("flow", name))
            except Reported:
                self._flow[name] = None
            self._open.pop()
        found = self._flow[name]
        if found is None:
            raise Reported
        return found

    def look_up(self, value: Value, path: Path) -> tuple[Value, Shape]:
        """A value with the names of the flow replaced by their values, and its shape. Raises Reported.

        `path` is its place in the recipe.
        """
        match value.kind:
            case "name":
                return self._name(value, path)
            case "call":
                return self._call(value, path)
            case "part":
                return self._part(value, path)

    def outputs(self, value: Value, path: Path) -> list[tuple[Value, Shape]]:
        """Like `look_up` for several values: `fake.*` is every output, `fake.layer*` every output and tap so called."""
        if value.kind != "part" or not value.name.endswith("*"):
            return [self.look_up(value, path)]
        call, _ = self.look_up(value.operands[0], path)
        plan = self.plans.get(call.name) if call.kind == "call" else None
        if plan is None:
            self._refuse(
                "E070", f"`{value.operands[0]}` is not a network's value: `.{value.name}` needs one", value, path
            )
        start, known = value.name.removesuffix("*"), [*plan.outputs, *plan.taps]
        names = [name for name in known if name.startswith(start)] if start else list(plan.outputs)
        if not names:
            message = f"`{call.name}` has no output or tap that begins with `{start}`"
            self._refuse("E070", message, value, path, suggest(start, known))
        return [self._part(replace(value, name=name), path) for name in names]

    def _name(self, value: Value, path: Path) -> tuple[Value, Shape]:
        name = value.name
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            self._refuse("E022", f"`{name}` reads itself: {circle}", value, path)
        if name in self.recipe.flow:
            self.used.add(name)
            return self.flow(name)
        if name in self.bands:
            return value, self.bands[name]
        if name in self.recipe.resolved["flow"]:
            raise Reported  # it could not be read
        if name in self.plans:
            self._refuse("E070", f"`{name}` is a network", value, path, f"call it: `{name}({self.recipe.source})`")
        known = [*ROLES, *self.bands, *self.recipe.flow]
        self._refuse("E070", f"no band or value named `{name}`", value, path, suggest(name, known))

    def _call(self, value: Value, path: Path) -> tuple[Value, Shape]:
        name = value.name
        known = [*self.plans, *functions]
        if name not in known:
            self._refuse("E070", f"no network named `{name}`", value, path, suggest(name, known))
        found = [self.look_up(operand, path) for operand in value.operands]
        call = replace(value, operands=tuple(operand for operand, _ in found))
        shapes = [shape for _, shape in found]
        if name not in self.plans:
            return call, self._function(value, shapes, path)
        self.used.add(name)
        plan = self.plans[name]
        if plan is None:
            raise Reported
        sizes = self._enter(plan, value, shapes, path)
        return call, self._result(plan, next(iter(plan.outputs.values())), value, sizes)

    def _function(self, value: Value, shapes: list[Shape], path: Path) -> Shape:
        least, most = functions[value.name].operands
        if len(shapes) < least or (most is not None and len(shapes) > most):
            wanted = f"{least}" if least == most else f"at least {least}"
            message = f"`{value.name}` takes {wanted} value{'s' if wanted != '1' else ''}, got {len(shapes)}"
            self._refuse("E072", message, value, path)
        try:
            return functions[value.name].factory.shape(*shapes)
        except FunctionError as error:
            self._refuse("E076", str(error), value, path)

    def _enter(self, plan: Plan, value: Value, shapes: list[Shape], path: Path) -> dict[str, int | None]:
        """The values of the symbols of a network in a call. Raises Reported if the inputs do not fit."""
        if len(shapes) != len(plan.inputs):
            names = ", ".join(f"`{name}`" for name in plan.inputs)
            count = f"{len(plan.inputs)} input{'s' if len(plan.inputs) != 1 else ''} ({names})"
            self._refuse("E072", f"`{value.name}` takes {count}, got {len(shapes)}", value, path)
        sizes: dict[str, int | None] = {}
        for (name, wanted), shape, operand in zip(plan.inputs.items(), shapes, value.operands, strict=True):
            for number, (size, found) in enumerate(zip(wanted[1:], shape, strict=True)):
                what = ("channels", "rows", "columns")[number]
                if isinstance(size, int) and found not in (None, size):
                    message = f"`{value.name}` takes {size} {what} for `{name}`, `{operand}` has {found}"
                    self._refuse("E076", message, operand, path, _channels_hint(number, value.name, self.recipe))
                for symbol in symbols_of(size):
                    if sizes.setdefault(symbol, found) not in (None, found) and found is not None:
                        own = f"`{operand}` has {found} {what}, not {sizes[symbol]}"
                        message = f"`{value.name}` takes images of one size, {own}"
                        self._refuse("E076", message, operand, path)
        self._admit(plan, sizes, value, path)
        return sizes

    def _admit(self, plan: Plan, sizes: Mapping[str, int | None], value: Value, path: Path) -> None:
        known = {name: size for name, size in sizes.items() if size is not None}
        if plan.sizes.admits(**known) or self.recipe.networks[value.name].fit == "pad":
            return
        nearest = plan.sizes.nearest(**known)
        given = "x".join(map(str, known.values()))
        message = f"images of {given} do not pass through `{value.name}`: {plan.sizes}"
        hint = f"nearest: {'x'.join(map(str, nearest.values()))}; or say `fit: pad` of the network"
        self._refuse("E034", message, value, path, hint)

    def _result(self, plan: Plan, ref: Ref, value: Value, sizes: Mapping[str, int | None]) -> Shape:
        """The shape of an output of a network; with `fit: pad`, cropped back if it has the size of the images."""
        if self.recipe.networks[value.name].fit != "pad":
            return _worked_out(plan.shape(ref), sizes)
        known = {name: size for name, size in sizes.items() if size}
        padded = {**sizes, **plan.sizes.padded(**known)}
        image = next(iter(plan.inputs.values()))
        inside, shape = _worked_out(image, padded), _worked_out(plan.shape(ref), padded)
        return (shape[0], *_worked_out(image, sizes)[1:]) if shape[1:] == inside[1:] else shape

    def _part(self, value: Value, path: Path) -> tuple[Value, Shape]:
        call, _ = self.look_up(value.operands[0], path)
        if call.kind != "call" or call.name not in self.plans:
            self._refuse(
                "E070", f"`{value.operands[0]}` is not a network's value: it has no `{value.name}`", value, path
            )
        plan = self.plans[call.name]
        if plan is None:
            raise Reported
        if value.name.endswith("*"):
            self._refuse("E070", f"`{value}` is several values: only a loss can take them", value, path)
        if value.name in plan.taps:
            self.taps.setdefault(call.name, set()).add(value.name)
        elif value.name not in plan.outputs:
            known = [*plan.outputs, *plan.taps]
            message = f"`{call.name}` has no output or tap `{value.name}`"
            self._refuse("E070", message, value, path, suggest(value.name, known))
        ref = plan.outputs.get(value.name) or plan.taps[value.name]
        shapes = [self._shape(operand, path) for operand in call.operands]
        return replace(value, operands=(call,)), self._result(plan, ref, call, self._enter(plan, call, shapes, path))

    def _shape(self, value: Value, path: Path) -> Shape:
        """The shape of a value."""
        return self.look_up(value, path)[1]

    def _refuse(self, code: str, message: str, value: Value, path: Path, hint: str | None = None) -> NoReturn:
        place = self.recipe.at(*path).within(value.offset, value.length)
        self.problems.add(code, message, place, hint)
        raise Reported


def _worked_out(shape: Symbolic, sizes: Mapping[str, int | None]) -> Shape:
    """A symbolic shape without the batch, in numbers as far as the sizes are known."""
    known = {name: size for name, size in sizes.items() if size is not None}
    return tuple(int(evaluate(size, known)) if symbols_of(size) <= known.keys() else None for size in shape[1:])


def _channels_hint(number: int, network: str, recipe: Recipe) -> str | None:
    if number != 0:
        return None
    params = recipe.networks[network].graph
    return f"set the channels in `params` of `{network}`: `crossband show {params}` lists what it takes"
