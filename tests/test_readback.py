"""Files that are read back may hold anything: they are refused in words that name file and field, whole, or they work."""

import copy
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import run as command
from safetensors import safe_open
from safetensors.torch import save_file
from tiny import CYCLE, write_files
from torch import Tensor

from crossband.graphs import check
from crossband.graphs.language.serial import digest, dump
from crossband.recipes import load, read_weights, train
from crossband.recipes.basics.formats import STATE
from crossband.recipes.basics.readback import DEEPEST, CheckpointError, Damaged, checked
from crossband.recipes.metrics.evaluation import Table
from crossband.recipes.model import loading
from crossband.recipes.model.weights import KEY
from crossband.recipes.training.checkpoint import read_state
from crossband.recipes.training.loop import train_steps
from crossband.recipes.training.runs import begin, prepare
from crossband.recipes.training.session import Session
from crossband.registry import CrossbandError

RECIPE = CYCLE.replace("steps: 8", "epochs: 1\nema: 0.9").replace(
    "{hold: 4, decay: 4}", "{plateau: {factor: 0.5, patience: 0}}"
)
EMPTY: Mapping[str, Tensor] = {}
NESTED: Any = []
for _ in range(DEEPEST):
    NESTED = [NESTED]
ODD: list[Any] = [
    *(None, True, -1, 0, 7, 3.5, 1e300, 2**70, float("nan"), float("-inf")),
    *("", "x", "x" * 5000, "\0\x1b[31m", [], [1], ["a"], [0, 0], [1, 0], ["a", "a"], {}, {"a": {"b": []}}, NESTED),
]
TENSORS = [
    *(torch.zeros(()), torch.tensor(-1.0), torch.tensor(float("nan")), torch.zeros(3, dtype=torch.uint8)),
    *(torch.zeros(1, 2, 3, 4, 5), torch.zeros(2, dtype=torch.complex64), torch.zeros(2, 2).to_sparse()),
    *(torch.zeros(1).expand(1 << 20, 1 << 20), torch.zeros(5056, dtype=torch.uint8), torch.zeros(2, device="meta")),
]


