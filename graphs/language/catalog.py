"""YAML files by name: those that come with the library or a plugin, and those beside another file."""

from dataclasses import dataclass
from pathlib import Path

from crossband import registry


@dataclass(frozen=True)
class Catalog:
    """The files of a kind, `graphs`, `recipes` or `keys`: see `registry.FOLDERS`. No two have one name."""

    kind: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the library and of plugins in which a name is looked for."""
        return tuple(registry.folders(self.kind))

    def files(self) -> dict[str, Path]:
        """Every shipped file, by name."""
        return dict(sorted((path.stem, path) for folder in self.folders for path in folder.glob("*.yaml")))

    def find(self, name: str, beside: Path | None = None) -> Path | None:
        """The file of a name: a path ending in `.yaml`, a file of that name `beside` another, or a shipped name."""
        if name.endswith((".yaml", ".yml")):
            return (beside / name) if beside else Path(name)
        if "/" in name or "\\" in name:  # a path names its file whole
            return None
        places = [folder / f"{name}.yaml" for folder in (beside, *self.folders) if folder]
        return next((path for path in places if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for a file, or with a NUL in it
        return False
