"""The pages of documentation show what is so: every file, command, message, table and picture on them."""

import re
from difflib import unified_diff
from pathlib import Path

import once
import pytest
from pages import PAGES, ROOT, Page, aligned

from crossband import registry
from crossband.graphs.language.diagnostics import Problems
from crossband.graphs.language.reader import read_text
from crossband.recipes.commands import listing

SLOW = ("recipes/TUTORIAL.md",)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in PAGES[1:]])
def test_a_page_shows_what_is_so(name: str, tmp_path: Path) -> None:
    """If this fails: `python tests/write_pages.py`, and read the difference."""
    page = Page(ROOT / name)
    shown, found = (text.splitlines() for text in (page.path.read_text("utf-8"), page.read(tmp_path)))
    assert not (changes := list(unified_diff(shown, found, name, "as it is", n=1))), "\n".join(changes)
    for path, picture in page.pictures.items():
        assert path.read_text("utf-8") == picture, path
    links = {(page.path.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+\.svg)\)", page.path.read_text())}
    assert links == page.pictures.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_every_yaml_on_a_page_is_what_editors_take(name: str) -> None:
    texts = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for text in texts:
        data = read_text(text, Problems(), name)
        assert data is not None
        kind = next(kind for kind in ("graph", "recipe", "table") if kind in data.data)
        assert [error.message for error in once.validator(kind).iter_errors(data.data)] == [], text


def test_every_kind_is_listed_on_a_page() -> None:
    text = "".join((ROOT / name).read_text("utf-8") for name in PAGES)
    assert [kind for kind in registry.KINDS if f"<!-- all {kind} -->" not in text] == []


def test_every_key_of_a_format_is_on_its_page() -> None:
    pages = {"graph": "graphs/README.md", "recipe": "recipes/FORMAT.md", "table": "recipes/FORMAT.md"}
    for name, item in listing.known("formats").items():
        text = (ROOT / pages[name]).read_text("utf-8")
        assert [key for key in item.parameters if f"| `{key}` |" not in text] == []


@pytest.mark.parametrize("name", [*PAGES, "CONTRIBUTING.md", "SECURITY.md", "recipes/README.md"])
def test_links_lead_to_files_and_headings(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for link, _, heading in (each.partition("#") for each in re.findall(r"\]\(([^)\s]+)\)", text)):
        if not link.startswith("http"):
            target = (ROOT / name).parent / link if link else ROOT / name
            assert target.exists(), f"{name} links to {link}"
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE) if heading else []
            assert not heading or heading in [
                re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings
            ]


@pytest.mark.parametrize(
    ("shown", "said", "measured", "same"),
    [
        ("a\nb\n", "a\nb\n", False, True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", False, True),
        ("a\n...\n", "a\n", False, True),
        ("a 1\n", "a 2\n", False, False),
        ("| a |  1.5 |\n", "| a | **12.25** |\n", True, True),
        ("a\n", "b\n", True, False),
    ],
)
def test_what_is_shown_is_held_against_what_is_said(shown: str, said: str, measured: bool, same: bool) -> None:
    assert (aligned(shown, said, measured=measured) is not None) is same


def test_figures_are_taken_over_and_lines_left_out_stay_so() -> None:
    shown, said = "a 1\n...\nd 2\n", "a 3\nb\nc\nd 4.5\n"
    assert aligned(shown, said) is None
    assert aligned(shown, said, measured=True) == "a 3\n...\nd 4.5\n"
