"""Networks that are tested as they were trained: what stays random, what stays the same, and what nothing changes."""

from pathlib import Path

import pytest
import torch
from tiny import PAIRED, write_files

from crossband.recipes import load, train
from crossband.recipes.model.as_trained import keep_training

HALF = PAIRED.replace("{graph: to_one.yaml}", "{graph: to_one.yaml, test: training}").replace("steps: 8", "steps: 2")


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_files(tmp_path_factory.mktemp("testing"), half=HALF)
    settings = ["device=cpu", "evaluate.metrics=[mae]", "every.evaluate=1"]
    train(folder / "half.yaml", settings=settings, run=folder / "run", silent=True)
    return folder / "run"


def test_dropout_and_the_statistics_of_the_image_stay_on(run: Path) -> None:
    network = load(run).networks["generator"]
    plain = load(run, settings={"networks.generator.test": None}).networks["generator"]
    image = torch.rand(1, 3, 16, 16)
    assert not torch.allclose(network(image)["main"], plain(image)["main"])
    scaled = 3 * image  # of which the normalised features are nearly the same, with biases of zero
    plain.train()
    plain.get_submodule("drop").eval()
    for each in plain.state_dict():
        if each.endswith("stem.conv.bias"):
            plain.state_dict()[each].zero_()
    torch.testing.assert_close(plain(image)["main"], plain(scaled)["main"], atol=1e-3, rtol=0)


def test_an_image_is_translated_alike_whatever_comes_before_or_beside_it(run: Path) -> None:
    network = load(run).networks["generator"]
    images = torch.rand(3, 3, 16, 16)
    before, random = {key: x.clone() for key, x in network.state_dict().items()}, torch.get_rng_state()
    together = network(images)["main"]
    alone = torch.cat([network(image[None])["main"] for image in images.flip(0)]).flip(0)
    assert torch.equal(together, alone)
    assert all(torch.equal(before[key], x) for key, x in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert not any(module.training for module in network.modules())


def test_a_run_and_its_weights_file_agree(run: Path) -> None:
    file = run / "weights" / "generator.safetensors"
    network, image = load(run).networks["generator"], torch.rand(1, 3, 16, 16)
    wanted = network(image)["main"]
    apart = run.parent / "apart.safetensors"
    apart.write_bytes(file.read_bytes())
    for path in (run, file, apart):
        model = load(path, device="cpu")
        assert torch.equal(model.networks["generator"](image)["main"], wanted)
        torch.testing.assert_close(model(image), wanted)


def test_training_is_as_before() -> None:
    network = torch.nn.Sequential(torch.nn.Dropout(0.5))
    keep_training(network, 0)
    image = torch.ones(1, 1, 32, 32)
    first, second = network(image), network(image)
    assert not torch.equal(first, second)
