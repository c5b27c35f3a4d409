"""The recipes of the papers: what they build and set, in which order they compute, and that each runs to the end."""

import re
import shlex
from collections import Counter
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import once
import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from crossband import registry
from crossband.graphs.language.diagnostics import InvalidFile, Problems
from crossband.graphs.plans.cost import count_parameters
from crossband.recipes import check, load, load_recipe, shipped, train
from crossband.recipes.data import read_image, write_image
from crossband.recipes.data.augmenting import in_unit
from crossband.recipes.data.geometry import Geometry
from crossband.recipes.data.loader import epoch_of, make_loader
from crossband.recipes.data.opening import open_source, training_scenes
from crossband.recipes.language.catalog import TABLES as SHIPPED_TABLES
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.language.papers import beside
from crossband.recipes.language.syntax import Recipe
from crossband.recipes.language.tables import load_table
from crossband.recipes.model.evaluating import whole_scenes
from crossband.recipes.model.networks import build_network
from crossband.recipes.model.task import Task
from crossband.recipes.training.loop import train_step
from crossband.recipes.training.session import Session
from crossband.recipes.training.state import set_up

RECIPES = [name for name in shipped() if name != "demo"]
TINY = ("variant=tiny", "device=cpu", "evaluate.metrics=[mae]", "every.sample=0", "evaluate.images=1")
LAB = "data.channels={infrared: 3}"  # without which no colours of Lab can be had of infrared images


def parameters(name: str, *overrides: str) -> list[int]:
    experiment = check(name, overrides) if overrides else once.experiment(name)
    return [count_parameters(plan) for plan in experiment.plans.values()]


# The published networks; of those that see one channel of infrared, as their papers count or as they are with one.
CYCLE = [2764737, 2764737]
PARAMETERS = {
    "u2net": [44009869],
    "u2net_cca": [44666511],
    "u2net_cca_fft": [44666511],
    "cyclegan_unet128": [41825667, 41825667, *CYCLE],
    "cyclegan_unet256": [54409603, 54409603, *CYCLE],
    "cyclegan_resnet6": [7837699, 7837699, *CYCLE],
    "cyclegan_resnet9": [11378179, 11378179, *CYCLE],
    "cyclegan_resnet9_cbam": [11455255, 11455255, *CYCLE],
    "gn_cyclegan": [11455255, 11455255, *CYCLE],
    "cut": [11378179, 560384, 2764737],
    "pix2pix": [54413955, 2768705],
    "mrf_pix2pix": [35479654, 2768705],
    "multiscale_structure": [10811226, 8294211, 8297283],
    "multiscale_structure_resnet": [11371907, 8294211, 8297283],
    "multiscale_structure_without_cosine": [10811226, 8294211, 8297283],
    "multiscale_structure_without_tvd": [10811226, 8294211, 8297283],
    "pix2pixhd": [182436995, 5531522],
    "ticcgan": [45842499, 694753],
    "pcsgan": [11371907, 11371905, 2764737, 2762689],
    "ladlenet": [40542450],
    "ladlenet_plus": [75881592],
    "ladlenet_plus_frozen": [17128133, 58753459],
    "unet": [31037763],
    "bridged_unet": [19089894],
    "unet_ir2vi": [27964707],
    "pix2pix_ir2vi": [63087619, 695777],
    "tir2lab": [1462275],
}
# direction, pairing, epochs, batch, the window, and the learning rate of the generator
SETTINGS = {
    ("u2net", "u2net_cca", "u2net_cca_fft"): ("visible", "paired", 100, 12, (256, 256), 1e-3),
    (*(f"cyclegan_{name}" for name in ("unet128", "unet256", "resnet6", "resnet9", "resnet9_cbam")), "gn_cyclegan"): (
        *("visible", "unpaired", 200, 1, (256, 256), 2e-4),
    ),
    ("cut",): ("visible", "unpaired", 200, 1, (256, 256), 2e-4),
    ("pix2pix", "mrf_pix2pix"): ("visible", "paired", 200, 1, (256, 256), 2e-4),
    (
        "multiscale_structure",
        *(f"multiscale_structure_{name}" for name in ("resnet", "without_cosine", "without_tvd")),
        *("pix2pixhd", "pcsgan", "ticcgan"),
    ): ("infrared", "paired", 200, 1, (256, 256), 2e-4),
    ("ladlenet", "unet"): ("infrared", "paired", 120, 40, (192, 256), 1e-3),
    ("ladlenet_plus", "ladlenet_plus_frozen"): ("infrared", "paired", 120, 56, (192, 256), 1e-3),
    ("bridged_unet",): ("infrared", "paired", 100, 56, (192, 256), 1e-2),
    ("unet_ir2vi",): ("infrared", "paired", 50, 40, (192, 256), 1e-3),
    ("pix2pix_ir2vi",): ("infrared", "paired", 100, 40, (192, 256), 2e-4),
    ("tir2lab",): ("infrared", "paired", 100, 8, (192, 256), 1e-3),
}


