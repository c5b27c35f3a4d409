"""What is known of each shipped graph without checking it: its parameters and the image sizes that pass.

The numbers stand in `facts.json`, made by `python tests/write_facts.py` and held to a fresh computation by a test.
Reading them takes no torch. Each is kept with a fingerprint of the files that it follows from: where one of these
has been edited since, nothing is known.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from crossband.graphs.language.resolve import GRAPHS

FILE = Path(__file__).parents[1] / "facts.json"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Facts:
    """Numbers of a graph with its params as they are written."""

    parameters: int
    sizes: str  # `H and W: multiples of 32, at least 64`


def known() -> dict[str, Facts]:
    """The facts of the graphs whose files are still those that the facts were made from."""
    written = json.loads(FILE.read_text("utf-8"))
    prints = fingerprints({name: path.read_text("utf-8") for name, path in GRAPHS.files().items()})
    return {
        name: Facts(facts["parameters"], facts["sizes"])
        for name, facts in written.items()
        if facts["fingerprint"] == prints.get(name)
    }


def compute() -> str:
    """What `facts.json` is to say: a line for each graph. Raises InvalidFile where one is wrong."""
    from crossband.graphs.checking.checker import check
    from crossband.graphs.plans.cost import count_parameters

    prints = fingerprints({name: path.read_text("utf-8") for name, path in GRAPHS.files().items()})
    lines = []
    for name, path in GRAPHS.files().items():
        plan = check(path)
        facts = {**asdict(Facts(count_parameters(plan), str(plan.sizes))), "fingerprint": prints[name]}
        lines.append(f"  {json.dumps(name)}: {json.dumps(facts)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def fingerprints(texts: Mapping[str, str]) -> dict[str, str]:
    """For each graph a hash of its text and of those it may follow from: every graph that its words name, and so on.

    A name in a comment counts too: a fact thrown away for nothing costs little.
    """
    named = {name: texts.keys() & {*_WORD.findall(text)} - {name} for name, text in texts.items()}
    found = {}
    for name in texts:
        reached, new = {name}, {name}
        while new := set[str]().union(*(named[each] for each in new)) - reached:
            reached |= new
        sources = [texts[name], *(f"{each}\n{texts[each]}" for each in sorted(reached - {name}))]
        found[name] = hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]
    return found
