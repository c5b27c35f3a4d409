"""The block of diffusion transformers with adaLN-Zero (Peebles and Xie 2023, section 3.2)."""

from torch import Tensor, nn

from crossband.blocks.attention import DIVIDES, LOOKS, attend, looks
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.norm import LayerNorm


class _Plain(LayerNorm):
    """Layer normalisation of each pixel without a learned scale and offset."""

    def __init__(self, c: int) -> None:
        super().__init__(c)
        self.norm = nn.LayerNorm(c, eps=1e-6, elementwise_affine=False)


@block(
    "DiTBlock",
    contract="b c h w, b d -> b c h w",
    where=[DIVIDES],
    inner_maps=LOOKS,
    cite="peebles2023dit",
)
class DiTBlock(nn.Module):
    """Attention between all pixels, then an MLP, both steered by a vector: `b c h w, b d -> b c h w`.

        y = x + a1 * attention((1 + s1) * norm(x) + t1),   out = y + a2 * mlp((1 + s2) * norm(y) + t2)

    a, s and t are linear in silu(vector), for example of a TimeEmbedding; their weights **start at 0**, so that a new
    block is the identity. Norms have no weights of their own. The MLP widens the channels `expand` times, with GELU.
    Positions are not told apart: convolve before, or add features of them.
    """

    def __init__(self, c: int, d: int, *, heads: Count = 4, expand: Count = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = _Plain(c), _Plain(c)
        self.all = nn.Conv2d(c, 3 * c, 1)
        self.project = nn.Conv2d(c, c, 1)
        self.mlp = nn.Sequential(nn.Conv2d(c, expand * c, 1), nn.GELU("tanh"), nn.Conv2d(expand * c, c, 1))
        factors = nn.Linear(d, 6 * c)
        nn.init.zeros_(factors.weight)
        nn.init.zeros_(factors.bias)
        self.steer = nn.Sequential(nn.SiLU(), factors)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """`b c h w, b d -> b c h w`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.steer(vector)[:, :, None, None].chunk(6, dim=1)
        query, key, value = self.all((1 + scale1) * self.norm1(x) + shift1).chunk(3, dim=1)
        x = x + gate1 * self.project(attend(query, key, value, self.heads))
        return x + gate2 * self.mlp((1 + scale2) * self.norm2(x) + shift2)

    def inner_maps(self, x: Tensor, vector: Tensor, *, pixel: tuple[int, int]) -> dict[str, Tensor]:
        """The weights of one pixel: `b heads h w`."""
        shift, scale = self.steer(vector)[:, :, None, None].chunk(6, dim=1)[:2]
        query, key, _ = self.all((1 + scale) * self.norm1(x) + shift).chunk(3, dim=1)
        return looks(query, key, self.heads, pixel)
