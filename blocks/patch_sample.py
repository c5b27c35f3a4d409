"""Feature vectors of patches for contrastive learning (Park et al. 2020, section 3 and appendix)."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import normalize

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import SIGNED


def _length(c: int, *, out: int, mlp: bool, **_: object) -> int:
    return out if mlp else c


@block(
    "PatchSample",
    contract="b c h w, b c h w -> b min(h*w,{patches}) length(c), b min(h*w,{patches}) length(c)",
    outputs=("query", "key"),
    exact="a pixel of one map is the same place in the other only where their sizes are equal",
    range=SIGNED,
    cite="park2020cut",
    length=_length,
)
class PatchSample(nn.Module):
    """Vectors of two feature maps at the same pixels: `b c h w, b c h w -> b p {out}, b p {out}`.

    p is `patches`, or h * w where there are fewer pixels. In training the pixels are drawn without replacement,
    one draw for both maps and all images; in eval they are evenly spaced. The channels of a pixel are
    its vector. With `mlp`, one MLP for both maps (`c` to `out`, ReLU, `out` to `out`) transforms it. It is then
    scaled to length 1.
    """

    def __init__(self, c: int, *, out: Count = 256, patches: Count = 256, mlp: bool = True) -> None:
        super().__init__()
        self.patches = patches
        self.mlp = nn.Sequential(nn.Linear(c, out), nn.ReLU(), nn.Linear(out, out)) if mlp else nn.Identity()

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """`b c h w, b c h w -> b p {out}, b p {out}`."""
        pixels = self.positions(query.shape[-2] * query.shape[-1], query.device)
        return self.vectors(query, pixels), self.vectors(key, pixels)

    def positions(self, pixels: int, device: torch.device) -> Tensor:
        """The numbers of the chosen pixels among `pixels`, counted along rows: `p`."""
        drawn = min(self.patches, pixels)
        if self.training:
            return torch.randperm(pixels, device=device)[:drawn]
        return (2 * torch.arange(drawn, device=device) + 1) * pixels // (2 * drawn)  # the middles of equal stretches

    def vectors(self, x: Tensor, pixels: Tensor) -> Tensor:
        """The vectors of some pixels of `b c h w`: `b p {out}`."""
        drawn = rearrange(x, "b c h w -> b (h w) c")[:, pixels]
        return normalize(self.mlp(drawn), dim=-1, eps=1e-7)  # eps that float16 can tell from 0
