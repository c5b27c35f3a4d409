"""Commands that are killed or asked to stop at any moment, and several of them at once.

A moment is the n-th time that a command touches a file in its folder, or a time in seconds after its start.
"""

import shlex
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.campaign import series
from faults.forks import Ended, Running
from faults.law import Broken, Outcome, hold
from faults.workshop import (
    check_no_leftovers,
    check_same_run,
    check_whole,
    lay,
    log_lines,
    outcome,
    read_state,
    start,
    workshop,
)
from hypothesis import strategies as st
from safetensors.torch import load_file

TRAINING, RESUMING, TRANSLATING, EVALUATING = 360, 200, 70, 25  # how often they touch files, about
Moment = int | float
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGKILL": 137}  # as a shell says it


def moments(touches: int, seconds: float = 1.5) -> st.SearchStrategy[Moment]:
    """Any moment of a command."""
    return st.integers(1, touches) | st.floats(0.05, seconds).map(lambda second: round(second, 3))


def stopped(words: Sequence[str], folder: Path, stops: Sequence[tuple[str, Moment]], **how: Any) -> Ended:
    """Run a command that is sent each signal at its moment."""
    acts = [(moment, name) for name, moment in stops if isinstance(moment, int)]
    command, begun = start(words, folder, acts=acts, **how), time.monotonic()
    for name, moment in stops:
        if isinstance(moment, float) and not command.ended(max(0.0, begun + moment - time.monotonic())):
            command.signal(getattr(signal, name))
    return command.wait()


# ---------------------------------------------------------------------- one command


@dataclass(frozen=True)
class Stops:
    """A training that is stopped again and again, by these signals at these moments, and then goes on to its end."""

    stops: tuple[tuple[tuple[str, Moment], ...], ...]  # for each start of the command

    def lay(self, folder: Path) -> None:
        """Copy the workshop."""
        lay(folder)

    def __str__(self) -> str:
        """How often it is started, and when it is stopped."""
        lines = [f"crossband train ... # {', '.join(f'{n} at {m}' for n, m in stops)}" for stops in self.stops]
        return "\n".join(
            ["# in a copy of the workshop; the first: train base.yaml --run new, then --resume new", *lines]
        )


def train_on(folder: Path, stops: Sequence[tuple[str, Moment]] = (), **how: Any) -> Ended:
    """Begin the training in `new`, or go on with it; where it was stopped before there was a state, begin anew."""
    run = folder / "work" / "new"
    if run.exists():
        ended = stopped(("train", "--resume", "new"), folder, stops, **how)
        if ended.code != 1 or (run / "state.pt").exists():
            return ended
        hold(outcome(ended), measured=False)  # nothing to go on from, told well
        shutil.rmtree(run)
    return stopped(("train", "base.yaml", "--run", "new"), folder, stops, **how)


def try_stops(case: Stops, folder: Path) -> Outcome:
    """Stop as the case says, look at what each left, and hold the end to a run that nothing stopped."""
    run = folder / "work" / "new"
    for stops in case.stops:
        ended = train_on(folder, stops)
        names = {name for name, _ in stops}
        if ended.code not in {0, *(CODES[name] for name in names)} or ended.hung:
            hold(outcome(ended), measured=False)
            raise Broken(f"exit {ended.code} after {', '.join(sorted(names))}")
        if names != {"SIGKILL"}:
            hold(outcome(ended, code=0), measured=False)
        if run.exists():
            check_whole(run)
        if "everything is saved" in ended.err and read_state(run)["step"] < log_lines(run)[-1]["step"]:
            raise Broken("said that everything is saved, and it was not")
    last = train_on(folder)
    if last.code:
        hold(outcome(last), measured=False)
        raise Broken(f"a resumed run ends with {last.code}")
    check_same_run(run)
    return outcome(last)


def sent(names: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, Moment]]:
    """A signal at any moment of a training."""
    return st.tuples(names, moments(TRAINING))


@series(
    "kill -9 in training, then resume",
    weight=16,
    quick=2,
    cases=lambda: st.lists(st.tuples(sent(st.just("SIGKILL"))), min_size=1, max_size=3).map(
        lambda stops: Stops(tuple(stops))
    ),
)
def test_kills(case: Stops, folder: Path) -> Outcome:
    return try_stops(case, folder)


