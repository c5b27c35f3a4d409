"""Boxes around the things in images, out of the files that data sets publish: COCO's JSON, VOC's XML, bbGt's text.

- COCO (Lin et al. 2014): one file with `images` (`id`, `file_name`), `annotations` (`image_id`, `category_id`, `bbox`:
  left, top, width, height) and `categories` (`id`, `name`).
- VOC (Everingham et al. 2010): a file for each image, `object` by `object` its `name` and `bndbox` with `xmin`, `ymin`,
  `xmax`, `ymax`; or with `x`, `y`, `w`, `h`, as some of KAIST's have them. They are taken as edges, as labelImg writes
  them; the first tools of VOC counted pixels from 1, so that a box of theirs may be a pixel off.
- bbGt of Dollár's toolbox, as KAIST has it: a file for each image, `LABEL LEFT TOP WIDTH HEIGHT ...` line by line.

Files are read when a scene is asked about. None of them can make the reader fetch or expand anything: a document type
in XML is refused.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from xml.parsers import expat

from crossband.graphs.language.document import RELATIVE
from crossband.graphs.language.files import FileError, read_bytes
from crossband.recipes.kinds.source import Box, DataError

LARGEST = 1 << 29  # bytes of a COCO file: that of LVIS, about the largest there is, is smaller
LARGEST_OF_IMAGE = 1 << 20  # bytes of a file for one image
TAIL = 4  # folders and name by which an annotation may call an image
EDGES, SIDES = ("xmin", "ymin", "xmax", "ymax"), ("x", "y", "w", "h")
OF_VOC = {"object/name", "size/height", "size/width", *(f"object/bndbox/{side}" for side in EDGES + SIDES)}


class Marked(NamedTuple):
    """The boxes of an image, and its height and width where the file says them."""

    boxes: list[Box]
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Annotations:
    """The boxes of the scenes of a source: in one COCO file, or in a folder with a file for each of them.

    `files` are the images by band and scene. What an annotation calls an image may be the name of the scene (also with
    `_` for `/`), or the end of the path of one of its images, such as `0001`, where no other scene has the same.
    """

    place: Path
    files: Mapping[str, Mapping[str, Path]]

    def of(self, name: str, size: tuple[int, int]) -> list[Box] | None:
        """The boxes of a scene of this height and width; None where there is no annotation of it.

        Raises DataError, naming file and line, for annotations that cannot be read, or that are of another size.
        """
        keys = [key for key in self._keys(name) if key == name or self._scenes[key] == 1]
        if self.place.suffix.lower() == ".json":
            found = next((self._coco[key] for key in keys if key in self._coco), None)
            path = self.place
        else:
            paths = (self.place / f"{key}{ending}" for key in keys for ending in READERS)
            path = next((path for path in paths if path.is_file()), self.place)
            found = READERS[path.suffix](path) if path != self.place else None
        if found is None:
            return None
        if found.size not in (None, size):
            high, wide = found.size or size
            message = f"{path}: its boxes are of an image of {high}x{wide} pixels, and `{name}` has {size[0]}x{size[1]}"
            raise DataError(message, hint="take the annotations that belong to these images, or resize the boxes")
        return found.boxes

    def _keys(self, name: str) -> list[str]:
        """What an annotation may call a scene, the surest first."""
        paths = [files[name].with_suffix("") for files in self.files.values() if name in files]
        tails = ("/".join(path.parts[-count:]) for count in range(TAIL, 0, -1) for path in paths)
        return list(dict.fromkeys((name, name.replace("/", "_"), *tails)))

    @cached_property
    def _scenes(self) -> Counter[str]:
        """By how many scenes each name is claimed."""
        names = {name for files in self.files.values() for name in files}
        return Counter(key for name in names for key in self._keys(name))

    @cached_property
    def _coco(self) -> dict[str, Marked]:
        return read_coco(self.place)


def annotations(source: str, place: str | None, files: Mapping[str, Mapping[str, Path]]) -> Annotations | None:
    """The annotations at the place that a recipe names, if it does. Raises DataError if nothing is there."""
    if place is None:
        return None
    path = Path(place)
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".json"):
        return Annotations(path, files)
    if path.exists():
        hint = "`boxes` is a COCO file, `.json`, or a folder with an XML or a text file for each image"
        raise DataError(f"{source}: `boxes`: {path} is neither a folder nor a `.json` file", hint=hint)
    raise DataError(f"{source}: `boxes`: {path}: no such file or folder", hint=RELATIVE)


def read_coco(path: Path) -> dict[str, Marked]:
    """The boxes of each image of a COCO file by its name without the ending. Raises DataError, naming the entry."""
    try:
        data = json.loads(_bytes(path, LARGEST), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}:{error.colno}: no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, a number without end, brackets without end
        raise DataError(f"{path}: no JSON: {error}") from None
    categories = {_entry(path, *each, "id", "name")[0]: each[1]["name"] for each in _list(path, data, "categories")}
    found: dict[Any, Marked] = {}
    names: dict[str, Marked] = {}
    for place, image in _list(path, data, "images"):
        number, name = _entry(path, place, image, "id", "file_name")
        high, wide = image.get("height"), image.get("width")
        found[number] = Marked([], (high, wide) if isinstance(high, int) and isinstance(wide, int) else None)
        names[PurePosixPath(str(name).replace("\\", "/")).with_suffix("").as_posix()] = found[number]
    for place, each in _list(path, data, "annotations"):
        image, category, sides = _entry(path, place, each, "image_id", "category_id", "bbox")
        for what, key, known in (("image", image, found), ("category", category, categories)):
            if key not in known:
                raise DataError(f"{path}: {place}: there is no {what} with the `id` {key!r}")
        if not isinstance(sides, list) or len(sides) != 4:
            raise DataError(f"{path}: {place}: `bbox` is [left, top, width, height], not {sides!r}")
        found[image].boxes.append(_box(f"{path}: {place}", str(categories[category]), sides))
    return names


def _list(path: Path, data: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of a list of a COCO file, each with its place in words. Raises DataError if there is no such list."""
    entries = data.get(name) if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise DataError(
            f"{path}: it has no list `{name}`", hint="COCO files have `images`, `annotations`, `categories`"
        )
    for number, entry in enumerate(entries):
        yield f"{name}[{number}]", entry


