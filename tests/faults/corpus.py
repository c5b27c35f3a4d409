"""What the campaign begins with: every shipped graph and recipe, the hybrids and mistakes of the tests, tiny runs."""

import atexit
import pickle
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import yaml
from faults.law import run_here
from PIL import Image

from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read_text
from crossband.registry import ROOT

TESTS = Path(__file__).parents[1]
RICH_GRAPH = """
# Every key of a graph file once.
graph: rich
cite: [ronneberger2015unet]
doc: every key
params: {width: 4, depth: 2, kind: add, gate: true, sizes: [2, 3]}
choices: {kind: [add, mul]}
inputs: {image: [3, H, W]}
blocks:
  pair:
    params: {wide: 2}
    inputs: {x: [c, h, w]}
    nodes:
      mix: {Conv: {out: =wide*c, kernel: 1}}
      back: {Conv: {out: =c, kernel: 1}}
    outputs: {back: [=c, h, w]}
nodes:
  stem: {Conv: {out: =width, norm: batch, activation: relu}, doc: the first}
  down: [{MaxPool: {ceil: true}}, {Conv: {out: =width}}, ReLU]
  deep: {from: down, do: [{pair: {wide: 3}}, {Conv: {out: =width}, repeat: =depth, index: i}], repeat: 2, share: true}
  gated: {from: deep, GateChannels: {}, if: =gate}
  level(i): {from: gated, Conv: {out: =width*i}, repeat: 2, index: i}
  up: {from: [level2, stem], UpCat: {}}
  head: [{Conv: {out: 1, kernel: 1}}, Sigmoid]
outputs: {head: [1, H, W], low: {from: deep, shape: [...]}}
taps: {features: deep}
wrap: {SpectralNorm: {}}
"""
RICH_CHILD = """
# Every key of a graph that extends another.
graph: child
extends: rich.yaml
params: {width: 6}
keep: [stem..head]
insert: {look: {after: down, Conv: {out: =width}, repeat: 2}, early: {before: stem, Identity: {}}}
nodes: {head: {with: {Conv: {bias: false}}}, gated: null}
"""
RICH_RECIPE = """
# Nearly every key of a recipe once.
recipe: rich
cite: [isola2017pix2pix]
doc: every key
task: {from: visible, to: infrared, pairing: paired}
params: {weight: 0.5, width: 2}
networks:
  generator: {graph: plain.yaml, params: {out: =target_channels}, init: {normal: 0.02}, fit: pad, test: training}
  critic: {graph: critic.yaml, params: {channels: 4}, frozen: false, insert: {more: {after: features, Identity: {}}}}
flow: {fake: generator(source)}
phases:
  critic_phase:
    train: [critic]
    repeat: 1
    losses: {both: {lsgan_critic: ["critic(cat(source, target))", "critic(cat(source, pool(fake)))"], weight: =weight}}
    optimizer: {SGD: {lr: 1e-2, momentum: 0.5}}
    schedule: {cosine: 0.1, warmup: 1}
  generator_phase:
    train: [generator]
    losses:
      adversarial: {lsgan: "critic(cat(source, fake))"}
      pixel: {l1: [fake, target], weight: {from: 0, to: 10, over: 2 steps, after: 1 steps, by: cosine}}
      structure: {ssim: [fake, target], window: 3}
order: [generator_phase, critic_phase]
optimizer: {Adam: {lr: 2e-4, betas: [0.5, 0.999]}}
schedule: {hold: 2, decay: 2}
data:
  source: {demo: {train: 4, test: 2, size: 24}}
  load: [20, 24]
  size: 16
  crop: random
  flip: true
  flip_vertical: true
  augment: {rotate: {degrees: 5}, noise: {}}
  batch: 2
  range: [-1, 1]
  channels: {infrared: 1}
  workers: 0
steps: 3
seed: 1
device: cpu
precision: 32
accumulate: 1
clip: 1.0
ema: 0.9
keep: [fake]
every: {log: 1, sample: 0, checkpoint: 1, evaluate: 0}
evaluate: {output: fake, metrics: [mae, psnr], split: test, load: 16, images: 1}
paper:
  source: isola2017pix2pix
  table: 1
  data: none
  values: {psnr: 20.0, mae: {value: 1.5, comparable: false, note: other unit}}
  note: nothing
variants: {tiny: {steps: 2, data.batch: 1}, short: {params.width: 3}}
variant: tiny
"""


@dataclass(frozen=True)
class Base:
    """A graph or recipe to begin with: its text, the files it needs beside it, and its parsed data."""

    name: str
    kind: str
    text: str
    beside: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    small: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """The values of the text, fresh each time, so that they may be changed."""
        return pickle.loads(_pickled(self.text))  # faster than to copy or to read them again


