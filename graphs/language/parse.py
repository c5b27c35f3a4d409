"""Parse a graph file into a `Graph`: validate its structure, give each part its place."""

import itertools
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.language.names import alternatives, has_index, in_a_row, plain
from crossband.graphs.language.reader import Document
from crossband.graphs.language.schema import NAME, NODE_KEYS, STEP_KEYS, graph_schema
from crossband.graphs.language.sites import VARIANT
from crossband.graphs.language.syntax import Graph, Insertion, Node, Output, Step
from crossband.graphs.language.validate import is_of_kind, unusable, usable_name
from crossband.registry import near, show

T = TypeVar("T")
INDEXED = ("nodes", "outputs", "taps")  # sections whose names may carry an index
FREE = ((), ("params",), ("outputs",), ("taps",))  # sections whose names do not become attributes of a module
YES_OR_NO = {"yes": "true", "on": "true", "no": "false", "off": "false"}
MEANT = {"in": "from", "input": "from", "inputs": "from", "reads": "from", "times": "repeat", "shared": "share"}
FORMS = {  # how each section is written
    "params": "write `params: {width: 64}`",
    "choices": "write `choices: {norm: [instance, batch]}`",
    "inputs": "write `inputs: {image: [3, H, W]}`",
    "nodes": "write a node as `name: Block`, `name: {Block: {...}}` or `name: [Block, ...]`",
    "outputs": "write `outputs: {name: [1, H, W]}`, or `name: {from: node, shape: [1, H, W]}`",
    "taps": "write `taps: {name: node}`",
    "blocks": "write `blocks: {name: {inputs: ..., nodes: ..., outputs: ...}}`",
    "insert": "write `insert: {name: {after: node, Block: {...}}}`",
    "wrap": "write `wrap: {Wrapper: {...}}`",
}
INDEX_HINT = "a name with an index is written `enc(i+1)`"
WITH = "`with` changes arguments of the blocks that a parent's node has: write them in the block itself"


def parse(document: Document, problems: Problems) -> Graph | None:
    """Parse the graph in a document; faults go to `problems`.

    Parts with a wrong structure are left out and the graph is `partial`, so that the rest can still be checked. None if
    the rest cannot be checked either.
    """
    return parse_at(document.data, document.place(), problems) if is_of_kind(document, "graph", problems) else None


def parse_at(data: Any, place: Place, problems: Problems) -> Graph | None:
    """Like `parse`, for a graph that stands at a place in a document."""
    before = len(problems)
    broken = unusable(data, place, _structure(), problems, "graph", hints=FORMS)
    if any(len(path) < 2 for path in broken):
        return None
    parser = _Parser(problems, {place.child(*path[:2]) for path in broken})
    if re.search(NAME, data["graph"]):  # else it is reported already
        parser.name(data["graph"], place.child("graph"))
    broken_lists = {"cite", "keep"} & {path[0] for path in broken}
    sound = {key: value for key, value in data.items() if key not in broken_lists}
    graph = parser.graph(data["graph"], sound, place)
    return replace(graph, partial=len(problems) > before)


@cache
def _structure() -> dict[str, Any]:
    return graph_schema(arguments=False)


