"""Values and their scale: images of training that use little of it, and images to translate that are unlike those."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from commandline import run
from PIL import Image
from test_translate import copying, ramp, translate

from crossband import load, train
from crossband.recipes.data import pairs, read_image, write_image
from crossband.recipes.data.scale import PROBES, rounded, scale_faults
from crossband.recipes.language.syntax import Data
from crossband.registry import CrossbandError

COUNTS = {"channels": 1, "pixels": "uint16", "luminance": False}


def counts(low: int, high: int, seed: int = 0) -> np.ndarray:
    """Values of 16 bits between two numbers, both of which occur."""
    found = np.random.default_rng(seed).integers(low, high + 1, (24, 24, 1)).astype(np.uint16)
    found[0, 0], found[0, 1] = low, high
    return found


def thermal(folder: Path, low: int, high: int, count: int = 10) -> Path:
    """Pairs whose infrared images are counts of 16 bits."""
    for at in range(count):
        for band, image in (("visible", ramp(24, 24, 3)), ("infrared", counts(low, high, at))):
            (folder / band).mkdir(parents=True, exist_ok=True)
            write_image(folder / band / f"{at}.png", image, 16 if band == "infrared" else 8)
    return folder


# ---------------------------------------------------------------------- training


def test_a_small_share_of_the_scale_is_told_before_training(tmp_path: Path) -> None:
    tiny.write_files(tmp_path)
    thermal(tmp_path / "raw", 28000, 31000)
    (tmp_path / "mine.yaml").write_text(
        "recipe: mine\nextends: paired.yaml\ndata:\n  source: {pairs: {folder: raw}}\n", encoding="utf-8"
    )
    result = run("train", tmp_path / "mine.yaml", "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert not (tmp_path / "run").exists()
    assert result.stderr == (
        f"{tmp_path}/mine.yaml:4:11: E080 infrared uses 4.6% of 16 bits, by 9 training images\n"
        "    source: {pairs: {folder: raw}}\n"
        "            ^~~~~~~~~~~~~~~~~~~~~~\n"
        "hint: declare `range: {infrared: [28000, 31000]}`; or [0, 65535], if all of it is meant\n\n"
        f"1 error in {tmp_path}/mine.yaml\n"
    )
    for limits in ([28000, 31000], [0, 65535]):
        setting = f"data.source.pairs.range={{infrared: {limits}}}"
        train(tmp_path / "mine.yaml", settings=[setting, "steps=1"], run=tmp_path / f"by{limits[0]}", silent=True)


@pytest.mark.parametrize(
    ("low", "high", "arguments", "fault"),
    [
        (0, 4095, {}, "infrared uses 6.2% of 16 bits, by 9 training images | declare `range: {infrared: [0, 4100]}`"),
        (0, 65535, {}, None),
        (20000, 40000, {}, None),
        (28000, 31000, {"range": {"infrared": [28000, 31000]}}, None),
        (28000, 31000, {"range": {"infrared": [31000, 28000]}}, None),
        (
            28000,
            31000,
            {"range": {"infrared": [0, 40]}},
            "100% of the pixels of infrared are outside of `range`, by 9 training images | their values are within "
            "`range: {infrared: [28000, 31000]}`",
        ),
    ],
)
def test_how_much_of_the_scale_is_enough(
    tmp_path: Path, low: int, high: int, arguments: dict[str, Any], fault: str | None
) -> None:
    given = {"folder": str(thermal(tmp_path, low, high)), **arguments}
    found = [f"{each.message} | {each.hint}" for each in scale_faults(pairs(**given), Data("pairs", given, {}))]
    assert len(found) == (fault is not None)
    assert not fault or found[0].startswith(fault)


def test_dead_pixels_do_not_hide_how_little_is_used(tmp_path: Path) -> None:
    thermal(tmp_path, 28000, 31000)
    image = read_image(tmp_path / "infrared" / "0.png")
    image[0, 0], image[0, 1] = 0, 65535
    write_image(tmp_path / "infrared" / "0.png", image, 16)
    given: dict[str, Any] = {"folder": str(tmp_path)}
    [fault] = scale_faults(pairs(**given), Data("pairs", given, {}))
    assert fault.hint is not None
    assert fault.hint.startswith("declare `range: {infrared: [28000, 31000]}`")


def test_few_images_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"folder": str(thermal(tmp_path, 0, 65535, 40))}
    source, seen = pairs(**given), []
    monkeypatch.setattr(type(source), "raw", lambda _, name, band: seen.append(name) or counts(0, 65535))
    assert not [*scale_faults(source, Data("pairs", given, {}))]
    assert len(seen) == PROBES


def test_counts_in_memory_are_told_too(tmp_path: Path) -> None:
    tiny.write_files(tmp_path)
    scenes = [(ramp(24, 24, 3), counts(28000, 31000, at)) for at in range(4)]
    with pytest.raises(CrossbandError, match=r"infrared uses 4\.6% of 16 bits") as error:
        train(tmp_path / "paired.yaml", data=scenes, settings=["steps=1"], run=tmp_path / "run", silent=True)
    assert "hint: give floating-point numbers, `((image - 28000) / 3000).clip(0, 1)`" in str(error.value)


@pytest.mark.parametrize(
    ("ends", "wanted"), [((28003, 30998), (28000, 31000)), ((7, 7), (7, 8)), ((0, 16383), (0, 17000))]
)
def test_proposed_ranges_are_round(ends: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert rounded(*ends) == wanted


def test_a_source_tells_what_its_files_are(tmp_path: Path) -> None:
    source = pairs(folder=str(thermal(tmp_path, 0, 65535)), range={"infrared": (100, 200)})
    assert {band: kind.pixels for band, kind in source.bands.items()} == {"visible": "uint8", "infrared": "uint16"}
    np.testing.assert_array_equal(source.raw("0", "infrared"), counts(0, 65535).transpose(2, 0, 1))


# ---------------------------------------------------------------------- images to translate


def weights(folder: Path, **facts: Any) -> Path:
    """A network that gives back images of infrared as it was trained on them: 16 bits, one channel."""
    own = {"task": {"from": "infrared", "to": "infrared"}, "images": {"infrared": COUNTS}}
    return copying(folder / "copy.safetensors", **{**own, **facts})


def palette(path: Path) -> Path:
    """Grey in false colours, as many thermal cameras save it."""
    image = Image.fromarray(ramp()[..., 0]).convert("P")
    image.putpalette([value for at in range(256) for value in (at, 255 - at, 40)])
    image.save(path)
    return path


def test_an_image_beside_the_range_is_refused_before_any_is_translated(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    write_image(tmp_path / "z" / "t16.tif", counts(28000, 31000), 16)
    result = run("translate", weights(tmp_path), tmp_path / "z", tmp_path / "zr", "--range", "0", "40")
    assert result.exit_code == 1
    assert result.stderr == (
        "these images cannot be translated:\n"
        f"  {tmp_path}/z/t16.tif: 100% of the pixels are above 40\n"
        "hint: `--range LOW HIGH` says which values stand for 0 and 1; its values are from 28000 to 31000\n"
    )
    assert not (tmp_path / "zr").exists()


def test_an_image_mostly_beside_the_range_is_noted(tmp_path: Path) -> None:
    image = np.linspace(0, 1000, 100).reshape(10, 10).astype(np.uint16)
    write_image(tmp_path / "a.tif", image, 16)
    path = weights(tmp_path, scale={"infrared": [700, 1000]})
    done = translate(path, tmp_path / "a.tif", tmp_path / "out.png", silent=True)
    assert done.notes == (f"{tmp_path}/a.tif: 70% of the pixels are below 700",)
    result = run("translate", path, tmp_path / "a.tif", tmp_path / "again.png")
    assert f"note: {done.notes[0]}\n" in result.stderr
    with pytest.warns(UserWarning, match="70% of the pixels are below 700"):
        load(path)(image)


def test_a_palette_is_refused_as_training_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(CrossbandError) as error:
        translate(weights(tmp_path), palette(tmp_path / "p.png"), tmp_path / "out.png", silent=True)
    assert str(error.value) == (
        f"these images cannot be translated:\n  {tmp_path}/p.png: a colour image, the infrared images of training have "
        "1 channel\nhint: save it grey, as those are: without a palette or a colour map"
    )
    for image in (Image.open(tmp_path / "p.png"), ramp(channels=3), torch.rand(3, 8, 8)):
        with pytest.raises(CrossbandError, match="a colour image, the infrared images of training have 1 channel"):
            load(weights(tmp_path))(image)


def test_grey_saved_as_colour_is_grey(tmp_path: Path) -> None:
    model, grey = load(weights(tmp_path)), ramp(dtype=np.uint16)
    assert np.array_equal(model(grey.repeat(3, 2)), model(grey))
    assert torch.allclose(model(torch.full((3, 8, 8), 0.5)), torch.tensor(0.5))


def test_luminance_that_training_took_is_taken(tmp_path: Path) -> None:
    model = load(weights(tmp_path, images={"infrared": {**COUNTS, "pixels": "uint8", "luminance": True}}))
    colour = ramp(channels=3)
    assert model(colour).shape == (20, 30, 1)
    assert model(Image.open(palette(tmp_path / "p.png"))).mode == "L"


def test_another_type_than_in_training_is_noted(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", ramp())
    done = translate(weights(tmp_path), tmp_path / "a.png", tmp_path / "out.png", silent=True)
    assert done.notes == (f"{tmp_path}/a.png: uint8 pixels, the infrared images of training have uint16",)
    with pytest.warns(UserWarning, match="uint8 pixels, the infrared images of training have uint16"):
        load(weights(tmp_path))(ramp())


def test_a_video_is_told_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with pytest.raises(CrossbandError) as error:
        translate(weights(tmp_path), tmp_path / "v.mp4", tmp_path / "out.png", silent=True)
    assert str(error.value) == (
        f"these images cannot be translated:\n  {tmp_path}/v.mp4: not a readable image: videos are not read\n"
        f"hint: make images of its frames: `ffmpeg -i {tmp_path}/v.mp4 frames/%06d.png`"
    )


# ---------------------------------------------------------------------- counts


def test_results_are_written_in_counts(tmp_path: Path) -> None:
    raw = counts(28000, 31000)
    write_image(tmp_path / "raw.png", raw, 16)
    path = weights(tmp_path, scale={"infrared": [27000, 32000]})
    result = run("translate", path, tmp_path / "raw.png", tmp_path / "out.png", "--counts")
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), raw)
    assert np.array_equal(load(path)(raw, counts=True), raw)


def test_kelvin_is_written_as_float(tmp_path: Path) -> None:
    kelvin = np.linspace(270, 310, 600, dtype=np.float32).reshape(20, 30, 1)
    write_image(tmp_path / "in.tif", kelvin, 32)
    kinds = {"infrared": {**COUNTS, "pixels": "float32"}}
    path = weights(tmp_path, scale={"infrared": [260, 320]}, images=kinds)
    [file] = translate(path, tmp_path / "in.tif", tmp_path / "out", counts=True, silent=True).files
    assert file == tmp_path / "out" / "in.tif"
    np.testing.assert_allclose(read_image(file), kelvin, atol=1e-4)
    unit = torch.from_numpy((kelvin[..., 0] - 260) / 60)[None]
    torch.testing.assert_close(load(path)(unit, counts=True), torch.from_numpy(kelvin[..., 0])[None], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        (
            {},
            {},
            "these weights know no counts of infrared: their data declared no `range`\nhint: leave out `--counts`",
        ),
        ({"scale": {"infrared": [0, 9]}}, {"bits": 16}, "counts have the bits of the images of training\nhint: leave"),
    ],
)
def test_counts_that_are_not_known(tmp_path: Path, facts: dict, options: dict[str, Any], message: str) -> None:
    write_image(tmp_path / "a.png", ramp(dtype=np.uint16), 16)
    with pytest.raises(CrossbandError) as error:
        translate(weights(tmp_path, **facts), tmp_path / "a.png", tmp_path / "o.png", counts=True, **options)
    assert str(error.value).startswith(message)


def test_a_run_keeps_what_its_images_were(tmp_path: Path) -> None:
    """From training on counts to translating into counts, by the run and by its weights alone."""
    tiny.write_files(tmp_path)
    thermal(tmp_path / "raw", 28000, 31000)
    source = f"{{pairs: {{folder: {tmp_path / 'raw'}, range: {{infrared: [28000, 31000]}}}}}}"
    settings = [f"data.source={source}", "steps=1", "evaluate.metrics=[mae]"]
    train(tmp_path / "paired.yaml", settings=settings, run=tmp_path / "run", silent=True)
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((tmp_path / "run" / "weights" / "generator.safetensors").read_bytes())
    for name, path in {"run": tmp_path / "run", "alone": alone}.items():
        translate(path, tmp_path / "raw" / "visible", tmp_path / name, counts=True, silent=True)
    one, other = (read_image(tmp_path / name / "3.png") for name in ("run", "alone"))
    assert one.dtype == np.uint16
    assert 28000 <= one.min() <= one.max() <= 31000
    assert np.array_equal(one, other)
