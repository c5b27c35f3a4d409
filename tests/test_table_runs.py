"""Tables that are run: what is trained, found, resumed and refused, what fails, and what is printed of it."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from commandline import graph_file, run

import crossband
from crossband import CrossbandError, TableRun
from crossband.recipes import Interrupted
from crossband.recipes.basics.latex import escaped
from crossband.recipes.metrics.evaluation import Summary, Table
from crossband.recipes.metrics.results import Results
from crossband.recipes.metrics.seeds import over_seeds
from crossband.recipes.reporting.curves import read_log
from crossband.recipes.training.session import Session

RECIPE = """
recipe: tiny
task: {from: visible, to: infrared}
networks: {to_ir: {graph: small.yaml, params: {width: 2}}}
flow: {fake: to_ir(visible)}
losses: {pixel: {l1: [fake, infrared]}}
optimizer: {Adam: {lr: 2e-3}}
data: {source: {demo: {train: 6, test: 3, size: 64}}, size: 64, batch: 2}
epochs: 9
every: {sample: 0}
"""
TABLE = """
table: widths
doc: Width & what it's worth in 100 %
rows:
  narrow: tiny.yaml
  wide_5%: {recipe: tiny.yaml, settings: {networks.to_ir.params.width: 5}}
  wild: {recipe: tiny.yaml, settings: {optimizer.Adam.lr: 1.0e+38}, note: learns far too fast}
  gone: {recipe: tiny.yaml, settings: {data.source: {pairs: {folder: nowhere}}}}
protocol: {steps: 4, epochs: null}
columns: [psnr, mae, parameters]
paper:
  source: isola2017pix2pix
  table: table 1
  data: scenes that are drawn
  task: {from: visible, to: infrared}
  size: 64
  values:
    narrow: {psnr: 20.50, mae: {value: 8.1, comparable: false, note: of bytes}}
    gone: {psnr: {value: 21, note: read off a plot}}
"""
SOUND = (
    TABLE.replace("  wild:", "# wild:").replace("  gone: {recipe", "# gone: {recipe").replace("    gone:", "#   gone:")
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, its recipe and its graph, in which one works."""
    monkeypatch.chdir(tmp_path)
    graph_file(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "widths.yaml").write_text(TABLE)
    return tmp_path


def interrupt(monkeypatch: pytest.MonkeyPatch, folder: str, step: int) -> None:
    """Let Ctrl-C be pressed once, in a step of the run in this folder."""
    act, pressed = Session._act, []

    def pressing(self: Session, training: Any, report: Any) -> None:
        act(self, training, report)
        if not pressed and self.folder.path.name == folder and report.step == step:
            pressed.append(step)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Session, "_act", pressing)


