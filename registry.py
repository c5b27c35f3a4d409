"""Names to blocks, wrappers, losses and data sources: the only mutable global of the library.

The registry is closed: a YAML file can name what is registered here and nothing else, never a
Python path. Each registered thing carries what the YAML layers need to check, document and cite it.
This module imports neither torch nor any other part of crossband.
"""

import difflib
import importlib.util
import inspect
import itertools
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

if __name__ != "crossband.registry":  # a second copy would be a second, empty registry
    raise ImportError("import `crossband.registry`, not `registry`: run from outside the repository root")

REQUIRED = inspect.Parameter.empty
MANY = 500  # names among which a near one is looked for


class CrossbandError(Exception):
    """Base of every error that crossband raises on purpose: its text is meant for the user."""


class RegistryError(CrossbandError, KeyError):
    """A name is unknown or taken."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


class ArgumentError(CrossbandError, ValueError):
    """A registered thing was given an argument that it does not take."""


@dataclass(frozen=True)
class Parameter:
    """One keyword of a registered thing, with the JSON Schema of its values in YAML."""

    name: str
    schema: Mapping[str, Any]
    default: Any = REQUIRED

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(dict(self.schema))

    def problem(self, value: object) -> str | None:
        """What is wrong with `value`, in words for a user, or None where it fits."""
        fault = self.fault(value)
        return fault and fault[1]

    def fault(self, value: object) -> tuple[str, str] | None:
        """As `problem`, and before it the name of what is wrong: in a mapping that of the key, `split.test.every`."""
        value = _as_yaml(value)
        choices = [show(choice) for choice in self.schema.get("if", {}).get("enum", ())]
        for error in self._validator.iter_errors(value):
            keys = itertools.takewhile(lambda key: isinstance(key, str), error.absolute_path)
            text = explain(error)
            if choices:
                text = text.replace("must be ", f"must be {' or '.join(choices)} or ", 1)
            return ".".join([self.name, *map(str, keys)]), text
        return None


@dataclass(frozen=True)
class Entry:
    """A registered thing: what it is called, what it takes, what it says of itself, where it is from."""

    kind: str
    name: str
    factory: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    doc: str
    origin: str
    cite: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def problems(self, arguments: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Each wrong, unknown or missing argument as `(name, message)`."""
        for name, value in arguments.items():
            if name not in self.parameters:
                yield name, f"{self.name} has no parameter `{name}`{hint(name, self.parameters)}"
            elif fault := self.parameters[name].fault(value):
                yield name, f"{self.name}: `{fault[0]}` {fault[1]}"
        for name, parameter in self.parameters.items():
            if parameter.required and name not in arguments:
                yield name, f"{self.name} needs the parameter `{name}`"

    def check(self, arguments: Mapping[str, object]) -> None:
        """Raise ArgumentError that names every argument that is wrong."""
        if problems := [message for _, message in self.problems(arguments)]:
            raise ArgumentError("\n".join(problems))


class Registry(Mapping[str, Entry]):
    """The entries of one kind by name. Looking a name up loads the installed plugins first."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(
        self,
        name: str,
        factory: Callable[..., Any],
        *,
        parameters: Mapping[str, Parameter] | None = None,
        cite: str | None = None,
        **facts: Any,
    ) -> Entry:
        """Add `factory` under `name`. Raises RegistryError, naming both origins, if the name is taken."""
        origin = _origin(factory)
        if (other := self._entries.get(name)) and other.origin != origin:
            raise RegistryError(
                f"the {self.kind} `{name}` is registered twice: {other.origin} and {origin}\nhint: rename one of them"
            )
        entry = Entry(
            kind=self.kind,
            name=name,
            factory=factory,
            parameters=parameters_of(factory) if parameters is None else parameters,
            doc=inspect.cleandoc(factory.__doc__ or ""),
            origin=origin,
            cite=cite,
            facts=facts,
        )
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> Entry:
        load_plugins()
        try:
            return self._entries[name]
        except KeyError:
            broken = "".join(f"\nnote: {failure}" for failure in plugin_failures)
            raise RegistryError(f"no {self.kind} named `{name}`{hint(name, self._entries)}{broken}") from None

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        load_plugins()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._entries


blocks = Registry("block")
wrappers = Registry("wrapper")
losses = Registry("loss")
sources = Registry("data source")
plugin_failures: list[str] = []
_loaded: set[str] = set()


def load_plugins() -> None:
    """Import every module of the entry-point group `crossband.plugins`, once.

    A plugin that fails to import is set aside and named in `plugin_failures`: one stale import must
    not take the rest of the registry down.
    """
    if "entry points" in _loaded:
        return
    _loaded.add("entry points")  # first, so that a plugin may itself look names up
    for point in entry_points(group="crossband.plugins"):
        try:
            point.load()
        except Exception as error:
            plugin_failures.append(f"the plugin `{point.name}` did not load: {error!r}")


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Run one Python file that registers things. Raises CrossbandError if there is no such file."""
    file = Path(path).resolve()
    if str(file) in _loaded:
        return
    if not file.is_file():
        raise CrossbandError(f"{path}: no such plugin file")
    name = f"crossband_plugin_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise CrossbandError(f"{path}: a plugin is a Python file, its name ends in `.py`")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickled instances of its classes are found by this name
    try:
        spec.loader.exec_module(module)
    except CrossbandError:
        raise
    except Exception as error:
        raise CrossbandError(f"{path}: the plugin did not load: {error!r}") from error
    _loaded.add(str(file))


