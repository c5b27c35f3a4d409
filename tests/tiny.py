"""Experiments small enough to run in a test: two-layer graphs, and recipes over them."""

from pathlib import Path

import pytest

from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check

TO_ONE = """
graph: to_one
inputs: {image: [3, H, W]}
nodes:
  stem: {Conv: {out: 4, norm: batch, activation: relu}}
  drop: {Dropout: {p: 0.2}}
  main: [{Conv: {out: 1}}, Sigmoid]
  side: {from: stem, do: [{Conv: {out: 1}}, Sigmoid]}
outputs: {main: [1, H, W], side: [1, H, W]}
taps: {features: stem}
"""
PLAIN = """
graph: plain
params: {channels: 3, out: 1}
inputs: {image: [=channels, H, W]}
nodes:
  hidden: {Conv: {out: 4, activation: relu}}
  result: [{Conv: {out: =out}}, Sigmoid]
outputs: {result: [=out, H, W]}
"""
CRITIC = """
graph: critic
params: {channels: 1}
inputs: {image: [=channels, H, W]}
nodes:
  features: {Conv: {out: 4, stride: 2, activation: leaky_relu}}
  score: {Conv: {out: 1}}
outputs: {score: [1, h, w]}
taps: {features: features}
"""
HALVES = """
graph: halves
inputs: {image: [3, H, W]}
nodes:
  down: {Conv: {out: 4, kernel: 4, stride: 2, padding: 1}}
  up: {ConvTranspose: {out: 1, kernel: 4, stride: 2, padding: 1}}
  result: {from: [up, skip], Add: {}}
  skip: {from: image, Conv: {out: 1}}
outputs: {result: [1, H, W]}
"""
SCALES = """
graph: scales
params: {channels: 1}
inputs: {image: [=channels, H, W]}
nodes:
  layer1: {Conv: {out: 4, stride: 2, activation: leaky_relu}}
  layer2: {Conv: {out: 4, activation: leaky_relu}}
  fine: {from: layer1, Conv: {out: 1}}
  coarse: {from: layer2, Conv: {out: 1, stride: 2}}
outputs: {fine: [1, h, w], coarse: [1, i, j]}
taps: {layer1: layer1, layer2: layer2}
"""
PAIRED = """
recipe: paired
task: {from: visible, to: infrared}
params: {weight: 0.5}
networks:
  generator: {graph: to_one.yaml}
flow:
  fake: generator(visible)
losses:
  pixel: {l1: [fake.*, infrared]}
  spectrum: {fft_l1: [fake.main, infrared], weight: =weight}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {demo: {train: 10, test: 3, size: 24}}, size: 16, flip: true, batch: 2}
steps: 8
evaluate: {metrics: [mae, psnr, ssim]}
"""
CYCLE = """
recipe: cycle
task: {from: visible, to: infrared, pairing: unpaired}
networks:
  to_ir: {graph: plain.yaml, params: {out: 1}}
  to_vis: {graph: plain.yaml, params: {channels: 1, out: 3}}
  is_ir: {graph: critic.yaml, params: {channels: 1}}
  is_vis: {graph: critic.yaml, params: {channels: 3}}
flow:
  fake_ir: to_ir(visible)
  fake_vis: to_vis(infrared)
  back_vis: to_vis(fake_ir)
  back_ir: to_ir(fake_vis)
phases:
  critics:
    train: [is_ir, is_vis]
    losses:
      ir: {mse: [is_ir(infrared), is_ir(pool(fake_ir))], weight: 0.5}
      vis: {mse: [is_vis(visible), is_vis(pool(fake_vis))], weight: 0.5}
  generators:
    train: [to_ir, to_vis]
    losses:
      adversarial: {mse: [is_ir(fake_ir), is_ir(infrared)]}
      cycle: {l1: [back_vis, visible], weight: 10}
      other: {l1: [back_ir, infrared], weight: 10}
optimizer: {Adam: {lr: 2e-4, betas: [0.5, 0.999]}}
schedule: {hold: 4, decay: 4}
data: {source: {demo: {train: 6, test: 2, size: 16}}, size: 16, batch: 1}
steps: 8
"""
PIX2PIX = """
recipe: pix2pix_like
task: {from: visible, to: infrared}
networks:
  generator: {graph: plain.yaml}
  critic: {graph: critic.yaml, params: {channels: 4}}
flow:
  fake: generator(visible)
phases:
  critic_phase:
    train: [critic]
    losses: {both: {mse: ["critic(cat(visible, infrared))", "critic(cat(visible, fake))"], weight: 0.5}}
  generator_phase:
    train: [generator]
    losses:
      adversarial: {mse: ["critic(cat(visible, fake))", "critic(cat(visible, infrared))"]}
      pixel: {l1: [fake, infrared], weight: 100}
optimizer: {SGD: {lr: 1e-2}}
data: {source: {demo: {train: 6, test: 2, size: 16}}, size: 16, batch: 2}
steps: 3
"""
GAN = """
recipe: gan
task: {from: visible, to: infrared}
networks:
  generator: {graph: plain.yaml}
  critic: {graph: scales.yaml}
flow:
  fake: generator(visible)
phases:
  critic_phase:
    train: [critic]
    losses:
      both: {lsgan_critic: [critic(infrared).*, critic(fake).*], weight: 0.5}
      slope: {r1: [critic(infrared), infrared], weight: 10}
      between: {gradient_penalty: ["critic(mix(infrared, fake)).coarse", "mix(infrared, fake)"]}
  generator_phase:
    train: [generator]
    losses:
      adversarial: {lsgan: critic(fake).*}
      features: {feature_matching: [critic(fake).layer*, critic(infrared).layer*], weight: 10}
      pixel: {l1: [fake, infrared], weight: 100}
optimizer: {SGD: {lr: 1e-2}}
data: {source: {demo: {train: 6, test: 2, size: 16}}, size: 16, batch: 2}
steps: 3
"""
FILES = {
    "to_one.yaml": TO_ONE,
    "plain.yaml": PLAIN,
    "critic.yaml": CRITIC,
    "halves.yaml": HALVES,
    "scales.yaml": SCALES,
    "paired.yaml": PAIRED,
    "cycle.yaml": CYCLE,
    "pix2pix.yaml": PIX2PIX,
    "gan.yaml": GAN,
}


def write_files(folder: Path, **recipes: str) -> Path:
    """Write every file above, and further recipes by name, into a folder."""
    for name, text in (FILES | {f"{name}.yaml": text for name, text in recipes.items()}).items():
        (folder / name).write_text(text.lstrip("\n"), encoding="utf-8")
    return folder


def faults(text: str, folder: Path, *overrides: str) -> list[str]:
    """Each fault of a recipe as `line:column code message | hint`."""
    file = folder / "wrong.yaml"
    file.write_text(text.lstrip("\n"), encoding="utf-8")
    with pytest.raises(InvalidFile) as caught:
        check(file, overrides)
    found = []
    for each in caught.value.problems:
        mark = each.place.mark if each.place else None
        where = f"{mark.line}:{mark.column}" if mark else "-"
        said = f"{where} {each.code} {each.message}" + (f" | {each.hint}" if each.hint else "")
        found.append(said.replace(f"{folder}/", ""))
    return found
