"""Texts written by hand to break a reader: as graphs, as recipes, as settings, as arguments of the command line."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from faults import corpus
from faults.campaign import series
from faults.law import Files, Outcome, run_here
from faults.mutate import ODD, TYPES, Raw, encoded, garbled, paths, to_yaml
from hypothesis import strategies as st

GRAPH = "graph: x\ninputs: {image: [3, H, W]}\nnodes: {a: {Conv: {out: 1}}}\noutputs: {a: [1, H, W]}\n"
RECIPE = corpus.PAIRED.lstrip("\n")
MANY = 10_000
BESIDE = {"to_one.yaml": corpus.tiny.TO_ONE, "small.yaml": RECIPE}


def laughs(width: int, depth: int) -> str:
    """Anchors of anchors: `width ** depth` values in a few lines."""
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * width)}]" for at in range(1, depth)]
    return "\n".join(lines) + "\n"


def wide(nodes: int, *, step: str = "{Conv: {out: 4}}", name: str = "n") -> str:
    """A graph of many nodes in a row."""
    text = "".join(f"  {name}{at}: {step}\n" for at in range(nodes))
    return f"graph: x\ninputs: {{image: [3, H, W]}}\nnodes:\n{text}outputs: {{{name}{nodes - 1}: [...]}}\n"


def structures() -> Iterator[str]:
    """Too much, too deep, in circles."""
    yield from (laughs(*size) for size in ((9, 9), (2, 30), (10, 4), (100, 3)))
    yield from (
        f"{opening * depth}{closing * depth}\n" for opening, closing in ("[]", "()") for depth in (60, 70, 5000, 90_000)
    )
    yield from (f"graph: x\nnodes: {'{a: ' * depth}1{'}' * depth}\n" for depth in (50, 64, 65, 1000, 90_000))
    yield from ("\n".join(" " * at + f"k{at}:" for at in range(depth)) for depth in (60, 70, 400))
    yield from (
        f"graph: x\nnodes: {opening * 50_000}\n"
        for opening in ("[", "{", "- ", "? ", "&a ", "!x ", "*a ", '"', "'", "| ")
    )
    yield from ("&a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n", "a: &a\n  b: &b\n    c: *a\n", "*a\n", "a: &a *a\n")
    yield GRAPH + "params: {" + ", ".join(f"p{at}: {at}" for at in range(MANY)) + "}\n"
    yield GRAPH + "params: {" + ", ".join(f"p{at}: =p{at + 1}" for at in range(2000)) + ", p2000: 1}\n"
    yield GRAPH + "taps: {" + ", ".join(f"t{at}: a" for at in range(MANY)) + "}\n"
    yield GRAPH + "".join(f"unknown{at}: 1\n" for at in range(MANY))
    yield GRAPH.replace("{Conv: {out: 1}}", "[" + ", ".join(["{Conv: {out: 1}}"] * 3000) + "]")
    yield GRAPH.replace("{out: 1}", "{" + ", ".join(f"x{at}: 1" for at in range(3000)) + "}")
    yield GRAPH.replace("{Conv: {out: 1}}", "{Conv: {out: 1}, repeat: 1000}")
    yield GRAPH.replace("{Conv: {out: 1}}", "{do: [{do: [{Conv: {out: 1}, repeat: 999}], repeat: 999}], repeat: 999}")
    yield GRAPH.replace("a: {Conv: {out: 1}}", "a(i): {Conv: {out: 1}, repeat: 1000, index: i}")
    yield GRAPH.replace("a: {Conv: {out: 1}}", "a(i)(j): {Conv: {out: 1}, repeat: [100, 100], index: [i, j]}")
    yield GRAPH.replace("outputs: {a: [1, H, W]}", "outputs: {a1..a99999999: [1, H, W]}")
    yield GRAPH + "extends: x.yaml\n"
    yield "graph: x\nextends: x.yaml\n"
    yield GRAPH + f"doc: {'a ' * 400_000}\n"
    yield GRAPH + f"# {'a' * 990_000}\n"
    yield GRAPH + f"# {'a' * 1_100_000}\n"
    yield "\n" * 500_000 + GRAPH


def long_graphs() -> Iterator[str]:
    """Graphs of thousands of nodes. They are checked, not shown: `show` takes twice as long."""
    yield from (wide(count) for count in (100, 3000, MANY, MANY + 1))
    yield wide(2000, step="{RSU: {depth: 4, mid: 2, out: 4}}")
    yield wide(MANY, step="{Nothing: {}}")
    yield wide(MANY, step="{Conv: {out: x}}")
    yield wide(3000, step="[ReLU, ReLU, ReLU]")
    yield wide(500, name="n" * 300)


def scalars() -> Iterator[str]:
    """Odd values in odd places of a graph."""
    odd = [to_yaml([value])[2:] if not isinstance(value, Raw) else f"{value}\n" for value in ODD]
    numbers = (
        "1" * 5000,
        "-" + "9" * 400,
        "1e99999",
        "1.7976931348623157e309",
        "0x" + "f" * 5000,
        "1e-99999",
        "00",
        "+.5",
        "-0",
    )
    for value in (*odd, *(f"{number}\n" for number in numbers)):
        yield f"graph: {value}"
        yield f"graph: x\nnodes: {value}"
        yield value
        yield GRAPH.replace("out: 1", f"out: {value.strip()}")


SIGNS = (
    "\0",
    "\a",
    "\b",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\xa0",
    "\xad",
    "\u200b",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\ufffe",
    "\ufffd",
    "\U0010ffff",
    "\t",
    "\r",
    "\ud800",
)


def characters() -> Iterator[str]:
    """Odd characters at the begin, in a key, in a value, in a comment, at the end."""
    for sign in SIGNS:
        yield sign + GRAPH
        yield GRAPH + sign
        yield GRAPH.replace("a:", f"a{sign}b:")
        yield GRAPH.replace("Conv", f"Co{sign}nv")
        yield GRAPH.replace("graph: x", f"graph: 'x{sign}y'")
        yield GRAPH.replace("graph: x", f"graph: x # {sign}")
        yield GRAPH.replace("inputs", f"{sign}inputs")


def syntax() -> Iterator[str]:
    """What YAML knows and a graph does not: tags, merge keys, sets, documents, directives, odd quotes and blocks."""
    tags = (
        "!!python/object/apply:os.system [touch x]",
        "!!python/name:os.system",
        "!!binary aGk=",
        "!!set {a, b}",
        "!!omap [a: 1]",
    )
    tags += (
        "!!timestamp 2001-01-01",
        "!!int 'x'",
        "!!float .",
        "!local x",
        "!<tag:x,2000:y> x",
        "!!str 1",
        "! x",
        "!!null x",
        "!e!x y",
    )
    yield from (f"graph: {tag}\n" for tag in tags)
    yield from (GRAPH.replace("{Conv: {out: 1}}", tag) for tag in tags)
    yield from (
        "---\n",
        "--- a\n--- b\n",
        "...\n",
        GRAPH + "---\n" + GRAPH,
        "%YAML 3.0\n---\n" + GRAPH,
        "%TAG ! x\n---\n" + GRAPH,
        "%\n",
    )
    yield from (
        "? a\n",
        "? [a, b]\n: c\n",
        "{a: 1, a: 2}\n",
        "graph: x\ngraph: y\n",
        "<<: {a: 1}\n",
        "<<: [1]\n",
        "a: 1\n b: 2\n",
    )
    yield from (
        "graph: |\n",
        "graph: >9\n  x\n",
        "graph: |-2\n x\n",
        'graph: "\\x"\n',
        'graph: "\\U00110000"\n',
        'graph: "\\ud800"\n',
        "graph: '\n",
    )
    yield from (
        "- graph: x\n",
        "graph\n",
        ": x\n",
        ":\n",
        "-\n",
        "[]\n",
        "{}\n",
        "null\n",
        "1\n",
        "''\n",
        "",
        " ",
        "\n",
        "#\n",
        "a:b\n",
        "a: b: c\n",
    )
    yield from (
        "\tgraph: x\n",
        "graph:\tx\n",
        "graph: x\n\tnodes: 1\n",
        GRAPH.replace("\n", "\r\n"),
        GRAPH.replace("\n", "\r"),
        "@a: 1\n",
        "`a`: 1\n",
    )


def hostile_yaml() -> Sequence[Files]:
    """All of these texts, as what is checked; recipes with some of it; and other encodings."""
    texts = [*structures(), *long_graphs(), *scalars(), *characters(), *syntax()]
    found = [Files(("check", "x.yaml"), {"x.yaml": text}) for text in texts]
    found += [Files(("show", "x.yaml"), {"x.yaml": text}) for text in (*structures(), *syntax())]
    for text in itertools.chain(structures(), syntax()):
        for recipe in (f"{RECIPE}params: {{}}\n# {text}", RECIPE.replace("graph: to_one.yaml", "graph: x.yaml")):
            found.append(
                Files(("check", "r.yaml"), {"r.yaml": recipe, "x.yaml": text, "to_one.yaml": corpus.tiny.TO_ONE})
            )
    contents: Mapping[str, bytes] = {
        **encoded(GRAPH),
        **{f"{name} recipe": text for name, text in encoded(RECIPE).items()},
    }
    contents |= {
        "cut": "é".encode()[:1],
        "png": b"\x89PNG\r\n\x1a\n",
        "gzip": b"\x1f\x8b\x08",
        "long": b"\xff" * 2_000_000,
        "nul": b"\0" * 5000,
    }
    found += [Files(("check", "x.yaml"), {"x.yaml": content}) for content in contents.values()]
    many = [
        RECIPE + "params: {" + ", ".join(f"p{at}: {at}" for at in range(MANY)) + "}\n",
        RECIPE.replace(
            "{fake: generator(visible)}",
            "{fake: generator(visible), " + ", ".join(f"f{at}: fake" for at in range(3000)) + "}",
        ),
        RECIPE.replace(
            "{pixel: {", "{" + ", ".join(f"l{at}: {{l1: [fake.main, infrared]}}" for at in range(2000)) + ", pixel: {"
        ),
        RECIPE.replace(
            "{generator: {", "{" + ", ".join(f"g{at}: {{graph: to_one.yaml}}" for at in range(300)) + ", generator: {"
        ),
        RECIPE + "variants: {" + ", ".join(f"v{at}: {{steps: {at + 1}}}" for at in range(3000)) + "}\n",
        RECIPE.replace("generator(visible)", "generator(" * 90 + "visible" + ")" * 90),
        RECIPE.replace("generator(visible)", "cat(" + "visible, " * 3000 + "visible)"),
        RECIPE + "".join(f"unknown{at}: 1\n" for at in range(MANY)),
        "recipe: x\nextends: x.yaml\n",
        "recipe: x\nextends: absent.yaml\n",
    ]
    return [*found, *(Files(("check", "x.yaml"), {"x.yaml": text, **BESIDE}) for text in many)]


@series("hostile YAML by hand", weight=4, quick=36, cases=hostile_yaml)
def test_hostile_yaml(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


# ---------------------------------------------------------------------- settings


KEYS = [".".join(map(str, path)) for path in paths(corpus.Base("x", "recipe", corpus.RICH_RECIPE).data)]
VALUES = [*{to_yaml([value])[2:].strip() if not isinstance(value, Raw) else str(value) for value in (*ODD, *TYPES)}]
SETTABLE = ("check", "show", "train")


@st.composite
def odd_settings(draw: st.DrawFn) -> Files:
    """One to three settings, of keys that there are and of others, with odd values."""
    given: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(KEYS))
        key = draw(
            st.sampled_from([key, key, key, key + ".x", "x." + key, key[:-1], key.replace(".", ".."), "", ".", "*"])
        )
        setting = f"{key}={draw(st.sampled_from(VALUES))}"
        setting = draw(garbled(setting)) if draw(st.integers(0, 5)) == 5 else setting
        given += [
            "--set",
            setting.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"),
        ]
    name, beside = draw(st.sampled_from([("x.yaml", {"x.yaml": RECIPE}), ("r.yaml", {"r.yaml": corpus.RICH_RECIPE})]))
    graphs = {name: text for name, text in corpus.tiny.FILES.items() if text.startswith("\ngraph")}
    return Files(("check", name, *given), {**graphs, **beside})


@series("odd settings", weight=6, quick=24, cases=odd_settings)
def test_odd_settings(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)


# ---------------------------------------------------------------------- the command line


COMMANDS = ("ls", "show", "check", "evaluate", "translate", "schema", "cite", "new", "train")
WORDS = (
    *(
        "graph",
        "u2netp",
        "demo",
        "x.yaml",
        "run",
        "image.png",
        "out.png",
        ".",
        "..",
        "/",
        "/dev/null",
        "/nonexistent/x",
        "absent.yaml",
    ),
    *(
        "--set",
        "--size",
        "--json",
        "--device",
        "--data",
        "--find",
        "--svg",
        "--code",
        "--plugin",
        "--network",
        "--tile",
        "--batch",
    ),
    *(
        "--range",
        "--bits",
        "--suffix",
        "--names",
        "--band",
        "--csv",
        "--picture",
        "--metrics",
        "--images",
        "--help",
        "--",
        "-",
        "--x",
        "-x",
    ),
    *(
        "0",
        "-1",
        "1e9",
        "64",
        "64x96",
        "0x0",
        "64x",
        "99999999999",
        "cpu",
        "tpu",
        "a=b",
        "=",
        "a=",
        "=b",
        "infrared=run",
        "",
        " ",
        "*",
        "[a",
        "(",
        "\\",
    ),
    *(
        "é",
        "\udcff",
        "\x1b[31m",
        "a\nb",
        "a" * 5000,
        "Conv",
        "l1",
        "Adam",
        "psnr",
        "pairs",
        "recipes",
        "blocks",
        "format",
    ),
)


@st.composite
def odd_words(draw: st.DrawFn) -> Files:
    """A command with one to five odd words; training never starts, as it has no recipe that it could train for long."""
    command = draw(st.sampled_from(COMMANDS))
    words = draw(st.lists(st.sampled_from(WORDS), max_size=5))
    if command == "train":
        words = [word for word in words if word not in ("demo", "u2netp")]
    if command == "check":
        words = ["x.yaml", *words]  # alone it checks everything that is shipped, which takes its time
    return Files((command, *words), {"x.yaml": GRAPH}, corpus.trained())


@series("odd words on the command line", weight=3, quick=24, cases=odd_words)
def test_odd_words(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)
