"""Curves of several runs in one plot, and the figures of each: what they are by their definitions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commandline import run, succeed
from PIL import Image

from crossband import CrossbandError
from crossband.recipes.reporting.run_curves import (
    Logged,
    cells,
    draw_panels,
    figures,
    fluctuation,
    headings,
    panel_of,
    runs_of,
    smooth,
)


def write_run(path: Path, values, *, name="losses/generator/cycle", every=10, seed=0, epoch=None, recipe="a") -> Path:
    """A run whose log has these values, one each few steps, of 2 s of training each."""
    path.mkdir(parents=True)
    (path / "recipe.yaml").write_text(f"recipe: {recipe}\nseed: {seed}\n")
    lines = []
    for at, value in enumerate(values, 1):
        step = at * every
        inner = value
        for part in reversed(name.split("/")):
            inner = {part: inner}
        own = {"epoch": (step - 1) // epoch} if epoch else {}
        lines.append(json.dumps({"step": step, **own, **inner, "data_seconds": 0.5, "compute_seconds": 1.5}))
    (path / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return path


def falling(count=200, *, end=1.0, fast=0.05, noise=0.0, seed=0) -> list[float]:
    rng = np.random.default_rng(seed)
    return list(end + 4 * np.exp(-fast * np.arange(count)) + noise * rng.standard_normal(count))


# ---------------------------------------------------------------- definitions


@pytest.mark.parametrize("window", [1.0, 4.0, 7.3, 1000.0])
def test_the_smoothed_line_is_the_mean_within_the_window(window):
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.integers(1, 4, 60)).astype(float)
    y = rng.standard_normal(60)
    y[[3, 17, 18]] = np.nan
    wanted = []
    for each in x:
        near = y[abs(x - each) <= window / 2]
        wanted.append(float(np.nanmean(near)) if np.isfinite(near).any() else np.nan)
    assert np.allclose(smooth(x, y, window), np.array(wanted), equal_nan=True)


def test_fluctuation_is_the_deviation_about_the_line_relative_to_it():
    x = np.arange(1000.0)
    noise = np.random.default_rng(0).standard_normal(1000)
    y = 2 + 0.1 * noise
    assert fluctuation(x, y, np.full(1000, 2.0)) == pytest.approx(np.sqrt(np.mean(noise[500:] ** 2)) * 0.1 / 2)
    early = np.where(x < 499, y + 10 * noise, y)  # of the first half nothing counts
    assert fluctuation(x, early, np.full(1000, 2.0)) == fluctuation(x, y, np.full(1000, 2.0))
    assert fluctuation(x[:20], y[:20], y[:20]) is None  # too few points


def test_convergence_is_the_first_place_from_which_the_line_stays_below_the_level(tmp_path):
    values = [5, 4, 1, 1, 4, 3, 1, 1, 1, 1]
    runs = runs_of([write_run(tmp_path / "a", values, every=1)])
    panel = panel_of(["cycle"], runs, window=0.5, level=2)
    assert panel.curves[0].converged == 7
    assert panel_of(["cycle"], runs, window=0.5, level=0.5).curves[0].converged is None
    assert panel_of(["cycle"], runs, window=0.5, level=9).curves[0].converged == 1


def test_the_level_is_what_all_of_them_reach(tmp_path):
    slow, fast = write_run(tmp_path / "slow", falling(fast=0.02)), write_run(tmp_path / "fast", falling(end=0.5))
    panel = panel_of(["cycle"], runs_of([slow, fast]))
    first, second = panel.curves
    assert panel.level == pytest.approx(first.smoothed[0] + 0.95 * (first.end - first.smoothed[0]))
    assert first.converged
    assert second.converged
    assert second.converged < first.converged


def test_of_a_metric_that_is_better_higher_the_line_has_to_stay_above(tmp_path):
    values = [-each for each in falling()]
    panel = panel_of(["psnr"], runs_of([write_run(tmp_path / "a", values, name="test/psnr")]))
    [curve] = panel.curves
    assert panel.rises
    assert panel.level is not None
    assert curve.converged
    after = curve.x >= curve.converged
    assert (curve.smoothed[after] >= panel.level).all()
    assert not (curve.smoothed[~after] >= panel.level).any()


def test_values_that_are_not_finite_are_left_out(tmp_path):
    values = falling(60, noise=0.05)
    values[5] = values[40] = float("nan")
    write_run(tmp_path / "a", values)
    log = (tmp_path / "a" / "metrics.jsonl").read_text().replace("NaN", "null")
    (tmp_path / "a" / "metrics.jsonl").write_text(log)
    panel = panel_of(["cycle"], runs_of([tmp_path / "a"]))
    assert np.isfinite(panel.curves[0].end)
    assert panel.curves[0].fluctuation


def test_axes_are_steps_seconds_and_epochs(tmp_path):
    runs = runs_of([write_run(tmp_path / "a", falling(50), every=10, epoch=40)])
    last = {
        against: panel_of(["cycle"], runs, against=against).curves[0].x[-1]
        for against in ("steps", "seconds", "epochs")
    }
    assert last == {"steps": 500, "seconds": 100, "epochs": 12.5}
    early = runs_of([write_run(tmp_path / "b", falling(3), every=10, epoch=40)])
    with pytest.raises(CrossbandError, match="has not ended its first epoch\nhint: draw it `--against steps`"):
        panel_of(["cycle"], early, against="epochs")


def test_seeds_of_a_recipe_are_a_band(tmp_path):
    paths = [write_run(tmp_path / f"a{n}", falling(noise=0.1, seed=n), seed=n) for n in range(3)]
    paths.append(write_run(tmp_path / "b", falling(end=2), recipe="b"))
    panel = panel_of(["cycle"], runs_of(paths), seeds=True)
    band, line = panel.curves
    assert (band.label, band.runs, line.label, line.low) == ("a0 and 2 more seeds", 3, "b", None)
    assert band.low is not None
    assert band.high is not None
    assert (band.low <= band.smoothed).all()
    assert (band.smoothed <= band.high).all()
    apart = panel_of(["cycle"], runs_of(paths)).curves[:3]
    assert np.allclose(band.smoothed, np.mean([each.smoothed for each in apart], 0))


# ---------------------------------------------------------------- names and runs


def test_names_are_matched_by_their_end_and_of_several_the_first_counts(tmp_path):
    first = write_run(tmp_path / "a", falling(30))
    second = write_run(tmp_path / "b", falling(30), name="losses/all/reconstruction")
    runs = runs_of([first, second])
    panel = panel_of(["cycle", "reconstruction"], runs)
    assert [curve.name for curve in panel.curves] == ["losses/generator/cycle", "losses/all/reconstruction"]
    for name in ("cycle", "generator/cycle", "losses/generator/cycle"):
        assert runs["a"].named([name]) == "losses/generator/cycle"
    assert runs["a"].named(["ycle"]) is None
    with pytest.raises(CrossbandError, match="b: has no `cycle` in its log\nhint: choose from `reconstruction`"):
        panel_of(["cycle"], runs)
    line = {"step": 1, "losses": {"a": {"x": 1.0}, "b": {"x": 1.0}}}
    with pytest.raises(CrossbandError, match="`x` is several: `losses/a/x`, `losses/b/x`\nhint: write more of it"):
        Logged(runs["a"].run, [line]).named(["x"])


def test_a_run_that_still_trains_can_be_drawn(tmp_path):
    path = write_run(tmp_path / "a", falling(30))
    with (path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 310, "losses": {"gen')
    assert len(panel_of(["cycle"], runs_of([path])).curves[0].x) == 30
    (path / "metrics.jsonl").unlink()
    with pytest.raises(CrossbandError, match=r"has no `metrics.jsonl` yet\nhint: wait for its first step"):
        runs_of([path])


def test_runs_that_are_called_alike_are_told_apart(tmp_path):
    paths = [write_run(tmp_path / name / "run", falling(30)) for name in "ab"]
    assert list(runs_of([*paths, paths[0]])) == [str(path) for path in paths]


# ---------------------------------------------------------------- what comes out


def test_a_picture_is_the_same_each_time(tmp_path):
    paths = [write_run(tmp_path / f"a{n}", falling(noise=0.1, seed=n, end=1 + n / 10)) for n in range(8)]
    panels = [panel_of(["cycle"], runs_of(paths))] * 2
    files = [draw_panels(panels, tmp_path / f"{n}.png", against="steps", title="t") for n in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert Image.open(files[0]).width == 8.4 * 120
    paths.append(write_run(tmp_path / "ninth", falling()))
    with pytest.raises(CrossbandError, match="8 curves can be told apart in a plot, and these are 9"):
        panel_of(["cycle"], runs_of(paths))


def test_a_table_has_a_row_for_each_curve(tmp_path):
    runs = runs_of([write_run(tmp_path / "a", falling(noise=0.05)), write_run(tmp_path / "b", falling(9))])
    [first, second] = figures([panel_of(["cycle"], runs)])
    assert len(first) == len(headings("steps"))
    assert cells(first, "steps")[:4] == ["generator/cycle", "a", "200", "2,000"]
    assert cells(first, "steps")[5].endswith("%")
    assert cells(second, "steps")[5] == "-"  # too few points to say


def test_the_command_prints_writes_and_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", falling(noise=0.05))
    write_run(tmp_path / "=b", falling(noise=0.2, seed=1), every=20)
    listed = succeed("curves", "a", "=b")
    assert listed.splitlines()[-1].split() == ["losses/generator/cycle", "all"]
    result = run("curves", "a", "=b", "--of", "cycle", "--picture", "c.png", "--csv", "c.csv")
    assert result.exit_code == 0, result.output
    assert "| curve           | run | points | last step |" in result.stdout
    assert "2 curves in c.png" in result.stderr
    assert "the points of some runs are means of more steps" in result.stderr
    with Path("c.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["run"] for row in rows] == ["a", "'=b"]
    found = json.loads(succeed("curves", "a", "=b", "--of", "cycle", "--json"))
    assert float(rows[0]["fluctuation"]) == found[0]["fluctuation"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a", "--of", "cycel"], 1, "a: has no `cycel` in its log\nhint: did you mean `cycle`?"),
        (["a", "--of", "cycle", "--picture", "a.jpg"], 1, "hint: name it `a.png`"),
        (["a", "--of", "cycle", "--csv", "there.csv"], 1, "there.csv: is there already"),
        (["a", "--picture", "a.png"], 2, "say what to draw: `--of NAME`"),
        (["a", "--of", ","], 2, "say what to draw: `--of NAME`"),
        (["there.csv", "--of", "cycle"], 1, "there.csv: a file, and not the folder of a run"),
        (["one", "--of", "cycle"], 1, "one: has one point of `losses/generator/cycle`, which is no curve"),
        (["one"], 1, "none of these runs has a curve yet"),
        (["a", "--of", "cycle", "--smooth", "0"], 2, "--smooth"),
        (["a", "--of", "cycle", "--level", "nan"], 2, "`--level`"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", falling(30))
    write_run(tmp_path / "one", [1.0])
    Path("there.csv").touch()
    result = run("curves", *arguments)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert not Path("a.png").exists()