def _entry(path: Path, place: str, entry: Any, *keys: str) -> list[Any]:
    """The values of an entry. Raises DataError if it lacks one, or has a list where a name or number belongs."""
    missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise DataError(f"{path}: {place} has no `{missing[0]}`")
    for key in keys:
        if key != "bbox" and not isinstance(entry[key], str | int):
            raise DataError(f"{path}: {place}: `{key}` is {entry[key]!r}, neither text nor a whole number")
    return [entry[key] for key in keys]


def _no_constant(word: str) -> None:
    raise ValueError(f"`{word}` is no number")


def read_voc(path: Path) -> Marked:
    """The boxes of a VOC file. Raises DataError, naming the line."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    where: list[str] = []
    texts: dict[str, str] = {}  # of the object that is read, by the names of its elements
    size: dict[str, str] = {}
    boxes: list[Box] = []

    def refuse(*_: object) -> None:
        raise DataError(f"{path}:{parser.CurrentLineNumber}: a document type, which annotations do not need")

    def start(tag: str, _: object) -> None:
        where.append(tag)
        if where[1:] == ["object"]:
            texts.clear()

    def text(data: str) -> None:
        own = texts if where[1:2] == ["object"] else size
        if "/".join(where[1:]) in OF_VOC:
            own[where[-1]] = own.get(where[-1], "") + data

    def end(_: str) -> None:
        if where[1:] == ["object"]:
            boxes.append(_of_object(f"{path}:{parser.CurrentLineNumber}", texts))
        where.pop()

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(_bytes(path, LARGEST_OF_IMAGE), True)
    except expat.ExpatError as error:
        raise DataError(f"{path}:{error.lineno}:{error.offset + 1}: no XML: {expat.ErrorString(error.code)}") from None
    high, wide = (_side(size.get(side, "")) for side in ("height", "width"))
    return Marked(boxes, (high, wide) if high and wide else None)  # some programs write 0 for what they do not know


def _side(text: str) -> int:
    """A side of an image as a VOC file says it: 0 where it does not."""
    return int(text) if text.strip().isdecimal() and len(text) < 10 else 0


def _of_object(place: str, texts: Mapping[str, str]) -> Box:
    """The box of one object of a VOC file."""
    edges = SIDES if "w" in texts else EDGES
    if missing := [name for name in ("name", *edges) if not texts.get(name, "").strip()]:
        raise DataError(f"{place}: the object above has no `{missing[0]}`")
    sides = _numbers(place, [texts[edge] for edge in edges])
    if edges == EDGES:
        sides = [sides[0], sides[1], sides[2] - sides[0], sides[3] - sides[1]]
    return _box(place, texts["name"].strip(), sides)


def read_bbgt(path: Path) -> Marked:
    """The boxes of a text file of Dollár's toolbox. Raises DataError, naming the line."""
    try:
        lines = _bytes(path, LARGEST_OF_IMAGE).decode().splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text", hint="save the file as UTF-8") from None
    boxes = []
    for number, line in enumerate(lines, 1):
        words, place = line.split(), f"{path}:{number}"
        if not words or line.startswith("%"):
            continue
        if len(words) < 5 or words[0].replace(".", "").isdecimal():  # as YOLO's, which are shares of the image
            raise DataError(f"{place}: a line is `LABEL LEFT TOP WIDTH HEIGHT ...`, not `{line.strip()[:60]}`")
        boxes.append(_box(place, words[0], _numbers(place, words[1:5])))
    return Marked(boxes)


READERS = {".xml": read_voc, ".txt": read_bbgt}


def _numbers(place: str, texts: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise DataError(f"{place}: a side of a box is no number: {', '.join(texts)}") from None


def _box(place: str, label: str, sides: Sequence[Any]) -> Box:
    """A box of left, top, width and height. Raises DataError where these are not, or where it is empty."""
    numbers = [side for side in sides if isinstance(side, int | float) and not isinstance(side, bool)]
    if len(numbers) < 4 or not all(abs(side) < 1e9 and math.isfinite(side) for side in numbers):
        raise DataError(f"{place}: a box of `{label}` has sides that are no numbers: {list(sides)}")
    left, top, width, height = map(float, numbers)
    if width <= 0 or height <= 0:
        message = f"{place}: a box of `{label}` is empty: {width:g} wide and {height:g} high"
        raise DataError(message, hint="take it out of the file")
    if not label:
        raise DataError(f"{place}: a box has no label")
    return Box(label, left, top, width, height)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        return read_bytes(path, limit)
    except FileError as error:
        raise DataError(error.message, hint=error.hint) from None
