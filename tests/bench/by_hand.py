"""The networks of the benchmark written by hand in plain PyTorch, as one would without this library."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def layer(c: int, out: int, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(c, out, 3, padding=dilation, dilation=dilation)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())


def resized(x: Tensor, target: Tensor) -> Tensor:
    return F.interpolate(x, size=target.shape[-2:], mode="bilinear", align_corners=False)


class ResidualU(nn.Module):
    def __init__(self, c: int, mid: int, out: int, depth: int, dilated: bool = False) -> None:
        super().__init__()
        rates = [2**level if dilated else 1 for level in range(depth - 1)]
        self.dilated = dilated
        self.entry = layer(c, out)
        self.down = nn.ModuleList(layer(out if level == 0 else mid, mid, rate) for level, rate in enumerate(rates))
        self.bottom = layer(mid, mid, 2 ** (depth - 1) if dilated else 2)
        self.up = nn.ModuleList(
            layer(2 * mid, out if level == 0 else mid, rates[level]) for level in reversed(range(depth - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        entry = self.entry(x)
        features = [self.down[0](entry)]
        for down in self.down[1:]:
            x = features[-1] if self.dilated else F.max_pool2d(features[-1], 2, ceil_mode=True)
            features.append(down(x))
        x = self.bottom(features[-1])
        for up, feature in zip(self.up, reversed(features), strict=True):
            x = up(torch.cat([x if x.shape[-2:] == feature.shape[-2:] else resized(x, feature), feature], 1))
        return x + entry


class U2Net(nn.Module):
    """U2-Net with the first stage `width` channels wide and one output channel."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w, half = width, width // 2
        self.en1 = ResidualU(3, half, w, 7)
        self.en2 = ResidualU(w, half, 2 * w, 6)
        self.en3 = ResidualU(2 * w, w, 4 * w, 5)
        self.en4 = ResidualU(4 * w, 2 * w, 8 * w, 4)
        self.en5 = ResidualU(8 * w, 4 * w, 8 * w, 4, dilated=True)
        self.en6 = ResidualU(8 * w, 4 * w, 8 * w, 4, dilated=True)
        self.de5 = ResidualU(16 * w, 4 * w, 8 * w, 4, dilated=True)
        self.de4 = ResidualU(16 * w, 2 * w, 4 * w, 4)
        self.de3 = ResidualU(8 * w, w, 2 * w, 5)
        self.de2 = ResidualU(4 * w, half, w, 6)
        self.de1 = ResidualU(2 * w, w // 4, w, 7)
        self.heads = nn.ModuleList(nn.Conv2d(c * w, 1, 3, padding=1) for c in (1, 1, 2, 4, 8, 8))
        self.fuse = nn.Conv2d(6, 1, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        def half(x: Tensor) -> Tensor:
            return F.max_pool2d(x, 2, ceil_mode=True)

        def joined(x: Tensor, skip: Tensor) -> Tensor:
            return torch.cat([resized(x, skip), skip], 1)

        e1 = self.en1(image)
        e2 = self.en2(half(e1))
        e3 = self.en3(half(e2))
        e4 = self.en4(half(e3))
        e5 = self.en5(half(e4))
        e6 = self.en6(half(e5))
        d5 = self.de5(joined(e6, e5))
        d4 = self.de4(joined(d5, e4))
        d3 = self.de3(joined(d4, e3))
        d2 = self.de2(joined(d3, e2))
        d1 = self.de1(joined(d2, e1))
        features = (d1, d2, d3, d4, d5, e6)
        sides = [resized(head(x), image) for head, x in zip(self.heads, features, strict=True)]
        return [torch.sigmoid(x) for x in (self.fuse(torch.cat(sides, 1)), *sides)]


def dense_criss_cross(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Criss-cross attention the plain way: all pixels to all pixels, masked to row and column."""
    b, _, h, w = query.shape
    energy = torch.einsum("bkm,bkn->bmn", query.flatten(2), key.flatten(2))
    rows = torch.arange(h).repeat_interleave(w)
    columns = torch.arange(w).repeat(h)
    cross = (rows[:, None] == rows) | (columns[:, None] == columns)
    weights = energy.masked_fill(~cross, -torch.inf).softmax(-1)
    return torch.einsum("bmn,bcn->bcm", weights, value.flatten(2)).view(b, -1, h, w)
