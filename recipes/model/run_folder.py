"""The folder of a run: where its files are. Training writes them, everything else reads them."""

import os
from dataclasses import dataclass
from pathlib import Path

from crossband.graphs.language.files import near_file, real
from crossband.recipes.model.weights import CheckpointError

FEW = 6  # runs that a hint lists
OWN = (
    "recipe",
    "state",
    "log",
    "board",
    "environment",
    "evaluation",
    "sheet",
    "curves",
    "pictures",
    "report",
    "page",
    "mean",
)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run by what they hold."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def around(cls, file: Path) -> "RunFolder | None":
        """The run in whose folder a weights file lies; None where it lies in none."""
        file = file if file.parent.name else file.absolute()
        folder = cls(file.parent.parent)
        return folder if file.parent == folder.weights("").parent and folder.recipe.is_file() else None

    def check(self) -> None:
        """Raise CheckpointError where the folder is that of no run, or where a link in it leads out of it."""
        if self.recipe.is_file():
            self._refuse_links()
            return
        if not self.path.is_dir():
            if self.path.exists():
                raise CheckpointError(f"{self}: a file, and not the folder of a run")
            raise CheckpointError(f"{self}: no such folder", hint=near_file(self.path))
        runs = sorted(f"`{file.parent}`" for file in self.path.glob(f"*/{self.recipe.name}"))
        empty = "" if any(self.path.iterdir()) else "it is empty: "
        hint = f"{empty}a run is what `crossband train` makes, such as `runs/u2net-001`"
        raise CheckpointError(
            f"{self}: no run: it has no `{self.recipe.name}`",
            hint=f"{'runs' if len(runs) > 1 else 'a run'} in it: {', '.join(runs[:FEW])}" if runs else hint,
        )

    def _refuse_links(self) -> None:
        """Raise CheckpointError where a link leads out of the folder: who reads or writes the run would follow it."""
        home = real(self.path)
        own = {getattr(self, name).name for name in OWN} | {self.graph("").parent.name, self.weights("").parent.name}
        own.add(self.sample(0).parent.name)
        for here, folders, files in os.walk(home):
            for path in (Path(here, name) for name in (*folders, *files)):
                if path.is_symlink() and path.relative_to(home).parts[0] in own and not real(path).is_relative_to(home):
                    shown = self.path / path.relative_to(home)
                    hint = "a run is read and written in its own folder alone: put there what the link leads to"
                    raise CheckpointError(f"{shown}: a link that leads out of the run", hint=hint)

    @property
    def recipe(self) -> Path:
        """The recipe as it was run, which names the graphs beside it."""
        return self.path / "recipe.yaml"

    def graph(self, network: str) -> Path:
        """The resolved graph of a network."""
        return self.path / "graphs" / f"{network}.yaml"

    def weights(self, network: str) -> Path:
        """The last weights of a network."""
        return self.path / "weights" / f"{network}.safetensors"

    @property
    def state(self) -> Path:
        """The state from which training goes on."""
        return self.path / "state.pt"

    @property
    def log(self) -> Path:
        """The figures of training, a JSON line for each time."""
        return self.path / "metrics.jsonl"

    @property
    def board(self) -> Path:
        """The same for TensorBoard, a folder."""
        return self.path / "tensorboard"

    def sample(self, step: int) -> Path:
        """The picture of test images after a step."""
        return self.path / "samples" / f"step_{step:06d}.png"

    @property
    def environment(self) -> Path:
        """Where and with what the run was made."""
        return self.path / "environment.json"

    @property
    def evaluation(self) -> Path:
        """What was measured at the end."""
        return self.path / "evaluation.json"

    @property
    def sheet(self) -> Path:
        """What was measured at the end, image by image."""
        return self.path / "evaluation.csv"

    @property
    def mean(self) -> Path:
        """The mean images of the training set, to measure other images against."""
        return self.path / "mean_images.safetensors"

    @property
    def curves(self) -> Path:
        """The picture of losses and metrics over the steps."""
        return self.path / "curves.png"

    @property
    def pictures(self) -> Path:
        """The picture of the best, the median and the worst test image."""
        return self.path / "pictures.png"

    @property
    def report(self) -> Path:
        """The report in Markdown."""
        return self.path / "report.md"

    @property
    def page(self) -> Path:
        """The report as a page that needs no other file."""
        return self.path / "report.html"
