"""Settings for every test: one thread, how hard Hypothesis tries, and where shared strategies are found."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

sys.path.insert(0, str(Path(__file__).parent))  # `import strategies`, which the importlib mode leaves out
pytest_plugins = ["faults.campaign"]  # its options and its table
torch.set_num_threads(1)  # small tensors: threads cost more than they bring, and results repeat to the bit
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background, and so in all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("quick", max_examples=3, deadline=None, derandomize=True)
settings.register_profile("default", max_examples=10, deadline=None)
settings.load_profile("default")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Each test begins with the same random state, whichever ran before it."""
    torch.default_generator.manual_seed(0)  # `torch.manual_seed` keeps a stack trace for each other kind of device


@pytest.fixture(scope="module")
def fabric() -> "Fabric":
    """One process on the CPU."""
    from lightning_fabric import Fabric

    found = Fabric(accelerator="cpu", devices=1)
    found.launch()
    return found


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that forgets what a test registers."""
    from scratch import forget_afterwards

    forget_afterwards(monkeypatch)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small random networks in the place of VGG19 and AlexNet: what surrounds them is tested, not their weights."""
    from crossband.recipes.losses import vgg
    from crossband.recipes.losses.perceptual import PIX2PIXHD
    from crossband.recipes.metrics import metrics

    torch.manual_seed(1)
    layers = {layer: torch.nn.Conv2d(3, 3, 3, padding=1).requires_grad_(False) for layer in PIX2PIXHD}

    def frozen(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: layer(image) for name, layer in layers.items()}

    monkeypatch.setattr(vgg, "frozen", lambda *_, **__: frozen)
    monkeypatch.setattr(metrics, "lpips_network", lambda device: lambda a, b, normalize: (a - b).abs().mean((1, 2, 3)))