def test_a_table_with_one_row_interrupted_and_two_that_fail(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, "wide_5-seed0", 2)
    files = ["--csv", "t.csv", "--json", "t.json", "--latex", "t.tex"]
    stopped = run("table", "widths.yaml", *files)
    assert stopped.exit_code == 130, stopped.output
    assert "stopped after step 2 of 4, everything is saved" in stopped.stderr
    assert "hint: the same command goes on with the table" in stopped.stderr
    assert not [name for name in files if Path(name).exists()]
    runs = here / "runs" / "widths"
    first = (runs / "narrow-seed0" / "state.pt").stat().st_mtime_ns

    done = run("table", "widths.yaml", *files)
    assert done.exit_code == 1, done.output
    assert (runs / "narrow-seed0" / "state.pt").stat().st_mtime_ns == first  # found, and not trained again
    assert "1 of 4: narrow: found in runs/widths/narrow-seed0" in done.stderr
    assert "2 of 4: wide_5%: goes on in runs/widths/wide_5-seed0" in done.stderr
    assert [line["step"] for line in read_log(runs / "wide_5-seed0" / "metrics.jsonl") if "test" in line] == [4]
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[:8]] == [
        *("", "-" * len(lines[1].split("|")[1].strip()), "narrow", "wide_5%", "wild", "gone", "grey copy", "mean image")
    ]
    assert lines[2].split("|")[3].strip() == "20.5"  # the paper's, which can be compared
    assert lines[2].split("|")[5].strip() == "(8.1)"
    assert [cell.strip() for cell in lines[5].split("|")[2:4]] == ["failed", "21*"]
    assert "- wild: " in done.stdout
    assert "- gone: widths.yaml:8:70: no such file or folder: `nowhere`" in done.stdout
    assert "wild: learns far too fast." in done.stdout
    assert "its PSNR, in brackets" not in done.stdout
    assert "its MAE, in brackets: of bytes." in done.stdout
    assert "Each row minus narrow, image by image" in done.stdout
    assert "wide_5% | " in done.stdout

    found = json.loads(Path("t.json").read_text())
    assert [row["name"] for row in found["rows"] if row["failed"]] == ["wild", "gone"]
    assert found["rows"][1]["columns"]["psnr"]["n"] == 3
    assert found["differences"]["wide_5%"]["psnr"]["n"] == 3
    rows = list(csv.DictReader(Path("t.csv").read_text().splitlines()))
    assert [(row["row"], row["column"], row["paper"], row["comparable"]) for row in rows][:3] == [
        *(("narrow", "psnr", "20.5", "True"), ("narrow", "mae", "8.1", "False"), ("narrow", "parameters", "", "")),
    ]
    text = Path("t.tex").read_text()
    assert r"\caption{Width \& what it's worth in 100 \%}" in text
    assert r"wide\_5\% &" in text
    assert text.count(r"\begin") == text.count(r"\end") == 2

    again = run("table", "widths.yaml", *files)
    assert (again.exit_code, "t.csv: is there already" in again.stderr) == (1, True)


def test_a_run_of_another_recipe_is_refused_by_name_and_nothing_is_trained(here: Path) -> None:
    (here / "widths.yaml").write_text(SOUND)
    result = crossband.table("widths.yaml", silent=True)
    assert not result.failed
    before = {path: path.stat().st_mtime_ns for path in (here / "runs").rglob("*") if path.is_file()}
    refused = run("table", "widths.yaml", "--set", "data.batch=1", "--set", "every.log=1")
    assert refused.exit_code == 1
    said = "runs/widths/narrow-seed0: of another recipe than narrow: `data.batch` is 2 there, and not 1"
    assert said in refused.stderr
    assert "`every" not in refused.stderr  # which changes no weight
    assert "hint: `--runs FOLDER`" in refused.stderr
    with pytest.raises(CrossbandError, match="of another recipe than wide_5%: the graph of `to_ir` is another one"):
        crossband.table("widths.yaml", settings={"networks.to_ir.params.width": 2}, silent=True)
    (here / "other" / "narrow-seed0").mkdir(parents=True)
    (here / "other" / "narrow-seed0" / "notes.txt").write_text("mine")
    with pytest.raises(CrossbandError, match=r"other/narrow-seed0: is a folder with other files in it"):
        crossband.table("widths.yaml", runs="other", silent=True)
    assert {path: path.stat().st_mtime_ns for path in (here / "runs").rglob("*") if path.is_file()} == before
    assert crossband.table("widths.yaml", settings={"every.log": 1}, silent=True).results is not None


def test_several_seeds_and_a_run_that_tells_of_the_paper(here: Path) -> None:
    (here / "widths.yaml").write_text(SOUND)
    result = crossband.table("widths.yaml", seeds=[0, 1, 2], silent=True)
    each = result.rows[0]
    means = [results["psnr"].mean for results in each.results.values()]
    found = result.summary("narrow", "psnr")
    assert found
    assert len({*means}) == 3
    assert found.mean == pytest.approx(sum(means) / 3)
    assert found.std == pytest.approx((sum((mean - found.mean) ** 2 for mean in means) / 2) ** 0.5)
    assert "mean ± standard deviation over the seeds 0, 1, 2" in str(result)
    assert isinstance(result, TableRun)
    assert result.gain("wide_5%", "psnr") is not None
    shown = run("evaluate", each.runs[0])
    assert "isola2017pix2pix, table 1, narrow" in shown.stdout
    rows = result.as_dict()["rows"]
    assert [*rows[0]["columns"]["psnr"]["seeds"]] == [0, 1, 2]


