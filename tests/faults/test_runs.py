"""What is read back: weights, states, the texts of a run folder, entries of a cache, damaged in every way."""

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faults import corpus
from faults.campaign import series
from faults.law import Files, Outcome, run_here
from faults.mutate import ODD, TYPES, Raw, Tree, garbled, mutated, paths, put, to_json, to_yaml
from hypothesis import strategies as st
from torch import Tensor

import crossband
from crossband.graphs import check, digest
from crossband.registry import CrossbandError

WEIGHTS, STATE = "run/weights/generator.safetensors", "run/state.pt"
TRANSLATE = ("translate", "run", "image.png", "out.png")
ALONE = ("translate", "alone.safetensors", "image.png", "out.png")
START = ("check", "small.yaml", "--set", "networks.generator.weights=alone.safetensors")
LOAD = ("load", "run")  # from Python
READ = (TRANSLATE, ALONE, ALONE, START, ("evaluate", "run"), LOAD)
RESUME = ("train", "--resume", "run")
PATIENCE = 2.0  # seconds after which a run that goes on is interrupted: a damaged recipe may ask for a million steps


def attempt(case: Files, folder: Path) -> Outcome:
    """Run the command of a case, or load the run from Python."""
    if case.command == LOAD:
        return run_here(lambda: _loaded(folder), folder)
    return run_here(case.command, folder, patience=PATIENCE)


def _loaded(folder: Path) -> None:
    try:
        crossband.load(folder / "run")
    except CrossbandError as error:
        raise SystemExit(str(error)) from None


def of_weights(content: bytes, command: tuple[str, ...]) -> Files:
    """Other weights for a run, for a file alone and for a recipe that begins with them."""
    name = "alone.safetensors" if command in (ALONE, START) else WEIGHTS
    return Files(command, {name: content}, corpus.trained())


# ---------------------------------------------------------------------- weights


@cache
def weights() -> tuple[bytes, bytes]:
    """The header of a weights file, JSON, and the numbers behind it."""
    content = (corpus.trained() / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length], content[8 + length :]


def packed(header: bytes, data: bytes) -> bytes:
    """A safetensors file."""
    return struct.pack("<Q", len(header)) + header + data


def header() -> dict[str, Any]:
    """The header as data: tensors by name, and texts under `__metadata__`."""
    return json.loads(weights()[0])


def metadata() -> dict[str, Any]:
    """What crossband says in the header: graph, digest, facts."""
    return json.loads(header()["__metadata__"]["crossband"])


def saying(text: str) -> bytes:
    """A weights file with another text of crossband."""
    whole = header()
    whole["__metadata__"]["crossband"] = text
    return packed(json.dumps(whole).encode("utf-8", "surrogatepass"), weights()[1])


@st.composite
def odd_metadata(draw: st.DrawFn) -> Files:
    """Weights whose metadata were changed, as a tree or as text."""
    text = to_json(draw(mutated(metadata()))) if draw(st.integers(0, 3)) else draw(garbled(json.dumps(metadata())))
    return of_weights(saying(text), draw(st.sampled_from(READ)))


