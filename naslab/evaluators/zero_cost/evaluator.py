"""Zero-cost proxies as an evaluator: an architecture is compiled, initialised and scored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from naslab.compiler.devices import moved, resolved
from naslab.compiler.layout import channels_last
from naslab.compiler.network import compile_network
from naslab.datasets import Labelled
from naslab.errors import InvalidDataset, InvalidValue
from naslab.evaluators.base import Evaluation, Evaluator, Fidelity, TaskLike
from naslab.evaluators.fitting import torch_generator
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.zero_cost.base import scores
from naslab.evaluators.zero_cost.blocks import cut_nodes
from naslab.evaluators.zero_cost.catalogue import OWN_OPTIONS
from naslab.evaluators.zero_cost.catalogue import proxies as named
from naslab.evaluators.zero_cost.options import Options
from naslab.evaluators.zero_cost.shared import Pass
from naslab.evaluators.zero_cost.training import Short
from naslab.space import Architecture, SearchSpace


class ZeroCost(Evaluator):
    """Scores untrained networks by one or more proxies, which share what they can.

    The score is that of the first proxy, higher is better; ``metrics`` has all of them by name. A network that a proxy
    can't rate (disconnected, overflowing) scores minus infinity. All architectures see the same batch; initial weights
    are PyTorch's defaults unless a proxy draws its own, and differ between evaluations.

    Args:
        space: The search space.
        rows: Rows to draw the batch from. Where None, **standard normal noise with random labels** stands in for them;
            ``metrics["gaussian_inputs"]`` (1, else 0) and :attr:`inputs` say so.
        proxies: Names, see :data:`~naslab.evaluators.zero_cost.catalogue.PROXIES`; ``"all"`` are all that train nothing
            and are defined for such rows.
        batch: Rows of the batch: 64 by default, as in Abdelfattah et al. 2021 and NASLib. NASWOT's paper takes 128.
        cut: Whether dead branches are cut off before anything is measured. Public code measures them, too.
        short: The training whose start ``early-loss`` and ``early-accuracy`` run.
        options: Of single proxies; the defaults where None.
        seed: For drawing the batch.
        device: Where networks and the batch are. What a proxy adds up is waited for once, or a few times where one
            number decides what is computed next.

    Raises:
        UnknownName: There is no such proxy.
        InvalidDataset: The rows do not fit the space.
        InvalidValue: There is no such device; a batch that a proxy is not defined for, or that is larger than the rows;
            missing labels.
    """

    clock = "measured"

    def __init__(
        self,
        space: SearchSpace,
        rows: Labelled | None = None,
        proxies: Sequence[str] | str = "all",
        *,
        batch: int = 64,
        cut: bool = False,
        short: Short | None = None,
        options: Options | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        space.require_network("a score of the untrained network")
        space.require_one_size("a score of the untrained network")
        self.space, self.cut, self._short, self._options = space, cut, short, options or Options()
        self.device = resolved(device)
        x, y = _drawn(space, rows, batch, np.random.default_rng(seed))
        self.x, self.y = moved(x, self.device), None if y is None else moved(y, self.device)
        if self.x.dim() == 4:
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        labelled = self.y is not None and not self.y.is_floating_point()
        self.proxies = named(proxies, images=self.x.dim() == 4, labels=labelled)
        for proxy in self.proxies:
            proxy.check(self.x, self.y)
        self.inputs = "rows" if rows is not None else "gaussian"
        self._wants = frozenset[str]().union(*(proxy.wants for proxy in self.proxies))
        self._blocks = cut_nodes(space)

    @classmethod
    def for_task(  # type: ignore[override]
        cls,
        task: TaskLike,
        rng: np.random.Generator,
        *,
        proxies: Sequence[str] | str = "all",
        batch: int = 64,
        cut: bool = False,
        steps: int | None = None,
        epochs: int = 1,
        variances: str = "running",
        size: int = 64,
    ) -> ZeroCost:
        """Proxies on a batch of the task's training rows, or of noise where it has none.

        Args:
            task: Proxies that train (``early-loss``, ``early-accuracy``) need its rows and its recipe.
            rng: Draws the batch.
            proxies: See the class, also for `batch` and `cut`.
            steps: Of ``early-loss``.
            epochs: Of ``early-accuracy``.
            variances: Of ``zen``.
            size: Of ``meco``.

        Raises:
            InvalidValue: An option of a proxy that is not asked for.
        """
        listed = [proxies] if isinstance(proxies, str) else list(proxies)
        options = Options(variances, size)
        given = {"steps": steps is not None, "epochs": epochs != 1}
        given |= {name: getattr(options, name) != getattr(Options(), name) for name in ("variances", "size")}
        for option, proxy in OWN_OPTIONS.items():
            if given[option] and proxy not in listed:
                raise InvalidValue(f"{option} is an option of {proxy}, which is not asked for: {', '.join(listed)}")
        rows, held, short = task.problem.train, task.problem.validation, None
        if rows is not None and held is not None and task.recipe is not None:
            short = Short(rows, held, task.recipe, steps, epochs)
        seed = int(rng.integers(2**62))
        return cls(
            task.problem.space,
            rows,
            proxies,
            batch=batch,
            cut=cut,
            short=short,
            options=options,
            seed=seed,
            device=task.problem.device,
        )

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        if fidelity is not None:
            raise InvalidValue(f"fidelity {fidelity!r}: a proxy has none. Fix: give no fidelity")
        watch = Stopwatch(self.device)
        generator = torch_generator(rng)
        build = partial(compile_network, self.space, architecture, cut=self.cut, device=self.device)
        network = channels_last(build(generator=generator))
        known = Pass(
            network,
            self.x,
            self.y,
            generator,
            self._wants,
            blocks=self._blocks,
            short=self._short,
            options=self._options,
            build=build,
        )
        found = scores(self.proxies, known)
        metrics = {**found, "gaussian_inputs": float(self.inputs == "gaussian")}
        return Evaluation(found[self.proxies[0].name], watch.seconds(), metrics)


def _drawn(
    space: SearchSpace, rows: Labelled | None, batch: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor | None]:
    """The batch that every architecture is scored on."""
    shape, classes = space.ends
    if batch < 1:
        raise InvalidValue(f"batch={batch}. Allowed: whole numbers of at least 1")
    if rows is None:
        x = rng.standard_normal((batch, *shape), dtype=np.float32)
        return torch.from_numpy(x), torch.from_numpy(rng.integers(classes, size=batch))
    if tuple(rows.x.shape[1:]) != shape:
        raise InvalidDataset(
            f"the rows have shape {tuple(rows.x.shape[1:])}, space {space.name!r} takes {shape}. Fix: give the space's "
            "builder the rows' shape"
        )
    y: np.ndarray | None = getattr(rows, "y", None)
    if y is not None and np.issubdtype(y.dtype, np.integer) and len(y) and not 0 <= y.min() <= y.max() < classes:
        raise InvalidDataset(
            f"the rows have classes {y.min()} to {y.max()}, space {space.name!r} tells 0 to {classes - 1} apart. Fix: "
            "give the space's builder the number of classes"
        )
    if batch > len(rows.x):
        raise InvalidValue(f"a batch of {batch} is larger than the {len(rows.x)} rows")
    chosen = rng.choice(len(rows.x), batch, replace=False)
    return torch.from_numpy(rows.x[chosen]), None if y is None else torch.from_numpy(y[chosen])
