"""FIFOs, sockets, devices and links where files or folders belong; and folders of runs that a stranger has prepared."""

import json
import shlex
import sys
from itertools import product
from pathlib import Path

from faults.campaign import series
from faults.law import Broken, Outcome
from faults.test_disk import CACHED, EVALUATE, RESUME, TRAIN, TRANSLATE
from faults.workshop import Forked, attempt, untouched

FORCED = ("translate", "run", "data/visible", "translated", "--force")
FINISHED = ("train", "--resume", "run")
READ = {  # what each command reads or writes
    TRAIN: (
        *("base.yaml", "net.yaml", "data", "data/visible", "data/visible/0.png", "data/infrared/7.png"),
        *("new", "new/state.pt", "new/recipe.yaml", "new/weights"),
    ),
    ("train", "more.yaml", "--run", "new"): ("base.yaml", "more.yaml"),
    CACHED: ("cache", "cache/*", "cache/*/*"),
    RESUME: (
        *("half", "half/recipe.yaml", "half/graphs", "half/graphs/generator.yaml", "half/weights", "half/state.pt"),
        *("half/weights/generator.safetensors", "half/metrics.jsonl", "half/environment.json", "half/tensorboard"),
        *("half/tensorboard/*", "half/samples", "half/samples/step_000003.png", "half/samples/step_000006.png"),
        *("half/evaluation.json", "half/evaluation.csv", "half/report.md", "half/report.html", "half/curves.png"),
        *("half/pictures.png", "half/.lock", "half/lock", "half/.crossband.lock"),
    ),
    FINISHED: ("run/evaluation.json", "run/evaluation.csv", "run/report.md", "run/report.html", "run/pictures.png"),
    TRANSLATE: (
        *("run", "run/recipe.yaml", "run/weights", "run/weights/generator.safetensors", "run/graphs/generator.yaml"),
        *("data/visible", "data/visible/0.png", "data/visible/more", "out", "out/0.png", "run/environment.json"),
    ),
    FORCED: ("translated", "translated/0.png", "translated/.lock", "translated/.crossband.lock"),
    ("translate", "run", "data/visible/0.png", "out.png"): ("out.png", "data/visible/0.png"),
    ("translate", "run/weights/generator.safetensors", "data/visible", "out"): ("run/weights/generator.safetensors",),
    EVALUATE: (
        *("run", "run/recipe.yaml", "run/graphs", "run/graphs/generator.yaml", "run/weights/generator.safetensors"),
        *("data", "data/visible", "data/visible/7.png", "out.csv", "out.png", "run/environment.json"),
    ),
    ("check", "more.yaml"): ("more.yaml", "base.yaml", "net.yaml", "critic.yaml"),
    ("check", "base.yaml", "--data", "data"): ("base.yaml", "data", "data/visible", "data/visible/3.png"),
    ("show", "net.yaml", "--svg", "out.svg"): ("net.yaml", "out.svg"),
    ("show", "base.yaml"): ("base.yaml", "net.yaml"),
    ("show", "run/weights/generator.safetensors"): ("run/weights/generator.safetensors",),
    ("cite", "more.yaml"): ("more.yaml", "base.yaml"),
    ("ls", "metrics", "--plugin", "plugin.py"): ("plugin.py",),
    ("new", "plugin", "lab"): ("lab",),
    ("new", "block", "Sharper"): ("sharper.py", "test_sharper.py"),
}
KINDS = {  # what lies in the place of $P
    "a FIFO": "mkfifo $P",
    "a socket": f"{sys.executable} -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' $P",
    "a folder": "mkdir $P",
    "a file": "echo text > $P",
    "nothing": "true",
    "a link to itself": "ln -s $(basename $P) $P",
    "a link to the folder": "ln -s . $P",
    "a dangling link": 'ln -s "$PWD/../outside/made" $P',
    "a link to a file outside": 'ln -s "$PWD/../outside/precious" $P',
    "a link to a folder outside": 'ln -s "$PWD/../outside" $P',
    "a link to its copy outside": 'ln -s "$PWD/../outside/moved" $P',
    "zeros without end": "ln -s /dev/zero $P",
    "a full device": "ln -s /dev/full $P",
    "a terminal": "ln -s /dev/tty $P",
    "standard input": "ln -s /dev/stdin $P",
    "itself in /proc": "ln -s /proc/self/mem $P",
}


def _odd() -> list[Forked]:
    cases = [(words, path, kind) for words, paths in READ.items() for path, kind in product(paths, KINDS)]
    return [Forked(words, _put(path, kind)) for words, path, kind in cases]


def _put(path: str, kind: str) -> str:
    """Put a kind of file in the place of another, which goes elsewhere; `*` stands for the first that is there."""
    away = "../outside/moved" if kind == "a link to its copy outside" else "../moved"
    lines = [
        f"P=$(ls -d {path} 2>/dev/null | head -1); P=${{P:-{path.replace('*', 'x')}}}",
        f"mkdir -p $(dirname $P); if [ -e $P ]; then mv $P {away}; fi",
        KINDS[kind],
    ]
    return "\n".join(lines)


@series("FIFOs, sockets, devices, folders and links in the place of files", weight=6, quick=6, cases=_odd)
def test_odd_files(case: Forked, folder: Path) -> Outcome:
    with untouched(folder / "outside"):
        return attempt(case, folder)


# ---------------------------------------------------------------------- a stranger's run

