"""What is too large is refused in words before work is done, and what is large is checked in proportion to its size."""

import cProfile
import json
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from commandline import run

from crossband import registry
from crossband.graphs import InvalidFile, build, check
from crossband.graphs.checking.checker import check_into
from crossband.graphs.language import limits
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.recipes import recipe_schema
from crossband.recipes.language.checker import check as check_recipe
from crossband.registry import LONGEST_TEXT, CrossbandError, shortened

RECIPE = """recipe: r
task: {from: visible, to: infrared}
networks: {generator: {graph: unet, params: {out: 1}}}
flow: {fake: generator(source)}
losses: {pixel: {l1: [fake, target]}}
optimizer: {Adam: {lr: 1e-3}}
data: {source: demo, size: 16, batch: 2}
steps: 3
"""


def graph(nodes: str, *, params: str = "", outputs: str = "{z: [...]}", more: str = "") -> str:
    return f"graph: g\n{params}inputs: {{x: [3, H, W]}}\nnodes:\n{nodes}  z: ReLU\noutputs: {outputs}\n{more}"


def lines(count: int, line: Callable[[int], str]) -> str:
    return "".join(f"  {line(number)}\n" for number in range(count))


GRAPHS: dict[str, Callable[[int], str]] = {  # of any size
    "a chain": lambda n: graph(lines(n, lambda i: f"n{i}: {{Conv: {{out: 3}}}}")),
    "a fan": lambda n: graph(
        lines(n, lambda i: f"n{i}: {{from: x, ReLU: {{}}}}")
        + f"  s: {{from: [{', '.join(f'n{i}' for i in range(n))}], Sum: {{}}}}\n"
    ),
    "a repetition": lambda n: graph(f"  a: {{ReLU: {{}}, repeat: {n}}}\n"),
    "sizes that shrink": lambda n: graph(lines(n, lambda i: f"n{i}: {{Conv: {{out: 3, padding: 0}}}}")),
    "inputs of their own sizes": lambda n: (
        f"graph: g\ninputs: {{{', '.join(f'x{i}: [1, H{i}, W{i}]' for i in range(n))}}}\n"
        f"nodes: {{z: {{from: [{', '.join(f'x{i}' for i in range(n))}], Concat: {{}}}}}}\noutputs: {{z: [...]}}\n"
    ),
    "local blocks": lambda n: graph(
        lines(n, lambda i: f"n{i}: {{s: {{w: {i + 1}}}}}"),
        more="blocks: {s: {params: {w: 3}, inputs: {x: [C, H, W]}, nodes: {b: {Conv: {out: =w}}}, "
        "outputs: {b: [...]}}}\n",
    ),
    "names with an index": lambda n: graph(
        "  a(i): {repeat: =d, index: i, Conv: {out: =i}}\n", params=f"params: {{d: {n}}}\n"
    ),
    "conditions": lambda n: graph(
        lines(n, lambda i: f"n{i}: {{ReLU: {{}}, if: =k > {i % 5}}}"), params="params: {k: 3}\n"
    ),
    "shared weights": lambda n: graph("  n0: {Conv: {out: 3}}\n" + lines(n, lambda i: f"n{i + 1}: {{share: n{i}}}")),
    "params that read each other": lambda n: graph(
        f"  a: {{Conv: {{out: =p{n}}}}}\n", params="params:\n  p0: 2\n" + lines(n, lambda i: f"p{i + 1}: =p{i}")
    ),
    "many params beside many expressions": lambda n: graph(
        lines(n, lambda i: f"a{i}: {{Conv: {{out: =p{i}}}}}"), params="params:\n" + lines(n, lambda i: f"p{i}: 2")
    ),
    # and with mistakes
    "params that nothing uses": lambda n: graph("", params="params:\n" + lines(n, lambda i: f"p{i}: 1")),
    "params in a circle": lambda n: graph(
        "  a: {Conv: {out: =p0}}\n", params="params:\n" + lines(n, lambda i: f"p{i}: =p{(i + 1) % n}")
    ),
    "names without a value": lambda n: graph(
        "  a: {Conv: {out: =p0}}\n", params="params:\n" + lines(n, lambda i: f"p{i}: =q{i}")
    ),
    "unknown keys": lambda n: graph("") + "".join(f"key{i}: 1\n" for i in range(n)),
    "unknown arguments": lambda n: graph(f"  a: {{Conv: {{out: 3, {', '.join(f'k{i}: 1' for i in range(n))}}}}}\n"),
    "unknown blocks": lambda n: graph(lines(n, lambda i: f"n{i}: Blok{i}")),
    "unknown reads": lambda n: graph(lines(n, lambda i: f"n{i}: {{from: m{i}, ReLU: {{}}}}")),
    "unread nodes": lambda n: graph(lines(n, lambda i: f"n{i}: {{from: x, ReLU: {{}}}}")),
    "weights shared in a circle": lambda n: graph(lines(n, lambda i: f"n{i}: {{share: n{(i + 1) % n}}}")),
    "a circle": lambda n: graph(lines(n, lambda i: f"n{i}: {{from: n{(i + 1) % n}, ReLU: {{}}}}")),
    "wrong choices": lambda n: graph(
        "", params=f"params: {{p: [{', '.join(['0'] * n)}]}}\n", more=f"choices: {{p: {[*range(1, n)]}}}\n"
    ),
}
RECIPES: dict[str, Callable[[int], str]] = {
    "losses": lambda n: RECIPE.replace(
        "{pixel: {l1: [fake, target]}}", "\n" + lines(n, lambda i: f"l{i}: {{l1: [fake, target]}}")
    ),
    "params that read each other": lambda n: (
        RECIPE.replace("batch: 2", f"batch: =p{n}") + "params:\n  p0: 2\n" + lines(n, lambda i: f"p{i + 1}: =p{i}")
    ),
    "params that nothing uses": lambda n: RECIPE + "params:\n" + lines(n, lambda i: f"p{i}: 2"),
    "unknown keys": lambda n: RECIPE + "".join(f"key{i}: 1\n" for i in range(n)),
    "unknown losses": lambda n: RECIPE.replace(
        "{pixel: {l1: [fake, target]}}", "\n" + lines(n, lambda i: f"l{i}: {{los{i}: fake}}")
    ),
    "settings of a variant": lambda n: (
        RECIPE + "variant: a\nvariants:\n  a:\n" + lines(n, lambda i: f"  params.p{i}: 1")
    ),
}


