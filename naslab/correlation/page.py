"""The page of a correlation study: tables, two figures, and what must be known to read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.correlation import FEWER, LARGE, RESAMPLES, SHARES, TOP
from naslab.analysis.correlation_plots import plot_agreement, plot_matrix
from naslab.analysis.formats import to_csv
from naslab.analysis.report import write_page
from naslab.correlation.agreement import Agreement
from naslab.running.output import unwritable

OVER_ALL = ("Spearman", "Kendall tau-b", "weighted tau")


def write(found: Agreement, folder: Path) -> Path:
    """Write ``report.html``, tables, figures and ``scores.csv`` into a folder; returns the page.

    Raises:
        OutputError: The folder can't be written.
    """
    page = write_page(
        sections(found), folder, f"Evaluators on {found.task}", found.command, found.environment, list(found.notes)
    )
    frame = found.scores.assign(**{found.reference: found.truth, "params": found.params})
    try:
        (folder / "scores.csv").write_text(to_csv(frame.rename_axis("architecture").reset_index()), encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from None
    return page


def sections(found: Agreement) -> list[Section]:
    """The sections about one population and one reference."""
    return [_against(found), _each_other(found), _size(found), _basis(found)]


def interval_text(n: int) -> str:
    """How the intervals of ``n`` architectures are computed, in words."""
    return f"95 % percentile bootstrap over architectures, {RESAMPLES if n <= LARGE else FEWER} resamples"


def _against(found: Agreement) -> Section:
    section = Section("Against the reference")
    n = len(found.truth)
    section.says.append(
        f"Reference: {found.label}. Population: {found.population}; {n:,} judged. Correlations are signed; scores that "
        f"are not finite count as the worst; ties are broken at random. Intervals: {interval_text(n)}."
    )
    table = found.summary
    top = [name for name in table.columns if not name.startswith(OVER_ALL) or name == "evaluator"]
    counted = [name for name in found.counts.columns if name != "evaluator"]
    over_all = [name for name in table.columns if name == "evaluator" or name.startswith(OVER_ALL)]
    rho = found.ceiling.loc[found.ceiling["evaluator"] == "any predictor", "value"]
    section.draw(
        "agreement", "Rank correlation with the reference", plot_agreement(
            found.statistics, ceiling=float(rho.iloc[0]) if len(rho) else np.nan
        ),
        f"All {n:,} architectures (circles) and the best tenth of them (squares), with intervals.",
    )  # fmt: skip
    section.add(
        "over-all", "Over all architectures", table[[*over_all, *counted]],
        "Tied pairs: the share of pairs of architectures with equal scores.",
    )  # fmt: skip
    ks = ", ".join(f"{max(1, round(share * n)):,}" for share in SHARES)
    section.add(
        "at-the-top", "At the top", table[[name for name in top if name not in counted]],
        f"Tau in top: among the best {TOP:.0%} by the reference ({max(2, round(TOP * n)):,}). Precision at k: the "
        f"share of the best k by score that are among the best k by the reference; 1, 5 and 10 % are {ks} "
        "architectures. Best rank at k: the best true rank among the best k by score, divided by the "
        "number of architectures. Regret: of the architecture with the best score, in "
        f"{found.unit or 'the unit of the reference'}. nDCG: gains by true rank; a random order has about 0.2. "
        "Intervals of regret and best rank are rough.",
    )  # fmt: skip
    if len(found.ceiling):
        judged = int(found.ceiling["architectures"].max())
        section.says.append(
            f"The reference is a mean over trainings. On the {judged:,} architectures with two or more of them, "
            "Spearman's correlation of one training with the mean of the others is "
            f"{_value(found.ceiling, 'another training')}; a predictor without any error could reach "
            f"{_value(found.ceiling, 'any predictor')} (Spearman-Brown)."
        )
        section.add(
            "ceiling", "The best agreement that the noise of trainings allows", found.ceiling,
            "Another training: a recorded one against the mean of the others. Any predictor: the ceiling that follows "
            "from this for a predictor of the expected reference.",
        )  # fmt: skip
    return section


def _each_other(found: Agreement) -> Section:
    section = Section("Against each other")
    section.draw(
        "matrix", "Spearman's correlation of every pair", plot_matrix(found.matrix),
        f"Last row and column: {found.label}. {found.population}.",
    )  # fmt: skip
    frame = found.matrix.rename_axis("evaluator").reset_index()
    section.add("matrix", "The same as numbers", frame, "Spearman's correlation; a dash: a constant score.")
    return section


def _size(found: Agreement) -> Section:
    section = Section("Bias towards size")
    section.add(
        "size", "Spearman's correlation with the number of parameters", found.bias,
        f"A score that repeats the number of parameters says nothing new. {interval_text(len(found.truth))}.",
    )  # fmt: skip
    return section


def _basis(found: Agreement) -> Section:
    section = Section("Cost")
    frame = pd.DataFrame({"evaluator": list(found.seconds), "seconds": list(found.seconds.values())})
    if any(spent > 0.01 for spent in found.making.values()):
        frame["once"] = [found.making[name] for name in found.seconds]
    section.add(
        "seconds", "Seconds for one architecture", frame,
        "Median CPU seconds, measured here; for a table, the seconds that it charges. Proxies that share a pass show "
        "the seconds of the whole pass. Once: seconds to make the evaluator (to fit a predictor, to train shared "
        "weights), without the trainings that a predictor learns from.",
    )  # fmt: skip
    return section


def _value(ceiling: pd.DataFrame, name: str) -> str:
    row = ceiling[(ceiling["evaluator"] == name) & (ceiling["statistic"] == "Spearman")].iloc[0]
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
