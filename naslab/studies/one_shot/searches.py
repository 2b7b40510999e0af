"""Gradient searches watched epoch by epoch, on tasks where the truth of every architecture is known."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from naslab.errors import NaslabError, TrainingFailed
from naslab.evaluators.threads import one_thread
from naslab.ops import Identity
from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.curvature import Curvature, curvature_of
from naslab.optimizers.gradient.derivations import softmax
from naslab.optimizers.gradient.ranking import STATISTICS, Ranking
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.running import constrained_task, second_worth, seed_sequence
from naslab.search_spaces.darts import darts
from naslab.space import Architecture, SearchSpace
from naslab.tasks import Constraint

PUBLISHED_STEPS = 391
"""Steps of an epoch in the papers: half of CIFAR-10 in batches of 64."""
BATCH = 32


@dataclass(frozen=True)
class Training:
    """One search by gradients.

    Attributes:
        task: Its id.
        optimizer: As on the command line, without the options that :func:`written` sets.
        seed: Which of the optimizer's runs.
        epochs: How many are planned.
        seconds: The search ends when another epoch and the derivation would need more; 0 for no such end.
        derivation: Seconds that are reserved for the derivation.
        curvature: Number of epochs between two measurements of the dominant eigenvalue; 0 for never.
        distribution: Whether the probabilities of all options are recorded after every epoch.
    """

    task: str
    optimizer: str
    seed: int
    epochs: int
    curvature: int = 0
    distribution: bool = False
    seconds: float = 0.0
    derivation: float = 0.0


@dataclass(frozen=True)
class Trial:
    """What an epoch of a search costs."""

    task: str
    optimizer: str


@dataclass(frozen=True)
class Ranked:
    """A supernet that a search has trained, and how it ranks a sample of architectures."""

    task: str
    optimizer: str
    seed: int
    epochs: int
    architectures: int


def written(optimizer: str, epochs: int, steps: int) -> str:
    """A strategy with its published settings, scaled to the size of the data.

    The learning rate of the logits is multiplied by the ratio of the published search's steps to the steps here, so
    that logits can move as far: Adam's steps do not depend on the size of gradients. Warm-up epochs keep their share of
    the search. ENAS' controller keeps its share of steps. What the optimizer's brackets set is left as it is.
    """
    spec = optimizer_spec(optimizer)
    usual = spec.describe()["hyperparameters"]
    rate = usual["architecture_rate"] * usual["epochs"] * PUBLISHED_STEPS / (epochs * steps)
    changed: dict[str, Any] = {"epochs": epochs, "batch": BATCH}
    given = optimizer.partition("[")[2]
    if "architecture_rate" not in given:
        changed["architecture_rate"] = float(f"{rate:.3g}")
    if usual["warm_up"]:
        changed["warm_up"] = round(usual["warm_up"] / usual["epochs"] * epochs)
    if "controller_steps" in usual:
        changed["controller_steps"] = max(1, round(usual["controller_steps"] * steps / PUBLISHED_STEPS))
    options = ",".join(f"{name}={value}" for name, value in changed.items())
    return f"{optimizer[:-1]},{options}]" if given else f"{optimizer}[{options}]"


def train(work: Training) -> dict[str, Any]:
    """Run a search; returns what it did in every epoch, and what it found.

    Truths are test accuracies in percent. ``skip`` is the share of identities among the choices of the architecture
    that would be returned, ``skip probability`` their mean probability; ``connected`` says whether that architecture
    uses its input at all. The time to find what would be returned after each epoch is not in ``seconds``. A search
    whose weights diverge keeps what it would have returned before, and is marked ``diverged``.

    Raises:
        TrainingFailed: It diverges in its first epoch.
    """
    task = constrained_task(work.task, Constraint())
    search = _built(work.task, work.optimizer, work.seed, work.epochs)
    kept: dict[str, list[Any]] = {name: [] for name in _KEPT}
    eigenvalues, probabilities = [], []
    last: Architecture | None = None
    diverged = False
    with one_thread():
        curvature = curvature_of(search) if work.curvature else None
        while True:
            spent = kept["seconds"]
            if work.seconds and spent and sum(spent) + max(spent[-2:]) + work.derivation > work.seconds:
                break
            started = time.process_time()
            try:
                step = search.step()
            except TrainingFailed:
                if last is None:
                    raise
                diverged = True
                break
            if step is None:
                break
            last = step.architecture
            kept["seconds"].append(time.process_time() - started - step.watching)
            kept["truth"].append(task.true_value(step.architecture))
            kept["skip"].append(skip_share(search.space, step.architecture))
            kept["skip probability"].append(_skip_probability(search))
            kept["entropy"].append(search.entropy())
            if curvature and search.epoch % work.curvature == 0:
                eigenvalues.append([len(kept["truth"]), _eigenvalue(curvature, search)])
            if work.distribution:
                probabilities.append([softmax(each).tolist() for each in search.logits()])
        started = time.process_time()
        best = last if diverged and last is not None else search.best()
        derivation = time.process_time() - started
    return {
        **kept,
        "diverged": diverged,
        "derivation": derivation,
        "architecture": list(best),
        "final": task.true_value(best),
        "final skip": skip_share(search.space, best),
        "connected": task.problem.space.is_connected(best),
        "eigenvalues": eigenvalues,
        "probabilities": probabilities,
    }


_KEPT = ("seconds", "truth", "skip", "skip probability", "entropy")


def rank(work: Ranked) -> dict[str, Any]:
    """Train a supernet and score a sample with it, by each kind of batch statistics.

    Returns:
        ``architectures``, their ``truth``, and their scores by kind of statistics.
    """
    task = constrained_task(work.task, Constraint())
    search = _built(work.task, f"{work.optimizer}[statistics=recalibrated]", work.seed, work.epochs)
    rng = np.random.default_rng(0)  # the same architectures for all
    sample = [task.problem.sample(rng) for _ in range(work.architectures)]
    with one_thread():
        while search.step() is not None:
            pass
        supernet, held, seen = search.model.supernet, search.held_batches, search.train_batches
        ranked = {}
        for statistics in STATISTICS:
            ranking = Ranking(supernet, (held.x, held.y), (seen.x, seen.y), statistics)
            ranked[statistics] = [ranking.accuracy(a) for a in sample]
    return {"architectures": [list(a) for a in sample], "truth": [task.true_value(a) for a in sample], **ranked}


@dataclass(frozen=True)
class Genotype:
    """DARTS in its own space: three small cells."""

    task: str
    epochs: int
    seed: int = 0


def genotype(work: Genotype) -> dict[str, Any]:
    """What DARTS finds in its own space on a task's rows: the genotype, as a string and by choice."""
    rows = constrained_task(work.task, Constraint()).problem
    assert rows.train is not None
    classes, shape = int(rows.train.y.max()) + 1, rows.train.x.shape[1:]
    problem = dataclasses.replace(rows, space=darts(classes, shape, channels=4, cells=3), measured={}, additive={})
    full = written("darts", work.epochs, len(rows.train) // BATCH)
    rng = np.random.default_rng(seed_sequence(work.task, "genotype", work.seed, "optimizer"))
    search = optimizer_spec(full).build(problem, rng)
    assert isinstance(search, OneShotSearch)
    with one_thread():
        while search.step() is not None:
            pass
        best = search.best()
    return {"said": problem.space.to_string(best), "decisions": problem.space.decisions(best)}


def trial(work: Trial) -> dict[str, float]:
    """Seconds of an epoch and of the derivation at the end, and the peak memory of a fresh process, in bytes."""
    command = [sys.executable, "-m", "naslab.studies.one_shot.searches", work.task, work.optimizer]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NaslabError(f"{work.optimizer} on {work.task} failed: {done.stderr.strip()[-300:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


EPOCHS_TRIED = 5


def _try(task_id: str, optimizer: str) -> dict[str, float]:
    task = constrained_task(task_id, Constraint())
    with one_thread():
        worth = second_worth(task)
        search = _built(task_id, optimizer, 0, EPOCHS_TRIED)
        taken = []
        for _ in range(EPOCHS_TRIED):
            started = time.process_time()
            step = search.step()
            assert step is not None
            taken.append(time.process_time() - started - step.watching)
        started = time.process_time()
        search.best()
        derivation = time.process_time() - started
    return {"epoch": float(np.mean(taken[1:])), "derivation": derivation, "peak": _peak(), "worth": worth}


def _peak() -> float:
    """The most memory that this process has held, in bytes; NaN on Windows, which Python can't ask."""
    if sys.platform == "win32":
        return math.nan
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _built(task_id: str, optimizer: str, seed: int, epochs: int) -> OneShotSearch:
    task = constrained_task(task_id, Constraint())
    assert task.problem.train is not None
    full = written(optimizer, epochs, len(task.problem.train) // BATCH)
    rng = np.random.default_rng(seed_sequence(task_id, optimizer, seed, "optimizer"))
    search = optimizer_spec(full).build(task.problem, rng)
    assert isinstance(search, OneShotSearch)
    return search


def _eigenvalue(curvature: Curvature, search: OneShotSearch) -> float:
    """On the first validation rows: the same rows for every search, and without random draws."""
    held = search.held_batches
    rows = slice(0, 4 * held.size)
    start = torch.ones(sum(map(len, search.model.logits)))
    return curvature.eigenvalue(search.model, (held.x[rows], held.y[rows]), start)


def skip_share(space: SearchSpace, architecture: Architecture) -> float:
    """The share of the choices that are an identity."""
    return float(np.mean([option in skips for option, skips in zip(architecture, _skips(space), strict=True)]))


def _skips(space: SearchSpace) -> list[list[int]]:
    """For each choice, the options that are identities."""
    return [[i for i, option in enumerate(c.options) if isinstance(option, Identity)] for c in space.choices]


def _skip_probability(search: OneShotSearch) -> float:
    pairs = zip(search.logits(), _skips(search.space), strict=True)
    return float(np.mean([softmax(each)[skips].sum() for each, skips in pairs]))


if __name__ == "__main__":
    print(json.dumps(_try(sys.argv[1], sys.argv[2])))
