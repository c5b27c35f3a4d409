"""Every registered data source keeps every law, and every law finds a source that breaks it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from test_data_published import MINIATURES, drawn

from crossband.blocks.laws import LawBroken
from crossband.recipes.data import Source, write_image
from crossband.recipes.data.laws import LAWS, OF_ENTRIES, OF_SCENES, check_laws
from crossband.recipes.data.memory import Memory
from crossband.recipes.kinds.source import Band, Box, source
from crossband.registry import CrossbandError, sources

SIZE = (6, 8)


def write(folder: Path, bands: Mapping[str, int], count: int) -> str:
    for band, channels in bands.items():
        (folder / band).mkdir(parents=True)
        for at in range(count):
            pixels = np.random.default_rng(at).integers(0, 256, (*SIZE, channels), np.uint8)
            write_image(folder / band / f"scene{at}.png", pixels)
    return str(folder)


def pairs(folder: Path) -> dict[str, Any]:
    return {"folder": write(folder, {"visible": 3, "infrared": 1}, 10), "range": {"infrared": [0, 200]}}


def folders(folder: Path) -> dict[str, Any]:
    own = {band: write(folder / band, {"any": channels}, 4) for band, channels in (("visible", 3), ("infrared", 1))}
    return {**own, "test": write(folder / "test", {"visible": 3, "infrared": 1}, 2)}


ARGUMENTS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "demo": lambda folder: {"size": [16, 20], "train": 12, "test": 3},
    "pairs": pairs,
    "folders": folders,
    **{name: lambda folder, name=name: {"folder": str(drawn(name, folder))} for name in MINIATURES},
}


@pytest.mark.parametrize("name", [name for name in sources if name != "memory"])
def test_every_source_keeps_every_law(name: str, tmp_path: Path):
    tried = check_laws(name, ARGUMENTS[name](tmp_path))
    assert all(tried[law] >= (2 if law in OF_SCENES else 1) for law in LAWS)


def test_images_in_memory_keep_every_law_that_is_not_about_what_is_declared():
    images = [(np.full((*SIZE, 3), at, np.uint8), np.full(SIZE, at / 20, np.float32)) for at in range(12)]
    tried = check_laws(Memory(images, ("visible", "infrared")))
    assert {law for law, count in tried.items() if not count} == OF_ENTRIES


class Custom(Source):
    """Ten scenes in memory; `odd` changes one thing of it."""

    def __init__(self, odd: Callable[["Custom"], None]) -> None:
        self.bands = {"visible": Band(3), "infrared": Band(1)}
        self.splits = {"train": [f"s{at}" for at in range(8)], "test": ["s8", "s9"]}
        self.unpaired = MappingProxyType({})
        self.of = lambda name, band: np.full((self.bands[band].channels, *SIZE), int(name[1:]), np.uint8)
        self.given: Callable[[str, Collection[str] | None], Collection[str]] = lambda name, bands: bands or self.bands
        self.of_size = lambda name: SIZE
        self.known = lambda name, band: f"{name} {band}".encode()
        self.told: Any = {"subset": "day"}
        self.marked: Any = [Box("person", 1, 2, 3.5, 4)]
        self.lenient: Callable[[str], Sequence[str]] | None = None
        odd(self)

    def read(self, name: str, bands: Collection[str] | None = None) -> dict[str, np.ndarray]:
        return {band: self.of(name, band) for band in self.given(name, bands)}

    def size(self, name: str) -> tuple[int, int]:
        return self.of_size(name)

    def names(self, split: str, band: str | None = None) -> Sequence[str]:
        return self.lenient(split) if self.lenient else super().names(split, band)

    def fingerprint(self, name: str, band: str) -> bytes | None:
        return self.known(name, band)

    def labels(self, name: str) -> Mapping[str, str]:
        return self.told

    def boxes(self, name: str) -> Sequence[Box] | None:
        return self.marked

    def __reduce__(self) -> tuple[Any, ...]:
        return reopened, ()


ODD: dict[str, Any] = {}


def reopened() -> Custom:
    return Custom(ODD.get("elsewhere", ODD["here"]))


def sets(**attributes: Any) -> Callable[[Custom], None]:
    return lambda custom: vars(custom).update(attributes)


def noise(name: str, band: str) -> np.ndarray:
    return np.random.default_rng().integers(0, 256, (3 if band == "visible" else 1, *SIZE), np.uint8)


def frozen(name: str, band: str) -> np.ndarray:
    image = np.zeros((3 if band == "visible" else 1, *SIZE), np.uint8)
    image.flags.writeable = False
    return image


KEPT = {band: np.zeros((channels, *SIZE), np.uint8) for band, channels in (("visible", 3), ("infrared", 1))}
BOX = Box("person", 1, 2, 7, 4)  # it ends at the edges of an image of SIZE
SPLITS = {"train": ["s1", "s2"], "test": ["s3"]}
BREAKERS: list[tuple[str, Callable[[Custom], None], str]] = [
    ("splits", sets(splits={"train": ["s1"]}), "its splits are `train`"),
    ("splits", sets(splits={**SPLITS, "test": []}), "`test` has no visible scene"),
    ("splits", sets(splits={**SPLITS, "test": ["s3", "s3"]}), "`test` names `s3` 2 times"),
    ("splits", sets(splits={**SPLITS, "test": ["s2"]}), "`s2` is in `train` and in `test`"),
    ("declared", sets(bands={"visible": Band(3), "infrared": Band(3)}), "it declares .*, and has "),
    ("declared", sets(unpaired={"train": {"visible": ["s1"], "infrared": ["s2"]}}), "its scenes are unpaired, and"),
    ("unknown", sets(lenient=lambda split: ["s1"]), "an unknown split is accepted"),
    ("unknown", sets(lenient=lambda split: SPLITS[split]), "an unknown split raises KeyError, not DataError"),
    ("fingerprints", sets(known=lambda name, band: band.encode()), "`s1` has the fingerprint of `s0`"),
    ("images", sets(given=lambda name, bands: ["visible"]), r"it gives the bands \['visible'\], not"),
    (
        "images",
        sets(of=lambda name, band: np.zeros((*SIZE, 3), np.uint8)),
        r"visible has the shape \(6, 8, 3\), not \(",
    ),
    ("images", sets(of=lambda name, band: KEPT[band].astype(int)), "visible is of int64"),
    ("images", sets(of=lambda name, band: KEPT[band] + np.float32(2)), r"visible has values from 2\.0 to 2\.0, not"),
    ("images", sets(of=lambda name, band: KEPT[band] + np.float32(np.nan)), "visible has values from nan to nan"),
    ("sizes", sets(of_size=lambda name: (8, 6)), r"`size` says \(8, 6\), and visible has \(6, 8\)"),
    ("alone", sets(given=lambda name, bands: KEPT), r"asked for visible it gives \['visible', 'infrared'\]"),
    ("repeated", sets(of=noise), "it is another image when it is read again"),
    ("repeated", sets(of=lambda name, band: KEPT[band]), "it is another image when it is read again"),
    ("repeated", sets(of=frozen), "the array of visible cannot be written to"),
    ("labels", sets(told=None), "its labels are None"),
    ("labels", sets(told={"set": 3}), "the label 'set' is 3, not text"),
    ("boxes", sets(marked=7), "its boxes are 7"),
    ("boxes", sets(marked=[(1, 2, 3, 4)]), r"\(1, 2, 3, 4\) is no `Box`"),
    ("boxes", sets(marked=[replace(BOX, label="")]), "has no label"),
    ("boxes", sets(marked=[replace(BOX, x=float("nan"))]), "has a number that is not finite"),
    ("boxes", sets(marked=[replace(BOX, height=0)]), "is empty"),
    ("boxes", sets(marked=[BOX, replace(BOX, width=-8)]), "is empty"),
]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("law", "odd", "words"), BREAKERS)
def test_a_source_that_breaks_a_law_is_told_which(law: str, odd: Callable, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ODD, "here", odd)

    @source("custom", pairing=("paired",))
    def custom() -> Custom:
        return reopened()

    place = r" with the scene `s\d` of `train`" if law in OF_SCENES else ""
    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by custom\(\){place}: .*{words}"):
        check_laws("custom", laws=[law])


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("law", "elsewhere", "words"),
    [
        ("again", sets(splits=SPLITS), "`train` has other scenes"),
        ("again", sets(of=noise), "`s0` is another image"),
        ("again", sets(known=lambda name, band: b"x"), "`s0` has another fingerprint"),
        ("again", sets(told={"subset": "night"}), "`s0` has other labels"),
        ("again", sets(marked=None), "`s0` has other boxes"),
        ("processes", sets(of=noise), "`s0` is another image"),
        ("processes", sets(told={}), "`s0` has other labels"),
        ("processes", sets(marked=[]), "`s0` has other boxes"),
    ],
)
def test_a_source_that_is_another_when_opened_again_is_told(law, elsewhere, words, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ODD, "here", sets())

    @source("custom")
    def custom() -> Custom:
        found = reopened()
        monkeypatch.setitem(ODD, "elsewhere", elsewhere)
        return found

    with pytest.raises(LawBroken, match=rf"^the law `{law}` \(.+\) is broken by custom\(\): {words}"):
        check_laws("custom", laws=[law])


def test_every_law_has_its_breaker():
    assert {law for law, *_ in BREAKERS} | {"again", "processes"} == {*LAWS}


def test_an_unknown_law_is_named_with_the_nearest():
    with pytest.raises(CrossbandError, match=r"there is no law `size`\nhint: did you mean `sizes`"):
        check_laws("demo", laws=["size"])


def test_a_box_is_cut_at_the_edges_of_its_image():
    assert BOX.clipped(6, 8) == BOX
    assert Box("car", -2, 3.5, 5, 9).clipped(6, 8) == Box("car", 0, 3.5, 3, 2.5)
    assert Box("car", 8, 0, 2, 2).clipped(6, 8) is None


def test_a_box_is_resized_as_its_image():
    assert Box("car", 1, 2, 3, 4).resized((10, 20), (5, 80)) == Box("car", 4, 1, 12, 2)
