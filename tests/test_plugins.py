"""One plugin with a thing of every kind: the command line knows each as it knows its own, named or installed."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from commandline import run, succeed

from crossband import registry
from crossband.recipes.commands import listing
from crossband.recipes.metrics.laws import check_laws
from crossband.registry import RegistryError

PLUGIN = '''
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, doc
from torch import Tensor, nn

from crossband import augmentation, block, function, graph_wrapper, loss, metric, optimizer, registry, schedule
from crossband import source, wrapper
from crossband.recipes.data import Band, Source
from crossband.recipes.kinds.function import Function

HERE = Path(__file__).parent
registry.add_folder("graphs", HERE / "graphs")
registry.add_folder("recipes", HERE / "recipes")
registry.add_folder("tables", HERE / "tables")
registry.add_folder("keys", HERE / "keys")
registry.add_references(HERE / "own.bib")


@block("OwnScale", contract="b c h w -> b c h w", cite="own2030")
class OwnScale(nn.Module):
    """Scale by a number that is learned: `b c h w` to the same."""

    def __init__(self, *, start: Annotated[float, Gt(0), doc("What it begins with")] = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


@wrapper("OwnDouble", cite="own2030")
class OwnDouble(nn.Module):
    """Twice the output of a network that has one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        return 2 * self.network(*inputs)


@graph_wrapper("OwnNothing", cite="own2030")
def own_nothing(graph):
    """The same graph under another name."""
    return replace(graph, name=f"{graph.name}_same")


@loss("own_loss", cite="own2030")
def own_loss(output: Tensor, target: Tensor, /, *, power: Annotated[float, Gt(0)] = 2.0) -> Tensor:
    """Any power of the difference, `mean |output - target|^power`."""
    return (output - target).abs().pow(power).mean()


class Noise(Source):
    def __init__(self, count: int) -> None:
        self.bands = {"visible": Band(3), "infrared": Band(1)}
        self.splits = {split: [f"{split}{n}" for n in range(count)] for split in ("train", "test")}

    def read(self, name, bands=None):
        seed = np.random.default_rng(sum(name.encode()))
        full = {"visible": seed.random((3, 16, 16), np.float32), "infrared": seed.random((1, 16, 16), np.float32)}
        return {band: full[band] for band in bands or full}


@source("own_source", cite="own2030")
def own_source(*, count: Annotated[int, Gt(0)] = 2) -> Noise:
    """Noise of 16x16 pixels in both bands."""
    return Noise(count)


@augmentation("own_augmentation", channels=3, cite="own2030")
def own_augmentation(image: Tensor, rng: np.random.Generator, *, darkest: Annotated[float, Gt(0)] = 0.5) -> Tensor:
    """Any brightness from a part of it on."""
    return image * rng.uniform(darkest, 1)


@metric("own_metric", title="Own", better="lower", unit="K", cite="own2030")
def own_metric(output: Tensor, target: Tensor, source: Tensor | None) -> Tensor:
    """The largest error of each image."""
    return (output - target).abs().flatten(1).amax(1)


@function("own_function", cite="own2030")
class OwnFunction(Function):
    """Images turned to their negative."""

    def __call__(self, *tensors: Tensor) -> Tensor:
        return 1 - tensors[0]


@optimizer("OwnOptimizer", cite="own2030")
class OwnOptimizer(torch.optim.SGD):
    """Plain descent, made slower by a number."""

    def __init__(self, weights, *, lr: Annotated[float, Gt(0)], brake: Annotated[float, Gt(0)] = 2.0) -> None:
        super().__init__(weights, lr / brake)


