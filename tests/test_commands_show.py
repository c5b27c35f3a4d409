"""`crossband show` of graphs, recipes and all that is registered."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commandline import SMALL, graph_file, recipe_file, run, succeed

from crossband.graphs import check
from crossband.graphs.plans.cost import cost
from crossband.graphs.plans.image_size import usual
from crossband.recipes.commands import listing
from crossband.recipes.commands.show_entry import type_text

SHOWN = [(many, one) for many, one in listing.KINDS.items() if many not in listing.CATALOGS]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return graph_file(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return recipe_file(tmp_path)


def test_show_a_graph_as_json(small: Path) -> None:
    found = json.loads(succeed("show", small, "--json", "--size", "8x6"))
    assert found["graph"] == "small"
    assert found["parameters"] == 4 * 3 * 4 + 8 + 5
    assert found["macs"] == 4 * 3 * 4 * 12 + 4 * 48
    assert found["size"] == {"multiple": 2, "minimum": 2, "rule": "H and W: multiples of 2"}
    assert found["outputs"] == {"up": [1, "2·⌊H/2⌋", "2·⌊W/2⌋"]}
    assert found["taps"] == {"deep": [4, "H/2", "W/2"]}
    assert [node["name"] for node in found["nodes"]] == ["down", "up"]
    assert [node["shape"] for node in found["nodes"]] == [[4, 4, 3], [1, 8, 6]]
    assert [node["receptive_field"] for node in found["nodes"]] == [2, 2]
    assert found["params"] == {"width": 4}
    assert len(found["digest"]) == 64


def test_show_a_graph_as_a_table(small: Path) -> None:
    text = succeed("show", small)
    assert re.search(r"^node +blocks +output +parameters +MACs +field$", text, re.MULTILINE)
    assert re.search(r"^down +Conv +4×H/2×W/2 +56 +786 k +2$", text, re.MULTILINE)
    assert re.search(r"^up +Resize, Conv +1×", text, re.MULTILINE)
    assert re.search(r"^MACs +1\.05 M for an image of 256x256$", text, re.MULTILINE)
    assert "1×10×8" in succeed("show", small, "--size", "10x8")


def test_settings_change_what_is_shown(small: Path) -> None:
    plain, wide = (json.loads(succeed("show", small, "--json", *more)) for more in ([], ["--set", "width=8"]))
    assert wide["params"] == {"width": 8}
    assert wide["parameters"] > plain["parameters"]
    assert wide["digest"] != plain["digest"]


def test_a_graph_that_takes_few_sizes_is_measured_at_one_that_is_given(small: Path) -> None:
    small.write_text(SMALL.replace("[1, H, W]}", "[1, W, H]}"))  # so that only squares pass
    assert json.loads(succeed("show", small, "--json"))["measured_at"] == {"H": 256, "W": 256}
    result = run("show", small, "--size", "64x32")
    assert result.exit_code == 1
    assert "E034 64x32 does not pass through `small`" in result.stderr


def test_show_resolved_is_a_graph_again(small: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(succeed("show", small, "--resolved"))
    first, second = (json.loads(succeed("show", path, "--json")) for path in (small, again))
    assert first["digest"] == second["digest"]


def test_show_code_is_the_forward_pass(small: Path) -> None:
    text = succeed("show", small, "--code")
    assert text.startswith("def forward(self, image):")
    assert "self.down(image)" in text


def test_show_svg_writes_a_picture_of_a_broken_graph_too(small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "made" / "small.svg"
    assert succeed("show", small, "--svg", picture) == ""
    assert picture.read_text().lstrip().startswith("<")
    picture.unlink()
    small.write_text(SMALL.replace("Resize", "Resise"))
    result = run("show", small, "--svg", picture)
    assert result.exit_code == 1
    assert "did you mean `Resize`" in result.stderr
    assert "</svg>" in picture.read_text()


def test_a_picture_that_cannot_be_written_is_told(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("show", small, "--svg", tmp_path / "file" / "x.svg")
    assert result.exit_code == 1
    assert "x.svg: cannot be written: a part of its path is a file, and not a folder" in result.stderr


def test_show_a_recipe(recipe: Path) -> None:
    found = json.loads(succeed("show", recipe, "--json", "--set", "data.batch=4"))
    assert found["recipe"] == "tiny"
    assert found["doc"] == "A recipe in small"
    assert found["parameters"] == found["networks"]["to_ir"]["parameters"] == 2 * 3 * 4 + 4 + 3
    assert found["flow"] == {"fake": "to_ir(visible)"}
    [phase] = found["phases"]
    assert phase["losses"]["spectrum"] == {"loss": "fft_l1(fake, infrared; mode=amplitude)", "weight": 1}
    assert found["data"]["batch"] == 4
    text = succeed("show", recipe)
    assert re.search(r"^to_ir +small +width=2 +31 +H and W: multiples of 2$", text, re.MULTILINE)
    assert re.search(r"pixel +10 +l1\(fake, infrared\)$", text, re.MULTILINE)
    assert re.search(r"^recipe +tiny: A recipe in small$", text, re.MULTILINE)


def test_show_the_figures_of_the_paper() -> None:
    text = succeed("show", "u2net_cca_fft", "--kind", "recipe")
    assert re.search(r"^paper +fan2025, .* row, on LLVIP.*: psnr 37.34, ssim 0.891, \(mae 8.028\),", text, re.MULTILINE)
    [paper] = json.loads(succeed("show", "u2net_cca_fft", "--kind", "recipe", "--json"))["paper"]
    assert paper["values"]["psnr"] == {"value": 37.34, "comparable": True, "note": ""}


@pytest.mark.parametrize(("kind", "name"), [(one, item.name) for many, one in SHOWN for item in listing.items(many)])
def test_show_what_is_registered(kind: str, name: str) -> None:
    found = json.loads(succeed("show", name, "--json", "--kind", kind))
    text = succeed("show", name, "--kind", kind)
    assert (found["kind"], found["name"]) == (kind, name)
    assert found["doc"] in text
    assert Path(found["written_in"].partition(".py")[0] + ".py").is_file()
    for parameter in found["params"]:
        assert re.search(rf"^{parameter['name']} +{re.escape(parameter['type'])} +\S", text, re.MULTILINE)
    assert ("what it is" in text) is any("description" in parameter["schema"] for parameter in found["params"])


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "psnr",
            r"^metric +psnr$.^title +PSNR$.^better +higher$.^unit +dB$.^takes +images in \[0, 1\]$.^range +at least 0$.^measured over +each image$",
        ),
        ("fid", r"^measured over +the whole set$"),
        (
            "pool",
            r"^function +pool$.^takes +1 value$.^gives +values in the same range$.^shows +other scenes than it is given$.^gradient +does not pass$.^cite +shrivastava2017simgan$",
        ),
        ("PatchSample", r"^contract +b c h w, b c h w -> .{50,}$.^outputs +query, key$"),
        ("cat", r"^takes +2 or more values$"),
        ("Adam", r"^optimizer +Adam$.^cite +kingma2015adam$"),
        ("Adam", r"^betas +\[float >= 0, < 1, float >= 0, < 1\] +\[0.9, 0.999\]$"),
        ("hold", r"^schedule +hold$.^written +{hold: ..., decay: ...}$"),
        ("hold", r"^warmup +int >= 0 +0 +Epochs \(or steps\) over which the rate rises from near zero$"),
        ("demo --kind source", r"^bands +visible: 3, infrared: 1$.^pairing +paired, unpaired$"),
        ("MultiScale", r"^wraps +the graph, before it is built$"),
        ("torchvision_resnet101", r"^key map +torchvision_resnet101$.^for +deeplabv3plus$.^fills +stem, layer1"),
        ("torchvision_resnet101", r"^conv1.{leaf} +stem.conv.{leaf}$"),
    ],
)
def test_each_kind_shows_what_only_it_has(name: str, line: str) -> None:
    assert re.search(line.replace("$.^", "$\n^"), succeed("show", *name.split()), re.MULTILINE)


def test_a_name_of_two_kinds_shows_both() -> None:
    result = run("show", "cosine")
    assert result.stdout.startswith("loss")
    assert "`cosine` is a schedule too: `--kind schedule` shows it" in result.stderr
    assert succeed("show", "cosine", "--kind", "schedule").startswith("schedule")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "minimum": 2, "maximum": 9}, "int >= 2, <= 9"),
        ({"type": "number", "exclusiveMinimum": 0}, "float > 0"),
        ({"type": ["integer", "null"], "minimum": 1}, "int >= 1 or null"),
        ({"enum": ["none", "batch", None]}, "`none` or `batch` or null"),
        ({"if": {"enum": ["same"]}, "then": {}, "else": {"type": "integer"}}, "`same` or int"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "array", "prefixItems": [{"type": "number"}] * 2}, "[float, float]"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "mapping to bool"),
    ],
)
def test_types_in_words(schema: dict[str, Any], expected: str) -> None:
    assert type_text(schema) == expected


def test_the_costs_of_shipped_graphs_are_at_hand_at_their_usual_size_and_else_counted() -> None:
    plan, other = check("resnet9"), check("resnet9", {"blocks": 3})
    assert listing.kept_cost(plan, usual(plan)) == cost(plan, usual(plan))
    assert listing.kept_cost(plan, {"H": 64, "W": 64}) is None
    assert listing.kept_cost(other, usual(other)) is None