@series(
    "SIGINT, SIGTERM, SIGHUP, once or twice, then resume",
    weight=6,
    quick=1,
    cases=lambda: st.lists(
        st.lists(sent(st.sampled_from(["SIGINT", "SIGTERM", "SIGHUP"])), min_size=1, max_size=2).map(tuple),
        min_size=1,
        max_size=2,
    ).map(lambda stops: Stops(tuple(stops))),
)
def test_signals(case: Stops, folder: Path) -> Outcome:
    return try_stops(case, folder)


@dataclass(frozen=True)
class Killed:
    """Another command that is killed at a moment and then run again."""

    words: tuple[str, ...]
    moment: Moment
    prepare: str = ""

    def lay(self, folder: Path) -> None:
        """Copy the workshop."""
        lay(folder, self.prepare)

    def __str__(self) -> str:
        """The command, and when it is killed."""
        return f"{self.prepare}\n{shlex.join(['crossband', *self.words])}  # SIGKILL at {self.moment}, then once more"


TRANSLATE = ("translate", "run", "data/visible", "out", "--force")
EVALUATE = ("evaluate", "run", "--csv", "out.csv", "--picture", "out.png")
CACHE = ("train", "cached.yaml", "--run", "new")


@series(
    "kill -9 in translate, evaluate and caches, then once more",
    weight=10,
    quick=2,
    cases=lambda: st.one_of(
        st.builds(Killed, st.just(TRANSLATE), moments(TRANSLATING, 0.5)),
        st.builds(Killed, st.just(EVALUATE), moments(EVALUATING, 0.6)),
        st.builds(Killed, st.just(CACHE), moments(TRAINING), st.just("rm -r cache")),
    ),
)
def test_killed_commands(case: Killed, folder: Path) -> Outcome:
    work = folder / "work"
    stopped(case.words, folder, [("SIGKILL", case.moment)])
    check_outputs(folder)
    for name in ("out.csv", "out.png"):
        (work / name).unlink(missing_ok=True)
    if (work / "new").exists():
        check_whole(work / "new")
        shutil.rmtree(work / "new")
    again = start(case.words, folder).wait()
    if again.code:
        hold(outcome(again), measured=False)
        raise Broken(f"once more it ends with {again.code}")
    check_outputs(folder, whole=case.words == TRANSLATE)
    if case.words == CACHE:
        check_same_networks(work / "new", workshop() / "cached")
    if (work / "out").exists():
        check_no_leftovers(work / "out")
    return outcome(again)


def check_outputs(folder: Path, *, whole: bool = False) -> None:
    """Raise Broken where a translated image is not as it should be, a table or picture is cut off, or one is missing."""
    work, wanted = folder / "work", workshop() / "translated"
    found = {path.name: path.read_bytes() for path in work.glob("out/*.png") if not path.name.startswith(".")}
    if odd := [name for name, content in found.items() if content != (wanted / name).read_bytes()]:
        raise Broken(f"another image {odd[0]}")
    if whole and len(found) != len(list(wanted.iterdir())):
        raise Broken(f"{len(found)} images")
    if (work / "out.png").exists() or (work / "out.csv").exists():
        inside = folder / "tables"
        inside.mkdir(exist_ok=True)
        for path in (work / "out.png", work / "out.csv"):
            if path.exists():
                shutil.copy(path, inside)
        check_whole(inside)


def check_same_networks(run: Path, reference: Path) -> None:
    """Raise Broken unless the weights of two runs are the same."""
    for weights in (reference / "weights").iterdir():
        ours, theirs = load_file(run / "weights" / weights.name), load_file(weights)
        if any(not ours[key].equal(theirs[key]) for key in theirs):
            raise Broken(f"other weights in {weights.name}")


# ---------------------------------------------------------------------- several at once


@dataclass(frozen=True)
class Together:
    """Commands that run at the same time, each after a wait in seconds; some of them killed at a moment."""

    kind: str
    commands: tuple[tuple[str, ...], ...]
    waits: tuple[float, ...]
    kills: tuple[Moment | None, ...] = ()
    prepare: str = ""
    variables: tuple[dict[str, str], ...] = field(default=())

    def lay(self, folder: Path) -> None:
        """Copy the workshop."""
        lay(folder, self.prepare)

    def __str__(self) -> str:
        """The commands side by side."""
        lines = [
            f"(sleep {wait}; {shlex.join(['crossband', *words])}) &"
            for words, wait in zip(self.commands, self.waits, strict=True)
        ]
        return "\n".join([self.prepare, *lines, f"wait  # kills: {self.kills}"])


