"""Where the modules of a node live: the names that become keys of the `state_dict`.

A node that applies one module is that module. Otherwise each module stands below the node under the
name of its block, numbered from the second of its kind on: `en2.MaxPool`, `en2.RSU`, `trunk.RSU_2`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from crossband.graphs.language.syntax import Node, Step

VARIANT = re.compile(r"\.[0-9]+$")


class Site(NamedTuple):
    """One application of a step: the label of its module, which use of that module it is, from 1, and
    which repetition of the node and of the step it is, from 0."""

    step: Step
    label: str
    use: int
    turn: int
    again: int


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
                sites.append(Site(step, label, uses[label], turn, again))
    return sites


def _free_label(wanted: str, made: dict[str, int], taken: Mapping[str, int]) -> str:
    """`wanted`, numbered from the second on; a block may itself be called `stage_2`."""
    while True:
        made[wanted] = made.get(wanted, 0) + 1
        label = wanted if made[wanted] == 1 else f"{wanted}_{made[wanted]}"
        if label not in taken:
            return label


def written_out(node: Node, steps: Sequence[Step], repeat: int, counts: Sequence[int]) -> Node:
    """The node free of expressions: what is the same in each repetition stays repeated, the rest is written out."""
    applied = iter(steps)
    turns = [
        [_again(list(islice(applied, n)), s) for s, n in zip(node.steps, counts, strict=True)] for _ in range(repeat)
    ]
    once = [step for written in turns[0] for step in written]
    if repeat > 1 and all(turn == turns[0] for turn in turns):
        return replace(node, steps=tuple(once), repeat=repeat)
    written = (step for turn in turns for written in turn for step in written)
    return replace(node, steps=tuple(written), repeat=1, share=False)


def _again(applied: list[Step], step: Step) -> list[Step]:
    """The repetitions of one step as one, where they are the same."""
    if len(applied) > 1 and all(each == applied[0] for each in applied):
        return [replace(applied[0], repeat=len(applied), share=step.share)]
    return applied
