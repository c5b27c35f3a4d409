"""The recipe format: what may be left out, what a child changes, and what is said of every mistake."""

from pathlib import Path

import once
import pytest
import torch
from tiny import CYCLE, GAN, PAIRED, PIX2PIX, faults, write_files

from crossband import registry
from crossband.graphs.language.diagnostics import InvalidFile, Problems
from crossband.graphs.language.reader import read
from crossband.recipes import check, load_recipe, shipped
from crossband.recipes.data import Source, source
from crossband.recipes.kinds.optimizer import make_optimizer
from crossband.recipes.kinds.schedule import Rate, factor
from crossband.recipes.language.reading import RECIPES
from crossband.recipes.language.schema import FORMS
from crossband.recipes.language.syntax import Figure, Paper


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("recipes"))


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_are_right(name: str) -> None:
    experiment = once.experiment(name)
    assert experiment.recipe.name == name
    assert set(experiment.plans) == set(experiment.recipe.networks)


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_fit_the_schema_that_editors_use(name: str) -> None:
    document = read(RECIPES.files()[name], Problems())
    assert document is not None
    assert list(once.validator("recipe").iter_errors(document.data)) == []


def test_editors_take_parts_of_recipes_and_find_their_mistakes() -> None:
    validator = once.validator("recipe")
    part = {"recipe": "a", "extends": "b", "data": {"batch": 1, "load": None}, "losses": {"c": None}, "schedule": None}
    assert validator.is_valid(part)
    patch = {"insert": {"look": {"after": "en6", "CrissCross": {"reduce": "=reduce"}}}, "nodes": {"de1": None}}
    assert validator.is_valid({**part, "networks": {"n": patch}})
    assert not validator.is_valid({**part, "networks": {"n": {"insert": {"look": {"CrissCross": {"reduce": "a"}}}}}})
    for wrong in ({"bach": 1}, {"data": {"bach": 1}}, {"losses": {"c": {"l1": 5}}}, {"networks": {"n": {"fit": 1}}}):
        assert not validator.is_valid({**part, **wrong})


def test_each_row_of_the_paper_adds_one_thing() -> None:
    rows = [check(name) for name in ("u2net", "u2net_cca", "u2net_cca_fft")]
    assert [row.recipe.networks["generator"].graph for row in rows] == ["u2net", "u2net_cca", "u2net_cca"]
    assert [list(row.phases[0].losses) for row in rows] == [["pixel"], ["pixel"], ["pixel", "spectrum"]]
    assert [len(row.phases[0].losses["pixel"].calls) for row in rows] == [7, 7, 7]
    assert rows[2].recipe.data == rows[0].recipe.data