def _as_yaml(value: object) -> object:
    """`value` with its tuples as lists, at any depth: YAML and JSON Schema know one kind of sequence."""
    if isinstance(value, Mapping):
        return {key: _as_yaml(item) for key, item in value.items()}
    return [_as_yaml(item) for item in value] if isinstance(value, (list, tuple)) else value


def near(name: str, known: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """The known names most like `name`, best first, letter case aside; none where too many are known to compare."""
    if len(known) > MANY:
        return []
    by_lower = {other.lower(): other for other in known}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]


def hint(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """A `hint:` line with the nearest known name, with all of them if they are few, or nothing."""
    if names := near(name, known):
        return f"\nhint: did you mean `{names[0]}`?"
    if 0 < len(known) <= 12:
        return f"\nhint: choose from {', '.join(f'`{other}`' for other in known)}"
    return ""


def explain(error: Any) -> str:
    """A jsonschema ValidationError in words that follow the name of the thing: "must be at least 1, got 0"."""
    found, limit = show(error.instance), error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        odd = next(key for key in error.instance if key not in known)
        return f"takes no key `{odd}`{hint(odd, known)}"
    wanted = {
        "type": lambda: f"must be {_type_words(limit)}",
        "enum": lambda: f"must be one of {', '.join(show(choice) for choice in limit)}",
        "const": lambda: f"must be {show(limit)}",
        "minimum": lambda: f"must be at least {limit}",
        "maximum": lambda: f"must be at most {limit}",
        "exclusiveMinimum": lambda: f"must be more than {limit}",
        "exclusiveMaximum": lambda: f"must be less than {limit}",
        "multipleOf": lambda: f"must be a multiple of {limit}",
        "minItems": lambda: f"must have at least {limit} items" if limit > 1 else "must not be empty",
        "maxItems": lambda: f"must have at most {limit} items",
        "minLength": lambda: "must not be empty",
        "minProperties": lambda: "must not be empty",
    }.get(error.validator)
    return f"{wanted()}, got {found}" if wanted else f"is not valid: {error.message}"


def show(value: object) -> str:
    """A value as YAML writes it, short enough for a message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"`{value}`" if len(value) < 60 else f"`{value[:57]}...`"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence):
        return "a list" if len(value) > 8 else "[" + ", ".join(show(item) for item in value) + "]"
    return repr(value)


def _type_words(kinds: str | Sequence[str]) -> str:
    words = {
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
        "array": "a list",
        "object": "a mapping",
    }
    return " or ".join(words[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


def parameters_of(factory: Callable[..., Any], *, skip: Sequence[str] = ()) -> dict[str, Parameter]:
    """The keyword parameters of a class or function, with schemas from its type hints.

    `skip` names parameters that something other than YAML supplies. Raises RegistryError on a
    parameter without a type hint, or with one that YAML cannot express.
    """
    function = factory.__init__ if isinstance(factory, type) else factory
    hints = typing.get_type_hints(function, include_extras=True)
    found: dict[str, Parameter] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if name in skip:
            continue
        try:
            schema = schema_of(hints[name])
        except (KeyError, TypeError) as error:
            raise RegistryError(
                f"{_origin(factory)}: the parameter `{name}` needs a type hint that YAML knows: {error}"
            ) from None
        default = _as_yaml(parameter.default)
        if default is not REQUIRED:
            schema = {**schema, "default": default}
        found[name] = Parameter(name, schema, default)
    return found


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a type hint: numbers, text, bool, None, Literal, list, tuple, dict, TypedDict, unions,
    and `Annotated` with the bounds of the annotated-types package. Raises TypeError on anything else."""
    plain = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
    if hint in plain:
        return {"type": plain[hint]}
    if typing.is_typeddict(hint):
        keys = {name: schema_of(each) for name, each in typing.get_type_hints(hint, include_extras=True).items()}
        needed = sorted(hint.__required_keys__)
        schema = {"type": "object", "properties": keys, "additionalProperties": False}
        return {**schema, "required": needed} if needed else schema
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        schema = schema_of(arguments[0])
        for bound in arguments[1:]:
            schema |= _bound(bound, schema)
        return schema
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return _union([schema_of(argument) for argument in arguments])
    if origin is tuple and Ellipsis not in arguments:
        items = [schema_of(argument) for argument in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin in (list, tuple, Sequence):
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    raise TypeError(f"no schema for {hint!r}")


def _bound(bound: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    length = "Items" if schema.get("type") == "array" else "Length"
    keywords = {
        "ge": "minimum",
        "le": "maximum",
        "gt": "exclusiveMinimum",
        "lt": "exclusiveMaximum",
        "multiple_of": "multipleOf",
        "min_length": f"min{length}",
        "max_length": f"max{length}",
    }
    found = {key: getattr(bound, name) for name, key in keywords.items() if getattr(bound, name, None) is not None}
    if not found:
        raise TypeError(f"no schema for the bound {bound!r}")
    return found


def _union(members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One schema for "this or that". Types that differ share one schema: its messages are the clearest."""
    if all("type" in member for member in members):
        merged: dict[str, Any] = {}
        for member in members:
            merged |= member
        return {**merged, "type": [member["type"] for member in members]}
    choices = [
        choice for member in members for choice in member.get("enum", [None] if member == {"type": "null"} else [])
    ]
    others = [member for member in members if "enum" not in member and member != {"type": "null"}]
    if not others:
        return {"enum": choices}
    [other] = others  # text choices beside one other type, such as `"same"` beside a number
    return {"if": {"enum": choices}, "then": {}, "else": other}


def _origin(thing: Callable[..., Any]) -> str:
    """Where a class or function is written, as `file:line`."""
    thing = inspect.unwrap(thing)
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return f"{thing.__module__}.{thing.__qualname__}"
