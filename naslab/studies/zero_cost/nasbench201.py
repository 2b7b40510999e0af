"""The study of zero-cost proxies on NAS-Bench-201: ours beside the published correlations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import naslab
from naslab.analysis.contents import Section
from naslab.analysis.correlation import matrix
from naslab.analysis.correlation_plots import plot_matrix
from naslab.analysis.report import write_page
from naslab.analysis.style import style
from naslab.correlation.study import Correlations, correlate
from naslab.evaluators.zero_cost.catalogue import PROXIES, TRAINED
from naslab.running import Progress
from naslab.studies.base import Outcome, experiment_folder
from naslab.studies.zero_cost.shared import ENSEMBLES, about, pairwise_vote, spearman_of, with_ensembles
from naslab.tables import table_names

ARCHITECTURES = 1000
SCORED = tuple(name for name in PROXIES if name not in (*TRAINED, "gradsign"))
"""All that train nothing, but gradsign: it has a backward pass for every row and costs half of all others together."""
TEST_TABLE = "nats-tss"
"""Where it is imported, its test accuracy is a second truth."""
DATASETS = ("cifar10", "cifar100", "imagenet16-120")
FREE = ("params", "flops", "synflow")
"""They look at no images: a published value must be met, or the difference explained."""
COUNTED = {"params": "params", "flops": "macs"}
VOTE = "vote"


@dataclass(frozen=True)
class Published:
    """A published table.

    Attributes:
        name: Of the paper.
        file: With a row for each dataset and a column for each proxy.
        row: From a dataset of ours to what picks its row: column and entry.
        label: What scores were correlated with, on which architectures.
    """

    name: str
    file: str
    row: Mapping[str, tuple[str, str]]
    label: str

    def read(self) -> dict[str, dict[str, float]]:
        """Dataset -> proxy (our name) -> what is printed."""
        frame = pd.read_csv(experiment_folder() / "published" / self.file)
        found = {}
        for dataset, (column, entry) in self.row.items():
            chosen = frame[frame[column] == entry]
            if "space" in frame and column != "space":
                chosen = chosen[chosen["space"] == "NATS-Bench TSS"]
            numbers = chosen.select_dtypes("number").iloc[0].to_dict()
            found[dataset] = {str(name).replace("_", "-"): float(value) for name, value in numbers.items()}
        return found


TABLES = (
    Published(
        "Abdelfattah et al. 2021", "zero_cost_nasbench201.csv", {d: ("dataset", d) for d in DATASETS},
        "accuracy after 200 epochs (CIFAR-10: of the trainings on half of its data), all 15,625 cells, absolute values",
    ),
    Published(
        "White et al. 2022", "zero_cost_white2022.csv", {"cifar100": ("task", "CIFAR-100")},
        "accuracy after 200 epochs that its code calls validation, 1,000 random cells",
    ),
)  # fmt: skip


def run(
    title: str,
    description: str,
    out: Path,
    *,
    workers: int,
    progress: Progress | None,
    architectures: int = ARCHITECTURES,
) -> Outcome:
    """Run the study into a folder; scores are kept in ``OUT/<dataset>/scores``, and a larger number adds to them."""
    found = {}
    for dataset in DATASETS:
        scored = correlate(
            f"nasbench201/{dataset}", SCORED, architectures, out=out / dataset, workers=workers, progress=progress
        )
        found[dataset] = with_ensembles(scored)
    tested = {dataset: judged_by_test(each, dataset) for dataset, each in found.items()} if has_test() else {}
    beside = beside_published(found, tested)
    with style():
        sections = [_published(beside, found, tested), _ranks(found), _heat(found)]
        for dataset, each in found.items():
            sections += about(each, dataset)
    page = write_page(
        sections, out / "report", title, "naslab reproduce zero-cost-nasbench201", found["cifar10"].environment,
        [" ".join(description.split()), ENSEMBLES, *dict.fromkeys(n for each in found.values() for n in each.notes)],
    )  # fmt: skip
    shown = ["dataset", "proxy", "published", "source", "ours", "ours low", "ours high", "inside"]
    return Outcome([(title, beside[shown])], page)


def has_test() -> bool:
    """Whether the table with test accuracies is imported."""
    return TEST_TABLE in table_names()


def judged_by_test(found: Correlations, dataset: str) -> Correlations:
    """The same scores against the test accuracy of the imported table."""
    task = naslab.task(f"{TEST_TABLE}/{dataset}")
    space = task.problem.space
    truth = np.array([task.true_value(space.from_string(name)) for name in found.scores.index])
    finite = np.isfinite(truth)
    return dataclasses.replace(
        found, reference=task.metric, truth=truth[finite], trainings=None,
        scores=found.scores[finite], params=found.params[finite],
    )  # fmt: skip


def beside_published(found: Mapping[str, Correlations], tested: Mapping[str, Correlations]) -> pd.DataFrame:
    """A row for each published number: ours with its interval, by validation and, where imported, by test accuracy.

    "inside": whether the published value is in the interval by validation; "inside (test)" likewise.
    """
    rows = []
    for table in TABLES:
        for dataset, numbers in table.read().items():
            ours = {"": spearman_of(found[dataset])}
            if dataset in tested:
                ours[" (test)"] = spearman_of(tested[dataset])
            for proxy, value in numbers.items():
                row: dict[str, Any] = {
                    "dataset": dataset,
                    "proxy": f"{VOTE} (pairwise accuracy)" if proxy == VOTE else proxy,
                    "published": value,
                    "source": table.name,
                }
                for label, each in ours.items():
                    judged = found[dataset] if not label else tested[dataset]
                    mine = pairwise_vote(judged, np.random.default_rng(0)) if proxy == VOTE else each[proxy]
                    row |= {
                        f"ours{label}": mine["value"],
                        f"ours{label} low": mine["low"],
                        f"ours{label} high": mine["high"],
                        f"inside{label}": "yes" if mine["low"] <= value <= mine["high"] else "no",
                    }
                row["all 15,625 cells"] = whole_space(dataset, proxy) if proxy in COUNTED else np.nan
                row["note"] = "needs no images" if proxy in FREE else "published with images, ours with noise"
                rows.append(row)
    return pd.DataFrame(rows)


def whole_space(dataset: str, proxy: str) -> float:
    """Spearman's correlation of a closed form with the validation accuracy of every cell: no sample, no interval."""
    task = naslab.task(f"nasbench201/{dataset}")
    values: Mapping[Any, float] = task.truth.values  # type: ignore[attr-defined]
    costs = [getattr(task.problem.space.cost(a), COUNTED[proxy]) for a in values]
    return float(matrix(pd.DataFrame({"cost": costs, "truth": list(values.values())})).to_numpy()[0, 1])


