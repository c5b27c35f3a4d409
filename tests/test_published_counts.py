"""How many parameters a network has: ours beside those of the papers and of their code."""

import pytest
import torch

from crossband.graphs import build

PUBLISHED = [
    # U2-Net, with and without criss-cross attention
    ("u2net", {}, 44_009_869),
    ("u2net", {"out": 3}, 44_037_579),
    ("u2netp", {}, 1_131_181),
    ("u2netp", {"out": 3}, 1_138_155),
    ("u2net_cca", {"cca_at": []}, 44_009_869),
    ("u2net_cca", {"cca_at": ["en5"]}, 44_338_190),
    ("u2net_cca", {"cca_at": ["en6"]}, 44_338_190),
    ("u2net_cca", {}, 44_666_511),
    ("u2net_cca", {"recurrence": 1}, 44_666_511),
    ("u2net_cca", {"cca_at": ["en5", "en6", "en4"]}, 44_994_832),
    # pix2pix, CycleGAN, CUT, pix2pixHD, TICCGAN and GN_CycleGAN
    ("resnet9", {}, 11_378_179),
    ("resnet9", {"norm": "batch"}, 11_383_427),
    ("resnet9", {"out": 1}, 11_371_905),
    ("resnet9", {"channels": 1}, 11_371_907),
    ("resnet6", {}, 7_837_699),
    ("resnet9_cbam", {}, 11_455_255),
    ("resnet9_cbam", {"cbam": "after_trunk"}, 11_386_743),
    ("unet256", {}, 54_413_955),
    ("unet256", {"norm": "instance", "dropout": 0}, 54_409_603),
    ("unet256", {"out": 1}, 54_409_857),
    ("unet128", {}, 41_828_995),
    ("unet128", {"norm": "instance", "dropout": 0}, 41_825_667),
    ("unet", {}, 31_037_698 + 64 + 1),  # with two classes, in github.com/milesial/Pytorch-UNet
    ("patchgan70", {}, 2_764_737),
    ("patchgan70", {"channels": 1}, 2_762_689),
    ("patchgan70_gn", {}, 2_764_737),
    ("patchgan70_conditional", {}, 2_768_705),
    ("patchgan70_conditional", {"channels": 1}, 2_766_657),
    ("patchgan70_conditional", {"out": 3}, 2_768_705 + 16_386),
    ("cut_resnet9", {}, 11_378_179),
    ("cut_patchgan", {}, 2_764_737),
    ("cut_head", {}, 5 * (256 * 256 + 256) + (3 + 128 + 3 * 256) * 256 + 5 * 256),
    ("pix2pixhd_global", {}, 182_443_267),
    ("pix2pixhd_local", {}, 182_701_827),
    ("ticcgan", {}, 45_851_907),
    # UNet++ with fused receptive fields, the multi-scale generator and critic
    ("unetpp", {}, 9_163_395),
    ("unetpp_deep", {}, 9_163_692),
    ("unetpp_mrf", {}, 35_479_654),
    ("unetpp_mrf", {"ccb_kernel": 4}, 42_877_030),
    ("unetpp_mrf", {"per": "channel"}, 35_479_654 + 3 * 31 * (64 * 9 + 1)),
    ("unetpp_mrf_nearest", {}, 35_422_310),
    ("unetpp_mrf_nearest", {"ccb_kernel": 4}, 42_819_686),
    ("multiscale_sine", {}, 10_811_226),
    ("multiscale_sine", {"channels": 3}, 10_836_314),
    ("multiscale_sine_residual", {}, 10_811_088),
    ("multiscale_sine_wide", {}, 10_810_240),
    ("patchgan_hd", {}, 2_764_737),
    ("multiscale_patchgan", {}, 8_294_211),
    ("multiscale_patchgan_conditional", {"given": 1}, 8_297_283),
    ("multiscale_patchgan_conditional", {}, 8_303_427),
    ("multiscale_patchgan_conditional", {"scales": 2}, 5_535_618),
    # LadleNet, LadleNet+ and what they are compared with
    ("ladlenet", {}, 40_542_450),
    ("ladlenet", {"cat_conv": "random_as_published"}, 34_256_146),
    ("ladlenet", {"cat_conv": "identity_mean"}, 34_256_146),
    ("deeplabv3plus", {}, 58_753_459),
    ("deeplabv3plus", {"stride": 16}, 58_753_459),
    ("ladlenet_plus", {}, 75_881_592),
    ("bridged_unet", {}, 19_089_894),
    ("unet_ir2vi", {}, 27_964_707),
    ("pix2pix_ir2vi", {}, 63_087_619),
    ("pix2pix_ir2vi_critic", {}, 695_777),
    ("tir2lab", {}, 1_462_275),
]


ROUNDED = [  # as printed, in millions
    ("restormer", {}, "26.1"),
    ("nafnet", {}, "17.1"),
    ("nafnet", {"width": 64}, "67.9"),
    ("swin_unet", {}, "27.17"),  # not by the paper, which prints none: by those who counted its code
]


def count(graph: str, params: dict[str, object]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(graph, params).parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("graph", "params", "published"), PUBLISHED)
def test_parameters_are_as_many_as_published(graph: str, params: dict[str, object], published: int):
    assert count(graph, params) == published


@pytest.mark.parametrize(("graph", "params", "printed"), ROUNDED)
def test_parameters_are_as_many_as_printed(graph: str, params: dict[str, object], printed: str):
    digits = len(printed.partition(".")[2])
    assert f"{count(graph, params) / 1e6:.{digits}f}" == printed


def test_gates_add_three_linear_layers_to_each_of_three_skips():
    """Attention U-Net has no count of its own to match: those of its paper are of networks for volumes."""
    gates = [c * c // 2 + (2 * c * c // 2 + c // 2) + (c // 2 + 1) for c in (128, 256, 512)]
    assert count("unet_attention", {}) == count("unet", {}) + sum(gates)


if __name__ == "__main__":
    print("| graph | params | published | ours |\n|---|---|---|---|")
    for graph, params, published in PUBLISHED:
        said = ", ".join(f"{name}={value}" for name, value in params.items())
        print(f"| {graph} | {said} | {published:,} | {count(graph, params):,} |")