@pytest.fixture(scope="module", name="done")
def _done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with pools, averaged weights, two optimizers and plateaus."""
    folder = write_files(tmp_path_factory.mktemp("runs"), own=RECIPE)
    return train(folder / "own.yaml", run=folder / "done", silent=True).folder


@pytest.fixture(name="run")
def _run(done: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return shutil.copytree(done, tmp_path / "run")


def paths_in(data: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Where there is anything in mappings and lists, of the items of a list and of like names only the first."""
    names = list(data) if isinstance(data, dict) else [0] if isinstance(data, list | tuple) and data else []
    for name in names[: 2 if any(isinstance(name, int) or isinstance(data[name], Tensor) for name in names) else None]:
        yield (*above, name)
        yield from paths_in(data[name], *above, name)


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The data with another value in one place, or with `...` nothing."""
    if not path:
        return value
    own = list(data) if isinstance(data, list | tuple) else dict(data)
    first, *rest = path
    if value is ... and not rest:
        del own[first]
    else:
        own[first] = changed(data[first] if rest else None, tuple(rest), value)
    return own


def refused(call: Callable[[], Any]) -> CrossbandError | None:
    """The error of a call, which must be one for the user; None where the call works."""
    try:
        call()
    except CrossbandError as error:
        return error
    return None


# ---------------------------------------------------------------------- weights


def rewritten(
    file: Path,
    target: Path,
    change: Callable[[Any], Any] = lambda header: header,
    tensors: Mapping[str, Tensor] = EMPTY,
) -> Path:
    """A weights file with other metadata, or other tensors."""
    header = header_of(file)
    with safe_open(file, "pt") as stream:
        own = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    text = change(header)
    save_file({**own, **tensors}, target, {KEY: text if isinstance(text, str) else json.dumps(text)})
    return target


def header_of(file: Path) -> Any:
    with safe_open(file, "pt") as stream:
        return json.loads(stream.metadata()[KEY])


@pytest.mark.slow
def test_any_metadata_are_refused_or_work(done: Path, tmp_path: Path) -> None:
    """Every field, through odd values."""
    file, counts = done / "weights" / "to_ir.safetensors", {True: 0, False: 0}
    header = header_of(file)
    assert {"task", "range", "channels", "images", "seed"} <= header["facts"].keys()
    extra = {"plugins": ["mine.py"], "test": "training", "scale": {"visible": [0, 1]}}
    whole = changed(header, ("facts",), {**header["facts"], **extra})
    for number, path in enumerate(paths_in(whole)):
        for value in [*ODD, ...][number % 2 :: 2]:
            other = rewritten(file, tmp_path / "odd.safetensors", lambda _, p=path, v=value: changed(whole, p, v))
            error = refused(lambda file=other: load(file, device="cpu")(torch.rand(3, 8, 8)))
            counts[error is None] += 1
            if isinstance(error, Damaged):
                assert error.message.startswith(f"{other}: damaged: ")
    assert min(counts.values()) > 9


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("facts", [1], "`facts` must be a mapping, got [1]"),
        ("graph", None, "`graph` must be text, got null"),
        ("digest", ..., "it has no `digest`"),
        ("facts.range", None, "`facts.range` must be a list of two numbers, the lower one first, got null"),
        ("facts.range", [1, 0], "`facts.range` must be a list of two numbers, the lower one first, got [1, 0]"),
        ("facts.range", [0, "a"], "`facts.range.1` must be a number, got `a`"),
        ("facts.scale", [1], "`facts.scale` must be a mapping, got [1]"),
        ("facts.scale", {"visible": [1]}, "`facts.scale.visible` must be a list of two numbers, got [1]"),
        ("facts.task", "x", "`facts.task` must be a mapping or null, got `x`"),
        ("facts.task", {"from": "a"}, "`facts.task` has no `to`"),
        ("facts.step", -1, "`facts.step` must be at least 0, got -1"),
        ("facts.load", 0, "`facts.load` must be at least 1, got 0"),
        ("facts.load", [1, 2, 3], "`facts.load` must have at most 2 items, got [1, 2, 3]"),
        ("facts.seed", 1.5, "`facts.seed` must be a whole number, got 1.5"),
        ("facts.channels", {"visible": 2}, "`facts.channels.visible` must be one of 1, 3, got 2"),
        ("facts.images", {"visible": {"x": 1}}, "`facts.images.visible` has no `channels`"),
        ("facts.plugins", [NESTED], "lists and mappings are nested too deep"),
    ],
)
def test_damaged_metadata_name_the_field(done: Path, tmp_path: Path, path: str, value: Any, words: str) -> None:
    file = rewritten(
        done / "weights" / "to_ir.safetensors",
        tmp_path / "odd.safetensors",
        lambda header: changed(header, tuple(path.split(".")), value),
    )
    with pytest.raises(Damaged) as caught:
        load(file)
    assert caught.value.message == f"{file}: damaged: {words}"
    assert caught.value.hint == "take another copy of the file, or train again"


@pytest.mark.parametrize(
    "text", ["", "[", "nul", '"' + "x" * 9, "[" * 200_000, '{"a":' * 200_000, "9" * 9999, "[1]", "null", "\0"]
)
def test_metadata_that_are_no_json_object_are_refused(done: Path, tmp_path: Path, text: str) -> None:
    file = rewritten(done / "weights" / "to_ir.safetensors", tmp_path / "odd.safetensors", lambda _: text)
    with pytest.raises(Damaged, match=r"odd\.safetensors: damaged: "):
        read_weights(file)


def test_bytes_of_weights_are_refused_or_work(done: Path, tmp_path: Path) -> None:
    content, file = (done / "weights" / "to_ir.safetensors").read_bytes(), tmp_path / "odd.safetensors"
    head = 8 + int.from_bytes(content[:8], "little")
    for at in [*range(0, 24), *range(24, head, 97), head, len(content) - 1]:
        file.write_bytes(content[:at])
        assert refused(lambda: load(file))
    for at in [*range(0, 24), *range(24, head, 61)]:
        file.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        refused(lambda: load(file))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"hidden.conv.weight": torch.zeros(4, 3, 3)}, "must be a tensor of 4x3x3x3, got one of 4x3x3"),
        ({"hidden.conv.weight": torch.zeros(0)}, "must be a tensor of 4x3x3x3, got one of 0"),
        (
            {"hidden.conv.weight": torch.zeros(4, 3, 3, 3, dtype=torch.int8)},
            "must be a tensor of a floating-point type",
        ),
        ({"\x1b[31m": torch.zeros(1)}, "which does not belong there"),
    ],
)
def test_tensors_are_compared_with_the_graph(
    done: Path, tmp_path: Path, tensors: dict[str, Tensor], words: str
) -> None:
    file = rewritten(done / "weights" / "to_ir.safetensors", tmp_path / "odd.safetensors", tensors=tensors)
    with pytest.raises(Damaged, match=words):
        load(file)


def test_a_file_that_asks_for_gigabytes_gets_nothing(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes are compared before a network is made."""

    def greedy(header: Any) -> Any:
        (tmp_path / "wide.yaml").write_text(header["graph"].replace("out: 4", "out: 40000"))
        graph = check(tmp_path / "wide.yaml").graph
        return {**header, "graph": dump(graph), "digest": digest(graph)}

    file = rewritten(done / "weights" / "to_ir.safetensors", tmp_path / "odd.safetensors", greedy)
    monkeypatch.setattr(loading, "build_written", lambda *_, **__: pytest.fail("it is built"))
    with pytest.raises(Damaged, match="must be a tensor of 40000x3x3x3, got one of 4x3x3x3"):
        load(file)


