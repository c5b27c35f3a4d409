"""The frame of the fault campaign: series of hostile inputs, each held to the law of `law.py`, and the table of them.

A series is a test, declared by one line over the function that tries a case:

    @series("hostile texts", weight=2, quick=20, cases=lambda: [Files(("check", "x.yaml"), {"x.yaml": text}) ...])
    def test_hostile_texts(case: Files, folder: Path) -> Outcome:
        return run_here(case.command, folder)

`cases` gives a Hypothesis strategy, of which ever new cases are drawn and a failing one is shrunk, or a list, which is
tried in shuffled order to its end. In the normal suite a series tries `quick` cases; with `--budget 30m` it goes on
for its part of that time, by `weight`. A series goes on after a failure, and fails at its end with each different one.
"""

import contextlib
import itertools
import os
import random
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from faults.law import Broken, Case, Files, Outcome, hold
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

MOST_FAULTS = 12  # different ones of a series, after which it ends
SHRINKING = 60.0  # seconds for the shortest reproduction of one
SHOWN = 8_000  # characters of a reproduction that are printed; all of it goes into the folder of failures
HEADINGS = ("series", "tried", "refused well", "went through", "failed", "longest", "largest")
DRAWING = settings(  # so many at a time; a failing one is looked for again among them
    max_examples=40, database=None, deadline=None, derandomize=False, suppress_health_check=[HealthCheck.too_slow]
)
UNITS = {"s": 1, "m": 60, "h": 3600}


# ---------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the campaign."""
    group = parser.getgroup("faults", "the fault campaign, `pytest -m faults`")
    group.addoption("--budget", type=_seconds, metavar="TIME", help="How long the campaign goes on: 30m, 90s")
    group.addoption("--faults-seed", type=int, default=0, metavar="N", help="Which cases are drawn [default: 0]")
    group.addoption("--failures", type=Path, metavar="DIR", help="Where reproductions of failures are written")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found:
        raise ValueError(f"`{text}` is no time such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def pytest_configure(config: pytest.Config) -> None:
    """Say in how many parts the series are: in the long campaign, one for each process, so that all end together."""
    config.option.parts = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) if config.option.budget else 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make the parts of a series."""
    if hasattr(metafunc.function, "series"):
        metafunc.parametrize("part", range(metafunc.config.option.parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Divide the budget over the series that were asked for."""
    functions = {getattr(item, "function", None) for item in session.items}
    chosen: list[Series] = [getattr(each, "series") for each in functions if hasattr(each, "series")]  # noqa: B009
    for each in chosen:
        each.budget = (session.config.option.budget or 0) * each.weight / sum(other.weight for other in chosen)


# ---------------------------------------------------------------------- series


@dataclass
class Count:
    """How the cases of a series, or of a part of it, ended."""

    tried: int = 0
    refused: int = 0
    through: int = 0
    failed: int = 0
    longest: float = 0.0
    largest: float = 0.0

    def add(self, outcome: Outcome | None) -> None:
        """Count a case; None is one that failed."""
        self.tried += 1
        if outcome is None:
            self.failed += 1
            return
        self.refused += outcome.code != 0
        self.through += outcome.code == 0
        self.longest, self.largest = max(self.longest, outcome.seconds), max(self.largest, outcome.gigabytes)


@dataclass
class Series:
    """A series of cases, and how one is tried."""

    name: str
    weight: float
    quick: int
    cases: Callable[[], SearchStrategy[Any] | Sequence[Any]]
    attempt: Callable[[Any, Path], Outcome]
    budget: float = 0.0  # seconds; none for the quick look


def series(
    name: str, *, weight: float, quick: int, cases: Callable[[], SearchStrategy[Any] | Sequence[Any]]
) -> Callable[[Callable[[Any, Path], Outcome]], Callable[..., None]]:
    """Declare a series over the function that tries a case in a fresh folder, in which its files lie.

    That function gives the outcome, which is held to the law, or raises Broken where a promise of its own is broken.
    """

    def declare(attempt: Callable[[Any, Path], Outcome]) -> Callable[..., None]:
        own = Series(name, weight, quick, cases, attempt)

        @pytest.mark.faults
        @pytest.mark.slow
        def test(request: pytest.FixtureRequest, tmp_path: Path, part: int) -> None:
            campaign = Campaign(own, tmp_path, request.config.option, part)
            try:
                campaign.run()
            finally:
                request.node.user_properties.append(("faults", {"series": own.name, "count": asdict(campaign.count)}))
            if campaign.faults:
                pytest.fail("\n\n".join(campaign.faults.values()), pytrace=False)

        test.__doc__, test.__name__ = attempt.__doc__, attempt.__name__
        test.series = own  # pyright: ignore[reportFunctionMemberAccess]
        return test

    return declare