# (what to change in PAIRED, by what, the only fault)
PAIRED_MISTAKES = [
    ("recipe: paired\n", "", "1:1 E007 the recipe needs the key `recipe` | add `recipe:`"),
    (
        "steps: 8\n",
        "steps: 8\nbatch: 4\n",
        "14:1 E005 the recipe takes no key `batch` | it belongs to `data`: `data: {batch: ...}`, in a setting "
        "`data.batch=...`",
    ),
    ("batch: 2", "bach: 2", "12:78 E005 `data` takes no key `bach` | did you mean `batch`?"),
    ("batch: 2", "batch: 0", "12:85 E006 `batch` must be at least 1, got 0"),
    ("steps: 8\n", "", "1:1 E007 the recipe does not say how long it trains | add `epochs: 100`, or `steps: 10000`"),
    ("graph: to_one.yaml", "graph: u2nett", "5:22 E070 no graph named `u2nett` | did you mean `u2net`?"),
    (
        "graph: to_one.yaml",
        "graph: plain.yaml, params: {chanels: 3}",
        "5:43 E070 the graph `plain` has no param `chanels` | did you mean `channels`?",
    ),
    ("generator(visible)", "generater(visible)", "7:9 E070 no network named `generater` | did you mean `generator`?"),
    (
        "generator(visible)",
        "generator(visable)",
        "7:19 E070 no band or value named `visable` | did you mean `visible`?",
    ),
    (
        "generator(visible)",
        "generator(visible",
        "7:26 E071 expected `,` or `)` here | close the bracket; inside a list, put a call that has commas in quotes",
    ),
    (
        "generator(visible)",
        "generator(visible, infrared)",
        "7:9 E072 `generator` takes 1 input (`image`), got 2 | write `generator(image)`",
    ),
    ("generator(visible)", "generator", "7:9 E070 `generator` is a network | call it: `generator(visible)`"),
    ("generator(visible)", "generator(fake)", "7:19 E022 `fake` reads itself: fake -> fake"),
    (
        "generator(visible)",
        "generator(infrared)",
        "7:19 E076 `generator` takes 3 channels for `image`, `infrared` has 1 | set the channels in `params` of "
        "`generator`: `crossband show to_one.yaml` lists what it takes",
    ),
    ("fake.main", "fake.man", "10:23 E070 `generator` has no output or tap `man` | did you mean `main`?"),
    ("{l1: ", "{l11: ", "9:11 E073 no loss named `l11` | did you mean `l1`?"),
    (
        "l1: [fake.*, infrared]",
        "l1: fake.main",
        "9:15 E072 `l1` takes 2 inputs (output, target), got 1 | write `l1: [output, target]`",
    ),
    (
        "{l1: [fake.*, infrared]}",
        "{l1: [fake.*, infrared], eps: 1}",
        "9:35 E072 l1 has no parameter `eps` | choose from `weight`",
    ),
    (
        "weight: =weight}",
        "weight: =weight, mode: real}",
        "10:68 E072 fft_l1: `mode` must be one of `complex`, `amplitude`, got `real`",
    ),
    (
        "{l1: [fake.*, infrared]}",
        "{l1: [fake.*, infrared], mse: [fake, infrared]}",
        "9:10 E072 a term has one loss, here are `l1` and `mse` | make a term of each",
    ),
    (
        "[fake.main, infrared]",
        "[fake.main, visible]",
        "10:22 E076 `fft_l1` compares images of one shape: `generator(visible).main` is 1x16x16, `visible` is 3x16x16"
        " | compare it with `infrared`",
    ),
    (
        "[fake.main, infrared]",
        "[fake.features, infrared]",
        "10:22 E076 `fft_l1` compares images of one shape: `generator(visible).features` is 4x16x16, "
        "`infrared` is 1x16x16",
    ),
    ("=weight}", "=wieght}", "10:54 E015 `wieght` has no value here | did you mean `weight`?"),
    ("weight: =weight", "weight: 1", "3:10 E021 the param `weight` is never used | use it as `=weight`, or remove it"),
    ("{Adam: {lr: 1e-3}}", "{Adams: {lr: 1e-3}}", "11:13 E077 no optimizer named `Adams` | did you mean `Adam`?"),
    ("{lr: 1e-3}", "{lr: -1}", "11:24 E077 Adam: `lr` must be more than 0, got -1"),
    ("{lr: 1e-3}", "{lr: 1e-3, beta: [0, 1]}", "11:30 E077 Adam has no parameter `beta` | did you mean `betas`?"),
    ("{Adam: {lr: 1e-3}}", "{Adam: {}}", "11:19 E077 Adam needs the parameter `lr`"),
    (
        "steps: 8",
        "steps: 8\nschedule: {hold: 2, decay: 2}",
        "14:11 E077 the schedule ends at 4, and the recipe goes on to 8 | its parts add up to `epochs` (or `steps`)",
    ),
    (
        "steps: 8",
        "steps: 8\nschedule: linear",
        "14:11 E077 no schedule named `linear` | write `constant`, `{cosine: ...}`, `{hold: ..., decay: ...}` or "
        "`{plateau: ...}`",
    ),
    (
        "steps: 8",
        "steps: 8\nschedule: cosine",
        "14:11 E077 the schedule `cosine` needs values | write `{cosine: ...}`",
    ),
    (
        "steps: 8",
        "steps: 8\nschedule: {cosin: 0}",
        "14:11 E077 the schedule takes no key `cosin` | did you mean `cosine`?",
    ),
    (
        "steps: 8",
        "steps: 8\nschedule: {hold: 4}",
        "14:11 E077 hold needs the parameter `decay`",
    ),
    (
        "steps: 8",
        "steps: 8\nschedule: {cosine: 2}",
        "14:20 E077 cosine: `cosine` must be less than 1, got 2",
    ),
    (
        "steps: 8",
        "steps: 8\nschedule: {cosine: 0, plateau: {}}",
        "14:11 E077 a schedule is one of its kind, here are `cosine` and `plateau` | remove all but one",
    ),
    ("{demo:", "{dmo:", "12:17 E074 no data source named `dmo` | did you mean `demo`?"),
    ("train: 10", "train: 0", "12:31 E072 demo: `train` must be at least 1, got 0"),
    (
        "{demo: {train: 10, test: 3, size: 24}}",
        "{llvip: {folder: a, split: {test: {evry: 2}}}}",
        "12:43 E072 llvip: `split.test` takes no key `evry` | did you mean `every`?",
    ),
    (
        "{demo: {train: 10, test: 3, size: 24}}",
        "{folders: {visible: a, infrared: b, test: c}}",
        "12:17 E079 the task is paired, and the data source `folders` gives unpaired images only | say `pairing: "
        "unpaired` in `task`, or take another source",
    ),
    (
        "metrics: [mae, psnr, ssim]",
        "metrics: [mae, psnrr]",
        "14:27 E070 no metric named `psnrr` | did you mean `psnr`?",
    ),
    (
        "steps: 8",
        "steps: 8\npaper: {source: a, table: b, data: c, values: {psnrr: 1}}",
        "14:48 E070 no metric named `psnrr` | did you mean `psnr`?",
    ),
    (
        "steps: 8",
        "steps: 8\npaper: {source: a, table: b, data: c, values: {mae: {value: 1, comparable: false}}}",
        "14:53 E007 `mae` needs the key `note` | add `note:`",
    ),
    (
        "steps: 8",
        "steps: 8\npaper: [{source: a, table: b, values: {mae: 1}}]",
        "14:9 E007 item 1 of `paper` needs the key `data` | add `data:`",
    ),
    (
        "steps: 8",
        "steps: 8\npaper: {source: a, table: b, data: c, values: {mae: low}}",
        "14:53 E006 `mae` must be a number or a mapping, got `low`",
    ),
    ("to: infrared", "to: infared", "2:27 E070 the data have no band `infared` | did you mean `infrared`?"),
]


