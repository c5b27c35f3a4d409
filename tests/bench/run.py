"""What the library exists for, measured: `python tests/bench/run.py`.

Everything is a ratio: of two things run in turn in one process, or of processor time to that of `import torch` in a
fresh process. Single times mean little, and those of the clock nothing on a shared machine. Exit status 1 where a
limit is broken.
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
from crossband.graphs.checking.checker import check_into
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.resolve import Resolver
from crossband.recipes.data import demo, pairs, write_image
from crossband.recipes.data.cache import Cached
from crossband.recipes.data.loader import Geometry, Scenes, epoch_of, make_loader

WIDTH, SIZE = 16, 128  # of the U2-Net that is timed
SHOWN = 3  # of the graphs that take longest to check
Row = tuple[str, float, str, float]
"""What is measured, the ratio, and the limit that it keeps."""


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def processor(run: Callable[[], object]) -> float:
    """Seconds of processor time, which others on the machine do not add to."""
    start = time.process_time()
    run()
    return time.process_time() - start


def child(*arguments: str) -> float:
    """Seconds of processor time that a Python process of its own takes, the least of three."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    found = []
    for _ in range(3):
        before = spent()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        found.append(spent() - before)
    return min(found)


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


def drawing() -> tuple[float, float]:
    """Processor time for a scene of the demo, drawn and, the second time, kept."""
    source = demo(size=64, train=20)
    drawn, kept = (processor(lambda: [source.read(name) for name in source.splits["train"]]) for _ in range(2))
    return drawn / 20, kept / 20


def checks(unit: float) -> list[Row]:
    """The graphs that take longest to check, which keep the limit for every other, and the one in the middle."""
    times = {name: min(processor(lambda name=name: check(name)) for _ in range(5)) / unit for name in shipped()}
    slowest = sorted(times, key=lambda name: -times[name])[:SHOWN]
    return [
        *((f"checking {name} / importing torch", times[name], "<=", 0.1) for name in slowest),
        (
            f"checking one of {len(times)} graphs, median / importing torch",
            statistics.median(times.values()),
            "<=",
            0.03,
        ),
    ]


def large(unit: float) -> list[Row]:
    """Graphs as large as a file may hold: 10,000 nodes, 10,000 params, 10,000 mistakes."""
    nodes = "".join(f"  n{number}: ReLU\n" for number in range(10_000))
    params = "".join(f"  p{number + 1}: =p{number}\n" for number in range(10_000))
    start, end = "graph: large\ninputs: {x: [3, H, W]}\n", "outputs: {z: [3, H, W]}\n"
    texts = {
        "10,000 nodes": f"{start}nodes:\n{nodes}  z: ReLU\n{end}",
        "10,000 params": f"{start}params:\n  p0: 3\n{params}nodes: {{z: {{Conv: {{out: =p10000}}}}}}\n{end}",
        "10,000 mistakes": f"{start}nodes:\n{nodes.replace('ReLU', 'ReLv')}  z: ReLU\n{end}",
    }

    def checked(text: str) -> None:
        problems = Problems()
        graph = Resolver(problems).load_text(text)
        problems.render() if graph is None else check_into(graph, problems)

    return [
        (f"checking {what} / importing torch", processor(lambda text=text: checked(text)) / unit, "<=", 1.5)
        for what, text in texts.items()
    ]


def commands(unit: float) -> list[Row]:
    """What people wait for: whole commands, each in a process of its own."""
    limits = {"show u2net_cca": 1.5, "check u2net_cca": 1.5, "ls": 0.15, "show l1": 0.15, "--help": 0.15}
    return [
        (
            f"crossband {line} / importing torch",
            child("-m", "crossband.recipes.commands", *line.split()) / unit,
            "<=",
            most,
        )
        for line, most in limits.items()
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

    unit, (drawn, kept) = child("-c", "import torch"), drawing()
    rows: list[Row] = [
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
        ("building u2net, graph / by hand", ratio(lambda: build("u2net"), lambda: U2Net(64), 5), "<=", 2),
        ("dense attention / CrissCross, 64 channels 64x64", attention(64, 7), ">=", 10),
        ("dense attention / CrissCross, 64 channels 128x128", attention(128, 3), ">=", 30),
        ("images a second, cache / no cache", loading(5), ">=", 5),
        ("a scene of the demo, drawn / kept", drawn / kept, ">=", 5),
        ("a scene of the demo, 64x64 / importing torch", drawn / unit, "<=", 0.01),
        *commands(unit),
        *checks(unit),
        *large(unit),
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
            print(f"{what:<62}{value:>10.3f}   {sign} {limit:<6}{'' if good else '  BROKEN'}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
