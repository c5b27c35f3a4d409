"""Manifests: how many scenes a data set has, and the SHA-256 of each of its files."""

import json
from collections.abc import Iterator
from pathlib import Path

from crossband.graphs.language.files import FileError, read_utf8
from crossband.recipes.basics.files import replacing
from crossband.recipes.basics.formats import MANIFEST
from crossband.recipes.basics.readback import checked, parsed
from crossband.recipes.data.aligned import Pairs
from crossband.recipes.data.checks import Finding
from crossband.recipes.data.images import file_hash
from crossband.recipes.kinds.source import DataError, Source
from crossband.registry import CrossbandError

VERSION = 1


def write_manifest(path: Path, source: Source) -> int:
    """Write the counts and hashes of the files of a source; tell how many. Raises DataError and FileError."""
    files: dict[str, dict[str, str]] = {}
    for band, name, file in _files(source):
        files.setdefault(band, {})[name] = file_hash(file).hex()
    counts = {split: {band: len(source.names(split, band)) for band in source.bands} for split in source.splits}
    text = json.dumps({"version": VERSION, "counts": counts, "files": files}, indent=1, ensure_ascii=False)
    with replacing(path, over=False) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return sum(map(len, files.values()))


def differences(source: Source, path: Path) -> list[Finding]:
    """A finding for files that a manifest has and the source lacks, or the other way round, and for other contents."""
    try:
        text = read_utf8(path)
    except FileError as error:
        raise DataError(f"the manifest {error.message}", hint=error.hint) from None
    wanted = checked(parsed(text, path, MANIFEST.hint), MANIFEST, path)["files"]
    here: dict[str, dict[str, Path]] = {}
    for band, name, file in _files(source):
        here.setdefault(band, {})[name] = file
    found: list[Finding] = []
    for band in dict.fromkeys([*wanted, *here]):
        known, own = wanted.get(band, {}), here.get(band, {})
        changed = [name for name in own if name in known and _hash(own[name]) not in (known[name], None)]
        rows = {
            "are missing": [name for name in known if name not in own],
            "are not in the manifest": [name for name in own if name not in known],
            "have another content than in the manifest": changed,
        }
        found += [
            Finding(f"{len(names)} {band} images {what}", names, broken=True) for what, names in rows.items() if names
        ]
    return found


def _files(source: Source) -> Iterator[tuple[str, str, Path]]:
    """Band, scene and file of each image."""
    if not isinstance(source, Pairs):
        raise DataError("the images of this data source are in no files", hint="a manifest is of files")
    for split in source.splits:
        for band in source.bands:
            for name in source.names(split, band):
                yield band, name, source.file(name, band)


def _hash(file: Path) -> str | None:
    """The hash of a file; None where it cannot be read, which is told elsewhere."""
    try:
        return file_hash(file).hex()
    except CrossbandError:
        return None
