"""The shape of the house: what ships, which way imports point, what start-up may not load."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["registry", "blocks", "graphs", "recipes"]
ROOMS = [  # a room imports only itself and rooms before it
    *("registry", "blocks.contracts", "blocks", "blocks.laws"),
    *("graphs.language", "graphs.plans", "graphs.checking", "graphs.building", "graphs.picture"),
    *("recipes.basics", "recipes.kinds", "recipes.language", "recipes.losses", "recipes.data", "recipes.metrics"),
    *("recipes.model", "recipes.reporting", "recipes.training", "recipes.commands"),
]
DOORS = [ROOT / "graphs" / "__init__.py", ROOT / "recipes" / "__init__.py"]
LIGHT = ["crossband", *(f"crossband.{name}" for name in ("registry", "graphs", "recipes", "recipes.commands"))]
MODULES = sorted(path for layer in LAYERS[1:] for path in (ROOT / layer).rglob("*.py"))


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command at the root of the repository."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def imported(path: Path) -> set[str]:
    """The names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def room_of(module: str) -> str | None:
    """The room that a module is in; None for the two doors, which name what is public and import it when asked."""
    inside = [room for room in ROOMS if f"{module}.".startswith(f"crossband.{room}.")]
    return max(inside, key=len, default=None)


@pytest.mark.parametrize("path", [ROOT / "registry.py", *MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = room_of(".".join(["crossband", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__"))
    if own is None:
        assert path in DOORS, f"{path} is in no room: add it to ROOMS"
        return
    rooms = {name: room for name in imported(path) if (room := room_of(name))}
    wrong = {name for name, room in rooms.items() if ROOMS.index(room) > ROOMS.index(own)}
    assert not wrong, f"{path.name} of {own} imports {wrong}, from a room after its own"


@pytest.mark.parametrize("room", [room for room in ROOMS if room.count(".")])
def test_a_room_says_what_comes_in_and_what_goes_out(room: str) -> None:
    text = (ROOT / room.replace(".", "/") / "__init__.py").read_text()
    doc = ast.get_docstring(ast.parse(text)) or ""
    assert re.match(r"[^\n]+\. In: [^\n]+\. Out: ", doc), (
        f"{room}: begin `__init__.py` with what it is. In: ... Out: ..."
    )


@pytest.mark.slow
def test_the_wheel_has_the_package_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = run(["git", "ls-files", "-co", "--exclude-standard"])
    names = files.stdout.split() if files.returncode == 0 else []
    for name in names:
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    if not names:
        pytest.skip("not a git checkout: what belongs to the project is not known")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=source, check=True)
    [wheel] = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {
        name
        for name in names
        if Path(name).parts[0] in LAYERS and Path(name).suffix in (".py", ".yaml", ".json", ".bib")
    }
    assert shipped == {f"crossband/{name}" for name in {*package, "__init__.py", "registry.py", "py.typed"}}


def test_a_second_registry_is_refused() -> None:
    done = run([sys.executable, "-c", "import registry"])
    assert done.returncode == 1
    assert "import `crossband.registry`, not `registry`" in done.stderr


@pytest.mark.parametrize("module", LIGHT)
def test_importing_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_importing_touches_no_network_and_no_seed() -> None:
    code = (
        "import socket, random; state = random.getstate()\n"
        "def refuse(*_): raise AssertionError('network at import')\n"
        "socket.socket.connect = refuse\n"
        "import torch; before = torch.get_rng_state()\n"
        "import crossband.blocks, crossband.graphs.building.build, crossband.recipes.losses, crossband.recipes.data\n"
        "assert torch.equal(before, torch.get_rng_state()) and state == random.getstate()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
