"""`crossband train`: from a recipe, or from where a run stopped, to weights, figures and a report."""

from pathlib import Path

import click

from crossband.recipes.commands.options import max_pixels
from crossband.recipes.commands.output import print_facts, report


@click.command()
@click.argument("recipe", required=False)
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER", help="The folder of the images to train on")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the recipe: data.batch=4 (repeatable)"
)
@click.option(
    "--run",
    "--run-folder",  # under `torchrun`, which takes `--run` for an option of its own
    "run",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder for this run [default: runs/RECIPE-001, -002, ...]; under torchrun say --run-folder",
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue the run in this folder")
@max_pixels
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="As `--set device=...`")
@click.option("--precision", type=click.Choice(["32", "bf16-mixed", "16-mixed"]), help="As `--set precision=...`")
def train(
    *,
    recipe: str | None,
    data: Path | None,
    settings: tuple[str, ...],
    run: Path | None,
    resume: Path | None,
    device: str | None,
    precision: str | None,
) -> None:
    """Train RECIPE, a shipped name or a file, and measure the result against two trivial baselines.

    Everything is kept in the folder of the run: weights, figures, samples, the recipe as it was run, and a report.
    Ctrl-C, SIGTERM and SIGHUP save before they stop it; `--resume` goes on as if nothing had happened.

    On several GPUs: `torchrun --nproc-per-node 2 $(which crossband) train RECIPE --run-folder FOLDER`.
    """
    if recipe is not None and resume is not None:
        raise click.UsageError(f"a run goes on with its own recipe: leave out `{recipe}`, or `--resume {resume}`")
    if recipe is None and resume is None:
        hint = "`crossband ls recipes` lists those that are shipped"
        raise click.UsageError(f"train needs RECIPE, or `--resume RUN`\nhint: {hint}")
    if resume is not None and run is not None:
        raise click.UsageError("a resumed run stays in its folder: leave out `--run`")
    from crossband.recipes import Interrupted
    from crossband.recipes import train as start

    given = {"device": device, "precision": precision}
    overrides = [*settings, *(f"{key}={value}" for key, value in given.items() if value)]
    try:
        result = start(recipe, data, settings=overrides, run=run, resume=resume)
    except Interrupted as stopped:
        report(stopped)
        click.get_current_context().exit(stopped.exit_code)
    if result.results is None:  # one of several processes, and not the one that talks
        return
    from crossband.recipes.model.run_folder import RunFolder

    folder = RunFolder(result.folder)
    click.echo(str(result.results))
    click.echo()
    files = {"report": folder.report, "page": folder.page, "pictures": folder.pictures}
    print_facts({"weights": str(folder.weights("").parent)} | {k: str(v) for k, v in files.items() if v.exists()})
