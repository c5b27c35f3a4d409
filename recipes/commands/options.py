"""Options that several commands have."""

import click

from crossband.graphs.language.limits import MAX_PIXELS


def _allow(ctx: click.Context, _: click.Parameter, pixels: int | None) -> None:
    """Read images of so many pixels for as long as the command runs."""
    if pixels is not None:
        from crossband.recipes.data.images import at_most

        ctx.with_resource(at_most(pixels))


max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    metavar="N",
    expose_value=False,
    callback=_allow,
    help=f"Read images of up to N pixels [default: {MAX_PIXELS}, 8192x8192]",
)
