"""A block in a picture: a few words and one of six kinds."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossband import registry
from crossband.blocks.contracts.block import BlockEntry
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.sites import VARIANT
from crossband.graphs.language.syntax import Step

KINDS = (
    "attention",
    "convolution",
    "block",
    "join",
    "sampling",
    "pointwise",
)  # the first of these in a node is the kind of the node
WIDTH = 25  # characters of a line


@dataclass(frozen=True)
class Line:
    """A step in words: `RSU 7 → 64`, further lines with its details, and the kind of its block."""

    text: str
    details: tuple[str, ...]
    kind: str


def kind_of(entry: BlockEntry) -> str:
    """The kind of a block, by its contract.

    A block with several inputs is a join; one that changes the size without weights is sampling; one that
    sees one pixel at a time is pointwise, one that sees all of them attention; any other is convolution.
    """
    contract = entry.contract
    if contract is None:
        return "block"
    left, _, right = contract.text.partition("->")
    before, after = left.split(",")[0].split(), right.split(",")[0].split()
    resized = before[2:] != after[2:]
    if "," in left:
        return "sampling" if resized and before[1] == after[1] else "join"
    if resized and not entry.inferred:
        return "sampling"
    if before == after and entry.reach in (1, None):
        return "pointwise" if entry.reach == 1 else "attention"
    return "convolution"


def words(step: Step, count: int, entry: BlockEntry | None, inside: Sequence[str] = ()) -> Line:
    """A step that runs `count` times in a few words, without defaults: `RSU 7 · mid 32 → 64`.

    `entry` is the registered block; it is None for a local block, which has the blocks `inside`.
    """
    defaults = {name: p.default for name, p in entry.parameters.items()} if entry else {}
    own = ("kernel", "depth") if entry else ()  # a local block may give these names other meanings
    kernel, depth = (step.arguments.get(name) if name in own else None for name in ("kernel", "depth"))
    name, out = VARIANT.sub("", step.block), step.arguments.get("out")
    head = " ".join(
        [f"{count} ×"] * (count > 1) + [name] + [f"{kernel}×{kernel}"] * bool(kernel) + [f"{depth}"] * bool(depth)
    )
    told = {name: value for name, value in step.arguments.items() if name not in (*own, "out")}
    rest = [_word(name, value) for name, value in told.items() if name not in defaults or value != defaults[name]]
    tail = f" → {_bare(out)}" if out is not None else ""
    kind = kind_of(entry) if entry else "block"
    made_of = (shortened(f"= {' · '.join(inside)}"),) if inside else ()
    if len(line := " · ".join([head, *rest]) + tail) <= WIDTH:
        return Line(line, made_of, kind)
    details = textwrap.wrap(" · ".join(word.replace(" ", "\u00a0") for word in rest), WIDTH + 3)
    said = tuple(shortened(each.replace("\u00a0", " ").strip(" ·")) for each in details)
    return Line(shortened(head + tail), (*said, *made_of), kind)


def shortened(text: str) -> str:
    """`text`, cut if it is too long for a line."""
    return text if len(text) <= WIDTH + 3 else text[: WIDTH + 2].rstrip() + "…"


def entry_of(step: Step, own: Mapping[str, object]) -> BlockEntry | None:
    """The registered block of a step; None if it is not registered, or is one of the graph's `own`."""
    return registry.blocks[step.block] if step.block in registry.blocks and step.block not in own else None


def _word(name: str, value: YamlValue) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, str) and not value.startswith("="):
        return value
    return f"{name} {_bare(value)}"


def _bare(value: YamlValue) -> str:
    """A value without the `=` of an expression that has no value."""
    return str(value).removeprefix("=")
