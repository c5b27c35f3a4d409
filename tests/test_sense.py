"""What a recipe means: ranges that disagree, unpaired images compared pixel by pixel, bands used for one another."""

from pathlib import Path

import pytest
from tiny import CYCLE, GAN, PAIRED, faults, write_files

from crossband.blocks.contracts.ranges import ANY, SIGNED, UNIT
from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check

ENDS = """
graph: ends
params: {channels: 3, out: 1, end: tanh}
inputs: {image: [=channels, H, W]}
nodes:
  hidden: {Conv: {out: 4, activation: relu}}
  result: {Conv: {out: =out, activation: =end}}
outputs: {result: [=out, H, W]}
"""
SUM = """
graph: sum
inputs: {image: [3, H, W]}
nodes:
  change: {Conv: {out: 3, activation: tanh}}
  result: {from: [image, change], Add: {}}
outputs: {result: [3, H, W]}
"""
ONE = """
recipe: one
task: {from: visible, to: infrared}
networks:
  generator: {graph: ends.yaml, params: {channels: =source_channels, out: =target_channels}}
  critic: {graph: ends.yaml, params: {channels: =target_channels, end: none}}
flow:
  fake: generator(source)
phases:
  critic_phase:
    train: [critic]
    losses: {both: {vanilla_critic: [critic(target), critic(fake)]}}
  generator_phase:
    train: [generator]
    losses:
      adversarial: {vanilla: critic(fake)}
      pixel: {l1: [fake, target]}
optimizer: {SGD: {lr: 1e-2}}
data: {source: {demo: {train: 6, test: 2, size: 16}}, size: 16, batch: 2, range: [-1, 1], channels: {infrared: 3}}
steps: 3
"""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_files(tmp_path_factory.mktemp("sense"), one=ONE)
    for name, text in (("ends", ENDS), ("sum", SUM)):
        (folder / f"{name}.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
    return folder


# (what to change in ONE, by what, the only fault)
MISTAKES = [
    (
        ", range: [-1, 1]",
        ", range: [0, 255]",
        "18:82 E081 `generator` ends in `tanh`, [-1, 1], and the images are [0, 255] | say `data.range: [-1, 1]`",
    ),
    (
        ", range: [-1, 1]",
        "",
        "4:22 E081 `generator` ends in `tanh`, [-1, 1], and the images are [0, 1] | say `data.range: [-1, 1]`, or take "
        "a graph that ends in `Sigmoid`",
    ),
    (
        "out: =target_channels}",
        "out: =target_channels, end: sigmoid}",
        "18:82 E081 `generator` ends in `sigmoid`, [0, 1], and the images are [-1, 1] | say `data.range: [0, 1]`, or "
        "take a graph that ends in `Tanh`",
    ),
    (
        "out: =target_channels}",
        "out: =target_channels, end: relu}",
        "18:82 E081 `generator` ends in `relu`, at least 0, and the images are [-1, 1] | say `data.range: [0, 1]`, or "
        "take a graph that ends in `Tanh`",
    ),
    (
        "range: [-1, 1]",
        "range: [1, -1]",
        "18:82 E006 `range` is the lower and then the higher end, got [1, -1] | write `range: [-1, 1]`, or leave it "
        "out for [0, 1]",
    ),
    *(
        (
            "l1: [fake, target]",
            f"{loss}: [fake, target]{wrong}",
            f"16:{17 + len(loss)} E081 `{loss}` takes values in [0, 1], and `fake` and `infrared` are [-1, 1] | say "
            f"`range: tanh` beside `{loss}`",
        )
        for loss, wrong in (("ssim", ""), ("dssim", ", range: unit"), ("cosine", ""), ("perceptual", ", range: unit"))
    ),
    (
        "l1: [fake, target]",
        "bce: [fake, target]",
        "16:20 E081 `bce` takes values in [0, 1], and `fake` and `infrared` are [-1, 1] | `unit` makes [0, 1] of "
        "[-1, 1]: `unit(fake)`",
    ),
    (
        "l1: [fake, target]",
        "bce: [unit(fake), unit(target)], logits: true",
        "16:20 E081 `bce` takes logits, which fall below 0, and `unit(fake)` is [0, 1] | say `logits: false` beside "
        "`bce`, or leave out the activation at the end",
    ),
    (
        "l1: [fake, target]",
        "l1: [unit(fake), target]",
        "16:19 E081 `l1` compares values of two ranges: `unit(fake)` is [0, 1], `infrared` is [-1, 1] | bring both to "
        "one range: `unit(...)` makes [0, 1] of [-1, 1]",
    ),
    (
        "critic(target), critic(fake)",
        "critic(target), critic(unit(fake))",
        "11:61 E081 `critic` is given images of two ranges: `infrared` is [-1, 1], `unit(fake)` is [0, 1] | bring both "
        "to one range: `unit(...)` makes [0, 1] of [-1, 1]",
    ),
    (
        "l1: [fake, target]",
        "l1: [lightness(fake), lightness(unit(target))]",
        "16:30 E081 `lightness` takes values in [0, 1], `fake` is [-1, 1] | `unit(fake)` makes [0, 1] of [-1, 1]",
    ),
    (
        "l1: [fake, target]",
        "l1: [fake, pool(target)]",
        "16:19 E083 `pool(infrared)` remembers other images than those of the step; it cannot be compared pixel by "
        "pixel with `fake` | compare what shows one scene, as a cycle does, or let a critic judge it",
    ),
    (
        "to: infrared}",
        "to: infrared, pairing: unpaired}",
        "16:19 E083 `fake` comes from unpaired `visible`; it cannot be compared pixel by pixel with `infrared` | "
        "compare what shows one scene, as a cycle does, or let a critic judge it; if the images are aligned, say "
        "`pairing: paired` in `task`",
    ),
    (
        "from: visible",
        "from: infrared",
        "2:28 E082 `from` and `to` are both `infrared` | a task translates between two bands: one of them is `visible`",
    ),
]


@pytest.mark.parametrize(("old", "new", "fault"), MISTAKES)
def test_one_mistake_is_one_message(folder: Path, old: str, new: str, fault: str) -> None:
    assert old in ONE
    assert faults(ONE.replace(old, new, 1), folder) == [fault]


def test_scores_that_are_probabilities_are_no_logits(folder: Path) -> None:
    text = ONE.replace("end: none", "end: sigmoid")
    are = "and `critic(fake)` is [0, 1] | say `logits: false` beside `vanilla`, or leave out the activation at the end"
    both = are.replace("`critic(fake)` is", "`critic(infrared)` and `critic(fake)` are").replace(
        "`vanilla`", "`vanilla_critic`"
    )
    assert faults(text, folder) == [
        f"11:37 E081 `vanilla_critic` takes logits, which fall below 0, {both}",
        f"15:30 E081 `vanilla` takes logits, which fall below 0, {are}",
    ]
    right = text.replace("critic(fake)]", "critic(fake)], logits: false").replace(
        "critic(fake)}", "critic(fake), logits: false}"
    )
    (folder / "right.yaml").write_text(right, encoding="utf-8")
    check(folder / "right.yaml")


def test_several_networks_of_one_fault_are_one_message_and_a_single_one_is_told_at_its_graph(folder: Path) -> None:
    both = CYCLE.replace("size: 16, batch: 1", "size: 16, batch: 1, range: [-1, 1]")
    images = "and the images are [-1, 1]"
    assert faults(both, folder) == [
        f"27:82 E081 `to_ir` and `to_vis` end in `Sigmoid`, [0, 1], {images} | say `data.range: [0, 1]`, or take a graph "
        "that ends in `Tanh`"
    ]
    one = both.replace("graph: plain.yaml, params: {out: 1}", "graph: ends.yaml")
    assert faults(one, folder) == [
        f"5:19 E081 `to_vis` ends in `Sigmoid`, [0, 1], {images} | take a graph that ends in `Tanh`"
    ]


def test_what_was_said_last_is_blamed(folder: Path) -> None:
    (folder / "one.yaml").write_text(ONE, encoding="utf-8")
    child = "recipe: child\nextends: one\n"
    graph = "networks.generator={graph: plain.yaml, params: {channels: 3, out: 3}}"
    hint = "say `data.range: [0, 1]`, or take a graph that ends in `Tanh`"
    said = "E081 `generator` ends in `Sigmoid`, [0, 1], and the images are [-1, 1]"
    assert faults(child, folder, graph.replace("plain", f"{folder}/plain")) == [f"1:28 {said} | {hint}"]
    assert faults(child, folder, "data.range=[0, 1]") == [
        "1:12 E081 `generator` ends in `tanh`, [-1, 1], and the images are [0, 1] | say `data.range: [-1, 1]`, or take a "
        "graph that ends in `Sigmoid`"
    ]


def test_other_terms_that_compare_strangers_are_notes_of_the_first(folder: Path) -> None:
    text = PAIRED.replace("to: infrared", "to: infrared, pairing: unpaired")
    [fault] = faults(text, folder)
    assert fault.startswith("9:15 E083 `fake.*` comes from unpaired `visible`; it cannot be compared")
    with pytest.raises(InvalidFile, match=r"note: `spectrum` does so, too \(.*wrong.yaml:10:22\)"):
        check(folder / "wrong.yaml")


RIGHT = {
    "a sum may be wider than the images": ONE.replace(
        "ends.yaml, params: {channels: =source_channels, out: =target_channels}", "sum.yaml"
    ),
    "a sum may be wider than [0, 1]": ONE.replace(
        "ends.yaml, params: {channels: =source_channels, out: =target_channels}", "sum.yaml"
    ).replace(", range: [-1, 1]", ""),
    "what has no end may be anything": ONE.replace("=target_channels}", "=target_channels, end: none}", 1),
    "at least 0 reaches [0, 1]": ONE.replace("=target_channels}", "=target_channels, end: relu}", 1).replace(
        ", range: [-1, 1]", ""
    ),
    "scores of unpaired images are compared": ONE.replace("to: infrared}", "to: infrared, pairing: unpaired}").replace(
        "pixel: {l1: [fake, target]}", "close: {l1: [critic(fake), critic(target)]}"
    ),
    "amplitudes of unpaired spectra are compared": ONE.replace(
        "to: infrared}", "to: infrared, pairing: unpaired}"
    ).replace("{l1: [fake, target]}", "{fft_l1: [fake, target], mode: amplitude}"),
    "an output is compared with its own input": ONE.replace(
        "to: infrared}", "to: infrared, pairing: unpaired}"
    ).replace("{l1: [fake, target]}", "{l1: [fake, source]}"),
    "images brought to one range": ONE.replace("{l1: [fake, target]}", "{ssim: [unit(fake), unit(target)]}"),
    "a loss that is told the range": ONE.replace("{l1: [fake, target]}", "{ssim: [fake, target], range: tanh}"),
    "a cycle": CYCLE,
    "two critics": GAN,
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_is_not_surely_wrong_passes(folder: Path, text: str) -> None:
    (folder / "right.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
    check(folder / "right.yaml")


def test_ranges_follow_networks_and_functions(folder: Path) -> None:
    (folder / "right.yaml").write_text(ONE.lstrip("\n"), encoding="utf-8")
    terms = {name: term for phase in check(folder / "right.yaml").phases for name, term in phase.losses.items()}
    assert [each.range for each in terms["pixel"].rows[0]] == [SIGNED, SIGNED]
    assert [each.range for each in terms["both"].rows[0]] == [ANY, ANY]
    (folder / "right.yaml").write_text(RIGHT["images brought to one range"].lstrip("\n"), encoding="utf-8")
    terms = {name: term for phase in check(folder / "right.yaml").phases for name, term in phase.losses.items()}
    assert [each.range for each in terms["pixel"].rows[0]] == [UNIT, UNIT]


BOTH = """
recipe: both
task: {from: visible, to: infrared}
networks:
  forth: {graph: ends.yaml, params: {channels: 3, out: 3}}
  back: {graph: ends.yaml, params: {channels: 3, out: 3}}
  is_target: {graph: ends.yaml, params: {channels: 3, end: none}}
  is_source: {graph: ends.yaml, params: {channels: 3, end: none}}
flow:
  fake: forth(source)
  other: back(target)
  cycle: back(fake)
  same: forth(target)
phases:
  critics:
    train: [is_target, is_source]
    losses:
      target: {lsgan_critic: [is_target(target), is_target(pool(fake))]}
      source: {lsgan_critic: [is_source(source), is_source(other)]}
  generators:
    train: [forth, back]
    losses:
      cycle: {l1: [cycle, source]}
      identity: {l1: [same, target]}
      content: {l1: [fake, source]}
      pixel: {l1: [other, source]}
optimizer: {SGD: {lr: 1e-2}}
data: {source: {demo: {train: 6, test: 2, size: 16}}, size: 16, range: [-1, 1], channels: {infrared: 3}}
steps: 3
"""
BAND_MISTAKES = [
    (
        "l1: [cycle, source]",
        "l1: [cycle, target]",
        "22:19 E082 `back(forth(visible))` stands for `visible`, and `l1` compares it with `infrared` | compare it with "
        "`visible`; if `back` does give `infrared`, say `gives: infrared` of it",
    ),
    (
        "steps: 3",
        "steps: 3\nevaluate: {output: cycle}",
        "29:20 E082 the result `cycle` stands for `visible`, and the task makes `infrared` | name another value of the "
        "flow by `evaluate.output`; if `back` does give `infrared`, say `gives: infrared` of it",
    ),
    (
        "steps: 3",
        "steps: 3\nevaluate: {output: other}",
        "29:20 E082 the result `other` is not computed from `visible`, which the task translates | name another value "
        "of the flow by `evaluate.output`",
    ),
    (
        "forth: {",
        "forth: {gives: near, ",
        "4:18 E070 no band named `near` | choose from `source`, `target`, `visible`, `infrared`",
    ),
    (
        "forth: {",
        "forth: {gives: source, ",
        "9:9 E082 the result `fake` stands for `visible`, and the task makes `infrared` | name another value of the flow "
        "by `evaluate.output`; if `forth` does give `infrared`, say `gives: infrared` of it",
    ),
]


@pytest.mark.parametrize(("old", "new", "fault"), BAND_MISTAKES)
def test_a_value_stands_for_one_band(folder: Path, old: str, new: str, fault: str) -> None:
    assert old in BOTH
    assert faults(BOTH.replace(old, new, 1), folder) == [fault]


def test_bands_follow_critics_and_pixels_and_what_is_said(folder: Path) -> None:
    def bands(text: str, *settings: str) -> dict[str, str | None]:
        (folder / "both.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
        return {name: each.band for name, each in check(folder / "both.yaml", settings).flow.items()}

    known = {"fake": "infrared", "other": "visible", "cycle": "visible", "same": "infrared"}
    assert bands(BOTH) == known
    turned = ("task.from=infrared", "task.to=visible")
    assert bands(BOTH, *turned) == {"fake": "visible", "other": "infrared", "cycle": "infrared", "same": "visible"}
    fused = BOTH.replace("is_source(other)", "is_source(fake)").replace(
        "{l1: [other, source]}", "{lsgan: is_source(other)}"
    )
    assert bands(fused)["fake"] is None  # two critics of two bands, as where images are fused
    assert bands(fused.replace("forth: {", "forth: {gives: target, "))["fake"] == "infrared"
    pixels = ONE.replace("adversarial: {vanilla: critic(fake)}", "adversarial: {l1: [fake, target]}")
    assert bands(pixels)["fake"] == "infrared"