# PSNR and SSIM as printed, a pair for each data set
FIGURES = {
    "cyclegan_unet128": [(13.2131, 0.4167), (13.6867, 0.2479)],
    "cyclegan_unet256": [(12.7318, 0.4444), (13.7892, 0.2686)],
    "cyclegan_resnet6": [(13.3745, 0.4700), (17.3956, 0.7071)],
    "cyclegan_resnet9": [(13.3275, 0.4368), (17.0300, 0.6900)],
    "cyclegan_resnet9_cbam": [(13.2403, 0.4530)],
    "cut": [(13.1813, 0.4214), (13.3502, 0.3168)],
    "gn_cyclegan": [(13.5195, 0.4572), (18.0699, 0.7491)],
    "pix2pix": [(26.646, 0.793)],
    "mrf_pix2pix": [(28.709, 0.861)],
    "multiscale_structure": [(18.11, 0.69)],
    "multiscale_structure_resnet": [(17.68, 0.66)],
    "multiscale_structure_without_cosine": [(17.84, 0.67)],
    "multiscale_structure_without_tvd": [(17.9, 0.67)],
}
# what the authors' sheet says of saturating bytes, MSE, VIF and CC, and the AG, of which the code was not published
SHEET = {
    "ladlenet": (19.45, 0.816, 0.9920, 5.930),
    "ladlenet_plus": (9.27, 0.893, 0.9947, 5.964),
    "pix2pix_ir2vi": (65.41, 0.114, 0.7036, 5.469),
    "tir2lab": (31.73, 0.557, 0.9592, 5.462),
    "unet": (20.09, 0.803, 0.9881, 5.652),
    "unet_ir2vi": (80.31, 0.472, 0.9264, 4.715),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_networks_have_the_published_numbers_of_parameters(name: str) -> None:
    assert parameters(name) == PARAMETERS[name]


def test_systems_as_large_as_the_papers_count_them() -> None:
    assert sum(parameters("gn_cyclegan")) == 28439984
    three = ["data.channels={infrared: 3}"]
    assert parameters("pix2pixhd", *three) == [182443267, 5535618]
    assert parameters("ticcgan", *three)[0] == 45851907
    assert parameters("gn_cyclegan", "variant=one_channel")[2:] == [2762689, 2764737]


# the rows of a table that a paper measures on one set of images: recipe and variant
MULTISCALE = [f"multiscale_structure{part}" for part in ("", "_resnet", "_without_cosine", "_without_tvd")]
CYCLEGANS = [f"cyclegan_{part}" for part in ("unet128", "unet256", "resnet6", "resnet9", "resnet9_cbam")]
TABLES = {
    "Fan": ["u2net", "u2net_cca", "u2net_cca_fft"],
    "GN_CycleGAN, FLIR": [*CYCLEGANS, "cut", "gn_cyclegan"],
    "GN_CycleGAN, OSU": [f"{name} osu" for name in (*CYCLEGANS, "cut", "gn_cyclegan")],
    "Ma": ["pix2pix", "mrf_pix2pix"],
    "multi-scale": [*MULTISCALE, "pix2pix multiscale_table", "pix2pixhd", "ticcgan", "pcsgan"],
    "LadleNet": [
        *("ladlenet", "ladlenet_plus", "unet", "bridged_unet", "unet_ir2vi", "pix2pix_ir2vi", "tir2lab"),
        "pix2pix ladlenet_table",
    ],
}
# what a variant is there for: settings of its source, which are not those of the table
VARIANTS = {
    "ticcgan own_schedule": {"epochs": 20, "schedule": {"hold": 10, "decay": 10}},
    "cut own_schedule": {"epochs": 400, "schedule": {"hold": 200, "decay": 200}},
    "ladlenet published_crop": {"data.load": [300, 400], "data.crop": "centre", "evaluate.size": [192, 256]},
    "pix2pix_ir2vi published_crop": {"data.load": 400, "data.crop": "centre", "evaluate.size": 256},
    "ladlenet published_exponents": {"losses.structure.weights": "ladlenet_exponents"},
    "tir2lab own_data": {"data.size": [256, 320], "data.source.kaist.sets": "day"},
    "gn_cyclegan plain_gate": {"networks.to_source.params.spatial_norm": "none"},
    "multiscale_structure_resnet batch_norm": {"networks.generator.params.dropout": 0.5},
    "ladlenet_plus imagenet": {"networks.generator.weights.file": "torchvision/resnet101"},
}


def varied(row: str) -> Recipe:
    """The recipe of a row, `pix2pix`, or of one of its variants, `pix2pix ladlenet_table`."""
    name, *variant = row.split()
    return load_recipe(name, [f"variant={each}" for each in variant])


@pytest.mark.parametrize("table", TABLES)
def test_the_rows_of_a_table_see_the_same_images(table: str) -> None:
    recipes = [varied(row) for row in TABLES[table]]
    assert len({(each.source, each.target, each.pairing != "unpaired") for each in recipes}) == 1
    seen = [(each.data.source, each.data.arguments, each.evaluate, each.data.geometry["size"]) for each in recipes]
    assert all(each == seen[0] for each in seen), seen


@pytest.mark.parametrize("name", SHIPPED_TABLES.files())
def test_a_shipped_table_is_one_protocol(name: str) -> None:
    """Of size and channels too, as trained and as tested."""
    recipes = [row.load(Problems()) for row in load_table(name).rows]
    assert all(recipes)
    seen = [(each.data.arguments, each.data.geometry, each.data.channels, each.evaluate) for each in recipes if each]
    assert all(each == seen[0] for each in seen), seen


def test_every_recipe_with_figures_is_in_a_table() -> None:
    shown = {name for name in RECIPES if load_recipe(name).paper}
    assert shown <= {row.partition(" ")[0] for rows in TABLES.values() for row in rows}
    assert shown <= {row.recipe for name in SHIPPED_TABLES.files() for row in load_table(name).rows}


@pytest.mark.parametrize("row", VARIANTS)
def test_what_is_not_of_the_paper_is_a_variant(row: str) -> None:
    written, plain = varied(row).resolved, load_recipe(row.partition(" ")[0]).resolved
    for key, value in VARIANTS[row].items():
        found, without = (
            reduce(lambda data, step: data.get(step, {}), key.split("."), each) for each in (written, plain)
        )
        assert found == value != without, key


def test_the_identity_terms_can_be_left_out_as_the_final_loss_is_printed() -> None:
    terms = {"adversarial_target", "adversarial_source", "cycle_source", "cycle_target"}
    assert check("gn_cyclegan", ["variant=printed"]).recipe.phases[1].terms.keys() == terms
    check("gn_cyclegan", ["variant=[printed, vanilla, one_channel]"])


def test_the_similarity_of_ladlenet_teaches_it() -> None:
    """Far from the target, where training begins, the exponents of the published code give a gradient of 0."""
    target, output = (torch.rand(1, 3, 192, 256, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    found = []
    for variant in ("ladlenet", "ladlenet published_exponents"):
        term = varied(variant).phases[0].terms["structure"]
        output.requires_grad_(True)
        [gradient] = torch.autograd.grad(registry.losses[term.loss].factory(output, target, **term.arguments), output)
        found.append(gradient.norm().item())
    assert found[0] > 1e-3
    assert found[1] < 1e-6


def test_the_code_of_ladlenet_tests_on_the_middle_of_each_image() -> None:
    experiment = check(
        "ladlenet", ["variant=[tiny, published_crop]", "data.source={demo: {train: 1, test: 1, size: 300}}"]
    )
    recipe = experiment.recipe
    source = open_source(recipe.data)
    cut = whole_scenes(Task.of(experiment), source)[0]["visible"]
    whole = Geometry(load=(300, 400)).apply(source.read(source.names("test")[0])["visible"])
    assert torch.equal(cut, in_unit(whole)[:, 54:246, 72:328])
    trained = training_scenes(recipe, source)[0]["visible"]
    assert trained.shape == cut.shape


def test_ladlenet_plus_does_not_begin_from_random_weights_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidFile, match="E001 no such file or folder: `weights/best_deeplabv3plus") as caught:
        train("ladlenet_plus", settings=["data.source={demo: {train: 1, test: 1}}"], silent=True)
    assert "get it from https://github.com/VainF/DeepLabV3Plus-Pytorch, or begin without: `--set" in str(caught.value)
    weights = load_recipe("ladlenet_plus").networks["generator"].weights
    assert isinstance(weights, dict)
    assert Path(weights["file"]).parent == Path("weights").resolve()  # where it is looked for: here, as images are
    [paper] = beside(load_recipe("ladlenet_plus", ["variant=from_scratch"]))
    assert paper.differs == "`generator` begins here without the weights of `vainf_deeplabv3plus`"


@pytest.mark.parametrize("name", RECIPES)
def test_settings_are_those_of_the_papers(name: str) -> None:
    [wanted] = [row for names, row in SETTINGS.items() if name in names]
    recipe = load_recipe(name)
    size = recipe.data.geometry["size"]
    rates = {phase.optimizer[1]["lr"] for phase in recipe.phases}
    found = (recipe.source, recipe.pairing, recipe.epochs, recipe.data.batch)
    assert (*found, (size, size) if isinstance(size, int) else size, *rates) == wanted
    assert all(
        sum(phase.schedule.get(key, 0) for key in ("hold", "decay")) in (0, wanted[2]) for phase in recipe.phases
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_turns_around(name: str) -> None:
    forth = load_recipe(name)
    back = [f"task.from={forth.target}", f"task.to={forth.source}"]
    if name == "tir2lab":
        with pytest.raises(InvalidFile, match="`lightness` takes images of 3 channels, got 1"):
            check(name, back)
        back.append(LAB)
    experiment = check(name, back)
    assert (experiment.recipe.source, experiment.recipe.target) == (forth.target, forth.source)
    assert {str(part) for part in experiment.result.walk() if part.kind == "name"} == {forth.target}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_variant_is_right(name: str) -> None:
    recipe = load_recipe(name)
    assert "tiny" in recipe.variants
    for variant in recipe.variants:
        check(name, [f"variant={variant}"])


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_those_of_the_papers(name: str) -> None:
    papers = load_recipe(name).paper
    assert [tuple(paper.values[key].value for key in ("psnr", "ssim")) for paper in papers] == FIGURES[name]
    assert {key for paper in papers for key, figure in paper.values.items() if figure.comparable} == {"psnr", "ssim"}


@pytest.mark.parametrize("name", SHEET)
def test_figures_are_those_of_the_sheet_of_ladlenet(name: str) -> None:
    [paper] = load_recipe(name).paper
    names = ("ladlenet_mse", "ladlenet_vif", "ladlenet_cc", "ag")
    assert {key: figure.value for key, figure in paper.values.items()} == dict(zip(names, SHEET[name], strict=True))
    assert [key for key, figure in paper.values.items() if not figure.comparable] == ["ag"]


@pytest.mark.slow
def test_the_tables_of_commands_name_every_recipe_and_are_right() -> None:
    text = (Path(__file__).parents[1] / "recipes" / "README.md").read_text("utf-8")
    named = set()
    for command in re.findall(r"^\|.+\| `crossband train (.+)` \|$", text, re.MULTILINE):
        name, *words = shlex.split(command)
        settings = [word for option, word in pairwise(words) if option == "--set"]
        assert check(name, settings).recipe.name == name
        named.add(name)
    assert named == {*RECIPES}


# ---------------------------------------------------------------------- the order of a step


def step_of(fabric: Fabric, name: str, *overrides: str) -> tuple[list[str], Counter[str]]:
    """The phases of one step in their order, and how often each network ran. Gradients reach what a phase trains."""
    experiment: Experiment = check(name, ["variant=tiny", *overrides])
    loader = make_loader(
        training_scenes(experiment.recipe, open_source(experiment.recipe.data)), batch=1, shuffle=True, drop_last=True
    )
    training = set_up(experiment, fabric, 3)
    events: list[str] = []
    runs: Counter[str] = Counter()
    for network, module in training.networks.items():

        def ran(_: nn.Module, __: Any, ___: Any, network: str = network) -> None:
            runs[network] += 1

        module.register_forward_hook(ran)
    for phase in experiment.recipe.phases:

        def step(*_: Any, phase: Any = phase) -> None:
            events.append(phase.name)
            for network, module in training.networks.items():
                gradients = [parameter.grad is not None for parameter in module.parameters()]
                assert any(gradients) == (network in phase.train), (phase.name, network)
                module.zero_grad()

        training.optimizers[phase.name].step = step
    train_step(training, [next(epoch_of(loader, 0))])
    return events, runs


def test_pix2pix_runs_its_generator_once(fabric: Fabric) -> None:
    for name in ("pix2pix", "mrf_pix2pix", "ticcgan"):
        events, runs = step_of(fabric, name, "data.source={demo: {train: 2, test: 1, size: 256}}")
        assert (events, runs["generator"]) == (["critic", "generator"], 1)


@pytest.mark.slow
def test_the_multi_scale_paper_runs_its_generator_again_for_the_critics(fabric: Fabric) -> None:
    events, runs = step_of(fabric, "multiscale_structure")
    assert (events, runs["generator"]) == (["generator", "critics"], 2)
    events, runs = step_of(fabric, "multiscale_structure", "keep=[fake]")
    assert (events, runs["generator"]) == (["generator", "critics"], 1)
    events, runs = step_of(fabric, "pix2pixhd")
    assert (events, runs["generator"]) == (["generator", "critic"], 1)


def test_the_order_of_the_phases_is_an_option(fabric: Fabric) -> None:
    events, runs = step_of(fabric, "cyclegan_resnet9")
    assert events == ["generators", "critics"]
    assert (runs["to_target"], runs["to_source"], runs["is_target"], runs["is_source"]) == (3, 3, 3, 3)
    events, runs = step_of(fabric, "cyclegan_resnet9", "keep=null")
    assert (events, runs["to_target"]) == (["generators", "critics"], 4)
    events, runs = step_of(fabric, "gn_cyclegan", "params.critic_steps=3")
    assert events == ["critics", "critics", "critics", "generators"]
    assert (runs["to_target"], runs["is_target"]) == (3 + 2, 3 * 2 + 1)  # an image for each draw, as in its table 1
    events, runs = step_of(fabric, "gn_cyclegan", "params.critic_steps=3", "variant=[tiny, one_draw]")
    assert (runs["to_target"], runs["is_target"]) == (3, 3 * 2 + 1)


def test_the_losses_of_normalised_and_plain_scores_are_mixed(fabric: Fabric) -> None:
    """Of one pass of the critic: its scores as they are, and divided by their slope."""
    experiment = check("gn_cyclegan", ["variant=[tiny, mixed_losses]", "params.mixed=0.25"])
    weights = {
        f"{phase.name}.{name}": term.weight for phase in experiment.recipe.phases for name, term in phase.terms.items()
    }
    assert {name: weight for name, weight in weights.items() if "target" in name and "cycle" not in name} == {
        **{"critics.target": 0.125, "critics.plain_target": 0.375},
        **{"generators.adversarial_target": 0.25, "generators.plain_target": 0.75, "generators.identity_target": 5.0},
    }
    critic, image = build_network(experiment, "is_target"), torch.rand(2, 3, 32, 32, requires_grad=True)
    outputs = critic(image)
    [slope] = torch.autograd.grad(outputs["plain"].sum(), image, retain_graph=True)
    norm = slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(outputs["score"], outputs["plain"] / (norm + outputs["plain"].abs()))
    events, runs = step_of(fabric, "gn_cyclegan", "variant=[tiny, mixed_losses]")
    assert events == ["critics", "generators"]
    assert runs["is_target"] == step_of(fabric, "gn_cyclegan")[1]["is_target"]


def test_gn_cyclegan_as_printed(fabric: Fabric) -> None:
    """Equations 3 to 5: D is a square in [0, 1], its logarithms are to the base of ten."""
    experiment = check("gn_cyclegan", ["variant=[tiny, printed, probabilities]"])
    critics, generators = experiment.phases
    scores = torch.rand(2, 1, 3, 3, dtype=torch.float64)
    for term, formula in (
        (critics.losses["target"], lambda real, fake: -(torch.log10(real).mean() + torch.log10(1 - fake).mean())),
        (generators.losses["adversarial_target"], lambda fake: torch.log10(1 - fake).mean()),
    ):
        given = (scores, scores.flip(0))[: len(term.entry.inputs)]
        value = term.term.weight_at(0, 1) * term.entry.factory(*given, **term.term.arguments)
        torch.testing.assert_close(value, formula(*given), rtol=1e-4, atol=0)
    assert "identity_target" not in generators.losses
    score = build_network(experiment, "is_target")(torch.rand(1, 3, 32, 32)).detach()
    assert 0 <= float(score.min()) <= float(score.max()) < 1
    assert step_of(fabric, "gn_cyclegan", "variant=[tiny, printed, probabilities]")[0] == ["critics", "generators"]


def test_the_second_generator_of_gn_cyclegan_may_come_after_the_first(fabric: Fabric) -> None:
    events, runs = step_of(fabric, "gn_cyclegan", "variant=[tiny, one_by_one]")
    assert events == ["critics", "to_target", "to_source"]
    assert runs["to_target"] > step_of(fabric, "gn_cyclegan")[1]["to_target"]


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan_resnet9", "gn_cyclegan", "mrf_pix2pix"])
def test_u2net_is_a_generator_of_gans(name: str, fabric: Fabric) -> None:
    settings = ["params.width=8", "data.source={demo: {train: 2, test: 1, size: 64}}", "data.load=64", "data.size=64"]
    events, _ = step_of(fabric, name, "variant=[tiny, u2net]", *settings)
    assert len(events) == 2
    experiment = check(name, ["variant=[tiny, u2net]", *settings])
    generators = [plan for name, plan in experiment.plans.items() if name in ("generator", "to_target", "to_source")]
    assert all(plan.graph.name == "u2net_cca_generator" and len(plan.outputs) == 1 for plan in generators)


def test_squared_distances_of_features_are_a_variant() -> None:
    terms = check("multiscale_structure", ["variant=squared"]).recipe.phases[0].terms
    distances = {name: term.arguments.get("distance") for name, term in terms.items()}
    wanted = {"matching": "l2", "pair_matching": "l2", "perceptual": "mse"}
    assert {name: distance for name, distance in distances.items() if distance} == wanted


def test_the_similarity_of_bridged_unet_has_the_constants_of_its_code() -> None:
    [phase] = load_recipe("bridged_unet").phases
    assert phase.terms["structure"].arguments["k"] == [0.01, 0.04]
    assert phase.terms["structure"].weight == 0.84


def test_cut_runs_its_generator_on_both_bands_and_on_what_it_made_of_them(fabric: Fabric) -> None:
    events, runs = step_of(fabric, "cut")
    assert events == ["critic", "generator"]
    assert (runs["generator"], runs["head"], runs["critic"]) == (4, 2, 3)


def test_the_generator_of_pix2pix_ir2vi_learns_from_pixels_alone(fabric: Fabric) -> None:
    assert load_recipe("pix2pix_ir2vi").phases[0].terms["adversarial"].weight == 0
    assert step_of(fabric, "pix2pix_ir2vi")[0] == ["generator", "critic"]


# ---------------------------------------------------------------------- from the first step to a translated image


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_resumes_evaluates_and_translates(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    tables = train(name, settings=[*TINY, "steps=2"], run=whole, silent=True).tables
    monkeypatch.setattr(Session, "_pictures", lambda *_: {})  # one run with pictures is enough
    train(name, settings=[*TINY, "steps=1"], run=parts, silent=True)
    train(resume=parts, settings=["steps=2"], silent=True)
    for file in sorted((whole / "weights").iterdir()):
        one, other = load_file(file), load_file(parts / "weights" / file.name)
        assert all(torch.equal(one[key], other[key]) for key in one), file.name
    model = load(whole)
    assert model.evaluate(silent=True).tables[name].summary == tables[name].summary
    recipe = load_recipe(name)
    height, width, channels = 45, 70, 3 if recipe.source == "visible" else 1
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    write_image(tmp_path / "in.png", image)
    model.translate(tmp_path / "in.png", tmp_path / "out.png")
    result = read_image(tmp_path / "out.png")
    assert result.shape == (height, width, once.experiment(name).bands[recipe.target])
