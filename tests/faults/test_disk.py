"""A full disk, folders without permission, files that change during a command, streams that are closed or full."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from faults.campaign import series
from faults.law import Broken, Outcome, hold
from faults.test_stops import RESUMING, TRAINING, TRANSLATING, check_outputs, check_same_networks
from faults.workshop import Forked, attempt, check_same_run, check_whole, outcome, read_state, server, workshop
from hypothesis import strategies as st

TRAIN = ("train", "base.yaml", "--run", "new")
RESUME = ("train", "--resume", "half")
CACHED = ("train", "cached.yaml", "--run", "new")
TRANSLATE = ("translate", "run", "data/visible", "out")
EVALUATE = ("evaluate", "run", "--csv", "out.csv", "--picture", "out.png")
WRITING = (
    *(TRAIN, RESUME, CACHED, TRANSLATE, EVALUATE),
    (*TRANSLATE, "--bits", "16"),
    (*TRANSLATE, "--bits", "32"),
    ("translate", "run", "data/visible/0.png", "out.png"),
    ("show", "net.yaml", "--svg", "out.svg"),
    ("new", "block", "Sharper"),
    ("new", "plugin", "lab"),
)
MADE = ("new", "half", "cache", "out", "Sharper", "sharper", "lab")  # in the paths that these commands write


# ---------------------------------------------------------------------- a full disk


def _full(words: tuple[str, ...], size: int) -> Forked:
    return Forked(words, "rm -r cache", {"file_size": size})


@series(
    "a full disk: no file may be longer than so many bytes; then once more with room",
    weight=5,
    quick=2,
    cases=lambda: st.builds(
        _full, st.sampled_from(WRITING), st.integers(0, 4_000) | st.integers(0, 60_000) | st.integers(0, 300_000)
    ),
)
def test_full_disk(case: Forked, folder: Path) -> Outcome:
    work, ended = folder / "work", attempt(case, folder)
    if ended.code == 1 and not any(name in ended.output for name in (*MADE, str(work))):
        raise Broken("a full disk, and no path is named")
    check_whole(work / "half")
    if case.words == RESUME and read_state(work / "half")["step"] < read_state(workshop() / "half")["step"]:
        raise Broken("a full disk: the state is older than before")
    for made in ("new", "out"):
        if (work / made).exists():
            check_whole(work / made)
    if case.words == TRANSLATE:
        check_outputs(folder)
    if ended.code == 0 or case.words not in (TRAIN, RESUME):
        return ended
    words = ("train", "--resume", case.words[-1])
    again = server().run(words, work)
    if again.code and (work / case.words[-1] / "state.pt").exists():
        hold(outcome(again), measured=False)
        raise Broken("a full disk, and then the run does not go on")
    if not again.code:
        check_same_run(work / case.words[-1])
    return ended


# ---------------------------------------------------------------------- permissions

READ = {  # what each command reads or writes, by command
    TRAIN: ("base.yaml", "net.yaml", "data", "data/visible", "data/visible/0.png", "."),
    CACHED: ("cache", "cache/*", "cache/*/*"),
    RESUME: (
        *("half", "half/recipe.yaml", "half/graphs", "half/graphs/generator.yaml", "half/weights", "half/state.pt"),
        *("half/weights/generator.safetensors", "half/metrics.jsonl", "half/environment.json", "half/tensorboard"),
        *("data/infrared", "data/infrared/7.png"),
    ),
    TRANSLATE: ("run", "run/recipe.yaml", "run/weights", "run/weights/generator.safetensors", "data/visible", "."),
    ("translate", "run", "data/visible", "translated", "--force"): ("translated", "translated/0.png"),
    EVALUATE: ("run", "run/recipe.yaml", "run/graphs", "run/graphs/generator.yaml", "data/visible/7.png", "."),
    ("check", "more.yaml"): ("more.yaml", "base.yaml", "net.yaml", "critic.yaml"),
    ("show", "net.yaml", "--svg", "out.svg"): ("net.yaml", "."),
    ("ls", "metrics", "--plugin", "plugin.py"): ("plugin.py",),
    ("new", "plugin", "lab"): (".",),
}


def _forbidden() -> list[Forked]:
    cases = [(words, path, mode) for words, paths in READ.items() for path in paths for mode in ("000", "555", "111")]
    return [Forked(words, f"chmod {mode} {path}", {"plain": True}) for words, path, mode in cases]


@series("files and folders without permission", weight=2, quick=3, cases=_forbidden)
def test_permissions(case: Forked, folder: Path) -> Outcome:
    ended = attempt(case, folder)
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)
    for run in ("run", "half", "new"):
        if (folder / "work" / run).exists():
            check_whole(folder / "work" / run)
    return ended


# ---------------------------------------------------------------------- files that change during a command

CHANGES = {
    "another size": "cp outside.png data/{band}/{number}.png",
    "cut short": "head -c 40 data/{band}/{number}.png > t; mv t data/{band}/{number}.png",
    "gone": "rm data/{band}/{number}.png",
    "a FIFO": "rm -f data/{band}/{number}.png; mkfifo data/{band}/{number}.png",
    "a folder": "rm -f data/{band}/{number}.png; mkdir data/{band}/{number}.png",
    "no images": "rm -rf data",
    "no run": "rm -rf run half new",
    "another state": "cp run/state.pt half/state.pt",
    "no weights": "rm -rf run/weights half/weights new/weights",
    "weights are a file": "rm -rf run/weights half/weights new/weights; touch run/weights half/weights new/weights",
    "no recipe": "rm -f *.yaml",
    "no cache": "rm -rf cache",
    "a cache of nonsense": "for f in cache/*/*; do echo nonsense > $f; done",
    "output taken": "mkdir -p out.csv out.png out/3.png new/state.pt",
}
BANDS = {"visible": "RGB", "infrared": "L"}


def _changing(words: tuple[str, ...], change: str, moment: int, band: str, number: int) -> Forked:
    line = CHANGES[change].format(band=band, number=number)
    prepare = f"{sys.executable} -c \"from PIL import Image; Image.new('{BANDS[band]}', (20, 18)).save('outside.png')\""
    return Forked(words, prepare if change == "another size" else "", {"acts": [(moment, line)]})


def _moments(words: Sequence[str]) -> int:
    return {TRAIN: TRAINING, CACHED: TRAINING, RESUME: RESUMING, TRANSLATE: TRANSLATING}.get(tuple(words), 40)


@series(
    "files that vanish or change during a command",
    weight=4,
    quick=2,
    cases=lambda: st.sampled_from((TRAIN, CACHED, RESUME, TRANSLATE, EVALUATE)).flatmap(
        lambda words: st.builds(
            _changing,
            st.just(words),
            st.sampled_from(sorted(CHANGES)),
            st.integers(1, _moments(words)),
            st.sampled_from(sorted(BANDS)),
            st.integers(0, 7),
        )
    ),
)
def test_changing_files(case: Forked, folder: Path) -> Outcome:
    ended = attempt(case, folder)
    if ended.code == 0 and case.prepare and case.words == TRAIN:  # an image was of another size, and nobody noticed
        check_same_networks(folder / "work" / "new", workshop() / "run")
    return ended


# ---------------------------------------------------------------------- streams

COMMANDS = (
    *(TRAIN, RESUME, TRANSLATE, EVALUATE),
    ("evaluate", "run", "--json"),
    ("check", "base.yaml"),
    ("check", "nothere.yaml"),
    ("show", "net.yaml"),
    ("show", "u2netp", "--code"),
    ("show", "base.yaml"),
    ("ls",),
    ("cite", "u2net"),
    ("new", "block", "Sharper"),
    ("--help",),
    ("nothere",),
)
STREAMS = ("pipe", "closed", "broken", "/dev/full")


def _streams() -> list[Forked]:
    pairs = list(product(STREAMS, STREAMS))[1:]
    return [Forked(words, "", {"out": out, "err": err}) for words, (out, err) in product(COMMANDS, pairs)]


@series("closed, broken and full streams", weight=4, quick=4, cases=_streams)
def test_streams(case: Forked, folder: Path) -> Outcome:
    work, ended = folder / "work", server().run(case.words, folder / "work", **case.how)
    if ended.hung:
        raise Broken("it hung")
    if ended.code not in (0, 1, 2, 141):
        raise Broken(f"exit {ended.code}")
    if case.words[0] == "train":
        check_same_run(work / ("half" if case.words == RESUME else "new"))
    if case.words == TRANSLATE:
        check_outputs(folder, whole=True)
    heard = case.how["err"] == case.how["out"] == "pipe"
    return outcome(ended, code=None if heard else 0)  # a refusal that nobody hears has no words
