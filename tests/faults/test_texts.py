"""Hostile texts as graphs and recipes."""

from pathlib import Path

from faults.campaign import series
from faults.law import Files, Outcome, run_here
from hypothesis import strategies as st


@series(
    "odd one-line texts",
    weight=1,
    quick=30,
    cases=lambda: st.text(max_size=30).map(
        lambda text: Files(("check", "x.yaml"), {"x.yaml": f"graph: x\nnodes: {text}\n"})
    ),
)
def test_odd_one_line_texts(case: Files, folder: Path) -> Outcome:
    return run_here(case.command, folder)