class _Parser:
    """Makes the parts of a graph. `broken` are the places of the parts with a wrong structure."""

    def __init__(self, problems: Problems, broken: set[Place]) -> None:
        self.problems = problems
        self.broken = broken
        self.child = False  # whether the graph extends another

    def graph(self, name: str, data: Mapping[str, Any], place: Place) -> Graph:
        for section in ("params", "inputs", "nodes", "outputs", "taps", "blocks", "insert"):
            for key in data.get(section, {}):
                self.name(key, place.child(section, key).on_key())
        self.distinct(data, place)
        cite, keep = data.get("cite", ()), data.get("keep", ())
        self.child = "extends" in data
        return Graph(
            name=name,
            extends=data.get("extends"),
            cite=tuple(_listed(cite)),
            keep=self.rows(keep, place.child("keep"))[0],
            doc=data.get("doc"),
            params=data.get("params", {}),
            choices=self.parts(data, "choices", place, lambda key, values, at: tuple(values)),
            inputs=self.parts(data, "inputs", place, lambda key, shape, at: tuple(shape)),
            nodes=self.parts(data, "nodes", place, self.node),
            outputs=self.parts(data, "outputs", place, self.output),
            taps=self.parts(data, "taps", place, self.tap),
            blocks=self.parts(data, "blocks", place, self.block),
            wrap=self.parts(data, "wrap", place, self.wrapper),
            insert={key: part for key, part in self.parts(data, "insert", place, self.insertion).items() if part},
            place=place,
        )

    def parts(
        self, data: Mapping[str, Any], section: str, place: Place, make: Callable[[str, Any, Place], T]
    ) -> dict[str, T]:
        """The parts of one section by name. Broken ones are left out, or kept empty if others may refer to them."""
        found: dict[str, Any] = {}
        for key, value in data.get(section, {}).items():
            here = place.child(section, key)
            if here not in self.broken:
                found[key] = make(key, value, here)
            elif section == "nodes":
                found[key] = Node(key, (), place=here)
            elif section == "inputs":
                found[key] = None
            elif section == "blocks":
                found[key] = Graph(key, partial=True, place=here)
        return found

    def distinct(self, data: Mapping[str, Any], place: Place) -> None:
        """Report names that an input shares with a node, or an axis with a param."""
        inputs, params = data.get("inputs", {}), data.get("params", {})
        for key in (key for key in data.get("nodes", {}) if key in inputs):
            here = place.child("nodes", key)
            self.problems.add("E016", f"`{key}` is an input and a node", here.on_key(), "rename one of them")
            self.broken.add(here)
        for key, shape in inputs.items():
            for number, axis in enumerate(shape if isinstance(shape, list) else ()):
                if isinstance(axis, str) and axis in params:
                    here = place.child("inputs", key, number)
                    hint = f"write `={axis}` for its value, or give the axis another name"
                    self.problems.add("E016", f"`{axis}` is a param, so an axis cannot have this name", here, hint)

    def block(self, name: str, data: Any, place: Place) -> Graph | None:
        if data is None:
            return None
        before = len(self.problems)
        known = {key: data[key] for key in ("doc", "params", "inputs", "nodes", "outputs") if key in data}
        return replace(self.graph(name, known, place), partial=len(self.problems) > before)

    def wrapper(self, name: str, data: Any, place: Place) -> Step | None:
        return None if data is None else Step(name, data, place=place.on_key())

    def node(self, name: str, data: Any, place: Place) -> Node | None:
        """A node in any of its forms: `Name`, `{Name: ...}`, a chain, or a mapping with `do`; null removes."""
        before = len(self.problems)
        match data:
            case None:
                return None
            case str():
                return Node(name, (Step(data, place=place),), place=place)
            case list():
                node = Node(name, self.chain(data, place), place=place)
            case _:
                node = self.mapping(name, data, place)
        return node if len(self.problems) == before else replace(node, steps=(), share=False)

    def mapping(self, name: str, data: Mapping[str, Any], place: Place) -> Node:
        blocks = [key for key in data if key not in NODE_KEYS]
        steps: tuple[Step, ...] = ()
        amends = None
        borrows = isinstance(data.get("share"), str)
        if more := self.inputs_outside(data):
            names = ", ".join([data["from"], *more])
            message = f"`from` is `{data['from']}` alone, and `{more[0]}` a key of the node"
            self.problems.add(
                "E006", message, place.child(more[0]).on_key(), f"several inputs are a list: `from: [{names}]`"
            )
        elif borrows:
            self.no_block(name, data, blocks, place)
        elif not blocks and "do" not in data and self.child:
            amends = data.get("with", {})
        elif len(blocks) + ("do" in data) != 1:
            self.one_block(blocks, "do" in data, place)
        else:
            steps = self.chain(data["do"], place.child("do")) if "do" in data else (self.step(blocks[0], data, place),)
        if "with" in data and amends is None:
            here = place.child("with").on_key()
            self.problems.add("E025", f"`{name}` has blocks of its own beside `with`", here, WITH)
        reads, origins = self.rows(data.get("from", ()), place.child("from"))
        return Node(
            name,
            steps,
            reads=reads or None,
            repeat=data.get("repeat", 1),
            share=data.get("share", False),
            index=tuple(_listed(data.get("index", ()))),
            when=data.get("if", True),
            amends=amends,
            doc=data.get("doc"),
            place=place,
            origins=origins,
        )

    @staticmethod
    def inputs_outside(data: Mapping[str, Any]) -> list[str]:
        """The names behind `from: a, b, Block: {}`, which YAML takes for keys without a value."""
        if not isinstance(data.get("from"), str) or len(data) < 3:
            return []
        rest = list(data)[list(data).index("from") + 1 :]
        return list(
            itertools.takewhile(lambda key: data[key] is None and key not in NODE_KEYS and key[0].islower(), rest)
        )

    def rows(self, written: str | Sequence[str], place: Place) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The names written in a list, ranges such as `head1..head6` written out; and which item each is from."""
        found: list[str] = []
        origins: list[int] = []
        for number, read in enumerate(_listed(written)):
            here = place.child(number) if isinstance(written, list) else place
            for name in in_a_row(read):
                if self.reference(name, here):
                    found.append(name)
                    origins.append(number)
        return tuple(found), tuple(origins) if len(set(origins)) < len(origins) else ()

    def reference(self, read: str, place: Place) -> bool:
        """Whether something read may name a node; report what cannot because of its brackets or dots."""
        before = len(self.problems)
        for name in alternatives(read):
            if ".." in plain(name):
                hint = "write `en1..en6`, or with an index `en(1..depth)`"
                self.problems.add("E016", f"`{name}` is no row of names", place, hint)
            elif re.search(r"[][()]", plain(name)):
                self.problems.add("E016", f"{show(name)} is not a name", place, INDEX_HINT)
        return len(self.problems) == before

    def tap(self, name: str, target: str | None, place: Place) -> str | None:
        if target is not None:
            self.reference(target, place)
        return target

    def no_block(self, name: str, data: Mapping[str, Any], blocks: list[str], place: Place) -> None:
        """Report what a node that uses another's weights cannot have of its own."""
        if (word := data["share"].lower()) in YES_OR_NO and (blocks or "do" in data):
            message = f"`share` must be true or false, got {show(data['share'])}"
            self.problems.add("E006", message, place.child("share"), f"write `{YES_OR_NO[word]}`")
            return
        own = ("do", "with") if has_index(name) else ("do", "repeat", "index", "with")
        for key in (key for key in (*blocks, *own) if key in data):
            message = f"`{name}` shares the weights of `{data['share']}`, so it has no `{key}` of its own"
            hint = f"remove `{key}`; or write `share: true` for the same weights in every repetition"
            self.problems.add("E025", message, place.child(key).on_key(), hint)
            return

    def chain(self, items: list[Any], place: Place) -> tuple[Step, ...]:
        steps = []
        for number, item in enumerate(items):
            here = place.child(number)
            if isinstance(item, str):
                steps.append(Step(item, place=here))
                continue
            blocks = [key for key in item if key not in STEP_KEYS]
            if len(blocks) == 1 and blocks[0] not in NODE_KEYS:
                step = self.step(blocks[0], item, here)
                repeat, share, index = item.get("repeat", 1), item.get("share", False), item.get("index")
                steps.append(replace(step, repeat=repeat, share=share, index=index, when=item.get("if", True)))
            else:
                self.one_block(blocks, False, here)
        return tuple(steps)

    def step(self, block: str, data: Mapping[str, Any], place: Place) -> Step:
        arguments = data[block]
        if arguments is not None and not isinstance(arguments, dict):
            message = f"`{block}` takes a mapping of arguments, got {show(arguments)}"
            self.problems.add("E006", message, place.child(block), f"write `{{{block}: {{name: value}}}}`")
            arguments = None
        return Step(block, arguments or {}, place=place.child(block).on_key())

    def insertion(self, name: str, data: Any, place: Place) -> Insertion | None:
        anchors = [key for key in ("after", "before") if key in data]
        if len(anchors) != 1:
            found = "it has both" if anchors else "it has neither"
            message = f"`{name}` needs one of `after` and `before`, which say where to insert it; {found}"
            self.problems.add("E051", message, place.on_key(), "write `after: NODE` beside the block")
            return None
        self.reference(data[anchors[0]], place.child(anchors[0]))
        node = self.node(name, {key: value for key, value in data.items() if key not in anchors}, place)
        if node and node.amends is not None:
            self.one_block([], False, place)
        return Insertion(node, data[anchors[0]], anchors[0] == "after") if node else None

    def output(self, name: str, data: Any, place: Place) -> Output | None:
        match data:
            case None:
                return None
            case list():
                return Output(name, tuple(data), place=place)
        if "from" in data:
            self.reference(data["from"], place.child("from"))
        return Output(name, tuple(data["shape"]), data.get("from"), place=place)

    def one_block(self, blocks: list[str], chain: bool, place: Place) -> None:
        """Report a node or step that names no block, or several: most often a misspelt key beside the block."""
        meant = {
            block: near(block, NODE_KEYS) or [MEANT[block]]
            for block in blocks
            if near(block, NODE_KEYS) or block in MEANT
        }
        if meant and len(blocks) + chain - len(meant) == 1:
            for block, (key, *_) in meant.items():
                here = place.child(block).on_key()
                self.problems.add("E005", f"a node takes no key `{block}`", here, f"did you mean `{key}`?")
            return
        if odd := [key for key in blocks if key in NODE_KEYS]:
            hint = "say it of the whole node: `{from: [a, b], do: [Block, ...]}`"
            self.problems.add("E005", f"a step of a chain takes no key `{odd[0]}`", place.child(odd[0]).on_key(), hint)
            return
        named = " and ".join(f"`{block}`" for block in [*blocks, *(["do"] if chain else [])])
        hint = "write `{Block: {...}}`, beside it `from`, `repeat`, `share`, `doc`; several blocks go under `do`"
        self.problems.add("E025", f"one block makes a node, here {f'are {named}' if named else 'is none'}", place, hint)

    def name(self, name: str, place: Place) -> None:
        """Report malformed names, and names that every module has: most names become attributes of a module."""
        if "blocks" in place.path[-2:-1]:  # a resolved graph calls the further forms of a block `stage.2`
            name = VARIANT.sub("", name)
        indexed = "(" in name and place.path[-2:-1] and place.path[-2] in INDEXED
        if indexed and has_index(name) and re.fullmatch(NAME, plain(name)):
            return
        if indexed or "[" in name:
            self.problems.add("E016", f"{show(name)} is not a name", place, INDEX_HINT)
        elif not re.fullmatch(NAME, name):
            message = f"{show(name)} is not a name: letters, digits and `_`, a letter first"
            self.problems.add("E016", message, place, f"`{usable_name(name)}` would do")
        elif keyword.iskeyword(name) or (name in _taken() and place.path[-2:-1] not in FREE):
            self.problems.add("E016", f"`{name}` is reserved: modules or Python have it", place, f"`{name}_` would do")


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


@cache
def _taken() -> frozenset[str]:
    """The names that every torch module has. Kept as text because reading a file must not import torch."""
    return frozenset(_MODULE.split())


_MODULE = """
T_destination add_module add_submodule apply bfloat16 buffers call_super_init children code compile cpu cuda
delete_all_unused_submodules delete_submodule double dump_patches eval extra_repr float forward get_buffer
get_extra_state get_parameter get_submodule graph half ipu load_state_dict meta modules mtia named_buffers
named_children named_modules named_parameters parameters print_readable recompile register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
self set_extra_state shape_env set_submodule share_memory state_dict taps to to_empty to_folder torch train training
type xpu zero_grad from do repeat share doc index after before H W
"""
