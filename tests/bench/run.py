"""What the library exists for, measured: `python tests/bench/run.py`.

Everything is a ratio of two things run in turn in one process, or a time beside the limit it must keep;
single times on a shared machine mean little. Exit status 1 where a limit is broken.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from by_hand import U2Net, dense_criss_cross
from torch import Tensor, nn

from crossband.blocks.criss_cross import criss_cross
from crossband.graphs import build, check, shipped
from crossband.recipes.data import pairs, write_image
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.loader import Geometry, Scenes, epoch_of, make_loader

WIDTH, SIZE = 16, 128  # of the U2-Net that is timed
SHOWN = 3  # of the graphs that take longest to check


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratio(ours: Callable[[], object], other: Callable[[], object], runs: int) -> float:
    """The median of ours / other over pairs of runs, each pair in turn and in changing order."""
    for run in (ours, other):
        run()
    pairs = []
    for number in range(runs):
        first, second = (ours, other) if number % 2 else (other, ours)
        times = {first: timed(first), second: timed(second)}
        pairs.append(times[ours] / times[other])
    return statistics.median(pairs)


def networks() -> tuple[nn.Module, nn.Module]:
    """The graph and the network written by hand, with equal weights and, as asserted, equal results."""
    ours, other = build("u2net", {"width": WIDTH}), U2Net(WIDTH)
    theirs = dict(zip(other.state_dict(), ours.state_dict().values(), strict=True))
    other.load_state_dict(theirs)
    x = torch.rand(2, 3, SIZE, SIZE)
    for mine, yours in zip(ours(x).values(), other(x), strict=True):
        torch.testing.assert_close(mine, yours)
    return ours, other


def forward(network: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        network(x)


def step(network: nn.Module, x: Tensor) -> None:
    results = network(x)
    outputs = results.values() if isinstance(results, dict) else results
    torch.stack([output.mean() for output in outputs]).sum().backward()


def peak(which: str) -> float:
    """Peak memory in MiB of a process that takes three training steps with one of the two networks."""
    command = [sys.executable, __file__, "--peak", which]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report_peak(which: str) -> None:
    network = build("u2net", {"width": 32}) if which == "graph" else U2Net(32)
    for _ in range(3):
        step(network, torch.rand(2, 3, 192, 192))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def attention(side: int, runs: int) -> float:
    query, key, value = torch.rand(1, 8, side, side), torch.rand(1, 8, side, side), torch.rand(1, 64, side, side)
    return ratio(lambda: dense_criss_cross(query, key, value), lambda: criss_cross(query, key, value), runs)


def loading(runs: int) -> float:
    """Epochs of a loader without a cache / with a full one: pairs of 1024x768, JPEG as a rule, loaded at 286."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        for name, band, channels in ((at, *each) for at in range(16) for each in (("visible", 3), ("infrared", 1))):
            Path(place, band).mkdir(exist_ok=True)
            coarse = rng.random((24, 32, channels), np.float32).repeat(32, 0).repeat(32, 1)  # as smooth as photographs
            write_image(Path(place, band, f"{name}.jpg"), coarse * 0.9 + 0.1 * rng.random(coarse.shape, np.float32))
        source, geometry = pairs(folder=place), Geometry(load=286, size=256, flip=True)
        without, with_it = (
            make_loader(Scenes(each, "train", geometry=geometry), batch=4, shuffle=True)
            for each in (source, Cached(source, Path(place, "cache"), geometry.load))
        )
        return ratio(lambda: list(epoch_of(without, 0)), lambda: list(epoch_of(with_it, 0)), runs)


def checking(name: str) -> float:
    """Milliseconds that checking a shipped graph takes."""
    check(name)
    return 1000 * min(timed(lambda: check(name)) for _ in range(5))


def checks() -> list[tuple[str, float, str, float]]:
    """Rows for the slowest of all shipped graphs, which keep the limit for every other, and for the one in the middle."""
    times = {name: checking(name) for name in shipped()}
    slowest = sorted(times, key=lambda name: -times[name])[:SHOWN]
    return [
        *((f"checking {name}, milliseconds", times[name], "<=", 100) for name in slowest),
        (f"checking one of {len(times)} graphs, median, milliseconds", statistics.median(times.values()), "<=", 50),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=31, help="pairs of runs for each ratio")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", choices=["graph", "hand"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.peak:
        report_peak(options.peak)
        return 0
    ours, other = networks()
    x = torch.rand(2, 3, SIZE, SIZE)

    def compared(run: Callable[[nn.Module, Tensor], None]) -> float:
        return ratio(lambda: run(ours, x), lambda: run(other, x), options.runs)

    rows: list[tuple[str, float, str, float]] = [
        (
            "forward, graph / by hand",
            ratio(lambda: forward(ours, x), lambda: forward(other, x), options.runs),
            "<=",
            1.02,
        ),
        (
            "forward and backward, graph / by hand",
            ratio(lambda: step(ours, x), lambda: step(other, x), options.runs),
            "<=",
            1.02,
        ),
        ("peak memory of training, graph / by hand", peak("graph") / peak("hand"), "<=", 1.05),
        ("building u2net_cca, seconds", min(timed(lambda: build("u2net_cca")) for _ in range(3)), "<=", 1.5),
        ("dense attention / CrissCross, 64 channels 64x64", attention(64, 7), ">=", 10),
        ("dense attention / CrissCross, 64 channels 128x128", attention(128, 3), ">=", 30),
        ("images a second, cache / no cache", loading(5), ">=", 5),
        *checks(),
    ]
    kept = [value <= limit if sign == "<=" else value >= limit for _, value, sign, limit in rows]
    if options.json:
        print(
            json.dumps(
                [{"what": what, "value": value, "limit": f"{sign} {limit}"} for what, value, sign, limit in rows]
            )
        )
    else:
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {Path(sys.executable).name}")
        for (what, value, sign, limit), good in zip(rows, kept, strict=True):
            print(f"{what:<52}{value:>10.3f}   {sign} {limit:<6}{'' if good else '  BROKEN'}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
