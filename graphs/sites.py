"""Where the modules of a node live: the names that become keys of the `state_dict`.

A node that applies one module is that module. Otherwise each module stands below the node under the
name of its block, numbered from the second of its kind on: `en2.MaxPool`, `en2.RSU`, `trunk.RSU_2`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from crossband.graphs.syntax import Node, Step

VARIANT = re.compile(r"\.[0-9]+$")


class Site(NamedTuple):
    """One application of a step: the label of its module, and which use of that module it is, from 1."""

    step: Step
    label: str
    use: int


def label_of(block: str) -> str:
    """The name of a module made from `block`.

    A resolved graph calls the further forms that a local block takes `stage.2`, `stage.3`: they are one block.
    """
    return re.sub(r"\W", "_", VARIANT.sub("", block))


def sites_of(node: Node, repeat: int, counts: Sequence[int]) -> list[Site]:
    """Each application in order: the step, the label of its module, and which use of that module it is."""
    sites: list[Site] = []
    labels: dict[tuple[int, int, int], str] = {}
    made: dict[str, int] = {}
    uses: dict[str, int] = {}
    for turn in range(repeat):
        for index, (step, count) in enumerate(zip(node.steps, counts, strict=True)):
            for again in range(count):
                key = (index, 0 if node.share else turn, 0 if step.share else again)
                if key not in labels:
                    labels[key] = _free_label(label_of(step.block), made, uses)
                label = labels[key]
                uses[label] = uses.get(label, 0) + 1
                sites.append(Site(step, label, uses[label]))
    return sites


def _free_label(wanted: str, made: dict[str, int], taken: Mapping[str, int]) -> str:
    """`wanted`, numbered from the second on; a block may itself be called `stage_2`."""
    while True:
        made[wanted] = made.get(wanted, 0) + 1
        label = wanted if made[wanted] == 1 else f"{wanted}_{made[wanted]}"
        if label not in taken:
            return label


def written_out(node: Node, steps: Sequence[Step], repeat: int, counts: Sequence[int]) -> Node:
    """The node free of expressions: what shares weights stays repeated, everything else is written out."""
    once = sum(counts)
    written: list[Step] = []
    at = 0
    for _ in range(1 if node.share else repeat):
        for step, count in zip(node.steps, counts, strict=True):
            own = steps[at : at + count]
            written += [replace(own[0], repeat=count, share=True)] if step.share and count > 1 else own
            at += count
    shared = node.share and repeat > 1 and once > 0
    return replace(node, steps=tuple(written), repeat=repeat if shared else 1, share=shared)
