"""The state of training: the networks of a recipe, their optimizers and rates, and functions with a memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from crossband.recipes.basics.formats import STATE, Format
from crossband.recipes.basics.readback import CheckpointError, checked, like
from crossband.recipes.kinds.function import Function
from crossband.recipes.kinds.optimizer import make_optimizer, state_schema
from crossband.recipes.kinds.schedule import Rate
from crossband.recipes.kinds.source import Band
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.functions import make_functions
from crossband.recipes.language.ramps import Ramp
from crossband.recipes.language.syntax import Phase
from crossband.recipes.model.networks import begin_network, direction_of, seed_of
from crossband.recipes.model.plugins import plugins_with
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.task import Task
from crossband.recipes.model.weights import difference, save_weights
from crossband.recipes.training.engine import PhaseRun, phase_runs
from crossband.recipes.training.watch import Watch

Tensors = dict[str, Tensor]


@dataclass
class Training:
    """Everything that changes while a recipe trains. `step` is the number of finished steps."""

    experiment: Experiment
    fabric: Fabric
    networks: dict[str, nn.Module]
    functions: dict[str, Function]  # by call
    optimizers: dict[str, Any]  # by phase, wrapped by Fabric
    rates: dict[str, Rate]
    runs: tuple[PhaseRun, ...]
    average: dict[str, Tensors]  # averaged weights by network, empty without `ema`
    watch: Watch
    measures: dict[str, str] = field(default_factory=dict)  # published weights that losses use, by name
    images: Mapping[str, Band] = field(default_factory=dict)  # what the images are, by band
    epoch_loss: dict[str, list[float]] = field(default_factory=dict)  # sum and count by phase, for plateaus
    step: int = 0
    per_epoch: int = 1  # steps, as the data give it

    def begin(self, epoch: int) -> None:
        """Set the learning rates: by the epoch if the recipe counts epochs, else by the step."""
        for rate in self.rates.values():
            rate.begin(epoch if self.experiment.recipe.epochs else self.step)

    def weights(self, phase: Phase) -> dict[str, float]:
        """The weight of each loss of a phase in the present step."""
        return {name: term.weight_at(self.step, self.per_epoch) for name, term in phase.terms.items()}

    def changing_weights(self) -> dict[str, dict[str, float]]:
        """The present weights of the losses whose weights change, by phase and loss."""
        found = {
            phase.name: {
                name: term.weight.at(self.step, self.per_epoch)
                for name, term in phase.terms.items()
                if isinstance(term.weight, Ramp)
            }
            for phase in self.experiment.recipe.phases
        }
        return {phase: weights for phase, weights in found.items() if weights}

    def only(self, trained: frozenset[str]) -> None:
        """Let gradients reach the weights of these networks only."""
        for name, network in self.networks.items():
            network.requires_grad_(name in trained)

    def update(self, run: PhaseRun) -> None:
        """Do one step of the optimizer of a phase, with gradients averaged over the processes and clipped to `clip`."""
        optimizer, clip = self.optimizers[run.name], self.experiment.recipe.clip
        modules = nn.ModuleList(self.networks[name] for name in sorted(run.trains))
        if self.fabric.world_size > 1:
            self._share_gradients([parameter.grad for parameter in modules.parameters() if parameter.grad is not None])
        if clip is not None:
            self.fabric.clip_gradients(modules, optimizer, max_norm=clip, error_if_nonfinite=False)
        optimizer.step()

    def _share_gradients(self, gradients: list[Tensor]) -> None:
        """Average gradients over the processes: by hand, since DDP cannot follow which phase trains which network."""
        mean = torch.as_tensor(
            self.fabric.all_reduce(torch.cat([each.flatten() for each in gradients]), reduce_op="mean")
        )
        for gradient, part in zip(gradients, mean.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def follow(self) -> None:
        """Move the averaged weights towards the present ones; copy tensors that are not floating-point."""
        for name, kept in self.average.items():
            for key, tensor in self.networks[name].state_dict().items():
                if tensor.is_floating_point():
                    kept[key].lerp_(tensor, 1 - (self.experiment.recipe.ema or 0))
                else:
                    kept[key].copy_(tensor)

    @contextmanager
    def evaluated(self) -> Iterator[Mapping[str, nn.Module]]:
        """The networks in evaluation mode, with averaged weights if there are any. Both are restored afterwards."""
        present = {name: _copy(self.networks[name].state_dict()) for name in self.average}
        try:
            for name, tensors in self.average.items():
                self.networks[name].load_state_dict(tensors)
            for network in self.networks.values():
                network.eval()
            yield self.networks
        finally:
            for name, tensors in present.items():
                self.networks[name].load_state_dict(tensors)
            for network in self.networks.values():
                network.train()

    def save_weights(self, folder: RunFolder) -> None:
        """Write the weights of each network, averaged ones where there are any."""
        recipe = self.experiment.recipe
        facts = {
            "recipe": recipe.name,
            "step": self.step,
            "seed": recipe.seed,
            "range": list(recipe.data.range),
            "channels": dict(self.experiment.bands),
            "images": {band: asdict(kind) for band, kind in self.images.items()},
            "scale": {band: list(values) for band, values in recipe.data.scale.items()},
        }
        if load := Task.of(self.experiment).load:
            facts["load"] = load
        if plugins := plugins_with(folder):
            facts["plugins"] = plugins
        for name, network in self.networks.items():
            own = {"network": name, "task": direction_of(recipe, name), "test": recipe.networks[name].test}
            save_weights(folder.weights(name), network, {**own, **facts}, self.average.get(name))

    def state_dict(self) -> dict[str, Any]:
        """All that training needs to go on as if it had never stopped."""
        return {
            "step": self.step,
            "graphs": {name: dict(_meta(network)) for name, network in self.networks.items()},
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "rates": {name: rate.state_dict() for name, rate in self.rates.items()},
            "functions": {name: function.state_dict() for name, function in self.functions.items()},
            "average": self.average,
            "epoch_loss": self.epoch_loss,
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": {"cpu": torch.get_rng_state(), "cuda": _cuda_states()},
        }

    def load_state_dict(self, state: Mapping[str, Any], file: Path) -> None:
        """Go on from a state that `read_state` read out of a file: from all of it, or from nothing.

        Raises CheckpointError if it belongs to other networks or phases, Damaged if it does not fit to them.
        """
        self._check_same(state, file)
        fault = "damaged, or of another recipe"
        checked(state, Format(self._schema(state), STATE.hint), file, fault=fault)
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, rate in self.rates.items():
            rate.load_state_dict(state["rates"].get(name, {}))
        for name, function in self.functions.items():
            if name in state["functions"]:
                function.load_state_dict(state["functions"][name])
        for name, tensors in self.average.items():
            for key, tensor in state["average"].get(name, state["networks"][name]).items():
                tensors[key].copy_(tensor)
        self.step, self.epoch_loss = state["step"], {k: list(v) for k, v in state["epoch_loss"].items()}
        if state["precision"]:
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.fabric.global_rank > 0:  # the state is that of the first process
            torch.manual_seed(seed_of(self.experiment.recipe.seed, f"process {self.fabric.global_rank}, {self.step}"))
            return
        torch.set_rng_state(state["random"]["cpu"])
        if len(state["random"]["cuda"]) == len(_cuda_states()):
            torch.cuda.set_rng_state_all(state["random"]["cuda"])

    def _check_same(self, state: Mapping[str, Any], file: Path) -> None:
        """Raise CheckpointError if a state belongs to other networks or phases."""
        for what in ("networks", "optimizers"):
            ours, theirs = set(getattr(self, what)), set(state[what])
            if ours != theirs:
                kind = "networks" if what == "networks" else "phases"
                raise CheckpointError(
                    f"the run has the {kind} {', '.join(sorted(theirs))}, the recipe {', '.join(sorted(ours))}"
                )
        checked(state["graphs"], Format({"required": list(self.networks)}, STATE.hint), file, within="graphs")
        for name, network in self.networks.items():
            theirs, ours = state["graphs"][name], _meta(network)
            if theirs["digest"] != ours["digest"]:
                raise CheckpointError(
                    f"the run has another network `{name}`\n{difference(theirs['graph'], ours['graph'])}"
                )

    def _schema(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The schema of a state by what it is loaded into. What a changed setting takes away or adds is not in it."""
        phases = {phase.name: phase.optimizer for phase in self.experiment.recipe.phases}
        present = self.state_dict()
        parts: dict[str, Mapping[str, Any]] = {
            "networks": {name: like(tensors) for name, tensors in present["networks"].items()},
            "optimizers": {name: state_schema(*phases[name], made) for name, made in self.optimizers.items()},
            "rates": {name: like(rate) for name, rate in present["rates"].items() if rate and state["rates"].get(name)},
            "functions": {name: function.state_schema() for name, function in self.functions.items()},
            "average": {name: like(tensors) for name, tensors in self.average.items()},
        }
        schemas = {part: {"properties": properties} for part, properties in parts.items()}
        if present["precision"] and state["precision"]:
            schemas["precision"] = like(present["precision"])
        if self.fabric.global_rank == 0 and (states := _cuda_states()):
            schemas["random"] = {"properties": {"cuda": {"items": like(states[0])}}}
        return {"properties": schemas}


