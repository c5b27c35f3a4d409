"""Mutators: Hypothesis strategies that make hostile files of good ones, as trees of values and as text.

A tree is what YAML or JSON says: mappings, lists, scalars. A scalar that only text can say, `1e400` or `!!python/x`,
is a `Raw`, written as it stands.
"""

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

Tree = Any
Path = tuple[str | int, ...]


class Raw(str):
    """A piece of YAML that is written as it stands."""

    __slots__ = ()


LONG = "a" * 5000
TYPES: tuple[Any, ...] = (  # a value of each type, in the place of any other
    *(None, True, 0, -1, 3.0, Raw("1e400"), "", "text", "=x", [], {}, [["a"]], {"a": {"b": [1]}}, Raw(".nan")),
    *(10**30, 0.5, "1", [1, 2, 3]),
)
ODD: tuple[Any, ...] = (
    *TYPES,
    *(Raw("1e-400"), Raw("-.inf"), Raw("0x7fffffffffffffff"), Raw("-0.0"), Raw("1e0"), Raw("0o17"), Raw("1_000")),
    *(1, 2, 7, 63, 1000, 1001, 65537, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1000000007, 1e-30, 1e30, -2.5),
    *(
        "=",
        "=1/0",
        "=9**9",
        "=9**9**9",
        "=1.5*2",
        "=H",
        "=a.b",
        "=(",
        "=min(",
        "=not",
        "=" + "(" * 100,
        "=1" + "+1" * 3000,
    ),
    *("a.b", "a.*", "*", "a..b", "a(", "a(b)(c)", "a(i+1)", "x.yaml", "../x.yaml", "/dev/null", "/", ".", "~", "u2net"),
    *("é", "名", "\u202eabc", "\u0301", "🙂", "a\nb", "a\tb", " a ", "#a", "&a", "%", "@", "`", "None", "__class__"),
    *(LONG, [None], [[]], [{}], [[[[[[[[]]]]]]]], {"": 1}, {"a b": 1}, {"=x": 1}, {LONG: 1}, list(range(300))),
    *(
        Raw("!!python/object/apply:os.system [true]"),
        Raw("!x a"),
        Raw("*absent"),
        Raw("&a {b: *a}"),
        Raw("{<<: {a: 1}}"),
    ),
    *(
        Raw("{? [a]: 1}"),
        Raw("{1: 2, null: 3, true: 4}"),
        Raw('"\\ud800"'),
        Raw('"\\0"'),
        Raw('"\\e[31m"'),
        Raw("{a, b, c}"),
    ),
)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
WORDS = (  # of the formats, in places where they do not belong
    *("graph", "recipe", "extends", "params", "inputs", "nodes", "outputs", "taps", "blocks", "insert", "wrap", "keep"),
    *("from", "do", "repeat", "index", "if", "share", "with", "doc", "after", "before", "choices", "cite", "image"),
    *("Conv", "Concat", "Split", "RSU", "Resize", "Linear", "Flatten", "out", "kernel", "stride", "padding", "norm"),
    *("task", "networks", "flow", "losses", "phases", "order", "optimizer", "schedule", "data", "source", "target"),
    *("epochs", "steps", "variants", "variant", "evaluate", "every", "paper", "weights", "init", "frozen", "train"),
    *("size", "load", "batch", "range", "channels", "augment", "cache", "demo", "weight", "l1", "metrics", "shape"),
)


# ---------------------------------------------------------------------- trees


def paths(tree: Tree) -> list[Path]:
    """Where every value below the root is."""
    found: list[Path] = []

    def walk(value: Tree, path: Path) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            found.append((*path, key))
            walk(item, (*path, key))

    walk(tree, ())
    return found


def at(tree: Tree, path: Path) -> Tree:
    """The value at a path."""
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Tree, path: Path, value: Tree) -> None:
    """Replace the value at a path; mappings that are not there are made."""
    for key in path[:-1]:
        if isinstance(tree, dict) and not isinstance(tree.get(key), dict | list):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1]] = value


def _rename(mapping: dict[Any, Any], old: Any, new: Any) -> None:
    items = [(new if key == old else key, value) for key, value in mapping.items()]
    mapping.clear()
    mapping.update(items)