OUTSIDE = "../../outside"  # from the folder of a run
EDITS = {  # what the stranger put into `recipe.yaml`, or as shell lines into the folder of the run
    "data": (
        {"cache": f"{OUTSIDE}/cache"},
        {"cache": f"{OUTSIDE}/precious"},
        {"cache": f"{OUTSIDE}"},
        {"cache": "/proc/nowhere"},
        {"cache": "../../work/data"},
        {"source": {"pairs": {"folder": f"{OUTSIDE}/data"}}, "cache": f"{OUTSIDE}/data/cache"},
        {"source": {"pairs": {"visible": f"{OUTSIDE}/data/visible", "infrared": "/etc"}}},
        {"source": {"pairs": {"folder": "/"}}},
        {"source": {"pairs": {"folder": "/proc/self"}}},
        {"source": {"pairs": {"folder": "/dev"}}},
        {"source": {"folders": {"visible": f"{OUTSIDE}/data/visible", "infrared": f"{OUTSIDE}/data/infrared"}}},
    ),
    "networks": (
        {"generator": {"graph": f"{OUTSIDE}/net.yaml"}},
        {"generator": {"graph": "/etc/passwd"}},
        {"generator": {"graph": "graphs/../../../outside/net.yaml"}},
        {"generator": {"weights": f"{OUTSIDE}/precious"}},
        {"generator": {"weights": {"file": f"{OUTSIDE}/precious", "keys": "unet"}}},
        {"../../../outside/made": {"graph": "graphs/generator.yaml"}},
        {"../../outside/made": {"graph": "graphs/generator.yaml"}},
        {"/proc/made": {"graph": "graphs/generator.yaml"}},
    ),
    "recipe": ("../../outside/made", "/proc/made", "a/b", "..", "\x1b[2J", "<script>alert(1)</script>", "=1+1"),
    "extends": (f"{OUTSIDE}/base.yaml", "/etc/passwd", "../run/recipe.yaml"),
}
LINES = (
    "mv run/weights ../outside/w; ln -s ../../outside/w run/weights",
    "mv run/samples ../outside/s; ln -s ../../outside/s run/samples",
    "mv run/graphs ../outside/g; ln -s ../../outside/g run/graphs",
    "mv run/tensorboard ../outside/t; ln -s ../../outside/t run/tensorboard",
    "rm run/metrics.jsonl; ln -s ../../outside/made run/metrics.jsonl",
    "mv run/metrics.jsonl ../outside/m; ln -s ../../outside/m run/metrics.jsonl",
    "ln run/metrics.jsonl ../outside/m",
    "mv run/state.pt ../outside/s.pt; ln -s ../../outside/s.pt run/state.pt",
    "mv run ../outside/r; ln -s ../outside/r run",
    "for f in run/*.md run/*.html run/*.png run/*.csv run/*.json; do mv $f ../outside/; ln -s ../../outside/$(basename $f) $f; done",
    """sed -i 's/"plugins"/"plugin"/; s/^{/{"plugins": ["..\\/..\\/outside\\/precious", "os", "..\\/work\\/plugin.py"],/' run/environment.json""",
)
STRANGERS = (EVALUATE, TRANSLATE, FINISHED, ("check", "run/recipe.yaml"), ("show", "run/recipe.yaml"))


def _edited(words: tuple[str, ...], key: str, value: object) -> Forked:
    edit = (
        "import sys, yaml; file, key, value = sys.argv[1:]; value = yaml.safe_load(value)\n"
        "recipe = yaml.safe_load(open(file)); old = recipe.get(key)\n"
        "both = isinstance(value, dict) and isinstance(old, dict)\n"
        "deeper = {k: {**old[k], **v} if isinstance(v, dict) and key == 'networks' and k in old else v for k, v in value.items()} if both else value\n"
        "recipe[key] = {**old, **deeper} if both else value\n"
        "yaml.safe_dump(recipe, open(file, 'w'), sort_keys=False)"
    )
    line = shlex.join([sys.executable, "-c", edit, "run/recipe.yaml", key, json.dumps(value)])
    return Forked(words, line)


def _strangers() -> list[Forked]:
    edits = [(key, value) for key, values in EDITS.items() for value in values]
    pairs = product(STRANGERS, edits)
    return [
        # a run that goes on keeps its images where its recipe says
        *(_edited(words, *edit) for words, edit in pairs if words != FINISHED or "cache" not in str(edit)),
        *(Forked(words, line) for words, line in product(STRANGERS, LINES)),
    ]


OWN = {  # what each command may write in `work/`
    EVALUATE: ("out.csv", "out.png"),
    TRANSLATE: ("out",),
    FINISHED: ("run",),
}


@series("runs that a stranger prepared: nothing is written elsewhere", weight=4, quick=3, cases=_strangers)
def test_strangers(case: Forked, folder: Path) -> Outcome:
    work = folder / "work"
    before = _listing(work, OWN.get(case.words, ()))
    with untouched(folder / "outside"):
        ended = attempt(case, folder)
    after = _listing(work, OWN.get(case.words, ()))
    if odd := [path for path in {**before, **after} if before.get(path) != after.get(path)]:
        raise Broken(f"{case.words[0]} wrote where it should not: {min(odd, key=len)}")
    return ended


def _listing(work: Path, but: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Size and time of change of the files of a folder, but for those that a command may write."""
    files = (path for path in work.rglob("*") if not path.is_dir() or path.is_symlink())
    return {
        str(name): ((told := path.lstat()).st_size, told.st_mtime_ns)
        for path in files
        if (name := path.relative_to(work)).parts[0] not in but
    }