@pytest.mark.parametrize(("old", "new", "fault"), PAIRED_MISTAKES)
def test_one_mistake_is_one_message(folder: Path, old: str, new: str, fault: str) -> None:
    assert old in PAIRED
    assert faults(PAIRED.replace(old, new, 1), folder) == [fault]


PHASE_MISTAKES = [
    (
        CYCLE.replace("train: [is_ir, is_vis]", "train: [is_ir]"),
        ["7:3 E075 no phase trains the network `is_vis` | add it to `train` of a phase, or say `frozen: true`"],
    ),
    (
        CYCLE.replace(
            "is_vis: {graph: critic.yaml, params: {channels: 3}}",
            "is_vis: {graph: critic.yaml, params: {channels: 3}, frozen: true}",
        ),
        ["15:20 E075 `is_vis` is frozen, and the phase `critics` trains it | remove `frozen: true`, or train another"],
    ),
    (
        CYCLE.replace(
            "cycle: {l1: [back_vis, visible], weight: 10}",
            "cycle: {l1: [fake_vis, visible], weight: 10}\n      odd: {mse: [is_ir(infrared), is_ir(pool(fake_ir))]}",
        ),
        [
            "24:7 E075 the loss `odd` depends on no network that its phase trains | put it in a phase that trains `is_ir`"
        ],
    ),
    (
        CYCLE.replace("      vis: {mse: [is_vis(visible), is_vis(pool(fake_vis))], weight: 0.5}\n", ""),
        [
            "15:20 E075 the phase `critics` trains `is_vis`, and none of its losses depends on it | give it a loss of what "
            "`is_vis` makes, or say `frozen: true` of it"
        ],
    ),
    (
        CYCLE.replace("is_ir(pool(fake_ir))", "'is_ir(pool(fake_ir, fake_ir))'"),
        ["17:42 E072 `pool` takes 1 value, got 2"],
    ),
    (
        GAN.replace("critic(fake).layer*", "critic(fake).layr*"),
        ["19:37 E070 `critic` has no output or tap that begins with `layr` | did you mean `layer2`?"],
    ),
    (
        GAN.replace("[critic(infrared), infrared]", "[critic(infrared), visible]"),
        [
            "13:19 E072 `r1` differentiates `critic(infrared)` in `visible`, from which it is not computed | "
            "give it a score and its image, such as `[critic(visible), visible]`"
        ],
    ),
    (
        GAN.replace("mix(infrared, fake)", "mix(visible, fake)"),
        [f"14:{at} E076 `mix` takes images of one shape, got 3x16x16 and 1x16x16" for at in (44, 74)],
    ),
    (
        CYCLE.replace("optimizer:", "order: [generators]\noptimizer:"),
        ["25:8 E075 `order` names every phase once | the phases are `critics`, `generators`"],
    ),
    (
        PAIRED.replace("flow:\n", "flow:\n  target: generator(visible)\n"),
        ["7:3 E016 `target` is a band already | take another name"],
    ),
    (
        PAIRED.replace("=weight", "=source_channels").replace(
            "params: {weight: 0.5}", "params: {source_channels: 0.5}"
        ),
        ["3:10 E016 `source_channels` has a value already | take another name"],
    ),
    (
        PAIRED.replace("=weight", "=source_chanels").replace("params: {weight: 0.5}\n", ""),
        ["9:54 E015 `source_chanels` has no value here | did you mean `source_channels`?"],
    ),
    (PAIRED.replace("generator", "grey"), ["5:3 E016 `grey` is a function already | take another name"]),
    (
        CYCLE.replace("      cycle: {l1:", "      cycle: {ms_ssim:"),
        ["23:24 E034 `ms_ssim` takes images of at least 161x161, `to_vis(to_ir(visible))` is 3x16x16"],
    ),
    (
        CYCLE.replace("      cycle: {l1:", "      cycle: {perceptual:"),
        ["23:14 E072 perceptual needs the parameter `range`"],
    ),
    (
        CYCLE.replace("visible], weight: 10}", "visible], range: unit, layers: {relu6_1: 1}}").replace(
            "cycle: {l1:", "cycle: {perceptual:"
        ),
        ["23:14 E072 vgg19 has no layer `relu6_1` | did you mean `relu5_1`?"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), PHASE_MISTAKES)
def test_phases_and_networks_agree(folder: Path, text: str, expected: list[str]) -> None:
    assert faults(text, folder) == expected


def test_bands_are_those_of_the_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.sources, "_entries", dict(registry.sources._entries))

    @source("depths", bands={"visible": 3, "depth": 1})
    def depths() -> Source:
        """Images with a distance for each pixel."""
        raise NotImplementedError

    text = PAIRED.replace("infrared", "depth").replace("{demo: {train: 10, test: 3, size: 24}}", "depths")
    (folder / "depth.yaml").write_text(text, encoding="utf-8")
    assert check(folder / "depth.yaml").bands == {"visible": 3, "depth": 1}
    assert faults(text.replace("to: depth", "to: infrared"), folder) == [
        "2:27 E070 the data have no band `infrared` | choose from `visible`, `depth`"
    ]
    text = CYCLE.replace("{demo: {train: 6, test: 2, size: 16}}", "{folders: {visible: a, infrared: b, test: c}}")
    (folder / "folders.yaml").write_text(text, encoding="utf-8")
    assert check(folder / "folders.yaml", ["data.cache=kept"]).recipe.data.cache == str(Path("kept").absolute())
    assert faults(text.replace("unpaired", "paired"), folder) == [
        "27:17 E079 the task is paired, and the data source `folders` gives unpaired images only | say `pairing: "
        "unpaired` in `task`, or take another source"
    ]


