"""The page of a correlation study: tables, figures, and what must be known to read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.correlation import SHARES, TOP, resamples_of
from naslab.analysis.correlation_plots import MOST_POINTS, plot_agreement, plot_matrix, plot_ranks
from naslab.analysis.formats import to_csv
from naslab.analysis.learning_curves import plot_curves
from naslab.analysis.report import write_page
from naslab.analysis.style import palette
from naslab.correlation.agreement import LEAST, Agreement
from naslab.running.output import unwritable

OVER_ALL = ("Spearman", "Kendall tau-b", "weighted tau")


def write(found: Agreement, folder: Path, figures: Sequence[str] = ()) -> Path:
    """Write ``report.html``, tables, figures and ``scores.csv`` into a folder; returns the page.

    Raises:
        OutputError: The folder can't be written.
    """
    page = write_page(
        sections(found), folder, f"Evaluators on {found.task}", found.command, found.environment, list(found.notes),
        found.evaluators, finding=finding(found), figures=figures, figures_command=f"{found.command} --figures pdf,png",
    )  # fmt: skip
    frame = found.scores.assign(**{found.reference: found.truth})
    if np.isfinite(found.params).any():
        frame["params"] = found.params
    try:
        (folder / "scores.csv").write_text(to_csv(frame.rename_axis("architecture").reset_index()), encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from None
    return page


def sections(found: Agreement) -> list[Section]:
    """The sections about one population and one reference."""
    return [_against(found), _top(found), _each_other(found), _size(found), _basis(found)]


def finding(found: Agreement) -> str:
    """Who ranks best and how sure that is, in one sentence."""
    known = found.summary[found.summary["Spearman"].notna()]
    if known.empty:
        return "No score orders these architectures: all are constant."
    best = known.iloc[0]
    interval = (
        f" [{best['Spearman low']:.2f}, {best['Spearman high']:.2f}]" if np.isfinite(best["Spearman low"]) else ""
    )
    said = f"{best['evaluator']} orders {len(found.truth):,} architectures best by {found.label}"
    said += f": Spearman's correlation {best['Spearman']:.2f}{interval}"
    if len(known) > 1:
        gain, low, high = found.lead
        second = f"{known['evaluator'].iloc[1]} ({known['Spearman'].iloc[1]:.2f})"
        if np.isfinite(low):
            told = "" if low > 0 else ": no difference is shown"
            said += f"; it is {gain:.2f} [{low:.2f}, {high:.2f}] ahead of the next of {len(known)}, {second}{told}"
    most = found.ceiling.loc[found.ceiling["evaluator"] == "any predictor", "value"]
    return said + (f"; no predictor could exceed {float(most.iloc[0]):.2f} here." if len(most) else ".")


def interval_text(n: int) -> str:
    """How the intervals of ``n`` architectures are computed, in words."""
    return f"95 % percentile bootstrap over architectures, {resamples_of(n)} resamples"


def _against(found: Agreement) -> Section:
    section = Section("Against the reference")
    n = len(found.truth)
    section.says.append(
        f"Reference: {found.label}. Population: {found.population}; {n:,} judged. Correlations are signed; scores that "
        f"are not finite count as the worst; ties are broken at random. Intervals: {interval_text(n)}."
    )
    table = found.summary
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
    with section.folded("Each evaluator: ranks by score and by the reference"):
        styles = palette(found.evaluators)
        drawn = f"; {MOST_POINTS} of {n:,} architectures at most, evenly by the reference" if n > MOST_POINTS else ""
        for row in table.to_dict("records"):
            name = str(row["evaluator"])
            section.draw(
                f"ranks-{name}", f"Ranks by {name} and by {found.label}",
                plot_ranks(found.scores[name].to_numpy(float), found.truth, name, found.reference, styles=styles),
                f"A point per architecture{drawn}; dotted: the same order. Spearman {row['Spearman']:.3f}, Kendall's "
                f"tau-b {row['Kendall tau-b']:.3f}. Equal scores share their mean rank.",
                f"Ranks by {name} against ranks by {found.label}: Spearman's correlation {row['Spearman']:.2f}.",
            )  # fmt: skip
    if found.duplicates:
        section.says.append(
            f"Duplicates: {found.duplicates:,} of the {n:,} architectures are the same network as another one of them. "
            "A score that looks at the network alone can't order these, while their references differ by noise; "
            "--population canonical takes one of each."
        )
    elif n > 1:
        section.says.append("Duplicates: none; no two of the architectures are the same network.")
    if not len(found.ceiling):
        section.says.append("Ceiling: not known, because single trainings behind the reference are not recorded.")
    else:
        judged = int(found.ceiling["architectures"].max())
        section.says.append(
            f"Ceiling: the reference is a mean over trainings. On the {judged:,} architectures with two or more, "
            "Spearman's correlation of one training with the mean of the others is "
            f"{_value(found.ceiling, 'another training')}; a predictor without any error could reach "
            f"{_value(found.ceiling, 'any predictor')} (Spearman-Brown)."
        )
        section.add(
            "ceiling", "The best agreement that the noise of trainings allows",
            found.ceiling.rename(columns={"low": "value low", "high": "value high"}),
            "Another training: a recorded one against the mean of the others. Any predictor: the ceiling that follows "
            "from this for a predictor of the expected reference.",
        )  # fmt: skip
    return section


def _top(found: Agreement) -> Section:
    """Who finds the best ones: agreement by portion of the top, and what the best k are worth."""
    section, table, n = Section("At the top"), found.summary, len(found.truth)
    tops = found.tops
    if len(tops):
        at_all = tops[tops["share"] == 100]
        section.draw(
            "tau-by-top", "Kendall's tau-b by portion of the top",
            plot_curves(tops, along="share", value="tau-b", xlabel="best % by the reference",
                        styles=palette(found.evaluators)),
            f"tau-b among the best of {n:,} architectures by {found.label}; 100 % are all. Without intervals: those at "
            f"{TOP:.0%} and at all are in the tables. Portions of fewer than {LEAST} architectures are left out.",
            f"tau-b over all: {', '.join(f'{row.predictor} {row[3]:.2f}' for row in at_all.itertuples())}.",
        )  # fmt: skip
    ks = {share: round(share * n) for share in SHARES}
    one = [f" at {share:.0%}" for share, k in ks.items() if k < 2]
    counted = [name for name in found.counts.columns if name != "evaluator"]
    idle = [name for name in table.columns if name.startswith(("precision", "best rank")) and name.endswith(tuple(one))]
    bounds = {f"{name}{end}" for name in idle for end in ("", " low", " high")}
    shown = [
        name
        for name in table.columns
        if name == "evaluator" or not (name.startswith(OVER_ALL) or name in counted or name in bounds)
    ]
    said = ", ".join(f"{share:.0%} are {k:,}" for share, k in ks.items() if k >= 2)
    said = f"; {said} architectures" if said else ""
    left = f" Left out, because k would be one architecture or none:{','.join(one)}." if one else ""
    section.add(
        "at-the-top", "The best by score", table[shown],
        f"Tau in top: among the best {TOP:.0%} by the reference ({max(2, round(TOP * n)):,}). Precision at k: the "
        f"share of the best k by score that are among the best k by the reference"
        f"{said}.{left} Best rank at k: the best true rank among the best k by score, divided by the "
        "number of architectures. Regret: of the architecture with the best score, in "
        f"{found.unit or 'the unit of the reference'}. nDCG: gains by true rank; a random order has about 0.2. "
        "Intervals of regret and best rank are rough.",
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
    if not np.isfinite(found.params).any():
        section.tell(["Nothing tells how many parameters these architectures have."])
        return section
    section.add(
        "size", "Spearman's correlation with the number of parameters", found.bias,
        f"A score that repeats the number of parameters says nothing new. {interval_text(len(found.truth))}.",
    )  # fmt: skip
    return section


def _basis(found: Agreement) -> Section:
    section = Section("Cost")
    frame = pd.DataFrame({"evaluator": list(found.seconds), "seconds": list(found.seconds.values())})
    if shared := any(count > 1 for count in found.sharing.values()):
        frame["scores of the pass"] = [found.sharing[name] for name in found.seconds]
    if any(spent > 0.01 for spent in found.making.values()):
        frame["once"] = [found.making[name] for name in found.seconds]
    section.add(
        "seconds", "Seconds for one architecture", frame,
        "Median CPU seconds, measured here; for a table, the seconds that it charges. "
        + ("Scores that come from one pass over the network have an equal part of its seconds each: alone, one would "
           "cost up to the whole pass, its seconds times the scores of the pass. " if shared else "")
        + "Once: seconds to make the evaluator (to fit a predictor, to train shared "
        "weights), without the trainings that a predictor learns from.",
    )  # fmt: skip
    return section


def _value(ceiling: pd.DataFrame, name: str) -> str:
    row = ceiling[(ceiling["evaluator"] == name) & (ceiling["statistic"] == "Spearman")].iloc[0]
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