def calls(path: Path, text: str, checked: Callable[[Path], object]) -> int:
    """How many functions are called to check a text, which is processor time on any machine."""
    path.write_text(text, "utf-8")
    profile = cProfile.Profile(builtins=False)
    profile.enable()
    try:
        checked(path)
    except InvalidFile:
        pass
    finally:
        profile.disable()
    return sum(entry.callcount for entry in profile.getstats())


def _grows(tmp_path: Path, text: Callable[[int], str], checked: Callable[[Path], object]) -> float:
    calls(tmp_path / "a.yaml", text(20), checked)  # what is done once in a process
    small, large, larger = (calls(tmp_path / "a.yaml", text(count), checked) for count in (50, 150, 250))
    return (larger - large) / max(1, large - small)


@pytest.mark.slow
@pytest.mark.parametrize("what", GRAPHS)
def test_checking_a_graph_takes_as_long_as_it_is_large(what: str, tmp_path: Path) -> None:
    assert _grows(tmp_path, GRAPHS[what], check) < 1.3


@pytest.mark.slow
@pytest.mark.parametrize("what", RECIPES)
def test_checking_a_recipe_takes_as_long_as_it_is_large(what: str, tmp_path: Path) -> None:
    assert _grows(tmp_path, RECIPES[what], check_recipe) < 1.3


