"""The predictors that naslab has, by name; how they are written and built.

They are entry points of the group ``naslab.evaluators``, so that a third party's predictor is named in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from naslab import registry
from naslab.errors import PluginError
from naslab.evaluators.predictors.base import Predictor
from naslab.registry import check_types, read_options, split_options
from naslab.space import SearchSpace

PREDICTORS: Mapping[str, str] = {
    "ridge": "naslab.evaluators.predictors.linear:Ridge",
    "kernel-ridge": "naslab.evaluators.predictors.kernel_ridge:KernelRidge",
    "boosted-trees": "naslab.evaluators.predictors.trees:BoostedTrees",
    "random-forest": "naslab.evaluators.predictors.trees:RandomForest",
    "nasbowl": "naslab.evaluators.predictors.nasbowl:NASBOWL",
    "path-kernel": "naslab.evaluators.predictors.path_kernel:PathKernel",
    "tnasp": "naslab.evaluators.predictors.tnasp:TNASP",
    "neural-predictor": "naslab.evaluators.predictors.graph_networks:GCN",
    "nao": "naslab.evaluators.predictors.nao:NAO",
    "bananas": "naslab.evaluators.predictors.bananas:BANANAS",
    "bonas": "naslab.evaluators.predictors.bonas:BONAS",
    "renas": "naslab.evaluators.predictors.renas:ReNAS",
    "ctnas": "naslab.evaluators.predictors.ctnas:CTNAS",
}
"""The built-in ones, and where they are. They are not imported here, because some need PyTorch."""


@dataclass(frozen=True)
class PredictorSpec:
    """A predictor that can be built for any space.

    Attributes:
        label: As it was written, ``kernel-ridge[target=raw]``.
        factory: Its class.
        options: Hyperparameters that were given.
    """

    label: str
    factory: type[Predictor]
    options: dict[str, Any]

    def build(self, space: SearchSpace, device: str = "cpu") -> Predictor:
        """A fresh predictor, whose network, if it has one, is on a device that is there.

        Raises:
            NaslabError: It refuses its hyperparameters or the space.
        """
        made = self.factory(space, **self.options)
        made.device = device
        return made


def predictor_spec(written: str) -> PredictorSpec:
    """What a name stands for: ``name`` or ``name[key=value,key=value]``.

    Raises:
        UnknownEvaluator, UnknownHyperparameter: With the nearest name.
        InvalidValue: The text is malformed, or a value has the wrong type.
        PluginError: What is registered under the name is no predictor.
    """
    name, parts = split_options(written, "predictor")
    factory = registry.load("evaluators", name)
    if not (isinstance(factory, type) and issubclass(factory, Predictor)):
        raise PluginError(f"{name!r} is no predictor: it must be a class derived from Predictor")
    options = read_options(written, parts, factory, "predictor")
    registry.checked_options(factory, options, name, skip=1)
    check_types(written, factory, options)
    return PredictorSpec(written, factory, options)


def predictor(written: str, space: SearchSpace) -> Predictor:
    """A fresh predictor for a space; see :func:`predictor_spec`."""
    return predictor_spec(written).build(space)