# ---------------------------------------------------------------------- states


@pytest.fixture(scope="module", name="session")
def _session(done: Path) -> Session:
    return begin(*prepare(done / "recipe.yaml", resumed=True), done / "state.pt", silent=True)


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.slow
def test_any_state_is_refused_as_a_whole_or_works(
    done: Path, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every field, through odd values: what is refused has changed nothing, with the rest a step can be trained."""
    training, file, counts = session.training, tmp_path / "state.pt", {True: 0, False: 0}
    kept = read_state(done / "state.pt")
    assert kept["functions"]
    whole = copy.deepcopy(kept)
    training.load_state_dict(whole, file)
    before, schema = copy.deepcopy(training.state_dict()), training._schema(whole)
    monkeypatch.setattr(training, "_schema", lambda _: schema)  # which takes a step of the optimizer for each weight
    values = [*ODD, *TENSORS, ...]
    for number, path in enumerate(paths_in(kept)):
        for value in values[number % 5 :: 5]:
            state = changed(whole, path, value)
            error = refused(lambda state=state: training.load_state_dict(checked(state, STATE, file), file))
            counts[error is None] += 1
            if error:
                assert isinstance(error, CheckpointError)
            else:
                refused(lambda: next(train_steps(training, session.loader, training.step + 1)))
                whole = copy.deepcopy(kept)  # it went on in its very tensors
                training.load_state_dict(whole, file)
        assert same(training.state_dict(), before), path
    assert min(counts.values()) > 9


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("step", ..., "it has no `step`"),
        ("step", -1, "`step` must be at least 0, got -1"),
        ("step", float("nan"), "`step` must be a whole number, got nan"),
        ("random.cpu", torch.zeros(5056, dtype=torch.uint8), "`random.cpu` must be the state of a random generator"),
        ("networks.to_ir", {}, "`networks.to_ir` has no `hidden.conv.weight`"),
        ("networks.to_ir.hidden/conv/weight", torch.zeros(2), "must be a tensor of 4x3x3x3, got one of 2"),
        ("networks.to_ir.hidden/conv/weight", [1], "`networks.to_ir.hidden.conv.weight` must be a tensor, got [1]"),
        ("networks.to_ir.\x1b[31m", torch.zeros(2), "which does not belong there"),
        ("optimizers.critics.state.0.step", torch.tensor(-1.0), "`optimizers.critics.state.0.step` must be at least 0"),
        ("optimizers.critics.state.0.exp_avg", torch.zeros(3), "must be a tensor of 4x1x3x3, got one of 3"),
        (
            "optimizers.critics.param_groups.0.capturable",
            True,
            "`optimizers.critics.param_groups.0.capturable` must be",
        ),
        ("rates.critics.best", None, "`rates.critics.best` must be a number, got null"),
        ("functions.pool(to_ir(visible)).images", [torch.zeros(2)], "must be a tensor of ?x?x?, got one of 2"),
        ("epoch_loss", {"critics": [1]}, "`epoch_loss.critics` must be a list of two numbers, the sum and the count"),
    ],
)
def test_damaged_states_name_the_field(run: Path, path: str, value: Any, words: str) -> None:
    state = torch.load(run / "state.pt", weights_only=True)
    places = tuple(int(part) if part.isdigit() else part.replace("/", ".") for part in path.split("."))
    torch.save(changed(state, places, value), run / "state.pt")
    before = {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}
    with pytest.raises(Damaged) as caught:
        train(resume=run, silent=True)
    assert caught.value.message.startswith(f"{run / 'state.pt'}: damaged")
    assert words in caught.value.message
    assert caught.value.hint
    assert {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()} == before


class Bomb:
    """What would write a file if it were unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._file),)


