"""Check a recipe against the graphs, losses and bands that it names, before any tensor runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossband import registry
from crossband.blocks.contracts.ranges import Range
from crossband.graphs.building.key_maps import load_key_map_into
from crossband.graphs.checking.checker import check_into as check_graph
from crossband.graphs.language.diagnostics import Hint, Problems, Reported
from crossband.graphs.language.document import Place
from crossband.graphs.language.resolve import Resolver
from crossband.graphs.language.syntax import Graph
from crossband.graphs.plans.plan import Plan
from crossband.recipes.kinds.function import Shape
from crossband.recipes.kinds.loss import LossEntry, LossInputError
from crossband.recipes.kinds.optimizer import check_optimizer
from crossband.recipes.kinds.schedule import ScheduleError, entry_of, refuse_short
from crossband.recipes.language.bands import ROLES, channels_of
from crossband.recipes.language.experiment import (
    CheckedPhase,
    CheckedTerm,
    Experiment,
    call_of,
    reaches,
    turns,
)
from crossband.recipes.language.flow import Value
from crossband.recipes.language.functions import words
from crossband.recipes.language.layers import Setting
from crossband.recipes.language.meaning import Meaning, Meanings
from crossband.recipes.language.patches import patched
from crossband.recipes.language.reading import GEOMETRY, load_recipe_into
from crossband.recipes.language.sense import check_sense
from crossband.recipes.language.syntax import Phase, Recipe, Term
from crossband.registry import ArgumentError, Entry, nearest


def check(name: str | Path, overrides: Sequence[str | Setting] = ()) -> Experiment:
    """Check a recipe, by shipped name or path, with `key=value` overrides. Raises InvalidFile with every fault."""
    problems = Problems()
    recipe = load_recipe_into(name, problems, overrides)
    return problems.value(check_recipe(recipe, problems) if recipe else None)


def check_recipe(
    recipe: Recipe,
    problems: Problems,
    bands: Mapping[str, int] | None = None,
    size: tuple[int, int] | None = None,
) -> Experiment | None:
    """Check a recipe. If its data are at hand, `bands` has their channels and `size` the size of their images."""
    return _Checker(recipe, problems, bands, size).experiment()


class _Checker:
    def __init__(
        self, recipe: Recipe, problems: Problems, bands: Mapping[str, int] | None, size: tuple[int, int] | None
    ) -> None:
        self.recipe = recipe
        self.problems = problems
        self.bands = channels_of(recipe.data.source, recipe.data.arguments, recipe.data.channels, bands)
        self.plans = {name: self.plan(name) for name in recipe.networks}
        window = _window(recipe) or size or (None, None)
        images = {
            band: Meaning(Value("name", band), (channels, *window), Range(*recipe.data.range), self.scenes(band))
            for band, channels in self.bands.items()
        }
        self.values = Meanings(recipe, self.plans, images, problems)

    def experiment(self) -> Experiment | None:
        recipe, problems = self.recipe, self.problems
        if recipe.target in recipe.sources:
            self.fault("E082", f"`from` and `to` are both `{recipe.target}`", "task", "to", hint=self.other_band())
            return None
        if self.bands_unknown():
            self.data()  # says why
            return None
        self.names()
        steps = tuple(self.step(phase) for phase in recipe.phases)
        self.data()
        self.networks(steps)
        result, kept = self.result(), self.kept()
        self.order(steps, kept)
        for number, name in enumerate(recipe.evaluate.metrics or ()):
            if name not in registry.metrics:
                self.fault(
                    "E070",
                    f"no metric named `{name}`",
                    "evaluate",
                    "metrics",
                    number,
                    hint=nearest(name, registry.metrics),
                )
        self.papers()
        self.unused()
        if problems or result is None:
            return None
        standing = check_sense(self.values, steps, result)
        if problems:
            return None
        flow = {name: self.values.flow(name) for name in recipe.flow}
        flow = {name: replace(each, band=standing.band(each.value)) for name, each in flow.items()}
        plans = {name: plan for name, plan in self.plans.items() if plan}
        taps = {name: tuple(sorted(found)) for name, found in self.values.taps.items()}
        return Experiment(recipe, plans, taps, steps, result.value, kept, self.bands, flow)

    def plan(self, name: str) -> Plan | None:
        """The checked graph of a network."""
        network, recipe = self.recipe.networks[name], self.recipe
        graph = Resolver(self.problems).load(network.graph, recipe.at("networks", name, "graph"), "E070")
        if graph is None:
            return None
        unknown = [param for param in network.params if param not in graph.params]
        self.unknown_params(name, graph, unknown)
        whole = patched(recipe, name, graph, self.problems)
        plan = (
            None
            if unknown or whole is None
            else check_graph(
                whole, self.problems, network.params, lambda param: recipe.at("networks", name, "params", param)
            )
        )
        if plan and isinstance(network.weights, Mapping):
            self.weights(name, network.weights, plan)
        return plan

    def unknown_params(self, name: str, graph: Graph, unknown: Sequence[str]) -> None:
        """Report params that a graph lacks: at the param, or at the graph if a stronger layer replaced the graph."""
        layers = self.recipe.layers
        swapped = layers.rank(("networks", name, "graph"))
        left: dict[str, Place] = {}
        for param in unknown:
            path = ("networks", name, "params", param)
            rank = layers.rank(path)
            if swapped is not None and rank is not None and rank > swapped:
                left[param] = layers.place(*path)
            else:
                message = f"the graph `{graph.name}` has no param `{param}`"
                self.fault("E070", message, *path, key=True, hint=nearest(param, graph.params))
        if left:
            params = " and ".join(f"`{param}`" for param in left)
            message = f"the graph `{graph.name}` has no param {params}, set for the graph that it replaces"
            hint = f"`params: {{{', '.join(f'{param}: null' for param in left)}}}` removes what is inherited"
            notes = [(f"`{param}` is set here", place) for param, place in left.items()]
            self.problems.add("E070", message, layers.place("networks", name, "graph"), hint, notes)

    def weights(self, name: str, written: Mapping[str, str], plan: Plan) -> None:
        """Check weights from elsewhere: the key map exists, and the network has the nodes that it fills."""
        keys = load_key_map_into(written["keys"], self.problems, self.recipe.at("networks", name, "weights", "keys"))
        into = written.get("into", "")
        modules = [f"{call.module}." for call in plan.calls]

        def has(node: str) -> bool:
            return any(module.startswith(node) for module in modules)

        if into and not has(f"{into}."):
            hint = nearest(into, plan.graph.nodes)
            self.fault("E070", f"`{name}` has no node `{into}`", "networks", name, "weights", "into", hint=hint)
        elif keys and (absent := [node for node in keys.nodes(into) if not has(node)]):
            message = f"the key map `{keys.name}` fills `{absent[0][:-1]}`, and `{name}` has no such node"
            hint = f"it is of the graph `{keys.graph}`: say by `into` which node of `{name}` that is"
            self.fault("E070", message, "networks", name, "weights", "keys", hint=hint)

    def scenes(self, band: str) -> frozenset[str]:
        """The bands that show one scene with this one: all if paired, else those that are translated with it."""
        if self.recipe.pairing == "paired":
            return frozenset(self.bands)
        entry = registry.sources.get(self.recipe.data.source)
        if entry and "paired" not in entry.pairing:
            return frozenset([band])
        return frozenset(
            other for other in self.bands if (other in self.recipe.sources) == (band in self.recipe.sources)
        )

    def bands_unknown(self) -> bool:
        """Whether the data source is told its bands wrongly, so that none of them is known."""
        data, entry = self.recipe.data, registry.sources.get(self.recipe.data.source)
        parameter = entry.parameters.get("bands") if entry and "bands" in data.arguments else None
        return parameter is not None and parameter.fault(data.arguments["bands"]) is not None

    def names(self) -> None:
        """Check that each name means one thing: a band, a network, a function or a value of the flow."""
        recipe = self.recipe
        for name in (name for name in recipe.networks if name in registry.functions):
            self.fault("E016", f"`{name}` is a function already", "networks", name, key=True, hint="take another name")
        for section, others in (("networks", self.bands), ("flow", {**self.bands, **recipe.networks})):
            for name in (name for name in getattr(recipe, section) if name in {**others, **ROLES}):
                what = "a network" if name in recipe.networks and section == "flow" else "a band"
                self.fault("E016", f"`{name}` is {what} already", section, name, key=True, hint="take another name")
        listed = isinstance(recipe.resolved["task"]["from"], list)
        inputs = [(("from", number) if listed else ("from",), band) for number, band in enumerate(recipe.sources)]
        for place, band in (*inputs, (("to",), recipe.target)):
            if band not in self.bands:
                self.fault("E070", f"the data have no band `{band}`", "task", *place, hint=nearest(band, self.bands))
        for name, network in recipe.networks.items():
            if network.gives is not None and network.gives not in self.bands:
                hint = nearest(network.gives, [*ROLES, *self.bands])
                self.fault("E070", f"no band named `{network.gives}`", "networks", name, "gives", hint=hint)
        for number, band in enumerate(recipe.sources):
            if band in recipe.sources[:number]:
                self.fault("E070", f"`{band}` is there twice", "task", "from", number, hint="name each band once")

    def other_band(self) -> str:
        """What to write where the task is from a band to itself."""
        others = " or ".join(f"`{band}`" for band in self.bands if band != self.recipe.target)
        return f"a task translates between two bands: one of them is {others}"

    def step(self, phase: Phase) -> CheckedPhase:
        """Check a phase and its losses."""
        losses = {name: loss for name, term in phase.terms.items() if (loss := self.loss(term))}
        path = () if "losses" in self.recipe.resolved else ("phases", phase.name)
        own = self.recipe.resolved["phases"][phase.name] if path else {}
        for number, name in enumerate(phase.train if path else ()):
            if name not in self.recipe.networks:
                hint = nearest(name, self.recipe.networks)
                self.fault("E070", f"no network named `{name}`", *path, "train", number, hint=hint)
            elif self.recipe.networks[name].frozen:
                message = f"`{name}` is frozen, and the phase `{phase.name}` trains it"
                self.fault("E075", message, *path, "train", number, hint="remove `frozen: true`, or train another")
        if phase.fresh and "repeat" not in own:
            message = f"`{phase.name}` is fresh, and nothing repeats it: every step draws its images anew"
            self.fault("E075", message, *path, "fresh", hint="say how often a step does it, `repeat: 5`", key=True)
        self.learning(phase, path if "optimizer" in own else (), path if "schedule" in own else ())
        return CheckedPhase(phase, losses)

    def learning(self, phase: Phase, optimizer_path: tuple[str, ...], schedule_path: tuple[str, ...]) -> None:
        """Check the optimizer and the schedule of a phase."""
        name, arguments = phase.optimizer
        path = (*optimizer_path, "optimizer", name)
        if name not in registry.optimizers:
            hint = nearest(name, registry.optimizers)
            self.fault("E077", f"no optimizer named `{name}`", *path, hint=hint, key=True)
        elif self.arguments(registry.optimizers[name], arguments, "E077", *path):
            try:
                check_optimizer(name, arguments)
            except ArgumentError as error:
                self.fault("E077", error.message, *path, hint=error.hint)
        try:
            right = self.arguments(entry_of(phase.schedule), phase.schedule, "E077", *schedule_path, "schedule")
            length = self.recipe.epochs or self.recipe.steps
            if right and length:
                refuse_short(phase.schedule, length)
        except ScheduleError as error:
            self.fault("E077", error.message, *schedule_path, "schedule", hint=error.hint)

    def loss(self, term: Term) -> CheckedTerm | None:
        """Check a term: look up its calls, and compare their number, outputs and shapes with what the loss takes."""
        entry = registry.losses[term.loss]
        right = self.arguments(entry, term.arguments, "E072", *term.path, beside=("weight",))
        where = (*term.path, term.loss)
        listed = isinstance(_at(self.recipe.resolved, where), list)
        found: list[list[Meaning]] = []
        for number, value in enumerate(term.inputs):
            try:
                found.append(self.values.outputs(value, (*where, number) if listed else where))
            except Reported:
                right = False
        if not right:
            return None
        wanted = entry.inputs
        if len(found) != len(wanted):
            inputs = f"{len(wanted)} input{'s' if len(wanted) != 1 else ''} ({', '.join(wanted)})"
            message, hint = (
                f"`{term.loss}` takes {inputs}, got {len(found)}",
                f"write `{term.loss}: [{', '.join(wanted)}]`",
            )
            self.fault("E072", message, *where, hint=hint if len(wanted) > 1 else f"write `{term.loss}: {wanted[0]}`")
            return None
        count = max(len(outputs) for outputs in found)
        if any(len(outputs) not in (1, count) for outputs in found):
            self.fault("E072", f"`{term.loss}` compares values with different numbers of outputs", *where)
            return None
        rows = [[outputs[min(turn, len(outputs) - 1)] for outputs in found] for turn in range(count)]
        if entry.same_shape and not all(self.agree(term.loss, row, where) for row in rows):
            return None
        if entry.differentiates and not all(self.differentiable(term.loss, row, where) for row in rows):
            return None
        if not all(self.large_enough(entry, term, row, where) for row in rows):
            return None
        return CheckedTerm(term, entry, tuple(map(tuple, rows)))

    def agree(self, loss: str, row: Sequence[Meaning], where: tuple[str, ...]) -> bool:
        """Whether the inputs of a loss have the same shape; report a fault if not."""
        first, *others = row
        for other in others:
            if _differ(first.shape, other.shape):
                sizes = ", ".join(f"`{each.value}` is {words(each.shape)}" for each in (first, other))
                message = f"`{loss}` compares images of one shape: {sizes}"
                like = [band for band, own in self.values.bands.items() if not _differ(first.shape, own.shape)]
                hint = f"compare it with {' or '.join(f'`{band}`' for band in like)}" if like else None
                self.fault("E076", message, *where, hint=hint)
                return False
        return True

    def differentiable(self, loss: str, row: Sequence[Meaning], where: tuple[str, ...]) -> bool:
        """Whether the inputs of a loss are a score and an image that the score depends on; report a fault if not."""
        score, point = (each.value for each in row)
        if point != score and point in score.walk():
            return True
        message = f"`{loss}` differentiates `{score}` in `{point}`, from which it is not computed"
        self.fault("E072", message, *where, hint=f"give it a score and its image, such as `[critic({point}), {point}]`")
        return False

    def large_enough(self, entry: LossEntry, term: Term, row: Sequence[Meaning], where: tuple[str, ...]) -> bool:
        """Whether images of known size are large enough for a loss; report a fault if not."""
        try:
            least = entry.least_side(term.arguments)
        except LossInputError as error:
            self.fault("E072", error.message, *term.path, hint=error.hint)
            return False
        for each in row:
            if any(size is not None and size < least for size in each.shape[-2:]):
                size = words(each.shape)
                message = f"`{term.loss}` takes images of at least {least}x{least}, `{each.value}` is {size}"
                self.fault("E034", message, *where)
                return False
        return True

    def arguments(
        self, entry: Entry, given: Mapping[str, Any], code: str, *path: str, beside: Sequence[str] = ()
    ) -> bool:
        """Whether the arguments of a registered thing fit its schemas; report each fault at its place.

        `beside` are further keys of the mapping, which are not arguments.
        """
        before = len(self.problems)
        for name, problem in entry.problems(given):
            unknown = name in given and name not in entry.parameters
            where = [*path, *([name] if name in given else [])]
            hint = nearest(name, [*entry.parameters, *beside]) if unknown else problem.hint
            self.fault(code, problem.message, *where, key=unknown, hint=hint)
        return len(self.problems) == before

    def augmentations(self) -> None:
        """Check each augmentation, its arguments, and that the data have bands that it changes."""
        data = self.recipe.data
        source = registry.sources.get(data.source)
        own = source.bands_of(data.arguments) if source else self.bands
        for name, arguments in data.augment.items():
            path = ("data", "augment", name)
            if name not in registry.augmentations:
                hint = (
                    f"`{name}` stands beside `augment`" if name in GEOMETRY else nearest(name, registry.augmentations)
                )
                self.fault("E086", f"no augmentation named `{name}`", *path, hint=hint, key=True)
                continue
            entry = registry.augmentations[name]
            if not self.arguments(entry, arguments, "E086", *path):
                continue
            unknown = [(number, band) for number, band in enumerate(arguments.get("bands") or ()) if band not in own]
            for number, band in unknown:
                self.fault("E070", f"the data have no band `{band}`", *path, "bands", number, hint=nearest(band, own))
            if not unknown and not entry.bands(arguments, own):
                count = f"{entry.channels} channel{'s' * (entry.channels != 1)}"
                message = f"`{name}` changes bands of {count}, and the data have none"
                self.fault("E086", message, *path, key=True, hint=f"say which: `bands: [{self.recipe.source}]`")

    def data(self) -> None:
        """Check the data source, its arguments, and that it gives paired or unpaired images as the task asks."""
        self.augmentations()
        name, arguments = self.recipe.data.source, self.recipe.data.arguments
        bare = isinstance(self.recipe.resolved["data"]["source"], str)
        path = ("data", "source") if bare else ("data", "source", name)
        if name not in registry.sources:
            hint = nearest(name, registry.sources)
            self.fault("E074", f"no data source named `{name}`", *path, hint=hint, key=not bare)
            return
        entry, asked = registry.sources[name], self.recipe.pairing
        self.arguments(entry, arguments, "E072", *path)
        if asked not in entry.pairing:
            given = " or ".join(entry.pairing)
            message = f"the task is {asked}, and the data source `{name}` gives {given} images only"
            hint = f"say `pairing: {given}` in `task`, or take another source"
            self.fault("E079", message, *path, hint=hint, key=not bare)
        self.geometry()

    def geometry(self) -> None:
        """Check that the window is not larger than what it is cut out of."""
        data = self.recipe.data
        load, size = (_sides(data.geometry.get(key)) for key in ("load", "size"))
        if load and size and (size[0] > load[0] or size[1] > load[1]):
            message = (
                f"the window `size` {size[0]}x{size[1]} is larger than `load` {load[0]}x{load[1]}, of which it is cut"
            )
            self.fault("E006", message, "data", "size", hint="make `size` smaller, or `load` larger")

    def networks(self, steps: Sequence[CheckedPhase]) -> None:
        """Check that every network is trained, unless frozen, and that phases train what their losses depend on."""
        phases, known = self.recipe.phases, self.recipe.networks.keys()
        if not phases or any({*phase.train} - known for phase in phases):
            return  # what trains a network is unknown, which is reported
        for name, network in self.recipe.networks.items():
            trained = any(name in step.phase.train for step in steps)
            if not trained and not network.frozen:
                hint = "add it to `train` of a phase, or say `frozen: true`"
                self.fault("E075", f"no phase trains the network `{name}`", "networks", name, key=True, hint=hint)
        if self.problems:
            return
        for step in steps:
            short = "losses" in self.recipe.resolved
            path = () if short else ("phases", step.phase.name)
            reached: set[str] = set()
            astray = False
            for name, loss in step.losses.items():
                own = {network for value in loss.learned_from() for network in reaches(value, self.plans)}
                if not own & set(step.phase.train):
                    message = f"the loss `{name}` depends on no network that its phase trains"
                    others = " or ".join(f"`{each}`" for each in sorted(own))
                    hint = f"put it in a phase that trains {others}" if own else None
                    self.fault("E075", message, *path, "losses", name, key=True, hint=hint)
                    astray = True
                reached |= own
            for number, name in enumerate(step.phase.train):
                if name not in reached and not astray:  # else its own loss is the one that was just told
                    message = f"the phase `{step.phase.name}` trains `{name}`, and none of its losses depends on it"
                    where = ("networks", name) if short else (*path, "train", number)
                    hint = f"give it a loss of what `{name}` makes, or say `frozen: true` of it"
                    self.fault("E075", message, *where, key=short, hint=hint)

    def result(self) -> Meaning | None:
        """The value that is the translation: `evaluate.output`, or else the first value of the flow."""
        given = self.recipe.evaluate.output
        name = given or next(iter(self.recipe.resolved["flow"]))
        base, _, part = name.partition(".")
        if base not in self.recipe.resolved["flow"]:
            hint = nearest(base, self.recipe.flow)
            self.fault("E070", f"no value named `{base}` in the flow", "evaluate", "output", hint=hint)
            return None
        self.values.used.add(base)
        value = Value("name", base)
        where = ("evaluate", "output") if given else ("flow", name)
        try:
            found = self.values.look_up(Value("part", part, (value,)) if part else value, where)
        except Reported:
            return None
        channels = self.bands.get(self.recipe.target)
        if None not in (found.shape[0], channels) and found.shape[0] != channels:
            message = f"the result `{name}` has {found.shape[0]} channels, `{self.recipe.target}` has {channels}"
            self.fault("E076", message, *where)
        return found

    def papers(self) -> None:
        """Check that figures of papers are given for metrics that are registered."""
        alone = isinstance(self.recipe.resolved.get("paper"), Mapping)
        for number, paper in enumerate(self.recipe.paper):
            for name in (name for name in paper.values if name not in registry.metrics):
                path = ("paper", *(() if alone else (number,)), "values", name)
                self.fault("E070", f"no metric named `{name}`", *path, hint=nearest(name, registry.metrics), key=True)

    def kept(self) -> frozenset[Value]:
        """The values that `keep` names."""
        found = set()
        for number, name in enumerate(self.recipe.keep):
            if name not in self.recipe.resolved["flow"]:
                hint = nearest(name, self.recipe.flow)
                self.fault("E070", f"no value named `{name}` in the flow", "keep", number, hint=hint)
                continue
            try:
                found.add(call_of(self.values.look_up(Value("name", name), ("keep", number)).value))
            except Reported:
                continue
        return frozenset(found)

    def order(self, steps: Sequence[CheckedPhase], kept: frozenset[Value]) -> None:
        """Check that what is kept can be kept: no phase learns by it afterwards, and a step has one batch."""
        if self.problems:
            return
        names = {call_of(self.values.flow(name).value): (number, name) for number, name in enumerate(self.recipe.keep)}
        for turn in turns(steps, kept, self.plans):
            for value in turn.kept:
                number, name = names[value]
                if learning := sorted(turn.phase.learns_by(value, self.plans)):
                    phase, network = turn.phase.phase.name, learning[0]
                    message = (
                        f"`{name}` is kept as it was before `{network}` was trained, and `{phase}` trains it by that"
                    )
                    hint = f"leave `{name}` out of `keep`, or train `{network}` once a step"
                    self.fault("E075", message, "keep", number, hint=hint)
                    return
                if (batches := self.recipe.accumulate) > 1:
                    message = f"`{name}` cannot be kept from phase to phase where `accumulate` is {batches}"
                    self.fault("E075", message, "keep", number, hint="leave out `accumulate`, or say `keep: null`")
                    return

    def unused(self) -> None:
        if self.problems:
            return
        for section in ("flow", "networks"):
            what = "value" if section == "flow" else "network"
            for name in (name for name in getattr(self.recipe, section) if name not in self.values.used):
                self.fault("E021", f"the {what} `{name}` is never used", section, name, key=True, hint="remove it")

    def fault(self, code: str, message: str, *path: str | int, hint: Hint = None, key: bool = False) -> None:
        self.problems.add(code, message, self.recipe.at(*path, key=key), hint)


def _window(recipe: Recipe) -> tuple[int, int] | None:
    """Height and width of the images in training; None if the recipe does not fix them."""
    return _sides(recipe.data.geometry.get("size") or recipe.data.geometry.get("load"))


def _differ(one: Shape, other: Shape) -> bool:
    """Whether two shapes differ in what is known of both."""
    return any(a != b for a, b in zip(one, other, strict=True) if None not in (a, b))


def _sides(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width of a size that may be one number for both."""
    return (size, size) if isinstance(size, int) else size


def _at(data: Any, path: Sequence[str]) -> Any:
    for step in path:
        data = data[step]
    return data
