"""A folder in which users make mistakes: images, trained networks, and files that are not what they should be.

- `data/` has aligned pairs, `names/` such whose names differ, `capital/` a folder `Visible`, `small/` one pair that is
  too small, `counts/` infrared of 16 bits that uses little of them, `photos/` images to translate.
- `run/` was trained from visible to infrared, `back/` the other way, `second/` on other images, `own/` with the block of
  `my_block.py`; `empty/` is no run.
- `old.pth` is what `torch.save` writes, `half.safetensors` half a file, `film.mp4` no image.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import run
from PIL import Image
from scratch import forget_afterwards
from tiny import PLAIN

GRAPH = PLAIN.replace("graph: plain", "graph: net")
RECIPE = """
recipe: base
task: {from: visible, to: infrared}
networks:
  generator: {graph: net.yaml, params: {channels: =source_channels, out: =target_channels}}
flow: {fake: generator(source)}
losses: {pixel: {l1: [fake, target]}}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {pairs: {folder: data}}, batch: 2}
steps: 1
evaluate: {metrics: [mae, psnr]}
"""
OWN_BLOCK = """
from torch import nn
from crossband import block

@block("Twice", contract="b c h w -> b c h w")
class Twice(nn.Module):
    \"\"\"Twice its input.\"\"\"

    def __init__(self) -> None:
        super().__init__()

    def forward(self, image):
        return 2 * image
"""


def write_workshop(folder: Path) -> None:
    """Write all of it into a folder, which is the working directory."""
    texts = {
        "net.yaml": GRAPH,
        "base.yaml": RECIPE,
        "my_block.py": OWN_BLOCK,
        "own.yaml": GRAPH.replace("graph: net", "graph: own").replace("  result: [", "  result: [Twice, "),
        "broken.py": "import not_there\n",
        "notes.txt": "not a graph\n",
        "half.safetensors": "half a file",
        "film.mp4": "\0\0\0 ftypisom",
    }
    for name, text in texts.items():
        (folder / name).write_text(text.lstrip("\n"), "utf-8")
    for name in ("data", "elsewhere", "capital", "small", "names", "counts"):
        write_pairs(folder / name)
    (folder / "capital" / "visible").rename(folder / "capital" / "Visible")
    for number in range(6):
        (folder / "names" / "infrared" / f"{number}.png").rename(folder / "names" / "infrared" / f"ir_{number}.png")
        counts = np.linspace(28000, 31000, 32 * 32).reshape(32, 32).astype(np.uint16)
        Image.fromarray(counts).save(folder / "counts" / "infrared" / f"{number}.png")
    for band, kind in {"visible": "RGB", "infrared": "L"}.items():
        Image.new(kind, (20, 20), "gray").save(folder / "small" / band / "2.png")
    for name in ("photos", "grey", "empty", "raw"):
        (folder / name).mkdir()
    Image.new("RGB", (32, 32), "gray").save(folder / "photos" / "a.png")
    coloured = Image.fromarray(np.arange(32 * 32).reshape(32, 32).astype(np.uint8) // 4, "P")
    coloured.putpalette([(7 * value * channel) % 256 for value in range(256) for channel in (1, 2, 3)])
    coloured.save(folder / "grey" / "palette.png")
    Image.open(folder / "counts" / "infrared" / "0.png").save(folder / "raw" / "t16.tif")
    torch.save({"weight": torch.zeros(1)}, folder / "old.pth")
    with pytest.MonkeyPatch.context() as patch:
        forget_afterwards(patch)  # the block of the plugin
        _train("base.yaml", "--run", "own", "--plugin", "my_block.py", "--set", "networks.generator.graph=own.yaml")
    _train("base.yaml", "--run", "run")
    _train("base.yaml", "--run", "back", "--set", "task={from: infrared, to: visible}")
    for path in sorted((folder / "elsewhere").rglob("*.png")):
        path.rename(path.with_stem(f"x{path.stem}"))
    _train("base.yaml", "--run", "second", "--data", "elsewhere")


def write_pairs(folder: Path) -> None:
    """Write six aligned pairs of images, `visible/0.png` and `infrared/0.png` to 5; those of each folder differ."""
    random = np.random.default_rng(list(folder.name.encode()))
    for band, channels in {"visible": 3, "infrared": 1}.items():
        (folder / band).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 256, (32, 32, channels), dtype=np.uint8)
            Image.fromarray(pixels.squeeze()).save(folder / band / f"{number}.png")


def _train(*words: str) -> None:
    done = run("train", *words)
    assert done.exit_code == 0, done.output
