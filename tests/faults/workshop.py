"""A folder with all that the commands work on, made once in a process, and cases that begin with a copy of it.

- `base.yaml` with `net.yaml` and `critic.yaml` is the smallest training that has all that a state can hold; `more.yaml`
  extends it, and `cached.yaml` keeps its images in `cache/`. `plugin.py` registers a metric.
- `data/` has eight pairs of 16 by 16 pixels. `run/` is a finished run, `half/` the same stopped on the way.
"""

import atexit
import contextlib
import functools
import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faults.forks import Ended, Forks, Running
from faults.law import Broken, Outcome
from PIL import Image
from safetensors.torch import load_file

NET = """
graph: net
params: {channels: 3, out: 1}
inputs: {image: [=channels, H, W]}
nodes:
  hidden: {Conv: {out: 4, norm: batch, activation: relu}}
  drop: {Dropout: {p: 0.2}}
  result: [{Conv: {out: =out}}, Sigmoid]
outputs: {result: [=out, H, W]}
"""
CRITIC = """
graph: critic
inputs: {image: [1, H, W]}
nodes:
  features: {Conv: {out: 4, stride: 2, activation: leaky_relu}}
  score: {Conv: {out: 1}}
outputs: {score: [1, h, w]}
"""
BASE = """
recipe: base
task: {from: visible, to: infrared}
networks:
  generator: {graph: net.yaml}
  critic: {graph: critic.yaml}
flow: {fake: generator(visible)}
phases:
  critic:
    train: [critic]
    losses: {both: {mse: [critic(infrared), critic(pool(fake))]}}
  generator:
    train: [generator]
    losses:
      adversarial: {mse: [critic(fake), critic(infrared)]}
      pixel: {l1: [fake, infrared], weight: {from: 1, to: 10, over: 5 steps}}
optimizer: {Adam: {lr: 1e-3}}
schedule: {cosine: 0.1}
ema: 0.9
data: {source: {pairs: {folder: data}}, size: 12, flip: true, batch: 2}
steps: 6
every: {log: 1, checkpoint: 2, sample: 3, evaluate: 4}
evaluate: {metrics: [mae, psnr]}
"""
MORE = "recipe: more\nextends: base.yaml\nsteps: 2\n"
CACHED = "recipe: cached\nextends: base.yaml\ndata: {cache: cache}\nsteps: 1\n"
PLUGIN = '''
from crossband import metric

@metric("bias", better=None)
def bias(output, target, source):
    """Mean of output minus target."""
    return (output - target).flatten(1).mean(1)
'''
TEXTS = {
    "net.yaml": NET,
    "critic.yaml": CRITIC,
    "base.yaml": BASE,
    "more.yaml": MORE,
    "cached.yaml": CACHED,
    "plugin.py": PLUGIN,
}
HALFWAY = 100  # how often a training has touched files when it is stopped on the way
TIMES = ("seconds", "images_per_second")  # of a log: the figures that no two runs share


@functools.cache
def server() -> Forks:
    """The server of this process, until it ends."""
    found = Forks()
    atexit.register(found.close)
    return found


