"""The study of zero-cost proxies on pocket tasks: what each is worth, and whether training a little is worth more."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

import naslab
from naslab.analysis.contents import Section
from naslab.analysis.correlation import difference
from naslab.analysis.labels import block_height, block_width, label_ends
from naslab.analysis.report import write_page
from naslab.analysis.style import INK, new_axes, palette, style
from naslab.correlation.judges import build, sources
from naslab.correlation.populations import draw
from naslab.correlation.study import Correlations, correlate
from naslab.errors import OutputError
from naslab.evaluators.threads import one_thread
from naslab.files import load_json, reason, unreadable, written_whole
from naslab.running import Progress, seed_sequence
from naslab.studies.base import Outcome
from naslab.studies.zero_cost.shared import ENSEMBLED, ENSEMBLES, about, spearman_of, with_ensembles

TASKS: Mapping[str, str] = {"pocket-cell/mnist": "canonical", "pocket-mlp/mnist": "all", "pocket-mlp/segments": "all"}
"""Task -> population. The table of pocket-cell has trained one cell of each isomorphism class."""
STEPS = (1, 2, 4, 8, 16)
EARLY = tuple(f"early-loss[steps={n}]" for n in STEPS)
SHORT = ("reward[epochs=1]", "reward[epochs=2]")
"""Validation accuracies of the table's trainings: not on the truth's split, but from one of the same trainings."""
SHARED = "one-shot"
TIMED = 24
"""Architectures that seconds are measured on."""


def run(
    title: str,
    description: str,
    out: Path,
    *,
    workers: int,
    progress: Progress | None,
    architectures: int | str = "all",
    epochs: int | None = None,
) -> Outcome:
    """Run the study into a folder; scores are kept in ``OUT/<task>/scores``.

    Args:
        title: Of the page.
        description: Likewise.
        out: The folder.
        workers: Processes.
        progress: Called after every batch of scores.
        architectures: How many of each task are scored.
        epochs: Of the shared weights' training.
    """
    shared = SHARED if epochs is None else f"{SHARED}[epochs={epochs}]"
    found, seconds, against = {}, {}, {}
    for task, population in TASKS.items():
        folder = out / task.replace("/", "-")
        scored = correlate(
            task, ["zero-cost/all", *EARLY, *SHORT, shared], architectures, population=population, out=folder,
            workers=workers, progress=progress,
        )  # fmt: skip
        found[task] = with_ensembles(scored)
        proxies = [name for name in scored.evaluators if name not in (*SHORT, shared)]
        seconds[task] = seconds_alone(task, proxies, folder / "seconds.json")
        against[task] = beside_early_loss(found[task], seconds[task])
    with style():
        sections = [_answer(found), _equal_seconds(found, seconds, against)]
        for task, each in found.items():
            sections += about(each, task)
    page = write_page(
        sections, out / "report", title, "naslab reproduce zero-cost-pocket",
        next(iter(found.values())).environment, [" ".join(description.split()), *_notes(found)],
    )  # fmt: skip
    best = pd.concat([each.summary.head(5).assign(task=task) for task, each in found.items()], ignore_index=True)
    shown = ["task", "evaluator", "Spearman", "Spearman low", "Spearman high", "tau in top 10%", "regret"]
    return Outcome([(title, best[shown])], page)


def seconds_alone(task_id: str, names: Sequence[str], path: Path, count: int = TIMED) -> dict[str, float]:
    """CPU seconds that each proxy takes by itself for one architecture, compiling included: the median over a sample.

    On one architecture after the other all are measured in turn, in one process and one thread. This is done once: the
    seconds are kept in a file.

    Raises:
        OutputError: That file is damaged, or can't be read or written.
    """
    if path.exists():
        kept = _kept_seconds(path)
        if set(names) <= set(kept):
            return {name: kept[name] for name in names}
    task, rng = naslab.task(task_id), np.random.default_rng(seed_sequence("seconds", task_id))
    members = draw(task, "all", count + 1, True, 0).architectures
    with one_thread():
        made = {
            n: build(s, task, np.random.default_rng(0), s.columns.values()) for n in names for s in sources([n], task)
        }
        taken: dict[str, list[float]] = {name: [] for name in names}
        for architecture in members:
            for name, evaluator in made.items():
                started = time.process_time()
                evaluator.evaluate(architecture, rng=rng)
                taken[name].append(time.process_time() - started)
    found = {name: float(np.median(each[1:])) for name, each in taken.items()}  # the first one warms up
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as draft:
            draft.write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"{path} can't be written: {reason(error)}") from None
    return found


def _kept_seconds(path: Path) -> dict[str, float]:
    try:
        return {str(name): float(seconds) for name, seconds in load_json(path).items()}
    except OSError as error:
        raise OutputError(unreadable(path, error)) from None
    except (ValueError, TypeError, AttributeError):
        raise OutputError(f"{path} is damaged; move it away to measure these seconds again") from None


def beside_early_loss(found: Correlations, seconds: Mapping[str, float]) -> pd.DataFrame:
    """Every proxy against the longest early loss that takes no more seconds: the gain in Spearman's correlation.

    With no such early loss, against the shortest; "early loss" says which, and the seconds of both are given.
    """
    rows = []
    rhos = spearman_of(found)
    for name, taken in seconds.items():
        if name in EARLY:
            continue
        affordable = [each for each in EARLY if seconds[each] <= taken]
        rival = affordable[-1] if affordable else EARLY[0]
        rng = np.random.default_rng(seed_sequence("early", name))
        gain, low, high = difference(found.scores, found.truth, name, rival, rng)
        rows.append(
            {
                "proxy": name,
                "seconds": taken,
                "Spearman": rhos[name]["value"],
                "Spearman low": rhos[name]["low"],
                "Spearman high": rhos[name]["high"],
                "early loss": rival,
                "its seconds": seconds[rival],
                "its Spearman": rhos[rival]["value"],
                "gain": gain,
                "gain low": low,
                "gain high": high,
            }
        )
    return pd.DataFrame(rows).sort_values("gain", ascending=False, kind="stable", ignore_index=True)


def _answer(found: Mapping[str, Correlations]) -> Section:
    section = Section("What each is worth")
    rows = []
    for task, each in found.items():
        rhos = spearman_of(each)
        size = rhos["params"]["value"]
        untrained = [n for n in each.evaluators if n not in (*EARLY, *SHORT) and not n.startswith(SHARED)]
        single = [n for n in untrained if n not in ENSEMBLED]
        beaten = [n for n in single if rhos[n]["low"] > rhos["params"]["high"]]
        best = max(single, key=lambda n: np.nan_to_num(rhos[n]["value"], nan=-2.0))
        least, most = (f"{rhos[best][bound]:.3f}" for bound in ("low", "high"))
        section.says.append(
            f"{task}: {each.population}. Best proxy {best} with Spearman {rhos[best]['value']:.3f} [{least}, {most}]; "
            f"params has {size:.3f}. Proxies whose interval is above that of params: {', '.join(beaten) or 'none'}."
        )
        top = each.summary
        rows.append(top.assign(task=task))
    table = pd.concat(rows, ignore_index=True)
    rhos_wide = table.pivot(index="evaluator", columns="task", values="Spearman").reset_index()
    section.add(
        "spearman", "Spearman's correlation with the test accuracy", rhos_wide.rename_axis(columns=None),
        "A dash: not defined for such rows. Intervals are in the section of each task.",
    )  # fmt: skip
    regret = table.pivot(index="evaluator", columns="task", values="regret").reset_index()
    section.add(
        "regret", "Where the top is: regret of the architecture with the best score, points",
        regret.rename_axis(columns=None),
        "The best truth minus the truth of the best score; the mean over 20 random orders of ties.",
    )  # fmt: skip
    return section


def _equal_seconds(
    found: Mapping[str, Correlations], seconds: Mapping[str, Mapping[str, float]], against: Mapping[str, pd.DataFrame]
) -> Section:
    section = Section("Against early losses at equal seconds")
    section.says.append(
        f"Early loss: minus the sum of the losses of the first {', '.join(map(str, STEPS))} steps of training. "
        f"Seconds: CPU, one thread, each proxy alone, compiling included, the median of {TIMED} architectures."
    )
    for task, frame in against.items():
        better = frame.loc[frame["gain low"] > 0, "proxy"].tolist()
        section.says.append(f"{task}: proxies better than early loss at equal seconds: {', '.join(better) or 'none'}.")
        section.draw(
            f"seconds-{task}", f"Rank correlation against seconds: {task}", plot_seconds(found[task], seconds[task]),
            "Line: early losses of 1 to 16 steps. Points: proxies.",
        )  # fmt: skip
    for task, frame in against.items():
        section.add(
            f"early-{task}", f"{task}: every proxy beside the longest early loss that takes no more seconds", frame,
            "Gain: the difference of Spearman's correlations, paired bootstrap over architectures. Where even one step "
            "takes longer, the proxy is compared with one step.",
        )  # fmt: skip
    return section


def plot_seconds(found: Correlations, seconds: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Spearman's correlation against the seconds of one score: proxies as named points, early losses as a line."""
    rhos = spearman_of(found)
    rest = {n: rhos[n]["value"] for n in seconds if n not in EARLY and np.isfinite(rhos[n]["value"])}
    names = sorted(rest, key=lambda n: rest[n])
    written = ["early loss", *names]
    looks = palette(written)
    with style():
        ax = ax or new_axes(5.4, max(3.6, 0.65 + block_height(written)), right=block_width(written))
        early = [(1e3 * seconds[n], rhos[n]["value"]) for n in EARLY]
        points = {name: (1e3 * seconds[name], rest[name]) for name in names}
        ax.plot(*zip(*early, strict=True), "o-", color=looks["early loss"].colour, lw=2)
        for name, point in points.items():
            ax.plot(*point, looks[name].marker, color=looks[name].colour, ms=4)
        ax.set(xscale="log", xlabel="CPU milliseconds for one score", ylabel="Spearman")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.axhline(0, color=INK, lw=0.5)
        label_ends(ax, {"early loss": early[-1], **points}, looks)
    return ax


def _notes(found: Mapping[str, Correlations]) -> list[str]:
    notes = {note for each in found.values() for note in each.notes}
    return [
        *sorted(notes),
        ENSEMBLES,
        "The rewards after 1 and 2 epochs are the beginning of trainings that are part of the truth's mean, judged on "
        "other rows: they know a little more than a fresh short training would.",
    ]
