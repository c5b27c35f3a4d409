"""Where the modules of a node live: the names that become keys of the `state_dict`.

A node that applies one module is that module. Otherwise each module stands below the node under the
name of its block, numbered from the second of its kind on: `en2.MaxPool`, `en2.RSU`, `trunk.RSU_2`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from crossband.graphs.syntax import Node, Step


class Site(NamedTuple):
    """One application of a step: the label of its module, and which use of that module it is, from 1."""

    step: Step
    label: str
    use: int


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
                    made[step.block] = made.get(step.block, 0) + 1
                    labels[key] = step.block if made[step.block] == 1 else f"{step.block}_{made[step.block]}"
                label = labels[key]
                uses[label] = uses.get(label, 0) + 1
                sites.append(Site(step, label, uses[label]))
    return sites


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