def test_stars_stand_for_all_outputs_and_for_those_that_begin_alike(folder: Path) -> None:
    losses = {name: loss for step in check(folder / "gan.yaml").phases for name, loss in step.losses.items()}
    calls = {name: [[str(value) for value in call] for call in loss.calls] for name, loss in losses.items()}
    fake = "critic(generator(visible))"
    assert calls["both"] == [[f"critic(infrared).{part}", f"{fake}.{part}"] for part in ("fine", "coarse")]
    assert calls["adversarial"] == [[f"{fake}.fine"], [f"{fake}.coarse"]]
    assert calls["features"] == [[f"{fake}.{part}", f"critic(infrared).{part}"] for part in ("layer1", "layer2")]


def test_several_mistakes_are_told_at_once(folder: Path) -> None:
    text = PAIRED.replace("{l1:", "{l11:").replace("1e-3", "0").replace("(visible)", "(visable")
    assert faults(text, folder) == [
        "7:26 E071 expected `,` or `)` here | close the bracket; inside a list, put a call that has commas in quotes",
        "9:11 E073 no loss named `l11` | did you mean `l1`?",
        "11:24 E077 Adam: `lr` must be more than 0, got 0",
    ]


@pytest.mark.parametrize("section", ["networks", "flow", "losses"])
def test_empty_sections(folder: Path, section: str) -> None:
    text = PAIRED.replace("params: {weight: 0.5}\n", "").replace("=weight", "1")
    assert faults(text, folder, f"{section}={{}}") == [
        f"1:{len(section) + 2} E006 `{section}` must not be empty, got a mapping | {FORMS[section]}"
    ]


