"""Phases of a step, one after the other: what each sees of those before it, and what would be ambiguous."""

from pathlib import Path

import pytest
import torch
from commandline import succeed
from lightning_fabric import Fabric
from test_loop import same, start, start_text, watched, weights
from tiny import CYCLE, PIX2PIX, faults, write_files
from torch.nn import functional as F

from crossband.graphs.language.diagnostics import InvalidFile
from crossband.recipes import check
from crossband.recipes.data.loader import epoch_of
from crossband.recipes.model.networks import build_network
from crossband.recipes.training.loop import train_step, train_steps

HEAD = CYCLE.partition("phases:")[0]
ONE_BY_ONE = f"""{HEAD}phases:
  to_infrared:
    train: [to_ir]
    losses:
      adversarial: {{mse: [is_ir(fake_ir), is_ir(infrared)]}}
      cycle: {{l1: [back_vis, visible], weight: 10}}
  to_visible:
    train: [to_vis]
    losses: {{cycle: {{l1: [back_vis, visible], weight: 10}}, other: {{l1: [back_ir, infrared], weight: 10}}}}
  critics:
    train: [is_ir, is_vis]
    losses:
      ir: {{mse: [is_ir(infrared), is_ir(fake_ir)]}}
      vis: {{mse: [is_vis(visible), is_vis(fake_vis)]}}
optimizer: {{SGD: {{lr: 1e-2}}}}
data: {{source: {{demo: {{train: 4, test: 2, size: 16}}}}, size: 16, batch: 1}}
steps: 2
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return write_files(tmp_path)


def recipe(folder: Path, text: str) -> Path:
    (folder / "this.yaml").write_text(text.lstrip("\n"))
    return folder / "this.yaml"


def fault(path: Path, *overrides: str) -> str:
    with pytest.raises(InvalidFile) as caught:
        check(path, overrides)
    [found] = caught.value.problems
    mark = found.place and found.place.mark
    return f"{mark and mark.line}:{mark and mark.column} {found.code} {found.message} | {found.hint}"


@pytest.mark.parametrize("keep", [False, True])
def test_the_second_generator_sees_the_first_as_it_was_just_trained(folder: Path, fabric: Fabric, keep: bool) -> None:
    experiment = check(recipe(folder, ONE_BY_ONE + ("keep: [fake_ir]\n" if keep else "")))
    training, loader = start(experiment, fabric)
    names = ("to_ir", "to_vis", "is_ir", "is_vis")
    to_ir, to_vis, is_ir, is_vis = networks = [build_network(experiment, name).train() for name in names]
    first, second, third = (
        torch.optim.SGD([each for network in own for each in network.parameters()], lr=1e-2)
        for own in ([to_ir], [to_vis], [is_ir, is_vis])
    )
    for batch in list(epoch_of(loader, 0))[:2]:
        visible, infrared = batch["visible"], batch["infrared"]
        fake_ir = to_ir(visible)
        loss = F.mse_loss(is_ir(fake_ir), is_ir(infrared).detach()) + 10 * F.l1_loss(to_vis(fake_ir), visible)
        step(first, loss)
        seen = fake_ir.detach() if keep else to_ir(visible).detach()
        loss = 10 * F.l1_loss(to_vis(seen), visible) + 10 * F.l1_loss(to_ir(to_vis(infrared)), infrared)
        step(second, loss)
        fake_vis = to_vis(infrared).detach()
        real, other = F.mse_loss(is_ir(infrared), is_ir(seen)), F.mse_loss(is_vis(visible), is_vis(fake_vis))
        step(third, real + other)
    list(train_steps(training, loader, 2))
    for name, network in zip(names, networks, strict=True):
        for key, tensor in training.networks[name].state_dict().items():
            torch.testing.assert_close(tensor, network.state_dict()[key], rtol=1e-5, atol=1e-6)


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_show_says_what_is_computed_again_and_what_is_kept(folder: Path) -> None:
    path = recipe(folder, ONE_BY_ONE)
    again = "to_infrared, to_visible (fake_ir, back_vis computed again), critics (fake_vis computed again)"
    assert again in succeed("show", path)
    path = recipe(folder, ONE_BY_ONE + "keep: [fake_ir]\n")
    shown = succeed("show", path)
    assert (
        "to_visible (back_vis computed again; fake_ir kept), critics (fake_vis computed again; fake_ir kept)" in shown
    )


def test_a_kept_value_that_a_later_phase_learns_by_is_refused(folder: Path) -> None:
    twice = PIX2PIX.replace("train: [generator]", "repeat: 2\n    train: [generator]") + "keep: [fake]\n"
    assert fault(recipe(folder, twice)).endswith(
        "E075 `fake` is kept as it was before `generator` was trained, and `generator_phase` trains it by that | leave "
        "`fake` out of `keep`, or train `generator` once a step"
    )
    check(recipe(folder, PIX2PIX + "keep: [fake]\n"))  # critics first: nothing trains the generator before its phase


def test_a_value_cannot_be_kept_over_several_batches(folder: Path) -> None:
    text = ONE_BY_ONE + "keep: [fake_ir]\n"
    assert fault(recipe(folder, text), "accumulate=2").endswith(
        "E075 `fake_ir` cannot be kept from phase to phase where `accumulate` is 2 | leave out `accumulate`, or say "
        "`keep: null`"
    )


def test_a_phase_that_is_added_says_when_it_is_its_turn(folder: Path) -> None:
    recipe(folder, ONE_BY_ONE)
    child = folder / "child.yaml"
    more = "recipe: child\nextends: this\nphases: {again: {train: [to_ir], losses: {a: {l1: [back_vis, visible]}}}}\n"
    child.write_text(more)
    assert fault(child) == (
        "3:10 E075 the phase `again` is added to those of another recipe, which does not say when it is its turn | say "
        "the order of all, such as `order: [to_infrared, to_visible, critics, again]`"
    )
    child.write_text(more + "order: [to_infrared, to_visible, again, critics]\n")
    assert [phase.phase.name for phase in check(child).phases][2] == "again"
    child.write_text(more.replace("again:", "to_visible: null, to_infrared: null, critics: null, again:"))
    assert "no phase trains" in fault_message(child)


def fault_message(path: Path) -> str:
    with pytest.raises(InvalidFile) as caught:
        check(path)
    return str(caught.value)


# ---------------------------------------------------------------------- fresh images in each repetition

FRESH = PIX2PIX.replace("train: [critic]", "train: [critic]\n    repeat: 2\n    fresh: true")


def test_a_fresh_phase_equals_the_loop_written_by_hand(folder: Path, fabric: Fabric) -> None:
    """Six images in batches of two: the second step of an epoch has one batch left, on which it does both repetitions."""
    experiment = check(recipe(folder, FRESH))
    training, loader = start(experiment, fabric)
    generator, critic = (build_network(experiment, name).train() for name in ("generator", "critic"))
    of_critic, of_generator = (torch.optim.SGD(network.parameters(), lr=1e-2) for network in (critic, generator))

    def score(batch: dict[str, torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        return critic(torch.cat([batch["visible"], image], 1))

    first, second = (list(epoch_of(loader, epoch)) for epoch in range(2))
    for draws in (first[:2], [first[2], first[2]], second[:2]):
        for batch in draws:
            fake = generator(batch["visible"]).detach()
            step(of_critic, 0.5 * F.mse_loss(score(batch, batch["infrared"]), score(batch, fake)))
        last = draws[-1]
        fake = generator(last["visible"])
        adversarial = F.mse_loss(score(last, fake), score(last, last["infrared"]).detach())
        step(of_generator, adversarial + 100 * F.l1_loss(fake, last["infrared"]))
    records = list(train_steps(training, loader, 3))
    for name, network in (("generator", generator), ("critic", critic)):
        for key, tensor in training.networks[name].state_dict().items():
            torch.testing.assert_close(tensor, network.state_dict()[key], rtol=1e-5, atol=1e-6)
    assert [(record.epoch, record.images) for record in records] == [(0, 4), (0, 2), (1, 4)]


def test_accumulated_gradients_of_fresh_images_are_those_of_large_batches(folder: Path, fabric: Fabric) -> None:
    text = FRESH.replace("{train: 6, test", "{train: 8, test")
    large, small = (
        start_text(text, folder, fabric, *settings) for settings in (["data.batch=4"], ["data.batch=2", "accumulate=2"])
    )
    for training, loader in (large, small):
        [record] = list(train_steps(training, loader, 1))
        assert record.images == 8
    for (name, one), two in zip(weights(large[0]).items(), weights(small[0]).values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6, msg=name)


def test_each_repetition_makes_its_own_images_and_the_generators_learn_by_the_last(
    folder: Path, fabric: Fabric
) -> None:
    text = CYCLE.replace("train: [is_ir, is_vis]", "train: [is_ir, is_vis]\n    repeat: 3\n    fresh: true")
    training, loader = start_text(text, folder, fabric)
    batches = list(epoch_of(loader, 0))[:3]
    seen = []
    training.networks["to_ir"].register_forward_pre_hook(lambda _, images: seen.append(images[0].clone()))
    train_step(training, batches)
    assert [torch.equal(image, batch["visible"]) for image, batch in zip(seen, batches, strict=False)] == [True] * 3
    assert len(seen) == 4  # the last is the way back, which only the generators' phase needs
    pool = training.functions["pool(to_ir(visible))"].state_dict()["images"]
    assert len(pool) == 3


def test_a_fresh_phase_after_the_others_begins_with_the_images_of_the_step(folder: Path, fabric: Fabric) -> None:
    """As CycleGAN's code has it, with its images kept: what is kept belongs to the images of one draw."""
    critics, generators = CYCLE.index("  critics:"), CYCLE.index("  generators:")
    end = CYCLE.index("optimizer:")
    late = CYCLE[:critics] + CYCLE[generators:end] + CYCLE[critics:generators] + CYCLE[end:] + "keep: [fake_ir]\n"
    late = late.replace("train: [is_ir, is_vis]", "train: [is_ir, is_vis]\n    repeat: =k\n    fresh: true")
    late += "params: {k: 1}\n"
    once, twice = (start_text(late, folder, fabric, f"params.k={k}") for k in (1, 2))
    assert same(weights(once[0]), weights(twice[0]))
    records = [next(train_steps(training, loader, 1)) for training, loader in (once, twice)]
    assert [record.images for record in records] == [1, 2]
    assert records[0].losses["generators"] == records[1].losses["generators"]
    assert [training.per_epoch for training, _ in (once, twice)] == [6, 3]


def test_repeated_phases_share_their_images_unless_fresh(folder: Path, fabric: Fabric) -> None:
    counts = []
    for fresh in ("true", "false"):
        events = watched(FRESH, folder, fabric, f"phases.critic_phase.fresh={fresh}")
        counts.append(len([event for event in events if event[0] == "generator"]))
    assert counts == [2, 1]


def test_fresh_without_repeat_is_refused(folder: Path) -> None:
    assert faults(FRESH.replace("    repeat: 2\n", ""), folder) == [
        "11:5 E075 `critic_phase` is fresh, and nothing repeats it: every step draws its images anew | say how often a "
        "step does it, `repeat: 5`"
    ]
    check(recipe(folder, FRESH), ["phases.critic_phase.repeat=1"])  # a param may say so


def test_show_tells_which_phases_are_fresh(folder: Path) -> None:
    shown = succeed("show", recipe(folder, FRESH))
    assert "step       critic_phase ×2 fresh, generator_phase\n" in shown
    twice = (
        PIX2PIX.replace("train: [generator]", "repeat: 2\n    fresh: true\n    train: [generator]") + "keep: [fake]\n"
    )
    check(recipe(folder, twice))  # the second image is of another scene: nothing is kept over the generator's update
