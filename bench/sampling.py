"""Which trials keep their events: by their number alone, so that every process and every rerun chooses the same."""

from __future__ import annotations

from hashlib import blake2b


def stored(trial_id: int, share: float) -> bool:
    """Is this trial among that share of them?"""
    if share >= 1:
        return True
    return int.from_bytes(blake2b(trial_id.to_bytes(8), digest_size=4).digest()) < share * 2**32
