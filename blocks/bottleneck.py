"""The bottleneck of deep residual networks (He et al. 2016, Figure 5 and Table 1)."""

from torch import Tensor, nn

from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.contracts.ranges import POSITIVE
from crossband.blocks.conv import Conv


@block(
    "Bottleneck",
    contract="b c h w -> b {out} ceil(h/stride) ceil(w/stride)",
    reach="2*dilation+1",
    range=POSITIVE,
    cite="he2016resnet",
)
class Bottleneck(nn.Module):
    """Reduce to `width` channels, convolve 3x3, expand to `out` channels and add the input.

    `b c h w -> b {out} ceil(h/stride) ceil(w/stride)`. The three convolutions 1x1, 3x3 and 1x1 have no bias and
    are batch normalised; ReLU follows the first two and the sum. Where channels or size change, a normalised 1x1
    convolution projects the input. As in torchvision, `stride` and `dilation` are those of the 3x3 convolution.
    """

    def __init__(self, c: int, *, width: Count, out: Count, stride: Count = 1, dilation: Count = 1) -> None:
        super().__init__()
        self.conv1 = Conv(c, out=width, kernel=1, norm="batch", activation="relu")
        self.conv2 = Conv(width, out=width, stride=stride, dilation=dilation, norm="batch", activation="relu")
        self.conv3 = Conv(width, out=out, kernel=1, norm="batch")
        same = c == out and stride == 1
        self.shortcut = nn.Identity() if same else Conv(c, out=out, kernel=1, stride=stride, norm="batch")
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} ceil(h/stride) ceil(w/stride)`."""
        return self.relu(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))
