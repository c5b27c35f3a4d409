"""Pictures, curves and the report of a run: what is drawn is what was given, and files are whole."""

import csv
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from crossband.recipes.basics.files import replacing
from crossband.recipes.basics.parts import Grid, Notes, markdown, markdown_table
from crossband.recipes.metrics.evaluation import Summary, Table
from crossband.recipes.metrics.results import Results, comparison, remarks
from crossband.recipes.reporting.curves import curves, draw_curves, read_log
from crossband.recipes.reporting.pictures import BROKEN, contact_sheet, draw, sample_grid, save
from crossband.recipes.reporting.report import Report, write_report
from crossband.recipes.reporting.sheet import write_sheet
from crossband.registry import CrossbandError, visible

# ---------------------------------------------------------------- files


def test_a_file_is_replaced_whole_or_left_alone(tmp_path):
    file = tmp_path / "new" / "file.txt"
    with replacing(file) as temporary:
        temporary.write_text("first")
        assert not file.exists()
    assert file.read_text() == "first"
    with pytest.raises(TypeError), replacing(file) as temporary:
        temporary.write_bytes(b"half") and temporary.write_text(1)  # type: ignore[arg-type]
    assert file.read_text() == "first"
    assert os.listdir(file.parent) == ["file.txt"]


# ---------------------------------------------------------------- pictures


def test_grey_is_drawn_grey_and_colour_in_colour():
    ramp = torch.linspace(0, 1, 256).view(1, 1, 256)
    assert np.array_equal(np.asarray(draw(ramp)), np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, -1))
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    assert draw(red).getpixel((0, 0)) == (255, 0, 0)
    assert draw(red, "inferno").getpixel((0, 0)) == (255, 0, 0)  # a colormap is for one channel
    black, white = np.asarray(draw(torch.tensor([[[0.0, 1.0]]]), "inferno"))[0]
    assert black.max() < 5
    assert white[:2].min() > 240


