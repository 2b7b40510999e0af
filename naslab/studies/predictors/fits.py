"""One fit of a predictor in a study: what it learns from, what it is judged by, and how well it does."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import naslab
from naslab.analysis.correlation import agreement, tau_at_top
from naslab.errors import InvalidValue, NaslabError
from naslab.evaluators.predictors.base import Predictor
from naslab.evaluators.predictors.catalogue import predictor_spec
from naslab.evaluators.threads import one_thread
from naslab.files import read_json, unreadable
from naslab.running import seed_sequence
from naslab.space import Architecture, SearchSpace
from naslab.tables import find_table

Floats = npt.NDArray[np.float64]

HELD = 200
"""Validation architectures, as in Lu et al. 2021. No predictor is tested on them, whether it uses them or not."""
TAU = "Kendall tau-b"
TOP = (0.01, 0.05, 0.1, 0.2, 0.5)
COVERED = (0.5, 0.8, 0.95)
UNUSED, SELECT, LEARN = "unused", "select", "learn"
"""What is done with the labels of the validation architectures: nothing; an epoch is chosen by them, or self-evolution
is told its errors on them; they are learned from like the others."""
ACCURACY, LATENCY = "accuracy", "latency_seconds"


@dataclass(frozen=True, eq=False)
class Ground:
    """Architectures with what can be learned about them, and what predictions are judged by.

    Attributes:
        space: Their space.
        architectures: N of them.
        learned: ``(N,)`` labels, higher is better.
        judged: ``(N,)`` truth, higher is better.
        label: What is learned and what judges.
        features: ``(N, k)`` stored scores; None where none were asked for.
    """

    space: SearchSpace
    architectures: list[Architecture]
    learned: Floats
    judged: Floats
    label: str
    features: Floats | None = None


@dataclass(frozen=True)
class Fit:
    """A predictor fitted once.

    Attributes:
        task: Whose table has the labels.
        predictor: As it is written, ``kernel-ridge[target=raw]``.
        labels: How many architectures it learns from.
        seed: Of the split, which is the same for all predictors and grows with ``labels``, and of the fit.
        held: What is done with the labels of 200 further architectures.
        metric: What is learned: accuracy, or ``latency_seconds`` (its negative).
        scores: A folder of stored scores, see :func:`stored_scores`; only the architectures in it take part.
        featured: Whether the predictor sees these scores.
    """

    task: str
    predictor: str
    labels: int
    seed: int
    held: str = UNUSED
    metric: str = ACCURACY
    scores: str = ""
    featured: bool = False


@lru_cache(maxsize=4)
def ground(task_id: str, metric: str = ACCURACY, scores: str = "") -> Ground:
    """Labels and truth of a task's table: means over what it recorded after its longest training.

    Validation accuracies are learned and test accuracies judge; where the table has no test accuracies, one column is
    both, and the label says so. Where isomorphic architectures share one training, only one of each class takes part:
    otherwise what is tested would have been learned.

    Raises:
        InvalidValue: The folder of scores holds none of this space.
    """
    task = naslab.task(task_id)
    table, dataset = find_table(task.source["table"]), task_id.partition("/")[2]
    learned = judged = f"{dataset}/{metric}"
    sign = 1.0
    if metric == ACCURACY:
        learned = judged = f"{dataset}/accuracy/valid"
        if f"{dataset}/accuracy/test" in table.columns:
            judged = f"{dataset}/accuracy/test"
    elif table.columns[learned].direction == "min":
        sign = -1.0
    labels, truth = sign * table.mean(learned), sign * table.mean(judged)
    architectures = [tuple(options) for options in table.architectures.tolist()]
    finite = np.isfinite(labels) & np.isfinite(truth)
    rows = [row for row in _distinct(task.problem.space, architectures, labels) if finite[row]]
    features = None
    if scores:
        known = stored_scores(scores)
        rows = [row for row in rows if architectures[row] in known]
        if len(rows) < 2:
            raise InvalidValue(
                f"{scores} holds scores of {len(rows)} architectures of {task_id}: at least 2 are needed"
            )
        features = np.array([known[architectures[row]] for row in rows])
    if metric != ACCURACY:
        text = f"{metric}, learned and judged by the same measurements"
    elif learned == judged:
        text = "learned from and judged by mean validation accuracy: the table has no test accuracy"
    else:
        text = "learned from mean validation accuracy, judged by mean test accuracy"
    text = f"{text}; {len(rows):,} architectures"
    return Ground(task.problem.space, [architectures[row] for row in rows], labels[rows], truth[rows], text, features)


def stored_scores(folder: str) -> dict[Architecture, list[float]]:
    """Scores that ``naslab correlate`` left in ``folder/*.jsonl``, of the architectures that all files have.

    Raises:
        InvalidValue: A file is damaged, or can't be read.
    """
    found: dict[Architecture, dict[str, float]] = {}
    names: set[str] = set()
    for path in sorted(Path(folder).glob("*.jsonl")):
        try:
            content = path.read_bytes()
            # The first line is a header, the last may be cut short.
            for entry in map(read_json, content[: content.rfind(b"\n") + 1].splitlines()[1:]):
                for metric, values in entry["scores"].items():
                    names.add(metric)
                    for options, value in zip(entry["architectures"], values, strict=True):
                        found.setdefault(tuple(map(int, options)), {})[metric] = float(value)
        except OSError as error:
            raise InvalidValue(unreadable(path, error, "the scores ")) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidValue(f"{path} holds no scores: give a folder of naslab correlate") from None
    columns = sorted(names)
    return {a: [known[name] for name in columns] for a, known in found.items() if len(known) == len(columns)}


def split(work: Fit, count: int) -> tuple[list[int], list[int], list[int]]:
    """Of ``count`` rows: those to train on, those held and the others. Rows for fewer labels are among those for more.

    Raises:
        InvalidValue: Nothing would be left to be judged by.
    """
    if work.labels + HELD >= count:
        raise InvalidValue(f"{work.labels} labels and {HELD} validation architectures of {count:,}: none is left")
    key = (work.task, work.metric, bool(work.scores), work.seed)  # the path of the scores must not matter
    order = np.random.default_rng(seed_sequence(*key, "split")).permutation(count).tolist()
    return order[: work.labels], order[count - HELD :], order[work.labels : count - HELD]


def fit(work: Fit) -> dict[str, Any]:
    """In a worker: fit, predict every architecture, judge.

    Returns:
        ``"fit"`` and ``"query"``: CPU seconds, the latter of all architectures. ``"others"``: statistics on those that
        are neither learned from nor held. ``"all"``: taus on all, learned ones included (the protocol of Lu et al.
        2021). ``"refused"`` alone: why the predictor does not take this space.
    """
    data = ground(work.task, work.metric, work.scores)
    train, held, others = split(work, len(data.architectures))
    learned = [*train, *held] if work.held == LEARN else train
    labels, features = data.learned[learned], data.features if work.featured else None
    rng = np.random.default_rng(seed_sequence(work.task, work.metric, work.labels, work.seed, "fit"))
    options: dict[str, Any] = {"rng": rng, "features": None if features is None else features[learned]}
    if work.held == SELECT:
        from naslab.evaluators.predictors.neural import Validation

        beside = None if features is None else features[held]
        options["validation"] = Validation([data.architectures[row] for row in held], data.learned[held], beside)
    try:
        with one_thread():
            predictor = predictor_spec(work.predictor).build(data.space)
            started = time.process_time()
            predictor.fit([data.architectures[row] for row in learned], labels, **options)
            fitted = time.process_time()
            mean, deviation = predictor.predict(data.architectures, features=features)
            asked = time.process_time()
    except NaslabError as error:
        return {"refused": str(error)}
    found: dict[str, Any] = {"fit": fitted - started, "query": asked - fitted}
    rng = np.random.default_rng(seed_sequence(work.task, work.seed, "ties"))
    found["others"] = statistics(mean[others], data.judged[others], rng)
    found["all"] = tops(mean, data.judged, rng)
    if deviation is not None:
        found["others"] |= covered(predictor, mean[others], deviation[others], labels, data.learned[others])
    if work.metric != ACCURACY and predictor.target == "raw":
        found["others"] |= relative_errors(mean[others], labels, data.judged[others])
    return found


def framed(work: Sequence[Fit], results: Mapping[Fit, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per fit: what it was, seconds, statistics on the others; ``"tau on all"`` is as published."""
    rows = []
    for each in dict.fromkeys(work):
        found = results[each]
        row = {**dataclasses.asdict(each), "refused": found.get("refused", "")}
        if not row["refused"]:
            row |= {"fit seconds": found["fit"], "query seconds": found["query"], **found["others"]}
            row["tau on all"] = found["all"]["Kendall tau-b"]
        rows.append(row)
    return pd.DataFrame(rows)


def statistics(mean: Floats, truth: Floats, rng: np.random.Generator) -> dict[str, float]:
    """All of :data:`naslab.analysis.correlation.STATISTICS`, and tau among the best shares by truth."""
    rows = agreement(pd.DataFrame({"it": mean}), truth, rng, resamples=0)
    found = dict(zip(rows["statistic"], rows["value"].astype(float).tolist(), strict=True))
    return found | tops(mean, truth, rng)


def tops(mean: Floats, truth: Floats, rng: np.random.Generator) -> dict[str, float]:
    """Kendall's tau-b over all, and among the best shares by truth."""
    *parts, whole = tau_at_top(mean, truth, (*TOP, 1.0), rng)
    whole = 0.0 if np.isnan(whole) else whole  # a predictor that says the same of all is no better than chance
    return {TAU: whole} | {f"tau in top {share:.0%}": value for share, value in zip(TOP, parts, strict=True)}


def covered(predictor: Predictor, mean: Floats, deviation: Floats, known: Floats, labels: Floats) -> dict[str, float]:
    """How many labels of the kind that was learned from lie in the predictor's central intervals.

    Args:
        predictor: Whose target's scale predictions are on.
        mean: ``(m,)`` predicted.
        deviation: ``(m,)`` likewise.
        known: ``(n,)`` labels that were learned from.
        labels: ``(m,)`` of the predicted architectures. By ranks, labels beyond the known ones count as the last.
    """
    from naslab.evaluators.predictors.self_evolution import on_scale

    away = np.abs(on_scale(labels, known, predictor.target) - mean)
    within = {f"coverage {q:.0%}": float((away <= predictor.half_width(q) * deviation).mean()) for q in COVERED}
    return within | {"deviation": float(deviation.mean()), "error": float(np.sqrt(np.mean(away**2)))}


def relative_errors(mean: Floats, known: Floats, truth: Floats) -> dict[str, float]:
    """Relative errors of predictions with target ``raw``, put back on the scale of the labels."""
    away = np.abs((known.mean() + known.std() * mean) / truth - 1)
    return {"median relative error": float(np.median(away)), "within 10 %": float((away <= 0.1).mean())}


def _distinct(space: SearchSpace, architectures: list[Architecture], values: Floats) -> list[int]:
    """All rows; or the first of each isomorphism class, where all members of every class have the same value."""
    classes: dict[Any, list[int]] = {}
    for row, architecture in enumerate(architectures):
        classes.setdefault(space.canonical(architecture), []).append(row)
    shared = all(np.ptp(np.nan_to_num(values[rows], nan=-1.0)) == 0 for rows in classes.values())
    return [rows[0] for rows in classes.values()] if shared else list(range(len(architectures)))
