"""Which decisions matter: the functional analysis of variance of all that a table knows. Arrays in, frame out.

The score of every combination of options is written as a mean, plus a function of each decision alone, plus one of each
pair, and so on, each with mean zero along each of its decisions (Hooker 2007, section 3). Their variances add up to the
score's. Hutter, Hoos & Leyton-Brown 2014 (fANOVA) compute them of a random forest that was fitted to a sample; here
they are those of the table itself, with every combination equally probable, so that there is nothing to estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from naslab.analysis.data import FloatArray
from naslab.errors import InvalidValue

MOST_MISSING = 0.01
"""The share of all combinations that may be missing."""
REST = "three and more"
_DIGITS = 12
SHARES = ("share of variance", "share of variance of ranks")


def importance(rows: npt.ArrayLike, values: npt.ArrayLike, names: Sequence[str], sizes: Sequence[int]) -> pd.DataFrame:
    """The share of the variance that each decision, each pair of decisions, and all larger groups explain.

    Args:
        rows: ``(n, decisions)`` option indices, all different: every combination. Where up to 1 % are missing, means
            are over those that are there; components are then not quite orthogonal, and ``three and more``, which is
            what is left of one, holds the difference.
        values: ``(n,)`` scores, finite.
        names: Of the decisions.
        sizes: How many options each has.

    Returns:
        Columns decisions (``"a"``, ``"a x b"``), how many, and two shares: of the scores, and of their ranks, which
        outliers (a training that diverged) do not rule. Decisions come first, then pairs, each in falling order of the
        share of ranks.

    Raises:
        InvalidValue: More combinations are missing, a score is not finite, or all are equal.
    """
    codes, scores = np.asarray(rows, np.int64), np.asarray(values, float)
    whole = prod(sizes)
    if len(codes) < (1 - MOST_MISSING) * whole:
        raise InvalidValue(
            f"{len(codes):,} of {whole:,} combinations of options are known. An exact analysis of variance needs them "
            f"all (at most {MOST_MISSING:.0%} may be missing)"
        )
    if not np.isfinite(scores).all():
        raise InvalidValue(f"{int((~np.isfinite(scores)).sum()):,} scores are not finite: they have no variance")
    if scores.min() == scores.max():
        raise InvalidValue("all scores are equal: there is no variance to explain")
    explained = [_explained(codes, each, sizes) for each in (scores, rankdata(scores))]
    frame = pd.DataFrame(
        {
            "decisions": [" x ".join(names[i] for i in group) for group in explained[0]],
            "how many": [len(group) for group in explained[0]],
            **{title: list(each.values()) for title, each in zip(SHARES, explained, strict=True)},
        }
    ).sort_values(["how many", SHARES[1]], ascending=[True, False], kind="stable", ignore_index=True)
    if len(sizes) < 3:
        return frame
    rest = pd.DataFrame([[REST, 3, *(1 - frame[title].sum() for title in SHARES)]], columns=frame.columns)
    return pd.concat([frame, rest], ignore_index=True)


def _explained(codes: npt.NDArray[np.int64], scores: FloatArray, sizes: Sequence[int]) -> dict[tuple[int, ...], float]:
    """Share of the variance by group of one or two decisions, by their positions."""
    centred = scores - scores.mean()
    total = float(centred @ centred)

    def of_means(group: tuple[int, ...]) -> float:
        """The share that the means over all other decisions have."""
        code = np.ravel_multi_index(tuple(codes[:, group].T), tuple(sizes[i] for i in group))
        count = np.bincount(code)
        sums = np.bincount(code, centred)
        return float(np.divide(sums**2, count, out=np.zeros_like(sums), where=count > 0).sum()) / total

    decisions = range(len(sizes))
    found: dict[tuple[int, ...], float] = {(i,): of_means((i,)) for i in decisions}
    for pair in combinations(decisions, 2):
        found[pair] = of_means(pair) - found[pair[:1]] - found[pair[1:]]
    return {group: round(share, _DIGITS) + 0.0 for group, share in found.items()}  # what rounding leaves is zero
