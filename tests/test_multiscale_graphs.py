"""Networks of several scales and receptive fields: parameters, sizes, and that they do what the papers say."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from crossband.graphs import build, check


@pytest.mark.parametrize(
    ("graph", "params", "sizes"),
    [
        ("unetpp", {}, "H and W: at least 16"),
        ("unetpp_mrf", {}, "H and W: multiples of 32"),
        ("unetpp_mrf_nearest", {}, "H and W: multiples of 32"),
        ("multiscale_sine", {"norm": "none"}, "H and W: multiples of 32"),
        ("multiscale_sine", {"norm": "none", "scales": 2}, "H and W: multiples of 8"),
        ("multiscale_sine", {"norm": "none", "scales": 1, "halvings": 0}, "H and W: any"),
        ("multiscale_patchgan", {"norm": "none"}, "H and W: any"),
    ],
)
def test_image_sizes(graph, params, sizes):
    assert str(check(graph, params).sizes) == sizes


# UNet++


def test_the_rows_of_the_nest_have_the_widths_and_inputs_of_the_paper():
    """Table 1 of the paper: input channels of the joining layers, row by row."""
    plan = check("unetpp_mrf")
    inputs = {call.node: call.arguments["c"] for call in plan.calls if call.name.endswith("nest.layer")}
    assert [inputs[f"x0{column}"] for column in (1, 2, 3, 4)] == [128, 192, 256, 320]
    assert [inputs[f"x1{column}"] for column in (1, 2, 3)] == [256, 384, 512]
    assert [inputs[f"x2{column}"] for column in (1, 2)] == [512, 768]
    assert inputs["x31"] == 1024
    numbers = plan.sizes.nearest(H=256, W=256)
    assert numbers == {"H": 256, "W": 256}


@pytest.mark.parametrize(("graph", "side"), [("unetpp_mrf", 32), ("unetpp_mrf_nearest", 16)])
def test_fusion_weights_are_a_tap_and_sum_to_one(graph, side):
    network = build(graph, {"width": 4}, taps=["weights", "fused"], seed=0)
    results = network(torch.rand(2, 3, 32, 32))
    assert results["weights"].shape == (2, 4, side, side)
    torch.testing.assert_close(results["weights"].sum(1), torch.ones(2, side, side))
    fused = results["fused"]
    assert fused.shape == (2, 2, side, side)
    full = fused if side == 32 else interpolate(fused, scale_factor=2, mode="nearest")
    assert torch.equal(results["translated"], network.get_submodule("translated.Conv")(full).tanh())


def test_deep_supervision_gives_the_mean_of_four_images():
    results = build("unetpp_deep", {"width": 2}, seed=0).eval()(torch.rand(1, 3, 21, 34))
    sides = torch.stack([results[f"side{number}"] for number in (1, 2, 3, 4)])
    torch.testing.assert_close(results["translated"], sides.mean(0))


# The multi-scale generator


def test_each_scale_sees_its_image_and_adds_to_what_the_one_below_emitted():
    network = build("multiscale_sine", {"width": 2, "modules": 1}, seed=0)
    image = torch.rand(1, 1, 64, 96)
    seen: list[Tensor] = []
    emitted: list[Tensor] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.extend(x for x in inputs if x.shape[1] == 1)
        emitted.extend(x for x in [output] if x.shape[1] == 3)

    for name, module in network.named_modules():
        if name in {"first.Conv", "emitted"} or name.endswith(("stem", "head")):
            module.register_forward_hook(note)
    translated = network(image)
    pyramid = [image]
    for _ in range(3):
        pyramid.append(avg_pool2d(pyramid[-1], 2))
    for found, wanted in zip(seen, reversed(pyramid), strict=True):
        torch.testing.assert_close(found, wanted)
    total = emitted[0]
    for own in emitted[1:]:
        total = interpolate(total, scale_factor=2, mode="nearest") + own
    assert len(emitted) == 4
    torch.testing.assert_close(translated, total.tanh())


# The multi-scale critic


def test_maps_of_the_critic_are_those_of_the_reference():
    plan = check("multiscale_patchgan")
    network = build("multiscale_patchgan", {"width": 2}, taps=["layer1_1", "layer4_3"], seed=0)
    results = network(torch.rand(1, 3, 256, 256))
    assert list(plan.outputs) == ["score_1", "score_2", "score_3"]
    assert [results[name].shape[2:] for name in plan.outputs] == [(35, 35), (19, 19), (11, 11)]
    assert results["layer1_1"].shape == (1, 2, 129, 129)
    assert results["layer4_3"].shape == (1, 16, 10, 10)


def test_a_multi_scale_critic_is_gradient_normalised_scale_by_scale(tmp_path):
    file = tmp_path / "normalised.yaml"
    file.write_text(
        "graph: normalised\nextends: multiscale_patchgan_conditional\nparams: {width: 2}\n"
        "wrap: {GradientNorm: {wrt: [image]}}\n"
    )
    condition, image = torch.rand(2, 3, 40, 40), torch.rand(2, 3, 40, 40)
    plain = build("multiscale_patchgan_conditional", {"width": 2}, taps=["layer1_2"], seed=0)
    results = build(file, taps=["layer1_2"], seed=0)(condition, image)
    bare = plain(condition, image.requires_grad_())
    assert torch.equal(results["layer1_2"], bare["layer1_2"])
    for name in ("score_1", "score_2", "score_3"):
        (gradient,) = torch.autograd.grad(bare[name].sum(), image, retain_graph=True)
        slope = gradient.flatten(1).norm(dim=1).view(2, 1, 1, 1)
        torch.testing.assert_close(results[name], bare[name] / (slope + bare[name].abs()))
