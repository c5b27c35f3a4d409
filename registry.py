"""Everything that a YAML file can name, kind by kind: the only mutable global of the library.

The registry is closed: a YAML file can name what is registered here and nothing else, never a
Python path. Each registered thing carries what the YAML layers need to check, document and cite it.
Beside the things made of Python it knows the folders of graphs, recipes and key maps, and the files of references.
This module imports neither torch nor any other part of crossband.
"""

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import itertools
import os
import re
import stat
import sys
import traceback
import types
import typing
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeAlias, TypeVar

if __name__ != "crossband.registry":  # a second copy would be a second, empty registry
    raise ImportError("import `crossband.registry`, not `registry`: run from outside the repository root")

ROOT = Path(__file__).parent
REQUIRED = inspect.Parameter.empty
MANY = 500  # names among which a near one is looked for
PLUGIN_BYTES = 10_000_000  # of one file
FEW = 16  # names that a hint lists
USUAL: Mapping[str, str] = {  # what parameters mean that have one meaning wherever they are
    "activation": "The activation behind it",
    "alpha": "Decay of the running mean of squares",
    "amsgrad": "Divide by the largest mean of squares so far",
    "betas": "Decay of the running means of the gradient and of its square",
    "bias": "Whether it adds a learned constant",
    "ceil": "Keep the rest of a side that does not divide: its last window is a smaller one",
    "centered": "Divide by the deviation of the gradient, not by its size",
    "dampening": "The share of a gradient that the momentum leaves out",
    "decoupled_weight_decay": "Draw weights to zero apart from the gradient",
    "dilation": "Pixels from one value of its window to the next",
    "dropout": "The share of values that training sets to zero",
    "eps": "Added to a divisor, so that it is never zero",
    "factor": "How many times larger or smaller the sides become",
    "groups": "Groups of channels that do not see each other",
    "heads": "Groups of channels, each of which attends by itself",
    "kernel": "Side of its window, in pixels",
    "lr": "The learning rate at the start",
    "mode": "How values between pixels are found",
    "momentum": "The share of the last step that the next one keeps",
    "momentum_decay": "How fast the momentum is let go",
    "nesterov": "Take the gradient where the momentum leads",
    "norm": "The normalisation behind it",
    "out": "Channels of the output",
    "pad_mode": "What images are padded with",
    "padding": "Pixels added on every side",
    "period": "The longest period of its sines, in units of the input",
    "seed": "What chance begins with",
    "stride": "Pixels from one window to the next",
    "weight_decay": "How strongly weights are drawn to zero",
}
ALIKE = 0.66  # of two names: the least part of their letters that agree, for a hint to name one for the other
SHOWN = 20  # errors of one group that an error which gathers them shows
LONGEST_WORD = 300  # characters of one word of a message, such as a name; a path is seldom longer
LONGEST_TEXT = 2000  # characters of one line of a message
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode categories of what acts on a terminal or has no glyph


def visible(text: str) -> str:
    r"""`text` as a terminal may be given it: what is no sign but acts on it is written as its number, `\u{1b}`.

    That is every control character but line break and tab, escapes among them, every mark that turns the direction of
    what is read, and what no font has. All that crossband prints goes through here: names, files and the messages
    of other libraries may be anybody's.
    """
    return re.sub(r"[^\n\t -~]", lambda found: _visible(found[0]), text)


def _visible(sign: str) -> str:
    return f"\\u{{{ord(sign):x}}}" if unicodedata.category(sign) in _UNSEEN else sign


