"""One official NATS-Bench record: which of its fields become which numbers of a table."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from naslab.errors import InvalidTable
from naslab.files import clipped, read_whole, unreadable
from naslab.tables.pickles import NUMPY_SCALARS, load_pickle

Trial = dict[str, Any]  # one training: the official ResultsCount


@dataclass(frozen=True)
class Number:
    """One number of a table; ``what`` as in :func:`naslab.tables.nasbench201.describe`.

    ``epochs`` is 0 and ``seed`` is "mean" for what has neither.
    """

    dataset: str
    what: str
    epochs: int
    seed: str
    value: float


@dataclass(frozen=True)
class Record:
    """What a table keeps of a record file."""

    numbers: tuple[Number, ...]
    sha256: str


def _evaluated(split: str) -> Callable[[Trial, int], float]:
    return lambda trial, epochs: trial["eval_acc1es"][f"{split}@{epochs - 1}"]


def _trained(trial: Trial, epochs: int) -> float:
    return trial["train_acc1es"][epochs - 1]  # type: ignore[no-any-return]


def _seconds(trial: Trial, epochs: int) -> float:
    return math.fsum(trial["train_times"][epoch] for epoch in range(epochs))


# (our dataset, metric) -> (the records' dataset, how to read a trial)
_PER_TRIAL: dict[tuple[str, str], tuple[str, Callable[[Trial, int], float]]] = {
    ("cifar10", "train"): ("cifar10-valid", _trained),
    ("cifar10", "valid"): ("cifar10-valid", _evaluated("x-valid")),
    ("cifar10", "test"): ("cifar10", _evaluated("ori-test")),
    ("cifar10", "train_seconds"): ("cifar10-valid", _seconds),
}
_SOURCES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}
for _ours, _theirs in list(_SOURCES.items())[1:]:
    _PER_TRIAL |= {
        (_ours, "train"): (_theirs, _trained),
        (_ours, "valid"): (_theirs, _evaluated("x-valid")),
        (_ours, "test"): (_theirs, _evaluated("x-test")),
        (_ours, "train_seconds"): (_theirs, _seconds),
    }


def _number(value: object) -> float:
    if isinstance(value, str | bytes):  # float() reads some texts, "1_0" among them
        raise TypeError(f"{clipped(value)} is no number")
    return float(value)  # type: ignore[arg-type]


def read_record(file: Path, index: int, string: str) -> Record:
    """Read the record of architecture ``string``, which is number ``index``.

    Raises InvalidTable, naming the file, where it is damaged, belongs to another architecture, or lists a training that
    lacks a field.
    """
    hyper = load_pickle(file, NUMPY_SCALARS)
    try:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidTable(unreadable(file, error)) from None
    try:
        numbers = tuple(_numbers(hyper, index, string))
    except KeyError as error:
        raise InvalidTable(f"'{file}' is not a complete NATS-Bench record: it lacks {str(error)[:100]}") from None
    except Exception as error:  # what stands in the place of numbers may be anything
        raise InvalidTable(f"'{file}' is not a NATS-Bench record ({' '.join(str(error).split())[:200]})") from None
    for number in numbers:
        if not math.isfinite(number.value):
            raise InvalidTable(f"'{file}': {number.dataset} {number.what} is {number.value}")
        if number.what.endswith("seconds") and number.value < 0:
            raise InvalidTable(f"'{file}': {number.dataset} {number.what} is {number.value}. Time is never negative")
    return Record(numbers, sha256)


def _numbers(hyper: Any, index: int, string: str) -> Iterator[Number]:
    trials: dict[str, list[tuple[int, str, Trial]]] = {}
    for length, result in hyper.items():
        if (result["arch_index"], result["arch_str"]) != (index, string):
            raise ValueError(f"it describes number {result['arch_index']}, {clipped(result['arch_str'])}")
        epochs = read_whole(str(length))
        for (dataset, seed), trial in result["all_results"].items():
            if epochs is None or trial["epochs"] != epochs:
                raise ValueError(f"{trial['epochs']} epochs listed under {clipped(length)}")
            trials.setdefault(dataset, []).append((epochs, str(seed), trial))
    for (dataset, metric), (source, read) in _PER_TRIAL.items():
        for epochs, seed, trial in trials.get(source, []):
            yield Number(dataset, metric, epochs, seed, _number(read(trial, epochs)))
    for dataset, source in _SOURCES.items():
        recorded = [trial for _, _, trial in trials.get(source, [])]
        # The official API counts only positive latencies: 0 means that none was measured.
        latencies = [value for trial in recorded for value in trial["latency"] if value > 0]
        for metric, values in (
            ("latency_seconds", latencies),
            ("params_M", [trial["params"] for trial in recorded]),
            ("flops_M", [trial["flop"] for trial in recorded]),
        ):
            if values:
                yield Number(dataset, metric, 0, "mean", fmean(values))
