"""Gradient normalisation of a critic (Wu et al. 2021, equation 6)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Len
from einops import reduce
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from crossband.blocks.contracts.block import wrapper
from crossband.blocks.contracts.bounds import Share
from crossband.blocks.contracts.precision import autocasts, full_precision, widened
from crossband.blocks.contracts.ranges import POSITIVE, UNIT, Range
from crossband.blocks.contracts.wrapped import signature_of, taps_of
from crossband.registry import ArgumentError, suggest


def _range(score: Range, *, formula: str, zeta: str | float, blend: float, **_: object) -> Range:
    """Within [-1, 1], or [0, 1] for `squared`; with a number for `zeta` only the sign is known."""
    least, most = (-1.0 if score.low < 0 else 0.0), (1.0 if score.high > 0 else 0.0)
    sign = Range(least, most) if formula == "signed" else UNIT
    normal = sign if zeta == "abs_f" else sign * POSITIVE
    return normal * blend + score * (1 - blend)


@wrapper("GradientNorm", range=_range, cite="wu2021gngan")
class GradientNorm(nn.Module):
    """Divide the output of a critic (discriminator) by the norm of its own gradient, so that its slope stays bounded.

    Let f be the network and n the L2 norm, per image, of the gradient of its reduced output with respect to the
    inputs `wrt` (null: all inputs), taken together. By its `formula` the output is

        signed:   f / (n + zeta)          in (-1, 1)
        squared:  (f / (n + zeta))^2      in [0, 1), which cannot tell f from -f

    where `zeta` is |f| (`abs_f`) or a number, with which these ranges no longer hold. `reduce` chooses the number to
    differentiate for a map of scores: its `sum`, its `mean`, or `scalar`, which averages the map first, so that the
    output is one score per image, `b 1 1 1`. Only for `scalar` does the theorem hold that the gradient of the output
    has a norm of at most 1 (for critics of piecewise linear layers). `blend` mixes `blend` parts of the normalised
    output with 1 - `blend` parts of f.

    `forward` takes the inputs of the network and returns scores in the shape of its output. Each of several outputs
    is divided by the norm of its own gradient; inner features (the `taps` of the network) come out unchanged.
    Gradients reach the caller's tensors and the parameters, through the norm too, which costs a double backward;
    without gradients (`torch.no_grad()`) the value is the same. It works in full precision under autocast. Raises
    ArgumentError for a network with batch normalisation, which mixes images and so has no gradient per image, and
    for a name in `wrt` that is not an input.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        wrt: Annotated[list[str], Len(1)] | None = None,
        formula: Literal["signed", "squared"] = "signed",
        zeta: Literal["abs_f"] | Annotated[float, Ge(0)] = "abs_f",
        reduce: Literal["sum", "mean", "scalar"] = "sum",
        blend: Share = 1.0,
    ) -> None:
        super().__init__()
        signature = signature_of(network)
        inputs = signature.parameters
        if unknown := [name for name in wrt or [] if name not in inputs]:
            raise ArgumentError(
                f"GradientNorm: the network has no input `{unknown[0]}`", hint=suggest(unknown[0], inputs)
            )
        if mixing := [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]:
            reason = f"the network has batch normalisation at `{mixing[0]}`, which mixes the images of a batch"
            raise ArgumentError(f"GradientNorm: {reason}", hint="use instance normalisation, or none")
        self.network = network
        self.taps = taps_of(network)
        self.__signature__ = signature
        self.wrt, self.formula, self.zeta, self.reduce, self.blend = wrt, formula, zeta, reduce, blend

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor | dict[str, Tensor]:
        """Scores in the network's output shape, or `b 1 1 1` with `reduce: scalar`; a dict of them for a dict."""
        bound = self.__signature__.bind(*args, **kwargs)
        learning = torch.is_grad_enabled()
        device = next(iter(bound.arguments.values())).device
        wide = autocasts(device)
        with torch.inference_mode(False), torch.enable_grad(), full_precision(device):
            inputs = {name: _differentiable(widened(x) if wide else x) for name, x in bound.arguments.items()}
            wanted = [inputs[name] for name in self.wrt or inputs]
            results = self.network(**inputs)
            named = {"": results} if isinstance(results, Tensor) else results
            outputs = {name: x if name in self.taps else self._normal(x, wanted, learning) for name, x in named.items()}
        outputs = outputs if learning else {name: x.detach() for name, x in outputs.items()}
        return outputs[""] if isinstance(results, Tensor) else outputs

    def _normal(self, score: Tensor, wanted: Sequence[Tensor], learning: bool) -> Tensor:
        """Divide a score by the norm of its gradient with respect to `wanted`, as `formula`, `zeta` and `blend` say."""
        per_image = (len(score), *[1] * (score.ndim - 1))
        mean = reduce(score, "b ... -> b", "mean").view(per_image)
        if self.reduce == "scalar":
            score = mean
        reduced = (mean if self.reduce == "mean" else score).sum()
        gradients = torch.autograd.grad(reduced, wanted, create_graph=learning, retain_graph=True)  # for the next score
        slope = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).norm(dim=1).view(per_image)
        normal = score / (slope + (score.abs() if isinstance(self.zeta, str) else self.zeta)).clamp_min(1e-12)
        normal = normal.square() if self.formula == "squared" else normal
        return normal if self.blend == 1 else self.blend * normal + (1 - self.blend) * score


def _differentiable(tensor: Tensor) -> Tensor:
    """A tensor that takes gradients and passes them on to the caller's, whose `requires_grad` stays as it is."""
    tensor = tensor.clone() if tensor.is_inference() else tensor  # autograd cannot use it as it is
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
