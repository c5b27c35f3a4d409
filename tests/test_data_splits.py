"""Rules of splits: disjoint, complete, in natural order, and clear about what cannot be."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crossband.recipes.data.splits import RULES, Rule, divide, natural
from crossband.recipes.kinds.source import DataError
from crossband.registry import schema_of, sources

NAMES = [f"FLIR_{number:05d}" for number in range(8500, 8540)]
CHANCE = [NAMES[int(at)] for at in np.random.default_rng(7).permutation(len(NAMES))]

names = st.lists(st.from_regex(r"\A[a-c]_?[0-9]{1,3}[DN]?\Z"), min_size=4, max_size=40, unique=True)
rules = st.one_of(
    st.fixed_dictionaries({"last": st.floats(0.05, 0.6)}),
    st.fixed_dictionaries({"first": st.integers(1, 3)}),
    st.fixed_dictionaries({"every": st.integers(2, 5)}, optional={"block": st.integers(1, 2)}),
    st.fixed_dictionaries({"random": st.floats(0.05, 0.6), "seed": st.integers(0, 9)}),
)


@given(names, rules)
def test_splits_are_disjoint_cover_everything_and_do_not_depend_on_the_order(found: list[str], rule: dict):
    try:
        splits = divide(found, {"test": rule})
    except DataError:  # the rule may take everything
        assume(False)
    assert not set(splits["train"]) & set(splits["test"])
    assert sorted(splits["train"] + splits["test"]) == sorted(found)
    assert all(list(map(natural, split)) == sorted(map(natural, split)) for split in splits.values())
    assert divide(found[::-1], {"test": rule}) == splits


@pytest.mark.parametrize(
    ("rule", "test"),
    [
        ({"from": "FLIR_08505", "to": "FLIR_08507"}, NAMES[5:8]),
        ({"from": "FLIR_08505x", "to": "FLIR_08508"}, NAMES[6:9]),
        ({"from": "FLIR_08537"}, NAMES[37:]),
        ({"to": "FLIR_08501"}, NAMES[:2]),
        ({"first": 3}, NAMES[:3]),
        ({"last": 0.1}, NAMES[-4:]),
        ({"last": 0.001}, NAMES[-1:]),
        ({"every": 10}, NAMES[::10]),
        ({"every": 4, "block": 5}, NAMES[:5] + NAMES[20:25]),
        ({"every": 10, "start": 9}, NAMES[9::10]),
        ({"every": 4, "block": 5, "start": 1}, NAMES[5:10] + NAMES[25:30]),
        ({"random": 3, "seed": 7, "start": 2}, sorted(CHANCE[2:5])),
        ({"list": ["FLIR_08507", "FLIR_08501.jpg"]}, [NAMES[1], NAMES[7]]),
    ],
    ids=str,
)
def test_what_each_rule_takes(rule: dict, test: list[str]):
    splits = divide(NAMES, {"test": rule})
    assert splits["test"] == test
    assert splits["train"] == [name for name in NAMES if name not in test]


def test_two_splits_of_one_draw_share_nothing():
    rules = {"train": {"random": 20, "seed": 3}, "test": {"random": 5, "seed": 3, "start": 20}}
    splits = divide(NAMES, rules)
    assert (len(splits["train"]), len(splits["test"])) == (20, 5)
    with pytest.raises(DataError, match="the splits `train` and `test` share 5 scenes"):
        divide(NAMES, {**rules, "test": {"random": 5, "seed": 3}})


def test_numbers_count_by_value_and_a_range_includes_what_begins_with_its_end():
    found = ["01185N", "01186D", "01299D", "01299N", "01300N"]
    assert divide(found, {"test": {"from": 1186, "to": 1299}})["test"] == found[1:4]
    assert divide(["a_10", "a_9", "a_11"], {"test": {"last": 2}})["test"] == ["a_10", "a_11"]


def test_subfolders_and_lists(tmp_path: Path):
    found = ["day/1", "day/2", "night/1", "night/deep/2"]
    assert divide(found, {"test": {"under": "night"}})["test"] == found[2:]
    assert divide(found, {"test": {"under": ["day", "night/deep"]}})["train"] == ["night/1"]
    listed = tmp_path / "test.txt"
    listed.write_text("# names\nday/2.png\n\nnight/1  # this too\n")
    assert divide(found, {"test": {"list": str(listed)}})["test"] == ["day/2", "night/1"]


def test_random_splits_follow_their_seed():
    one, same, other = (divide(NAMES, {"test": {"random": 0.25, "seed": seed}})["test"] for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 10


def test_a_train_rule_leaves_the_rest_out():
    splits = divide(NAMES, {"train": {"first": 10}, "test": {"last": 5}})
    assert splits == {"train": NAMES[:10], "test": NAMES[-5:]}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"test": {"form": "a"}}, "the split `test`: no rule has the keys `form`\nhint: a rule is `from` and `to`, "),
        ({"test": {}}, "the split `test`: no rule has the keys (none)\nhint: "),
        ({"test": {"random": 0.1}}, "the split `test`: no rule has the keys `random`\nhint: "),
        ({"test": {"every": 2, "start": -1}}, "the split `test`: `start` must be a whole number, at least 0, got -1"),
        ({"test": {"every": 0}}, "the split `test`: `every` must be a whole number, at least 1, got 0"),
        ({"test": {"last": 1.5}}, "the split `test`: `last` must be a number of scenes, or a fraction between 0 and 1"),
        (
            {"test": {"from": "G", "to": "H"}},
            "the split `test` is empty: none of 40 scenes, `FLIR_08500` to `FLIR_08539`, is left",
        ),
        (
            {"test": {"first": 99}},
            "the split `train` is empty: none of 40 scenes, `FLIR_08500` to `FLIR_08539`, is left",
        ),
        ({"test": {"list": ["FLIR_85010"]}}, "the split `test`: no scene is called `FLIR_85010`\nhint: did you mean"),
        ({"test": {"list": "no.txt"}}, "the split `test`: cannot read the list no.txt: no such file"),
        (
            {"test": {"last": 5}, "train": {"first": 38}},
            "the splits `test` and `train` share 3 scenes, first `FLIR_08535`",
        ),
    ],
    ids=str,
)
def test_messages(rules: dict, message: str):
    with pytest.raises(DataError) as error:
        divide(NAMES, rules)
    assert str(error.value).startswith(message)


def test_all_faulty_rules_are_named_at_once():
    with pytest.raises(DataError) as error:
        divide(NAMES, {"test": {"every": 0}, "validation": {"list": ["x"]}})
    assert [line.message.split(":")[0] for line in error.value.faults] == ["the split `test`", "the split `validation`"]


def test_the_schema_of_a_rule_has_the_keys_of_the_rules():
    rule = schema_of(Rule)
    assert set(rule["properties"]) == {key for keys in RULES for key in keys}
    assert not rule["additionalProperties"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"test": {"lasst": 0.1}}, "pairs: `split.test` takes no key `lasst`\nhint: did you mean `last`?"),
        ({"test": {"every": "two"}}, "pairs: `split.test.every` must be a whole number, got `two`"),
        ({"test": {"list": [1]}}, "pairs: `split.test.list` must be text, got 1"),
        ({"test": 0.1}, "pairs: `split.test` must be a mapping, got 0.1"),
    ],
    ids=str,
)
def test_rules_are_held_to_their_schema(split: dict, message: str):
    assert [str(problem) for _, problem in sources["pairs"].problems({"split": split})] == [message]