@cache
def _pickled(text: str) -> bytes:
    problems = Problems()
    document = read_text(text, problems)
    problems.raise_if_any()
    assert document
    return pickle.dumps(document.data)


def _readable(text: str) -> bool:
    document = read_text(text, Problems())
    return document is not None and isinstance(document.data, dict)


def _files(*patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


@cache
def graphs() -> Sequence[Base]:
    """All graphs, small ones first, to which Hypothesis shrinks."""
    found = [
        Base(path.stem, "graph", path.read_text())
        for path in [*_files("graphs/*.yaml", "graphs/hybrids/*.yaml"), *sorted(TESTS.glob("hybrids/*.yaml"))]
    ]
    found += [Base(name, "graph", text) for name, text in tiny.FILES.items() if text.startswith("\ngraph")]
    found += [Base("rich", "graph", RICH_GRAPH), Base("child", "graph", RICH_CHILD, {"rich.yaml": RICH_GRAPH})]
    return sorted([*found, *_mistakes("graphs", "graph")], key=lambda base: len(base.text))


@cache
def recipes() -> Sequence[Base]:
    """All recipes likewise, with the settings for which no images are needed."""
    beside = {name: text for name, text in tiny.FILES.items() if text.startswith("\ngraph")}
    own = {"rich": RICH_RECIPE, **{name: text for name, text in tiny.FILES.items() if text.startswith("\nrecipe")}}
    found = [Base(name, "recipe", text, beside, small=True) for name, text in own.items()]
    for path in _files("recipes/*.yaml"):
        text = path.read_text()
        found.append(Base(path.stem, "recipe", text, settings=("variant=tiny",) * ("tiny:" in text)))
    return sorted([*found, *_mistakes("recipes", "recipe")], key=lambda base: len(base.text))


def _mistakes(table: str, kind: str) -> list[Base]:
    """The files that the examples of mistakes begin with, and those that are wrong by themselves."""
    data = yaml.safe_load((TESTS / "mistakes" / f"{table}.yaml").read_text("utf-8"))
    texts = {name: text for name, text in data["bases"].items() if _readable(text)}
    texts |= {row["id"]: row["text"] for row in data["rows"] if _readable(row.get("text", ""))}
    return [Base(name, kind, text) for name, text in texts.items()]


# ---------------------------------------------------------------------- runs


PAIRED = """
recipe: small
task: {from: visible, to: infrared}
networks: {generator: {graph: to_one.yaml}}
flow: {fake: generator(visible)}
losses: {pixel: {l1: [fake.*, infrared]}}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {demo: {train: 2, test: 1, size: 16}}, size: 16, batch: 1}
steps: 3
every: {checkpoint: 1, sample: 0, log: 1, evaluate: 0}
evaluate: {metrics: [mae]}
"""
CYCLE = tiny.CYCLE.replace("steps: 8", "steps: 3").replace("{hold: 4, decay: 4}", "{hold: 2, decay: 2}") + (
    "ema: 0.9\nevery: {checkpoint: 1, sample: 0, log: 1, evaluate: 0}\nevaluate: {metrics: [mae]}\n"
)
RUNS = {"paired": PAIRED, "cycle": CYCLE}


@cache
def scratch() -> Path:
    """A folder of this process, removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="crossband-faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def trained(name: str = "paired") -> Path:
    """A folder with `run`, a run that stopped after two of three steps, `second`, the same, and what else it takes.

    That is `image.png` to translate, and `small.yaml`, the recipe. Pictures and pages are left out: no command reads
    them.
    """
    return _trained(name)


@cache
def _trained(name: str) -> Path:
    return _run(tiny.write_files(_folder(name), small=RUNS[name]))


@cache
def cached() -> Path:
    """The same with images in a folder, and a cache of them."""
    folder = _folder("cached")
    for band, channels in (("visible", 3), ("infrared", 1)):
        (folder / "images" / band).mkdir(parents=True)
        for at in range(4):
            pixels = np.random.default_rng(at).integers(0, 256, (16, 16, channels), np.uint8)
            Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(folder / "images" / band / f"{at}.png")
    source = "{pairs: {folder: images, split: {test: {every: 4}}}}, cache: cache"
    tiny.write_files(folder, small=PAIRED.replace("{demo: {train: 2, test: 1, size: 16}}", source))
    return _run(folder)


def _folder(name: str) -> Path:
    folder = scratch() / name
    folder.mkdir()
    return folder


def _run(folder: Path) -> Path:
    outcome = run_here(("train", "small.yaml", "--run", "run", "--set", "steps=2"), folder)
    assert outcome.code == 0, outcome.output
    run = folder / "run"
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("steps: 2", "steps: 3"))
    for path in [*run.glob("*.png"), *run.glob("report.*")]:
        path.unlink()
    shutil.rmtree(run / "tensorboard")
    shutil.copytree(run, folder / "second")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    return folder