def _published(beside: pd.DataFrame, found: Mapping[str, Correlations], tested: Mapping[str, Correlations]) -> Section:
    section = Section("Beside the published numbers")
    one = found["cifar10"]
    section.says += [f"{table.name}: {table.label}." for table in TABLES]
    section.says.append(
        f"Ours: {one.label}, mean over the recorded trainings; {one.population}, drawn uniformly for each dataset."
        + (f" By test: {tested['cifar10'].label} of the table {TEST_TABLE}, the same scores." if tested else "")
    )
    if not tested:
        section.says.append(
            f"The packaged table lacks test accuracies: import the table {TEST_TABLE} (see: naslab reproduce "
            "nasbench201-search) to have both labels."
        )
    for proxy in FREE:
        rows = beside[beside["proxy"] == proxy]
        met = [name for name in beside.columns if name.startswith("inside")]
        counts = ", ".join(f"{(rows[name] == 'yes').sum()}{name.removeprefix('inside')}" for name in met)
        section.says.append(
            f"{proxy}, which sees no image: published values inside our interval, of {len(rows)}: {counts}."
        )
    section.add(
        "beside-published", "Spearman's correlations, published and ours", beside,
        "Intervals: 95 % bootstrap over cells. The vote is a pairwise accuracy, in the paper as here; Spearman's "
        "correlation of its wins is shown with the evaluators of each dataset. All cells: closed forms against the "
        "validation accuracy.",
    )  # fmt: skip
    return section


def _ranks(found: Mapping[str, Correlations]) -> Section:
    section = Section("Average ranks")
    published = pd.read_csv(experiment_folder() / "published" / "zero_cost_average_rank.csv").set_index("space")
    names = [str(name).replace("_", "-") for name in published.columns]
    rhos = pd.DataFrame({d: {n: spearman_of(each)[n]["value"] for n in names} for d, each in found.items()})
    ours = rhos.rank(ascending=False).mean(axis=1)
    frame = pd.DataFrame(
        {
            "proxy": names,
            "ours": [float(ours[name]) for name in names],
            "White et al. 2022, NATS-Bench TSS": published.loc["NATS-Bench TSS"].to_numpy(float),
            "White et al. 2022, overall": published.loc["Overall"].to_numpy(float),
        }
    ).sort_values("ours", kind="stable", ignore_index=True)
    section.add(
        "average-ranks", "Average rank by Spearman's correlation, 1 is best", frame,
        "Among these eight. Ours: CIFAR-10, CIFAR-100, ImageNet16-120. Theirs: CIFAR-100, spherical CIFAR-100 and a "
        "synthetic CIFAR-10 on this space; overall, over their three spaces.",
    )  # fmt: skip
    return section


def _heat(found: Mapping[str, Correlations]) -> Section:
    section = Section("Heat maps")
    printed = pd.read_csv(experiment_folder() / "published" / "zero_cost_correlation_matrix.csv", index_col=0)
    printed.index = printed.columns = pd.Index([str(name).replace("_", "-") for name in printed.columns])
    names = [name for name in printed.columns if name != "ground-truth"]
    for dataset, each in found.items():
        ours = matrix(each.scores[names].assign(**{each.reference: each.truth}))
        section.draw(
            f"heat-{dataset}", f"Ours, {dataset}", plot_matrix(ours), f"Spearman; last row: {each.label}."
        )  # fmt: skip
    section.draw(
        "heat-published", "As printed in the lecture, one digit", plot_matrix(printed),
        "Last row: the ground truth. The lecture does not say which tasks these are; they are more than this one.",
    )  # fmt: skip
    return section