def set_up(experiment: Experiment, fabric: Fabric, length: int, *, resumed: bool = False) -> Training:
    """Build all that a recipe trains, on the device of `fabric`. `length` is the length of the run in epochs or steps.

    Weights are drawn for each network from the recipe's seed and the network's name: adding a network
    changes none of the others. Dropout and the like draw from torch's global generators, seeded here.
    """
    recipe = experiment.recipe
    networks = {
        name: begin_network(experiment, name, resumed=resumed).to(fabric.device).train() for name in experiment.plans
    }
    optimizers, rates = {}, {}
    for phase in recipe.phases:
        kind, arguments = phase.optimizer
        optimizer = make_optimizer(kind, arguments, [networks[name] for name in phase.train])
        rates[phase.name] = Rate(optimizer, phase.schedule, length)
        optimizers[phase.name] = fabric.setup_optimizers(optimizer)
    trained = {name for phase in recipe.phases for name in phase.train}
    average = {name: _copy(networks[name].state_dict()) for name in networks if recipe.ema and name in trained}
    inputs = (value for step in experiment.phases for value in step.inputs())
    functions = make_functions(inputs, lambda call: seed_of(recipe.seed, call))
    torch.manual_seed(seed_of(recipe.seed, f"process {fabric.global_rank}"))
    measures = prepare_losses(experiment, fabric.device)
    runs, watch = phase_runs(experiment), Watch(networks)
    return Training(experiment, fabric, networks, functions, optimizers, rates, runs, average, watch, measures)


def prepare_losses(experiment: Experiment, device: torch.device) -> dict[str, str]:
    """Load the networks that losses use and describe their weights by name. Raises Unavailable if some are missing."""
    found: dict[str, str] = {}
    for loss in (loss for step in experiment.phases for loss in step.losses.values()):
        if prepare := loss.entry.prepare:
            found |= prepare(device, **loss.term.arguments)
    return found


def _copy(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _meta(network: nn.Module) -> Any:
    return network.meta


def _cuda_states() -> list[Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
