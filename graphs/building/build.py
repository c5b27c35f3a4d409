"""Build the network of a graph: check it, then assemble it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from crossband.graphs.checking.checker import check
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.syntax import Graph
from crossband.graphs.plans.assembly import assemble
from crossband.graphs.plans.plan import Plan
from crossband.graphs.plans.room import refuse_without_room


def build(
    source: str | Path | Graph | Plan,
    params: Mapping[str, YamlValue] | None = None,
    *,
    taps: Sequence[str] = (),
    seed: int | None = None,
) -> nn.Module:
    """Build the network of a graph, given by shipped name, path, `Graph` or `Plan`.

    The module takes the graph's inputs in order, each `b c h w`. It returns the output, or where there
    are several or `taps` are asked for, a dict of them by name. Its `meta` holds the resolved graph as
    YAML under `graph` and its `digest`. Nothing is printed, downloaded or moved. Weights are drawn from
    torch's global generator as in any module, or with `seed` from that seed, leaving the generator alone.

    Raises InvalidFile for a graph that is wrong or whose weights do not fit into memory, before any is allocated, and
    CrossbandError for a tap that is not there.
    """
    plan = source if isinstance(source, Plan) else check(source, params)
    refuse_without_room(plan)
    return assemble(plan, taps=taps, seed=seed)
