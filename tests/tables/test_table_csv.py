"""Importing a CSV: the numbers arrive, and every fault is named by row and column."""

from __future__ import annotations

import gzip
import random
import time
from pathlib import Path

import numpy as np
import pytest
from toy_spaces import VECTOR, graph_of

import naslab
from naslab import Choice, Range, Recipe, SearchSpace
from naslab.errors import InvalidTable, InvalidValue, NaslabError, UnknownHyperparameter, UnknownSearchSpace
from naslab.ops import Linear
from naslab.tables import find_table, imported_names, spaces
from naslab.tables.from_csv import import_csv
from naslab.tables.packaged.nasbench201 import TABLE as NASBENCH201

SHIPPED = Path(__file__).parents[2] / "experiments" / "tables" / "nasbench201.toml"
SCHEMA = """
space = "nasbench201"
architecture = "arch"
provenance = "invented"
[[columns]]
column = "valid"
dataset = "cifar10"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"
epochs = 12
[tasks.cifar10]
reward = "valid"
truth = "valid"
"""


def cell(*options: str) -> str:
    a, b, c, d, e, f = options
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


A = cell(*["none"] * 6)
B = cell("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none", "skip_connect")
GOOD = f"arch,other,valid\n{A},x,10\n{B},y,2.5e1\n"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    file = tmp_path / "schema.toml"
    file.write_text(SCHEMA)
    return file


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_import(tmp_path: Path, schema: Path, name: str) -> None:
    data = GOOD.encode()
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith("gz") else data)
    table = import_csv(tmp_path / name, schema, "mine")
    assert find_table("mine").sha256 == table.sha256
    assert (table.name, table.space, table.header.options) == ("mine", "nasbench201", (5,) * 6)
    assert table.mean("cifar10/accuracy/valid", 12)[table.row((1, 2, 3, 4, 0, 1))] == 25.0
    assert table.mean("cifar10/accuracy/valid", 12)[table.row((0,) * 6)] == 10.0
    assert set(table.provenance["files"]) == {name, "schema.toml"}


@pytest.mark.parametrize("data", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD + "\n\n", GOOD.rstrip("\n")])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path: Path, schema: Path, data: str) -> None:
    (tmp_path / "t.csv").write_bytes(data.encode())
    assert import_csv(tmp_path / "t.csv", schema, "mine").mean("cifar10/accuracy/valid").tolist() == [10, 25]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD.replace("valid", "vaild"), "has no column 'valid'. Did you mean 'vaild'?"),
        (GOOD.replace("arch,", "architecture,"), "has no column 'arch'. Did you mean 'architecture'?"),
        (GOOD.replace("other", "valid"), "has two columns 'valid'"),
        (GOOD + f"\n{A},z,1\n", f"row 5: architecture '{A}' is already in row 2"),
        (GOOD + f"{A[:-3]},z,1\n", "row 4: "),
        (GOOD.replace("nor_conv_1x1", "nor_conv_5x5"), "row 3: "),
        (
            GOOD.replace("2.5e1", '"2,5"'),
            "row 3, column 'valid': '2,5' is not a finite number; a point begins decimals",
        ),
        (GOOD.replace("2.5e1", "-inf"), "row 3, column 'valid': '-inf' is not a finite number"),
        (GOOD.replace("10", "1_0"), "row 2, column 'valid': '1_0' is not a finite number"),
        (GOOD.replace("10", "\u0661\u0660"), "row 2, column 'valid': '\u0661\u0660' is not a finite number"),
        (GOOD.replace("10", "1e999"), "row 2, column 'valid': '1e999' is not a finite number"),
        (GOOD.replace(A, "x" * 100_000), "row 2: 'xxx.*[.]{3} is not an official NAS-Bench-201 string"),
        (GOOD.replace("10", "ten"), "row 2, column 'valid': 'ten' is not a finite number"),
        (GOOD.replace(",x,10", ',"a\nb",10').replace("2.5e1", "?"), "row 4, column 'valid': '\\?'"),
        (GOOD.replace(",y,", ","), "row 3: 2 fields, but the header has 3"),
        (GOOD.replace(",y,", ",y,y,"), "row 3: 4 fields, but the header has 3"),
        ("", "is empty: no header"),
        ("arch,other,valid\n", "is empty: a header but no rows"),
        (b"\x89PNG\r\n\x1a\n\xff\x00", "is not a CSV file"),
        ('{\n"arch": 1}', "is not a CSV file"),
        (GOOD.replace(",y,", ',"y,'), "is not a CSV file"),
    ],
)
def test_faults_are_named_and_nothing_is_written(
    tmp_path: Path, cache: Path, schema: Path, data: str | bytes, message: str
) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    message = message.replace("|", r"\|").replace("+", r"\+")
    with pytest.raises(InvalidTable, match=message) as error:
        import_csv(file, schema, "mine")
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    assert not cache.exists()


