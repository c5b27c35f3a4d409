"""What stands beside a run: figures of papers that are not of its system are told from those that are."""

from pathlib import Path

import pytest
from commandline import succeed

from crossband.recipes import check, load_recipe, shipped
from crossband.recipes.language.papers import beside
from crossband.recipes.model.run_folder import RunFolder
from crossband.recipes.model.task import Task
from crossband.recipes.training.folder import write_recipe


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_is_the_system_of_its_paper(name: str) -> None:
    recipe = load_recipe(name)
    for paper in beside(recipe):
        other = recipe.data.source == "flir" and paper.data.startswith("OSU")  # a row for each data set
        assert paper.differs == ("this run sees images of `flir`" if other else "")


@pytest.mark.parametrize(
    ("name", "settings", "reasons"),
    [
        ("u2net", ["data.batch=4", "epochs=3", "seed=2"], [""]),
        ("u2net", ["data.source.llvip.folder=elsewhere"], [""]),
        (
            "u2net",
            ["task.from=infrared", "task.to=visible", "params.width=8"],
            ["this run translates infrared to visible, and not visible to infrared"],
        ),
        ("u2net", ["networks.generator.graph=u2net_cca"], ["`generator` is `u2net_cca` here, and not `u2net`"]),
        ("u2net", ["params.width=8"], ["`generator` has `width` 8 for 64"]),
        ("u2net", ["data.source=demo"], ["this run sees images of `demo`"]),
        (
            "u2net",
            ["variant=tiny"],
            ["`generator` has `width` 8 for 64, `most` 16 for 512; this run sees images of `demo`"],
        ),
        (
            "pix2pix",
            ["data.source.kaist.split.test={every: 10}"],
            ["this run takes other images of `kaist`: its `split` differs"],
        ),
        (
            "multiscale_structure",
            ["data.source={kaist: {folder: elsewhere}}"],
            ["this run takes other images of `kaist`: its `sets` and its `split` differ"],
        ),
        ("ladlenet", ["data.source={pairs: {folder: a}}"], ["this run sees images of `pairs`"]),
        ("cyclegan_resnet9", ["variant=osu"], ["this run sees images of `osu`", ""]),
        ("cyclegan_resnet9", [], ["", "this run sees images of `flir`"]),
        ("gn_cyclegan", ["params.critic_steps=2"], ["", "this run sees images of `flir`"]),
    ],
)
def test_what_settings_change_is_said_beside_the_figures(name: str, settings: list[str], reasons: list[str]) -> None:
    assert [paper.differs for paper in beside(load_recipe(name, settings))] == reasons


@pytest.mark.parametrize("name", [name for name in shipped() if load_recipe(name).paper])
def test_a_shipped_recipe_that_is_turned_around_has_no_figure_to_compare_with(name: str) -> None:
    task = load_recipe(name).resolved["task"]
    turned = [f"task.from={task['to']}", f"task.to={task['from']}"]
    for paper in beside(load_recipe(name, turned)):
        assert paper.differs.startswith(
            f"this run translates {task['to']} to {task['from']}, and not {task['from']} to"
        )


def test_show_says_of_figures_why_they_cannot_be_compared() -> None:
    text = succeed("show", "pix2pix", "--set", "task.from=infrared", "--set", "task.to=visible", "--kind", "recipe")
    said = "(psnr 26.646), (ssim 0.793), as this run translates infrared to visible, and not visible to infrared"
    assert said in text


def test_the_recipe_of_a_run_keeps_what_differs(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    experiment = check("u2net", ["variant=tiny", "task.from=infrared", "task.to=visible"])
    write_recipe(run, experiment)
    again = check(run.recipe)
    [paper] = Task.of(again).papers
    said = "this run translates infrared to visible, and not visible to infrared; this run sees images of `demo`"
    assert paper.differs == said
    write_recipe(run, again)
    assert [each.differs for each in Task.of(check(run.recipe)).papers] == [said]