def test_values_outside_the_range_are_held_and_broken_ones_are_seen():
    image = torch.tensor([-3.0, 0.5, 7.0, torch.nan, torch.inf]).view(1, 1, 5)
    assert [draw(image).getpixel((x, 0)) for x in range(5)] == [(0,) * 3, (128,) * 3, (255,) * 3, BROKEN, BROKEN]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_precision_and_a_gradient_can_be_drawn(dtype):
    assert draw(torch.full((1, 2, 2), 0.5, dtype=dtype, requires_grad=True)).getpixel((1, 1)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("image", "colormap", "message"),
    [
        (torch.zeros(2, 4, 4), None, r"c = 1 or 3, got \(2, 4, 4\) torch.float32"),
        (torch.zeros(1, 1, 4, 4), None, r"got \(1, 1, 4, 4\)"),
        (torch.zeros(1, 4, 4, dtype=torch.uint8), None, "got .* torch.uint8"),
        (torch.zeros(1, 4, 4), "infurno", "no colormap named `infurno`\nhint: did you mean `inferno`"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, colormap, message):
    with pytest.raises(CrossbandError, match=message):
        draw(image, colormap)


def test_a_grid_holds_the_images_and_their_error_side_by_side():
    shape = (2, 1, 64, 64)
    columns = {"input": torch.rand(2, 3, 64, 64), "output": torch.zeros(shape), "target": torch.full(shape, 0.25)}
    grid = np.asarray(sample_grid(columns, ["first", "second"], width=64))
    row = grid[100]  # one line of pixels across the first row: each cell is 64 wide, with 8 between them
    starts = [16 + 72 * i for i in range(4)]
    assert np.array_equal(row[starts[0] : starts[0] + 64], np.asarray(draw(columns["input"][0]))[100 - 16 - 22])
    assert (row[starts[1] : starts[1] + 64] == 0).all()
    assert (row[starts[2] : starts[2] + 64] == 64).all()
    half = np.asarray(draw(torch.full((1, 1, 1), 0.5), "magma"))[0, 0]  # 0.25 on a scale to 0.5
    assert (row[starts[3] : starts[3] + 64] == half).all()
    assert grid.shape[1] == starts[3] + 64 + 16
    without = sample_grid(columns, ["first", "second"], width=64, errors=())
    assert without.width == grid.shape[1] - 72


def test_a_grid_takes_images_of_any_size_and_long_names():
    columns = {
        "input": [torch.rand(3, 30, 500), torch.rand(3, 500, 7)],
        "output": [torch.rand(1, 30, 500), torch.rand(1, 500, 7)],
    }
    assert sample_grid(columns, ["a" * 500, "Ωβж"]).width == 16 + 256 + 8 + 256 + 16
    assert sample_grid({}, []).width > 0


def test_small_images_are_enlarged_by_a_whole_factor():
    grid = np.asarray(sample_grid({"output": torch.tensor([[[[0.0, 1.0]]]])}, ["a"], width=9))
    assert [grid[40, 16 + x, 0] for x in range(8)] == [0] * 4 + [255] * 4


def test_a_column_needs_an_image_for_each_name():
    with pytest.raises(CrossbandError, match="the column `target` has 1 images for 2 names"):
        sample_grid({"output": torch.rand(2, 1, 4, 4), "target": torch.rand(1, 1, 4, 4)}, ["a", "b"])
    with pytest.raises(CrossbandError, match="got 0 and 0"):
        contact_sheet([], [])


def test_a_contact_sheet_has_a_place_for_each_image():
    sheet = contact_sheet([torch.ones(1, 20, 40) * 0.5] * 5, list("abcde"), across=2, width=40)
    assert sheet.size == (16 + 40 + 8 + 40 + 16, 16 + 3 * (20 + 22 + 8) - 8 + 16)
    cells = [(16 + 48 * (i % 2), 16 + 50 * (i // 2)) for i in range(6)]
    assert [sheet.getpixel(cell) == (128, 128, 128) for cell in cells] == [True] * 5 + [False]


def test_a_saved_picture_is_a_png(tmp_path):
    picture = draw(torch.rand(3, 5, 7))
    path = save(picture, tmp_path / "deep" / "picture.png")
    with Image.open(path) as read:
        assert read.format == "PNG"
        assert np.array_equal(np.asarray(read), np.asarray(picture))
    assert os.listdir(path.parent) == ["picture.png"]


# ---------------------------------------------------------------- curves

LOG = [
    {"step": 1, "epoch": 0, "losses": {"generators": {"l1": 0.5, "fft_l1": 0.25}}},
    {
        "step": 2,
        "lr": 1e-3,
        "losses": {"generators": {"l1": 0.4, "fft_l1": 0.2}},
        "validation": {"psnr": 20, "mae": 0.1},
    },
]


def test_curves_are_the_numbers_inside_mappings():
    assert curves(LOG) == {
        "losses/generators/l1": [(1, 0.5), (2, 0.4)],
        "losses/generators/fft_l1": [(1, 0.25), (2, 0.2)],
        "validation/psnr": [(2, 20.0)],
        "validation/mae": [(2, 0.1)],
    }


def test_a_log_is_read_up_to_a_line_that_was_cut_off(tmp_path):
    file = tmp_path / "metrics.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in LOG)
    file.write_text(text + '{"step": 3, "loss')
    assert read_log(file) == LOG


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"step": 1}\nnonsense\n{"step": 2}\n', r"metrics.jsonl:2: damaged: not JSON"),
        ('{"epoch": 1}\n', r"metrics.jsonl:1: damaged: it has no `step`"),
        ("[1]\n", r"metrics.jsonl:1: damaged: it must be an object with a whole number `step`, got \[1\]"),
    ],
)
def test_a_broken_log_is_named_with_its_line(tmp_path, text, message):
    file = tmp_path / "metrics.jsonl"
    file.write_text(text)
    with pytest.raises(CrossbandError, match=message):
        read_log(file)


def test_a_missing_log_and_an_empty_one_say_so(tmp_path):
    with pytest.raises(CrossbandError, match="no such file"):
        read_log(tmp_path / "metrics.jsonl")
    with pytest.raises(CrossbandError, match="there is nothing to draw"):
        draw_curves({}, tmp_path / "curves.png")
    assert os.listdir(tmp_path) == []


def test_curves_are_drawn_with_gaps_spikes_and_many_points(tmp_path):
    values = [float("nan") if step % 50 == 0 else 10.0 ** (-step / 500) for step in range(2000)]
    found = curves(LOG) | {"losses/critics/ir": list(enumerate(values)), "losses/flat": [(0, 0.0)]}
    path = draw_curves(found, tmp_path / "curves.png", title="run")
    with Image.open(path) as picture:
        assert picture.width > 1000
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 24) or []}
    assert {(0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)} <= colours  # two terms in one panel
    assert os.listdir(tmp_path) == ["curves.png"]


# ---------------------------------------------------------------- report

RUN = Table(
    {"a": {"mae": 0.1}},
    {"mae": Summary(0.1, 0.02, 7), "psnr": Summary(float("inf"), None, 7), "corr_input": Summary(0.5, None, 1)},
    {"lpips": "no weights\nhint: fetch them", "fid": "one image"},
    {"psnr": "infinite for all 7 images"},
)
GREY = Table(
    {"a": {"mae": 0.2}},
    {"mae": Summary(0.2, None, 7), "psnr": Summary(12.3456, 1.0, 6), "corr_input": Summary(1.0, None, 1)},
    {"lpips": "no weights\nhint: fetch them"},
)


def test_the_comparison_marks_the_best_where_one_is_better():
    assert comparison({"run": RUN, "grey copy": GREY}) == Grid(
        ["metric", "run", "grey copy", "n"],
        [
            ["MAE ↓", "0.1000 ± 0.0200", "0.2000", "7"],
            ["PSNR (dB) ↑", "∞", "12.35 ± 1.00", "7, 6"],
            ["corr. with input", "0.500", "1.000", "1"],
        ],
        frozenset({(0, 1), (1, 1)}),
    )
    assert comparison({"run": RUN}).best == frozenset()
    assert comparison({"run": RUN, "empty": Table({}, {})}).rows[0] == ["MAE ↓", "0.1000 ± 0.0200", "–", "7, –"]


