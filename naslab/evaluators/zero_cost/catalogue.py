"""The proxies that naslab knows, by name."""

from __future__ import annotations

from collections.abc import Sequence

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.zero_cost import activations, az_nas, gen_nas, gradients, landscapes, size, synflow, training
from naslab.evaluators.zero_cost.base import Proxy
from naslab.evaluators.zero_cost.shared import CODES, CURVATURE, GRADIENTS, JACOBIAN, SALIENCY

_LOSS = frozenset({GRADIENTS})
_KNOWN = (
    Proxy("params", size.params),
    Proxy("flops", size.flops),
    Proxy("depth", size.depth),
    Proxy("l2-norm", size.l2_norm),
    Proxy("grad-norm", gradients.grad_norm, _LOSS, labels=True),
    Proxy("plain", gradients.plain, _LOSS, labels=True),
    Proxy("snip", gradients.snip, _LOSS, labels=True),
    Proxy("grasp", gradients.grasp, _LOSS | {CURVATURE}, labels=True),
    Proxy("fisher", gradients.fisher, _LOSS | {SALIENCY}, labels=True),
    Proxy("synflow", synflow.synflow),
    Proxy("logsynflow", synflow.logsynflow),
    Proxy("jacob-cov", activations.jacob_cov, frozenset({JACOBIAN}), least=2),
    Proxy("epe-nas", activations.epe_nas, frozenset({JACOBIAN}), labels=True, least=2),
    Proxy("naswot", activations.naswot, frozenset({CODES}), least=2),
    Proxy("nwot", activations.nwot, frozenset({CODES}), least=2),
    Proxy("swap", activations.swap, least=2),
    Proxy("meco", activations.meco, images=True),
    Proxy("zen", landscapes.zen, least=2),
    Proxy("zico", landscapes.zico, labels=True, least=2),
    Proxy("gradsign", landscapes.gradsign, labels=True),
    Proxy("az-expressivity", az_nas.expressivity, least=2, images=True),
    Proxy("az-progressivity", az_nas.progressivity, least=2, images=True),
    Proxy("az-trainability", az_nas.trainability, least=2, images=True),
    Proxy("az-complexity", az_nas.complexity),
    Proxy("gen-nas", gen_nas.gen_nas, least=2, images=True),
    Proxy("early-loss", training.early_loss),
    Proxy("early-accuracy", training.early_accuracy),
)
PROXIES = {proxy.name: proxy for proxy in _KNOWN}
"""All of them, by name."""
TRAINED = ("gen-nas", "early-loss", "early-accuracy")
"""Those that train. "all" leaves them out: each costs more than all others together."""

BLIND = ("params", "flops", "depth", "l2-norm", "synflow", "logsynflow", "az-complexity")
"""Those that look at no inputs, so that it does not matter which rows they get."""
OWN_OPTIONS = {"steps": "early-loss", "epochs": "early-accuracy", "variances": "zen", "size": "meco"}
"""Options of :meth:`ZeroCost.for_task` for a single proxy."""


def proxies(names: Sequence[str] | str, *, images: bool = True, labels: bool = True) -> tuple[Proxy, ...]:
    """The proxies of these names.

    Args:
        names: Names; or ``"all"``: those that train nothing and are defined for such rows.
        images: Whether the rows are images.
        labels: Whether they have labels.

    Raises:
        UnknownName: There is no such proxy; names the nearest.
        InvalidValue: No name, or one twice.
    """
    if names == "all":
        untrained = (proxy for name, proxy in PROXIES.items() if name not in TRAINED)
        return tuple(p for p in untrained if (images or not p.images) and (labels or not p.labels))
    listed = [names] if isinstance(names, str) else list(names)
    for name in listed:
        if name not in PROXIES:
            raise UnknownName(name, [*PROXIES, "all"], of="proxies")
    if not listed or len(set(listed)) < len(listed):
        raise InvalidValue(f"proxies {', '.join(listed) or 'none'}. Allowed: at least one name, each once")
    return tuple(PROXIES[name] for name in listed)
