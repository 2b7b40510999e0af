"""What a search on one's own table is going to do, decided and explained before anything is trained."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from naslab.datasets import Rows
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.training_objective import METRICS, TrainingObjective
from naslab.optimizers import OptimizerSpec, optimizer_spec
from naslab.optimizers.policy.policy_search import PolicySearch
from naslab.registry import entries, search_space
from naslab.running import default_budget, informed, seed_sequence, versions
from naslab.running.runs import check_budget
from naslab.space import Architecture, Recipe, SearchSpace
from naslab.tabular.defaults import SHARE, STEPS, balanced_weights, default_widths, shared_recipe, training_recipe
from naslab.tabular.delimited import counted
from naslab.tabular.leakage import warnings_of
from naslab.tabular.preprocessing import Preprocessor, TargetEncoder
from naslab.tabular.reading import Described, RawTable, read_table
from naslab.tabular.splitting import split
from naslab.tabular.targets import TaskKind
from naslab.tabular.training import Scratch
from naslab.tasks import Budget, Constraint, Problem, Task
from naslab.tasks.rewards import shared

ClassWeights = Literal["none", "balanced"]
CLASS_WEIGHTS = ("none", "balanced")
DEPTH = 3
_IMBALANCED, _LISTED = 3, 4


@dataclass(frozen=True, eq=False)
class Plan:
    """A search that is ready to run.

    Attributes:
        csv: The table's file.
        task: The search: its problem has the training and validation rows and the limit, its reward is shared weights,
            its truth trains from scratch (by ``task.recipe``; the validation rows choose the epoch) and scores on the
            test rows.
        optimizer: The strategy; one with a policy ranks its finalists by shared weights (``selection=rerank``).
        budget: Of the search.
        seed: Of the split, the search and every training.
        preprocessor: Fitted to the training rows.
        target: Encodes the target; fitted to the training rows.
        settings: Everything that the result depends on, as JSON.
        columns: The table's columns: what each is, its missing and distinct values, and the features made of it.
        says: What was assumed and why, a sentence each.
    """

    csv: Path
    task: Task
    optimizer: OptimizerSpec
    budget: Budget
    seed: int
    preprocessor: Preprocessor
    target: TargetEncoder
    settings: Mapping[str, Any]
    columns: pd.DataFrame
    says: tuple[str, ...]

    @property
    def space(self) -> SearchSpace:
        return self.task.problem.space

    @property
    def scratch(self) -> Scratch:
        """Trains networks from scratch."""
        assert isinstance(self.task.truth, Scratch)
        return self.task.truth

    @property
    def recipe(self) -> Recipe:
        """How a network is trained from scratch."""
        assert self.task.recipe is not None
        return self.task.recipe

    def command(self, folder: Path) -> str:
        """The command line that makes this search, defaults spelled out."""
        chosen = self.settings
        options = {
            "csv": self.csv, "target": chosen["target"], "space": chosen["space"], "kind": chosen["kind"],
            "metric": chosen["metric"], "class-weights": chosen["class_weights"], "depth": chosen["depth"],
            "widths": ",".join(map(str, chosen["widths"])), "optimizer": self.optimizer.label, "budget": self.budget,
            "seed": self.seed,
        }  # fmt: skip
        wishes = [("drop", name) for name in chosen["drop"]]
        wishes += [("types", f"{name}={kind}") for name, kind in chosen["types"].items()]
        limits = [f"--max {metric}={maximum:.17g}" for metric, maximum in chosen["constraint"].items()]
        words = [f"--{name} {shlex.quote(str(value))}" for name, value in (*options.items(), *wishes)]
        flags = ["--coerce"] if chosen["coerce"] else []
        return " ".join(["naslab search", *words, *flags, *limits, "--out", shlex.quote(str(folder))])


def plan_search(
    csv: str | Path,
    target: str,
    *,
    space: str = "mlp",
    optimizer: str = "tabnas",
    max: Mapping[str, float] | Iterable[str] = (),
    kind: TaskKind | None = None,
    metric: str | None = None,
    class_weights: ClassWeights = "none",
    depth: int = DEPTH,
    widths: Sequence[int] | None = None,
    budget: str | int | float | Budget | None = None,
    seed: int = 0,
    drop: Iterable[str] = (),
    types: Mapping[str, str] | None = None,
    coerce: bool = False,
) -> Plan:
    """Read a table and decide how to search on it; arguments as :func:`naslab.search_csv`."""
    if not isinstance(seed, int) or seed < 0:
        raise InvalidValue(f"seed {seed!r}: give a whole number of at least 0")
    if class_weights not in CLASS_WEIGHTS:
        raise UnknownName(str(class_weights), CLASS_WEIGHTS, of="class weights")
    if kind not in (None, *METRICS):
        raise UnknownName(str(kind), METRICS, of="kind")
    if space not in entries("search_spaces"):
        search_space(space)  # refuses, naming the nearest
    if space != "mlp":
        raise InvalidValue(f"space {space!r} is not for tables. Allowed: mlp")
    if widths is not None and not all(isinstance(width, int) for width in widths):
        raise InvalidValue(f"widths={widths!r}: give whole numbers, the same choice for every layer")
    constraint, given = Constraint.parse(max), None if budget is None else Budget.parse(budget)
    spec = _with_finalists(optimizer_spec(optimizer))
    if given is not None:
        check_budget(spec, given)
    if isinstance(drop, str) or not isinstance(types or {}, Mapping):
        raise InvalidValue(
            f"drop={drop!r}, types={types!r}: give a list of columns, and a dictionary of column to type"
        )
    path, drop, types = Path(csv), sorted(set(drop)), dict(types or {})
    raw = read_table(path, target, task=kind, drop=drop, types=types, coerce=coerce)
    parts = split(raw.y, raw.target.kind, np.random.default_rng(seed_sequence("csv", "split", seed)))
    preprocessor, encoder = Preprocessor.fit(raw, parts[0]), TargetEncoder.fit(raw, parts[0])
    x, y = preprocessor.transform(raw.values), encoder.transform(raw.y)
    train, validation, test = (Rows(x[rows], y[rows]) for rows in parts)
    objective = _objective(encoder, metric, class_weights, train.y)
    steps = int(given.amount) if given and given.unit == "evaluations" else STEPS
    recipe, sharing = training_recipe(len(train)), shared_recipe(len(train), steps)
    chosen = tuple(widths) if widths else default_widths(len(train))
    outputs = len(raw.target.classes) or 1
    networks = search_space(space, in_features=x.shape[1], out_features=outputs, depth=depth, widths=chosen)
    limited = bool(constraint.limits)
    if not limited:
        low, high = (networks.cost(extreme(networks, largest=which)).params for which in (False, True))
        constraint = Constraint.parse({"params": int(low + SHARE * (high - low))})
    problem = Problem(networks, train=train, validation=validation)
    _check_limit(problem, constraint)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = {
        **versions("naslab"),
        "csv_sha256": digest,
        "target": target,
        "kind": raw.target.kind,
        "metric": objective.metric,
        "class_weights": class_weights,
        "space": space,
        "widths": list(chosen),
        "depth": depth,
        "constraint": constraint.as_dict(),
        "seed": seed,
        "drop": drop,
        "types": types,
        "coerce": coerce,
    }
    task = Task(
        id=f"csv/{path.stem}",
        problem=problem,
        reward=_no_reward,
        truth=Scratch(problem, test, recipe, objective),
        metric=f"test {objective.metric}" + (" (negated)" if objective.sign < 0 else ""),
        unit=objective.unit,
        source={"settings": repr(settings), "truth": repr(recipe)},
        test=test,
        recipe=recipe,
        training_objective=objective,
    ).constrained(constraint)
    task = shared(task, sharing)
    # Refuses bad hyperparameters before anything is written.
    spec.build(informed(task, spec).problem, np.random.default_rng(0))
    spent = given or (
        Budget.parse(default_budget(spec))
        if spec.unit == "epochs"
        else Budget(sharing.epochs * sharing.batches(len(train)), "evaluations")
    )
    settings |= {"optimizer": spec.describe(), "budget": str(spent)}
    says = [
        *_data(raw, parts, x.shape[1]),
        *_unlike(preprocessor, raw, parts),
        *warnings_of(raw, parts, path),
        _judged(objective, encoder, class_weights, raw.y),
        _space(networks, len(train), given=widths is not None),
        _limit(task.problem, given=limited),
        _search(spec, spent, sharing, recipe),
    ]
    columns = _columns(raw, preprocessor)
    return Plan(path, task, spec, spent, seed, preprocessor, encoder, settings, columns, tuple(filter(None, says)))


def extreme(space: SearchSpace, *, largest: bool) -> Architecture:
    """The network with the largest (or the smallest) width in every layer: no other costs more (or less)."""
    pick = max if largest else min
    return tuple(choice.options.index(pick(choice.options)) for choice in space.choices)


def _objective(
    encoder: TargetEncoder, metric: str | None, class_weights: ClassWeights, y: NDArray[Any]
) -> TrainingObjective:
    kind, classes = encoder.target.kind, len(encoder.target.classes)
    weights: tuple[float, ...] = ()
    if class_weights == "balanced":
        if kind == "regression":
            raise InvalidValue(f"class weights: {encoder.target.name!r} is a number to predict, it has no classes")
        weights = balanced_weights(y, classes)
    metric = metric or METRICS[kind][0]
    if metric == "roc-auc" and kind == "classification" and classes != 2:
        raise InvalidValue(f"metric roc-auc is for two classes; {encoder.target.name!r} has {classes}")
    return TrainingObjective(kind, metric, weights, encoder.scale)


def _no_reward() -> Any:
    raise InvalidValue("give the task a reward: naslab.tasks.rewards.shared or live")


def _check_limit(problem: Problem, constraint: Constraint) -> None:
    least = extreme(problem.space, largest=False)
    for limit in constraint.limits:
        cost = dataclasses.replace(problem, constraint=constraint).cost(limit.metric, least)
        if cost > limit.maximum:
            raise InvalidValue(
                f"the limit {limit} excludes every network: the smallest, {problem.space.to_string(least)}, has "
                f"{limit.metric}={cost:,.10g}. Raise the limit, or give smaller widths"
            )


def _with_finalists(spec: OptimizerSpec) -> OptimizerSpec:
    """A strategy with a policy ranks its finalists by shared weights, unless it is told how to select."""
    if not issubclass(spec.factory, PolicySearch) or "selection" in spec.options:
        return spec
    return dataclasses.replace(spec, options={**spec.options, "selection": "rerank"})


def _data(raw: RawTable, parts: Sequence[NDArray[np.int64]], features: int) -> list[str]:
    kinds = Counter(column.kind for column in raw.columns)
    columns = " and ".join(counted(count, f"{kind} column") for kind, count in kinds.items())
    what = f"{len(raw.target.classes)} classes" if raw.target.classes else "a number"
    sizes = [len(rows) for rows in parts]
    return [
        *raw.dropped,
        *raw.remarks,
        f"{len(raw):,} rows of {columns}, {counted(features, 'feature')}; {raw.target.name!r} is {what} "
        f"({raw.target.kind}). {sizes[0]:,} rows to train on, {sizes[1]:,} to validate, {sizes[2]:,} to test once, at "
        "the end.",
    ]


def _unlike(preprocessor: Preprocessor, raw: RawTable, parts: Sequence[NDArray[np.int64]]) -> list[str]:
    """What the rows that are held out have, and training rows do not."""
    held = np.concatenate(parts[1:])
    found = preprocessor.remarks({name: values[held] for name, values in raw.values.items()})
    return [f"Of the rows to validate and to test: {says}" for says in found]


def _columns(raw: RawTable, preprocessor: Preprocessor) -> pd.DataFrame:
    """The table of the plan: every column of the file, and what becomes of it."""
    features = {encoder.name: encoder.features for encoder in preprocessor.encoders}
    frame = pd.DataFrame(raw.described, columns=list(Described._fields))
    return frame.assign(features=[_listed(features.get(name, ())) for name in frame["column"]])


def _listed(features: Sequence[str]) -> str:
    more = ", ..." if len(features) > _LISTED else ""
    return f"{len(features)}: {', '.join(features[:_LISTED])}{more}" if features else ""


def _judged(objective: TrainingObjective, encoder: TargetEncoder, class_weights: str, y: NDArray[Any]) -> str:
    says = f"Judged by {objective.metric} ({'higher' if objective.sign > 0 else 'lower'} is better)"
    if objective.kind == "regression":
        return f"{says}."
    says += f", class weights: {class_weights}."
    counts = Counter(y.tolist())
    rare, frequent = min(counts, key=lambda c: (counts[c], c)), max(counts, key=lambda c: (counts[c], c))
    if class_weights == "none" and counts[frequent] >= _IMBALANCED * counts[rare]:
        says += (
            f" Class {rare!r} has {counts[rare]:,} rows, {frequent!r} {counts[frequent]:,}: where rare classes matter "
            "as much, give --class-weights balanced and --metric balanced-accuracy (predicted probabilities then no "
            "longer estimate shares of rows)."
        )
    return says


def _space(space: SearchSpace, rows: int, *, given: bool) -> str:
    options = space.choices[0].options
    says = f"Networks of {len(space.choices)} hidden layers, each of {', '.join(map(str, options))} units"
    why = "" if given else f" (default: up to about 2 sqrt({rows:,} training rows); give --widths to choose)"
    return f"{says}{why}: {space.size:,} of them."


def _limit(problem: Problem, *, given: bool) -> str:
    most = extreme(problem.space, largest=True)
    largest = f"the largest network, {problem.space.to_string(most)}"
    parts = []
    for limit in problem.constraint.limits:
        cost = problem.cost(limit.metric, most)
        if not given:
            least = extreme(problem.space, largest=False)
            parts.append(
                f"Limit: {limit} (default: a quarter of the way from {problem.cost(limit.metric, least):,.10g} of the "
                f"smallest network, {problem.space.to_string(least)}, to {cost:,.10g} of {largest}; give --max "
                f"{limit.metric}=... to choose)."
            )
        elif cost <= limit.maximum:
            parts.append(f"Limit: {limit}. It does not bind: {largest}, has {cost:,.10g}.")
        else:
            parts.append(f"Limit: {limit}; {largest}, has {cost:,.10g}.")
    return " ".join(parts)


def _search(spec: OptimizerSpec, budget: Budget, sharing: Recipe, recipe: Recipe) -> str:
    units = {"evaluations": "steps", "epochs": "epochs", "s": "s"}
    batches = "" if spec.unit == "epochs" else f" (batches of {sharing.batch})"  # a gradient search has its own
    return (
        f"Search: {spec.label}, {budget.amount:,.10g} {units[budget.unit]} of shared weights{batches}; then finalists "
        f"and references are trained from scratch, {recipe.epochs} epochs each; validation rows choose one of these."
    )
