"""Mobile networks as their authors published them, as block strings; none of them need lie in a search space here.

Sources: MobileNetV2, Sandler et al. 2018, table 2; MobileNetV3, Howard et al. 2019, tables 1 and 2; MnasNet, Tan et al.
2019 and tensorflow/tpu; ProxylessNAS, the released configurations (Cai et al. 2019); FBNet (Wu et al. 2019),
facebookresearch/mobile-vision; Single-Path NAS, Stamoulis et al. 2019; MCUNet, the released configurations (Lin et al.
2020).

Numbers to compare with, and what they count, are in ``docs/mobile-networks.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from naslab.errors import UnknownName
from naslab.search_spaces.block_strings import mobile_network
from naslab.search_spaces.mobile import MobileSpace


@dataclass(frozen=True)
class Published:
    """A published network.

    Attributes:
        blocks: Its block string.
        resolution: The side of its images.
        options: Of :func:`naslab.search_spaces.block_strings.mobile_network`, where they are not the default.
    """

    blocks: str
    resolution: int = 224
    options: dict[str, Any] = field(default_factory=dict)


_V2 = "k3s1e1 16; r2 k3s2e6 24; r3 k3s2e6 32; r4 k3s2e6 64; r3 k3s1e6 96; r3 k3s2e6 160; k3s1e6 320"
_MNASNET, _FBNET, _MCUNET = {"activation": "relu"}, {"activation": "relu", "stem": 16, "head": 1984}, {"head": None}

NETWORKS = {
    "mobilenetv2": Published(_V2),
    "mobilenetv2-1.4": Published(_V2, options={"width": 1.4}),
    "mobilenetv2-0.35": Published(_V2, options={"width": 0.35}),
    "mobilenetv3-large": Published(
        "k3s1e1 16 relu; k3s2e4 24 relu; k3s1e3 24 relu; r3 k5s2e3 40 se relu; k3s2e6 80; k3s1e2.5 80; r2 k3s1e2.3 80; "
        "r2 k3s1e6 112 se; r3 k5s2e6 160 se",
        options={"activation": "hard-swish", "stem": 16, "head": 960, "features": 1280},
    ),
    "mobilenetv3-small": Published(
        "k3s2e1 16 se relu; k3s2e4.5 24 relu; k3s1e3.667 24 relu; k5s2e4 40 se; r2 k5s1e6 40 se; r2 k5s1e3 48 se; "
        "r3 k5s2e6 96 se",
        options={"activation": "hard-swish", "stem": 16, "head": 576, "features": 1024},
    ),
    "mnasnet-a1": Published(
        "k3s1e1 16 noskip; r2 k3s2e6 24; r3 k5s2e3 40 se.25; r4 k3s2e6 80; r2 k3s1e6 112 se.25; r3 k5s2e6 160 se.25; "
        "k3s1e6 320",
        options=_MNASNET,
    ),
    "mnasnet-b1": Published(
        "k3s1e1 16 noskip; r3 k3s2e3 24; r3 k5s2e3 40; r3 k5s2e6 80; r2 k3s1e6 96; r4 k5s2e6 192; k3s1e6 320 noskip",
        options=_MNASNET,
    ),
    "mnasnet-small": Published(
        "k3s1e1 8; k3s2e3 16; r2 k3s2e6 16; r4 k5s2e6 32 se.25; r3 k3s1e6 32 se.25; r3 k5s2e6 88 se.25; k3s1e6 144",
        options=_MNASNET | {"stem": 8},
    ),
    "proxylessnas-mobile": Published(
        "k3s1e1 16; k5s2e3 32; k3s1e3 32; skip; skip; k7s2e3 40; k3s1e3 40; r2 k5s1e3 40; k7s2e6 80; r3 k5s1e3 80; "
        "k5s1e6 96; r3 k5s1e3 96; k7s2e6 192; k7s1e6 192; r2 k7s1e3 192; k7s1e6 320"
    ),
    "proxylessnas-mobile14": Published(
        "k3s1e1 24; k5s2e3 40; k3s1e3 40; skip; skip; k7s2e3 56; k3s1e3 56; r2 k5s1e3 56; k7s2e6 112; r3 k5s1e3 112; "
        "k5s1e6 136; r3 k5s1e3 136; k7s2e6 256; k7s1e6 256; r2 k7s1e3 256; k7s1e6 448",
        options={"stem": 48, "head": 1792},
    ),
    "proxylessnas-cpu": Published(
        "k3s1e1 24; k3s2e6 32; r3 k3s1e3 32; k3s2e6 48; r2 k3s1e3 48; k5s1e3 48; k3s2e6 88; skip; skip; k3s1e3 88; "
        "k5s1e6 104; r3 k3s1e3 104; k5s2e6 216; r2 k5s1e3 216; k3s1e3 216; k5s1e6 360",
        options={"stem": 40, "head": 1432},
    ),
    "proxylessnas-gpu": Published(
        "k3s1e1 24; k5s2e3 32; skip; skip; skip; k7s2e3 56; skip; skip; k3s1e3 56; k7s2e6 112; skip; skip; k5s1e3 112; "
        "k5s1e6 128; skip; k3s1e3 128; k5s1e3 128; k7s2e6 256; r2 k7s1e6 256; k5s1e6 256; k7s1e6 432",
        options={"stem": 40, "head": 1728},
    ),
    "fbnet-a": Published(
        "skip; k3s2e3 24; k3s1e1 24; skip; skip; k5s2e6 32; k3s1e3 32; k5s1e1 32; k3s1e3 32; k5s2e6 64; k5s1e3 64; "
        "k5s1e1 64 g2; k5s1e6 64; k3s1e6 112; k5s1e1 112 g2; k5s1e3 112; k3s1e1 112 g2; k5s2e6 184; k5s1e6 184; "
        "k5s1e3 184; k5s1e6 184; k5s1e6 352",
        options=_FBNET | {"head": 1504},
    ),
    "fbnet-b": Published(
        "k3s1e1 16; k3s2e6 24; k5s1e1 24; r2 k3s1e1 24; k5s2e6 32; k5s1e3 32; k3s1e6 32; k5s1e6 32; r2 k5s2e6 64; "
        "skip; k5s1e3 64; k5s1e6 112; k3s1e1 112; k5s1e1 112; k5s1e3 112; k5s2e6 184; k5s1e1 184; r2 k5s1e6 184; "
        "k3s1e6 352",
        options=_FBNET,
    ),
    "fbnet-c": Published(
        "k3s1e1 16; k3s2e6 24; skip; r2 k3s1e1 24; k5s2e6 32; k5s1e3 32; k5s1e6 32; k3s1e6 32; k5s2e6 64; k5s1e3 64; "
        "r2 k5s1e6 64; r3 k5s1e6 112; k5s1e3 112; r4 k5s2e6 184; k3s1e6 352",
        options=_FBNET,
    ),
    "single-path-nas": Published(
        "k3s1e1 16 noskip; r3 k3s2e3 24; k5s2e6 40; r3 k3s1e3 40; k5s2e6 80; r3 k3s1e3 80; k5s1e6 96; r3 k5s1e3 96; "
        "r4 k5s2e6 192; k3s1e6 320 noskip",
        options=_MNASNET,
    ),
    "mcunet-in0": Published(
        "k3s1e1 16; k5s2e4 16; k3s1e3 16; k3s1e4 16; k7s2e5 24; k5s1e4 24; k5s1e5 24; k7s2e5 48; k5s1e4 48; k3s1e5 56; "
        "k5s1e4 56; k3s1e5 56; k3s2e6 112; k5s1e4 112; k3s1e6 192",
        48,
        _MCUNET | {"stem": 24},
    ),
    "mcunet-in1": Published(
        "k3s1e1 8; k3s2e4 16; k3s1e3 16; k7s2e3 24; k3s1e5 24; k3s2e5 40; k7s1e4 40; k5s1e4 48; k3s1e3 48; k3s1e4 48; "
        "k7s2e5 96; r2 k5s1e4 96; k3s1e6 160",
        96,
        _MCUNET | {"stem": 16},
    ),
    "mcunet-in2": Published(
        "k3s1e1 8; k5s2e3 16; k7s1e6 16; k3s1e5 16; k5s1e5 16; k3s2e5 24; k7s1e6 24; k5s1e6 24; k7s2e4 40; k5s1e5 40; "
        "k3s1e5 48; k5s1e5 48; k3s1e4 48; k5s2e6 96; k5s1e4 96; k5s1e3 96; k3s1e4 96; k5s1e5 160",
        160,
        _MCUNET | {"stem": 16},
    ),
    "mcunet-in3": Published(
        "k3s1e1 8; k7s2e3 16; k3s1e5 16; k7s1e5 16; k5s1e4 16; k5s2e5 24; r2 k5s1e5 24; k3s2e5 40; k7s1e6 40; "
        "k5s1e4 40; k5s1e5 48; k7s1e5 48; k3s1e5 48; k3s2e6 96; k7s1e5 96; k3s1e4 96; k7s1e5 160",
        176,
        _MCUNET | {"stem": 16},
    ),
    "mcunet-in4": Published(
        "k3s1e1 16; k7s2e3 24; k3s1e5 24; k5s1e4 24; k7s2e5 40; k3s1e4 40; k7s1e4 40; k7s2e3 80; k3s1e3 80; k7s1e3 80; "
        "k3s1e4 96; r2 k5s1e3 96; k7s2e4 192; k7s1e3 192; k5s1e3 192; k5s1e4 320",
        160,
        _MCUNET,
    ),
    "mcunet-proxylessnas-0.3": Published(
        "k3s1e1 8; k5s2e3 16; k3s1e3 16; skip; skip; k7s2e3 16; k3s1e3 16; r2 k5s1e3 16; k7s2e6 24; r3 k5s1e3 24; "
        "k5s1e6 32; r3 k5s1e3 32; k7s2e6 64; k7s1e6 64; r2 k7s1e3 64; k7s1e6 96",
        176,
        {"stem": 16, "head": 384},
    ),
    "mcunet-mobilenetv2-0.35": Published(
        "k3s1e1 8; r2 k3s2e6 8; r3 k3s2e6 16; r4 k3s2e6 24; r3 k3s1e6 32; r3 k3s2e6 56; k3s1e6 112",
        144,
        {"stem": 16, "head": 448},
    ),
}


def published_network(
    name: str, num_classes: int = 1000, input_shape: Sequence[int] | None = None, width: float | None = None
) -> MobileSpace:
    """A published network as a space without decisions: its only architecture is ``()``.

    Args:
        name: One of :data:`NETWORKS`, such as ``"mnasnet-a1"`` or ``"mcunet-in3"``.
        num_classes: Number of classes.
        input_shape: Channels, height and width; by default those it was published with.
        width: Multiplies its widths; by default 1, or what its name says.

    Raises:
        UnknownName: There is no such network.
    """
    if name not in NETWORKS:
        raise UnknownName(name, NETWORKS)
    known = NETWORKS[name]
    options = known.options if width is None else known.options | {"width": width}
    shape = (3, known.resolution, known.resolution) if input_shape is None else input_shape
    space = mobile_network(known.blocks, num_classes=num_classes, input_shape=shape, **options)
    space.name = name
    return space