def test_the_remarks_name_what_is_missing_and_for_whom():
    assert remarks({"run": RUN, "grey copy": GREY})[1:] == [
        "corr. with input: near 1 is a grey copy, and neither end is good: compare it with that of the target.",
        "run: PSNR: infinite for all 7 images",
        "LPIPS is absent: no weights; hint: fetch them",
        "run: FID is absent: one image",
    ]


def test_a_markdown_table_is_lined_up_and_safe():
    grid = Grid(["name", "n"], [["a|b", "1"], ["two\nlines", "10"]], frozenset({(1, 1)}))
    assert markdown_table(grid).splitlines() == [
        "| name      |      n |",
        "| --------- | -----: |",
        r"| a\|b      |      1 |",
        "| two lines | **10** |",
    ]


class Outline(HTMLParser):
    """The tags and the text of a page; raises on a tag that is closed but was not opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def report(tmp_path):
    picture = save(draw(torch.rand(1, 4, 4)), tmp_path / "pictures" / "a b.png")
    return Report(
        title="u2net <cca>",
        summary="Trained for 10 steps & more",
        results=Results.of({"run": RUN, "grey copy": GREY}).parts(),
        pictures={"best [1] <b>": picture},
        recipe="recipe: x  # ``` <script>\n",
        environment={"torch": "2.15 | cpu"},
    )


def test_the_markdown_report_has_every_part(report, tmp_path):
    text = write_report(report, tmp_path).read_text(encoding="utf-8")
    assert text.startswith("# u2net \\<cca>\n\nTrained for 10 steps & more\n\n## Results\n\n| metric")
    assert "| **0.1000 ± 0.0200** |" in text
    assert r"![best \[1\] \<b>](<pictures/a b.png>)" in text
    assert "````yaml\nrecipe: x  # ``` <script>\n````" in text
    assert r"2.15 \| cpu" in text
    assert sorted(os.listdir(tmp_path)) == ["pictures", "report.html", "report.md"]


def test_the_html_report_is_one_whole_file_that_runs_nothing(report, tmp_path):
    write_report(report, tmp_path)
    page = Outline((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "script" not in [tag for tag, _ in page.tags]
    [image] = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["src"].startswith("data:image/png;base64,iVBOR")
    assert image["alt"] == "best [1] <b>"
    for text in ("u2net <cca>", "Trained for 10 steps & more", "0.1000 ± 0.0200", "recipe: x  # ``` <script>"):
        assert text in page.text


def test_a_missing_picture_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(CrossbandError, match=r"gone\.png: no such picture"):
        write_report(Report("run", pictures={"a": tmp_path / "gone.png"}), tmp_path)
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------- texts of anybody

TAG = "<img src=x onerror=alert(1)>"
ANYBODY = f"{TAG} \\{TAG} ![a](http://b/c.png) \\[a](javascript:b) [d]: http://e </td>|\\|\n\n# f\n\x1b[2J\u202e"


class Tags(HTMLParser):
    """The tags of a page, and its links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            tag,
            *(name for name, _ in attrs if name.startswith("on")),
            *(n for n, _ in attrs if n == "href"),
        ]


def test_texts_of_anybody_act_in_no_page(tmp_path):
    """As a command line, a name of an image, a note or a recipe may be."""
    save(Image.new("RGB", (4, 4)), tmp_path / "a.png")
    results = [Grid([ANYBODY, ANYBODY], [[ANYBODY, ANYBODY]]), Notes([ANYBODY]), ANYBODY]
    report = Report(ANYBODY, ANYBODY, results, {ANYBODY: tmp_path / "a.png"}, "a: |\n  ```\n", {"command": ANYBODY})
    file = write_report(report, tmp_path)
    page, text = file.with_suffix(".html").read_text(), file.read_text()
    tags = Tags()
    tags.feed(page)
    assert not {"onerror", "href"} & {*tags.found}
    assert tags.found.count("img") == 1
    assert page == visible(page)
    assert text == visible(text)
    for sign in (r"<img src=x", r"\](?=[(:])", r"</td>"):
        before = re.findall(rf"(\\*){sign}", text)
        assert len(before) > 6
        assert all(len(each) % 2 for each in before[:-1] if sign != r"\](?=[(:])"), sign
    assert "\n# f" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3 for row in rows)


def test_what_only_looks_like_a_tag_is_left_as_it_is():
    assert markdown(["1 < 2, [0.1, 0.2] and a | b_c"]) == "1 < 2, [0.1, 0.2] and a | b_c"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_of_a_sheet_is_a_formula(tmp_path, first):
    table = Table({f"{first}HYPERLINK(1)": {"mae": -0.5}, "a=b": {"mae": 1.0}}, {})
    write_sheet(tmp_path / "a.csv", {f"{first}run": table})
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[1:] == [[f"'{first}run", f"'{first}HYPERLINK(1)", "-0.5"], [f"'{first}run", "a=b", "1.0"]]
