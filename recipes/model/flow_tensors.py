"""The values of a flow as tensors, computed when they are asked for and kept until they are out of date."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from crossband.graphs.plans.plan import Plan
from crossband.recipes.kinds.function import Function
from crossband.recipes.language.experiment import depends, reaches
from crossband.recipes.language.flow import Value

Batch: TypeAlias = Mapping[str, Any]  # band -> `b c h w`, and `name`, the names of the images
Records: TypeAlias = Mapping[Value, frozenset[str]]  # for each call, the networks whose gradient it must record
NONE: frozenset[str] = frozenset()


class FlowTensors:
    """The values of a flow for one batch, each computed when it is first asked for."""

    _always_records = False

    def __init__(
        self,
        plans: Mapping[str, Plan],
        networks: Mapping[str, nn.Module],
        functions: Mapping[str, Function],
        batch: Batch,
        *,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        kept: frozenset[Value] = frozenset(),
    ) -> None:
        self.plans, self.networks, self.functions = plans, networks, functions
        self.batch, self.autocast, self.kept = batch, autocast, kept
        self._made: dict[Value, dict[str, Tensor]] = {}

    def get(self, value: Value, records: Records | None = None, wanted: frozenset[str] = NONE) -> Tensor:
        """A value as a tensor `b c h w`; a constant unless it passes gradients on to a network that is `wanted`."""
        tensor = self._tensor(value, records)
        return tensor if wanted & reaches(value, self.networks) else tensor.detach()

    def _tensor(self, value: Value, records: Records | None) -> Tensor:
        if value.kind == "name":
            return self.batch[value.name]
        call = value.operands[0] if value.kind == "part" else value
        if call not in self._made:
            self._made[call] = self._call(call, records)
        outputs = self._made[call]
        return outputs[value.name] if value.kind == "part" else next(iter(outputs.values()))

    def _call(self, call: Value, records: Records | None) -> dict[str, Tensor]:
        wanted = records.get(call, NONE) if records else NONE
        operands = [self.get(operand, records, wanted) for operand in call.operands]
        if call.name not in self.networks:
            return {"": self.functions[str(call)](*operands)}
        network = self.networks[call.name]
        if records is not None:
            network.requires_grad_(call.name in wanted)
        with torch.set_grad_enabled(bool(wanted) or self._always_records), self.autocast():
            try:
                result = network(*operands)
            except Exception as error:
                error.add_note(f"the network `{call.name}`")
                raise
        return result if isinstance(result, dict) else {next(iter(self.plans[call.name].outputs)): result}

    def expire(self, updated: frozenset[str]) -> None:
        """Forget what depends on the networks that were updated; what is to be kept becomes constant."""
        for call in [call for call in self._made if depends(call, self.networks) & updated]:
            if call in self.kept:
                self._made[call] = {name: tensor.detach() for name, tensor in self._made[call].items()}
            else:
                del self._made[call]

    def clear(self) -> None:
        """Forget everything but the batch."""
        self._made.clear()