class CrossbandError(Exception):
    """Base of every error that crossband raises on purpose: its text is meant for the user.

    `message` says what is wrong, `hint` what would be right (several on lines of their own), each of `notes` what
    else belongs to it. `faults` are the errors that it gathers, all of them, of which the message shows some.
    """

    of_one_process: ClassVar[bool] = False  # of several that train together, one alone may meet it

    def __init__(self, message: str, *, hint: str | None = None, notes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.notes = shortened(message), hint, tuple(notes)
        self.faults: tuple[CrossbandError, ...] = ()

    def __str__(self) -> str:
        hints = [f"hint: {hint}" for hint in shortened(self.hint).split("\n")] if self.hint else []
        return visible("\n".join([self.message, *hints, *(f"note: {shortened(note)}" for note in self.notes)]))

    @classmethod
    def gathered(cls, message: str | None, *groups: "Sequence[CrossbandError]", hint: str | None = None) -> Self:
        """One error for many: a few of each group in full, the others as a number, and every hint once."""
        lines, indent = [message] if message else [], "  " if message else ""
        for group in groups:
            lines += [f"{indent}{problem.message}" for problem in group[:SHOWN]]
            lines += [f"{indent}and {len(group) - SHOWN} more"] if len(group) > SHOWN else []
        problems = [problem for group in groups for problem in group]
        hints = dict.fromkeys([hint, *(problem.hint for problem in problems)])
        error = cls("\n".join(lines), hint="\n".join(filter(None, hints)) or None)
        error.faults = tuple(problems)
        return error


def shortened(text: str) -> str:
    """A message without what nobody reads: the end of an endless word or line. Names in files may be of any length."""
    if len(text) <= LONGEST_WORD:
        return text
    kept = LONGEST_WORD // 2
    text = re.sub(rf"\S{{{2 * kept + 4},}}", lambda word: f"{word[0][:kept]}...{word[0][-kept:]}", text)
    return "\n".join(line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..." for line in text.split("\n"))


class RegistryError(CrossbandError, KeyError):
    """A name is unknown or taken."""


class ArgumentError(CrossbandError, ValueError):
    """A registered thing was given an argument that it does not take."""


class Fault(NamedTuple):
    """What is wrong with a value: where (in a mapping the key, `split.test.every`), in what way, and the hint."""

    where: str
    message: str
    hint: str | None


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
        return validator(self.schema)

    def fault(self, value: object) -> "Fault | None":
        """What is wrong with `value`, or None where it fits."""
        value = _as_yaml(value)
        choices = [show(choice) for choice in self.schema.get("if", {}).get("enum", ())]
        for error in self._validator.iter_errors(value):
            keys = itertools.takewhile(lambda key: isinstance(key, str), error.absolute_path)
            message, hint = explain(error)
            if choices:
                message = message.replace("must be ", f"must be {' or '.join(choices)} or ", 1)
            return Fault(".".join([self.name, *map(str, keys)]), message, hint)
        return None


@dataclass(frozen=True, kw_only=True, repr=False)
class Entry:
    """A registered thing: what it is called, what it takes, what it says of itself, where it is from.

    Each kind has an entry of its own, with the facts of that kind, beside the decorator that registers it.
    """

    kind: ClassVar[str]

    name: str
    factory: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    doc: str
    origin: str
    cite: str | None = None

    def __repr__(self) -> str:
        return _named(self)

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of the parameters that may be left out."""
        return {name: parameter.default for name, parameter in self.parameters.items() if not parameter.required}

    def problems(self, arguments: Mapping[str, object]) -> Iterator[tuple[str, ArgumentError]]:
        """Each wrong, unknown or missing argument, by name."""
        for name, value in arguments.items():
            if name not in self.parameters:
                message = f"{self.name} has no parameter `{name}`"
                yield name, ArgumentError(message, hint=suggest(name, self.parameters))
            elif fault := self.parameters[name].fault(value):
                yield name, ArgumentError(f"{self.name}: `{fault.where}` {fault.message}", hint=fault.hint)
        for name in self.missing(arguments):
            yield name, ArgumentError(f"{self.name} needs the parameter `{name}`")

    def missing(self, arguments: Collection[str]) -> list[str]:
        """The parameters that must be given and are not, without those that an unknown argument seems to mean."""
        missing = [name for name, parameter in self.parameters.items() if parameter.required and name not in arguments]
        unknown = [name for name in arguments if name not in self.parameters] if missing else []
        misspelt = {meant for name in unknown[:MANY] for meant in near(name, missing)[:1]}
        return [name for name in missing if name not in misspelt]

    @property
    def module(self) -> str:
        """The module that defines it; that of a notebook, whose cells may be run again, is `__main__`."""
        return self.factory.__module__

    @property
    def ours(self) -> bool:
        """Whether the library itself registers it, and not a plugin or a notebook."""
        return self.module.partition(".")[0] == "crossband"

    def details(self) -> dict[str, Any]:
        """What there is to tell of a thing of this kind only, in the words of `crossband show`, as plain data."""
        return {}

    def describe(self) -> "Description":
        """What there is to read of it."""
        return Description(
            kind=self.kind,
            name=self.name,
            doc=self.doc,
            cite=(self.cite,) if self.cite else (),
            origin=self.origin.removeprefix(f"{ROOT}{os.sep}").replace(os.sep, "/"),
            parameters=self.parameters,
            details={key: value for key, value in self.details().items() if value},
        )

    def check(self, arguments: Mapping[str, object]) -> None:
        """Raise ArgumentError that names every argument that is wrong."""
        if problems := [problem for _, problem in self.problems(arguments)]:
            hints = [problem.hint for problem in problems if problem.hint]
            raise ArgumentError("\n".join(problem.message for problem in problems), hint="; ".join(hints) or None)


@dataclass(frozen=True, kw_only=True, repr=False)
class Description:
    """What there is to read of a thing with a name: plain data, which can be kept and read without importing the thing.

    It may be registered, or a YAML file. `origin` is `file:line`, or the file; what is ours is relative to the package.
    """

    kind: str
    name: str
    doc: str = ""
    cite: tuple[str, ...] = ()
    origin: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return _named(self)

    @property
    def summary(self) -> str:
        """The first sentence of the doc, without its full stop and without the shapes that may end it."""
        return summary(self.doc)

    def mentions(self, word: str) -> bool:
        """Whether its name or its doc has this word, or a part of it, in whatever case."""
        return word.lower() in f"{self.name}\n{self.doc}".lower()

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it, without what is empty."""
        found = {**vars(self), "cite": list(self.cite)}
        found["params"] = {name: dict(parameter.schema) for name, parameter in found.pop("parameters").items()}
        return {key: value for key, value in found.items() if value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Description":
        """The description that `as_dict` gave."""
        found = {**data, "cite": tuple(data.get("cite", ()))}
        schemas = found.pop("params", {}).items()
        parameters = {name: Parameter(name, schema, schema.get("default", REQUIRED)) for name, schema in schemas}
        return cls(**found, parameters=parameters)


def _named(thing: Entry | Description) -> str:
    """A thing on one line: `<block RSU: depth, mid, out, dilated>`."""
    return f"<{thing.kind} {thing.name}{': ' * bool(thing.parameters)}{', '.join(thing.parameters)}>"


Described = Entry | Description  # both have a name, parameters, a doc, the source to cite and an origin


@dataclass(frozen=True)
class Format:
    """What a text is, as JSON Schema says it by `format`."""

    name: str


FilePath: TypeAlias = Annotated[str, Format("path")]  # of a parameter: in YAML, relative to the file that says it
E = TypeVar("E", bound=Entry)


class Kind(Mapping[str, E]):
    """The registered things of one kind, by name.

    `homes` are the modules whose import registers what the library has of this kind. The first look at a kind
    imports them, and the installed plugins; so does the first thing of a plugin, that ours come before it.
    """

    def __init__(self, name: str, plural: str, homes: Sequence[str]) -> None:
        self.name, self.plural, self.homes = name, plural, tuple(homes)
        self._entries: dict[str, E] = {}

    def add(self, entry: E) -> E:
        """Register an entry. Raises RegistryError, naming both origins, if its name is taken."""
        if not entry.ours:
            self._import_homes()
        other = self._entries.get(entry.name)
        if other and other.origin != entry.origin and {other.module, entry.module} != {"__main__"}:
            message = f"the {self.name} `{entry.name}` is registered twice: {other.origin} and {entry.origin}"
            raise RegistryError(message, hint="rename one of them")
        self._entries[entry.name] = entry
        return entry

    def __getitem__(self, name: str) -> E:
        self._complete()
        try:
            return self._entries[name]
        except KeyError:
            message = f"no {self.name} named `{name}`"
            hint = suggest(name, self._entries) or f"`crossband ls {self.plural}` lists them"
            raise RegistryError(message, hint=hint, notes=plugin_failures) from None

    def __iter__(self) -> Iterator[str]:
        self._complete()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._complete()
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<{len(self)} {self.plural}: {', '.join(self)}>"

    def __contains__(self, name: object) -> bool:
        self._complete()
        return name in self._entries

    @property
    def extended(self) -> bool:
        """Whether plugins, or the user's own code, have registered anything of this kind. Imports no home."""
        load_plugins()
        return any(not entry.ours for entry in self._entries.values())

    def _complete(self) -> None:
        self._import_homes()
        load_plugins()

    def _import_homes(self) -> None:
        for home in self.homes:
            if home not in sys.modules:  # while it is being imported it is there already
                importlib.import_module(home)


blocks: Kind[Any] = Kind("block", "blocks", ["crossband.blocks"])
wrappers: Kind[Any] = Kind(
    "wrapper",
    "wrappers",
    ["crossband.blocks", "crossband.graphs.building.multiscale", "crossband.graphs.building.as_generator"],
)
losses: Kind[Any] = Kind("loss", "losses", ["crossband.recipes.losses"])
sources: Kind[Any] = Kind("source", "sources", ["crossband.recipes.data"])
metrics: Kind[Any] = Kind("metric", "metrics", ["crossband.recipes.metrics"])
functions: Kind[Any] = Kind("function", "functions", ["crossband.recipes.language.functions"])
optimizers: Kind[Any] = Kind("optimizer", "optimizers", ["crossband.recipes.kinds.optimizer"])
schedules: Kind[Any] = Kind("schedule", "schedules", ["crossband.recipes.kinds.schedule"])
augmentations: Kind[Any] = Kind("augmentation", "augmentations", ["crossband.recipes.data.augmentations"])
KINDS: Mapping[str, Kind[Any]] = {
    kind.plural: kind
    for kind in (blocks, wrappers, losses, sources, augmentations, metrics, functions, optimizers, schedules)
}
FOLDERS: dict[str, list[Path]] = {  # of YAML files: a kind has no two of one name
    "graphs": [ROOT / "graphs", ROOT / "graphs" / "hybrids"],
    "recipes": [ROOT / "recipes"],
    "tables": [ROOT / "recipes" / "tables"],
    "keys": [ROOT / "graphs" / "keys"],
}
REFERENCES: list[Path] = [ROOT / "blocks" / "references.bib"]

_YES_AND_NO = {"yes": "true", "on": "true", "no": "false", "off": "false"}  # true and false in older YAML

plugin_failures: list[str] = []
_loaded: dict[str, None] = {}  # the plugins, in the order in which they came


def description(factory: Callable[..., Any]) -> dict[str, Any]:
    """The `doc` and the `origin` of an entry, read off the class or function behind it."""
    return {"doc": inspect.cleandoc(factory.__doc__ or ""), "origin": _origin(factory)}


def load_plugins() -> None:
    """Import every module of the entry-point group `crossband.plugins`, once.

    A plugin that fails to import is set aside, whole, and named in `plugin_failures`: one stale import must
    not take the rest of the registry down.
    """
    if "entry points" in _loaded:
        return
    _loaded["entry points"] = None  # first, so that a plugin may itself look names up
    for point in entry_points(group="crossband.plugins"):
        try:
            with _running(f"the plugin `{point.name}`", point.module):
                point.load()
        except CrossbandError as error:
            prefix = "" if "did not load" in error.message else f"the plugin `{point.name}` did not load: "
            plugin_failures.append(f"{prefix}{error}")


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Run one Python file that registers things; what it prints goes to stderr, where no program reads results.

    Raises CrossbandError, with the line of the file, if it does not run to its end: then nothing of it is registered.
    """
    load_plugins()
    try:
        file = Path(path).resolve()
        found = file.stat()
    except (OSError, ValueError, RuntimeError) as error:  # of a name with a zero in it; of links in a circle
        there = not isinstance(error, FileNotFoundError | NotADirectoryError)
        why = f"the plugin file cannot be read: {getattr(error, 'strerror', error)}" if there else "no such plugin file"
        raise CrossbandError(
            f"{path}: {why}", hint=None if there else "a path is relative to the working directory"
        ) from None
    if str(file) in _loaded:
        return
    if not stat.S_ISREG(found.st_mode):
        raise CrossbandError(f"{path}: not a regular file", hint="a plugin is a Python file")
    if found.st_size > PLUGIN_BYTES:
        message = f"{path}: a plugin file has at most {PLUGIN_BYTES:,} bytes, this one has {found.st_size:,}"
        raise CrossbandError(message)
    name = f"crossband_plugin_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise CrossbandError(f"{path}: a plugin is a Python file, its name ends in `.py`")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickled instances of its classes are found by this name
    try:
        with _running(str(path), name):
            spec.loader.exec_module(module)
    except CrossbandError:
        del sys.modules[name]
        raise
    _loaded[str(file)] = None


@contextlib.contextmanager
def _running(what: str, module: str) -> Iterator[None]:
    """Run the module of a plugin: if it does not come to its end, nothing that it registered stays.

    Raises CrossbandError, whatever the plugin raises: it may also exit.
    """
    entries = [(kind, set(kind._entries)) for kind in KINDS.values()]
    folders = {kind: len(known) for kind, known in FOLDERS.items()}
    references = len(REFERENCES)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except BaseException as error:
        for kind, before in entries:
            kind._entries = {name: each for name, each in kind._entries.items() if each.ours or name in before}
        for kind, count in folders.items():
            del FOLDERS[kind][count:]
        del REFERENCES[references:]
        if isinstance(error, CrossbandError):
            raise
        line = _line_in(error, lambda name: name == module)
        if line is None and isinstance(error, SyntaxError) and error.filename:
            line = error.filename, error.lineno or 1
        own = line is not None and line[0] == str(Path(what).resolve())
        where = "" if line is None else f":{line[1]}" if own else f": {line[0]}:{line[1]}"
        raise CrossbandError(f"{what}{where}: the plugin did not load: {_said(error)}") from error


def blamed(error: BaseException) -> CrossbandError | None:
    """The error for one that comes out of the code of a plugin, with its file and line; None for any other."""
    entries = (entry for kind in KINDS.values() for entry in kind._entries.values() if not entry.ours)
    packages = {entry.module.partition(".")[0] for entry in entries} - {"__main__"}
    line = _line_in(error, lambda name: name.partition(".")[0] in packages)
    return CrossbandError(f"{line[0]}:{line[1]}: the plugin failed: {_said(error)}") if line else None


def _line_in(error: BaseException, wanted: Callable[[str], bool]) -> tuple[str, int] | None:
    """The innermost line that an error came through in modules whose name is `wanted`."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if wanted(str(frame.f_globals.get("__name__"))):
            found = frame.f_code.co_filename, line
    return found


def _said(error: BaseException) -> str:
    """An error of any kind on one line."""
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(words.split())}".removesuffix(": ")


def plugins() -> list[str]:
    """The plugins that are loaded: each installed package with its version, then each file that was named."""
    load_plugins()
    packages = (point.dist for point in entry_points(group="crossband.plugins"))
    named = dict.fromkeys(f"{package.name} {package.version}" for package in packages if package)
    return [*named, *(file for file in _loaded if file != "entry points")]


def folders(kind: str) -> list[Path]:
    """Where the `graphs`, `recipes`, `tables` or `keys` files of the library and of plugins are."""
    load_plugins()
    return FOLDERS[kind]


def add_folder(kind: str, folder: str | os.PathLike[str]) -> None:
    """Let the YAML files of a folder be called by their names: `graphs`, `recipes`, `tables`, or `keys` for key maps.

    A plugin says where its folder is by `Path(__file__).parent / "graphs"`. Raises RegistryError, naming both files,
    if a name is taken.
    """
    if kind not in FOLDERS:
        raise RegistryError(f"no kind of YAML file named `{kind}`", hint=suggest(kind, FOLDERS))
    added = _own_path(folder, "folder")
    if added in FOLDERS[kind]:
        return
    for path in sorted(added.glob("*.yaml")):
        if other := next(filter(Path.is_file, (folder / path.name for folder in folders(kind))), None):
            raise RegistryError(f"`{path.stem}` of the {kind} is there twice: {other} and {path}", hint="rename one")
    FOLDERS[kind].append(added)


def references() -> dict[str, str]:
    """Every source that `cite` may name, by its key: its BibTeX as it is written, in the order of the files."""
    load_plugins()
    return {key: text for path in REFERENCES for key, text in _bibtex(path).items()}


def add_references(file: str | os.PathLike[str]) -> None:
    """Let `cite` name the keys of a BibTeX file.

    Raises RegistryError, naming both files, if a key is taken.
    """
    added = _own_path(file, "file")
    if added in REFERENCES:
        return
    for path in REFERENCES:
        if twice := _bibtex(path).keys() & _bibtex(added).keys():
            raise RegistryError(f"the source `{min(twice)}` is there twice: {path} and {added}", hint="rename one")
    REFERENCES.append(added)


def add_files(module: str | os.PathLike[str]) -> None:
    """Add what lies beside a plugin: folders `graphs`, `recipes`, `tables` and `keys`, and a file `references.bib`.

    A plugin writes `add_files(__file__)`. Raises RegistryError if there is none of them, or if a name is taken.
    """
    home = Path(module).parent
    beside = {kind: home / kind for kind in FOLDERS if (home / kind).is_dir()}
    bibtex = home / "references.bib"
    if not beside and not bibtex.is_file():
        message = f"nothing to add lies beside {module}"
        raise RegistryError(
            message, hint="make a folder `graphs`, `recipes`, `tables` or `keys`, or a file `references.bib`"
        )
    for kind, folder in beside.items():
        add_folder(kind, folder)
    if bibtex.is_file():
        add_references(bibtex)


def _own_path(path: str | os.PathLike[str], what: Literal["file", "folder"]) -> Path:
    """The path that a plugin gives of a file or folder of its own."""
    found = Path(path)
    if not found.is_absolute():
        hint = f'write `Path(__file__).parent / "{path}"`, which holds wherever it is run'
        raise RegistryError(f"{path}: the path of a plugin's {what} must be absolute", hint=hint)
    if not (found.is_dir() if what == "folder" else found.is_file()):
        raise RegistryError(f"{path}: no such {what}")
    return found.resolve()


def _bibtex(path: Path) -> dict[str, str]:
    """The entries of a BibTeX file by key, each from its `@` to the brace that closes it."""
    text, found = path.read_text("utf-8"), {}
    for start in re.finditer(r"^@\w+\{\s*([^,\s]+),", text, re.MULTILINE):
        key, end = start[1], _closing(text, start.start())
        if end is None or key in found:
            raise RegistryError(f"{path}: the entry `{key}` is {'not closed' if end is None else 'there twice'}")
        found[key] = text[start.start() : end]
    return found


def _closing(text: str, start: int) -> int | None:
    """Where the brace closes that is the first after `start`; None where it does not."""
    depth = 0
    for brace in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return None


def _as_yaml(value: object) -> object:
    """`value` with its tuples as lists, at any depth: YAML and JSON Schema know one kind of sequence."""
    if isinstance(value, Mapping):
        return {key: _as_yaml(item) for key, item in value.items()}
    return [_as_yaml(item) for item in value] if isinstance(value, (list, tuple)) else value


def near(name: str, known: Collection[str]) -> list[str]:
    """The known names most like `name`, best first, letter case aside; none where too many are known to compare.

    One is like another also where it is the beginning or the end of it, `gen` of `generator`, `l1` of `l1_loss`, made
    of its initials, `lr` of `learning_rate`, or has another number, `en7` and `en6`.
    """
    if len(known) > MANY:
        return []
    by_lower, lower = {other.lower(): other for other in known}, name.lower()
    found = difflib.get_close_matches(lower, by_lower, n=3, cutoff=ALIKE)
    long = len(lower) > 2  # so that it says something
    parts = [each for each in by_lower if long and each.startswith(lower)]
    parts += [each for each in by_lower if lower.startswith(each if len(each) > 2 else f"{each}_")]
    parts += [each for each in by_lower if long and each.endswith(lower)]
    parts += [each for each in by_lower if _initials(lower) == each or _initials(each) == lower]
    letters = lower.rstrip("0123456789")
    parts += [each for each in reversed(by_lower) if letters and each.rstrip("0123456789") == letters]
    return [by_lower[match] for match in found or sorted(parts, key=len)]


def _initials(name: str) -> str:
    """`lr` of `learning_rate`; nothing of a name of one word."""
    words = name.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


def suggest(name: str, known: Collection[str], *, few: int = FEW) -> str | None:
    """The hint for a name that is not among those `known`: the nearest, all of them if they are `few`, or None."""
    if names := near(name, known):
        return f"did you mean `{names[0]}`?"
    return f"choose from {', '.join(f'`{other}`' for other in known)}" if 0 < len(known) <= few else None


def nearest(name: str, *known: Iterable[str], otherwise: str | None = None, few: int = FEW) -> Callable[[], str | None]:
    """Like `suggest` among all that is `known`, for a hint that is searched for only once it is shown."""
    return lambda: suggest(name, [each for some in known for each in some], few=few) or otherwise


def summary(doc: str) -> str:
    """The first sentence of a documentation, without its full stop and without the shapes that may end it."""
    first = " ".join(doc.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<! al)(?<!e\.g)\.\s+(?=[A-Z`])", first)[0].removesuffix(".")
    return re.sub(r": `[a-z0-9 ,.*]+( -> [^`]*)?`( to the same)?(,.*)?$", "", sentence)


def meaning(entry: "Described", parameter: str) -> str:
    """What a parameter of a registered thing means: as its type hint says, its documentation, or the field.

    Of the documentation, that is the first sentence that names it in backticks, or else that uses it in a formula.
    """
    if told := entry.parameters[parameter].schema.get("description"):
        return str(told)
    sentences = re.split(r"(?<=[.;])\s+(?=[A-Z`])", " ".join(entry.doc.split()))
    named = re.compile(rf"`{re.escape(parameter)}(`|: [^`]*`)")
    used = re.compile(rf"`(?![^`]*->)[^`]*\b{re.escape(parameter)}\b[^`]*`")
    found = [*filter(named.search, sentences), *filter(None, [USUAL.get(parameter)]), *filter(used.search, sentences)]
    return found[0] if found else f"See `crossband show {entry.name}`"


def validator(schema: Mapping[str, Any]) -> Any:
    """A validator of JSON Schema that takes no `3.0` for a whole number: no block does."""
    return _validators()(dict(schema))


@cache
def _validators() -> Any:
    from jsonschema import Draft202012Validator, validators

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return validators.extend(Draft202012Validator, {"enum": _enum}, type_checker=checker)


def _enum(_validator: Any, choices: Sequence[object], value: object, _schema: Any) -> Iterator[Any]:
    """The keyword `enum`, by which 3.0 is no choice where 3 is, nor is true where 1 is."""
    from jsonschema import ValidationError

    if not any(type(choice) is type(value) and choice == value for choice in choices):
        yield ValidationError(f"{value!r} is not one of {choices!r}")


def explain(error: Any) -> tuple[str, str | None]:
    """A jsonschema ValidationError in words that follow the name of the thing, "must be at least 1, got 0"; a hint."""
    found, limit = show(error.instance), error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        odd = next(key for key in error.instance if key not in known)
        return f"takes no key `{odd}`", suggest(odd, known)
    wanted = {
        "type": lambda: f"must be {_type_words(limit)}",
        "enum": lambda: f"must be one of {', '.join({str(choice): show(choice) for choice in limit}.values())}",
        "const": lambda: f"must be {show(limit)}",
        "minimum": lambda: f"must be at least {limit}",
        "maximum": lambda: f"must be at most {limit}",
        "exclusiveMinimum": lambda: f"must be more than {limit}",
        "exclusiveMaximum": lambda: f"must be less than {limit}",
        "multipleOf": lambda: f"must be a multiple of {limit}",
        "minItems": lambda: f"must have at least {limit} items" if limit > 1 else "must not be empty",
        "uniqueItems": lambda: "must have nothing twice",
        "maxItems": lambda: f"must have at most {limit} items",
        "minLength": lambda: "must not be empty",
        "minProperties": lambda: "must not be empty",
    }.get(error.validator)
    hint = None
    if error.validator == "enum" and isinstance(error.instance, float) and error.instance in limit:
        hint = correction(error.instance, "integer")
    elif error.validator == "enum" and isinstance(error.instance, str):
        hint = suggest(error.instance, [choice for choice in limit if isinstance(choice, str)], few=0)
    elif error.validator == "type":
        least = error.schema.get("minItems", 1)
        hint = None if least == 1 else f"write {least} values in brackets"
        if least == 1 or isinstance(error.instance, float):
            hint = correction(error.instance, limit) or hint
    return (f"{wanted()}, got {found}" if wanted else f"is not valid: {error.message}"), hint


def whole(value: Any) -> Any:
    """What an expression gives, for a place that wants whole numbers: 12 for 12.0, in lists and mappings too."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def correction(value: object, kinds: str | Sequence[str]) -> str | None:
    """The hint for a value that is of none of these types of JSON Schema, but could be written as one; else None."""
    kinds = [kinds] if isinstance(kinds, str) else kinds
    numbers = bool({"integer", "number"} & {*kinds})
    match value:
        case str() if numbers and is_number(value):
            return f"`'{value}'` is text: write {value}"
        case str() if numbers and is_number(value.replace(",", ".")):
            return f"write {value.replace(',', '.')}, with a point"
        case str() if "boolean" in kinds and value.lower() in _YES_AND_NO:
            return f"write `{_YES_AND_NO[value.lower()]}`"
        case float() if numbers and value.is_integer():
            return f"write {int(value)}"
        case str() if "array" in kinds:
            return f"write `[{value}]`"
        case Mapping() if "array" in kinds and value:
            items = [f"{{{key}: ...}}" if item else str(key) for key, item in value.items()]
            return f"write a list: `[{', '.join(items)}]`"
        case [{**first}, *_] if "object" in kinds and first:
            return f"give each a name in the place of its dash: `its_name: {{{next(iter(first))}: ...}}`"
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number as YAML writes it."""
    return bool(re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text))


def show(value: object) -> str:
    """A value as YAML writes it, short enough for a message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"`{value}`" if len(value) < 60 else f"`{value[:57]}...`"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence):
        short = len(value) <= 8 and not any(isinstance(item, Mapping) for item in value)
        return "[" + ", ".join(show(item) for item in value) + "]" if short else "a list"
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

    `skip` names parameters that something other than YAML supplies. Raises RegistryError, which says what to write, on
    a parameter without a type hint, or with one that YAML cannot express.
    """
    function = factory.__init__ if isinstance(factory, type) else factory
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise RegistryError(f"{_origin(factory)}: a type hint cannot be read: {error}") from None
    found: dict[str, Parameter] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if name in skip:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name not in hints:
            raise _without_hint(factory, parameter)
        try:
            schema = schema_of(hints[name])
        except TypeError as error:
            message = (
                f"the parameter `{name}` needs a type hint that YAML knows, not {inspect.formatannotation(hints[name])}"
            )
            kinds = "int, float, str, bool, None, Literal, list, tuple, dict, TypedDict, FilePath"
            hint = f"use {kinds}, a union of them, or Annotated with bounds: `{name}: Annotated[int, Ge(1)] = 8`"
            raise RegistryError(f"{_origin(factory)}: {message}", hint=hint) from error
        default = _as_yaml(parameter.default)
        if default is not REQUIRED:
            schema = {**schema, "default": default}
        found[name] = Parameter(name, schema, default)
    return found


def _without_hint(factory: Callable[..., Any], parameter: inspect.Parameter) -> RegistryError:
    """The error for a parameter that says nothing of what it takes, with the line to write."""
    name, default = parameter.name, parameter.default
    if isinstance(factory, type) and "__init__" not in vars(factory):
        message = f"`{factory.__name__}` has no `__init__` of its own, whose parameters YAML could give"
        hint = "write `def __init__(self, ...)` with a type hint for each parameter"
    elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        message, hint = (
            f"`{stars}{name}` takes anything, which YAML cannot check",
            "name each parameter: `width: int = 8`",
        )
    else:
        kind = "int" if default is REQUIRED else "int | None" if default is None else type(default).__name__
        kind = {"list": "list[int]", "tuple": "tuple[int, int]", "dict": "dict[str, int]"}.get(kind, kind)
        message = f"the parameter `{name}` needs a type hint"
        hint = f"write `{name}: {kind}`" if default is REQUIRED else f"write `{name}: {kind} = {default!r}`"
    return RegistryError(f"{_origin(factory)}: {message}", hint=hint)


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a type hint: numbers, text, bool, None, Literal, list, tuple, dict, TypedDict, unions,
    `FilePath`, and `Annotated` with the bounds of the annotated-types package. Raises TypeError on anything else."""
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
    if isinstance(bound, Format):
        return {"format": bound.name}
    length = "Items" if schema.get("type") == "array" else "Length"
    keywords = {
        "ge": "minimum",
        "le": "maximum",
        "gt": "exclusiveMinimum",
        "lt": "exclusiveMaximum",
        "multiple_of": "multipleOf",
        "min_length": f"min{length}",
        "max_length": f"max{length}",
        "documentation": "description",
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