def _some_path(draw: st.DrawFn, tree: Tree) -> Path | None:
    known = paths(tree)
    return known[draw(st.integers(0, len(known) - 1))] if known else None


def _any_odd(draw: st.DrawFn) -> Tree:
    return copy.deepcopy(draw(st.sampled_from(ODD)))


def _delete(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    del at(tree, path[:-1])[path[-1]]


def _odd(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    put(tree, path, _any_odd(draw))


def _word(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    put(tree, path, draw(st.sampled_from(WORDS)))


def _number(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    """A number near what is there, or the same as a whole float."""
    value = at(tree, path)
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 1
    change = draw(
        st.sampled_from([float, lambda n: n + 1, lambda n: n - 1, lambda n: -n, lambda n: n * 1000, lambda n: n / 2])
    )
    put(tree, path, change(number))


def _expression(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    value = at(tree, path)
    parts = ["width", "depth", "H", "i", "c", "1", "2", "0", "1.5", "x", str(value)[:20]]
    signs = ["+", "-", "*", "/", "//", "%", "**", " < ", " and ", " if ", ",", " == "]
    text = draw(st.lists(st.sampled_from(parts + signs + ["(", ")", "min(", "not "]), min_size=1, max_size=6))
    put(tree, path, "=" + "".join(text))


def _duplicate(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    parent, value = at(tree, path[:-1]), copy.deepcopy(at(tree, path))
    if isinstance(parent, list):
        parent.insert(int(path[-1]), value)
    else:
        parent[f"{path[-1]}{draw(st.sampled_from(['2', '_', '.x', '(i)', ' ']))}"] = value


def _rename_key(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    parent = at(tree, path[:-1])
    if isinstance(parent, list):
        return
    old = str(path[-1])
    keys = [key for key in ODD if isinstance(key, str)]
    new = draw(st.sampled_from([old[:-1], old + "s", old.upper(), f"{old}(i)", f"{old}.a", *WORDS, *keys]))
    _rename(parent, path[-1], new)


def _swap(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    other = _some_path(draw, tree)
    if other and other[: len(path)] != path and path[: len(other)] != other:
        one, two = at(tree, path), at(tree, other)
        put(tree, path, two)
        put(tree, other, one)


def _graft(draw: st.DrawFn, tree: Tree, path: Path, donors: Sequence[Tree]) -> None:
    """A part of another file, in the place of a part of this one or beside it."""
    donor = donors[draw(st.integers(0, len(donors) - 1))]
    source = _some_path(draw, donor)
    if source is None:
        return
    part, parent = copy.deepcopy(at(donor, source)), at(tree, path[:-1])
    if isinstance(parent, dict) and isinstance(source[-1], str) and draw(st.booleans()):
        parent[source[-1]] = part
    else:
        put(tree, path, part)


def _misplace(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    """A further key with an odd value."""
    parent = at(tree, path[:-1])
    if isinstance(parent, dict):
        parent[draw(st.sampled_from(WORDS))] = _any_odd(draw)


def _wrap(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    value = at(tree, path)
    wrapped = draw(st.sampled_from([[value], {"a": value}, [value, value], {"if": True, "then": value}, [[value]]]))
    put(tree, path, copy.deepcopy(wrapped))


def _unwrap(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    value = at(tree, path)
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if inner:
        put(tree, path, inner[draw(st.integers(0, len(inner) - 1))])


def _nest(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    value, list_ = at(tree, path), draw(st.booleans())
    for _depth in range(draw(st.sampled_from([3, 30, 61, 70]))):
        value = [value] if list_ else {"do": value}
    put(tree, path, value)


def _reverse(draw: st.DrawFn, tree: Tree, path: Path, _: Sequence[Tree]) -> None:
    parent = at(tree, path[:-1])
    if isinstance(parent, list):
        parent.reverse()
    else:
        items = list(parent.items())[::-1]
        parent.clear()
        parent.update(items)


OPERATIONS: Sequence[Callable[[st.DrawFn, Tree, Path, Sequence[Tree]], None]] = (
    *(_odd, _delete, _word, _number, _expression, _duplicate, _rename_key, _swap, _graft, _misplace, _wrap, _unwrap),
    *(_nest, _reverse, _odd, _graft, _number, _number, _delete, _swap, _duplicate),
)


@st.composite
def mutated(draw: st.DrawFn, tree: Tree, donors: Sequence[Tree] = ()) -> Tree:
    """The tree with one to three changes, some of them parts of other trees. `tree` itself is changed."""
    for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 2, 3]))):
        operation = OPERATIONS[draw(st.integers(0, len(OPERATIONS) - 1))]
        path = _some_path(draw, tree)
        if path is not None:
            operation(draw, tree, path, donors or [tree])
    return tree


# ---------------------------------------------------------------------- writing


def _marked(tree: Tree, raw: list[str]) -> Tree:
    """A copy with a marker in the place of each Raw, which are collected."""
    if isinstance(tree, Raw):
        raw.append(str(tree))
        return f"_raw{len(raw) - 1}_"
    if isinstance(tree, dict):
        return {_marked(key, raw): _marked(value, raw) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_marked(value, raw) for value in tree]
    return tree


def _unmarked(text: str, raw: Sequence[str]) -> str:
    return re.sub(r"\"?_raw(\d+)_\"?", lambda found: raw[int(found[1])], text) if raw else text


def to_yaml(tree: Tree) -> str:
    """The tree as YAML, in the style of a file that somebody wrote."""
    raw: list[str] = []
    text = yaml.dump(
        _marked(tree, raw), Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    return _unmarked(text, raw)


def to_json(tree: Tree) -> str:
    """The tree as JSON."""
    raw: list[str] = []
    return _unmarked(json.dumps(_marked(tree, raw), default=str), raw)


# ---------------------------------------------------------------------- text


PIECES = (
    *("{", "}", "[", "]", ":", ",", "- ", "? ", "| ", "> ", "&a ", "*a", "!x ", "!!binary ", "<<: ", "---\n", "...\n"),
    *(
        "%YAML 9.9\n",
        "#",
        '"',
        "'",
        "\t",
        "\0",
        "\ufeff",
        "\r\n",
        "\x85",
        "\u2028",
        "\x1b[31m",
        "é",
        "\U0001f642",
        "\\",
    ),
    *("=", "=(", "\n", "\n\n  ", "  ", " # x", "null", "~", "1e400", "0x", "\x7f", "\u200b", "\udcff", "= x\n" * 200),
)
WORD = re.compile(r"[\w.]+")


@st.composite
def garbled(draw: st.DrawFn, text: str) -> str:
    """The text with one to three changes of its characters, lines or words."""
    for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
        kind = draw(st.integers(0, 7))
        lines = text.splitlines(keepends=True)
        line = draw(st.integers(0, max(0, len(lines) - 1)))
        place = draw(st.integers(0, len(text)))
        if kind == 0:
            text = text[:place]
        elif kind == 1:
            text = text[:place] + draw(st.sampled_from(PIECES)) + text[place:]
        elif kind == 2:
            text = text[:place] + text[place + draw(st.integers(1, 30)) :]
        elif kind == 3 and lines:
            other = draw(st.integers(0, len(lines) - 1))
            lines[line], lines[other] = lines[other], lines[line]
            text = "".join(lines)
        elif kind == 4 and lines:
            lines[line] *= draw(st.sampled_from([2, 3, 0]))
            text = "".join(lines)
        elif kind == 5 and lines:
            lines[line] = draw(st.sampled_from([" ", "  ", "\t", "- ", "    "])) + lines[line]
            text = "".join(lines)
        elif kind == 6 and lines:
            lines[line] = lines[line].lstrip()
            text = "".join(lines)
        elif words := list(WORD.finditer(text)):
            old, new = words[draw(st.integers(0, len(words) - 1))], words[draw(st.integers(0, len(words) - 1))]
            text = (
                text[: old.start()] + draw(st.sampled_from([new[0], "*a", "&a " + old[0], *WORDS])) + text[old.end() :]
            )
    return text


def encoded(text: str) -> Mapping[str, bytes]:
    """The text in other encodings than UTF-8."""
    names = ("utf-16", "utf-32", "latin-1", "utf-8-sig", "utf-16-be", "cp037")
    return {name: text.encode(name, "replace") for name in names} | {"utf-8": text.encode("utf-8", "surrogatepass")}