def together(case: Together, folder: Path) -> list[Ended]:
    """Run the commands of a case side by side, or none where the first had ended before the next was to begin."""
    running: list[Running] = []
    kills = case.kills or (None,) * len(case.commands)
    for at, (words, wait, kill) in enumerate(zip(case.commands, case.waits, kills, strict=True)):
        time.sleep(wait)
        if any(command.ended() for command in running) and not case.kills:
            return [command.wait() for command in running][:0]
        acts = [(kill, "SIGKILL")] if isinstance(kill, int) else []
        running.append(start(words, folder, acts=acts, variables=case.variables[at] if case.variables else {}))
    begun = time.monotonic()
    for command, kill in zip(running, kills, strict=True):
        if isinstance(kill, float) and not command.ended(max(0.0, begun + kill - time.monotonic())):
            command.signal(signal.SIGKILL)
    if case.kind == "torchrun" and any(kills):  # which ends the others where one has died
        for command, kill in zip(running, kills, strict=True):
            if kill is not None:
                command.ended(60)
        for command in running:
            command.signal(signal.SIGKILL)
    ended = [command.wait() for command in running]
    for one, kill in zip(ended, kills, strict=True):
        if one.hung or (kill is None and case.kind != "torchrun"):
            hold(outcome(one), measured=False)
    return ended


def _two(kind: str, words: tuple[str, ...], longest: float, prepare: str = "") -> st.SearchStrategy[Together]:
    waits = st.floats(0, longest).map(lambda wait: (0.0, round(wait, 3)))
    return waits.map(lambda pair: Together(kind, (words, words), pair, (), prepare))


def _caches() -> st.SearchStrategy[Together]:
    commands = tuple(("train", "cached.yaml", "--run", f"new{number}") for number in range(4))
    kills = st.tuples(*[st.none() | moments(TRAINING, 1.0)] * 3, st.none())
    return kills.map(lambda each: Together("cache", commands, (0.0,) * 4, each, "rm -r cache"))


@series(
    "two at once: resume, train, translate; a cache by four, with kills",
    weight=5,
    quick=2,
    cases=lambda: st.one_of(
        _two("resume", ("train", "--resume", "half"), 0.8),
        _two("train", ("train", "base.yaml", "--run", "new"), 1.0),
        _two("translate", ("translate", "run", "data/visible", "out"), 0.15),
        _caches(),
    ),
)
def test_together(case: Together, folder: Path) -> Outcome:
    ended, work = together(case, folder), folder / "work"
    if not ended:
        return Outcome(0, "one after the other")
    codes = sorted(each.code for each in ended)
    if case.kind == "cache":
        for number, kill in enumerate(case.kills):
            if kill is None and ended[number].code:
                raise Broken(f"a cache beside killed ones: exit {ended[number].code}")
            if kill is None:
                check_same_networks(work / f"new{number}", workshop() / "cached")
        return outcome(ended[-1])
    if codes != [0, 1]:
        raise Broken(f"{case.kind} twice: exits {codes}")
    if case.kind == "translate":
        check_outputs(folder, whole=True)
    else:
        check_same_run(work / ("half" if case.kind == "resume" else "new"))
    return outcome(max(ended, key=lambda each: each.code))


def _torchrun(words: tuple[str, ...], kills: tuple[Moment | None, Moment | None]) -> Together:
    """Two processes with the variables that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    each = tuple(shared | {"RANK": rank, "LOCAL_RANK": rank, "TORCHELASTIC_RUN_ID": "none"} for rank in "01")
    return Together("torchrun", (words, words), (0.0, 0.0), kills, "", each)


@series(
    "two processes of one training, one of them killed, then resume",
    weight=2,
    quick=1,
    cases=lambda: st.tuples(st.booleans(), moments(TRAINING, 1.5)).map(
        lambda found: _torchrun(
            ("train", "base.yaml", "--run", "new"), (found[1], None) if found[0] else (None, float(found[1] % 2))
        )
    ),
)
def test_torchrun(case: Together, folder: Path) -> Outcome:
    run = folder / "work" / "new"
    together(case, folder)
    if run.exists():
        check_whole(run)
    resume = ("train", "--resume", "new")
    begin = ("train", "base.yaml", "--run", "new")
    if not (run / "state.pt").exists() and run.exists():
        shutil.rmtree(run)
    ended = together(_torchrun(resume if run.exists() else begin, (None, None)), folder)
    for each in ended:
        if each.code:
            hold(outcome(each), measured=False)
            raise Broken(f"resumed by two: exit {each.code}")
    check_whole(run)
    if read_state(run)["step"] != 6 or len(log_lines(run)) != len(log_lines(workshop() / "run")):
        raise Broken("resumed by two: another log")
    return outcome(ended[0])