@series("weights: metadata", weight=6, quick=18, cases=odd_metadata)
def test_metadata_of_weights(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


def every_fact() -> list[Files]:
    """Weights with each value of the metadata in turn replaced by each odd value."""
    found = []
    for path in [(), *paths(metadata())]:
        for value in (*TYPES, *([] if len(path) > 1 else ODD)):
            tree = metadata()
            if path:
                put(tree, path, value)
            text = to_json(tree if path else value)
            found += [of_weights(saying(text), command) for command in (ALONE, ("evaluate", "run"))]
    nested = "[" * 200_000 + "]" * 200_000
    return [*found, *(of_weights(saying(nested), command) for command in READ)]


@series("weights: every value of the metadata", weight=4, quick=18, cases=every_fact)
def test_every_value_of_the_metadata(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


LARGE = "graph: x\ninputs: {{image: [3, H, W]}}\nnodes: {{{}}}\noutputs: {{{}: [...]}}\n"
HOSTILE = (
    LARGE.format("a: {Conv: {out: 40000}}, b: {Conv: {out: 40000}}, c: {Conv: {out: 1}}", "c"),
    LARGE.format("a: {Conv: {out: 16000, repeat: 9}}", "a"),
    LARGE.format("a: {Conv: {out: 4000}, repeat: 500}, b: {Conv: {out: 1}}", "b"),
    LARGE.format("a: {Conv: {out: 1, kernel: 1000000007}}", "a"),
    LARGE.format("a: {Conv: {out: 1, kernel: 30001}}", "a"),
    LARGE.format("a: {Linear: {out: 2000000000}}", "a"),
    LARGE.format(", ".join(f"n{at}: {{Conv: {{out: 4}}}}" for at in range(3000)), "n2999"),
    LARGE.format(", ".join(f"n{at}: {{RSU: {{depth: 7, mid: 4, out: 4}}}}" for at in range(300)), "n299"),
    LARGE.format(f"a: {'[' * 40}{'{Conv: {out: 1}}'}{']' * 40}", "a"),
    "graph: x\nextends: ../../../../etc/passwd\n",
    "graph: x\nextends: x\n",
    "graph: x\nextends: u2net\n",
    "a: &a [1]\nb: [" + "*a, " * 10_000 + "]\n",
    *(LARGE.format(f"a: {{Conv: {{out: {out}}}}}", "a") for out in ("=9**9**9", "3.0", "1e9", "=1/0", "-1", "0", "x")),
)


def redigested(text: str) -> dict[str, Any]:
    """Metadata with another graph, and its digest where it has one: then nothing but its tensors tells it."""
    tree = metadata() | {"graph": text}
    try:
        file = corpus.scratch() / "redigested.yaml"
        file.write_text(text, "utf-8", "surrogateescape")
        tree["digest"] = digest(check(file).graph)
    except (CrossbandError, ValueError):
        pass
    return tree


def hostile_graphs() -> list[Files]:
    """Weights with a hostile graph, its digest right where there is one."""
    texts = [*HOSTILE, *(base.text for base in corpus.graphs())]
    return [
        of_weights(saying(json.dumps(redigested(text))), command) for text in texts for command in (ALONE, TRANSLATE)
    ]


@series("weights: hostile graphs", weight=4, quick=7, cases=hostile_graphs)
def test_hostile_graphs_in_weights(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


@st.composite
def odd_graphs(draw: st.DrawFn) -> Files:
    """Weights whose graph was mutated, with its digest."""
    own = corpus.Base("x", "graph", metadata()["graph"])
    text = to_yaml(draw(mutated(own.data, [draw(st.sampled_from(corpus.graphs())).data])))
    return of_weights(saying(json.dumps(redigested(text))), draw(st.sampled_from(READ)))


@series("weights: mutated graphs", weight=5, quick=12, cases=odd_graphs)
def test_mutated_graphs_in_weights(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


def truncated_weights() -> list[Files]:
    """A weights file cut off at every byte."""
    content = packed(*weights())
    return [of_weights(content[:length], ALONE) for length in range(len(content))]


@series("weights: truncated at every byte", weight=3, quick=12, cases=truncated_weights)
def test_truncated_weights(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


@st.composite
def flipped(draw: st.DrawFn, content: bytes, last: int) -> bytes:
    """The content with one to three of its first bytes changed."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        changed[draw(st.integers(0, last - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


@st.composite
def flipped_weights(draw: st.DrawFn) -> Files:
    """Weights with some bytes of the header changed."""
    content = packed(*weights())
    return of_weights(draw(flipped(content, 8 + len(weights()[0]))), draw(st.sampled_from(READ)))


@series("weights: bytes of the header", weight=3, quick=12, cases=flipped_weights)
def test_flipped_weights(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


@st.composite
def odd_headers(draw: st.DrawFn) -> Files:
    """Weights whose header was changed: names, types, shapes and places of tensors."""
    text = to_json(draw(mutated(header())))
    return of_weights(packed(text.encode("utf-8", "surrogatepass"), weights()[1]), draw(st.sampled_from(READ)))


@series("weights: header", weight=3, quick=12, cases=odd_headers)
def test_headers_of_weights(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


def by_hand() -> list[Files]:
    """Weights files made by hand."""
    head, data = weights()
    whole = header()
    name = next(key for key in whole if key != "__metadata__")

    def with_tensor(**changes: Any) -> bytes:
        return packed(json.dumps({**whole, name: {**whole[name], **changes}}).encode(), data)

    contents = [
        b"",
        b"\0" * 8,
        b"\xff" * 8,
        struct.pack("<Q", 2**62) + head,
        struct.pack("<Q", 100_000_000) + head,
        packed(b"", b""),
        packed(b"{}", b""),
        packed(b"[]", data),
        packed(b"null", data),
        packed(b"[" * 100_000, data),
        packed(head, b""),
        packed(head, data + b"\0"),
        packed(head + b" " * 7, data),
        packed(head.replace(b'"F32"', b'"F16"'), data),
        packed(head.replace(b'"F32"', b'"BF16"'), data),
        packed(head.replace(b'"F32"', b'"I32"'), data),
        packed(head.replace(b'"F32"', b'"U8"'), data),
        packed(head, np.full(len(data) // 4, np.nan, np.float32).tobytes() + b"\0" * (len(data) % 4)),
        packed(head, b"\xff" * len(data)),
        *(with_tensor(dtype=dtype) for dtype in ("F64", "C64", "BOOL", "F8_E4M3", "x", None, 1)),
        *(with_tensor(shape=shape) for shape in ([], [0], [-1], [2**40], [1] * 200, [2**63], "x", None)),
        *(with_tensor(data_offsets=places) for places in ([0, 0], [0, 2**62], [4, 0], [-4, 4], [0], "x")),
        packed(json.dumps({key: value for key, value in whole.items() if key != name}).encode(), data),
        packed(json.dumps({**whole, "\x1b[31m": whole[name]}).encode(), data),
        packed(json.dumps({**whole, "a\nb": {**whole[name], "shape": [0], "data_offsets": [0, 0]}}).encode(), data),
        packed(
            json.dumps({**whole, "x" * 100_000: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode(), data
        ),
        packed(json.dumps({key: value for key, value in whole.items() if key != "__metadata__"}).encode(), data),
        packed(json.dumps({**whole, "__metadata__": {}}).encode(), data),
        packed(json.dumps({**whole, "__metadata__": {"format": "pt"}}).encode(), data),
        packed(json.dumps({**whole, "__metadata__": {"crossband": "\x1b[31m"}}).encode(), data),
        b"PK\x03\x04" + head,
        b"\x80\x02}q\x00.",
        b"\x89PNG\r\n\x1a\n",
        b"graph: x\n",
    ]
    return [of_weights(content, command) for content in contents for command in dict.fromkeys(READ)]


@series("weights: by hand", weight=2, quick=12, cases=by_hand)
def test_weights_by_hand(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


# ---------------------------------------------------------------------- states


TENSORS: Mapping[str, Tensor] = {
    "none": torch.empty(0),
    "one": torch.ones(()),
    "long": torch.ones(7),
    "nan": torch.full((4,), torch.nan),
    "whole": torch.arange(4),
    "complex": torch.ones(4, dtype=torch.complex64),
    "half": torch.ones(4, dtype=torch.float16),
    "deep": torch.ones((1,) * 30),
    "sparse": torch.eye(3).to_sparse(),
    "view": torch.ones(1).expand(1_000_000),
}


@cache
def saved(run: str) -> bytes:
    """The state of a run."""
    return (corpus.trained(run) / STATE).read_bytes()


def state(run: str) -> dict[str, Any]:
    """The state of a run as data."""
    return torch.load(io.BytesIO(saved(run)), weights_only=True)


def plain(tree: Tree) -> Tree:
    """The tree with text in the place of what only YAML can say."""
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, dict):
        return {plain(key): plain(value) for key, value in tree.items()}
    return [plain(item) for item in tree] if isinstance(tree, list) else tree


def of_state(tree: Tree, run: str) -> Files:
    """A run with another state, to be resumed."""
    content = io.BytesIO()
    torch.save(plain(tree), content)
    return Files(RESUME, {STATE: content.getvalue()}, corpus.trained(run))


@st.composite
def odd_states(draw: st.DrawFn) -> Files:
    """A state that was changed as a tree."""
    run = draw(st.sampled_from(list(corpus.RUNS)))
    tree = draw(mutated(state(run)))
    known = paths(tree)
    if known and draw(st.booleans()):
        put(tree, known[draw(st.integers(0, len(known) - 1))], draw(st.sampled_from(list(TENSORS.values()))))
    return of_state(tree, run)


@series("states: mutated", weight=8, quick=7, cases=odd_states)
def test_mutated_states(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


class EveryValue(Sequence[Files]):
    """Each value of a state in turn replaced by each odd value or tensor: made when asked for, as there are many."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._all = [(path, value) for path in paths(state(run)) for value in (*TYPES, *TENSORS.values())]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, at: Any) -> Any:
        path, value = self._all[at]
        tree = state(self._run)
        put(tree, path, value)
        return of_state(tree, self._run)


@series("states: every value", weight=8, quick=7, cases=lambda: EveryValue("paired"))
def test_every_value_of_a_state(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


class Truncated(Sequence[Files]):
    """A state cut off at every byte."""

    def __len__(self) -> int:
        return len(saved("paired"))

    def __getitem__(self, at: Any) -> Any:
        return Files(RESUME, {STATE: saved("paired")[:at]}, corpus.trained())


@series("states: truncated at every byte", weight=4, quick=4, cases=Truncated)
def test_truncated_states(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


@st.composite
def flipped_states(draw: st.DrawFn) -> Files:
    """A state with some bytes changed."""
    content = saved("paired")
    return Files(RESUME, {STATE: draw(flipped(content, len(content)))}, corpus.trained())


@series("states: bytes", weight=4, quick=4, cases=flipped_states)
def test_flipped_states(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


# ---------------------------------------------------------------------- the texts of a run folder


TEXTS = {
    "run/recipe.yaml": "yaml",
    "run/graphs/generator.yaml": "yaml",
    "run/environment.json": "json",
    "run/evaluation.json": "json",
    "run/metrics.jsonl": "lines",
    "run/evaluation.csv": "text",
}
COMMANDS = (
    *(("evaluate", "run"), TRANSLATE, LOAD, RESUME, RESUME, ("check", "run/recipe.yaml"), ("show", "run/recipe.yaml")),
    *(("evaluate", "run", "--csv", "out.csv"), ("evaluate", "run", "second"), ("show", "run/graphs/generator.yaml")),
)


@st.composite
def odd_texts(draw: st.DrawFn) -> Files:
    """A run folder with one of its texts changed, or gone."""
    name = draw(st.sampled_from(list(TEXTS)))
    text, how = (corpus.trained() / name).read_text(), draw(st.integers(0, 9))
    if how < 6 and TEXTS[name] == "yaml":
        text = to_yaml(draw(mutated(corpus.Base("x", "x", text).data)))
    elif how < 6 and TEXTS[name] == "json":
        text = to_json(draw(mutated(json.loads(text))))
    elif how < 6 and TEXTS[name] == "lines":
        lines = text.splitlines()
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = to_json(draw(mutated(json.loads(lines[at]))))
        text = "".join(f"{line}\n" for line in lines)
    elif how < 9:
        text = draw(garbled(text))
    changed = None if how == 9 else text.replace("workers: 1", "workers: 0")
    return Files(draw(st.sampled_from(COMMANDS)), {name: changed}, corpus.trained())


@series("run folders: texts", weight=10, quick=18, cases=odd_texts)
def test_texts_of_a_run(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


def odd_files() -> Iterator[Files]:
    """Files of a run replaced by what is no text, or by too much of it."""
    contents: list[bytes | None] = [None, b"", b"\0", b"\xff\xfe", b"\n" * 10, b"[" * 100_000, b"{}" * 50_000]
    contents += [
        b"null\n",
        b"[]\n",
        b"1\n",
        b'{"step": null}\n',
        b'{"step": 1e400}\n',
        b'{"a":' * 5000,
        b"a" * 2_000_000,
    ]
    for name in (*TEXTS, WEIGHTS, STATE):
        for content in contents:
            for command in dict.fromkeys(COMMANDS):
                yield Files(command, {name: content}, corpus.trained())


@series("run folders: odd files", weight=4, quick=12, cases=lambda: list(odd_files()))
def test_odd_files_of_a_run(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)


# ---------------------------------------------------------------------- entries of a cache


def entry(head: str, data: bytes, *, version: bytes = b"\x93NUMPY\x01\x00", checked: bool = True) -> bytes:
    """An entry of a cache: an array of numpy with this header, and its checksum."""
    text = head.encode("utf-8", "surrogatepass")
    content = version + struct.pack("<H", len(text) & 0xFFFF) + text + data
    return content + (zlib.crc32(content) if checked else 0).to_bytes(4, "little")


@cache
def entries() -> Mapping[str, bytes]:
    """The entries of the cache of a run, by name."""
    folder = corpus.cached()
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("cache/**/*.npy"))}


@st.composite
def odd_entries(draw: st.DrawFn) -> Files:
    """A cache with one entry changed, most often with a checksum that is right."""
    name = draw(st.sampled_from(list(entries())))
    content = entries()[name]
    (length,) = struct.unpack("<H", content[8:10])
    head, data = content[10 : 10 + length].decode("latin-1"), content[10 + length : -4]
    kind = draw(st.integers(0, 5))
    if kind == 0:
        changed = content[: draw(st.integers(0, len(content)))]
    elif kind == 1:
        changed = draw(flipped(content, len(content)))
    elif kind == 2:
        body = draw(flipped(content[:-4], 10 + length))
        changed = body + zlib.crc32(body).to_bytes(4, "little")
    elif kind == 3:
        changed = entry(draw(garbled(head)), data, checked=draw(st.booleans()))
    else:
        types = (
            "'|u1'",
            "'<f4'",
            "'O'",
            "'|S9'",
            "'<M8[s]'",
            "[('a', '<i4')]",
            "'<c8'",
            "'x'",
            "None",
            "'" + "a" * 999 + "'",
        )
        shapes = (
            "()",
            "(0,)",
            "(3, 16, 16)",
            "(1, 16, 16)",
            "(-1,)",
            "(99999999999, 9)",
            "(16, 3, 16)",
            "None",
            "('a',)",
        )
        order = draw(st.sampled_from(["True", "False", "1", "None"]))
        text = f"{{'descr': {draw(st.sampled_from(types))}, 'fortran_order': {order}, 'shape': {draw(st.sampled_from(shapes))}}}"
        version = draw(
            st.sampled_from([b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x09\x09", b"PK\x03\x04\0\0\0\0"])
        )
        changed = entry(text.ljust(118) + "\n", data, version=version)
    return Files(("evaluate", "run"), {name: changed}, corpus.cached())


@series("cache entries", weight=3, quick=12, cases=odd_entries)
def test_entries_of_a_cache(case: Files, folder: Path) -> Outcome:
    return attempt(case, folder)
