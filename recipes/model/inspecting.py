"""What happens inside of a model: the outputs of nodes and the inner maps of blocks, for one image that goes through.

They are caught while the networks work as in a translation, and only while somebody looks: nothing is left behind.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from crossband.blocks.contracts.maps import InnerMap, declared_maps, maps_within, shown_maps
from crossband.blocks.contracts.sizes import Shape
from crossband.graphs.plans.assembly import Network
from crossband.graphs.plans.plan import Plan
from crossband.recipes.language.functions import make_functions
from crossband.recipes.model.flow_tensors import FlowTensors
from crossband.recipes.model.padding import crop, pad, padded_size
from crossband.recipes.model.task import Task
from crossband.registry import CrossbandError, suggest

FEW = 6  # names that a hint lists
Pixel = tuple[int, int]


@dataclass(frozen=True)
class View:
    """Something that can be seen in a network: an output of a call, or an inner map of a block in it.

    `shape` is that of an output, symbolic and batch first; `map` says what a map is, `path` where below its call.
    """

    network: str
    call: str
    block: str
    output: int = 0
    shape: Shape = ()
    path: str = ""
    map: InnerMap | None = None

    @property
    def about(self) -> str:
        """What it is, in a few words."""
        if self.map is None:
            size = " x ".join(map(str, self.shape[1:]))
            return f"output of {self.block}, {size}"
        sums = ", which sum to 1" if self.map.sums_to_one else ""
        of = " for one pixel" if self.map.form == "places" else ""
        return f"{self.map.about}{of}{sums}"


@dataclass(frozen=True)
class Inspection(Mapping[str, Tensor]):
    """What was seen, by name: maps `n h w`, numbers of channels `n`, of the one image that went through.

    `image` and `result` are `c h w` in [0, 1]. The networks saw the image padded to `inside`, height and width. `pixel`
    is the row and column of the image of which the maps of places tell.
    """

    tensors: Mapping[str, Tensor]
    views: Mapping[str, View]
    image: Tensor
    result: Tensor
    inside: tuple[int, int]
    pixel: Pixel

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


# ---------------------------------------------------------------------- what there is


def views_of(plans: Mapping[str, Plan], networks: Mapping[str, nn.Module]) -> dict[str, View]:
    """Everything that can be seen: of each call its outputs, `NODE.OUTPUT`, and its inner maps, `NODE.MAP`.

    A map takes the place of an output of its name. Of several networks, names begin with that of the network.
    """
    found: dict[str, View] = {}
    for network, plan in plans.items():
        before = f"{network}." if len(plans) > 1 else ""
        modules = _graph_module(networks[network])
        for call in plan.calls:
            for index, (name, shape) in enumerate(zip(call.entry.outputs, call.shapes, strict=False)):
                found[f"{before}{call.name}.{name}"] = View(network, call.name, call.entry.name, index, shape)
            for path, (inner, name) in maps_within(modules.get_submodule(call.module)).items():
                about = declared_maps(inner)[name]
                block = type(inner).__name__
                found[f"{before}{call.name}.{path}"] = View(network, call.name, block, path=path, map=about)
    return found


def chosen(asked: Sequence[str], views: Mapping[str, View], plans: Mapping[str, Plan]) -> dict[str, View]:
    """The views that are meant by names: of a node its inner maps, or where it has none its output.

    A name is that of a view, of a node (also of one inside of another, `handle.dec1`), of a tap or of an output. Raises
    CrossbandError.
    """
    found: dict[str, View] = {}
    for name in asked:
        found |= _meant(name, views, plans)
    return found


def _meant(name: str, views: Mapping[str, View], plans: Mapping[str, Plan]) -> dict[str, View]:
    if name in views:
        return {name: views[name]}
    within = {each: view for each, view in views.items() if each.startswith(f"{name}.")}
    if maps := {each: view for each, view in within.items() if view.map}:
        return maps
    if within:
        last = list(within.values())[-1]
        return next({each: view} for each, view in within.items() if view.call == last.call)
    if named := _named(name, views, plans):
        return named
    node = name
    while "." in node:
        node = node.rpartition(".")[0]
        if own := [each for each in views if each.startswith(f"{node}.")]:
            few = ", ".join(f"`{each}`" for each in own[:FEW]) + (f" and {len(own) - FEW} more" * (len(own) > FEW))
            raise CrossbandError(f"`{node}` shows no `{name[len(node) + 1 :]}`", hint=f"it shows {few}")
    known = known_names(views, plans)
    graphs = " and ".join(f"`{plan.graph.name}`" for plan in plans.values())
    hint = suggest(name, known) or "leave out `--at` for a list of what can be seen"
    raise CrossbandError(f"{graphs} has no node, tap or output `{name}`", hint=hint)


def known_names(views: Collection[str], plans: Mapping[str, Plan]) -> list[str]:
    """All names under which something can be asked for."""
    parts = [name.split(".") for name in views]
    nodes = dict.fromkeys(".".join(each[:end]) for each in parts for end in range(1, len(each) + 1))
    before = [(f"{name}." if len(plans) > 1 else "", plan) for name, plan in plans.items()]
    return [*nodes, *(f"{start}{each}" for start, plan in before for each in (*plan.taps, *plan.outputs))]


def _named(name: str, views: Mapping[str, View], plans: Mapping[str, Plan]) -> dict[str, View]:
    """The view of a tap or an output of a name; none if there is no such name, or if it is an input."""
    for network, plan in plans.items():
        before = f"{network}." if len(plans) > 1 else ""
        ref = plan.taps.get(name.removeprefix(before)) or plan.outputs.get(name.removeprefix(before))
        call = next((call for call in plan.calls if ref and call.name == ref.source), None)
        if ref and call and name.startswith(before):
            return {name: views[f"{before}{call.name}.{call.entry.outputs[ref.index]}"]}
    return {}


def _graph_module(network: nn.Module) -> nn.Module:
    """The module of the graph inside of its wrappers."""
    return next(each for each in network.modules() if isinstance(each, Network))


# ---------------------------------------------------------------------- looking


def look(
    task: Task, networks: Mapping[str, nn.Module], bands: Mapping[str, Tensor], views: Mapping[str, View], pixel: Pixel
) -> tuple[dict[str, Tensor], Tensor, tuple[int, int]]:
    """What `views` show while a result is made of bands `1 c h w` in the range of training, where the networks are.

    Gives the values by name, the result `1 c h w`, and height and width of what the networks saw.
    """
    height, width = bands[task.source].shape[-2:]
    inside = padded_size(task.plans.values(), height, width)
    padded = {name: pad(image, *inside) for name, image in bands.items()}
    row, column = pixel[0] + (inside[0] - height) // 2, pixel[1] + (inside[1] - width) // 2
    eager = cast(Mapping[str, nn.Module], {name: network.forward for name, network in networks.items()})
    flow = FlowTensors(task.plans, eager, make_functions([task.result], lambda _: 0), padded)  # not as compiled
    with ExitStack() as stack, torch.no_grad():
        watchers = []
        for name, network in networks.items():
            own = {each: view for each, view in views.items() if view.network == name}
            watchers.append(_Watcher(task.plans[name], own, partial(_in_grid, (row, column), inside)))
            stack.enter_context(watchers[-1].watching(_graph_module(network)))
        result = flow.get(task.result)
    found = {name: tensor for watcher in watchers for name, tensor in watcher.found.items()}
    return {name: found[name] for name in views}, crop(result, height, width), inside


class _Watcher:
    """Puts what `views` show into `found`, of what the thread that made it lets go through a network.

    Modules are watched in pairs of hooks: a call begins, and a block in it ends. While a block is asked for its maps
    it may call itself, which is not watched.
    """

    def __init__(self, plan: Plan, views: Mapping[str, View], where: Callable[[Tensor], Pixel]) -> None:
        self.views, self.where = views, where
        self.modules = {call.name: call.module for call in plan.calls}
        self.found: dict[str, Tensor] = {}
        self._thread, self._asking, self._current = threading.get_ident(), False, ""
        self._turns = Counter[str]()

    @contextmanager
    def watching(self, root: nn.Module) -> Iterator[None]:
        """Watch the modules of a graph for as long as this lasts."""
        handles = []
        try:
            for path in {self.modules[view.call] for view in self.views.values()}:
                outer = root.get_submodule(path)
                handles.append(outer.register_forward_pre_hook(partial(self._begin, path)))
                for below in {_block(view) for view in self.views.values() if self.modules[view.call] == path}:
                    handles.append(outer.get_submodule(below).register_forward_hook(partial(self._keep, below)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _idle(self) -> bool:
        return self._asking or threading.get_ident() != self._thread

    def _begin(self, path: str, *_: Any) -> None:
        """The calls of a module that serves several come in their order."""
        if not self._idle():
            own = [name for name, module in self.modules.items() if module == path]
            self._current = own[self._turns[path] % len(own)]
            self._turns[path] += 1

    def _keep(self, below: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        mine = {name: view for name, view in self.views.items() if view.call == self._current and _block(view) == below}
        if self._idle() or not mine:
            return
        outputs = [output] if isinstance(output, Tensor) else output
        maps = self._ask(module, inputs, outputs[0]) if any(view.map for view in mine.values()) else {}
        for name, view in mine.items():
            values = maps[view.path.rpartition(".")[2]] if view.map else outputs[view.output]
            self.found[name] = values.detach()[0].clone()

    def _ask(self, block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> dict[str, Tensor]:
        """The maps of a block; torch's random state stays as it is."""
        self._asking = True
        try:
            with torch.random.fork_rng(devices=[each.device for each in inputs if each.is_cuda][:1]):
                return shown_maps(block, inputs, self.where(output))
        finally:
            self._asking = False


def _block(view: View) -> str:
    """Where in the module of a call the block is that shows this: "" for the module itself."""
    return view.path.rpartition(".")[0] if view.map else ""


def _in_grid(pixel: Pixel, inside: tuple[int, int], output: Tensor) -> Pixel:
    """The row and column of an output in which a pixel of the image lies."""
    rows, columns = (1, 1, *output.shape[2:])[-2:]
    return pixel[0] * rows // inside[0], pixel[1] * columns // inside[1]
