"""What it costs to translate: figures of the networks, and measurements of the machine that they run on."""

import contextlib
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from crossband.graphs.plans.cost import count_parameters
from crossband.graphs.plans.memory import Allocated
from crossband.recipes.language.columns import check_costs
from crossband.recipes.metrics.costs import Cost
from crossband.recipes.model.padding import padded_size
from crossband.recipes.model.task import Trained

FACTS = ("parameters", "macs")  # those that no machine changes
WARM_UP, RUNS = 3, 20
MEGA, GIGA, MILLI = 1e6, 1e9, 1e-3


def cost_of(
    model: Trained,
    size: tuple[int, int],
    names: Sequence[str] = FACTS,
    *,
    batch: int = 1,
    runs: int = RUNS,
    warm_up: int = WARM_UP,
) -> Cost:
    """The costs of these names for images of a `size`, height and width, where the model is and as precise as it is.

    `parameters`, in millions, and `macs`, in thousands of millions for one image, follow from the networks; MACs are
    those of convolutions and matrix products, counted while an image goes through as it would, padding and repeated
    networks with it. `latency`, in milliseconds, is the median over `runs` after `warm_up`, of a batch that lies on the
    device and whose translation stays there; the device has finished before the clock is read. `memory`, in megabytes,
    is what a batch needs at most: on a CUDA device as its allocator counts it, elsewhere the weights and all tensors
    that live at once, without what libraries allocate on the way. Changes neither networks nor random state.

    Raises CrossbandError for an unknown name, SizeError and TooLarge for images that cannot be translated.
    """
    wanted = check_costs(names)
    model.check_size(*size, None, batch)
    device, figures, quartiles = model.device, dict[str, float](), None
    if "parameters" in wanted:
        figures["parameters"] = sum(map(count_parameters, model.task.plans.values())) / MEGA
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if "macs" in wanted:
            figures["macs"] = _operations(model, size) / 2 / GIGA
        if "latency" in wanted:
            low, median, high = _seconds(model, size, batch, runs, warm_up)
            figures["latency"], quartiles = median / MILLI, (low / MILLI, high / MILLI)
        if "memory" in wanted:
            figures["memory"] = _bytes(model, size, batch) / MEGA
    padded = padded_size(model.task.plans.values(), *size)
    words = f"{'an image' if batch == 1 else f'{batch} images'} of {size[0]}x{size[1]} pixels"
    words += "" if padded == size else f", padded to {padded[0]}x{padded[1]}"
    times = f"{runs} runs after {warm_up} to warm up"
    return Cost({name: figures[name] for name in wanted}, words, described(model), quartiles, times)


def described(model: Trained) -> str:
    """The device of a model, and how it is used, in words."""
    device = model.device
    weight = next(_weights(model), None)
    precision = str(torch.float32 if weight is None else weight.dtype).removeprefix("torch.")
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {precision}"
    threads = torch.get_num_threads()
    used = f", {threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else ""
    return f"{_processor()}{used}, {precision}"


def _images(model: Trained, size: tuple[int, int], batch: int) -> dict[str, Tensor]:
    """Random images of the bands that a model reads, in the range of training, on its device."""
    task, (low, high) = model.task, model.task.data.range
    shape = {band: (batch, task.channels[band], *size) for band in {*task.sources, *task.reads}}
    return {band: torch.rand(each, device=model.device) * (high - low) + low for band, each in shape.items()}


def _operations(model: Trained, size: tuple[int, int]) -> int:
    """The floating-point operations of one image: two for each multiply-accumulate."""
    from torch.utils.flop_counter import FlopCounterMode  # slow to import, and seldom needed

    images = _images(model, size, 1)
    with FlopCounterMode(display=False) as counter:
        model.predict(images)
    return counter.get_total_flops()


def _seconds(model: Trained, size: tuple[int, int], batch: int, runs: int, warm_up: int) -> tuple[float, float, float]:
    """The first quartile, the median and the third quartile of the time of a run."""
    images, synchronise, found = _images(model, size, batch), _synchronise(model.device), []
    for _ in range(warm_up):
        model.predict(images)
    for _ in range(runs):
        synchronise()
        began = time.perf_counter()
        model.predict(images)
        synchronise()
        found.append(time.perf_counter() - began)
    low, high = np.quantile(found, (0.25, 0.75))
    return float(low), statistics.median(found), float(high)


def _synchronise(device: torch.device) -> Callable[[], None]:
    """What waits until a device has done all that it was given."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None


def _bytes(model: Trained, size: tuple[int, int], batch: int) -> int:
    """What is held at once at most, the weights and the images among it."""
    weights = sum(tensor.nbytes for tensor in _weights(model))
    if model.device.type == "cuda":
        before = torch.cuda.memory_allocated(model.device)
        torch.cuda.reset_peak_memory_stats(model.device)
        model.predict(_images(model, size, batch))
        return weights + torch.cuda.max_memory_allocated(model.device) - before
    with Allocated() as allocated:
        model.predict(_images(model, size, batch))
    return weights + allocated.most


def _weights(model: Trained) -> Iterator[Tensor]:
    for network in model.networks.values():
        yield from network.parameters()
        yield from network.buffers()


def _processor() -> str:
    """The name of the processor of this machine."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
