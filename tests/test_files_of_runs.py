"""Runs, data and results as files: who writes where at once, which links are followed, what is no image."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commandline import run
from PIL import Image
from test_files import full_disk, odd
from tiny import write_files

from crossband.graphs.language.diagnostics import InvalidFile
from crossband.graphs.language.files import FileError
from crossband.recipes import check, load, train
from crossband.recipes.basics.files import locked
from crossband.recipes.data import DataError, pairs, write_image
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.training.folder import Log

SETTINGS = {"steps": 2, "data.source.demo.train": 4, "evaluate.metrics": ["mae"]}


@pytest.fixture(scope="module", name="trained")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_files(tmp_path_factory.mktemp("run"))
    return train(folder / "paired.yaml", run=folder / "run", settings=SETTINGS, silent=True).folder


@pytest.fixture(name="own")
def _own(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may spoil."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


@pytest.fixture(name="impatient")
def _impatient() -> Iterator[None]:
    """What waits for a pipe that nobody writes to ends after a while."""
    signal.alarm(60)
    yield
    signal.alarm(0)


def scenes(folder: Path, names: tuple[str, ...] = ("0", "1", "2")) -> Path:
    """Pairs of images in a folder."""
    for name in names:
        for band in ("visible", "infrared"):
            (folder / band / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / "visible" / f"{name}.png", np.full((16, 16, 3), 9, np.uint8))
        write_image(folder / "infrared" / f"{name}.png", np.full((16, 16), 9, np.uint8))
    return folder


# ---------------------------------------------------------------------- at once


def test_a_run_is_trained_by_one_process(own: Path) -> None:
    before = (own / "metrics.jsonl").read_bytes()
    with locked(own):
        for arguments in (["--resume", own], ["tiny", "--run", own]):
            result = run("train", *arguments)
            assert result.exit_code == 1
            assert f"own: another crossband, process {os.getpid()} on " in result.stderr
            assert len(result.stderr.splitlines()) == 2
    assert (own / "metrics.jsonl").read_bytes() == before


def test_a_folder_of_results_is_written_by_one_process(own: Path, tmp_path: Path) -> None:
    images = scenes(tmp_path / "in")
    with locked(tmp_path / "out"):
        result = run("translate", own, images / "visible", tmp_path / "out")
        assert result.exit_code == 1
        assert "out: another crossband, process " in result.stderr
    assert run("translate", own, images / "visible", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]


def test_a_result_that_comes_meanwhile_is_not_replaced(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where several processes translate single images into one folder, which nobody holds."""
    images, link = scenes(tmp_path / "in"), os.link

    def late(source: Path, target: Path) -> None:
        Path(target).write_text("of another process")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    result = run("translate", own, images / "visible" / "0.png", tmp_path / "out.png")
    assert result.exit_code == 1
    assert "out.png: cannot be written: it is there already; nothing was changed" in result.stderr
    assert (tmp_path / "out.png").read_text() == "of another process"
    assert run("translate", own, images / "visible" / "0.png", tmp_path / "out.png", "--force").exit_code == 0
    assert Image.open(tmp_path / "out.png").size == (16, 16)


# ---------------------------------------------------------------------- links


@pytest.mark.parametrize("name", ["weights", "metrics.jsonl", "graphs/generator.yaml", "samples", "state.pt"])
def test_no_link_leads_out_of_a_run(own: Path, tmp_path: Path, name: str) -> None:
    """Not even one that leads to the same file, nor one that leads to nothing: writing would make it."""
    (tmp_path / "outside").mkdir()
    (own / name).rename(tmp_path / "outside" / "moved")
    for goal in (tmp_path / "outside" / "moved", tmp_path / "outside" / "nothing"):
        (own / name).symlink_to(goal)
        for arguments in (["train", "--resume"], ["evaluate"]):
            result = run(*arguments, own)
            assert result.exit_code == 1
            if (own / name).exists() or name not in ("graphs/generator.yaml", "state.pt"):
                assert f"own/{name}: a link that leads out of the run\nhint: " in result.stderr
        (own / name).unlink()
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["moved"]


def test_links_within_a_run_and_links_of_its_owner_are_followed(own: Path, tmp_path: Path) -> None:
    (own / "state.pt").rename(own / "weights" / "state.pt")
    (own / "state.pt").symlink_to("weights/state.pt")
    (own / "images").symlink_to(tmp_path)  # none of the run's own names
    (tmp_path / "link").symlink_to(own)
    assert load(tmp_path / "link").evaluate(silent=True).tables


def test_evaluating_a_run_writes_nothing(own: Path, tmp_path: Path) -> None:
    """A stranger's recipe names a cache where it likes; the user may name one, too."""
    images, recipe = scenes(tmp_path / "in"), own / "recipe.yaml"
    text = recipe.read_text().replace("data: {", f"data: {{cache: {tmp_path / 'elsewhere'}, ", 1)
    assert "elsewhere" in text
    recipe.write_text(text)
    data = f"data.source={json.dumps({'pairs': {'folder': str(images)}})}"
    assert run("evaluate", own, "--set", data).exit_code == 0
    assert not (tmp_path / "elsewhere").exists()
    cache = f"data.cache={tmp_path / 'mine'}"
    assert run("evaluate", own, "--set", data, "--set", cache).exit_code == 0
    assert (tmp_path / "mine").is_dir()


