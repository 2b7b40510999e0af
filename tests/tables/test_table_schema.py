"""The schema of a CSV: what it accepts, and one clear line for what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslab.errors import InvalidTable
from naslab.tables import Reading
from naslab.tables.schema import read_schema

GOOD = """
space = "nasbench201"
architecture = "arch"
provenance = "invented"

[[columns]]
column = "short"
dataset = "toy"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"
epochs = 12
seed = "1"

[[columns]]
column = "long"
dataset = "toy"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"
epochs = 200
seed = "2"

[[columns]]
column = "judged"
dataset = "toy"
metric = "accuracy"
split = "test"
role = "truth"
unit = "%"
direction = "max"
epochs = 200

[[columns]]
column = "speed"
dataset = "toy"
metric = "latency_seconds"
role = "cost"
unit = "seconds"
direction = "min"

[tasks.toy]
reward = "short"
truth = "judged"
space_options = {num_classes = 10, input_shape = [3, 32, 32]}
"""
FIRST = 'split = "valid"\nrole = "reward"\nunit = "%"\ndirection = "max"\nepochs = 12\nseed = "1"'


def write(folder: Path, text: str) -> Path:
    file = folder / "schema.toml"
    file.write_text(text)
    return file


def test_columns_of_one_metric_become_one(tmp_path: Path) -> None:
    schema = read_schema(write(tmp_path, GOOD))
    valid, test, speed = schema.table_columns()
    assert (valid.name, valid.epochs, valid.seeds) == ("toy/accuracy/valid", (12, 200), ("1", "2"))
    assert (test.name, test.epochs, test.seeds) == ("toy/accuracy/test", (200,), ("mean",))
    assert (speed.name, speed.epochs, speed.split) == ("toy/latency_seconds", (), None)
    task = schema.table_tasks()["toy"]
    assert task.reward == Reading(column="toy/accuracy/valid", epochs=12)
    assert task.truth == Reading(column="toy/accuracy/test", epochs=200)
    assert task.space_options == {"num_classes": 10, "input_shape": (3, 32, 32)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('reward = "short"', 'reward = "judged"', "the reward of 'toy' is 'judged', which is test data"),
        ('reward = "short"', 'reward = "speed"', "'speed', whose role is 'cost'. Allowed: 'reward'"),
        ('truth = "judged"', 'truth = "speed"', "whose role is 'cost'. Allowed: 'truth' or 'reward'"),
        ('role = "truth"', 'role = "reward"', None),
        ('reward = "short"', 'reward = "shrot"', "Did you mean 'short'?"),
        ("[tasks.toy]", "[tasks.other]", "the reward of 'other' is 'short', which belongs to 'toy'"),
        ("[tasks.toy]", "[task.toy]", "unknown key 'task'. Did you mean 'tasks'?"),
        (FIRST, FIRST.replace("role", "rloe"), r"columns\[1\].rloe'. Did you mean 'role'?"),
        (FIRST, FIRST.replace('"reward"', '"rewrad"'), "role = 'rewrad'. Allowed: .* Did you mean 'reward'?"),
        (FIRST, FIRST.replace('"valid"', '"vaild"'), r"columns\[1\].split = 'vaild'. Allowed: .* 'valid'?"),
        (FIRST, FIRST.replace("epochs = 12", "epochs = 0"), r"columns\[1\].epochs = 0: .* greater than 0"),
        (FIRST, FIRST.replace("epochs = 12\n", ""), "one has epochs, the other none"),
        (FIRST, FIRST.replace("12", "200").replace('"1"', '"2"'), "'long' repeats the dataset"),
        (FIRST, FIRST.replace("%", "fraction"), "both toy/accuracy/valid but differ in unit"),
        (FIRST, FIRST.replace('unit = "%"\n', ""), r"key 'columns\[1\].unit' is missing"),
        ('column = "long"', 'column = "short"', "'short' is described twice"),
        ('column = "long"', 'column = "arch"', "'arch' is described twice"),
        ('dataset = "toy"', 'dataset = "t/y"', r"dataset = 't/y': string should match"),
        ("[[columns]]", "[[columns]", "is not TOML"),
        ('space = "nasbench201"', "", "key 'space' is missing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new))
    if message is None:  # test data may be called a reward as long as no task is rewarded with it
        read_schema(file)
        return
    with pytest.raises(InvalidTable, match=message) as error:
        read_schema(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_or_binary_schema_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"schema\.toml' can't be read"):
        read_schema(tmp_path / "schema.toml")
    (tmp_path / "schema.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidTable, match="is not TOML"):
        read_schema(tmp_path / "schema.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "is not TOML: brackets are nested more than 32 deep"),
        ("a" + ".a" * 20_000 + " = 1", "is not TOML: a key has more than 32 parts"),
        (GOOD.replace("epochs = 12", 'epochs = "1_2"'), "epochs = '1_2': input should be a valid integer"),
        (GOOD.replace("epochs = 12", 'epochs = "\u0661"'), "should be a valid integer"),
        (GOOD.replace("epochs = 12", f"epochs = {'9' * 5000}"), "is not TOML"),
        (GOOD.replace("[3, 32, 32]", '["3_0", 32, 32]'), "input_shape"),
        (GOOD.replace('"toy"', f'"{"x " * 50_000}"', 1), "columns.1..dataset = 'x x x.*[.]{3}: string should match"),
    ],
)
def test_a_schema_is_no_bomb_and_its_numbers_are_numbers(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidTable, match=message) as error:
        read_schema(write(tmp_path, text))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_the_shipped_schema_is_valid() -> None:
    schema = read_schema(Path(__file__).parents[2] / "experiments" / "tables" / "nasbench201.toml")
    assert set(schema.tasks) == {"cifar10", "cifar100", "imagenet16-120"}
    assert schema.table_tasks()["cifar100"].truth == Reading(column="cifar100/accuracy/test", epochs=200)