@dataclass
class Campaign:
    """One series at work: `part` is which of several that share it.

    The quick look tries fewer cases, `quick`, where Hypothesis is to look quickly.
    """

    series: Series
    folder: Path
    options: Any
    part: int
    count: Count = field(default_factory=Count)
    faults: dict[str, str] = field(default_factory=dict)  # each kind once, with its reproduction

    def __post_init__(self) -> None:
        """Ask Hypothesis before cases are drawn, by settings of their own."""
        examples = min(settings.default.max_examples, 10)  # pyright: ignore[reportOptionalMemberAccess]
        self.quick = max(1, self.series.quick * examples // 10)

    def run(self) -> None:
        """Try cases until there are no more, or the budget is spent."""
        cases = self.series.cases()
        self._end = time.monotonic() + self.series.budget
        for _ in self._drawn(cases) if isinstance(cases, SearchStrategy) else self._listed(cases):
            if self._over or len(self.faults) >= MOST_FAULTS:
                break

    @property
    def _over(self) -> bool:
        """Whether there is no time left, or were enough cases for the quick look."""
        return time.monotonic() > self._end if self.series.budget else self.count.tried >= self.quick

    def _listed(self, cases: Sequence[Case]) -> Iterator[None]:
        """Try the cases of a list, every part its own, in shuffled order."""
        order = list(range(len(cases)))
        random.Random(f"{self.options.faults_seed} {self.series.name}").shuffle(order)
        for at in order[self.part :: self.options.parts]:
            if (kind := self._try(case := cases[at])) and kind not in self.faults:
                self._tell(kind, case)
            yield

    def _drawn(self, cases: SearchStrategy[Case]) -> Iterator[None]:
        """Draw cases, a batch at a time, and shrink the first of each kind of fault."""
        for batch in itertools.count():
            kinds: dict[str, Case] = {}

            def draw(case: Case) -> None:
                if not self._over and (kind := self._try(case)):
                    kinds.setdefault(kind, case)  # noqa: B023  called within this round

            self._batch(batch, cases, draw, Phase.generate)
            for kind, case in kinds.items():
                if kind not in self.faults:
                    self._tell(kind, self._shrunk(batch, cases, kind) or case)
            yield

    def _shrunk(self, batch: int, cases: SearchStrategy[Case], kind: str) -> Case | None:
        """The smallest case that shows the kind of fault which was met in a batch."""
        end = time.monotonic() + SHRINKING
        found: list[Case] = []

        def look(case: Case) -> None:
            if time.monotonic() < end and self._attempt(case)[1] == kind:
                found.append(case)
                raise Broken

        with contextlib.suppress(Broken, Flaky):
            self._batch(batch, cases, look, Phase.generate, Phase.shrink)
        return self._reduced(found[-1], kind, end) if found else None

    def _reduced(self, case: Case, kind: str, end: float) -> Case:
        """The same without what it does not need: files and lines, which Hypothesis knows nothing of."""
        while isinstance(case, Files) and time.monotonic() < end:
            smaller = (each for each in case.smaller() if time.monotonic() < end and self._attempt(each)[1] == kind)
            found = next(smaller, None)
            if found is None:
                break
            case = found
        return case

    def _batch(self, batch: int, cases: SearchStrategy[Case], visit: Callable[[Case], None], *phases: Phase) -> None:
        """Draw the cases of a batch, the same ones each time."""
        number = zlib.crc32(f"{self.options.faults_seed} {self.series.name} {self.part} {batch}".encode())
        drawing = settings(DRAWING, phases=phases)
        seed(number)(drawing(given(cases)(visit)))()

    def _try(self, case: Case) -> str | None:
        """Try and count a case; the kind of fault that it shows."""
        outcome, kind = self._attempt(case)
        self.count.add(outcome)
        return kind

    def _attempt(self, case: Case) -> tuple[Outcome | None, str | None]:
        """The outcome of a case, or else the kind of fault that it shows."""
        try:
            outcome = self._outcome(case)
            if outcome.slow:  # perhaps a module was imported on the way, or the machine was busy
                outcome = self._outcome(case)
            return hold(outcome, measured=bool(self.series.budget)), None
        except Broken as broken:
            return None, str(broken)

    def _outcome(self, case: Case) -> Outcome:
        place = self.folder / "case"
        place.mkdir()
        try:
            case.lay(place)
            return self.series.attempt(case, place)
        finally:
            shutil.rmtree(place)

    def _tell(self, kind: str, case: Case) -> None:
        """Keep what shows a fault, and write it into the folder of failures."""
        text, kept = str(case), ""
        if self.options.failures:
            name = re.sub(r"\W+", "_", f"{self.series.name} {self.part} {len(self.faults)} {kind}")[:80]
            place = self.options.failures / name
            shutil.rmtree(place, ignore_errors=True)
            (place / "files").mkdir(parents=True)
            case.lay(place / "files")
            (place / "reproduce.sh").write_text(text + "\n", errors="surrogateescape")
            kept = f"(kept in {place})\n"
        self.faults[kind] = f"{kind} (seed {self.options.faults_seed})\n{kept}{text[:SHOWN]}"


# ---------------------------------------------------------------------- the table


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of the campaign: what was tried, and what came of it."""
    found: dict[str, list[Count]] = {}
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        for key, value in getattr(report, "user_properties", ()):
            if key == "faults" and report.when == "call":
                found.setdefault(value["series"], []).append(Count(**value["count"]))
    if not found:
        return
    rows = [[name, *_row(_merged(parts))] for name, parts in sorted(found.items())]
    rows.append(["all", *_row(_merged(itertools.chain(*found.values())))])
    terminalreporter.section(f"faults, seed {terminalreporter.config.option.faults_seed}")
    for row in [HEADINGS, ["---"] * len(HEADINGS), *rows]:
        terminalreporter.write_line("| " + " | ".join(row) + " |")


def _merged(parts: Iterable[Count]) -> Count:
    merged = Count()
    for part in parts:
        for key, value in asdict(part).items():
            one = getattr(merged, key)
            setattr(merged, key, one + value if isinstance(value, int) else max(one, value))
    return merged


def _row(count: Count) -> list[str]:
    numbers = [f"{each:,}" for each in (count.tried, count.refused, count.through, count.failed)]
    return [*numbers, f"{count.longest:.1f} s", f"{count.largest:.1f} GB"]