def test_other_faults_are_named(tmp_path: Path, cache: Path, schema: Path) -> None:
    file = tmp_path / "t.csv"
    with pytest.raises(InvalidTable, match="can't be read"):
        import_csv(file, schema, "mine")
    file.write_text(GOOD)
    for name in ("Mine", "a/b", "../x", "", ".x"):
        with pytest.raises(InvalidValue, match="table name"):
            import_csv(file, schema, name)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(GOOD.encode())[:-9])
    with pytest.raises(InvalidTable, match="is not a CSV file"):
        import_csv(tmp_path / "t.csv.gz", schema, "mine")
    faults: list[tuple[str, str, type[NaslabError]]] = [
        ('space = "nasbench201"', 'space = "nasbench202"', UnknownSearchSpace),
        ('truth = "valid"', 'truth = "valid"\nspace_options = {num_clases = 3}', UnknownHyperparameter),
    ]
    for old, new, kind in faults:
        schema.write_text(SCHEMA.replace(old, new))
        with pytest.raises(kind, match="Did you mean"):
            import_csv(file, schema, "mine")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (SearchSpace(graph_of(("x", "y", Linear()), x=VECTOR, y={"width": Choice("w", tuple(range(1, 258)))})), "257"),
        (
            SearchSpace(graph_of(("x", "y", Linear()), x=VECTOR), recipe=Recipe(1, 1, Range("r", 0.1, 1.0))),
            "Range('r')",
        ),
    ],
)
def test_tables_hold_choices_of_256_options_at_most(
    tmp_path: Path, schema: Path, space: SearchSpace, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces, "search_space", lambda name, **options: space)
    (tmp_path / "t.csv").write_text(GOOD)
    with pytest.raises(NaslabError) as error:
        import_csv(tmp_path / "t.csv", schema, "mine")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_time_is_never_negative(tmp_path: Path, cache: Path, schema: Path) -> None:
    """A search would gain time by paying it."""
    seconds = '[[columns]]\ncolumn = "other"\ndataset = "cifar10"\nmetric = "train_seconds"\nrole = "cost"\n'
    schema.write_text(SCHEMA.replace("[tasks", seconds + 'unit = "s"\ndirection = "min"\n[tasks'))
    file = tmp_path / "t.csv"
    file.write_text(GOOD.replace(",x,", ",3.5,").replace(",y,", ",-0.5,"))
    with pytest.raises(InvalidTable, match=r"row 3, column 'other': -0\.5 seconds. Time is never negative"):
        import_csv(file, schema, "mine")
    assert not cache.exists()
    file.write_text(GOOD.replace(",x,", ",3.5,").replace(",y,", ",0,"))
    assert import_csv(file, schema, "mine").charge("cifar10").tolist() == [3.5, 0.0]


def test_a_compressed_file_is_not_unpacked_without_end(tmp_path: Path, cache: Path, schema: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"0" * 40_000_000))
    with pytest.raises(InvalidTable, match=r"is not a CSV file \(it unpacks to more than"):
        import_csv(tmp_path / "t.csv.gz", schema, "mine")
    assert not cache.exists()


def test_another_table_is_never_overwritten(tmp_path: Path, schema: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(GOOD)
    first = import_csv(file, schema, "mine")
    assert import_csv(file, schema, "mine").sha256 == first.sha256
    file.write_text(GOOD.replace("10", "11"))
    with pytest.raises(InvalidTable, match="already holds another table"):
        import_csv(file, schema, "mine")
    assert find_table("mine").sha256 == first.sha256


def test_the_real_file(shared_data: Path, tmp_path: Path) -> None:
    start = time.process_time()
    table = import_csv(shared_data / "nasbench201.csv.gz", SHIPPED, "nats-tss")
    assert time.process_time() - start < 3
    assert imported_names() == ["nats-tss"]
    assert len(table) == 15_625
    assert table.row((4, 2, 1, 2, 1, 1)) == 0
    best = {
        "cifar10": (94.3733, 91.6067),
        "cifar100": (73.5133, 73.4933),
        "imagenet16-120": (47.3111, 46.7333),
    }
    packaged = NASBENCH201.build(tmp_path / "packaged")
    for dataset, (test, valid) in best.items():
        assert table.mean(f"{dataset}/accuracy/test", 200).max() == test
        assert table.mean(f"{dataset}/accuracy/valid", 200).max() == valid
        np.testing.assert_allclose(table.charge(dataset, 12), table.charge(dataset, 200) * 12 / 200)
        # Where the two sources overlap they agree: the CSV has six significant digits.
        rows = [packaged.row(tuple(options)) for options in table.architectures.tolist()]
        for column, epochs in (("accuracy/valid", 200), ("train_seconds", 200), ("latency_seconds", None)):
            ours = packaged.mean(f"{dataset}/{column}", epochs)[rows]
            np.testing.assert_allclose(table.mean(f"{dataset}/{column}", epochs), ours, rtol=6e-6)
    space = naslab.search_space("nasbench201")
    line = random.Random(0).randrange(15_625)
    with gzip.open(shared_data / "nasbench201.csv.gz", "rt") as stream:
        cells = stream.readlines()[1 + line].split(",")
    assert table.row(space.from_string(cells[1])) == line
    assert table.mean("cifar10/accuracy/valid", 12)[line] == float(cells[2])
    assert table.mean("cifar10/accuracy/test", 200)[line] == float(cells[5])