def test_bombs_in_states_do_not_go_off(run: Path, tmp_path: Path) -> None:
    state = torch.load(run / "state.pt", weights_only=True)
    for bomb in (Bomb(tmp_path / "off"), {**state, "step": Bomb(tmp_path / "off")}, [Bomb(tmp_path / "off")]):
        torch.save(bomb, run / "state.pt")
        result = command("train", "--resume", run)
        assert result.exit_code == 1
        reason = "it is damaged, or holds more than tensors and plain data"
        assert result.stderr.startswith(f"{run / 'state.pt'}: not a training state: {reason}\n")
        assert not (tmp_path / "off").exists()


def test_compressed_states_are_refused(run: Path) -> None:
    """What would be a thousand times as large in memory is not even unpacked."""
    torch.save({"step": torch.zeros(1 << 20)}, run / "state.pt")
    with zipfile.ZipFile(run / "state.pt") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(run / "state.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(Damaged, match="not a training state: it is compressed"):
        read_state(run / "state.pt")


@pytest.mark.slow
def test_bytes_of_states_are_refused_or_work(run: Path) -> None:
    content = (run / "state.pt").read_bytes()
    for at in [*range(0, 200, 7), *range(200, len(content), len(content) // 60)]:
        (run / "state.pt").write_bytes(content[:at])
        assert refused(lambda: read_state(run / "state.pt")), at
    for at in [*range(0, 3000, 29), *range(3000, len(content), len(content) // 60)]:
        (run / "state.pt").write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        refused(lambda: read_state(run / "state.pt"))


# ---------------------------------------------------------------------- other files of a run


TEXTS = [
    *(b"", b"\n", b"\xff\xfe\0", b"\0" * 100, b"[" * 200_000 + b"\n", b"null\n", b"3\n", b"[1]\n", b"{}\n", b"{\n"),
    *(b'{"plugins": 3}\n', b'{"plugins": [3]}\n', b'{"plugins": ["\x1b[31m.py"]}\n', b'{"plugins": null}\n'),
    *(b'{"step": null}\n', b'{"step": -1}\n', b'{"step": 1.5}\n', b'{"step": 1, "a": {"b": 1e999}}\n'),
    *(
        b'{"step": 1, "a": {"b": ' + b"9" * 400 + b"}}\n",
        b'{"step": 1, "a": ' + b'{"b": ' * 90 + b"1" + b"}" * 91 + b"\n",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["environment.json", "metrics.jsonl", "evaluation.json", "state.pt", "recipe.yaml"])
def test_any_bytes_in_a_run_are_refused_or_do_no_harm(run: Path, tmp_path: Path, name: str) -> None:
    picture = next((run / "samples").glob("*.png"))
    verbs: list[tuple[Any, ...]] = [
        *(("check", run / "recipe.yaml"), ("show", run / "recipe.yaml"), ("evaluate", run, "--metrics", "mae")),
        *(("translate", run, picture, tmp_path / "out.png", "--force"), ("train", "--resume", run)),
    ]
    for number, text in enumerate(TEXTS):
        (run / name).write_bytes(text)
        for verb in verbs if number == 1 else verbs[-1:] if name in ("metrics.jsonl", "state.pt") else verbs[:1]:
            result = command(*verb)
            assert result.exit_code in (0, 1), (verb, text[:99], result.exception)
            assert "fault of crossband" not in result.stderr
            assert "Traceback" not in result.stderr


def test_a_damaged_log_stops_a_resumed_run_before_it_trains(run: Path) -> None:
    with (run / "metrics.jsonl").open("ab") as stream:
        stream.write(b'{"step": null}\n')
    lines = len((run / "metrics.jsonl").read_bytes().splitlines())
    with pytest.raises(Damaged) as caught:
        train(resume=run, silent=True)
    message = f"{run / 'metrics.jsonl'}:{lines}: damaged: `step` must be a whole number, got null"
    assert (caught.value.message, caught.value.hint) == (message, "move it away: the run then begins a new one")


@pytest.mark.slow
def test_a_finished_run_that_is_resumed_says_its_end_once(run: Path) -> None:
    def lines() -> list[Any]:
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

    before = lines()
    assert [line["step"] for line in before if "test" in line] == [6]
    for _ in range(2):
        train(resume=run, silent=True)
        assert lines() == before


def test_a_run_without_a_state_says_what_to_do(run: Path) -> None:
    (run / "state.pt").unlink()
    with pytest.raises(CheckpointError) as caught:
        train(resume=run, silent=True)
    assert caught.value.message == f"{run}: has no `state.pt`: it stopped before its first one, or this was removed"
    assert caught.value.hint == f"begin it anew: `crossband train {run / 'recipe.yaml'} --run FOLDER`"
    with pytest.raises(CrossbandError) as refusal:
        train(run / "recipe.yaml", run=run, silent=True)
    assert refusal.value.hint == "name another folder: this run stopped before its first state, or that was removed"


def test_pipes_in_a_run_are_refused(run: Path) -> None:
    for name in ("weights/to_ir.safetensors", "environment.json", "state.pt", "metrics.jsonl"):
        (run / name).rename(run / "aside")
        os.mkfifo(run / name)
        verb = ("evaluate", run) if name.startswith("weights") else ("train", "--resume", run)
        result = command(*verb)
        assert (result.exit_code, "not a regular file" in result.stderr) == (1, True), (name, result.output)
        (run / "aside").replace(run / name)


def test_files_of_other_runs_are_refused(run: Path) -> None:
    weights = run / "weights"
    (weights / "to_vis.safetensors").replace(weights / "to_ir.safetensors")
    with pytest.raises(CheckpointError, match="these weights belong to another network"):
        load(run)
    (weights / "to_ir.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no such weights file"):
        load(run)
    (run / "graphs" / "is_ir.yaml").write_text((run / "graphs" / "is_ir.yaml").read_text().replace("out: 4", "out: 5"))
    with pytest.raises(CheckpointError, match="the run has another network `is_ir`"):
        train(resume=run, silent=True)


@pytest.mark.slow
def test_a_table_of_odd_figures_is_refused(done: Path) -> None:
    found = json.loads((done / "evaluation.json").read_text())["cycle"]
    assert Table.from_dict(found)
    for path in paths_in(found):
        for value in [*ODD, ...]:
            error = refused(lambda p=path, v=value: Table.from_dict(changed(found, p, v)))
            assert error is None or isinstance(error, Damaged)