@schedule("own_step", ends=lambda own_step, factor: 10 * own_step, cite="own2030")
def own_step(at: int, length: int, *, own_step: Annotated[int, Gt(0)], factor: float = 0.1) -> float:
    """The rate falls by a factor after every so many epochs."""
    return factor ** (at // own_step)
'''
GRAPH = """# A graph of the plugin.
graph: own_graph
cite: own2030
inputs: {image: [3, H, W]}
nodes: {result: [{Conv: {out: 1, norm: none}}, {OwnScale: {start: 0.5}}]}
outputs: {result: [1, H, W]}
wrap: {OwnDouble: {}, OwnNothing: {}}
"""
RECIPE = """# A recipe of the plugin.
recipe: own_recipe
cite: own2030
task: {from: visible, to: infrared}
networks: {generator: {graph: own_graph}}
flow: {fake: generator(own_function(source))}
losses: {own: {own_loss: [fake, target], power: 1.5}}
optimizer: {OwnOptimizer: {lr: 1.0e-3}}
schedule: {own_step: 1, factor: 0.5, warmup: 1}
data: {source: {own_source: {count: 3}}, size: 16, augment: {own_augmentation: {darkest: 0.9}}}
steps: 2
evaluate: {metrics: [own_metric, psnr]}
device: cpu
"""
KEYS = """# A key map of the plugin.
keys: own_keys
for: own_graph
rename: {"conv.{leaf}": "result.Conv.conv.{leaf}"}
"""
TABLE = """# A table of the plugin.
table: own_table
doc: The recipe of the plugin, alone.
rows: {ours: own_recipe}
columns: [own_metric]
"""
BIB = "@misc{own2030,\n  title = {{Own things}},\n  note = {of a {plugin}}\n}"
OWN = {
    "blocks": ["OwnScale"],
    "wrappers": ["OwnDouble", "OwnNothing"],
    "losses": ["own_loss"],
    "sources": ["own_source"],
    "augmentations": ["own_augmentation"],
    "metrics": ["own_metric"],
    "functions": ["own_function"],
    "optimizers": ["OwnOptimizer"],
    "schedules": ["own_step"],
    "graphs": ["own_graph"],
    "recipes": ["own_recipe"],
    "tables": ["own_table"],
    "keys": ["own_keys"],
}
NAMES = [(kind, name) for kind, names in OWN.items() for name in names]


def write_plugin(folder: Path, text: str = PLUGIN) -> Path:
    for kind, (name, written) in {
        "graphs": ("graph", GRAPH),
        "recipes": ("recipe", RECIPE),
        "tables": ("table", TABLE),
        "keys": ("keys", KEYS),
    }.items():
        (folder / kind).mkdir()
        (folder / kind / f"own_{name}.yaml").write_text(written)
    (folder / "own.bib").write_text(BIB + "\n")
    path = folder / "own_plugin.py"
    path.write_text(text)
    return path


@pytest.fixture(params=["named", "installed"])
def option(
    request: pytest.FixtureRequest, tmp_path: Path, scratch: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """What the command line is told: the plugin by `--plugin`; or nothing, where an entry point names it."""
    path = write_plugin(tmp_path)
    if request.param == "named":
        yield ["--plugin", str(path)]
        return
    install(path, monkeypatch)
    yield []


def install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment have a package whose entry point is the module at `path`."""
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    point = EntryPoint(path.stem, path.stem, "crossband.plugins")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry._loaded.pop("entry points", None)


@pytest.mark.slow
def test_every_kind_of_a_plugin_is_known(option: list[str], tmp_path: Path) -> None:
    assert [*OWN, "formats"] == list(listing.KINDS)  # what a file may say is no plugin's to add to
    listed = json.loads(succeed(*option, "ls", "--json"))
    for kind, name in NAMES:
        [found] = [item for item in listed[kind] if item["name"] == name]
        assert len(found["summary"]) > 10
        text = succeed(*option, "show", name)
        assert found["doc"] in text or found["summary"] in text
        assert succeed(*option, "cite", name) == ("" if kind == "keys" else BIB + "\n")
    assert re.search(
        r"^start +float > 0 +1\.0 +What it begins with$", succeed(*option, "show", "OwnScale"), re.MULTILINE
    )
    assert json.loads(succeed(*option, "show", "own_graph", "--json"))["parameters"] == 3 * 9 + 1 + 1
    for kind in ("graph", "recipe"):
        schema = succeed(*option, "schema", kind)
        used = ("blocks", "wrappers") if kind == "graph" else tuple(OWN)[2:-4]
        assert all(f'"{name}"' in schema for kind in used if kind != "functions" for name in OWN[kind])
    assert "own_graph" in succeed(*option, "check", "own_graph", "own_recipe")
    assert BIB in succeed(*option, "cite", "own_recipe", "psnr")
    short = run(*option, "train", "own_recipe", "--set", "steps=20", "--run", tmp_path / "short")
    assert "E077 the schedule ends at 11, and the recipe goes on to 20" in short.stderr
    text = succeed(*option, "train", "own_recipe", "--run", tmp_path / "run")
    assert re.search(r"Own \(K\)", text)
    assert (tmp_path / "run" / "weights").is_dir()


@pytest.mark.usefixtures("scratch")
def test_the_plugin_of_the_contributing_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text().partition("Outside this repository")[2]
    code = page[page.index("    from crossband import") : page.index("\nName the module")]
    (tmp_path / "graphs").mkdir()
    (tmp_path / "references.bib").write_text(BIB)
    (tmp_path / "page.py").write_text(textwrap.dedent(code))
    assert "The largest error of each image" in succeed("--plugin", tmp_path / "page.py", "show", "largest_error")
    tried = check_laws("largest_error")
    assert [law for law, count in tried.items() if not count] == ["alone"]  # it looks at the target, too


TAKEN = {
    "block Conv": '@block("Conv")\nclass Conv(nn.Module):\n    def __init__(self): super().__init__()',
    "wrapper SpectralNorm": '@graph_wrapper("SpectralNorm")\ndef same(graph): return graph',
    "loss l1": '@loss("l1")\ndef same(fake: Tensor, /) -> Tensor: return fake',
    "source demo": '@source("demo")\ndef same(): return None',
    "metric psnr": '@metric("psnr", better="higher")\ndef same(output, target, source): return output',
    "function pool": '@function("pool")\nclass Same(Function): pass',
    "optimizer Adam": '@optimizer("Adam")\ndef same(weights, *, lr: float): return None',
    "schedule hold": '@schedule("hold")\ndef same(at, length, *, hold: int): return 1.0',
}


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.usefixtures("scratch")
def test_a_name_that_is_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str, installed: bool
) -> None:
    kind, name = taken.split()
    path = write_plugin(tmp_path, PLUGIN.partition("@block")[0] + TAKEN[taken])
    if installed:  # it is set aside, and the rest of the library works
        install(path, monkeypatch)
    result = run("ls", "blocks") if installed else run("--plugin", path, "ls", "blocks")
    assert result.exit_code == (0 if installed else 1)
    line = result.stderr.splitlines()[0]
    assert f"the {kind} `{name}` is registered twice: " in line
    assert re.search(r"\S+\.py:\d+ and \S+own_plugin\.py:\d+$", line)


@pytest.mark.slow
def test_ours_come_first_where_no_metric_was_looked_at_before(tmp_path: Path) -> None:
    path = tmp_path / "own_plugin.py"
    path.write_text(
        'from crossband import metric\n@metric("psnr", better="higher")\ndef psnr(output, target, source): ...\n'
    )
    code = f"from crossband import registry; registry.load_plugin({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RegistryError: the metric `psnr` is registered twice: " in done.stderr
    assert "metrics.py" in done.stderr.splitlines()[-2].partition(" and ")[0]


@pytest.mark.parametrize(
    ("kind", "file"), [("graphs", "u2net.yaml"), ("recipes", "demo.yaml"), ("keys", "torchvision_resnet101.yaml")]
)
@pytest.mark.usefixtures("scratch")
def test_a_file_of_a_name_that_is_ours_is_refused(tmp_path: Path, kind: str, file: str) -> None:
    (tmp_path / file).write_text("")
    with pytest.raises(RegistryError) as caught:
        registry.add_folder(kind, tmp_path)
    assert str(tmp_path / file) in caught.value.message
    assert str(registry.ROOT) in caught.value.message
    assert tmp_path not in registry.FOLDERS[kind]


@pytest.mark.usefixtures("scratch")
def test_a_source_of_a_key_that_is_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.bib").write_text("@misc{fan2025,\n  title = {{Other}}\n}\n")
    with pytest.raises(RegistryError, match=r"the source `fan2025` is there twice: \S+references.bib and \S+own.bib"):
        registry.add_references(tmp_path / "own.bib")


@pytest.mark.parametrize("add", [lambda path: registry.add_folder("graphs", path), registry.add_references])
def test_the_path_of_a_plugin_is_absolute_and_there(add, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="must be absolute"):
        add("mine")
    with pytest.raises(RegistryError, match="no such"):
        add(tmp_path / "mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('@metric("mine", better=None)\ndef mine(output, target): ...', "write `def mine(output, target, source)`"),
        ('@metric("mine", better=None, whole_set=True)\ndef mine(output, target): ...', "(outputs, targets)"),
        ('@function("mine")\ndef mine(x): ...', "must be a subclass of `Function`"),
        ('@optimizer("mine")\ndef mine(weights, *, speed: float): ...', "has no parameter `lr`"),
        ('@schedule("mine")\ndef mine(at, length, *, other: int): ...', "needs `mine` as its first keyword"),
        ('@schedule("mine")\ndef mine(at): ...', "write `def mine(at: int, length: int, *, mine: ...) -> float`"),
    ],
)
@pytest.mark.usefixtures("scratch")
def test_a_wrong_signature_is_refused_with_the_right_one(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong_plugin.py"
    path.write_text("from crossband import function, metric, optimizer, schedule\n" + text)
    result = run("--plugin", path, "ls")
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_the_cell_of_a_notebook_may_be_run_again(tmp_path: Path) -> None:
    cell = 'from crossband import block\n@block("Mine")\nclass Mine(torch.nn.Identity): ...\n'
    code = f"import torch\nfor name in ('one', 'two'): exec(compile({cell!r}, name, 'exec'))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours = code.replace('"Mine"', '"ReLU"').replace("class Mine", "class ReLU")
    done = subprocess.run([sys.executable, "-c", ours], capture_output=True, text=True, check=False)
    assert "the block `ReLU` is registered twice" in done.stderr


@pytest.mark.usefixtures("scratch")
def test_a_folder_of_no_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no kind of YAML file named `graph`\nhint: did you mean `graphs`"):
        registry.add_folder("graph", tmp_path)
