"""Published weights on this machine, and the networks that metrics use: LPIPS (AlexNet) and Inception.

Nothing is downloaded here. The weights are taken from the ordinary torch hub cache
(`$TORCH_HOME/hub/checkpoints`, by default `~/.cache/torch/hub/checkpoints`), where torchvision and
torch-fidelity also look; where they are missing, `Unavailable` says what to fetch and where to put
it. Random weights are never used in their place. A file that is more than plain tensors is refused,
since the libraries would unpickle it.
"""

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from crossband.recipes.basics.readback import CheckpointError, unpickled
from crossband.registry import CrossbandError


class Unavailable(CrossbandError):
    """Something cannot be measured or loaded; the message is the reason, the hint what to do about it."""


def weights_file(url: str) -> Path:
    """The cached copy of the weights at `url`. Raises Unavailable if it is missing or not safe to load."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not file.is_file():
        raise Unavailable(
            f"the weights `{file.name}` are not in `{file.parent}`, and nothing is downloaded unasked",
            hint=f"fetch them once with `python -c \"import torch; torch.hub.load_state_dict_from_url('{url}')\"`",
        )
    read_tensors(file)
    return file


def read_tensors(file: Path, device: str = "meta") -> Mapping[str, Tensor]:
    """The tensors of a file of plain tensors. Raises Unavailable if it is anything else."""
    try:
        return unpickled(file, "a file of plain tensors", device=device)
    except CheckpointError as error:
        raise Unavailable(error.message, hint="delete it and fetch it again") from None


@functools.cache
def lpips_network(device: str) -> nn.Module:
    """LPIPS v0.1 with AlexNet (Zhang et al. 2018), from the authors' package. Raises Unavailable."""
    import lpips
    from torchvision.models import AlexNet_Weights

    weights_file(AlexNet_Weights.IMAGENET1K_V1.url)
    with _quietly():
        return lpips.LPIPS(net="alex", verbose=False).requires_grad_(False).to(device)


@functools.cache
def inception_network(device: str) -> nn.Module:
    """The Inception v3 of FID and KID, with the resize of the original, from torch-fidelity. Raises Unavailable.

    Takes `b 3 h w` bytes and gives a tuple of one tensor `b 2048`.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

    file = weights_file(URL_INCEPTION_V3)
    with _quietly():
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(file))
    return network.to(device)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Build a library's network without its deprecation warnings and without touching the random state."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
