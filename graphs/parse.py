"""A graph file becomes a `Graph`: its structure is validated, its parts get their places."""

import keyword
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from crossband.graphs.diagnostics import Place, Problems
from crossband.graphs.reader import Document
from crossband.graphs.schema import NAME, NODE_KEYS, graph_schema
from crossband.graphs.syntax import Graph, Insertion, Node, Output, Step
from crossband.graphs.validate import validate


def parse(document: Document, problems: Problems) -> Graph | None:
    """The graph that a document holds, or None where its structure is wrong; faults go to `problems`."""
    if not validate(document, _structure(), problems, "graph"):
        return None
    data = document.data
    found = len(problems)
    graph = _Parser(problems).graph(data["graph"], data, document.place())
    return graph if len(problems) == found else None


@cache
def _structure() -> dict[str, Any]:
    return graph_schema(arguments=False)


class _Parser:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def graph(self, name: str, data: Mapping[str, Any], place: Place) -> Graph:
        for section in ("params", "inputs", "nodes", "outputs", "taps", "blocks", "insert"):
            for key in data.get(section, {}):
                self.name(key, place.child(section, key).on_key())
        for key in data.get("nodes", {}):
            if key in data.get("inputs", {}):
                self.problems.add(
                    "E016", f"`{key}` is an input and a node", place.child("nodes", key).on_key(), "rename one"
                )
        cite = data.get("cite", ())
        return Graph(
            name=name,
            extends=data.get("extends"),
            cite=(cite,) if isinstance(cite, str) else tuple(cite),
            doc=data.get("doc"),
            params=data.get("params", {}),
            inputs={key: tuple(shape) for key, shape in data.get("inputs", {}).items()},
            nodes={
                key: self.node(key, value, place.child("nodes", key)) for key, value in data.get("nodes", {}).items()
            },
            outputs={
                key: self.output(key, value, place.child("outputs", key))
                for key, value in data.get("outputs", {}).items()
            },
            taps=data.get("taps", {}),
            blocks={
                key: None if value is None else self.graph(key, value, place.child("blocks", key))
                for key, value in data.get("blocks", {}).items()
            },
            wrap={
                key: None if value is None else Step(key, value, place=place.child("wrap", key).on_key())
                for key, value in data.get("wrap", {}).items()
            },
            insert={
                key: insertion
                for key, value in data.get("insert", {}).items()
                if (insertion := self.insertion(key, value, place.child("insert", key)))
            },
            place=place,
        )

    def node(self, name: str, data: Any, place: Place) -> Node | None:
        """A node in any of its forms: `Name`, `{Name: ...}`, a chain, or a mapping with `do`; null removes."""
        match data:
            case None:
                return None
            case str():
                return Node(name, (Step(data, place=place),), place=place)
            case list():
                return Node(name, self.chain(data, place), place=place)
        blocks = [key for key in data if key not in NODE_KEYS]
        if len(blocks) + ("do" in data) != 1:
            self.one_block(blocks, "do" in data, place)
            return None
        steps = self.chain(data["do"], place.child("do")) if "do" in data else (self.step(blocks[0], data, place),)
        reads = data.get("from")
        return Node(
            name,
            steps,
            reads=(reads,) if isinstance(reads, str) else tuple(reads) if reads else None,
            repeat=data.get("repeat", 1),
            share=data.get("share", False),
            doc=data.get("doc"),
            place=place,
        )

    def chain(self, items: list[Any], place: Place) -> tuple[Step, ...]:
        steps = []
        for number, item in enumerate(items):
            here = place.child(number)
            if isinstance(item, str):
                steps.append(Step(item, place=here))
                continue
            blocks = [key for key in item if key not in ("repeat", "share")]
            if len(blocks) == 1 and blocks[0] not in NODE_KEYS:
                steps.append(
                    self.step(blocks[0], item, here, repeat=item.get("repeat", 1), share=item.get("share", False))
                )
            else:
                self.one_block(blocks, False, here)
        return tuple(steps)

    def step(self, block: str, data: Mapping[str, Any], place: Place, **rest: Any) -> Step:
        arguments = data[block]
        if arguments is not None and not isinstance(arguments, dict):
            self.problems.add(
                "E006",
                f"`{block}` takes a mapping of arguments, got {arguments!r}",
                place.child(block),
                f"write {{{block}: {{...}}}}",
            )
            arguments = None
        return Step(block, arguments or {}, place=place.child(block).on_key(), **rest)

    def insertion(self, name: str, data: Mapping[str, Any], place: Place) -> Insertion | None:
        anchors = [key for key in ("after", "before") if key in data]
        if len(anchors) != 1:
            self.problems.add(
                "E051", f"`{name}` says where to insert it by one of `after` and `before`", place.on_key()
            )
            return None
        node = self.node(name, {key: value for key, value in data.items() if key not in anchors}, place)
        return Insertion(node, data[anchors[0]], anchors[0] == "after") if node else None

    def output(self, name: str, data: Any, place: Place) -> Output | None:
        match data:
            case None:
                return None
            case list():
                return Output(name, tuple(data), place=place)
        return Output(name, tuple(data["shape"]), data.get("from"), place=place)

    def one_block(self, blocks: list[str], chain: bool, place: Place) -> None:
        named = ", ".join(f"`{block}`" for block in [*blocks, *(["do"] if chain else [])])
        hint = "write `{Block: {...}}`, beside it `from`, `repeat`, `share`, `doc`; several blocks go under `do`"
        self.problems.add("E025", f"one block makes a node, here {f'are {named}' if named else 'is none'}", place, hint)

    def name(self, name: str, place: Place) -> None:
        """Names become attributes of a module, so those that a module has already are refused."""
        if not re.match(NAME, name):
            self.problems.add("E016", f"`{name}` is not a name: use letters, digits and `_`", place)
        elif keyword.iskeyword(name) or (name in _taken() and "params" not in place.path[-2:-1]):
            self.problems.add("E016", f"`{name}` is a reserved name", place, f"`{name}_` would do")


@cache
def _taken() -> frozenset[str]:
    """What every torch module is or has. Kept as text, since reading a file must not import torch."""
    return frozenset(_MODULE.split())


_MODULE = """
T_destination add_module add_submodule apply bfloat16 buffers call_super_init children code compile cpu cuda
delete_all_unused_submodules delete_submodule double dump_patches eval extra_repr float forward get_buffer
get_extra_state get_parameter get_submodule graph half ipu load_state_dict meta modules mtia named_buffers
named_children named_modules named_parameters parameters print_readable recompile register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
self set_extra_state set_submodule share_memory state_dict to to_empty to_folder torch train training type xpu
zero_grad from do repeat share doc after before H W
"""
