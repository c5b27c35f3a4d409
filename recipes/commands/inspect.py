"""`crossband inspect`: what happens inside of a network while an image goes through it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crossband.recipes.commands.names import SET, meanings, settings
from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import print_table, refuse_unwritable, say
from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from crossband.graphs.plans.plan import Plan
    from crossband.recipes.model.inspecting import Inspection, View
    from crossband.recipes.model.model import Model


class Place(click.ParamType[tuple[int, int]]):
    """A pixel as `x,y`: row and column are y and x."""

    name = "x,y"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Row and column."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"`{value}` is no pixel: write x,y as in `120,64`, from the upper left corner 0,0", param, ctx)
        return int(parts[1]), int(parts[0])


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN|WEIGHTS|GRAPH [IMAGE]")
@click.option(
    "--at", multiple=True, metavar="NODE,...", help="What to see: nodes, taps, or names of the list (repeatable)"
)
@click.option("--list", "listed", is_flag=True, help="Tell what can be seen, as without `--at`")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw it to a new PNG")
@click.option("--pixel", type=Place(), help="The pixel whose attention is shown [default: the middle]")
@click.option("--channels", metavar="mean|pca|N,...", help="Which channels of a map to draw, as numbers from 0")
@click.option("--range", "ends", nargs=2, type=float, metavar="LOW HIGH", help="The numbers at the ends of the colours")
@click.option("--band", "bands", multiple=True, metavar="BAND=PATH", help="The image of another band (repeatable)")
@click.option("--network", metavar="NAME", help="Another network of a run than the one that makes its result")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the weights of a GRAPH, which is not trained")
@SET
@max_pixels
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
def inspect(
    *,
    names: tuple[str, ...],
    at: tuple[str, ...],
    listed: bool,
    picture: Path | None,
    pixel: tuple[int, int] | None,
    channels: str | None,
    ends: tuple[float, float] | None,
    bands: tuple[str, ...],
    network: str | None,
    seed: int,
    overrides: tuple[str, ...],
    device: str,
) -> None:
    """Show what happens inside of a network while it translates IMAGE: attention, gates, features, inner images.

    `--at` names nodes: what their blocks show of themselves, such as where an attention looks, or where they show
    nothing, what comes out. Each is drawn by itself and over the image, at its own resolution, with its colour bar.
    Without `--at`, the list of what can be seen. A GRAPH by its name or file has random weights.
    """
    source, *images = names
    if len(images) > 1:
        raise click.UsageError(f"one network and one image at a time, got {len(names)} names")
    wanted = [name.strip() for text in at for name in text.split(",") if name.strip()]
    if listed or not wanted:
        if picture:
            raise click.UsageError("say what to draw: `--at NODE`; without it, the list of what can be seen")
        _list(_views(_load(source, network, overrides, device)))
        return
    _check(images, picture, ends)
    from crossband.recipes.commands.translate import by_band
    from crossband.recipes.reporting.inner_maps import channels_of, draw_inspection, panels

    chosen = channels_of(channels)
    model = _untrained(_load(source, network, overrides, device), seed, device)
    image = {model.task.source: images[0], **by_band("--band", bands)} if bands else images[0]
    found = model.inspect(image, wanted, pixel=pixel)
    drawn = panels(found, chosen, ends)
    _print(found)
    if picture:
        weights = "" if model.origin else f", untrained (seed {seed})"
        draw_inspection(found, drawn, picture, title=f"{Path(source).name}{weights}: {Path(images[0]).name}")
        say(f"{len(drawn)} maps in {picture}")


def _check(images: Sequence[str], picture: Path | None, ends: tuple[float, float] | None) -> None:
    """Refuse, before anything is loaded, what could not be drawn afterwards."""
    if not images:
        raise click.UsageError("name the image that is to go through: `crossband inspect RUN IMAGE --at NODE`")
    if ends and not ends[0] < ends[1]:
        raise click.UsageError(f"`--range` takes LOW HIGH, got {ends[0]:g} {ends[1]:g}")
    image = Path(images[0])
    if image.is_dir():
        run = (image / "recipe.yaml").is_file()
        what = "a run: runs are inspected one at a time" if run else "a folder, and one image is looked into at a time"
        raise CrossbandError(f"{image}: {what}", hint="name an image behind the run")
    refuse_unwritable(None, picture)


def _load(name: str, network: str | None, overrides: Sequence[str], device: str) -> "Model | Plan":
    """A trained model, or a graph."""
    from crossband.recipes.model.loading import load

    if Path(name).is_dir() or Path(name).suffix == ".safetensors":
        return load(name, network, settings=overrides, device=device)
    if network is not None:
        raise CrossbandError(f"`{name}` is no run, and `--network` chooses one of a run")
    meant = meanings(name, ("graph",))[0]
    if meant.kind != "graph":
        raise CrossbandError(f"{name}: a recipe, which is not trained", hint="name a run of it, or its graph")
    from crossband.graphs.checking.checker import check_into
    from crossband.graphs.language.diagnostics import Problems

    params, place_of = settings(overrides)
    problems = Problems()
    return problems.value(check_into(name, problems, params, place_of))


def _untrained(given: "Model | Plan", seed: int, device: str) -> "Model":
    """A model to look into: a graph gets random weights."""
    from crossband.graphs.plans.plan import Plan
    from crossband.recipes.model.loading import untrained

    if not isinstance(given, Plan):
        return given
    say(f"note: `{given.graph.name}` is not trained: its weights are drawn with the seed {seed}")
    return untrained(given, seed=seed, device=device)


def _views(given: "Model | Plan") -> "dict[str, View]":
    """All that can be seen in a model or a graph."""
    from crossband.graphs.plans.cost import build_meta
    from crossband.graphs.plans.plan import Plan
    from crossband.recipes.model.inspecting import views_of

    if isinstance(given, Plan):
        return views_of({given.graph.name: given}, {given.graph.name: build_meta(given)})
    return given.views()


def _list(views: "dict[str, View]") -> None:
    """The table of what can be seen: maps first, then outputs."""
    maps = [(name, view.block, view.about) for name, view in views.items() if view.map]
    outputs = [(name, view.block, view.about) for name, view in views.items() if not view.map]
    print_table(("--at", "block", "shows"), maps + outputs)
    if not maps:
        say("no block in it shows more than its output")


def _print(found: "Inspection") -> None:
    """The table of what was seen: sizes and ranges."""
    rows = []
    for name, values in found.items():
        size = "x".join(map(str, values.shape)) or "1"
        numbers = values.float()
        rows.append((name, size, *(f"{each.item():.4g}" for each in (numbers.min(), numbers.mean(), numbers.max()))))
    print_table(("at", "size", "least", "mean", "largest"), rows, right=("size", "least", "mean", "largest"))
