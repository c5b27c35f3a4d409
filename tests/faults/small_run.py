"""The smallest training that has all that a state can hold, on images of 16 by 16 pixels, in a folder of its own."""

from pathlib import Path

import numpy as np
from PIL import Image

GRAPH = """
graph: net
params: {channels: 3, out: 1}
inputs: {image: [=channels, H, W]}
nodes:
  hidden: {Conv: {out: 4, norm: batch, activation: relu}}
  drop: {Dropout: {p: 0.2}}
  result: [{Conv: {out: =out}}, Sigmoid]
outputs: {result: [=out, H, W]}
"""
CRITIC = """
graph: critic
inputs: {image: [1, H, W]}
nodes:
  features: {Conv: {out: 4, stride: 2, activation: leaky_relu}}
  score: {Conv: {out: 1}}
outputs: {score: [1, h, w]}
"""
RECIPE = """
recipe: base
task: {from: visible, to: infrared}
networks:
  generator: {graph: net.yaml}
  critic: {graph: critic.yaml}
flow: {fake: generator(visible)}
phases:
  critic:
    train: [critic]
    losses: {both: {mse: [critic(infrared), critic(pool(fake))]}}
  generator:
    train: [generator]
    losses:
      adversarial: {mse: [critic(fake), critic(infrared)]}
      pixel: {l1: [fake, infrared], weight: {from: 1, to: 10, over: 5 steps}}
optimizer: {Adam: {lr: 1e-3}}
schedule: {cosine: 0.1}
ema: 0.9
data: {source: {pairs: {folder: data}}, size: 12, flip: true, batch: 2}
steps: 6
every: {log: 1, checkpoint: 2, sample: 3, evaluate: 4}
evaluate: {metrics: [mae, psnr]}
"""


def write(folder: Path) -> None:
    """Write recipe, graphs and eight pairs of images."""
    for name, text in {"net": GRAPH, "critic": CRITIC, "base": RECIPE}.items():
        (folder / f"{name}.yaml").write_text(text.lstrip("\n"), "utf-8")
    random = np.random.default_rng(0)
    for band, channels in {"visible": 3, "infrared": 1}.items():
        (folder / "data" / band).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (16, 16, channels), dtype=np.uint8)
            Image.fromarray(pixels.squeeze()).save(folder / "data" / band / f"{number}.png")
