"""Odd images through every command that reads images."""

from pathlib import Path

from faults.campaign import series
from faults.law import Broken, Files, Outcome
from faults.odd_images import SUFFIXES, odd_images
from faults.workshop import check_whole, outcome, server, workshop
from hypothesis import strategies as st

TRANSLATE = (
    ("translate", "run", "odd", "out"),
    ("translate", "run", "odd", "out", "--bits", "16", "--batch", "2"),
    ("translate", "run", "odd", "out", "--range", "0", "1", "--bits", "32"),
    ("translate", "run", "odd", "out", "--tile", "16"),
)
DATA = (
    ("train", "base.yaml", "--run", "new", "--set", "steps=1"),
    ("train", "cached.yaml", "--run", "new", "--set", "data.load=14"),
    ("evaluate", "run", "--data", "data", "--picture", "out.png", "--metrics", "mae"),
    ("check", "base.yaml", "--data", "data"),
)


@st.composite
def _translated(draw: st.DrawFn) -> Files:
    """A folder of a whole image and an odd one, or the odd one alone."""
    name = "odd/image" + draw(st.sampled_from(SUFFIXES))
    files = {name: draw(odd_images())}
    words = draw(st.sampled_from(TRANSLATE))
    if draw(st.booleans()):
        return Files((*words[:2], name, "out.tif", *words[4:]), files, workshop())
    whole = {"odd/whole.png": (workshop() / "data" / "visible" / "0.png").read_bytes()}
    return Files(words, files | whole, workshop())


@st.composite
def _in_data(draw: st.DrawFn) -> Files:
    """Data of which an image is an odd one."""
    band, number = draw(st.sampled_from(["visible", "infrared"])), draw(st.sampled_from([0, 3, 7]))
    files: dict[str, bytes | None] = {f"data/{band}/{number}.png": None}
    files[f"data/{band}/{number}{draw(st.sampled_from(SUFFIXES))}"] = draw(odd_images())
    return Files(draw(st.sampled_from(DATA)), files, workshop())


@series("odd images through translate", weight=18, quick=8, cases=_translated)
def test_translated_images(case: Files, folder: Path) -> Outcome:
    ended = server().run(case.command, folder)
    if (folder / "out").is_dir():
        check_whole(folder / "out")
    if (folder / "out.tif").exists() is not (ended.code == 0 and case.command[3] == "out.tif"):
        raise Broken(f"exit {ended.code}, and an image is {'' if ended.code else 'not '}there")
    return outcome(ended)


@series("odd images through train, evaluate and check", weight=14, quick=4, cases=_in_data)
def test_images_of_data(case: Files, folder: Path) -> Outcome:
    ended = server().run(case.command, folder)
    if (folder / "new").exists() and ended.code:
        check_whole(folder / "new")
    return outcome(ended)
