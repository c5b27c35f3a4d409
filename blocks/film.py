"""Feature-wise linear modulation (Perez et al. 2018, section 2.1): a vector scales and shifts the channels of a map."""

from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.conv import pixels
from crossband.blocks.norm import NORMS, Norm


@block(
    "FiLM",
    contract="b c h w, b d -> b c h w",
    where=["pixels(h, w) >= 2  # more than one pixel to normalise"],
    reach=1,
    cite="perez2018film",
    pixels=pixels,
)
class FiLM(nn.Module):
    """Scale and shift each channel of a map by numbers that are linear in a vector: `b c h w, b d -> b c h w`.

        out = (1 + scale(vector)) * norm(x) + shift(vector)

    `norm: none` is the modulation of the paper, `instance` the adaptive instance normalisation of StyleGAN, `group` the
    adaptive group normalisation of diffusion networks; `batch`, `layer` and `group` keep their own scale and offset.
    """

    def __init__(self, c: int, d: int, *, norm: Norm = "none") -> None:
        super().__init__()
        self.norm = NORMS[norm](c)
        self.linear = nn.Linear(d, 2 * c)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """`b c h w, b d -> b c h w`."""
        scale, shift = self.linear(vector)[:, :, None, None].chunk(2, dim=1)
        return (1 + scale) * self.norm(x) + shift