def test_links_in_a_circle_are_named(own: Path, tmp_path: Path) -> None:
    images = scenes(tmp_path / "in")
    (images / "visible" / "more").symlink_to(images / "infrared")
    assert run("translate", own, images / "visible", tmp_path / "out").exit_code == 0  # an ordinary link is followed
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6
    (images / "infrared" / "back").symlink_to(images / "visible")
    circle = "visible/more/back: too many links: they lead in a circle\nhint: remove the link"
    with pytest.raises(DataError, match=circle):
        pairs(folder=str(images))
    result = run("translate", own, images / "visible", tmp_path / "other")
    assert result.exit_code == 1
    assert circle in result.stderr
    for kind, key in (("graph", "nodes"), ("recipe", "networks")):
        (tmp_path / "circle.yaml").symlink_to("circle.yaml")
        (tmp_path / "a.yaml").write_text(f"{kind}: a\nextends: circle.yaml\n{key}: {{}}\n")
        result = run("check", tmp_path / "a.yaml")
        assert result.exit_code == 1
        assert "a.yaml:2:10: E001 too many links: they lead in a circle: `" in result.output
        (tmp_path / "circle.yaml").unlink()


# ---------------------------------------------------------------------- what is no file


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("form", ["graph: {name}\nextends: {path}\n", "recipe: {name}\nextends: {path}\n"])
def test_a_text_that_is_no_file_is_named_where_it_is_written(tmp_path: Path, form: str) -> None:
    for name, (path, why) in odd(tmp_path).items():
        if name in ("nul", "device", "below"):  # no `.yaml` can be given to these
            continue
        Path(path).rename(f"{path}.yaml") if os.path.lexists(path) and name != "circle" else None
        if name == "circle":
            Path(f"{path}.yaml").symlink_to("circle.yaml")
        file = tmp_path / "a.yaml"
        file.write_text(form.format(name="a", path=f"{path}.yaml"))
        with pytest.raises(InvalidFile) as caught:
            check(file) if form.startswith("recipe") else __import__("crossband").check(file)
        [fault] = caught.value.problems
        assert fault.message.startswith(f"{why}: `")
        assert fault.place is not None
        assert str(fault.place) == f"{file}:2:10"


@pytest.mark.usefixtures("impatient")
def test_images_that_are_no_files_are_named(own: Path, tmp_path: Path) -> None:
    images = scenes(tmp_path / "in")
    os.remove(images / "visible" / "1.png")
    os.mkfifo(images / "visible" / "1.png")
    os.remove(images / "visible" / "2.png")
    (images / "visible" / "2.png").symlink_to("2.png")
    with pytest.raises(DataError) as caught:
        pairs(folder=str(images))
    result = run("translate", own, images / "visible", tmp_path / "out")
    assert result.exit_code == 1
    for text in (str(caught.value), result.stderr):
        assert "1.png: not a regular file, but a named pipe" in text
        assert "2.png: too many links: they lead in a circle" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["state.pt", "metrics.jsonl", "environment.json", "weights/generator.safetensors"])
def test_parts_of_a_run_that_are_no_files_are_named(own: Path, name: str) -> None:
    (own / name).unlink()
    os.mkfifo(own / name)
    result = run("train", "--resume", own)
    if name.startswith("weights"):  # which training reads no more
        result = run("evaluate", own)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert name.rpartition("/")[2] in result.stderr


def test_folders_that_cannot_be_read_are_named(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a band nor a part of it is left out in silence."""
    images, scan = scenes(tmp_path / "in", ("0", "day/1", "night/2")), os.scandir

    def refuse(folder: str) -> Iterator[os.DirEntry[str]]:
        if os.fspath(folder).endswith(refused):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # the superuser, as whom tests may run, is denied nothing
    for refused in ("infrared", "visible/night"):
        with pytest.raises(DataError, match=f"{refused}: permission denied\nhint: `ls -l`"):
            pairs(folder=str(images))
    result = run("translate", own, images / "visible", tmp_path / "out")
    assert result.exit_code == 1
    assert "visible/night: permission denied" in result.stderr


def test_names_may_have_line_breaks(tmp_path: Path) -> None:
    images = scenes(tmp_path / "in", ("a\nb", "c", "d"))
    assert "a\nb" in pairs(folder=str(images)).names("train")


# ---------------------------------------------------------------------- a full disk


def test_a_run_on_a_full_disk_says_what_is_left(tmp_path: Path) -> None:
    write_files(tmp_path)
    with full_disk(8000):
        result = run("train", tmp_path / "paired.yaml", "--run", tmp_path / "run", "--set", "steps=2")
    assert result.exit_code == 1
    words = "state.pt: cannot be written: it becomes larger than a file may be here; nothing was changed\n"
    assert words in result.stderr
    assert f"note: {tmp_path / 'run'} keeps no checkpoint yet" in result.stderr
    assert not list((tmp_path / "run").rglob("*.tmp"))
    again = run("train", tmp_path / "paired.yaml", "--run", tmp_path / "run")
    assert "name another folder: this run stopped before its first state" in again.stderr
    assert "begin it anew: " in run("train", "--resume", tmp_path / "run").stderr


def test_figures_that_cannot_be_logged_are_told(own: Path) -> None:
    told = pytest.raises(FileError, match=r"metrics\.jsonl: cannot be written: it becomes larger")
    with told, Log(RunFolder(own), 2) as log, full_disk(10):  # perhaps the board cannot be written either
        log.write(3, 0, losses={"a": 1.0})


def test_an_evaluation_on_a_full_disk_is_told(own: Path, tmp_path: Path) -> None:
    for option, name in (("--csv", "a.csv"), ("--picture", "a.png")):
        with full_disk(10):
            result = run("evaluate", own, option, tmp_path / name)
        assert result.exit_code == 1
        assert f"{name}: cannot be written: it becomes larger than a file may be here" in result.stderr
        assert not (tmp_path / name).exists()