def test_size_that_does_not_pass_names_the_nearest(folder: Path) -> None:
    text = PAIRED.replace("to_one.yaml", "halves.yaml").replace("fake.main", "fake").replace("fake.*", "fake")
    assert faults(text.replace("size: 16", "size: 15"), folder) == [
        "7:9 E034 images of 15x15 do not pass through `generator`: H and W: multiples of 2 | nearest: 16x16; or say `fit: pad` of the network"
    ]


def test_settings_are_shown_as_set_on_the_command_line(folder: Path) -> None:
    with pytest.raises(InvalidFile) as caught:
        check(folder / "paired.yaml", ["data.batch=four", "optimizer.Adam.lr=1e-4"])
    assert str(caught.value) == (
        "settings:1:12: E006 `batch` must be a whole number, got `four`\n"
        "  data.batch=four\n"
        "             ^~~~\n\n"
        "1 error in settings"
    )
    assert faults(PAIRED, folder, "data.bach=4") == ["1:1 E005 `data` takes no key `bach` | did you mean `batch`?"]
    assert faults(PAIRED, folder, "data.batch") == [
        "1:1 E002 `data.batch` is not `key=value` | write `--set name=value`"
    ]


def test_settings_and_children_change_what_they_name(folder: Path) -> None:
    child = "recipe: child\nextends: paired\nparams: {weight: 2}\nlosses: {pixel: {mse: [fake, infrared]}}\nseed: 3\n"
    (folder / "child.yaml").write_text(child, encoding="utf-8")
    recipe = load_recipe(
        folder / "child.yaml", ["optimizer.Adam.betas=[0.5, 0.9]", "networks.generator.init={normal: 0.02}"]
    )
    assert recipe.name == "child"
    assert [(term.loss, term.weight) for term in recipe.phases[0].terms.values()] == [("mse", 1.0), ("fft_l1", 2.0)]
    assert recipe.phases[0].optimizer == ("Adam", {"lr": 1e-3, "betas": [0.5, 0.9]})
    assert recipe.networks["generator"].init == {"normal": 0.02}
    assert recipe.seed == 3
    removed = load_recipe(folder / "child.yaml", ["losses={pixel: {l1: [fake, infrared], weight: =weight}}"])
    assert list(removed.phases[0].terms) == ["pixel"]


