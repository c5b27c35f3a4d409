"""Table files: what they may say, what is wrong with them and where, and what is shown of them."""

import json
from pathlib import Path

import pytest
from commandline import RECIPE, graph_file, run, succeed

from crossband.graphs.language.diagnostics import InvalidFile, Problems
from crossband.recipes.language.catalog import TABLES
from crossband.recipes.language.papers import paper_of
from crossband.recipes.language.tables import Comparison, check_rows, load_table, load_table_into

TABLE = """
table: mine
cite: isola2017pix2pix
doc: Two widths of one network.
rows:
  narrow: small_recipe.yaml
  wide & flat: {recipe: small_recipe.yaml, settings: {networks.to_ir.params.width: 6}, note: six channels}
protocol:
  data.batch: 1
  steps: 2
columns: [psnr, mae, parameters]
paper:
  source: isola2017pix2pix
  table: table 1
  data: scenes that are drawn
  task: {from: visible, to: infrared}
  values:
    narrow: {psnr: 20.50, parameters: 0.1}
    wide & flat: {psnr: {value: 21, note: read off a plot}}
variants:
  short: {steps: 1}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of two rows beside the recipe and the graph that it names."""
    graph_file(tmp_path)
    (tmp_path / "small_recipe.yaml").write_text(RECIPE)
    path = tmp_path / "mine.yaml"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize("name", TABLES.files())
@pytest.mark.parametrize("settings", [[], ["variant=tiny"]])
def test_a_shipped_table_is_right(name: str, settings: list[str]) -> None:
    found = load_table(name, settings)
    experiments = check_rows(found)
    directions = {(each.recipe.sources, each.recipe.target) for each in experiments.values()}
    protocols = {json.dumps(each.recipe.resolved["data"]["source"]) for each in experiments.values()}
    assert len(directions) == len(protocols) == 1, "all rows of a table are of one direction, on the same images"
    if not settings:
        papers = [paper_of(found, row) for row in found.rows]
        claim = name.startswith("claim_")  # something that a paper says and does not measure
        assert any(papers) != claim, "a table of a paper has its figures, one of a claim has none"
        assert not [paper.differs for paper in papers if paper and paper.differs]
    else:
        assert all(each.recipe.data.source == "demo" and (each.recipe.steps or 9) < 9 for each in experiments.values())


def test_settings_are_laid_over_each_other(table: Path) -> None:
    found = load_table(table, ["variant=short", "seed=3", "data.batch=2"])
    narrow, wide = check_rows(found).values()
    assert (narrow.recipe.steps, narrow.recipe.data.batch, narrow.recipe.seed) == (1, 2, 3)
    assert narrow.recipe.networks["to_ir"].params["width"] == 2
    assert wide.recipe.networks["to_ir"].params["width"] == 6
    assert found.rows[1].folder == "wide_flat"
    assert (found.seeds, found.reference, found.metrics) == ((0,), "narrow", ("psnr", "mae"))


def test_a_row_departs_from_the_protocol_and_variants_add_up(table: Path) -> None:
    text = TABLE.replace("{networks.to_ir.params.width: 6}", "{steps: 5, variant: a}")
    table.write_text(text.replace("short: {steps: 1}", "short: {variant: [b], data.size: 32}"))
    more = "variants: {a: {data.batch: 3, seed: 1}, b: {seed: 2}}\n"
    (table.parent / "small_recipe.yaml").write_text(RECIPE + more)
    found = load_table(table, ["variant=short"])
    wide = check_rows(found)["wide & flat"].recipe
    assert found.rows[1].departs == ("steps",)
    assert (wide.steps, wide.seed, wide.data.geometry["size"], wide.data.batch) == (5, 2, 32, 1)


def test_paths_are_relative_to_the_file_that_says_them(table: Path, tmp_path: Path) -> None:
    settings = "{data.source: {pairs: {folder: photos}}}"
    table.write_text(TABLE.replace("{networks.to_ir.params.width: 6}", settings))
    recipe = check_rows(load_table(table))["wide & flat"].recipe
    assert recipe.data.arguments["folder"] == str(tmp_path / "photos")


