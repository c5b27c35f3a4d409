"""The one loop: in which order networks run, what takes gradients, and that runs can be repeated to the bit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from tiny import CYCLE, GAN, PAIRED, PIX2PIX, write_files
from torch import Tensor, nn
from torch.nn import functional as F

from crossband import registry
from crossband.recipes import check, read_weights, train
from crossband.recipes.basics.pretrained import Unavailable
from crossband.recipes.data.loader import epoch_of, make_loader
from crossband.recipes.data.opening import open_source, training_scenes
from crossband.recipes.language.experiment import Experiment
from crossband.recipes.model.networks import build_network
from crossband.recipes.training.engine import NotFinite, StepError
from crossband.recipes.training.loop import StepRecord, train_step, train_steps
from crossband.recipes.training.state import Training, set_up
from crossband.recipes.training.watch import HINT, Watch

Event = tuple[str, bool, bool]  # network, whether a graph is recorded, whether its weights take gradients


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return write_files(tmp_path)


def start(experiment: Experiment, fabric: Fabric) -> tuple[Training, Any]:
    recipe = experiment.recipe
    scenes = training_scenes(experiment.recipe, open_source(experiment.recipe.data))
    loader = make_loader(scenes, batch=recipe.data.batch, shuffle=True, drop_last=True)
    return set_up(experiment, fabric, recipe.epochs or recipe.steps or 0), loader


def run(text: str, folder: Path, fabric: Fabric, *overrides: str, steps: int = 2) -> tuple[Training, list[StepRecord]]:
    (folder / "this.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
    training, loader = start(check(folder / "this.yaml", overrides), fabric)
    return training, list(train_steps(training, loader, steps))


def watched(text: str, folder: Path, fabric: Fabric, *overrides: str) -> list[Event | str]:
    """What happens in one step: every forward pass, and the updates of the phases by name."""
    (folder / "this.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
    training, loader = start(check(folder / "this.yaml", overrides), fabric)
    events: list[Event | str] = []
    for name, network in training.networks.items():

        def hook(module: nn.Module, _: Any, __: Any, name: str = name) -> None:
            events.append((name, torch.is_grad_enabled(), next(module.parameters()).requires_grad))

        network.register_forward_hook(hook)
    for name, optimizer in training.optimizers.items():

        def step(closure: Any = None, *, name: str = name, own: Any = optimizer.step) -> Any:
            events.append(name)
            return own(closure) if closure else own()

        optimizer.step = step
    batches = list(epoch_of(loader, 0))
    train_step(training, batches[: training.experiment.recipe.accumulate])
    return events


def weights(training: Training) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": tensor.clone()
        for name, network in training.networks.items()
        for key, tensor in network.state_dict().items()
    }


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_pix2pix_runs_its_generator_once(folder: Path, fabric: Fabric) -> None:
    assert watched(PIX2PIX, folder, fabric) == [
        ("critic", True, True),  # real
        ("generator", True, True),  # recorded now, for the generator's phase
        ("critic", True, True),  # fake, as a constant
        "critic_phase",
        ("critic", True, False),  # fake again by the new critic, whose weights take no gradient
        ("critic", False, False),  # real, without a graph
        "generator_phase",
    ]


def test_generator_first_computes_its_image_again(folder: Path, fabric: Fabric) -> None:
    head, critic, generator = (
        PIX2PIX.partition("  critic_phase:")[0],
        *PIX2PIX.partition("  critic_phase:")[2].split("  generator_phase:"),
    )
    tail = generator[generator.index("optimizer:") :]
    text = f"{head}  generator_phase:{generator[: generator.index('optimizer:')]}  critic_phase:{critic}{tail}"
    assert watched(text, folder, fabric) == [
        ("generator", True, True),
        ("critic", True, False),
        ("critic", True, True),  # real, recorded for the critic's phase: the generator's step leaves it as it is
        "generator_phase",
        ("generator", False, False),  # the image of the new generator, a constant
        ("critic", True, True),
        "critic_phase",
    ]
    kept = watched(f"{text}keep: [fake]\n", folder, fabric)
    assert [event for event in kept if event[0] == "generator"] == [("generator", True, True)]


def test_repeats_train_the_critic_on_one_image(folder: Path, fabric: Fabric) -> None:
    text = PIX2PIX.replace("train: [critic]", "train: [critic]\n    repeat: 3")
    events = watched(text, folder, fabric)
    assert [event for event in events if isinstance(event, str)] == ["critic_phase"] * 3 + ["generator_phase"]
    assert [event for event in events if event[0] == "generator"] == [("generator", True, True)]
    assert len([event for event in events if event[0] == "critic"]) == 3 * 2 + 2


def test_each_pool_has_images_of_its_own(folder: Path, fabric: Fabric) -> None:
    training, _ = run(CYCLE, folder, fabric)
    pools = {call: pool.state_dict()["images"] for call, pool in training.functions.items()}
    assert {call: {len(image) for image in images} for call, images in pools.items()} == {
        "pool(to_ir(visible))": {1},
        "pool(to_vis(infrared))": {3},
    }


def test_cyclegan_runs_each_generator_twice(folder: Path, fabric: Fabric) -> None:
    events = watched(CYCLE, folder, fabric)
    counts = {
        name: len([event for event in events if event[0] == name]) for name in ("to_ir", "to_vis", "is_ir", "is_vis")
    }
    assert counts == {"to_ir": 2, "to_vis": 2, "is_ir": 4, "is_vis": 2}
    assert [event for event in events if isinstance(event, str)] == ["critics", "generators"]


@pytest.mark.parametrize("text", [PIX2PIX, CYCLE])
def test_networks_that_a_phase_does_not_train_take_no_gradients(text: str, folder: Path, fabric: Fabric) -> None:
    (folder / "this.yaml").write_text(text, encoding="utf-8")
    experiment = check(folder / "this.yaml")
    training, loader = start(experiment, fabric)
    seen: dict[str, set[str]] = {}
    for phase in experiment.recipe.phases:

        def step(*_: Any, name: str = phase.name) -> None:
            trained = {
                n for n, network in training.networks.items() if any(p.grad is not None for p in network.parameters())
            }
            seen[name] = trained
            training.optimizers[name].zero_grad()

        training.optimizers[phase.name].step = step
    train_step(training, [next(epoch_of(loader, 0))])
    assert seen == {phase.name: set(phase.train) for phase in experiment.recipe.phases}


def test_pix2pix_equals_the_loop_written_by_hand(folder: Path, fabric: Fabric) -> None:
    experiment = check(folder / "pix2pix.yaml")
    training, loader = start(experiment, fabric)
    generator, critic = (build_network(experiment, name).train() for name in ("generator", "critic"))
    both = [torch.optim.SGD(network.parameters(), lr=1e-2) for network in (critic, generator)]
    for batch in epoch_of(loader, 0):
        visible, infrared = batch["visible"], batch["infrared"]
        fake = generator(visible)
        both[0].zero_grad()
        real_score = critic(torch.cat([visible, infrared], 1))
        (0.5 * F.mse_loss(real_score, critic(torch.cat([visible, fake.detach()], 1)))).backward()
        both[0].step()
        both[1].zero_grad()
        with torch.no_grad():
            real_score = critic(torch.cat([visible, infrared], 1))
        adversarial = F.mse_loss(critic(torch.cat([visible, fake], 1)), real_score)
        (adversarial + 100 * F.l1_loss(fake, infrared)).backward()
        both[1].step()
    list(train_steps(training, loader, 3))
    for name, network in (("generator", generator), ("critic", critic)):
        for key, tensor in training.networks[name].state_dict().items():
            torch.testing.assert_close(tensor, network.state_dict()[key], rtol=1e-5, atol=1e-6)


def test_penalties_and_features_equal_the_loop_written_by_hand(folder: Path, fabric: Fabric) -> None:
    experiment = check(folder / "gan.yaml")
    training, loader = start(experiment, fabric)
    generator, critic = (build_network(experiment, name).train() for name in ("generator", "critic"))
    mix = registry.functions["mix"].factory(0)
    mix.load_state_dict(training.functions["mix(infrared, generator(visible))"].state_dict())
    both = [torch.optim.SGD(network.parameters(), lr=1e-2) for network in (critic, generator)]
    for batch in epoch_of(loader, 0):
        visible, infrared = batch["visible"], batch["infrared"]
        fake = generator(visible)
        real_scores, fake_scores = critic(infrared), critic(fake.detach())
        adversarial = sum(
            (real_scores[name] - 1).square().mean() + fake_scores[name].square().mean() for name in ("fine", "coarse")
        )
        point, between = infrared.clone().requires_grad_(), mix(infrared, fake.detach()).requires_grad_()
        [slope] = torch.autograd.grad(critic(point)["fine"].sum(), point, create_graph=True)
        [other] = torch.autograd.grad(critic(between)["coarse"].sum(), between, create_graph=True)
        penalties = 5 * slope.square().sum((1, 2, 3)).mean() + (other.flatten(1).norm(dim=1) - 1).square().mean()
        both[0].zero_grad()
        (0.5 * adversarial + penalties).backward()
        both[0].step()
        both[1].zero_grad()
        scores = critic(fake)
        with torch.no_grad():
            wanted = critic(infrared)
        adversarial = sum((scores[name] - 1).square().mean() for name in ("fine", "coarse"))
        features = sum(F.l1_loss(scores[name], wanted[name]) for name in ("layer1", "layer2"))
        (adversarial + 10 * features + 100 * F.l1_loss(fake, infrared)).backward()
        both[1].step()
    list(train_steps(training, loader, 3))
    for name, network in (("generator", generator), ("critic", critic)):
        for key, tensor in training.networks[name].state_dict().items():
            torch.testing.assert_close(tensor, network.state_dict()[key], rtol=1e-5, atol=1e-6)


def test_a_penalty_leaves_the_images_and_the_random_choices_alone(folder: Path, fabric: Fabric) -> None:
    text = GAN.replace("critic(infrared), infrared]", "critic(pool(fake)), pool(fake)]")
    training, loader = start_text(text, folder, fabric)
    [batch] = [next(epoch_of(loader, 0))]
    train_step(training, [batch])
    assert not any(batch[band].requires_grad for band in ("visible", "infrared"))
    assert (
        len(training.functions["pool(generator(visible))"].state_dict()["images"]) == 2
    )  # asked once for this batch of two


def test_penalties_train_in_half_precision(folder: Path) -> None:
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    fabric.launch()
    _, reports = run(GAN, folder, fabric)
    assert all(value > 0 for report in reports for value in report.losses["critic_phase"].values())


def test_losses_that_look_through_a_network_are_ready_before_training(
    folder: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = "perceptual: [fake.main, infrared], range: unit, layers: {relu1_1: 1}"
    text = PAIRED.replace("l1: [fake.*, infrared]", f"{term}, random: true")
    training, reports = run(text, folder, fabric)
    assert training.measures == {"vgg19": "random weights, seed 0"}
    assert set(training.networks) == {"generator"}
    assert all(report.losses["generator"]["pixel"] > 0 for report in reports)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    with pytest.raises(Unavailable, match="the weights `vgg19-dcbb9e9d"):
        start_text(PAIRED.replace("l1: [fake.*, infrared]", term), folder, fabric)


@pytest.mark.parametrize("text", [PAIRED, CYCLE, PIX2PIX, GAN])
def test_the_same_seed_gives_the_same_weights(text: str, folder: Path, fabric: Fabric) -> None:
    first, _ = run(text, folder, fabric)
    second, _ = run(text, folder, fabric)
    other, _ = run(text, folder, fabric, "seed=1")
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_accumulated_gradients_are_those_of_one_large_batch(folder: Path, fabric: Fabric) -> None:
    text = PIX2PIX.replace("{train: 6, test", "{train: 4, test")
    large, _ = run(text, folder, fabric, "data.batch=4", steps=1)
    small, reports = run(text, folder, fabric, "data.batch=2", "accumulate=2", steps=1)
    assert reports[0].images == 4
    for (name, one), two in zip(weights(large).items(), weights(small).values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6, msg=name)


def test_clipping_bounds_a_step(folder: Path, fabric: Fabric) -> None:
    text = PAIRED.replace("{Adam: {lr: 1e-3}}", "{SGD: {lr: 1}}")
    training, loader = start_text(text, folder, fabric, "clip=1e-3")
    before = [parameter.detach().clone() for parameter in training.networks["generator"].parameters()]
    next(train_steps(training, loader, 1))
    moved = torch.stack(
        [(p - b).norm() for p, b in zip(training.networks["generator"].parameters(), before, strict=True)]
    )
    assert 0.9e-3 < float(moved.norm()) <= 1.01e-3


def start_text(text: str, folder: Path, fabric: Fabric, *overrides: str) -> tuple[Training, Any]:
    (folder / "this.yaml").write_text(text.lstrip("\n"), encoding="utf-8")
    return start(check(folder / "this.yaml", overrides), fabric)


def test_averaged_weights_follow_and_are_used_for_evaluation(folder: Path, fabric: Fabric) -> None:
    training, loader = start_text(PAIRED, folder, fabric, "ema=0.5")
    expected = {key: tensor.clone() for key, tensor in training.networks["generator"].state_dict().items()}
    for _ in train_steps(training, loader, 3):
        for key, tensor in training.networks["generator"].state_dict().items():
            expected[key] = expected[key].lerp(tensor, 0.5) if tensor.is_floating_point() else tensor.clone()
    own = weights(training)
    with training.evaluated() as networks:
        assert same(dict(networks["generator"].state_dict()), expected)
        assert not networks["generator"].training
    assert same(weights(training), own)
    assert training.networks["generator"].training


def test_a_loss_that_is_not_finite_stops_and_names_the_images(folder: Path, fabric: Fabric) -> None:
    training, loader = start_text(PAIRED, folder, fabric)
    [batch] = [next(epoch_of(loader, 0))]
    broken = {**batch, "infrared": torch.full_like(batch["infrared"], float("nan"))}
    with pytest.raises(NotFinite) as caught:
        train_step(training, [broken])
    first, second = batch["name"]
    assert caught.value.message == "the loss `pixel` of the phase `generator` is nan in step 1"
    assert caught.value.hint == "look at the images; a lower `lr`, `clip`, or `precision: 32` may help"
    assert caught.value.notes == (f"the images are {first}, {second}",)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_running_statistic_that_is_not_finite_stops(folder: Path, fabric: Fabric, value: float) -> None:
    """No loss shows it: in training, batch normalisation does not read what evaluation will."""
    training, loader = start_text(PAIRED, folder, fabric)
    batch = next(epoch_of(loader, 0))
    train_step(training, [batch])
    [norm] = [m for m in training.networks["generator"].modules() if isinstance(m, nn.BatchNorm2d)]
    norm.running_var.fill_(value)  # type: ignore[union-attr]
    with pytest.raises(NotFinite) as caught:
        train_step(training, [batch])
    assert caught.value.message == "`stem.norm.running_var` of the network `generator` is not finite after step 1"
    assert caught.value.hint == HINT


def test_a_buffer_that_was_infinite_from_the_beginning_is_as_it_should_be() -> None:
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
    network.register_buffer("count", torch.tensor(0))
    watch = Watch({"a": network})
    network.weight.data.fill_(3e38)  # whose sum is beyond all numbers
    assert watch.lost() is None
    network.bias.data[0] = float("nan")
    assert watch.lost() == ("a", "bias")


REFUSED = {  # what torch raises, and what is said of it
    "batch norm": (
        ValueError("Expected more than 1 value per channel when training, got input size [1, 4, 1, 1]"),
        "hint: normalisation over one value has no spread: a larger `data.batch` or `data.size`",
    ),
    "anything": (RuntimeError("one\ntwo"), f"one\nhint: {HINT}"),
    "memory": (MemoryError(), "there is not enough memory in the network `generator` for the phase"),
    "cuda": (torch.OutOfMemoryError("CUDA out of memory. Tried"), "hint: lower `data.batch` (and raise `accumulate`)"),
    "cpu": (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), "lower `data."),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_torch_refuses_in_a_step_is_one_message(
    kind: str, folder: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, said = REFUSED[kind]

    def refuse(*_: Any, **__: Any) -> Tensor:
        raise error

    training, loader = start_text(PAIRED, folder, fabric)
    monkeypatch.setattr(torch.nn.functional, "batch_norm", refuse)
    if kind == "batch norm":
        monkeypatch.undo()
    batch = next(epoch_of(loader, 0))
    one = {
        key: tensors[:1, :, :1, :1] if isinstance(tensors, Tensor) else tensors[:1] for key, tensors in batch.items()
    }
    with pytest.raises(StepError) as caught:
        train_step(training, [one])
    assert said in str(caught.value)
    assert "the network `generator`" in str(caught.value)
    assert "the phase `generator` of step 1" in str(caught.value)


def test_a_fault_of_ours_in_a_step_stays_one(folder: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    training, loader = start_text(PAIRED, folder, fabric)
    monkeypatch.setattr(training, "only", None)
    with pytest.raises(TypeError):
        train_step(training, [next(epoch_of(loader, 0))])


@pytest.mark.parametrize(
    ("rate", "said"), [("1e38", "a lower `lr`"), ("1e20", "` of the network `generator` is not finite after step ")]
)
def test_a_rate_that_is_far_too_large_keeps_the_last_good_state(folder: Path, rate: str, said: str) -> None:
    with pytest.raises(StepError) as caught:
        train(folder / "paired.yaml", settings=[f"optimizer.Adam.lr={rate}"], run=folder / "run", silent=True)
    assert said in str(caught.value)
    assert caught.value.notes[-1] == f"{folder / 'run'} keeps the checkpoint of step 0"
    kept = read_weights(folder / "run" / "weights" / "generator.safetensors").tensors
    assert all(bool(tensor.isfinite().all()) for tensor in kept.values())


def test_learning_rate_follows_the_schedule(folder: Path, fabric: Fabric) -> None:
    _, reports = run(CYCLE, folder, fabric, steps=8)
    rates = [report.rates["generators"] / 2e-4 for report in reports]
    assert rates == pytest.approx([1, 1, 1, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5])
    _, reports = run(CYCLE, folder, fabric, "steps=null", "epochs=2", "schedule={hold: 1, decay: 1}", steps=12)
    assert [report.rates["critics"] / 2e-4 for report in reports] == pytest.approx([1.0] * 6 + [0.5] * 6)


def test_half_precision_trains(folder: Path) -> None:
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    fabric.launch()
    _, reports = run(PAIRED, folder, fabric)
    assert all(value > 0 for report in reports for value in report.losses["generator"].values())


def test_initial_weights_of_a_network_do_not_depend_on_the_others(folder: Path) -> None:
    experiment = check(folder / "cycle.yaml", ["networks.to_ir.init={normal: 0.02}"])
    alone = replace(experiment, plans={"to_ir": experiment.plans["to_ir"]})
    first, second = build_network(experiment, "to_ir"), build_network(alone, "to_ir")
    assert same(dict(first.state_dict()), dict(second.state_dict()))
    drawn = [tensor for key, tensor in first.state_dict().items() if key.endswith("weight")]
    assert all(0.005 < float(tensor.std()) < 0.05 for tensor in drawn)
    assert all(not tensor.any() for key, tensor in first.state_dict().items() if key.endswith("bias"))


def test_fit_pad_takes_any_size_and_crops_back(folder: Path, fabric: Fabric) -> None:
    text = PAIRED.replace("to_one.yaml", "halves.yaml, fit: pad").replace("fake.main", "fake").replace("fake.*", "fake")
    training, reports = run(text.replace("size: 16", "size: 15"), folder, fabric, steps=1)
    assert len(reports) == 1
    image = torch.rand(1, 3, 13, 21)
    network = training.networks["generator"].eval()
    assert network(image).shape == (1, 1, 13, 21)
    even = torch.rand(1, 3, 12, 20)
    assert torch.equal(network(even), network.forward(even))