# ---------------------------------------------------------------------- what is beyond a limit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (graph("  a: {ReLU: {}, repeat: 1000000000}\n"), "`repeat` must be at most 1000"),
        (graph("  a: {ReLU: {}, repeat: =10**9}\n"), "`repeat` must be a whole number from 0 to 1000"),
        (graph("  a(i)_(j): {repeat: [1000, 1000], index: [i, j], ReLU: {}}\n"), "more than 10000 nodes"),
        (graph(lines(20, lambda i: f"a{i}: {{ReLU: {{}}, repeat: 1000}}")), "more than 10000 blocks"),
        (graph("", params="params: {p: =9**9**9**9}\n"), "an exponent is at most 64"),
        (graph("", params="params: {p: =(10**15)**64}\n"), "the result is beyond 1e+15"),
        (graph("", params=f"params: {{p: ={'-' * 1900}1}}\n"), "at most 100 parts"),
        (graph("", params=f"params: {{p: ={'1+' * 1100}1}}\n"), "at most 100 parts"),
        (graph("", params=f"params: {{p: {'[' * 70}1{']' * 70}}}\n"), "nested more than 64 deep"),
        (graph("", params=f"params: {{p: [{'1, ' * 50_001}]}}\n"), "more than 50000 values"),
        (graph("  a: {Conv: {out: 3, kernel: 1000000007, padding: 500000003}}\n"), "weights do not fit into memory"),
        (graph("  a: {Conv: {out: 1000000007}}\n"), "larger than 1048576"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_in_words(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text, "utf-8")
    with pytest.raises(InvalidFile, match=re.escape(says)):
        build(str(tmp_path / "a.yaml"))


def test_recipes_extend_each_other_no_longer_than_graphs_do(tmp_path: Path) -> None:
    for number in range(limits.MAX_PARENTS + 2):
        (tmp_path / f"r{number}.yaml").write_text(f"recipe: r{number}\nextends: r{number + 1}.yaml\n", "utf-8")
    with pytest.raises(InvalidFile, match=f"more than {limits.MAX_PARENTS} deep"):
        check_recipe(tmp_path / "r0.yaml")


def test_weights_that_do_not_fit_into_memory_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(graph("  small: {Conv: {out: 4}}\n  large: {Conv: {out: 1000000, kernel: 301}}\n"), "utf-8")
    monkeypatch.setattr("crossband.graphs.plans.assembly.assemble", lambda *_, **__: pytest.fail("it is built"))
    with pytest.raises(InvalidFile, match=r"takes 1,449\.\d GB, and [\d,.]+ GB are at hand") as error:
        build(str(path))
    [found] = error.value.problems
    assert (str(found.place), found.notes[0][0][:16]) == (f"{path}:5:11", "`large` has 1,44")
    for command in (("check", path), ("show", path)):  # which allocate nothing
        result = run(*command)
        assert (result.exit_code, "the weights do not fit into memory" in result.stderr) == (0, True)


# ---------------------------------------------------------------------- what is said of it


def test_the_first_errors_are_shown_and_how_many_more(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(GRAPHS["unknown keys"](462), "utf-8")
    said = run("check", path).output.splitlines()
    assert sum(" E005 " in line for line in said) == limits.MAX_ERRORS
    assert said[-3:] == ["and 412 more", "", f"462 errors in {path}"]
    assert len(json.loads(run("check", path, "--json").stdout)) == 462


def test_a_message_shows_no_endless_names(tmp_path: Path) -> None:
    path, name = tmp_path / "a.yaml", "q" * 200_000
    for text in (graph(f"  a: {{from: {name}, ReLU: {{}}}}\n"), graph(f"  a: {name}\n"), RECIPE.replace("unet", name)):
        path.write_text(text, "utf-8")
        said = run("check", path).output
        assert len(said) < 3000
        assert "qqq...qqq" in said


def test_a_message_is_cut_by_words_and_lines() -> None:
    assert shortened("a short one") == "a short one"
    assert len(shortened("word " * 10_000)) == LONGEST_TEXT + len("...")
    assert len(str(CrossbandError("x" * 9999, hint="y" * 9999, notes=["z" * 9999]))) < 1000


def test_an_error_whose_hints_were_not_shown_can_be_pickled(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(graph("  a: Covn\n"), "utf-8")
    problems = Problems()
    check_into(tmp_path / "a.yaml", problems)
    [found] = pickle.loads(pickle.dumps(InvalidFile(problems))).problems
    assert found.hint == "did you mean `Conv`?"


# ---------------------------------------------------------------------- whole numbers


def _whole(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type", schema.get("else", {}).get("type"))
    types = [types] if isinstance(types, str) else types or []
    return "integer" in types and "number" not in types


INTEGERS = [
    pytest.param(parameter, id=f"{kind}-{name}-{parameter.name}")
    for kind, entries in registry.KINDS.items()
    for name, entry in entries.items()
    for parameter in entry.parameters.values()
    if _whole(parameter.schema)
]


@pytest.mark.parametrize("parameter", INTEGERS)
def test_a_whole_float_is_refused_where_a_whole_number_belongs(parameter: registry.Parameter) -> None:
    for value in (3.0, 8.0, 1e0):
        assert parameter.fault(value), value
    assert any((fault := parameter.fault(float(n))) and fault.hint == f"write {n}" for n in (3, 8, 1))


def _keys(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The keys of a recipe that are whole numbers and whose names are known."""
    for name, own in schema.get("properties", {}).items():
        if _whole(own):
            yield f"{path}{name}"
        yield from _keys(own, f"{path}{name}.")


@pytest.mark.parametrize("key", [key for key in _keys(recipe_schema(arguments=False)) if key not in ("epochs",)])
def test_every_whole_number_of_a_recipe_says_so_at_its_place(key: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE, "utf-8")
    with pytest.raises(InvalidFile) as error:
        check_recipe(tmp_path / "r.yaml", [f"{key}=16.0"])
    [found] = error.value.problems
    assert (found.place and found.place.file, found.hint) == ("settings", "write 16")
    check_recipe(tmp_path / "r.yaml", [f"{key}==32*0.5"])


@pytest.mark.parametrize(
    "setting",
    ["data.source={demo: {train: 10.0}}", "schedule={hold: 3.0, decay: 2}", "data.channels={infrared: 1.0}"],
)
def test_a_whole_float_is_no_choice_and_no_argument(setting: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE, "utf-8")
    with pytest.raises(InvalidFile, match="hint: write "):
        check_recipe(tmp_path / "r.yaml", [setting])


def test_an_expression_gives_whole_numbers_where_they_are_wanted() -> None:
    text = """graph: g
params: {half: =0.5, width: =8*1.5}
inputs: {x: [=6*half, H, W]}
nodes:
  a: {Conv: {out: =width, kernel: =2*1.5}, repeat: =4*half}
  b(i*1.0): {repeat: =4*half, index: i, Conv: {out: =width*half}}
outputs: {z: {from: b2, shape: [=12*half, H, W]}}
"""
    problems = Problems()
    graph = Resolver(problems).load_text(text)
    assert graph, problems.render()
    plan = check(graph)
    kinds = {type(value) for call in plan.calls for value in (call.arguments["out"], call.arguments["kernel"])}
    assert (kinds, plan.inputs["x"][1], list(plan.graph.nodes)) == ({int}, 3, ["a", "b1", "b2"])


# ---------------------------------------------------------------------- what schemas and settings say


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("schedule: {hold: 4, decay: x}", "`decay` must be a whole number, got `x`"),
        ("schedule: {hold: 4, decay: ''}", "`decay` must be a whole number, got ``"),
        ("schedule: {hold: 4, decay: a.b}", "`decay` must be a whole number, got `a.b`"),
        ("variants: 1\nvariant: x", "`variants` must be a mapping, got 1"),
        ("variants: [1]\nvariant: x", "`variants` must be a mapping, got [1]"),
        ("variants: null\nvariant: x", "`variants` must be a mapping, got null"),
        ("variant: {}", "`variant` must be text or a list, got a mapping"),
        ("variant: [[1]]", "item 1 of `variant` must be text, got [1]"),
        ("extends: 3", "`extends` must be text, got 3"),
        ("extends: absent.yaml", "no such file"),
    ],
)
def test_a_recipe_is_refused_at_the_line_that_is_wrong(end: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + end + "\n", "utf-8")
    with pytest.raises(InvalidFile, match=re.escape(says)) as error:
        check_recipe(path)
    [found] = error.value.problems
    mark = found.place and found.place.mark
    assert mark
    assert 9 <= mark.line <= 10


def test_a_data_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE, "utf-8")
    with pytest.raises(InvalidFile, match="`source` must not be empty"):
        check_recipe(tmp_path / "r.yaml", ["data.source={}"])