def test_params_may_use_each_other_in_any_order(folder: Path) -> None:
    text = PAIRED.replace("{weight: 0.5}", "{weight: =2*half, half: =quarter+quarter, quarter: 1}")
    (folder / "order.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe(folder / "order.yaml")
    assert recipe.phases[0].terms["spectrum"].weight == 4
    assert recipe.resolved["params"] == {"weight": 4, "half": 2, "quarter": 1}
    assert load_recipe(folder / "order.yaml", ["params.half=3"]).phases[0].terms["spectrum"].weight == 6
    circle = text.replace("quarter: 1", "quarter: =weight")
    message = "`weight` and `half` and `quarter` use each other, so there is no value to begin with"
    assert faults(circle, folder) == [f"3:18 E015 {message} | give one of them a number"]


def test_a_param_whose_use_is_replaced_may_stay(folder: Path) -> None:
    unused = "3:10 E021 the param `wieght` is never used | use it as `=wieght`, or remove it"
    assert faults(PAIRED.replace("{weight: 0.5}", "{wieght: 0.5, weight: 0.5}"), folder) == [unused]
    assert load_recipe(folder / "paired.yaml", ["losses={pixel: {l1: [fake.*, infrared]}}"]).resolved["params"]
    (folder / "heir.yaml").write_text("recipe: heir\nextends: paired\nlosses: {spectrum: null}\n", encoding="utf-8")
    assert load_recipe(folder / "heir.yaml").resolved["params"] == {"weight": 0.5}
    wrong = "recipe: wrong\nextends: paired\nparams: {wieght: 1}\n"
    assert faults(wrong, folder) == [unused]


def test_params_of_a_graph_that_was_replaced_are_told_where_it_is_replaced(folder: Path) -> None:
    (folder / "wide.yaml").write_text(
        PAIRED.replace("to_one.yaml", "plain.yaml, params: {channels: 3, out: 1}").replace(".main", ""), "utf-8"
    )
    swapped = "recipe: wrong\nextends: wide\nnetworks: {generator: {graph: to_one.yaml}}\n"
    fault = (
        "E070 the graph `to_one` has no param `channels` and `out`, set for the graph that it replaces"
        " | `params: {channels: null, out: null}` removes what is inherited"
    )
    assert faults(swapped, folder) == [f"3:31 {fault}"]
    with pytest.raises(InvalidFile, match=r"note: `channels` is set here \(.*wide.yaml:6:53\)"):
        check(folder / "wrong.yaml")
    setting = f"networks.generator.graph={folder / 'to_one.yaml'}"
    assert faults("recipe: wrong\nextends: wide\n", folder, setting) == [f"1:26 {fault}"]
    own = swapped.replace("to_one.yaml}", "to_one.yaml, params: {out: 2, channels: null}}")
    assert faults(own, folder) == ["3:53 E070 the graph `to_one` has no param `out`"]
    (folder / "right.yaml").write_text(swapped.replace("to_one.yaml}", "to_one.yaml, params: null}"), encoding="utf-8")
    check(folder / "right.yaml")


def test_the_figures_of_a_paper_are_not_inherited(folder: Path) -> None:
    row = (
        "{source: fan2025, table: row 1, data: LLVIP, values: {psnr: 35, mae: {value: 9, comparable: false, note: x}}}"
    )
    (folder / "row.yaml").write_text(PAIRED + f"paper: {row}\n", encoding="utf-8")
    (folder / "next.yaml").write_text("recipe: next\nextends: row\n", encoding="utf-8")
    own = "recipe: own\nextends: row\npaper: [{source: b, table: c, data: d, values: {ssim: 1}}]\n"
    (folder / "own.yaml").write_text(own, encoding="utf-8")
    figures = {"psnr": Figure(35), "mae": Figure(9, False, "x")}
    assert load_recipe(folder / "row.yaml").paper == (Paper("fan2025", "row 1", "LLVIP", figures),)
    assert load_recipe(folder / "row.yaml", ["paper.values.psnr=36"]).paper[0].values["psnr"] == Figure(36)
    assert load_recipe(folder / "next.yaml").paper == ()
    assert load_recipe(folder / "own.yaml").paper == (Paper("b", "c", "d", {"ssim": Figure(1)}),)


@pytest.mark.parametrize("name", shipped())
def test_figures_of_papers_name_a_source_that_the_recipe_cites(name: str) -> None:
    recipe = load_recipe(name)
    cited = recipe.resolved.get("cite", [])
    assert all(paper.source in cited for paper in recipe.paper)


# Fan 2025: PSNR, SSIM (printed ten times as large), and what is printed without a unit: MAE, MSE, FFT-L1
FAN = {
    "u2net": (35.12, 0.787, 9.832, 5.28, 9.25),
    "u2net_cca": (36.21, 0.889, 9.730, 5.25, 9.23),
    "u2net_cca_fft": (37.34, 0.891, 8.028, 4.23, 8.21),
}


@pytest.mark.parametrize("name", FAN)
def test_the_table_of_fan_2025(name: str) -> None:
    [paper] = load_recipe(name).paper
    assert tuple(paper.values[key].value for key in ("psnr", "ssim", "mae", "mse", "fft_l1")) == FAN[name]
    assert [key for key, figure in paper.values.items() if figure.comparable] == ["psnr", "ssim"]
    assert "ten times" in paper.values["ssim"].note


FREE = """
recipe: free
task: {from: visible, to: infrared}
networks:
  generator: {graph: plain.yaml, params: {channels: =source_channels, out: =target_channels}}
flow:
  fake: generator(source)
losses:
  pixel: {l1: [fake, target]}
optimizer: {Adam: {lr: 1e-3}}
data: {source: {demo: {train: 10, test: 3, size: 24}}, size: 16, batch: 2}
steps: 8
"""


@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        ([], [3, 1]),
        (["task={from: infrared, to: visible}"], [1, 3]),
        (["data.channels={infrared: 3}"], [3, 3]),
        (["data.channels={visible: 1}", "task={from: infrared, to: visible}"], [1, 1]),
        (["data.source={pairs: {folder: a, channels: {infrared: 3}}}"], [3, 3]),
    ],
)
def test_source_and_target_are_the_bands_of_the_task(folder: Path, settings: list[str], channels: list[int]) -> None:
    (folder / "free.yaml").write_text(FREE, encoding="utf-8")
    experiment = check(folder / "free.yaml", settings)
    recipe, plan = experiment.recipe, experiment.plans["generator"]
    assert str(experiment.result) == f"generator({recipe.source})"
    assert [str(value) for value in recipe.phases[0].terms["pixel"].inputs] == ["fake", recipe.target]
    assert [experiment.bands[recipe.source], experiment.bands[recipe.target]] == channels
    assert [shape[1] for shape in (plan.inputs["image"], plan.shape(plan.outputs["result"]))] == channels


