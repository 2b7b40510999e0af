"""What it changes that NAS-Bench-201's scripts mutate a node first, and one of its edges then.

`regularized-evolution` draws one of all moves; the scripts (AutoDL-Projects, `exps/NATS-algos/regularized_ea.py`) draw
a node, one of its incoming edges, and another operation, so that an edge changes with probability 1/3 (into node 1),
1/6 (each of two) or 1/9 (each of three) instead of 1/6. Accuracy of the best cell found on `nasbench201/cifar10` by
both.

    python benchmarks/node_mutation.py [--budget 100] [--seeds 500]
"""

import argparse

import numpy as np
from scipy import stats

from naslab.optimizers import optimizer_spec
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.running import constrained_task, run_one
from naslab.search_spaces.nasbench201 import EDGES, OPERATIONS
from naslab.space import Architecture
from naslab.tasks import Budget, Constraint

INTO = [[i for i, (_, v) in enumerate(EDGES) if v == node] for node in (1, 2, 3)]


class NodeFirst(RegularizedEvolution):
    def child(self, parent: Architecture) -> Architecture:
        edges = INTO[int(self.rng.integers(len(INTO)))]
        edge = edges[int(self.rng.integers(len(edges)))]
        option = (parent[edge] + 1 + int(self.rng.integers(len(OPERATIONS) - 1))) % len(OPERATIONS)
        return (*parent[:edge], option, *parent[edge + 1 :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=500)
    args = parser.parse_args()
    task, found = constrained_task("nasbench201/cifar10", Constraint()), []
    for strategy in ("regularized-evolution", f"{__file__}:NodeFirst"):
        spec, truths = optimizer_spec(strategy), []
        for seed in range(args.seeds):
            steps = run_one(task, spec, seed, Budget(args.budget, "evaluations"), None).steps
            truths.append(task.true_value([step for step in steps if step.incumbent][-1].query.architecture))
        found.append(truths)
        print(f"{strategy.rpartition(':')[2]:>22} {np.mean(truths):.3f} +- {stats.sem(truths):.3f} %")
    difference = stats.ttest_ind(found[1], found[0], equal_var=False)
    low, high = difference.confidence_interval()
    mean = np.mean(found[1]) - np.mean(found[0])
    print(f"node first: {mean:+.3f} [{low:+.3f}, {high:+.3f}], p {difference.pvalue:.2g}")


if __name__ == "__main__":
    main()
