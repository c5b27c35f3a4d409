"""YAML files by name: those of the library and of plugins, and those beside the file that names them."""

import re
from dataclasses import dataclass
from pathlib import Path

from crossband import registry
from crossband.graphs.language.diagnostics import Hint, Problems
from crossband.graphs.language.document import Place
from crossband.graphs.language.files import FileError, named, open_file, read_utf8, real
from crossband.registry import nearest

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Catalog:
    """The shipped files of one kind, such as `graphs`: see `registry.FOLDERS`. No two have one name.

    `word` is what messages call one of them, `key` the key that every file of this kind has.
    """

    kind: str
    word: str
    key: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the library and of plugins in which a name is looked for."""
        return tuple(registry.folders(self.kind))

    def files(self) -> dict[str, Path]:
        """Every shipped file, by name."""
        return dict(sorted((path.stem, path) for folder in self.folders for path in folder.glob("*.yaml")))

    def ships(self, file: Path) -> bool:
        """Whether a file is one of those that are shipped."""
        return real(file).parent in map(real, self.folders)

    def find(self, name: str, folder: Path | None = None) -> Path | None:
        """Find the file that `name` means in a text whose paths are relative to `folder`; None if there is none.

        A name that ends in `.yaml` is a path. Any other is that of a shipped file, or else of `NAME.yaml` in `folder`.
        """
        if name.endswith(SUFFIXES):
            return (folder or Path()) / name
        if "/" in name or "\\" in name:  # a path names its file whole
            return None
        places = [each / f"{name}.yaml" for each in (*self.folders, folder) if each]
        return next((path for path in places if _is_file(path)), None)

    def look_up(self, name: str, place: Place | None, problems: Problems, code: str) -> Path | None:
        """Find the file that `name` means at `place` (None: on the command line). Returns None after reporting a fault.

        An unknown name is reported with `code`. A shipped name is refused if a file beside the text has it too.
        """
        path = self.find(name, place and place.folder)
        if path is None:
            hint: Hint = nearest(
                name, self.files(), otherwise=f"`crossband ls {self.kind}` lists those that are shipped", few=0
            )
            own = not place and _is_file(Path(f"{name}.yaml"))
            hint = f"for the file, write `{name}.yaml`" if own else self._of_another_kind(name) or hint
            problems.add(code, f"no {self.word} named `{name}`", place, hint)
        elif place and name.endswith(SUFFIXES):
            try:
                open_file(path).close()
            except FileError as error:
                problems.add("E001", f"{error.why}: `{named(path)}`", place, error.hint)
                return None
        elif place and (twin := self._twin(path, place)):
            message = f"`{name}` is a shipped {self.word}, and `{twin}` has the same name"
            problems.add("E016", message, place, f"rename the file, or write `{twin.name}` where you mean it")
            return None
        return path

    def _of_another_kind(self, name: str) -> str | None:
        """The hint for a name that another kind of file has."""
        if self.kind != "recipes" and _is_file(registry.ROOT / "recipes" / f"{name}.yaml"):
            return f"`{name}` is a recipe"
        if self.kind == "recipes" and GRAPHS.find(name):
            return f"`{name}` is a graph: `--set networks.generator.graph={name}` puts it into a recipe"
        return None

    def _twin(self, path: Path, place: Place) -> Path | None:
        """The file of this kind beside the text at `place` that has the same name as the shipped file at `path`."""
        twin = place.folder / path.name
        if path.parent not in self.folders or not _is_file(twin):
            return None
        if real(twin) in (real(path), real(Path(place.file))):  # a file does not name itself
            return None
        try:
            return twin if re.search(rf"^{self.key}\s*:", read_utf8(twin), re.MULTILINE) else None
        except FileError:
            return None


GRAPHS = Catalog("graphs", "graph", "graph")
KEYS = Catalog("keys", "key map", "keys")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for a file, or with a NUL in it
        return False
