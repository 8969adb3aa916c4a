"""Find the ids by which a trial stands in the client's and in the server's log."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

IDS = ("client_id", "server_id")


def last_ids(attempts: pd.DataFrame, trial_ids: Iterable[int]) -> pd.DataFrame:
    """Return `client_id` and `server_id` of the last attempt of each of these trials, by trial_id.

    A trial without an attempt has no row.
    """
    mine = attempts.loc[attempts["trial_id"].isin(list(trial_ids)), ["trial_id", *IDS]]
    return mine.drop_duplicates("trial_id", keep="last").set_index("trial_id")


def printable(text: str | None) -> str:
    """Remove control characters from server text, which goes to terminals and files."""
    return "".join(char if char.isprintable() else " " for char in text or "")
