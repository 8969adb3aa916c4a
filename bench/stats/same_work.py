"""Say which pairs may be compared: both trials must have done the same work, and few pairs may be excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas as pd

MOST_EXCLUDED = 0.05
"""Above this share of excluded pairs, those left no longer speak for the cell."""
SAME_TOKENS = 0.02
"""Output tokens this close count as the same work on a real endpoint."""


@overload
def same_work(equal: bool, tokens_a: int, tokens_b: int, *, simulated: bool) -> bool: ...
@overload
def same_work(
    equal: pd.Series[bool], tokens_a: pd.Series[int], tokens_b: pd.Series[int], *, simulated: bool
) -> pd.Series[bool]: ...
def same_work(
    equal: bool | pd.Series[bool],
    tokens_a: int | pd.Series[int],
    tokens_b: int | pd.Series[int],
    *,
    simulated: bool,
) -> bool | pd.Series[bool]:
    """Return True where two trials did the same work; of one pair, or of columns of pairs.

    `equal`: their results are equal. On a real endpoint output tokens within 2 % will do, for models vary; 0 stands for
    a server that does not count, which shows nothing.
    """
    if simulated:
        return equal
    apart: Any = abs(tokens_a - tokens_b)
    near: bool | pd.Series[bool] = (apart <= SAME_TOKENS * tokens_a) | (
        apart <= SAME_TOKENS * tokens_b
    )  # 2 % of the larger
    return equal | ((tokens_a > 0) & near)


def too_many_excluded(excluded: int, offered: int) -> bool:
    """Return True if the pairs that are left may not speak for all."""
    return excluded > MOST_EXCLUDED * offered
