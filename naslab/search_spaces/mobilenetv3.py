"""Once-for-all's space around MobileNetV3: five stages of 2, 3 or 4 layers, each with its own kernel and expansion.

Cai et al. 2020, "Once-for-All: Train One Network and Specialize it for Efficient Deployment" (section 3.2). A stage has
9^2 + 9^3 + 9^4 = 7,371 forms: 7371^5 = 2.2e19 networks, times the resolutions (the paper: 128 to 224 in steps of 4).
Stages 1 and 2 have ReLUs, the others hard swish; stages 2, 4 and 5 squeeze-and-excitation (Howard et al. 2019, table
1).

Deviations. Small kernels are the centres of large ones, without the paper's learned transformations. The layer between
pooling and classifier has a bias, as in MobileNetV3 (once-for-all's 1280 fewer parameters come from there).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from naslab.errors import InvalidArchitecture, UnknownName
from naslab.files import clipped
from naslab.ops import Identity, MBConv
from naslab.search_spaces.mobile import MobileNetwork, MobileSpace
from naslab.space import Architecture, Choice

STAGES = (
    (24, 2, False, "relu"),
    (40, 2, True, "relu"),
    (80, 2, False, "hard-swish"),
    (112, 1, True, "hard-swish"),
    (160, 2, True, "hard-swish"),
)
"""Width, stride, squeeze-and-excitation and activation of each stage."""

DEPTHS, KERNELS, EXPANSIONS = (2, 3, 4), (3, 5, 7), (3, 4, 6)


def mobilenetv3(
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    width: float = 1.0,
    resolutions: Sequence[int] = (),
) -> MobileNetV3:
    """Once-for-all's MobileNetV3 space, 2.2e19 architectures, written as its configurations,
    ``{"ks": [3, ...], "e": [6, ...], "d": [2, ...]}``.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        width: Multiplies all widths, which are then made divisible by 8.
        resolutions: Sides of the input to choose from, instead of the one in ``input_shape``: ``range(128, 225, 4)`` in
            the paper. Configurations state theirs as ``"r"``.

    Raises:
        InvalidValue: A multiplier or sides that make no network.
    """
    network = MobileNetwork(input_shape, resolutions, width, "hard-swish")
    network.stem(16)
    network.add("first", MBConv(expansion=1), network.scaled(16))
    for number, (stated, stride, excited, activation) in enumerate(STAGES, start=1):
        for layer in range(1, max(DEPTHS) + 1):
            name = f"stage{number}/layer{layer}"
            block = MBConv(
                kernel=Choice(f"{name}/kernel", KERNELS),
                stride=stride if layer == 1 else 1,
                expansion=Choice(f"{name}/expansion", EXPANSIONS),
                squeeze_excitation="mobilenetv3" if excited else False,
                activation=activation,
            )
            op: Any = block
            if layer > min(DEPTHS):
                there = tuple(block if depth >= layer else Identity() for depth in DEPTHS)
                op = Choice(f"stage{number}/depth", there, labels=DEPTHS)
            network.add(name, op, network.scaled(stated))
    network.classify(num_classes, network.scaled(960), network.scaled(1280))
    return MobileNetV3(network.graph, name="mobilenetv3")


class MobileNetV3(MobileSpace):
    """Networks of once-for-all, in the notation of its configurations."""

    def to_string(self, architecture: Architecture) -> str:
        """JSON: kernels (``ks``) and expansions (``e``) of all 20 layers, 3 where there is none; depths (``d``)."""
        decisions = self.decisions(architecture)
        taken = {choice.name: choice.options[decisions[choice.name]] for choice in self.choices}
        stages = range(1, len(STAGES) + 1)
        layers = [f"stage{s}/layer{i}" for s in stages for i in range(1, max(DEPTHS) + 1)]
        written: dict[str, list[int]] = {
            "ks": [taken[f"{name}/kernel"] for name in layers],
            "e": [taken[f"{name}/expansion"] for name in layers],
            "d": [DEPTHS[decisions[f"stage{s}/depth"]] for s in stages],
        }
        return json.dumps(written | ({"r": [taken["resolution"]]} if "resolution" in taken else {}))

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`; kernels and expansions of layers that are not there are not looked at.

        Raises:
            InvalidArchitecture: The string is no configuration of this space.
        """
        try:
            stated = json.loads(string)
        except (ValueError, RecursionError):
            stated = None
        depth, layers = len(STAGES), len(STAGES) * max(DEPTHS)
        lengths = {"ks": layers, "e": layers, "d": depth} | ({"r": 1} if self.choices[0].name == "resolution" else {})
        if not _is_configuration(stated, lengths):
            raise InvalidArchitecture(f"{clipped(string)} is not a configuration such as {self._example}")
        found: dict[str, int] = {}
        for number in range(1, depth + 1):
            name = f"stage{number}/depth"
            found[name] = _option(name, stated["d"][number - 1], DEPTHS)
            for i in range(DEPTHS[found[name]]):
                layer, place = f"stage{number}/layer{i + 1}", (number - 1) * max(DEPTHS) + i
                found[f"{layer}/kernel"] = _option(f"{layer}/kernel", stated["ks"][place], KERNELS)
                found[f"{layer}/expansion"] = _option(f"{layer}/expansion", stated["e"][place], EXPANSIONS)
        if "r" in lengths:
            found["resolution"] = _option("resolution", stated["r"][0], self.choices[0].options)
        return self.architecture([found.get(choice.name, 0) for choice in self.choices])


def _is_configuration(stated: Any, lengths: Mapping[str, int]) -> bool:
    return (
        isinstance(stated, dict)
        and set(stated) == set(lengths)
        and all(isinstance(stated[key], list) and len(stated[key]) == length for key, length in lengths.items())
    )


def _option(name: str, value: object, options: Sequence[int]) -> int:
    if value not in options or isinstance(value, bool):
        raise InvalidArchitecture(f"{name} {UnknownName(str(value)[:80], map(str, options))}")
    return list(options).index(value)  # type: ignore[arg-type]
