"""Tables and figures of the study of learned predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.learning_curves import plot_curves
from naslab.analysis.statistics import mean_columns
from naslab.analysis.style import palette
from naslab.studies.predictors.fits import COVERED, HELD, LEARN, SELECT, TAU, TOP, UNUSED, ground

ON_ALL = "tau on all"
DRAWN = ("TNASP", "PINAT", "HyperNAS", "NN-Former")
"""Published rows in the figure: with all of them it could not be read."""
DRAWN_BESIDE = ("kernel-ridge", "path-kernel")
"""Our predictors in the figure, besides our versions of these rows."""
HELD_IN_WORDS = {UNUSED: "unused", SELECT: "choose an epoch", LEARN: "learned from"}
EVOLVES = "give errors"
"""What validation labels do in self-evolution."""
SHOWN = ("Spearman", "tau in top 10%", "precision at 1%", "precision at 5%", "precision at 10%", "regret")


def averaged(frame: pd.DataFrame, by: Sequence[str], statistics: Sequence[str]) -> pd.DataFrame:
    """One row per group, in order of appearance: means over seeds with intervals, and how many seeds."""
    rows = []
    for key, group in _done(frame).groupby(list(by), sort=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        for statistic in statistics:
            row |= mean_columns(group.get(statistic, []), statistic)
        rows.append({**row, "seeds": len(group)})
    return pd.DataFrame(rows)


def by_size(frame: pd.DataFrame, by: Sequence[str], statistic: str = TAU) -> pd.DataFrame:
    """One row per group, one column per number of labels."""
    rows = []
    for key, group in _done(frame).groupby(list(by), sort=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        for labels in sorted(frame["labels"].unique()):
            row |= mean_columns(group.loc[group["labels"] == labels, statistic], str(labels))
        rows.append({**row, "seeds": group["seed"].nunique()})
    return pd.DataFrame(rows)


def published(
    frame: pd.DataFrame,
    left_open: pd.DataFrame,
    on_test: pd.DataFrame,
    printed: pd.DataFrame,
    ours: Mapping[str, tuple[str, str]],
    label: str,
) -> Section:
    """Ours in the published protocol beside the published numbers.

    Args:
        frame: The fits.
        left_open: Fits that choose otherwise where the papers leave a choice open.
        on_test: Fits that learned from test labels.
        printed: The published numbers.
        ours: Published row -> how ours is written and what it does with the validation labels.
        label: What is learned and what judges.
    """
    section = Section("Beside the published numbers")
    section.says.append(
        f"The protocol of Lu et al. 2021: tau-b over all architectures, those that were learned from included, targets "
        f"and losses as in the papers, {HELD} validation architectures. The paper states what it does with these for "
        "self-evolution only, which learns how large its errors on them are. In other rows ours leave them alone and "
        f"take the last epoch, as the code of the same group's PINAT does. Ours: {label}. 'most_steps=0': batches of "
        "ten at any size, as in that code; without it, as in all other sections, an epoch has at most 20 steps, with "
        "larger batches and a higher learning rate."
    )
    sizes = [str(size) for size in sorted(frame["labels"].unique())]
    compared, curves = [], []
    for line in printed.to_dict("records"):
        spec, held = ours.get(str(line["method"]), ("", ""))
        rows = _done(frame[(frame["predictor"] == spec) & (frame["held"] == held)])
        for size in sizes:
            theirs = float(line.get(size, np.nan))
            taus = rows.loc[rows["labels"] == int(size), ON_ALL]
            mine = mean_columns(taus, "ours")
            curves.append({"predictor": f"published: {line['method']}", "labels": int(size), "value": theirs,
                           "method": line["method"]})  # fmt: skip
            if len(taus):
                compared.append(
                    {"method": line["method"], "labels": int(size), **mine, "seeds": len(taus), "published": theirs,
                     "difference": mine["ours"] - theirs, "within .03": _within(mine["ours"] - theirs),
                     "source": line["source"], "predictor": spec}
                )  # fmt: skip
    caption = "Tau-b over all architectures; mean over seeds with Student's 95 % interval. The papers state no seeds."
    section.add("beside-published", "Reproduced rows", pd.DataFrame(compared), caption)
    wide = by_size(frame, ["predictor", "held"], ON_ALL)
    words = [
        EVOLVES if "rounds=" in spec else HELD_IN_WORDS[held]
        for spec, held in zip(wide["predictor"], wide["held"], strict=True)
    ]
    wide = wide.assign(held=words).rename(columns={"held": f"{HELD} validation labels"})
    section.add("ours-in-the-protocol", "Ours by the published protocol", wide, f"{caption} Columns: labels.")
    if len(left_open):
        table = by_size(left_open, ["predictor"], ON_ALL)
        section.add("left-open", "TNASP by other positional encodings", table, f"{caption} Columns: labels.")
    if len(on_test):
        learned = by_size(on_test, ["predictor"], ON_ALL)
        section.add("on-test-labels", "Learned from the test labels themselves", learned, f"{caption} Columns: labels.")
    numbers = printed[["method", *[size for size in sizes if size in printed], "source"]]
    caption = "Kendall's tau as printed, by number of labels. Training budgets and uses of isomorphism differ."
    section.add("published", "Published, NAS-Bench-201", numbers, caption)
    drawn = pd.DataFrame(curves)
    drawn = drawn[drawn["method"].isin(DRAWN) & drawn["value"].notna()]
    beside = {*DRAWN_BESIDE, *(ours[method][0] for method in DRAWN if method in ours)}
    means = averaged(frame[frame["predictor"].isin(beside)], ["predictor", "labels"], [ON_ALL])
    section.draw(
        "published-curves", "Kendall's tau over all, published and ours",
        plot_curves(means, value=ON_ALL, published=drawn.assign(**{ON_ALL: drawn["value"]})),
        "With markers: published. Without: ours in the same protocol, mean over seeds; bands: Student's 95 %.",
    )  # fmt: skip
    return section


def curves(frame: pd.DataFrame, task: str, label: str) -> Section:
    """Every predictor as it is by default, learning from exactly n labels, judged by all others."""
    section = Section("Every predictor, by labels")
    section.says.append(
        f"Default settings; no labels are looked at besides those that are counted. {_capital(label)}; judged on those "
        f"that are neither learned from nor among the {HELD} set apart."
    )
    _say_refused(section, frame)
    section.add("tau-by-labels", f"Kendall's tau-b on {task}", _best_first(by_size(frame, ["predictor"])), _STUDENT)
    for statistic, name in ((TAU, "tau"), ("tau in top 10%", "tau-in-top"), ("regret", "regret")):
        means = averaged(frame, ["predictor", "labels"], [statistic])
        styles = palette(dict.fromkeys(frame["predictor"]))
        section.draw(
            f"curve-{name}", f"{statistic} by labels", plot_curves(means, value=statistic, title=task, styles=styles),
            _BAND,
        )  # fmt: skip
    for labels in _ends(frame):
        rows = frame[frame["labels"] == labels]
        means = averaged(rows, ["predictor"], [TAU, *SHOWN])
        section.add(f"statistics-{labels}", f"Further statistics, {labels} labels", _sorted(means, TAU), _STATISTICS)
        section.add(f"top-{labels}", f"Tau-b among the truly best, {labels} labels", _tops(rows), _TOPS)
        parts = _tops_long(rows)
        section.draw(
            f"top-curve-{labels}", f"Tau-b among the truly best, {labels} labels",
            plot_curves(
                parts, along="share", value=TAU, title=f"{task}, {labels} labels", xlabel="best by truth, %"
            ), _BAND,
        )  # fmt: skip
    seconds = averaged(frame, ["predictor", "labels"], ["fit seconds", "query seconds"])
    section.add("seconds", "CPU seconds", seconds, f"To fit, and to predict all architectures. {_STUDENT}")
    return section


def like_for_like(frame: pd.DataFrame, variants: Mapping[str, Mapping[str, tuple[str, str]]]) -> Section:
    """Every predictor by every target and loss.

    Args:
        frame: The fits.
        variants: Predictor -> how it is written -> target and loss, "" where it has no choice of losses.
    """
    section = Section("Like for like: predictor, target, loss")
    section.says.append(
        "The same splits for every row, no validation labels, no tuning: what is left is the predictor, its target "
        "and its loss. A loss on pairs (hinge, BCE) sees only the order of targets, so that the target makes no "
        "difference (except for bonas, whose regression head reads the targets)."
    )
    parts = {spec: (name, *chosen) for name, written in variants.items() for spec, chosen in written.items()}
    table = _best_first(by_size(frame, ["predictor"]))
    named = pd.DataFrame([parts[spec] for spec in table["predictor"]], columns=["predictor", "target", "loss"])
    named["loss"] = named["loss"].replace("", "its own")
    sizes = table.drop(columns="predictor")
    section.add("like-for-like", "Kendall's tau-b by labels", pd.concat([named, sizes], axis=1), _STUDENT)
    rows = []
    for name, written in variants.items():
        specs = {chosen: spec for spec, chosen in written.items()}
        for loss in dict.fromkeys(loss for _, loss in specs):
            if {("raw", loss), ("rank", loss)} <= set(specs):
                raw, rank = (_taus(frame, specs[target, loss], UNUSED) for target in ("raw", "rank"))
                for labels, values in (rank - raw).dropna().groupby(level="labels"):
                    row = mean_columns(values, "gain by ranks")
                    rows.append({"predictor": name, "loss": loss or "its own", "labels": labels, **row,
                                 "seeds": len(values)})  # fmt: skip
    section.add("gain-by-ranks", "What rank targets add to tau-b", pd.DataFrame(rows), f"Paired by seed. {_STUDENT}")
    return section


def evolution(
    frame: pd.DataFrame, ablation: pd.DataFrame, controls: Mapping[str, Mapping[str, tuple[str, str]]], rounds: int
) -> Section:
    """Self-evolution beside what else could be done with its time and labels.

    Args:
        frame: The fits.
        ablation: Fits with other constants.
        controls: Predictor -> what is done -> how it is written and what it does with the validation labels; the first
            is the plain predictor.
        rounds: Of self-evolution.
    """
    section = Section("Self-evolution and its controls")
    section.says.append(
        f"Its {HELD} validation architectures are labelled: a search that pays for them could learn from them as "
        "well. Gains over the plain predictor (same split, same initial weights), raw targets, squared loss, "
        f"{rounds} rounds. The paper publishes neither the number of rounds nor any of the constants: all are our "
        "choice, ablated below. 'lead': tau-b of self-evolution minus that of this row."
    )
    rows = []
    for name, named in controls.items():
        plain, evolved = (_taus(frame, *named[what]) for what in ("plain", "self-evolution"))
        for what, (spec, held) in named.items():
            taus = _taus(frame, spec, held)
            for labels, values in taus.groupby(level="labels"):
                gains = (values - plain).dropna() if what != "plain" else values[:0]
                lead = (evolved - values).dropna() if what != "self-evolution" else values[:0]
                rows.append({"predictor": name, "labels": labels, f"{HELD} labels": what, **mean_columns(values, TAU),
                             **mean_columns(gains, "gain"), **mean_columns(lead, "lead"),
                             "seeds": len(values)})  # fmt: skip
    section.add(
        "self-evolution",
        "Self-evolution and its controls",
        pd.DataFrame(rows),
        f"Gain, lead: paired by seed. {_STUDENT}",
    )
    if len(ablation):
        table = averaged(ablation, ["predictor", "labels"], [TAU])
        section.add(
            "ablation", "Self-evolution's constants, by tnasp", table, f"One setting changed at a time. {_STUDENT}"
        )
    return section


def calibration(frame: pd.DataFrame) -> Section:
    """Whether predicted intervals cover as many labels as they should."""
    section = Section("Calibration")
    names = [f"coverage {q:.0%}" for q in COVERED]
    if not set(names) <= set(frame):
        section.says.append("No predictor of this run predicts standard deviations.")
        return section
    section.says.append(
        "For architectures that were not learned from: the share of labels (of the kind that was learned from) in the "
        "central interval of their prediction, on the scale of the transformed target. With ranks as targets, a label "
        "beyond the known ones counts as the last known. Error: root mean square; a predictor whose deviation is much "
        "smaller than its error is overconfident."
    )
    known = frame[frame[names[0]].notna()]
    table = averaged(known, ["predictor", "labels"], [*names, "deviation", "error"])
    section.add("calibration", "Coverage of predicted intervals", table, _STUDENT)
    return section


def elsewhere(frame: pd.DataFrame, task: str) -> Section:
    """The same code on another space or data."""
    rows = frame[frame["task"] == task]
    section = Section(f"The same code on {task}")
    section.says.append(
        f"{_capital(ground(task).label)}. Default settings; predictors trained by gradients: the fewest labels only."
    )
    _say_refused(section, rows)
    section.add(f"tau-{task}", f"Kendall's tau-b on {task}", _best_first(by_size(rows, ["predictor"])), _STUDENT)
    means = averaged(rows, ["predictor", "labels"], [TAU])
    styles = palette(dict.fromkeys(frame["predictor"]))
    section.draw(
        f"curve-{task}", f"Tau by labels on {task}", plot_curves(means, value=TAU, title=task, styles=styles), _BAND
    )
    return section


def features(frame: pd.DataFrame) -> Section:
    """With and without stored zero-cost scores as further columns."""
    section = Section("With zero-cost scores as features")
    section.says.append(
        "Only the architectures whose scores are stored take part, so that numbers can't be compared with those of "
        "other sections. The same splits with and without."
    )
    _say_refused(section, frame)
    rows = []
    for (task, name, labels), group in _done(frame).groupby(["task", "predictor", "labels"], sort=False):
        taus = group.pivot_table(index="seed", columns="featured", values=[TAU, "Spearman"])
        if (TAU, True) not in taus or (TAU, False) not in taus:
            continue
        rows.append({"task": task, "predictor": name, "labels": labels, **mean_columns(taus[TAU, False], "without"),
                     **mean_columns(taus[TAU, True], "with"),
                     **mean_columns(taus[TAU, True] - taus[TAU, False], "gain"),
                     **mean_columns(taus["Spearman", True], "Spearman with"), "seeds": len(taus)})  # fmt: skip
    section.add("features", "Kendall's tau-b without and with", pd.DataFrame(rows), f"Gain: paired by seed. {_STUDENT}")
    return section


_STUDENT = "Means over seeds with Student's 95 % interval; higher is better."
_BAND = "Mean over seeds; band: Student's 95 %. The y axis is scaled to the means."
_STATISTICS = (
    "Over the architectures that were not learned from. Precision at k: share of the best k by prediction that are "
    "among the best k by truth. Regret: best truth minus the truth of the best prediction, in the truth's unit, "
    "small is good. Means over seeds with Student's 95 % interval."
)
_TOPS = "Among the best by truth, as in figure 5 of Lu et al. 2021. Means over seeds with Student's 95 % interval."


def _done(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["refused"] == ""] if len(frame) else frame


def _taus(frame: pd.DataFrame, spec: str, held: str) -> pd.Series[Any]:
    if not len(frame):
        return pd.Series(dtype=float, index=pd.MultiIndex.from_arrays([[], []], names=["labels", "seed"]))
    rows = _done(frame[(frame["predictor"] == spec) & (frame["held"] == held)])
    return rows.set_index(["labels", "seed"])[TAU]


def _say_refused(section: Section, frame: pd.DataFrame) -> None:
    for name, why in (
        frame.loc[frame["refused"] != "", ["predictor", "refused"]].drop_duplicates("predictor").to_numpy()
    ):
        section.says.append(f"{name} can't be fitted here: {why}.")


def _best_first(table: pd.DataFrame) -> pd.DataFrame:
    """Sorted by the column of the fewest labels, where every row has a number."""
    sizes = [name for name in table.columns if name.isdigit()]
    return _sorted(table, sizes[0]) if sizes else table


def _sorted(table: pd.DataFrame, by: str) -> pd.DataFrame:
    return table.sort_values(by, ascending=False, kind="stable", ignore_index=True) if len(table) else table


def _ends(frame: pd.DataFrame) -> list[int]:
    """The smallest and a middle number of labels."""
    sizes = sorted(int(size) for size in frame["labels"].unique())
    return list(dict.fromkeys((sizes[0], sizes[len(sizes) // 2])))


def _tops(frame: pd.DataFrame) -> pd.DataFrame:
    names = [f"tau in top {share:.0%}" for share in TOP]
    table = averaged(frame, ["predictor"], names)
    return _sorted(table, names[2])


def _tops_long(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, group in _done(frame).groupby("predictor", sort=False):
        for share in TOP:
            values = mean_columns(group[f"tau in top {share:.0%}"], TAU)
            rows.append({"predictor": name, "share": 100 * share, **values})
        rows.append({"predictor": name, "share": 100.0, **mean_columns(group[TAU], TAU)})
    return pd.DataFrame(rows)


def _within(difference: float) -> str:
    return "yes" if abs(difference) <= 0.03 else "no"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
