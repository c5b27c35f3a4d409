"""From a recipe on disk to translated images, by the commands that a user types."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from crossband.recipes.commands import cli
from crossband.recipes.commands.evaluate import labels, rank
from crossband.recipes.data import demo, read_image, write_image
from crossband.recipes.metrics.evaluation import Summary, Table
from crossband.recipes.metrics.results import Results

pytestmark = pytest.mark.slow

WHAT = "evaluate.metrics=[mae, psnr, ssim]"


def crossband(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def done(*arguments: object) -> Result:
    result = crossband(*arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recipe files and, trained by the command, the runs `first` of 3 steps and `second` of 2."""
    folder = tiny.write_files(tmp_path_factory.mktemp("work"))
    trained["first"] = done(
        "train", folder / "paired.yaml", "--set", "steps=3", "--set", WHAT, "--run", folder / "first"
    )
    done(
        "train",
        folder / "paired.yaml",
        "--set",
        "steps=2",
        "--set",
        "seed=1",
        "--set",
        WHAT,
        "--run",
        folder / "second",
    )
    return folder


trained: dict[str, Result] = {}


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Visible images of all depths, in sizes that fit nothing."""
    source = demo(train=1, test=4, size=(45, 37))
    images = [source.read(name)["visible"].transpose(1, 2, 0) for name in source.names("test")]
    (tmp_path / "in" / "night").mkdir(parents=True)
    write_image(tmp_path / "in" / "a.png", images[0])
    write_image(tmp_path / "in" / "b.jpg", images[1][:30])
    write_image(tmp_path / "in" / "night" / "c.tif", images[2].astype(np.uint16) * 257, 16)
    write_image(tmp_path / "in" / "night" / "d.png", images[3][:17, :, 1].astype(np.uint16) * 257, 16)
    return tmp_path / "in"


# ---------------------------------------------------------------------- train


def test_training_ends_with_a_table_and_the_files(work: Path) -> None:
    assert work
    out = trained["first"].stdout
    assert re.search(r"^\| metric +\| +paired +\| +grey copy +\| +mean image +\| +n +\|$", out, re.MULTILINE)
    assert re.search(r"^\| PSNR \(dB\) ↑ ", out, re.MULTILINE)
    files = dict(re.findall(r"^(weights|report|page|pictures) +(\S+)$", out, re.MULTILINE))
    assert set(files) == {"weights", "report", "page", "pictures"}
    assert all(Path(file).exists() for file in files.values())


def test_a_resumed_run_equals_an_uninterrupted_one(work: Path, tmp_path: Path) -> None:
    settings = ("--set", WHAT, "--set", "steps=2")
    done("train", work / "paired.yaml", *settings, "--run", tmp_path / "run")
    done("train", "--resume", tmp_path / "run", "--set", "steps=3")
    one, other = (load_file(run / "weights" / "generator.safetensors") for run in (work / "first", tmp_path / "run"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_device_and_precision_are_settings(work: Path, tmp_path: Path) -> None:
    command = ("train", work / "paired.yaml", "--set", "steps=1", "--set", "evaluate.metrics=[mae]")
    done(*command, "--device", "cpu", "--precision", "bf16-mixed", "--run", tmp_path / "run")
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    assert "device: cpu" in recipe
    assert "precision: bf16-mixed" in recipe


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "train needs RECIPE, or `--resume RUN`"),
        (
            ("paired.yaml", "--resume", "first"),
            2,
            "a run goes on with its own recipe: leave out `paired.yaml`, or `--resume first`",
        ),
        (("--resume", "first", "--run", "x"), 2, "a resumed run stays in its folder: leave out `--run`"),
        (("pared",), 1, "no recipe named `pared`"),
        (("paired.yaml", "--set", "stepps=1", "--run", "x"), 1, "stepps"),
        (("paired.yaml", "--set", "steps", "--run", "x"), 1, "`steps` is not `key=value`"),
        (("paired.yaml", "--run", "first"), 1, "first: is there already, and a run is never overwritten"),
        (("paired.yaml", "--run", "."), 1, ".: is a folder with other files in it, and a run has a folder of its own"),
        (
            ("paired.yaml", "--run-folder", "paired.yaml"),
            1,
            "paired.yaml: is a file, and a run has a folder of its own",
        ),
        (("paired.yaml", "--data", "nowhere", "--run", "x"), 1, "nowhere"),
        (("--resume", "nowhere"), 1, "nowhere"),
    ],
)
def test_training_that_cannot_begin(
    work: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(work)
    result = crossband("train", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not Path("x").exists()


# ---------------------------------------------------------------------- evaluate


def test_the_table_of_a_run_is_that_of_its_training(work: Path) -> None:
    result = done("evaluate", work / "first")
    assert result.stdout.strip()
    assert result.stdout.strip() in trained["first"].stdout


def test_json_is_for_programs(work: Path) -> None:
    found = json.loads(done("evaluate", work / "first", "--json", "--metrics", "mae, ms_ssim").stdout)
    systems = found["systems"]
    assert list(systems) == ["paired", "grey copy", "mean image"]
    assert systems["paired"]["summary"]["mae"].keys() == {"mean", "std", "n"}
    assert systems["paired"]["summary"]["mae"]["n"] == 3
    assert list(systems["paired"]["absent"]) == ["ms_ssim"]
    assert "ms_ssim" not in systems["paired"]["summary"]
    [with_copy, _] = found["differences"]
    assert (with_copy["first"], with_copy["second"]) == ("paired", "grey copy")
    mae = with_copy["metrics"]["mae"]
    ours, copy = (systems[name]["summary"]["mae"]["mean"] for name in ("paired", "grey copy"))
    assert mae["mean"] == pytest.approx(ours - copy)
    assert mae["low"] <= mae["mean"] <= mae["high"]


def test_several_runs_share_a_table(work: Path) -> None:
    result = done("evaluate", work / "first", work / "second", "--metrics", "mae")
    head = result.stdout.splitlines()[0]
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "metric", "first", "second", "grey copy", "mean image", "n",
    ]  # fmt: skip
    assert "**" in result.stdout


def test_a_weights_file_stands_for_its_run(work: Path) -> None:
    one, other = (done("evaluate", work / "first" / part, "--json") for part in ("", "weights/generator.safetensors"))
    assert one.stdout == other.stdout


def test_every_image_is_in_the_sheet(work: Path, tmp_path: Path) -> None:
    file, picture = tmp_path / "sheet.csv", tmp_path / "deep" / "examples.png"
    result = done("evaluate", work / "first", work / "second", "--csv", file, "--picture", picture, "--split", "train")
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    assert len(rows) == 4 * 10
    assert list(rows[0]) == ["system", "image", "mae", "psnr", "ssim"]
    assert {row["system"] for row in rows} == {"first", "second", "grey copy", "mean image"}
    assert np.mean([float(row["mae"]) for row in rows if row["system"] == "first"]) < 1
    assert read_image(picture).shape[2] == 3
    assert f"3 images, the best first, in {picture}" in result.stderr
    before = file.read_bytes()
    again = crossband("evaluate", work / "first", "--csv", file)
    assert again.exit_code == 1
    assert again.stderr == f"{file}: is there already\nhint: name another file\n"
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Missing argument 'RUN...'"),
        (("nowhere",), 1, "nowhere: no such run folder or weights file"),
        (("first", "--metrics", "pnsr"), 1, "no metric named `pnsr`\nhint: did you mean `psnr`?"),
        (("first", "--split", "tests"), 1, "the data has no split `tests`\nhint: did you mean `test`?"),
        (("first", "--data", "nowhere"), 1, "nowhere"),
        (("first", "--csv", "paired.yaml"), 1, "paired.yaml: is there already\nhint: name another file"),
        (("first", "--picture", "x.jpg"), 1, "x.jpg: a picture is written as PNG\nhint: name it `x.png`"),
        (("alone.safetensors",), 1, "alone.safetensors: these weights lie in no run folder"),
        (("alone.safetensors", "--data", ".", "--set", "seed=1"), 1, "there is no recipe to `--set` anything of"),
        (("first", "--order", "psnrr"), 1, "no metric named `psnrr`\nhint: did you mean `psnr`?"),
        (("first", "--order", "fft_l1", "--picture", "x.png"), 1, "no image is best by `fft_l1`"),
        (("first", "--rows", "1"), 2, "1 is not in the range x>=2"),
        (("first", "--metrics", "corr_target", "--picture", "x.png"), 1, "add `psnr` or `mae` to `--metrics`"),
    ],
)
def test_what_cannot_be_evaluated(
    work: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(work)
    Path("alone.safetensors").write_bytes(Path("first/weights/generator.safetensors").read_bytes())
    result = crossband("evaluate", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_weights_alone_are_measured_and_drawn_on_images_of_the_users(work: Path, tmp_path: Path) -> None:
    source, file = demo(train=3, test=2, size=32), tmp_path / "net.safetensors"
    for name in source.names("train"):
        for band, image in source.read(name).items():
            folder = tmp_path / "pairs" / band
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / f"{name}.png", image.transpose(1, 2, 0), 8 if band == "visible" else 16)
    file.write_bytes((work / "first" / "weights" / "generator.safetensors").read_bytes())
    picture, sheet = tmp_path / "examples.png", tmp_path / "sheet.csv"
    command = ("evaluate", file, "--data", tmp_path / "pairs", "--split", "train", "--metrics", "mae,psnr")
    result = done(*command, "--picture", picture, "--rows", "9", "--order", "mae", "--csv", sheet)
    assert re.search(r"^\| metric +\| +net +\| +grey copy +\|", result.stdout, re.MULTILINE)
    assert read_image(picture).shape[0] > 2 * 224  # rows of images enlarged sevenfold
    assert len(sheet.read_text().splitlines()) == 1 + 3 * 2  # one of the three pairs is left for testing


def test_the_paper_stands_beside_the_run(work: Path, tmp_path: Path) -> None:
    """The figures go with the recipe into the folder of the run, and from there into table and report."""
    values = "{psnr: 36.21, ssim: {value: 0.889, note: read so}, mae: {value: 9.73, comparable: false, note: no unit}}"
    paper = f"{{source: fan2025, table: table of results, data: drawn scenes, values: {values}}}"
    command = ("train", work / "paired.yaml", "--set", "steps=1", "--set", WHAT, "--set", f"paper={paper}")
    out = done(*command, "--run", tmp_path / "run").stdout
    rows = {row[0].strip(): row[2].strip() for row in re.findall(r"^\|([^|]*)\|([^|]*)\|([^|]*)\|$", out, re.MULTILINE)}
    assert rows["metric"] == "fan2025, table of results"
    assert (rows["PSNR (dB) ↑"], rows["SSIM ↑"], rows["MAE ↓"]) == ("36.21", "0.889*", "(9.73)")
    assert "cannot be compared: no unit" in out
    assert "measured on drawn scenes" in (tmp_path / "run" / "report.md").read_text("utf-8")
    found = json.loads(done("evaluate", tmp_path / "run", "--json").stdout)
    assert found["paper"]["paired"][0]["values"]["mae"] == {"value": 9.73, "comparable": False, "note": "no unit"}


def test_runs_are_called_by_their_folders() -> None:
    assert labels([Path("x"), Path("y.safetensors")]) == ["x", "y"]
    assert labels([Path("x/run"), Path("y/run"), Path("z")]) == ["x/run", "y/run", "z"]


@pytest.mark.parametrize(
    ("images", "rows", "chosen"),
    [(5, 3, "ace"), (4, 3, "acd"), (1, 3, "a"), (2, 3, "ab"), (5, 9, "abcde"), (5, 4, "acde")],
)
def test_a_picture_is_in_order_and_has_both_ends(images: int, rows: int, chosen: str) -> None:
    names = "abcde"[:images]
    tables = {
        "net": Table({name: {"mae": i / 10} for i, name in enumerate(names)}, {"mae": Summary(0.1, None, images)})
    }
    found = rank(Results.of(tables), None, rows)
    assert "".join(found) == chosen
    assert next(iter(found.values())) == "best: a, MAE 0.0000"
    if images > 1:
        assert list(found.values())[-1].startswith("worst: ")


# ---------------------------------------------------------------------- translate


def test_a_folder_of_mixed_images(work: Path, scenes: Path, tmp_path: Path) -> None:
    result = done("translate", work / "first", scenes, tmp_path / "out", "--batch", "2")
    assert re.search(r"^4 images in \S+, \d\S* images/s$", result.stderr, re.MULTILINE)
    assert result.stdout == ""
    found = {str(path.relative_to(tmp_path / "out")): read_image(path) for path in (tmp_path / "out").rglob("*.png")}
    sizes = {"a.png": (45, 37, 1), "b.png": (30, 37, 1), "night/c.png": (45, 37, 1), "night/d.png": (17, 37, 1)}
    assert {name: image.shape for name, image in found.items()} == sizes
    assert {image.dtype for image in found.values()} == {np.dtype(np.uint8)}
    assert all(image.std() > 0 for image in found.values())
    again = crossband("translate", work / "first", scenes, tmp_path / "out")
    assert again.exit_code == 1
    assert again.stderr.startswith("these files are there already:")
    done("translate", work / "first", scenes, tmp_path / "out", "--force", "--tile", "24", "--overlap", "12")


def test_a_fresh_process_translates_by_a_file_alone(work: Path, scenes: Path, tmp_path: Path) -> None:
    """A weights file that was carried elsewhere, without its run, its graph file or its recipe."""
    (tmp_path / "net.safetensors").write_bytes((work / "first" / "weights" / "generator.safetensors").read_bytes())
    files = [str(file) for file in (tmp_path / "net.safetensors", scenes / "a.png", tmp_path / "out.tif")]
    command = [sys.executable, "-m", "crossband.recipes.commands", "translate", *files, "--bits", "16"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found = read_image(tmp_path / "out.tif")
    assert (found.dtype, found.shape) == (np.dtype(np.uint16), (45, 37, 1))
    done("translate", work / "first", scenes / "a.png", tmp_path / "same.tif", "--bits", "16")
    assert np.abs(read_image(tmp_path / "same.tif").astype(int) - found).max() <= 1


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--tile", "big"), 2, "`big` is no size: write `512`, or height and width as in `192x256`"),
        (("--tile", "0"), 2, "`0` is no size"),
        (("--bits", "12"), 2, "'12' is not one of"),
        (("--suffix", ".jpg"), 2, "'.jpg' is not one of"),
        (("--overlap", "4"), 1, "an overlap is one of tiles\nhint: say how large: `--tile 512`"),
        (("--bits", "32", "--suffix", ".png"), 1, "`.png` cannot hold 32 bits\nhint: choose `.tif`, or 16 bits"),
        (("--network", "critic"), 1, "the network `critic` is none of the run\nhint: choose from `generator`"),
        (("--range", "1", "0"), 1, "a range is LOW HIGH, got 1 0"),
    ],
)
def test_options_that_cannot_be(work: Path, scenes: Path, options: tuple[str, ...], code: int, message: str) -> None:
    result = crossband("translate", work / "first", scenes, scenes / "out", *options)
    assert result.exit_code == code
    assert message in result.stderr
    assert not (scenes / "out").exists()


def test_a_tile_has_two_sides(work: Path, scenes: Path, tmp_path: Path) -> None:
    for name, size in (("a", "16"), ("b", "16x24"), ("c", "24x16")):
        done("translate", work / "first", scenes / "a.png", tmp_path / f"{name}.png", "--tile", size)
    found = [read_image(tmp_path / f"{name}.png").astype(int) for name in "abc"]
    assert all(np.abs(image - found[0]).max() <= 4 for image in found)
