"""`crossband translate`: images through trained weights."""

import re
from typing import Any

import click

from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import say


class Size(click.ParamType[tuple[int, int]]):
    """`512`, or height and width as in `192x256`."""

    name = "size"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Height and width."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", value)
        if not found:
            self.fail(f"`{value}` is no size: write `512`, or height and width as in `192x256`", param, ctx)
        return int(found[1]), int(found[2] or found[1])


@click.command()
@click.argument("weights", type=click.Path())
@click.argument("source", metavar="INPUT", type=click.Path())
@click.argument("target", metavar="OUTPUT", type=click.Path())
@click.option("--bits", type=click.Choice(["8", "16", "32"]), help="32 is float TIFF in [0, 1] [default: 8]")
@click.option("--counts", is_flag=True, help="Write counts or kelvin, on the `range` that the images of training had")
@click.option(
    "--suffix",
    type=click.Choice([".png", ".tif", ".tiff"]),
    help="Format of images in a folder [default: .png, for 32 bits .tif]",
)
@click.option("--band", "bands", multiple=True, metavar="BAND=PATH", help="Where another band is (repeatable)")
@click.option("--names", multiple=True, metavar="BAND=PATTERN", help="Its names, as near={name}_nir (repeatable)")
@click.option("--range", nargs=2, type=float, metavar="LOW HIGH", help="The values of INPUT that become 0 and 1")
@click.option(
    "--tile", type=Size(), metavar="N|HxW", help="Translate in tiles of this size, for images too large at once"
)
@click.option("--overlap", type=click.IntRange(0), metavar="M", help="Pixels that tiles share [default: a quarter]")
@click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Images of one size, or tiles, at once"
)
@click.option("--network", metavar="NAME", help="Another network of a run than the one that makes its result")
@max_pixels
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option("--force", is_flag=True, help="Replace files that are there already (never INPUT)")
def translate(
    *,
    weights: str,
    source: str,
    target: str,
    bands: tuple[str, ...],
    names: tuple[str, ...],
    bits: str | None,
    network: str | None,
    device: str,
    **options: Any,
) -> None:
    """Translate INPUT, an image or a folder of images, to OUTPUT with trained WEIGHTS.

    WEIGHTS is a run folder or a weights file. OUTPUT is a file, PNG or TIFF by its ending, or a folder, in which
    images keep their names and subfolders. Images of any size, grey or colour, 8 or 16 bits are read; float images,
    too, if `--range` says what their values mean. The result has the channels that the network gives. An image unlike
    those of training (coloured by a palette where they are grey, or beside their `range`) is refused or noted.

    A model of several bands takes a folder INPUT with a subfolder for each, called as the band; or INPUT is that of the
    first band, and `--band` says where the others are. Images of one name belong together.
    """
    from crossband.recipes.model.loading import load
    from crossband.recipes.model.translation import BITS

    model = load(weights, network, device=device)
    places: Any = {model.task.source: source, **by_band("--band", bands)} if bands else source
    wanted = BITS[bits] if bits else None
    done = model.translate(places, target, names=by_band("--names", names), bits=wanted, **options)
    count = len(done.files)
    rate = f"{count / max(done.seconds, 1e-9):.3g} images/s" if count > 1 else f"{done.seconds:.2f} s"
    say(f"{count} image{'s' if count > 1 else ''} in {target}, {rate}")


def by_band(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """What an option says of each band, `near=nir/`."""
    pairs = [text.partition("=") for text in given]
    for band, _, value in pairs:
        if not band or not value:
            raise click.UsageError(f"`{option}` takes BAND=..., got `{band}`")
    return {band: value for band, _, value in pairs}