def test_variants_are_settings_with_a_name(folder: Path) -> None:
    text = FREE + "variants:\n  short: {steps: 2, data.batch: 1}\n  long: {steps: 99, data.size: null}\n"
    (folder / "varied.yaml").write_text(text, encoding="utf-8")
    (folder / "heir.yaml").write_text(
        "recipe: heir\nextends: varied\nvariants: {short: {steps: 3}}\nvariant: short\n", encoding="utf-8"
    )
    recipe = load_recipe(folder / "varied.yaml")
    assert (recipe.variants, recipe.steps, recipe.data.batch) == (("short", "long"), 8, 2)
    short = load_recipe(folder / "varied.yaml", ["variant=short", "steps=4"])  # the command line has the last word
    assert (short.steps, short.data.batch) == (4, 1)
    assert not {"variant", "variants"} & short.resolved.keys()  # a run of it is not one of it again
    assert "size" not in load_recipe(folder / "varied.yaml", ["variant=long"]).data.geometry
    heir = load_recipe(folder / "heir.yaml")
    assert (heir.steps, heir.data.batch) == (3, 1)
    both = load_recipe(folder / "varied.yaml", ["variant=[long, short]"])
    assert (both.steps, both.data.batch, both.data.geometry) == (2, 1, {})
    assert faults(text, folder, "variant=[long, shrt]") == ["1:16 E070 no variant named `shrt` | did you mean `short`?"]
    assert faults(text, folder, "variant=shrt") == ["1:9 E070 no variant named `shrt` | did you mean `short`?"]
    assert faults(FREE, folder, "variant=short") == ["1:9 E070 no variant named `short` | the recipe has no variants"]
    wrong = text.replace("data.batch: 1", "data.batch: 0")
    assert faults(wrong, folder, "variant=short") == ["13:33 E006 `batch` must be at least 1, got 0"]
    assert faults(f"{text}variant: short\n".replace("data.batch", "data.bach"), folder) == [
        "13:21 E005 `data` takes no key `bach` | did you mean `batch`?"
    ]