def test_figures_are_in_brackets_where_a_run_differs(here: Path) -> None:
    (here / "widths.yaml").write_text(SOUND.replace("size: 64\n  values", "size: [64, 80]\n  values"))
    text = str(crossband.table("widths.yaml", settings={"networks.to_ir.params.width": 3}, silent=True))
    assert "(20.5)" in text
    assert "`to_ir` has `width` 3 for 2; its images are 64x64, not 64x80." in text


def test_images_from_python_and_seeds_that_are_none(here: Path) -> None:
    import torch

    (here / "widths.yaml").write_text(SOUND)
    scenes = [(torch.rand(3, 64, 64), torch.rand(1, 64, 64)) for _ in range(10)]
    result = crossband.table("widths.yaml", scenes, settings=["steps=1"], silent=True)
    assert "this run sees images of `memory`" in str(result)
    again = crossband.table("widths.yaml", scenes, settings=["steps=1"], silent=True)
    assert again.rows[0].results[0]["psnr"] == result.rows[0].results[0]["psnr"]
    for wrong in ([], [1, 1], [-1]):
        with pytest.raises(CrossbandError, match="seeds are whole numbers"):
            crossband.table("widths.yaml", seeds=wrong)
    assert "`a` is no list of seeds" in run("table", "widths.yaml", "--seeds", "a").stderr
    assert run("table", "widths.yaml", "--seeds", "1,1").exit_code == 1


def test_ctrl_c_from_python_is_told_with_its_hint(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, "narrow-seed0", 1)
    with pytest.raises(Interrupted, match="stopped after step 1 of 4") as raised:
        crossband.table("widths.yaml", silent=True)
    assert raised.value.exit_code == 130


def test_over_seeds_is_the_mean_image_by_image() -> None:
    def results(*values: float) -> Results:
        images = {str(number): {"mae": value} for number, value in enumerate(values)}
        table = Table(images, {"mae": Summary(sum(values) / len(values), 0.5, len(values))})
        return Results.of({"run": table})

    one, two = results(0.1, 0.3), results(0.3, 0.4)
    found = over_seeds("ours", [one, two]).tables["ours"]
    assert found.images == {"0": {"mae": pytest.approx(0.2)}, "1": {"mae": pytest.approx(0.35)}}
    summary = found.summary["mae"]
    assert (summary.mean, summary.std, summary.n) == (pytest.approx(0.275), pytest.approx(0.0750 * 2**0.5), 2)
    assert over_seeds("ours", [one]).tables["ours"] == one.table


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        (r"a_b & 50% of $x#{y}~^\z", r"a\_b \& 50\% of \$x\#\{y\}\textasciitilde{}\textasciicircum{}\textbackslash{}z"),
        ("PSNR (dB) ↑ 1 ± 2 − 3 – ∞", r"PSNR (dB) $\uparrow$ 1 $\pm$ 2 $-$ 3 -- $\infty$"),
        ("the `a_b` of \\input{x}\n[2]", r"the \texttt{a\_b} of \textbackslash{}input\{x\} {[}2{]}"),
        ("one ` alone < > | \"q\" \x1b", r"one \textasciigrave{} alone \textless{} \textgreater{} \textbar{} ''q'' "
         r"\textbackslash{}u\{1b\}"),
    ],
)  # fmt: skip
def test_no_text_is_a_command_of_latex(text: str, latex: str) -> None:
    assert escaped(text) == latex
