"""What the campaign found, each by the shortest input that showed it, and what is said of it now."""

from pathlib import Path
from typing import Any

import pytest
from faults.law import hold, run_here
from faults.mutate import at, put
from faults.test_runs import (
    ALONE,
    RESUME,
    TENSORS,
    attempt,
    of_state,
    of_weights,
    redigested,
    saying,
    state,
    to_json,
)

ONE = "graph: x\ninputs: {{image: {shape}}}\nnodes: {{a: {{{block}}}}}\noutputs: {{a: [...]}}\n"


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_kernel_beyond_all_memory(command: str, tmp_path: Path):
    (tmp_path / "x.yaml").write_text(ONE.format(shape="[3, H, W]", block="Conv: {out: 1, kernel: 1000000007}"))
    outcome = hold(run_here((command, "x.yaml"), tmp_path), measured=False)
    assert outcome.code == 1
    assert "x.yaml:3:" in outcome.output
    assert "E032 the weights do not fit into memory" in outcome.output


@pytest.mark.parametrize("shape", ["[]", "[4]"])
def test_weights_of_a_graph_that_takes_no_image(shape: str, tmp_path: Path):
    text = (
        ONE.format(shape=shape, block="Broadcast: {}")
        if shape == "[]"
        else ONE.format(shape=shape, block="Linear: {out: 3}")
    )
    case = of_weights(saying(to_json(redigested(text))), ALONE)
    case.lay(tmp_path)
    outcome = hold(attempt(case, tmp_path), measured=False)
    assert outcome.code == 1
    assert "alone.safetensors" in outcome.output


CONSTANT = ("optimizers", "generator", "param_groups", 0, "foreach")


@pytest.mark.parametrize("value", [*TENSORS.values(), 0, False, "null"], ids=[*TENSORS, "0", "false", "text"])
def test_a_constant_of_a_state(value: Any, tmp_path: Path):
    tree = state("paired")
    assert at(tree, CONSTANT) is None
    put(tree, CONSTANT, value)
    case = of_state(tree, "paired")
    case.lay(tmp_path)
    outcome = hold(run_here(RESUME, tmp_path), measured=False)
    assert outcome.code == 1
    assert "run/state.pt: damaged" in outcome.output
    assert "`optimizers.generator.param_groups.0.foreach` must be null" in outcome.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "graph: mine\nextends: u2netp\nparams: {width: =depth, inner: 8, most: 16}\n",
            "3:18: E015",
        ),  # names in a hint
        (
            "recipe: mine\nextends: demo\noptimizer: {SGD: {lr: 0.1, nesterov: true}}\n",
            "3:18: E077 SGD: `nesterov` needs a `momentum`, and no `dampening`",
        ),
    ],
    ids=["names that an unknown one resembles", "arguments that contradict each other"],
)
def test_a_text(text: str, said: str, tmp_path: Path):
    (tmp_path / "x.yaml").write_text(text)
    outcome = hold(run_here(("check", "x.yaml"), tmp_path), measured=False)
    assert outcome.code == 1
    assert f"x.yaml:{said}" in outcome.output
