"""A task of dense prediction: disparity of random-dot stereograms, where every evaluation trains a network."""

from __future__ import annotations

import numpy as np

from naslab.datasets.stereo import random_dots
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import TrainingObjective
from naslab.search_spaces.dispnet import dispnet
from naslab.space import Adam, Architecture, Recipe
from naslab.tasks import Problem, Task
from naslab.tasks.rewards import TrainedReward

OBJECTIVE = TrainingObjective("dense", "end-point-error")
RECIPE = Recipe(epochs=4, batch=16, learning_rate=1e-2, optimizer=Adam())


class TestError(Evaluator):
    """Trains a network and tells its error on the test rows, which is better when lower."""

    __test__ = False  # for pytest: this is no test

    def __init__(self, trained: TrainingEvaluator) -> None:
        self.trained = trained

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        found = self.trained.evaluate(architecture, fidelity=fidelity, rng=rng)
        return found._replace(score=self.trained.objective.sign * found.score)


def disparity(task_id: str, recipe: Recipe = RECIPE) -> Task:
    """The cells of :func:`~naslab.search_spaces.dispnet.dispnet` in a small network, trained on
    :func:`~naslab.datasets.stereo.random_dots`.

    Made, not collected, and small enough for a test: what is found says nothing about disparity of real images.

    Args:
        task_id: The id that it gets.
        recipe: How networks are trained, both for the search and for the truth.
    """
    data = random_dots()
    space = dispnet(data.train.x.shape[1:], channels=4, encoder_cells=2, decoder_cells=3)
    epochs = tuple(range(1, recipe.epochs + 1))
    problem = Problem(space, fidelities=epochs, fidelity=epochs[-1], train=data.train, validation=data.validation)
    return Task(
        task_id,
        problem,
        TrainedReward(TrainingEvaluator, problem, recipe, OBJECTIVE),
        TestError(TrainingEvaluator(space, data.train, data.test, recipe, OBJECTIVE)),
        metric="test end-point error",
        unit="pixels",
        direction="min",
        source={"dataset_sha256": data.sha256, "reward": repr(recipe)},
        test=data.test,
        recipe=recipe,
        training_objective=OBJECTIVE,
    )
