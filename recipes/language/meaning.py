"""Resolve the calls of a recipe: look names up, give networks their inputs, and work out what each value means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, NoReturn

from crossband.blocks.contracts.ranges import ANY, Range, hull
from crossband.blocks.contracts.sizes import Shape as Symbolic
from crossband.blocks.contracts.sizes import evaluate, symbols_of
from crossband.graphs.language.diagnostics import Hint, Problems, Reported
from crossband.graphs.plans.plan import Plan, Ref
from crossband.recipes.kinds.function import FunctionEntry, FunctionError, Shape
from crossband.recipes.language.bands import ROLES
from crossband.recipes.language.flow import Value
from crossband.recipes.language.syntax import Recipe
from crossband.registry import functions, nearest

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Meaning:
    """What is known of a value of a flow before a tensor runs.

    `shape` is without the batch, `range` is between which numbers its values lie. `scenes` names what it shows: aligned
    bands show one scene, an unpaired band one of its own. Values that have no scene in common cannot be compared pixel
    by pixel. `band` is the band whose images it stands for, which only a whole recipe tells: see `Standing`. It is None
    until then, for scores and features, for several bands joined, and where nothing in the recipe tells.
    """

    value: Value
    shape: Shape
    range: Range = ANY
    scenes: frozenset[str] = frozenset()
    band: str | None = None


class Use(NamedTuple):
    """A call of a network or a function: as it is written and where, and what it is given."""

    written: Value
    path: Path
    given: tuple[Meaning, ...]


@dataclass
class Meanings:
    """Looks values up. Nothing is reported of a value that depends on a faulty one."""

    recipe: Recipe
    plans: Mapping[str, Plan | None]
    bands: Mapping[str, Meaning]
    problems: Problems
    used: set[str] = field(default_factory=set)  # names of the flow and networks that are read
    taps: dict[str, set[str]] = field(default_factory=dict)
    uses: dict[Value, "Use"] = field(default_factory=dict)  # the calls of networks and functions, each once
    _flow: dict[str, Meaning | None] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    # of the outputs and taps of a network, by the ranges of what it is given
    _ranges: dict[tuple[str, tuple[Range, ...]], dict[str, Range]] = field(default_factory=dict)

    def flow(self, name: str) -> Meaning:
        """What a name of the flow stands for. Raises Reported."""
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

    def look_up(self, value: Value, path: Path) -> Meaning:
        """What a value means; in it, names of the flow are replaced by their values. Raises Reported.

        `path` is its place in the recipe.
        """
        match value.kind:
            case "name":
                return self._name(value, path)
            case "call":
                return self._call(value, path)
            case "part":
                return self._part(value, path)

    def outputs(self, value: Value, path: Path) -> list[Meaning]:
        """Like `look_up` for several values: `fake.*` is every output, `fake.layer*` every output and tap so called."""
        if value.kind != "part" or not value.name.endswith("*"):
            return [self.look_up(value, path)]
        call = self.look_up(value.operands[0], path).value
        plan = self.plans.get(call.name) if call.kind == "call" else None
        if plan is None:
            self._refuse(
                "E070", f"`{value.operands[0]}` is not a network's value: `.{value.name}` needs one", value, path
            )
        start, known = value.name.removesuffix("*"), [*plan.outputs, *plan.taps]
        names = [name for name in known if name.startswith(start)] if start else list(plan.outputs)
        if not names:
            message = f"`{call.name}` has no output or tap that begins with `{start}`"
            self._refuse("E070", message, value, path, nearest(start, known))
        return [self._part(replace(value, name=name), path) for name in names]

    def _name(self, value: Value, path: Path) -> Meaning:
        name = value.name
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            self._refuse("E022", f"`{name}` reads itself: {circle}", value, path)
        if name in self.recipe.flow:
            self.used.add(name)
            return self.flow(name)
        if name in self.bands:
            return replace(self.bands[name], value=value)
        if name in self.recipe.resolved["flow"] or name in (self.recipe.source, self.recipe.target):
            raise Reported  # it could not be read, or the data have no such band: both are reported
        if name in self.plans:
            self._refuse("E070", f"`{name}` is a network", value, path, f"call it: `{name}({self.recipe.source})`")
        known = [*ROLES, *self.bands, *self.recipe.flow]
        self._refuse("E070", f"no band or value named `{name}`", value, path, nearest(name, known))

    def _call(self, value: Value, path: Path) -> Meaning:
        name = value.name
        known = [*self.plans, *functions]
        if name not in known:
            self._refuse("E070", f"no network named `{name}`", value, path, nearest(name, known))
        found = [self.look_up(operand, path) for operand in value.operands]
        call = replace(value, operands=tuple(each.value for each in found))
        self.uses.setdefault(call, Use(value, path, tuple(found)))
        if name not in self.plans:
            return self._function(call, found, value, path)
        self.used.add(name)
        plan = self.plans[name]
        if plan is None:
            raise Reported
        sizes = self._enter(plan, value, [each.shape for each in found], path)
        return self._made(call, plan, next(iter(plan.outputs)), found, sizes)

    def _function(self, call: Value, found: Sequence[Meaning], written: Value, path: Path) -> Meaning:
        entry: FunctionEntry = functions[call.name]
        least, most = entry.operands
        if len(found) < least or (most is not None and len(found) > most):
            wanted = f"{least}" if least == most else f"at least {least}"
            message = f"`{call.name}` takes {wanted} value{'s' if wanted != '1' else ''}, got {len(found)}"
            self._refuse("E072", message, written, path)
        try:
            shape = functions[call.name].factory.shape(*(each.shape for each in found))
        except FunctionError as error:
            self._refuse("E076", str(error), written, path)
        values = entry.gives or hull(*(each.range for each in found))
        return Meaning(call, shape, values, _shared(found) if entry.aligned else frozenset([str(call)]))

    def _made(
        self, call: Value, plan: Plan, output: str, found: Sequence[Meaning], sizes: Mapping[str, int | None]
    ) -> Meaning:
        """What an output or tap of a network is, given what the network was called with."""
        ref = plan.outputs.get(output) or plan.taps[output]
        given = tuple(each.range for each in found)
        if (key := (call.name, given)) not in self._ranges:
            self._ranges[key] = plan.ranges(dict(zip(plan.inputs, given, strict=True)))
        return Meaning(call, self._result(plan, ref, call, sizes), self._ranges[key][output], _shared(found))

    def _enter(self, plan: Plan, value: Value, shapes: list[Shape], path: Path) -> dict[str, int | None]:
        """The values of the symbols of a network in a call. Raises Reported if the inputs do not fit."""
        if len(shapes) != len(plan.inputs):
            names = ", ".join(f"`{name}`" for name in plan.inputs)
            count = f"{len(plan.inputs)} input{'s' if len(plan.inputs) != 1 else ''} ({names})"
            hint = f"write `{value.name}({', '.join(plan.inputs)})`"
            self._refuse("E072", f"`{value.name}` takes {count}, got {len(shapes)}", value, path, hint)
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
        image = plan.image or ()
        inside, shape = _worked_out(image, padded), _worked_out(plan.shape(ref), padded)
        return (shape[0], *_worked_out(image, sizes)[1:]) if shape[1:] == inside[1:] else shape

    def _part(self, value: Value, path: Path) -> Meaning:
        call = self.look_up(value.operands[0], path).value
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
            self._refuse("E070", message, value, path, nearest(value.name, known))
        found = [self.look_up(operand, path) for operand in call.operands]
        sizes = self._enter(plan, call, [each.shape for each in found], path)
        made = self._made(call, plan, value.name, found, sizes)
        return replace(made, value=replace(value, operands=(call,)))

    def _refuse(self, code: str, message: str, value: Value, path: Path, hint: Hint = None) -> NoReturn:
        place = self.recipe.at(*path).within(value.offset, value.length)
        self.problems.add(code, message, place, hint)
        raise Reported


def _shared(found: Sequence[Meaning]) -> frozenset[str]:
    """The scenes of what is computed from these: any of theirs."""
    return frozenset[str]().union(*(each.scenes for each in found))


def _worked_out(shape: Symbolic, sizes: Mapping[str, int | None]) -> Shape:
    """A symbolic shape without the batch, in numbers as far as the sizes are known."""
    known = {name: size for name, size in sizes.items() if size is not None}
    return tuple(int(evaluate(size, known)) if symbols_of(size) <= known.keys() else None for size in shape[1:])


def _channels_hint(number: int, network: str, recipe: Recipe) -> str | None:
    if number != 0:
        return None
    params = recipe.networks[network].graph
    return f"set the channels in `params` of `{network}`: `crossband show {params}` lists what it takes"
