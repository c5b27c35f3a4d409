"""The source `demo`: its physics, and that its scenes are the same every time and worth learning from."""

import sys

import numpy as np
import pytest

from crossband.recipes.data.demo.demo import demo, draw_scene
from crossband.recipes.data.demo.planck import SIGMA, brightness_temperature, long_wave_radiance, radiance
from crossband.recipes.data.demo.weather import Weather
from crossband.registry import ArgumentError


@pytest.mark.parametrize("kelvin", [200.0, 300.0, 450.0])
def test_radiance_equals_planck_integrated_numerically(kelvin: float):
    planck, light, boltzmann = 6.62607015e-34, 299792458.0, 1.380649e-23
    edges = np.linspace(7.5e-6, 13e-6, 20001)
    wave = (edges[1:] + edges[:-1]) / 2
    spectral = 2 * planck * light**2 / wave**5 / np.expm1(planck * light / (wave * boltzmann * kelvin))
    assert radiance(kelvin) == pytest.approx(spectral.sum() * (edges[1] - edges[0]), rel=1e-7)


@pytest.mark.parametrize("kelvin", [200.0, 300.0, 1000.0])
def test_a_wide_band_gives_the_law_of_stefan_and_boltzmann(kelvin: float):
    assert np.pi * radiance(kelvin, (1e-7, 1e-1)) == pytest.approx(SIGMA * kelvin**4, rel=1e-4)


def test_a_quarter_of_the_radiation_is_below_the_peak():
    """The known share up to Wien's wavelength, 0.25005 (Siegel and Howell, Thermal Radiation Heat Transfer)."""
    share = np.pi * radiance(300.0, (1e-7, 2.897771955e-3 / 300)) / (SIGMA * 300.0**4)
    assert share == pytest.approx(0.25005, abs=2e-5)


def test_brightness_temperature_undoes_radiance():
    kelvin = np.linspace(160, 480, 1001)
    np.testing.assert_allclose(brightness_temperature(radiance(kelvin)), kelvin, atol=1e-4)
    np.testing.assert_allclose(long_wave_radiance(kelvin), radiance(kelvin), rtol=1e-5)
    assert (np.diff(long_wave_radiance(kelvin)) > 0).all()


def test_scenes_follow_from_seed_and_name():
    one, again, other = demo(size=32), demo(size=32, train=3, test=2), demo(size=32, seed=1)
    names = ["train_00002", "test_00001", "train_00000"]
    for name in names:
        for band, image in again.read(name).items():
            np.testing.assert_array_equal(image, one.read(name)[band])
            assert (image != other.read(name)[band]).any()
    assert (one.read("train_00000")["visible"] != one.read("test_00000")["visible"]).any()


@pytest.mark.parametrize("size", [16, 33, (20, 48), (64, 40)])
def test_any_size(size):
    found = demo(size=list(size) if isinstance(size, tuple) else size, train=2)  # type: ignore[arg-type]
    height, width = (size, size) if isinstance(size, int) else size
    scene = found.read("train_00000")
    assert scene["visible"].shape == (3, height, width)
    assert scene["infrared"].shape == (1, height, width)
    assert (scene["visible"].dtype, scene["infrared"].dtype) == (np.uint8, np.uint16)
    assert found.size("train_00000") == (height, width)


def test_temperatures_are_physical_and_the_range_only_scales_them():
    for index in range(8):
        _, kelvin = draw_scene(np.random.default_rng(index), (48, 48))
        assert kelvin.min() > 220
        assert kelvin.max() < 340
    wide, narrow = (demo(size=32, kelvin=bounds).read("train_00000")["infrared"] for bounds in ((200, 400), (280, 290)))
    expected = ((wide / 65535 * 200 + 200 - 280) / 10).clip(0, 1)
    np.testing.assert_allclose(narrow / 65535, expected, atol=4e-4)


def test_day_and_night_differ_as_they_should():
    for index in range(20):
        day, night = (draw_scene(np.random.default_rng(index), (48, 48), night=share) for share in (0.0, 1.0))
        assert day[0].mean() > 1.2 * night[0].mean()  # headlamps light what is near by night
        assert np.median(day[1]) > np.median(night[1])


@pytest.mark.parametrize("night", [0.0, 1.0])
def test_the_light_tells_the_air_but_for_half_a_kelvin(night: float):
    """What an image shows, clouds and how bright the sky is, leaves that much to chance and no more."""
    rng = np.random.default_rng(0)
    drawn = [Weather.draw(rng, night) for _ in range(400)]
    seen = np.array([(1.0, weather.cloud, weather.skylight) for weather in drawn])
    air = np.array([weather.air for weather in drawn])
    told, *_ = np.linalg.lstsq(seen, air)
    assert np.std(air - seen @ told) == pytest.approx(0.5, abs=0.1)
    assert night or np.std(air) > 1.5


def test_the_infrared_is_no_grey_copy_of_the_visible():
    """No straight line from grey to infrared does much better than one value for all."""
    found = demo(size=32, train=60)
    scenes = [found.read(name) for name in found.splits["train"]]
    grey = np.concatenate([scene["visible"].mean(0).ravel() / 255 for scene in scenes])
    infrared = np.concatenate([scene["infrared"].ravel() / 65535 for scene in scenes])
    fit = np.poly1d(np.polyfit(grey, infrared, 1))
    assert np.std(infrared - fit(grey)) > 0.9 * np.std(infrared)
    assert np.std(infrared) > 0.1


def test_scenes_are_drawn_once_and_kept(monkeypatch: pytest.MonkeyPatch):
    drawn: list[object] = []
    module = sys.modules[draw_scene.__module__]
    monkeypatch.setattr(module, "draw_scene", lambda *given, **more: drawn.append(given) or draw_scene(*given, **more))
    found = demo(size=64, train=5)
    first, again = ([found.read(name) for name in found.splits["train"]] for _ in range(2))
    assert len(drawn) == 5
    assert all(np.array_equal(one[band], other[band]) for one, other in zip(first, again, strict=True) for band in one)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 8}, "demo: `size` must be at least 16, got 8"),
        ({"size": [8, 64]}, "demo: `size` must be at least 16, got [8, 64]"),
        ({"size": [64]}, "demo: `size` must have at least 2 items, got [64]"),
        ({"kelvin": [300, 300]}, "demo: `kelvin` must be [LOW, HIGH], got [300, 300]"),
        ({"night": 1.5}, "demo: `night` must be at most 1, got 1.5"),
        ({"train": 0}, "demo: `train` must be at least 1, got 0"),
        ({"train": 2**63 - 1}, "demo: `train` must be at most 100000, got 9223372036854775807"),
        ({"sead": 1}, "demo has no parameter `sead`\nhint: did you mean `seed`?"),
    ],
    ids=str,
)
def test_messages(parameters: dict, message: str):
    with pytest.raises(ArgumentError) as error:
        demo(**parameters)
    assert str(error.value) == message