@functools.cache
def workshop() -> Path:
    """The folder, made at the first use."""
    folder = Path(tempfile.mkdtemp(prefix="workshop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in TEXTS.items():
        (folder / name).write_text(text.lstrip("\n"), "utf-8")
    random = np.random.default_rng(0)
    for band, channels in {"visible": 3, "infrared": 1}.items():
        (folder / "data" / band).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (16, 16, channels), dtype=np.uint8)
            Image.fromarray(pixels.squeeze()).save(folder / "data" / band / f"{number}.png")
    for words, code in (
        (("train", "base.yaml", "--run", "run"), 0),
        (("train", "base.yaml", "--run", "half"), 130),
        (("train", "cached.yaml", "--run", "cached"), 0),
        (("translate", "run", "data/visible", "translated"), 0),
    ):
        ended = server().run(words, folder, acts=[(HALFWAY, "SIGINT")] if code else [])
        assert ended.code == code, ended.text
    step = read_state(folder / "half")["step"]
    assert 0 < step < 6, step
    return folder


# ---------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Forked:
    """A command line in a copy of the workshop, `work/`, after lines of shell; beside it lies a folder `outside/`.

    `how` are limits and the like, as in `forks.Order`.
    """

    words: tuple[str, ...]
    prepare: str = ""
    how: Mapping[str, Any] = field(default_factory=dict)

    def lay(self, folder: Path) -> None:
        """Copy the workshop and prepare it."""
        lay(folder, self.prepare)

    def __str__(self) -> str:
        """How to try it by hand, in a copy of the workshop."""
        how = [f"# with {name}={value!r}" for name, value in self.how.items()]
        return "\n".join([*filter(None, [self.prepare]), *how, shlex.join(["crossband", *self.words])])


def lay(folder: Path, prepare: str = "") -> None:
    """Copy the workshop into `work/`, make `outside/`, run lines of shell."""
    shutil.copytree(workshop(), folder / "work", symlinks=True)
    for recipe in (folder / "work").glob("*/recipe.yaml"):  # which names its images by their whole path
        recipe.write_text(recipe.read_text().replace(str(workshop()), str(folder / "work")))
    (folder / "outside").mkdir()
    for name in ("net.yaml", "critic.yaml", "base.yaml"):
        shutil.copy(workshop() / name, folder / "outside")
    shutil.copytree(workshop() / "data", folder / "outside" / "data")
    (folder / "outside" / "precious").write_text("{}\n")
    done = subprocess.run(["bash", "-ec", prepare], cwd=folder / "work", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{prepare}\n{done.stderr}"


def attempt(case: Forked, folder: Path) -> Outcome:
    """Run a case to its end."""
    return outcome(server().run(case.words, folder / "work", **case.how))


def outcome(ended: Ended, *, code: int | None = None) -> Outcome:
    """The outcome of a command; `code` in the place of one that is right where a signal or a closed pipe was meant."""
    if ended.hung:
        raise Broken(f"it hung\n{ended.err[-4000:]}")
    return Outcome(ended.code if code is None else code, ended.text, ended.seconds, ended.memory / 2**30)


def start(words: Sequence[str], folder: Path, **how: Any) -> Running:
    """Start a command in the copy of the workshop."""
    return server().start(words, folder / "work", **how)


# ---------------------------------------------------------------------- promises


def read_state(run: Path) -> dict[str, Any]:
    """The state that a run saved."""
    return torch.load(run / "state.pt", weights_only=True)


def check_same_run(run: Path, reference: Path | None = None) -> None:
    """Raise Broken unless a run is to the bit that of the workshop: weights, averages, state, figures, no leftovers."""
    reference = reference or workshop() / "run"
    for path in reference.rglob("*"):
        if path.suffix and "tfevents" not in path.name and not (run / path.relative_to(reference)).is_file():
            raise Broken(f"there is no {path.relative_to(reference)}")
    for weights in sorted((reference / "weights").iterdir()):
        if not _equal(load_file(weights), load_file(run / "weights" / weights.name)):
            raise Broken(f"other weights in {weights.name}")
    if odd := _difference(read_state(reference), read_state(run)):
        raise Broken(f"another state: {odd}")
    if (ours := log_lines(run)) != (theirs := log_lines(reference)):
        raise Broken(f"another log: {len(ours)} lines for {len(theirs)}" if len(ours) != len(theirs) else "another log")
    if json.loads((run / "evaluation.json").read_text()) != json.loads((reference / "evaluation.json").read_text()):
        raise Broken("another evaluation")
    for name in ("report.md", "report.html", "curves.png", "pictures.png", "evaluation.csv"):
        if not (run / name).stat().st_size:
            raise Broken(f"an empty {name}")
    check_no_leftovers(run)


def check_no_leftovers(folder: Path) -> None:
    """Raise Broken where temporaries are left in a folder."""
    left = sorted(path.name for path in folder.rglob(".*") if "lock" not in path.name)
    if left:
        raise Broken(f"temporaries are left: {re.sub('[0-9a-f]{8}|[0-9]+', '*', left[0])}")


def check_whole(run: Path) -> None:
    """Raise Broken if a file that lies in the folder of a run is not whole."""
    for path in sorted(run.rglob("*")):
        if path.name.startswith(".") or path.is_dir():
            continue
        try:
            match path.suffix:
                case ".safetensors":
                    load_file(path)
                case ".pt":
                    read_state(run)
                case ".json":
                    json.loads(path.read_text("utf-8"))
                case ".png":
                    with Image.open(path) as image:
                        image.load()
                case ".yaml" | ".md" | ".html" | ".csv" if not path.read_text("utf-8").endswith("\n"):
                    raise ValueError("no end")
        except Exception as error:
            raise Broken(f"half a file: {path.relative_to(run)}: {type(error).__name__}") from error


def log_lines(run: Path) -> list[Any]:
    """The log of a run, without its times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith(TIMES)} for line in lines]


def _equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def _difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where two states differ first; None where they are the same."""
    if type(one) is not type(other):
        return f"{path}: {type(one).__name__} and {type(other).__name__}"
    if isinstance(one, torch.Tensor):
        same = one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
        return None if same else path
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return f"{path}: other keys"
        return next(filter(None, (_difference(one[key], other[key], f"{path}/{key}") for key in one)), None)
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return f"{path}: other lengths"
        return next(filter(None, (_difference(*pair, path) for pair in zip(one, other, strict=True))), None)
    return None if repr(one) == repr(other) else path  # which holds of numbers that are none


Listing = Mapping[str, tuple[int, int, int]]


def listing(folder: Path) -> Listing:
    """Kind, size and time of change of all that lies in a folder, by path."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        with contextlib.suppress(OSError):
            told = path.lstat()
            found[str(path.relative_to(folder))] = (told.st_mode, told.st_size, told.st_mtime_ns)
    return found


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Raise Broken if anything in a folder is another afterwards."""
    before = listing(folder)
    yield
    after = listing(folder)
    if odd := [path for path in {**before, **after} if before.get(path) != after.get(path)]:
        raise Broken(f"what lies outside was changed: {min(odd, key=len)}")
