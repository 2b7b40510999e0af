"""ENAS: a recurrent controller draws the paths on which shared weights are trained, and learns from their accuracy."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from naslab.compiler.devices import numbers
from naslab.errors import InvalidValue
from naslab.evaluators.fitting import torch_generator
from naslab.optimizers.gradient.relaxations import Sampled
from naslab.optimizers.gradient.search import OneShotSearch, annealed
from naslab.optimizers.named import named
from naslab.space import Architecture, SearchSpace
from naslab.tasks import Problem

HIDDEN, LAYERS, INITIAL = 32, 2, 0.1
SET = ("first", "weight_ih_l0", "weight_hh_l0", ".weight")  # what the script initialises itself
TEMPERATURE, TANH = 5.0, 2.5
TRIES = 100


class Controller(nn.Module):
    """An LSTM that decides one choice after another, each given those before (Pham et al. 2018, section 2.2).

    It is always on the CPU: it is tiny, and what it draws the processor must know.

    Two layers of 32, logits ``2.5 tanh(h / 5)``. As in the NAS-Bench-201 script, the first input, the first layer's
    matrices, embeddings and the matrices that decide are uniform in [-0.1, 0.1]; the second layer and all biases, as
    PyTorch begins, within ``1 / sqrt(32)``. Choices with the same options share the embedding of a decision and the
    layer that makes it.

    Args:
        space: Its choices, in their order.
        generator: Of the initial weights.
    """

    def __init__(self, space: SearchSpace, generator: torch.Generator) -> None:
        super().__init__()
        options = [choice.options for choice in space.choices]
        kinds = [options.index(each) for each in options]
        self.kinds = [sorted(set(kinds)).index(kind) for kind in kinds]
        sizes = [len(options[kind]) for kind in sorted(set(kinds))]
        with torch.device("meta"):  # constructors draw from the global generator
            self.first = nn.Parameter(torch.empty(1, 1, HIDDEN, device="meta"))
            self.lstm = nn.LSTM(HIDDEN, HIDDEN, LAYERS, batch_first=True)
            self.embeddings = nn.ModuleList(nn.Embedding(size, HIDDEN) for size in sizes)
            self.heads = nn.ModuleList(nn.Linear(HIDDEN, size) for size in sizes)
        self.to_empty(device="cpu")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                reach = INITIAL if name.endswith(SET) else HIDDEN**-0.5
                parameter.uniform_(-reach, reach, generator=generator)

    def forward(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw ``count`` architectures.

        Returns:
            ``(count, choices)`` option indices, and ``(count,)`` each: log-probabilities, and the entropies of the
            decisions on the way, added up.
        """
        seen, state, drawn = self.first.expand(count, 1, HIDDEN), None, []
        log_probability = entropy = torch.zeros(count, device="cpu")
        for kind in self.kinds:
            out, state = self.lstm(seen, state)
            logits = TANH * torch.tanh(self.heads[kind](out[:, 0]) / TEMPERATURE)
            log_p = torch.log_softmax(logits, dim=1)
            option = torch.multinomial(log_p.detach().exp(), 1, generator=generator)
            log_probability = log_probability + log_p.gather(1, option)[:, 0]
            entropy = entropy - (log_p.exp() * log_p).sum(dim=1)
            drawn.append(option)
            seen = self.embeddings[kind](option)
        return torch.cat(drawn, dim=1), log_probability, entropy


@named(weights="sampled", update="none", derivation="sample-and-rank", epochs=250, batch=128, learning_rate=0.05,
       end_rate=0.0005, weight_decay=2.5e-4)  # fmt: skip
