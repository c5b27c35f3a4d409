"""`crossband new`: what it writes keeps its laws as it is written, and nothing is overwritten."""

import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from commandline import run, succeed

import crossband
from crossband import registry
from crossband.registry import RegistryError

RULES = ["check", "--isolated", "--select", "E,F,W,I,B,UP,ANN,RUF,PL,D1", "--ignore", "D103,D107"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, scratch: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, and a Python that forgets the modules in it."""
    monkeypatch.chdir(tmp_path)
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def run_tests(module: str) -> int:
    """Run the tests of a module that was written, and give their number."""
    tests = [value for name, value in vars(import_module(module)).items() if name.startswith("test_")]
    for test in tests:
        test()
    return len(tests)


def assert_clean(folder: Path) -> None:
    """What was written has no long lines, and the linter has nothing to say where it is installed."""
    assert all(len(line) <= 88 for path in folder.rglob("*.py") for line in path.read_text().splitlines())
    if importlib.util.find_spec("ruff"):
        for rules in (RULES, ["format", "--isolated", "--check"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *rules, folder], check=False, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout


def test_a_block_keeps_its_laws_as_it_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert succeed("new", "block", "SharpEdges") == "sharp_edges.py\ntest_sharp_edges.py\n"
    assert sorted(path.name for path in here.iterdir()) == ["sharp_edges.py", "test_sharp_edges.py"]
    assert_clean(here)
    monkeypatch.syspath_prepend(here)
    assert run_tests("test_sharp_edges") == 1


def test_a_block_that_was_written_is_shown_and_used(here: Path) -> None:
    assert (
        "next:\n  pytest test_mine.py\n  crossband show Mine --plugin mine.py\n" in run("new", "block", "Mine").stderr
    )
    (here / "g.yaml").write_text(
        "graph: g\ninputs: {image: [3, H, W]}\nnodes: {out: {Mine: {}}}\noutputs: {out: [3, H, W]}\n"
    )
    assert "graph g: 3 parameters" in succeed("check", "g.yaml", "--plugin", "mine.py")
    assert "Scale each channel by a number" in succeed("show", "Mine", "--plugin", "mine.py")


def test_a_plugin_brings_all_that_it_has(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = succeed("new", "plugin", "my_lab").splitlines()
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()) == sorted(written)
    assert_clean(here)
    monkeypatch.syspath_prepend(here / "my_lab")
    monkeypatch.syspath_prepend(here / "my_lab" / "tests")
    assert run_tests("test_my_lab") == 2
    assert "Who wrote it" in succeed("cite", "my_lab_demo")
    assert "my_lab_unet" in crossband.list("graphs")


def test_the_package_of_a_plugin_has_all_its_files(here: Path) -> None:
    succeed("new", "plugin", "my_lab")
    project = tomllib.loads((here / "my_lab" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["crossband.plugins"] == {"my_lab": "my_lab"}
    package = here / "my_lab" / "my_lab"
    [(name, patterns)] = project["tool"]["setuptools"]["package-data"].items()
    kept = {path for pattern in patterns for path in package.glob(pattern)}
    assert name == "my_lab"
    assert kept == {path for path in package.rglob("*") if path.is_file()} - {package / "__init__.py"}


def test_nothing_is_overwritten(here: Path) -> None:
    (here / "test_mine.py").write_text("mine")
    (here / "my_lab").mkdir()
    for arguments, there in ((("block", "Mine"), "test_mine.py"), (("plugin", "my_lab"), "my_lab")):
        result = run("new", *arguments)
        assert result.exit_code == 1
        assert f"`{there}` is there already: nothing was written" in result.stderr
    assert sorted(path.name for path in here.rglob("*")) == ["my_lab", "test_mine.py"]
    assert (here / "test_mine.py").read_text() == "mine"


REFUSED = {
    ("block", "sharp-edges"): ("a block has the name of a class, got `sharp-edges`", "write `SharpEdges`"),
    ("block", "3"): ("a block has the name of a class, got `3`", "write it as `SharpEdges`"),
    ("block", "Conv"): ("there is a block `Conv`: Convolution", "take another name; `crossband show Conv` shows"),
    ("block", "Random"): ("would be `random.py`, and Python has another `random`", "such as `RandomBlock`"),
    ("block", "Torch"): ("would be `torch.py`, and Python has another `torch`", "such as `TorchBlock`"),
    ("plugin", "My-Lab"): ("a plugin has the name of a package, got `My-Lab`", "write `my_lab`"),
    ("plugin", "class"): ("a plugin has the name of a package, got `class`", "write it as `my_lab`"),
    ("plugin", "torch"): ("there is a package `torch` already", "take another name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_name_that_cannot_be_is_refused(case: tuple[str, str], here: Path) -> None:
    message, hint = REFUSED[case]
    result = run("new", *case)
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[0]
    assert hint in result.stderr.splitlines()[1]
    assert not [*here.iterdir()]


def test_it_imports_no_torch() -> None:
    code = "import sys; from crossband.recipes.commands import cli; cli.main(['new', 'block', 'Mine'], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_a_plugin_without_files_is_told_what_to_make(here: Path) -> None:
    with pytest.raises(RegistryError, match=r"nothing to add lies beside .*plugin\.py\nhint: make a folder `graphs`"):
        registry.add_files(here / "plugin.py")
