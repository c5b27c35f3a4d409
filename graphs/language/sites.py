"""The names of the modules of a node, which become keys of the `state_dict`.

A node that applies one module is that module. Otherwise each module is a child of the node, called as its block and
numbered from the second of its kind on: `en2.MaxPool`, `en2.RSU`, `trunk.RSU_2`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from crossband.graphs.language.syntax import Node, Step

VARIANT = re.compile(r"\.[0-9]+$")


class Site(NamedTuple):
    """One application of a step.

    `label` names its module, `use` counts the uses of that module from 1. `repetition` is that of the node and
    `step_repetition` that of the step, both from 0.
    """

    step: Step
    label: str
    use: int
    repetition: int
    step_repetition: int


def label_of(block: str) -> str:
    """The name of a module made from `block`.

    A resolved graph calls the variants of a local block `stage`, `stage.2`, `stage.3`: they are one block.
    """
    return re.sub(r"\W", "_", VARIANT.sub("", block))


def sites_of(node: Node, repeat: int, counts: Sequence[int]) -> list[Site]:
    """Every application of a step of the node, in order. `counts` are the repetitions of each step."""
    sites: list[Site] = []
    labels: dict[tuple[int, int, int], str] = {}
    made: dict[str, int] = {}
    uses: dict[str, int] = {}
    for repetition in range(repeat):
        for index, (step, count) in enumerate(zip(node.steps, counts, strict=True)):
            for again in range(count):
                key = (index, 0 if node.share else repetition, 0 if step.share else again)
                if key not in labels:
                    labels[key] = _free_label(label_of(step.block), made, uses)
                label = labels[key]
                uses[label] = uses.get(label, 0) + 1
                sites.append(Site(step, label, uses[label], repetition, again))
    return sites


def _free_label(wanted: str, made: dict[str, int], taken: Mapping[str, int]) -> str:
    """`wanted`, numbered from the second module on; numbers that make a name taken by a block are skipped."""
    while True:
        made[wanted] = made.get(wanted, 0) + 1
        label = wanted if made[wanted] == 1 else f"{wanted}_{made[wanted]}"
        if label not in taken:
            return label


def written_out(node: Node, steps: Sequence[Step], repeat: int, counts: Sequence[int]) -> Node:
    """The node without expressions: equal repetitions stay a `repeat`, others are written out as a chain."""
    applied = iter(steps)
    repetitions = [
        [_merged(list(islice(applied, n)), s) for s, n in zip(node.steps, counts, strict=True)] for _ in range(repeat)
    ]
    once = [step for written in repetitions[0] for step in written]
    if repeat > 1 and all(each == repetitions[0] for each in repetitions):
        return replace(node, steps=tuple(once), repeat=repeat)
    written = (step for each in repetitions for written in each for step in written)
    return replace(node, steps=tuple(written), repeat=1, share=False)


def _merged(applied: list[Step], step: Step) -> list[Step]:
    """The repetitions of a step, as one step with `repeat` if they are equal."""
    if len(applied) > 1 and all(each == applied[0] for each in applied):
        return [replace(applied[0], repeat=len(applied), share=step.share)]
    return applied
