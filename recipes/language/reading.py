"""Read a recipe file into a `Recipe`: merge its parents, work out its expressions, validate its structure."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crossband import registry
from crossband.graphs.language.diagnostics import Hint, Place, Problems
from crossband.graphs.language.document import Document
from crossband.graphs.language.files import real
from crossband.graphs.language.limits import MAX_PARENTS
from crossband.graphs.language.reader import read
from crossband.graphs.language.validate import is_of_kind, validate
from crossband.graphs.language.writer import flow
from crossband.recipes.kinds.schedule import CONSTANT, how_to_write
from crossband.recipes.language.bands import ROLES, bound, in_place_of
from crossband.recipes.language.catalog import RECIPES
from crossband.recipes.language.flow import CallError, Value, parse
from crossband.recipes.language.layers import SETTINGS, Layers, Setting, read_setting, worked_out
from crossband.recipes.language.paths import with_absolute_paths
from crossband.recipes.language.ramps import Ramp, RampError, ramp_of
from crossband.recipes.language.schema import FORMS, PATCH, complete_schema
from crossband.recipes.language.syntax import Data, Every, Figure, Measure, Network, Paper, Phase, Recipe, Term
from crossband.registry import correction, nearest

GEOMETRY = ("size", "load", "crop", "flip", "flip_vertical")
REMOVE = "remove one; `epochs: null` removes an inherited one"
RUNNING = ("epochs", "steps", "seed", "device", "accumulate", "clip", "ema")


class PartOfRecipe(NamedTuple):
    """What a recipe says of images, where it has no networks: `task` as it is written, the images, how to measure."""

    task: Mapping[str, Any] | None
    data: Data
    evaluate: Measure


def shipped() -> list[str]:
    """The names of the recipes that come with the library."""
    return list(RECIPES.files())


def load_recipe(name: str | Path, overrides: Sequence[str | Setting] = ()) -> Recipe:
    """The recipe of a shipped name or a path, with `key=value` overrides, or settings that another file says.

    Raises InvalidFile with every fault.
    """
    problems = Problems()
    return problems.value(load_recipe_into(name, problems, overrides))


def load_recipe_into(name: str | Path, problems: Problems, overrides: Sequence[str | Setting] = ()) -> Recipe | None:
    """Like `load_recipe`, but add faults to `problems`.

    Returns None if the structure is wrong, otherwise what could be read, so that the checker can find further faults.
    """
    given = (each if isinstance(each, Setting) else read_setting(each, problems) for each in overrides)
    settings = [setting for setting in given if setting]
    documents = _documents(str(name), problems)
    return read_recipe(documents, settings, problems) if documents and not problems else None


def read_recipe(documents: Sequence[Document], settings: Sequence[Setting], problems: Problems) -> Recipe | None:
    """The recipe of these documents, the strongest first, with these settings."""
    layers = Layers(documents, settings).with_variants(problems)
    if not layers.settings_fit(problems):
        return None
    data = worked_out(layers, problems)
    layers.__dict__["data"] = data  # from here on with expressions worked out
    if not validate(layers, complete_schema(), problems, "recipe", FORMS):
        return None
    data = with_absolute_paths(data, layers)
    variants = {name: data.pop(name, {}) for name in ("variants", "variant")}["variants"]  # applied, or not chosen
    return _Parser(layers, problems, bound(data["task"])).recipe(data, tuple(variants))


def _documents(name: str, problems: Problems) -> list[Document] | None:
    """The file of a recipe and of each recipe it extends, in this order."""
    found: list[Document] = []
    seen: set[Path] = set()
    place: Place | None = None
    while True:
        path = RECIPES.look_up(name, place, problems, "E078")
        if path is None:
            return None
        if real(path) in seen:
            problems.add("E050", f"`{name}` extends itself", place, "remove `extends` from one of the files")
            return None
        seen.add(real(path))
        own = Problems()
        document = read(path, own)
        for each in own:
            problems.take(each, [(f"`{name}` is extended here", place)] if place else ())
        if document is None or not _is_mapping(document, problems) or not is_of_kind(document, "recipe", problems):
            return None
        found.append(document)
        if not isinstance(document.data.get("extends"), str | None):
            message = f"`extends` must be text, got {registry.show(document.data['extends'])}"
            problems.add("E006", message, document.place("extends"), "name one recipe: `extends: u2net`")
            return None
        if document.data.get("extends") is None:
            return found
        if len(found) > MAX_PARENTS:
            hint = "extend a recipe nearer to the first"
            problems.add("E050", f"recipes extend each other more than {MAX_PARENTS} deep", place, hint)
            return None
        name, place = document.data["extends"], document.place("extends")


def _is_mapping(document: Document, problems: Problems) -> bool:
    if isinstance(document.data, dict):
        return True
    problems.add("E006", "a recipe is a mapping of keys", document.place(), "it begins with `recipe: its_name`")
    return False


def read_part(documents: Sequence[Document], settings: Sequence[Setting], problems: Problems) -> PartOfRecipe | None:
    """What recipe files without networks say of images: their task, source and measures. None after reporting a fault.

    Weights alone have no more of a recipe: other settings are reported.
    """
    layers, schema = Layers(documents, settings), complete_schema()
    own = {key: schema["properties"][key] for key in ("task", "data", "evaluate")}
    own["data"] = {**own["data"], "properties": {"source": own["data"]["properties"]["source"]}}
    if not validate(layers, {**schema, "properties": own, "required": ["data"]}, problems, "recipe", FORMS):
        return None
    data = with_absolute_paths(layers.data, layers)
    parser = _Parser(layers, problems, bound(data.get("task")))
    return PartOfRecipe(data.get("task"), parser.data(data["data"]), parser.measure(data.get("evaluate", {})))


class _Parser:
    def __init__(self, layers: Layers, problems: Problems, bands: Mapping[str, tuple[str, ...]]) -> None:
        self.layers = layers
        self.problems = problems
        self.bands = bands

    def recipe(self, data: Mapping[str, Any], variants: tuple[str, ...]) -> Recipe:
        task = data["task"]
        found = Recipe(
            name=data["recipe"],
            sources=self.bands["source"],
            target=task["to"],
            pairing=task.get("pairing", "paired"),
            networks={name: self.network(network) for name, network in data["networks"].items()},
            flow={name: value for name, text in data["flow"].items() if (value := self.value(text, "flow", name))},
            phases=self.phases(data),
            data=self.data(data["data"]),
            layers=self.layers,
            resolved=data,
            variants=variants,
            precision=str(data.get("precision", "32")),
            keep=tuple(data.get("keep", ())),
            every=Every(**data.get("every", {})),
            evaluate=self.measure(data.get("evaluate", {})),
            paper=self.papers(data.get("paper", [])),
            **{key: data[key] for key in RUNNING if key in data},
        )
        if found.epochs and found.steps:
            self.fault("E007", "`epochs` and `steps` are both given", "steps", key=True, hint=REMOVE)
        elif not (found.epochs or found.steps):
            message, hint = "the recipe does not say how long it trains", "add `epochs: 100`, or `steps: 10000`"
            self.fault("E007", message, "epochs", hint=hint)
        return found

    def network(self, written: Mapping[str, Any]) -> Network:
        """A network, what it says of its graph apart from what it says of itself."""
        own = {key: value for key, value in written.items() if key not in PATCH}
        own |= {"gives": self.band(own["gives"])} if "gives" in own else {}
        return Network(**own, patch={key: value for key, value in written.items() if key in PATCH})

    def phases(self, data: Mapping[str, Any]) -> tuple[Phase, ...]:
        """The phases in order. `losses` at the top level are short for one phase that trains every network."""
        if "phases" in data and "losses" in data:
            hint = "remove one: `losses` at the top are short for one phase that trains every network"
            self.fault("E007", "`losses` and `phases` are both given", "losses", key=True, hint=hint)
            return ()
        if "phases" not in data and "losses" not in data:
            hint = "add `losses: {pixel: {l1: [fake, target]}}`, or `phases`"
            self.fault("E007", "the recipe needs one of `losses` and `phases`", "losses", hint=hint)
            return ()
        if "losses" in data:
            every = [name for name, network in data["networks"].items() if not network.get("frozen", False)]
            phase = {"train": every, "losses": data["losses"]}
            return (self.phase("generator", phase, data, ()),)
        written = list(data["phases"])
        order = data.get("order", written)
        if "order" not in data and (late := self.layers.added("phases")):
            names = ", ".join(written)
            message = (
                f"the phase `{late[0]}` is added to those of another recipe, which does not say when it is its turn"
            )
            self.fault(
                "E075", message, "phases", late[0], hint=f"say the order of all, such as `order: [{names}]`", key=True
            )
        if sorted(order) != sorted(written):
            names = ", ".join(f"`{name}`" for name in written)
            self.fault("E075", "`order` names every phase once", "order", hint=f"the phases are {names}")
            order = written
        return tuple(self.phase(name, data["phases"][name], data, ("phases", name)) for name in order)

    def phase(self, name: str, phase: Mapping[str, Any], data: Mapping[str, Any], path: tuple[str, ...]) -> Phase:
        schedule = phase.get("schedule", data.get("schedule", "constant"))
        where = path if "optimizer" in phase else ()
        optimizer = self.one_key(phase.get("optimizer", data["optimizer"]), "optimizer", *where, "optimizer")
        if isinstance(schedule, str) and schedule != CONSTANT:
            where = path if "schedule" in phase else ()
            known = schedule in registry.schedules
            message = f"the schedule `{schedule}` needs values" if known else f"no schedule named `{schedule}`"
            self.fault("E077", message, *where, "schedule", hint=how_to_write(schedule))
        return Phase(
            name=name,
            train=tuple(phase["train"]),
            terms={
                key: term
                for key, written in phase["losses"].items()
                if (term := self.term(written, (*path, "losses", key)))
            },
            optimizer=optimizer,
            schedule={} if isinstance(schedule, str) else schedule,
            repeat=phase.get("repeat", 1),
            fresh=phase.get("fresh", False),
        )

    def band(self, word: str) -> str:
        """The band that a word stands for: `source`, `target`, or the band so called."""
        bands = self.bands.get(word, ())
        return bands[0] if len(bands) == 1 else word

    def term(self, written: Mapping[str, Any], path: tuple[str, ...]) -> Term | None:
        """A term of an objective: the key that names a loss, its inputs, arguments and weight."""
        named = [key for key in written if key in registry.losses]
        if len(named) > 1:
            both = " and ".join(f"`{name}`" for name in named)
            self.fault("E072", f"a term has one loss, here are {both}", *path, hint="make a term of each")
            return None
        if not named:
            odd = next((key for key, value in written.items() if isinstance(value, str | list)), next(iter(written)))
            lists = "`crossband ls losses` lists them; one of your own comes by `--plugin FILE`"
            hint = nearest(re.sub(r"_?loss$", "", odd, flags=re.IGNORECASE), registry.losses, otherwise=lists)
            self.fault("E073", f"no loss named `{odd}`", *path, odd, hint=hint, key=True)
            return None
        inputs = self.inputs(written[named[0]], (*path, named[0]))
        weight = self.weight(written.get("weight", 1.0), (*path, "weight"))
        if weight is None:
            return None
        arguments = {key: value for key, value in written.items() if key not in (named[0], "weight")}
        return Term(named[0], inputs, arguments, weight, path) if inputs else None

    def weight(self, written: Any, path: tuple[str, ...]) -> float | Ramp | None:
        """The weight of a term: a number, or how it changes."""
        if isinstance(written, Mapping):
            try:
                return ramp_of(written)
            except RampError as error:
                where = (*path, error.key) if error.key else path
                self.fault("E072", error.message, *where, hint=error.hint)
                return None
        if isinstance(written, bool) or not isinstance(written, int | float):
            message = f"`weight` must be a number, got {registry.show(written)}"
            self.fault("E006", message, *path, hint=correction(written, "number"))
            return None
        return float(written)

    def inputs(self, written: Any, path: tuple[str, ...]) -> tuple[Value, ...]:
        if isinstance(written, str):
            found = [self.value(written, *path)]
        elif isinstance(written, list) and all(isinstance(text, str) for text in written):
            found = [self.value(text, *path, number) for number, text in enumerate(written)]
        else:
            odd = next(((n, each) for n, each in enumerate(_list(written)) if not isinstance(each, str)), None)
            where, value = ((*path, odd[0]), odd[1]) if odd else (path, written)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            hint = f"write `weight: {value}` beside `{path[-1]}`" if number else f"write `{path[-1]}: [fake, target]`"
            self.fault("E006", f"`{path[-1]}` takes values of the flow, got {registry.show(value)}", *where, hint=hint)
            return ()
        return tuple(value for value in found if value) if all(found) else ()

    def data(self, data: Mapping[str, Any]) -> Data:
        name, arguments = self.one_key(data["source"], "data source", "data", "source")
        low, high = data.get("range", (0.0, 1.0))
        if low >= high:
            message = f"`range` is the lower and then the higher end, got {registry.show(data['range'])}"
            self.fault("E006", message, "data", "range", hint="write `range: [-1, 1]`, or leave it out for [0, 1]")
            low, high = 0.0, 1.0
        geometry = {key: _pair(data[key]) for key in GEOMETRY if key in data}
        return Data(
            name,
            arguments,
            geometry,
            data.get("batch", 1),
            (float(low), float(high)),
            data.get("channels", {}),
            data.get("workers", 0),
            data.get("cache"),
            {name: arguments or {} for name, arguments in data.get("augment", {}).items()},
            data.get("align"),
        )

    def measure(self, written: Mapping[str, Any]) -> Measure:
        """How the result is measured."""
        return Measure(
            **{**written, **{key: tuple(written[key]) for key in ("metrics", "cost", "inside") if key in written}}
        )

    def papers(self, written: Any) -> tuple[Paper, ...]:
        """The figures of papers: one mapping, or a list of them."""
        found = []
        for row in [written] if isinstance(written, dict) else written:
            found.append(Paper(**{**row, "values": figures(row["values"])}))
        return tuple(found)

    def one_key(self, written: Any, what: str, *path: str) -> tuple[str, Mapping[str, Any]]:
        """A name with its arguments: `Name`, or `{Name: {...}}`."""
        if isinstance(written, str):
            return written, {}
        [name, *others] = written
        arguments = written[name]
        if others:
            message = f"one {what} is named here, got {', '.join(f'`{key}`' for key in written)}"
            self.fault("E006", message, *path, hint=self.instead(name, {others[-1]: written[others[-1]]}, *path))
        if arguments is not None and not isinstance(arguments, dict):
            self.fault("E006", f"`{name}` takes a mapping of arguments, got {registry.show(arguments)}", *path, name)
            return name, {}
        return name, arguments or {}

    def instead(self, name: str, other: Mapping[str, Any], *path: str) -> str:
        """The hint where a setting of one thing was meant to put it in the place of another."""
        if self.layers.place(*path, *other).file != SETTINGS:
            return f"remove all but one: `{name}`, or {' and '.join(f'`{key}`' for key in other)}"
        return f"to put it in the place of `{name}`, write `--set '{'.'.join(path)}={flow(other)}'`"

    def value(self, text: str, *path: str | int) -> Value | None:
        """Parse a call, with the bands in place of the words `source` and `target`."""

        def named(part: Value) -> Value:
            is_role = part.kind == "name" and part.name in ROLES
            return in_place_of(part, self.bands[part.name]) if is_role else part

        try:
            return parse(text).rebuilt(named)
        except CallError as error:
            place = self.layers.place(*path).within(error.offset, error.length)
            self.problems.add("E071", error.message, place, error.hint)
            return None

    def fault(self, code: str, message: str, *path: str | int, hint: Hint = None, key: bool = False) -> None:
        self.problems.add(code, message, self.layers.place(*path, key=key), hint)


def figures(written: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures of a paper by name, each a number, or a mapping of it and of how it is to be read."""
    return {name: Figure(**figure) if isinstance(figure, dict) else Figure(figure) for name, figure in written.items()}


def _list(written: Any) -> list[Any]:
    return written if isinstance(written, list) else []


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
