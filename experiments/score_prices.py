"""What a zero-cost score costs on a task's own clock: the ``score_seconds`` in ``naslab/baselines/plan.toml``.

CPU seconds of scoring 200 random networks, each compiled and scored alone as in a search, times what a second of this
machine is worth on the machine that recorded the table (naslab.evaluators.calibration); the median of five.

    python experiments/score_prices.py pocket-mlp/segments naswot 128
"""

import statistics
import sys
import time

import numpy as np

import naslab
from naslab.optimizers.zero_cost import Scores
from naslab.running import second_worth

task_id, proxy, batch = sys.argv[1:]
task = naslab.task(task_id)
taken = []
for repeat in range(6):  # the first one warms up
    rng = np.random.default_rng(repeat)
    drawn = list(dict.fromkeys(task.problem.sample(rng) for _ in range(200)))
    scores = Scores(task.problem, rng, proxy, int(batch), 0.0)
    started = time.process_time()
    scores.best_first(drawn)
    taken.append((time.process_time() - started) / len(drawn))
price = statistics.median(taken[1:])
print(f"{proxy} on {task_id}: {price:.5f} CPU s here, {price * second_worth(task):.5f} s on the table's clock")
