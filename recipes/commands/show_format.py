"""`crossband show format`: the keys of graphs and recipes."""

from collections.abc import Sequence
from dataclasses import replace

import click

from crossband.graphs.language.keys import below, look_up
from crossband.recipes.commands import listing
from crossband.recipes.commands.output import print_facts, print_json
from crossband.recipes.commands.show_entry import as_json, print_parameters, show_entry
from crossband.registry import CrossbandError, suggest

WORD = "format"


def show_format(words: Sequence[str], form: str | None) -> None:
    """Print what can be asked for, or one format, or one key of it with those inside it. Raises CrossbandError."""
    formats = listing.known("formats")
    if not words:
        print_facts({f"crossband show {WORD} {name}": item.doc for name, item in formats.items()})
        return
    name, *keys = words
    if name not in formats:
        raise CrossbandError(f"no format named `{name}`", hint=suggest(name, formats))
    if not keys:
        show_entry(formats[name], form)
        return
    if len(keys) > 1 or form not in (None, "json"):
        raise click.UsageError(f"write `crossband show {WORD} {name} KEY`, a key with dots in it: `data.batch`")
    known = formats[name].parameters
    if (found := look_up(keys[0], known)) is None:
        raise CrossbandError(f"a {name} has no key `{keys[0]}`", hint=_hint(keys[0], list(known)))
    asked = below(found, known)
    if form == "json":
        print_json(as_json(replace(formats[name], parameters=asked))["params"])
    else:
        print_parameters("key", asked)


def _hint(key: str, known: Sequence[str]) -> str | None:
    """The first key of the same last word, or the nearest."""
    last = key.rpartition(".")[2]
    same = [path for path in known if path.rpartition(".")[2] == last]
    return f"did you mean `{same[0]}`?" if same else suggest(key, known)
