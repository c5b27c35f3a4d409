"""Pages of documentation that are what they show: the files are written, the commands run, the mistakes made.

A page is read from top to bottom in a folder of its own. In it

- a fence `yaml` (or `python`) whose first line is `# NAME.yaml` is that file; any other `python` is run;
- a fence `console` has commands after `$ `, each with all that it prints; a line `...` stands for any lines, and what
  `train` and `evaluate` measure may have other digits. Without `$ ` what its lines print is left out;
- ``**Mistake:** `x` for `y` `` puts x in the place of y in the file of the next command, for the fence that
  follows; a command without `**Mistake:**` before it must end well;
- `<!-- keys recipe data -->` to `<!-- end -->` is the table of these keys of a format, `<!-- all losses -->` that of
  everything of a kind, `<!-- all limits -->` that of every limit;
- a picture of the name of an SVG file that a command wrote is that file;
- the folder has one photo, `photos/street.png`, and 20 pairs of images in `raw/`, infrared of 16 bits.

`python tests/write_pages.py` writes all of it anew; `tests/test_pages.py` holds that it would change nothing.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from PIL import Image

from crossband import registry
from crossband.graphs.language import limits
from crossband.graphs.language.keys import below
from crossband.recipes.commands import cli, listing
from crossband.recipes.commands.show_entry import default_text, type_text
from crossband.registry import Description

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "graphs/README.md", "recipes/FORMAT.md", "recipes/TUTORIAL.md")
PARTS = re.compile(
    r"^```(?P<language>\w+)\n(?P<body>.*?)^```$"
    r"|(?P<mistake>\*\*Mistake:\*\*)(?: `(?P<wrong>[^`]+)`\s+for\s+`(?P<right>[^`]+)`)?"
    r"|^<!-- (?P<table>keys|all) (?P<what>\w+) ?(?P<path>[\w.]*) -->\n.*?^<!-- end -->$"
    r"|!\[[^]]*\]\((?P<picture>[^)]+\.svg)\)",
    re.MULTILINE | re.DOTALL,
)
Rows = Iterator[tuple[str, ...]]
MEASURED = ("train", "evaluate")  # commands whose figures depend on the machine
ANY = "..."


@dataclass
class Page:
    """A page while it is read: its pictures, the commands that it ran. A `fresh` one has the figures of this machine."""

    path: Path
    fresh: bool = False
    pictures: dict[Path, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    mistake: tuple[str, str] | None = None
    ran: list[str] = field(default_factory=list)

    def read(self, folder: Path) -> str:
        """The page as it should be, from running all of it in a folder."""
        (folder / "photos").mkdir()
        Image.new("RGB", (60, 40), "gray").save(folder / "photos" / "street.png")
        _pairs(folder / "raw")
        with contextlib.chdir(folder):
            return PARTS.sub(self._part, self.path.read_text("utf-8"))

    def _part(self, found: re.Match[str]) -> str:
        part = found.groupdict()
        if part["mistake"]:
            self.mistake = part["wrong"] or "", part["right"] or ""
        elif part["picture"]:
            self._picture(part["picture"])
        elif part["table"]:
            rows = key_rows(part["what"], part["path"]) if part["table"] == "keys" else all_rows(part["what"])
            return "\n".join([found[0].partition("\n")[0], *map(_row, rows), "<!-- end -->"])
        elif part["language"] == "console":
            return f"```console\n{''.join(self._console(part['body']))}```"
        elif named := re.match(r"# (\S+\.(?:yaml|py))\n", part["body"]):
            Path(named[1]).write_text(part["body"], "utf-8")
        elif part["language"] == "python":
            exec(compile(part["body"], self.path.name, "exec"), self.names)
        else:
            assert part["language"] not in ("yaml", "text"), f"{self.path.name}: name the file: {part['body'][:80]}"
        return found[0]

    def _picture(self, link: str) -> None:
        drawn = Path(Path(link).name)
        if drawn.is_file():
            self.pictures[(self.path.parent / link).resolve()] = drawn.read_text("utf-8")

    def _console(self, body: str) -> Iterator[str]:
        silent = not body.startswith("$ ")
        commands = re.split(r"^", body.replace("\\\n", "\\\0"), flags=re.MULTILINE) if silent else body.split("$ ")
        with self._mistaken(body):
            for command in filter(None, commands):
                first, _, shown = command.partition("\n")
                line = first.replace("\\\0", " ")
                if line.startswith("pip "):
                    yield f"{first}\n"
                    continue
                code, said = run(line)
                self.ran.append(line)
                assert code == 0 or self.mistake, f"{self.path.name}: {line}: {said}"
                if silent:
                    said = shown
                elif (same := aligned(shown, said, measured=not code and line.split()[1] in MEASURED)) is not None:
                    said = same if self.fresh else shown
                yield ("" if silent else "$ ") + first.replace("\0", "\n") + "\n" + said
        self.mistake = None

    @contextlib.contextmanager
    def _mistaken(self, body: str) -> Iterator[None]:
        """With the mistake that was announced in the first file that a command names, while the block lasts."""
        wrong, right = self.mistake or ("", "")
        if not right:  # or the mistake is in the command itself
            yield
            return
        file = Path(next(word for word in body.split() if word.endswith(".yaml")))
        text = file.read_text("utf-8")
        assert text.count(right) == 1, f"{self.path.name}: {file} has `{right}` {text.count(right)} times"
        file.write_text(text.replace(right, wrong), "utf-8")
        yield
        file.write_text(text, "utf-8")


def _pairs(folder: Path) -> None:
    """Pairs of images that use all of the scale that the pages declare."""
    for band in ("visible", "infrared"):
        (folder / band).mkdir(parents=True)
    counts = Image.fromarray(np.linspace(27315, 32315, 32 * 40).reshape(32, 40).astype(np.uint16))
    for number in range(20):
        Image.new("RGB", (40, 32), "gray").save(folder / "visible" / f"{number}.png")
        counts.save(folder / "infrared" / f"{number}.png")


def run(line: str) -> tuple[int, str]:
    """The exit code of a command and all that it prints, but for what goes to a file by `> FILE`."""
    line, _, file = line.partition(" > ")
    program, *words = shlex.split(line)
    assert program == "crossband", f"a page runs `crossband` only, not `{line}`"
    done = CliRunner().invoke(cli, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), f"{line}: {done.exception!r}"
    if file:
        Path(file.strip()).write_text(done.stdout, "utf-8")
        return done.exit_code, done.stderr
    said = done.output.replace(f"{Path.cwd()}{os.sep}", "").replace(f"{registry.ROOT}{os.sep}", "")
    return done.exit_code, "\n".join(map(str.rstrip, said.strip("\n").splitlines())) + ("\n" if said.strip() else "")


def aligned(shown: str, said: str, *, measured: bool = False) -> str | None:
    """What is said, without the lines that a page leaves out; None if what the page shows is not what is said.

    In what is measured, digits may differ.
    """
    plain = _without_digits if measured else str
    gap = r"(?:.*\n)*?"
    pieces = [f"({re.escape(plain(piece))})" for piece in re.split(rf"^{re.escape(ANY)}\n", shown, flags=re.MULTILINE)]
    found = re.fullmatch(gap.join(pieces), plain(said))
    if found is None:
        return None
    lines, kept = said.splitlines(keepends=True), []
    for number in range(1, len(pieces) + 1):
        start, stop = (found.string.count("\n", 0, place) for place in found.span(number))
        kept.append("".join(lines[start:stop]))
    return f"{ANY}\n".join(kept)


def _without_digits(text: str) -> str:
    """The text with one zero for every number, and one sign for what depends on how long and how good it is."""
    return re.sub(r" +", " ", re.sub(r"-+", "-", re.sub(r"[-+]?\d[\d.,]*", "0", text.replace("**", ""))))


def key_rows(name: str, path: str) -> Rows:
    """The keys of a format, at and below a path, or without one those outside every other."""
    known = listing.known("formats")[name].parameters
    found = below(path, known) if path else {key: each for key, each in known.items() if "." not in key}
    yield from (("key", "type", "default", "what it is"), ("---",) * 4)
    for key, each in found.items():
        yield f"`{key}`", type_text(each.schema), default_text(each), each.schema["description"]


def all_rows(what: str) -> Rows:
    """Everything of a kind, or every limit of the language."""
    return chain([("what", "at most"), ("---",) * 2], limits.table()) if what == "limits" else kind_rows(what)


def kind_rows(kind: str) -> Rows:
    """Everything of a kind that the library has, what each takes or gives, and what it is."""
    ours = [item for item in listing.items(kind) if item.origin.startswith(("blocks/", "graphs/", "recipes/"))]
    takes = {item.name: _takes(item) for item in ours}
    named = any(takes.values())
    yield from ((kind, *(["takes"] if named else []), "what it is"), ("---",) * (2 + named))
    for item in ours:
        yield (f"`{item.name}`", *([takes[item.name]] if named else []), item.summary)


def _takes(item: Description) -> str:
    """The contract of a block, the inputs of a loss, how a schedule is written, the bands of a data source."""
    found = item.details
    if "contract" in found:
        return f"`{found['contract']}`"
    if "bands" in found:
        return ", ".join(f"{band} {channels}" for band, channels in found["bands"].items())
    inputs = ", ".join(found.get("inputs", ()))
    return found.get("written") or "; ".join(filter(None, [inputs, found.get("takes", "")]))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
