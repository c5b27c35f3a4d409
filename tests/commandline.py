"""What the tests of the command line share: running it, a small graph and a small recipe."""

import sys
from pathlib import Path

from click.testing import CliRunner, Result

from crossband.recipes.commands import cli

COMMAND = [sys.executable, "-m", "crossband.recipes.commands"]
SMALL = """
graph: small
inputs: {image: [3, H, W]}
nodes:
  down: {Conv: {out: =width, kernel: 2, stride: 2, padding: 0, norm: batch}}
  up: [{Resize: {up: 2}}, {Conv: {out: 1, kernel: 1}}]
outputs: {up: [1, H, W]}
taps: {deep: down}
params: {width: 4}
"""
RECIPE = """
# A recipe in small. It never runs.
recipe: tiny
task: {from: visible, to: infrared}
networks: {to_ir: {graph: small, params: {width: 2}}}
flow: {fake: to_ir(visible)}
losses:
  pixel: {l1: [fake, infrared], weight: 10}
  spectrum: {fft_l1: [fake, infrared], mode: amplitude}
optimizer: {Adam: {lr: 2e-4}}
data: {source: demo, size: 64, batch: 2}
steps: 10
"""


def run(*arguments: str | Path) -> Result:
    """The result of a command line."""
    return CliRunner().invoke(cli, list(map(str, arguments)), prog_name="crossband")


def succeed(*arguments: str | Path) -> str:
    """The stdout of a command line that must end well."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def graph_file(folder: Path) -> Path:
    """The small graph in a file."""
    path = folder / "small.yaml"
    path.write_text(SMALL)
    return path


def recipe_file(folder: Path) -> Path:
    """The small recipe in a file, beside the small graph that it names."""
    graph_file(folder)
    path = folder / "tiny.yaml"
    path.write_text(RECIPE)
    return path
