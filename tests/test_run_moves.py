"""Runs that are moved, copied, or named from elsewhere: they evaluate, translate and go on, and say where images went."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from commandline import run, succeed
from PIL import Image
from tiny import PAIRED, write_files

from crossband.recipes import load, load_recipe

RELATIVE = PAIRED.replace("{demo: {train: 10, test: 3, size: 24}}", "{pairs: {folder: photos}}").replace(
    "steps: 8", "steps: 1"
)


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images and a recipe that names them by a relative path, and with a run of it."""
    project = tmp_path / "project"
    for band in ("visible", "infrared"):
        (project / "photos" / band).mkdir(parents=True)
    chance = np.random.default_rng(0)
    for number in range(12):
        for band, shape in (("visible", (20, 24, 3)), ("infrared", (20, 24))):
            pixels = chance.integers(0, 255, shape).astype(np.uint8)
            Image.fromarray(pixels).save(project / "photos" / band / f"{number:02}.png")
    write_files(project, mine=RELATIVE)
    monkeypatch.chdir(project)
    succeed("train", "mine.yaml", "--run", "runs/x")
    return project


def works(place: str, photo: Path, *options: str) -> str:
    """Everything that one does with a run; the table of its measures."""
    out = Path("out.png")
    succeed("translate", place, photo, out, "--force")
    assert out.is_file()
    table = succeed("evaluate", place, *options)
    assert succeed("train", "--resume", place, *options).startswith(table.splitlines()[0])
    weights = Path(place) / "weights" / "generator.safetensors"
    assert succeed("evaluate", weights, *options).splitlines()[2:5] == table.splitlines()[2:5]
    return "\n".join(table.splitlines()[2:5])


@pytest.mark.slow
def test_a_run_is_named_from_anywhere_and_moves(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, elsewhere = project / "photos" / "visible" / "00.png", project.parent / "elsewhere"
    elsewhere.mkdir()
    tables = {works("runs/x", photo)}
    monkeypatch.chdir(project / "runs" / "x")
    tables.add(works(".", photo))
    monkeypatch.chdir(elsewhere)
    tables.add(works("../project/runs/x", photo))
    shutil.copytree(project / "runs" / "x", elsewhere / "copy")
    (project / "runs" / "x").rename(elsewhere / "moved")
    tables |= {works("copy", photo), works("moved", photo)}
    monkeypatch.chdir(elsewhere / "moved" / "weights")
    assert succeed("evaluate", "generator.safetensors").splitlines()[2:5] == tables.pop().splitlines()
    assert not tables


def test_a_run_whose_images_moved_says_how_to_name_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = project.parent / "away"
    project.rename(away)
    monkeypatch.chdir(away)
    said = (
        f"runs/x: the images of this run are no longer in `{project / 'photos'}`\n"
        "hint: say where they are now: `--data FOLDER`; from Python, `data=`\n"
    )
    assert run("train", "--resume", "runs/x").output == said
    assert run("evaluate", "runs/x").output.endswith(said)
    photo = away / "photos" / "visible" / "00.png"
    succeed("translate", "runs/x", photo, "out.png")  # needs no other images
    assert load("runs/x").evaluate(away / "photos", silent=True).table.summary["mae"].mean > 0
    succeed("train", "--resume", "runs/x", "--data", "photos")
    assert load_recipe("runs/x/recipe.yaml").data.arguments["folder"] == str(away / "photos")  # from now on
    works("runs/x", photo)


def test_what_is_no_run_says_so(project: Path) -> None:
    (project / "empty").mkdir()
    hint = "it is empty: a run is what `crossband train` makes, such as `runs/u2net-001`"
    for words in (("train", "--resume", "empty"), ("evaluate", "empty")):
        assert run(*words).output == f"empty: no run: it has no `recipe.yaml`\nhint: {hint}\n"
    assert run("evaluate", "runs").output == "runs: no run: it has no `recipe.yaml`\nhint: a run in it: `runs/x`\n"
    assert run("train", "--resume", "runs/y").output.startswith("runs/y: no such folder\n")
    assert run("train", "--resume", "mine.yaml").output == "mine.yaml: a file, and not the folder of a run\n"
