"""The bottleneck of deep residual networks (He et al. 2016, Figure 5 and Table 1)."""

from torch import Tensor, nn

from crossband.blocks.activation import ACTIVATIONS, Activation, activated
from crossband.blocks.contracts.block import block
from crossband.blocks.contracts.bounds import Count
from crossband.blocks.conv import Conv, pixels
from crossband.blocks.norm import Norm


@block(
    "Bottleneck",
    contract="b c h w -> b {out} ceil(h/stride) ceil(w/stride)",
    where=["pixels(ceil(h/stride), ceil(w/stride)) >= 2  # more than one pixel to normalise"],
    reach="2*dilation+1",
    range=activated,
    later=("norm", "activation"),
    cite="he2016resnet",
    pixels=pixels,
)
class Bottleneck(nn.Module):
    """Reduce to `width` channels, convolve 3x3, expand to `out` channels and add the input.

    `b c h w -> b {out} ceil(h/stride) ceil(w/stride)`. The three convolutions 1x1, 3x3 and 1x1 are
    normalised; the activation follows the first two and the sum. Where channels or size change, a normalised 1x1
    convolution projects the input. As in torchvision, `stride` and `dilation` are those of the 3x3 convolution. In the
    paper all are batch normalised, without bias, and the activation is ReLU; before another norm they have a bias.
    """

    def __init__(
        self,
        c: int,
        *,
        width: Count,
        out: Count,
        stride: Count = 1,
        dilation: Count = 1,
        norm: Norm = "batch",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.conv1 = Conv(c, out=width, kernel=1, norm=norm, activation=activation)
        self.conv2 = Conv(width, out=width, stride=stride, dilation=dilation, norm=norm, activation=activation)
        self.conv3 = Conv(width, out=out, kernel=1, norm=norm)
        same = c == out and stride == 1
        self.shortcut = nn.Identity() if same else Conv(c, out=out, kernel=1, stride=stride, norm=norm)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`b c h w -> b {out} ceil(h/stride) ceil(w/stride)`."""
        return self.activation(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))