def test_faults_of_a_parent_are_shown_in_the_parent(folder: Path) -> None:
    (folder / "parent.yaml").write_text(PAIRED.replace("{l1:", "{l11:"), encoding="utf-8")
    (folder / "heir.yaml").write_text("recipe: heir\nextends: parent\n", encoding="utf-8")
    with pytest.raises(InvalidFile) as caught:
        check(folder / "heir.yaml")
    assert f"{folder / 'parent.yaml'}:10:11: E073 no loss named `l11`" in str(caught.value)


def test_recipes_that_are_not_there(folder: Path) -> None:
    with pytest.raises(InvalidFile, match=r"E078 no recipe named `u2nett`\nhint: did you mean `u2net"):
        check("u2nett")
    assert faults("recipe: a\nextends: wrong\n", folder) == [
        "2:10 E050 `wrong` extends itself | remove `extends` from one of the files"
    ]
    assert faults("- a\n", folder) == ["1:1 E006 a recipe is a mapping of keys | it begins with `recipe: its_name`"]


def test_unused_values(folder: Path) -> None:
    text = PAIRED.replace("flow:\n", "flow:\n  first: generator(visible)\n  spare: generator(visible)\n")
    assert faults(text.lstrip("\n"), folder) == ["8:3 E021 the value `spare` is never used | remove it"]


@pytest.mark.parametrize("text", [PAIRED, CYCLE, PIX2PIX, GAN])
def test_recipes_of_the_tests_are_right(folder: Path, text: str) -> None:
    (folder / "right.yaml").write_text(text, encoding="utf-8")
    check(folder / "right.yaml")


def test_cyclegan_schedule_is_never_zero() -> None:
    schedule = {"hold": 100, "decay": 100}
    rates = [factor(schedule, epoch, 200) for epoch in range(200)]
    assert rates[:100] == [1.0] * 100
    assert rates[100] == pytest.approx(100 / 101)
    assert rates[199] == pytest.approx(1 / 101)
    assert factor({"warmup": 3, "cosine": 0.1}, 0, 10) == 0.25
    assert factor({"warmup": 3, "cosine": 0.1}, 3, 10) == 1.0
    assert factor({"cosine": 0.1}, 10, 10) == pytest.approx(0.1)


@pytest.mark.parametrize("name", list(registry.optimizers))
def test_every_optimizer_lowers_a_square(name: str) -> None:
    network = torch.nn.Linear(2, 1)
    optimizer = make_optimizer(name, {"lr": 1e-2}, [network])
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = network(torch.ones(1, 2)).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_plateau_lowers_the_rate_when_the_loss_stands_still() -> None:
    optimizer = make_optimizer("SGD", {"lr": 1.0}, [torch.nn.Linear(1, 1)])
    rate = Rate(optimizer, {"plateau": {"factor": 0.1, "patience": 1}}, 10)
    for _ in range(4):
        rate.end_epoch(1.0)
    again = Rate(optimizer, {"plateau": {"factor": 0.1, "patience": 1}}, 10)
    again.load_state_dict(rate.state_dict())
    assert rate.value == pytest.approx(0.1)
    assert again.state_dict() == rate.state_dict()
