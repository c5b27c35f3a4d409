"""The memory that a network takes at least, found without allocating any, and the memory that there is."""

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs.plans.cost import build_meta
from crossband.graphs.plans.plan import Plan


def memory_at_hand(device: torch.device | str = "cpu") -> int | None:
    """The bytes that could be allocated on a device now, unused swap space with them; None where that is not known."""
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return _of_machine() if device.type == "cpu" else None


def least_memory(plan: Plan, sizes: Mapping[str, int], *, batch: int = 1, training: bool = False) -> int | None:
    """The bytes of all that a network computes and holds at once, in float32: at the least, what it allocates.

    `sizes` are numbers for the symbols of its inputs, such as H and W. In `training` what the gradients need is kept.
    The weights are left out, and what libraries allocate on the way. None where it cannot be told.
    """
    network = build_meta(plan).train(training)
    inputs = [
        torch.empty(batch, *(int(evaluate(size, sizes)) for size in shape[1:]), device="meta")
        for shape in plan.inputs.values()
    ]
    try:
        with torch.set_grad_enabled(training), Allocated() as allocated:
            network(*inputs)
    except (NotImplementedError, RuntimeError):  # an operation that knows no shapes without values
        return None
    return allocated.most


class Allocated(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._living: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._living:  # and no view of what is counted, and nothing changed in place
            self._living[key] = storage.nbytes()
            self.now += self._living[key]
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._end, key)

    def _end(self, key: int) -> None:
        self.now -= self._living.pop(key, 0)


def _of_machine() -> int | None:
    """The free memory of this machine, or of the container that the process is in."""
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        free = sum(int(facts[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
        limit = Path("/sys/fs/cgroup/memory.max")
        allowed = limit.read_text("ascii").strip() if limit.is_file() else "max"
        return free if allowed == "max" else min(free, int(allowed))
    except (OSError, ValueError, KeyError):  # not Linux
        names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
        known = [os.sysconf(name) for name in names if name in getattr(os, "sysconf_names", {})]
        return known[0] * known[1] if len(known) == len(names) else None