class ENAS(OneShotSearch):
    """ENAS (Pham et al. 2018) with the settings of the NAS-Bench-201 script.

    An epoch trains the shared weights on paths that the controller draws (their rate falls along a cosine for ten
    epochs, rises along it for ten, and so on: the script's has no restart, the paper's has), and then the controller by
    REINFORCE: 50 steps of Adam (rate 0.001, betas 0 and 0.999, epsilon 0.001) on 20 draws each. The reward of a draw is
    its accuracy on one validation batch, as in ranking, plus 1e-4 times its entropy. The baseline has decay 0.99 and
    begins with the first reward; gradients are clipped at norm 5. In the end the best of 100 draws is returned.

    Deviations: the baseline moves with every draw (the script's is constant for an epoch and absent at first); the
    controller's draws are made together, and each has a batch of its own. ``update`` and ``relaxation`` have no effect
    here. A path that breaks a rule of the space trains no weights, another is drawn; among the controller's 20 draws it
    is not replaced: its reward is left out, and it counts as zero in their mean. Draws that break a rule or a limit are
    not returned: up to a hundred times 100 are drawn until 100 are feasible; if none is, the 100 come from the feasible
    ones by each choice's share of options among a thousand draws.

    Args:
        problem: With rows to train on.
        rng: Its generator.
        controller_steps: Steps of the controller in an epoch. The script's 50 come after hundreds of steps of the
            weights; small data has fewer.
        options: As of :class:`~naslab.optimizers.gradient.search.OneShotSearch`.
    """

    DRAWS = 20
    RATE, ENTROPY, DECAY, CLIP, FALLING = 1e-3, 1e-4, 0.99, 5.0, 10

    def __init__(
        self, problem: Problem, rng: np.random.Generator, *, controller_steps: int = 50, **options: Any
    ) -> None:
        if controller_steps < 1:
            raise InvalidValue(f"controller_steps={controller_steps}. Allowed: 1 or more")
        super().__init__(problem, rng, **options)
        self.controller_steps = controller_steps

    def prepare(self, rng: np.random.Generator) -> None:
        self.controller = Controller(self.space, torch_generator(rng))
        self.controller_optimizer = torch.optim.Adam(
            self.controller.parameters(), self.RATE, betas=(0.0, 0.999), eps=1e-3
        )
        self.baseline = math.nan
        self.weights = Drawn(self.controller, self.space)

    def rate(self) -> float:
        return annealed(self.learning_rate, self.end_rate, self.epoch, self.FALLING)

    def after_epoch(self) -> dict[str, float]:
        paths = self.ranking.paths()
        rewards = []
        for _ in range(self.controller_steps):
            drawn, log_probability, entropy = self.controller(self.DRAWS, self.generator)
            told, right = [], []
            valid = [
                not self.space.rules or self.space.is_valid(self.space.normal(tuple(row))) for row in drawn.tolist()
            ]
            for row in itertools.compress(drawn.tolist(), valid):
                x, y = self.held_batches.next()
                with torch.no_grad():
                    right.append((paths(x, row).argmax(dim=1) == y).double().mean())
            accuracies = iter(numbers(right))
            for keeps, bonus in zip(valid, entropy.tolist(), strict=True):
                if not keeps:
                    told.append(0.0)
                    continue
                accuracy = next(accuracies)
                reward = accuracy + self.ENTROPY * bonus
                self.baseline = (
                    reward if math.isnan(self.baseline) else self.DECAY * self.baseline + (1 - self.DECAY) * reward
                )
                told.append(reward - self.baseline)
                rewards.append(accuracy)
            loss = -(torch.tensor(told, device="cpu") * log_probability).mean()
            self.controller_optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.controller.parameters(), self.CLIP)
            self.controller_optimizer.step()
        return {"reward": float(np.mean(rewards))} if rewards else {}

    def draws(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        generator, kept = torch_generator(rng), list[Architecture]()
        for _ in range(TRIES):
            with torch.no_grad():
                drawn = [self.space.normal(tuple(row)) for row in self.controller(count, generator)[0].tolist()]
            kept += [a for a in drawn if self.space.is_valid(a) and self.problem.is_feasible(a)]
            if len(kept) >= count:
                return kept[:count]
        return kept or super().draws(count, rng)

    def logits(self) -> list[np.ndarray]:
        """For every choice, logits of its options' shares among many draws, for an argmax."""
        drawn = np.array(self._sample(1000))
        sizes = self.space.sizes
        shares = [np.bincount(column, minlength=size) for column, size in zip(drawn.T, sizes, strict=True)]
        return [np.log((share + 0.5) / (len(drawn) + 0.5 * len(share))) for share in shares]

    def entropy(self) -> float:
        with torch.no_grad():
            return float(self.controller(1000, torch.Generator().manual_seed(0))[2].mean())

    def learnt(self) -> dict[str, Any]:
        own = {
            "controller": self.controller.state_dict(),
            "controller_optimizer": self.controller_optimizer.state_dict(),
            "baseline": self.baseline,
        }
        return {**super().learnt(), **copy.deepcopy(own)}

    def set_learnt(self, learnt: Mapping[str, Any]) -> None:
        super().set_learnt(learnt)
        self.controller.load_state_dict(learnt["controller"])
        self.controller_optimizer.load_state_dict(copy.deepcopy(learnt["controller_optimizer"]))
        self.baseline = learnt["baseline"]

    def _sample(self, count: int) -> list[list[int]]:
        with torch.no_grad():
            rows: list[list[int]] = self.controller(count, torch.Generator().manual_seed(0))[0].tolist()
        return rows


class Drawn(Sampled):
    """One path that a controller draws, and that keeps the rules of the space.

    Raises:
        InvalidValue: Neither the first draw nor any of a thousand more does.
    """

    space: SearchSpace

    def __init__(self, controller: Controller, space: SearchSpace) -> None:
        self.controller, self.space = controller, space

    def decide(self, probabilities: Any, generator: torch.Generator) -> list[Any]:
        for count in (1, 1000):
            with torch.no_grad():
                rows: list[list[int]] = self.controller(count, generator)[0].tolist()
            for row in rows:
                if not self.space.rules or self.space.is_valid(self.space.normal(tuple(row))):
                    return [row]
        raise InvalidValue(f"none of enas' draws keeps the rules of space {self.space.name!r}. Fix: another strategy")
