"""LadleNet, LadleNet+ and what they are compared with: sizes, shapes, and that one image has one translation."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, interpolate, leaky_relu, max_pool2d

from crossband import blocks
from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs import build, check

# a narrow form of each network, and an image that it takes
NARROW: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("ladlenet", {"width": 2}, (3, 64, 96)),
    ("ladlenet", {"width": 2, "channels": 1, "cat_conv": "identity_mean"}, (1, 96, 64)),
    ("ladlenet", {"width": 2, "cat_conv": "random_as_published"}, (3, 64, 96)),
    ("deeplabv3plus", {"width": 2, "depth3": 2, "head": 4, "low": 2, "classes": 5}, (3, 37, 50)),
    ("deeplabv3plus", {"width": 2, "depth3": 2, "head": 4, "low": 2, "stride": 16}, (3, 50, 37)),
    ("ladlenet_plus", {"width": 2, "stem": 2, "depth3": 2, "head": 4, "low": 2, "classes": 5}, (3, 64, 96)),
    ("bridged_unet", {"width": 2}, (3, 32, 48)),
    ("unet_ir2vi", {"width": 2}, (3, 192, 256)),
    ("unet_ir2vi", {"width": 2}, (3, 131, 150)),
    ("pix2pix_ir2vi", {"width": 2}, (3, 256, 512)),
    ("pix2pix_ir2vi_critic", {"width": 2}, (6, 24, 40)),
    ("tir2lab", {"width": 2}, (1, 36, 52)),
]


@pytest.mark.parametrize(
    ("graph", "params", "sizes"),
    [
        ("ladlenet", {}, "multiples of 32"),
        ("deeplabv3plus", {}, "any"),
        ("ladlenet_plus", {}, "multiples of 32"),
        ("bridged_unet", {}, "multiples of 16"),
        ("unet_ir2vi", {}, "at least 64"),
        ("pix2pix_ir2vi", {}, "multiples of 256"),
        ("pix2pix_ir2vi_critic", {}, "at least 24"),
        ("tir2lab", {}, "multiples of 4"),
    ],
)
def test_sizes_are_those_of_the_published_code(graph, params, sizes):
    assert str(check(graph, params).sizes) == f"H and W: {sizes}"


@pytest.mark.parametrize(
    ("graph", "stages"),
    [
        (
            "ladlenet",  # channels, and what the image is divided by, at 192x256
            {
                **{f"handle.enc{level}": (16 << level, 1 << level) for level in range(1, 6)},
                "handle.bottom": (512, 32),
                **{f"handle.join{level}": (32 << level, 1 << level) for level in range(1, 6)},
                **{f"handle.dec{level}": (16 << level, 1 << level - 1) for level in range(1, 6)},
                "handle.semantic": (3, 1),
                **{f"bowl.enc{level}": (16 << level, 1 << level) for level in range(1, 6)},
                **{f"bowl.rise{level}": (16 << level, 1 << level - 1) for level in range(1, 6)},
                "bowl.translated": (3, 1),
            },
        ),
        (
            "deeplabv3plus",
            {
                "stem": (64, 2),
                "pool": (64, 4),
                "layer1": (256, 4),
                "layer2": (512, 8),
                "layer3": (1024, 8),
                "layer4": (2048, 8),
                "aspp": (256, 8),
                "low": (48, 4),
                "joined": (256, 4),
                "scores": (19, 1),
            },
        ),
        ("unet_ir2vi", {"enc5": (512, 32), "enc6": (512, 64), "enc8": (512, 64), "dec5": (512, 32), "dec1": (32, 2)}),
        ("pix2pix_ir2vi", {"enc1": (64, 2), "enc8": (512, 256), "dec8": (512, 128), "dec2": (64, 2), "dec1": (64, 1)}),
    ],
)
def test_stages_have_the_shapes_of_the_published_code(graph, stages):
    sizes = {"H": 768, "W": 1024}
    calls = {call.name: call for call in check(graph).calls}
    for stage, (channels, divisor) in stages.items():
        last = [call for name, call in calls.items() if f"{name}.".startswith(f"{stage}.")][-1]
        found = [int(evaluate(size, sizes)) for size in last.shapes[0][1:]]
        assert found == [channels, 768 // divisor, 1024 // divisor], stage


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("graph", "params", "image"), NARROW)
def test_images_pass_and_gradients_come_back(graph, params, image, batch):
    plan = check(graph, params)
    network = build(plan, seed=0)
    x = torch.rand(batch, *image)
    outputs = network(x)
    outputs = outputs if isinstance(outputs, dict) else {"only": outputs}
    for (_, ref), output in zip(plan.outputs.items(), outputs.values(), strict=True):
        sizes = dict(zip("HW", image[1:], strict=True))
        assert tuple(output.shape) == (batch, *(evaluate(size, sizes) for size in plan.shape(ref)[1:]))
    torch.stack([output.square().mean() for output in outputs.values()]).sum().backward()
    idle = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is None}
    assert idle == ({"out2"} if graph == "bridged_unet" else set())  # what the published code makes and does not use
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)


def published_ladlenet(network: nn.Module, image: Tensor) -> Tensor:
    """The modules of a LadleNet called in the order of the published code, its results named as there."""
    module = network.get_submodule

    def encode(part: str, level: int, x: Tensor, *handle: Tensor) -> Tensor:
        x = module(f"{part}.enc{level}.entry")(x)
        x = module(f"{part}.enc{level}.joined")(x, *handle) if handle else x
        deeper = module(f"{part}.enc{level}.body.Conv_2")(module(f"{part}.enc{level}.body.Conv")(x))
        return leaky_relu(max_pool2d(x + deeper, 2), 0.2)

    def decode(part: str, level: int, x: Tensor) -> Tensor:
        up = interpolate(module(f"{part}{level}.doubled.Conv")(x), scale_factor=2)
        return leaky_relu(up + module(f"{part}{level}.body")(up), 0.2)

    x, skips = image, {}
    for level in range(1, 6):
        x = skips[level] = encode("handle", level, x)
    joins = {5: torch.cat([module("handle.bottom.Conv_2")(module("handle.bottom.Conv")(x)), x], 1)}
    res = {5: decode("handle.dec", 5, joins[5])}
    for level in range(4, 0, -1):
        joins[level] = torch.cat([module(f"handle.join{level}.entry")(res[level + 1]), skips[level]], 1)
        res[level] = decode("handle.dec", level, joins[level])
    x = module("handle.semantic")(res[1])
    for level in range(1, 6):
        x = skips[level] = encode("bowl", level, x, res[level])
    x = torch.cat([module("bowl.bottom.Conv_2")(module("bowl.bottom.Conv")(x)), x], 1)
    x = decode("bowl.rise", 5, x + joins[5])
    for level in range(4, 0, -1):
        x = torch.cat([module(f"bowl.both{level}.entry")(x), skips[level]], 1)
        x = decode("bowl.rise", level, x + joins[level])
    return module("bowl.translated")(x)


def published_unet_ir2vi(network: nn.Module, image: Tensor) -> Tensor:
    """As above for U-Net_IR2VI, with the sizes that its code has for images of 192x256."""

    def layer(name: str, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        x = interpolate(x, size=size, mode="bilinear") if size else x
        found = [module for key, module in network.named_modules() if key.startswith(name) and hasattr(module, "pad")]
        return found[0](leaky_relu(x, 0.2))

    x, skips = image, {}
    for level in range(1, 6):
        x = skips[level] = layer(f"enc{level}", x)
    for level, size in ((6, None), (7, (4, 5)), (8, (4, 5))):
        x = layer(f"enc{level}", x, size)
    for level, size in ((5, (7, 9)), (4, (13, 17)), (3, (25, 33)), (2, (49, 65)), (1, (97, 129))):
        x = layer(f"dec{level}", torch.cat([interpolate(x, scale_factor=2), skips[level]], 1), size)
    x = layer("last", interpolate(x, scale_factor=2), (193, 257))
    return network.get_submodule("translated.Conv")(interpolate(x, size=(193, 257), mode="bilinear"))


def published_bridged_unet(network: nn.Module, image: Tensor) -> Tensor:
    """As above for Bridged U-Net, whose second U-Net has an underscore in its names."""
    module = network.get_submodule

    def up(x: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([interpolate(x, scale_factor=2), skip], 1)

    def twice(name: str, x: Tensor) -> Tensor:
        return module(f"{name}.layer_2.conv")(module(f"{name}.layer.conv")(x))

    def down(name: str, x: Tensor) -> Tensor:
        return module(f"{name}.shrink")(module(f"{name}.widen")(x))

    enc1 = twice("enc1", image)
    enc2 = down("enc2", enc1)
    enc3 = down("enc3", enc2)
    enc4 = down("enc4", enc3)
    enc5 = down("enc5", enc4)
    cat1 = up(enc5, enc4)
    dec4 = module("dec4.layer.conv")(cat1)
    cat2 = up(dec4, enc3)
    dec3 = module("dec3.layer.conv")(cat2)
    cat3 = up(dec3, enc2)
    dec2 = module("dec2.layer.conv")(cat3)
    cat4 = up(dec2, enc1)
    dec1 = module("dec1.layer.conv")(cat4)
    enc_ = twice("entry", module("first")(dec1))
    enc_1 = down("in1.descend", torch.cat([enc_, dec1], 1))
    enc_2 = down("in2.descend", torch.cat([enc_1, dec2], 1))
    enc_3 = down("in3.descend", torch.cat([enc_2, dec3], 1))
    enc_4 = down("in4.descend", torch.cat([enc_3, enc4], 1))
    dec_4 = module("out4.joined.layer.conv")(up(enc_4, enc_3)) + cat1
    dec_3 = module("out3.joined.layer.conv")(up(module("out4.layer.conv")(dec_4), enc_2)) + cat2
    dec_2 = module("out2.joined.layer.conv")(up(module("out3.layer.conv")(dec_3), enc_1)) + cat3
    dec_1 = module("out1.joined.layer.conv")(up(dec_2, enc_)) + cat4
    return module("translated")(module("out1.layer.conv")(dec_1))


def published_pix2pix_ir2vi(network: nn.Module, image: Tensor) -> Tensor:
    """As above for the generator of Pix2Pix_IR2VI."""
    module = network.get_submodule
    x, skips = image, {}
    for level in range(1, 9):
        name = f"enc{level}" if level in (1, 8) else f"enc{level}.all"
        x = max_pool2d(module(f"{name}.Conv")(x), 2)
        x = leaky_relu(x if level in (1, 8) else instance_norm(x), 0.2)
        skips[level] = x
    for level in range(8, 1, -1):
        x = instance_norm(module(f"dec{level}.larger.ConvTranspose")(x))
        x = module(f"dec{level}.joined.Conv")(torch.cat([x, skips[level - 1]], 1))
    return module("translated")(instance_norm(module("dec1.ConvTranspose")(x)))


def published_deeplabv3plus(network: nn.Module, image: Tensor) -> Tensor:
    """As above for DeepLabV3+, by VainF/DeepLabV3Plus-Pytorch."""

    def through(name: str, x: Tensor) -> Tensor:
        for layer in network.get_submodule(name).children():
            x = layer(x)
        return x

    module = network.get_submodule
    early = through("layer1", max_pool2d(module("stem")(image), 3, 2, 1))
    late = module("aspp")(through("layer4", through("layer3", through("layer2", early))))
    low = module("low")(early)
    late = interpolate(late, size=low.shape[2:], mode="bilinear")
    scores = module("classes")(module("joined.Conv")(torch.cat([low, late], 1)))
    return interpolate(scores, size=image.shape[2:], mode="bilinear")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("graph", "published", "size"),
    [
        ("ladlenet", published_ladlenet, (64, 96)),
        ("pix2pix_ir2vi", published_pix2pix_ir2vi, (256, 512)),
        ("deeplabv3plus", published_deeplabv3plus, (37, 50)),
        ("unet_ir2vi", published_unet_ir2vi, (192, 256)),
        ("bridged_unet", published_bridged_unet, (32, 48)),
    ],
)
def test_networks_are_wired_as_the_published_code(graph, published, size):
    network = build(graph, {"width": 2}, seed=0).double()
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    network(image)  # running statistics that are not those of the beginning
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(image), published(network, image))


def test_one_image_has_one_translation():
    """Not so in the published code, where every call joins Handle and Bowl by convolutions of its own."""
    image = torch.rand(1, 3, 64, 96)
    for cat_conv, same in [("registered", True), ("identity_mean", True), ("random_as_published", False)]:
        network = build("ladlenet", {"width": 2, "cat_conv": cat_conv}, seed=0).eval()
        with torch.no_grad():
            assert torch.equal(network(image), network(image)) == same, cat_conv


def test_what_is_drawn_anew_is_neither_trained_nor_saved():
    random, mean = (
        build("ladlenet", {"width": 2, "cat_conv": kind}) for kind in ("random_as_published", "identity_mean")
    )
    assert list(random.state_dict()) == list(mean.state_dict())


def test_ways_to_join_two_maps():
    x, y = torch.rand(2, 1, 4, 5, 6)
    assert torch.equal(blocks.CatConv(4, weights="identity_mean")(x, y), (x + y) / 2)
    learned = blocks.CatConv(4)
    assert learned.conv is not None
    assert torch.equal(learned(x, y), learned.conv(torch.cat([x, y], 1)))
    drawn = blocks.CatConv(64, weights="random_as_published")
    torch.manual_seed(1)
    found = drawn(*torch.randn(2, 1, 64, 32, 32))
    with torch.random.fork_rng():
        usual = nn.Conv2d(128, 64, 3, padding=1)(torch.randn(1, 128, 32, 32))
    assert abs(found.std() / usual.std() - 1) < 0.1  # drawn as torch draws


def test_a_bottleneck_is_that_of_torchvision():
    from torchvision.models.resnet import Bottleneck

    theirs = Bottleneck(8, 2, stride=1, dilation=2).eval()
    ours = blocks.Bottleneck(8, width=2, out=8, dilation=2).eval()
    with torch.no_grad():
        for number in "123":
            conv, norm = getattr(theirs, f"conv{number}"), getattr(theirs, f"bn{number}")
            layer = getattr(ours, f"conv{number}")
            layer.conv.load_state_dict(conv.state_dict())
            norm.running_mean.uniform_(-1, 1)
            layer.norm.load_state_dict(norm.state_dict())
        x = torch.randn(2, 8, 9, 7)
        torch.testing.assert_close(ours(x), theirs(x))
    assert isinstance(ours.shortcut, nn.Identity)
    assert not isinstance(blocks.Bottleneck(8, width=2, out=8, stride=2).shortcut, nn.Identity)


def test_a_pyramid_is_its_branches_side_by_side():
    aspp = blocks.ASPP(3, rates=[1, 2], out=4).eval()
    x = torch.randn(2, 3, 6, 5)
    assert aspp.pooled is not None
    whole = aspp.pooled(x.mean((2, 3), keepdim=True))
    seen = [branch(x) for branch in aspp.branches] + [interpolate(whole, size=(6, 5), mode="bilinear")]
    torch.testing.assert_close(aspp(x), aspp.project(torch.cat(seen, 1)))


def test_a_pyramid_trains_on_one_image_with_running_statistics():
    aspp = blocks.ASPP(3, rates=[1], out=4, dropout=0.0)
    norm = aspp.get_submodule("pooled.1")
    x = torch.randn(2, 3, 6, 5)
    aspp(x[:1]).sum().backward()
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.get_buffer("running_mean"), torch.zeros(4))
    assert norm.get_parameter("weight").grad is not None
    aspp(x)
    assert norm.num_batches_tracked == 1
    assert not torch.equal(norm.get_buffer("running_mean"), torch.zeros(4))


# Colours


def lab(*colour: float) -> list[float]:
    """L*, a* and b* of a colour of sRGB."""
    lightness, ab = blocks.RGBToLab()(torch.tensor(colour, dtype=torch.float64).view(1, 3, 1, 1))
    return [lightness.item() * 100, ab[0, 0].item() * 185 - 87, ab[0, 1].item() * 203 - 108]


@pytest.mark.parametrize(
    ("colour", "wanted"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (100, 0, 0)),
        ((0.5, 0.5, 0.5), (53.389, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_of_known_colours(colour, wanted):
    assert lab(*colour) == pytest.approx(wanted, abs=0.01)


def test_lab_and_back():
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    image[0, :, 0] = 0.001 * image[0, :, 0]  # dark, where both curves are lines
    lightness, ab = blocks.RGBToLab()(image)
    for part in (lightness, ab):
        assert part.min() >= 0
        assert part.max() <= 1
    torch.testing.assert_close(blocks.LabToRGB()(lightness, ab), image, rtol=0, atol=1e-6)


def test_tir2lab_gives_the_image_of_its_lightness_and_colours():
    outputs: dict[str, Tensor] = build("tir2lab", {"width": 2}, seed=0).eval()(torch.rand(1, 1, 8, 12))
    assert list(outputs) == ["translated", "L", "ab"]
    assert torch.equal(outputs["translated"], blocks.LabToRGB()(outputs["L"], outputs["ab"]))