def test_figures_are_bound_to_direction_and_data(table: Path) -> None:
    def differs(found: Comparison) -> list[str]:
        return [paper.differs for row in found.rows if (paper := paper_of(found, row))]

    assert differs(load_table(table)) == ["", ""]
    turned = ["task.from=infrared", "task.to=visible", "flow.fake=to_ir(infrared)"]
    said = "this run translates infrared to visible, and not visible to infrared"
    assert differs(load_table(table, turned)) == [said, said]
    assert differs(load_table(table, ["data.source={pairs: {folder: a}}"])) == ["this run sees images of `pairs`"] * 2
    assert differs(load_table(table, ["networks.to_ir.params.width=3"])) == [
        "`to_ir` has `width` 3 for 2",
        "`to_ir` has `width` 3 for 6",
    ]
    table.write_text(TABLE.replace("task: {from: visible, to: infrared}", "task: {from: infrared, to: visible}"))
    assert differs(load_table(table)) == ["this run translates visible to infrared, and not infrared to visible"] * 2


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("table: mine", "recipe: mine", "E007 a recipe has no `rows`, `columns`, `protocol`, which make a table"),
        ("columns: [psnr, mae, parameters]", "", "2:1 E007 the table needs the key `columns` | add `columns:`"),
        ("mae,", "mea,", "11:17 E070 no column named `mea` | did you mean `m"),
        ("mae,", "psnr,", "11:10 E006 `columns` must have nothing twice, got ["),
        ("narrow: small", "narrow: smal", "6:11 E001 no such file: `"),
        ("recipe: small_recipe.yaml", "recipe: pix2pics", "7:25 E078 no recipe named `pix2pics` | did you mean"),
        ("    narrow: {psnr", "    narow: {psnr", "18:5 E070 no row named `narow` | did you mean `narrow`?"),
        ("parameters: 0.1", "prams: 0.1", "18:27 E070 no metric named `prams`"),
        ("steps: 2", "seed: 2", "10:3 E005 a table sets `seed` | seeds stand at the top"),
        ("wide & flat", "Narrow!", "7:3 E016 the rows `narrow` and `Narrow!` would have one folder"),
        ("columns:", "reference: none\ncolumns:", "11:12 E070 no row named `none` | choose from `narrow`"),
        ("columns:", "epochs: 3\ncolumns:", "11:1 E005 the table takes no key `epochs` | what all rows share is"),
        ("columns:", "seeds: [1, 1]\ncolumns:", "11:8 E006 `seeds` must have nothing twice, got [1, 1]"),
        ("columns:", "seeds: -1\ncolumns:", "11:8 E006 `seeds` must be at least 0, got -1"),
        (
            "{from: visible, to: infrared}",
            "visible",
            "16:9 E006 `task` must be a mapping, got `visible` | write `task:",
        ),
        ("steps: 2", "stepz: 2", "10:3 E005 the recipe takes no key `stepz` | did you mean `steps`?"),
        ("params.width: 6", "params.widht: 6", "E070 the graph `small` has no param `widht` | did you mean `width`?"),
    ],
)
def test_what_is_wrong_has_its_place(table: Path, right: str, wrong: str, message: str) -> None:
    assert right in TABLE
    table.write_text(TABLE.replace(right, wrong))
    problems = Problems()
    if found := load_table_into(table, problems):
        with pytest.raises(InvalidFile) as raised:
            check_rows(found)
        problems = raised.value.problems
    texts = []
    for each in problems:
        mark = each.place.mark if each.place else None
        texts.append(
            f"{mark.line if mark else 0}:{mark.column if mark else 0} {each.code} {each.message} | {each.hint}"
        )
    assert [text for text in texts if message in text], texts
    assert len(texts) == 1


def test_a_table_that_is_not_there_and_a_variant_that_is_not(table: Path) -> None:
    assert "E087 no table named `gn_cyclegan_flirr`" in str(_refused("gn_cyclegan_flirr"))
    assert "settings:1:9: E070 no variant named `shrot`" in str(_refused(table, "variant=shrot"))


def _refused(name: str | Path, *settings: str) -> InvalidFile:
    with pytest.raises(InvalidFile) as raised:
        load_table(name, settings)
    return raised.value


def test_check_show_schema_and_cite_know_tables(table: Path) -> None:
    assert succeed("check", table) == "table mine: 2 rows, 3 columns, 1 seed\n"
    text = succeed("show", table)
    assert "wide & flat  " in text
    assert "networks.to_ir.params.width=6" in text
    assert "psnr 20.5, parameters 0.1" in text
    assert (
        json.loads(succeed("show", table, "--json"))["rows"][1]["paper"]["values"]["psnr"]["note"] == "read off a plot"
    )
    assert succeed("show", table, "--resolved").startswith("table: mine\n")
    assert "rows" in json.loads(succeed("schema", "table"))["properties"]
    assert "isola2017pix2pix" in succeed("cite", table)
    assert "gn_cyclegan_flir" in succeed("ls", "tables")
    assert "settings of every row" in succeed("show", "format", "table").lower()
    done = run("train", table)
    assert done.exit_code == 1
    assert "a recipe is wanted here, and this is the table `mine`" in done.output
