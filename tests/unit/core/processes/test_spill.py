"""What is put into a spill comes back, from memory or from the file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.processes.spill import Place, Spill


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=9000), max_size=30), st.randoms(use_true_random=False), st.integers(0, 20_000))
def test_spill_gives_back_what_was_put(blobs: list[bytes], random: Random, limit: int) -> None:
    """In any order, whether memory held it or the file; the memory stays within the limit."""
    with closing(Spill(limit)) as spill:
        held = []
        for blob in blobs:
            held.append((blob, spill.put(blob)))
            assert spill.in_memory <= limit
            if random.random() < 0.4:
                random.shuffle(held)
                kept, place = held.pop()
                assert spill.take(place) == kept
        assert [spill.take(place) for _, place in held] == [blob for blob, _ in held]
        assert spill.in_memory == 0


def test_spill_uses_its_file_again() -> None:
    """What was taken leaves room: a long run with a small backlog has a small file."""
    with closing(Spill(0)) as spill:
        for _ in range(50):
            assert spill.take(spill.put(bytes(5000))) == bytes(5000)
        assert spill.file_bytes == 8192


def test_the_file_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is left behind, however the process ends."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(Spill(0)) as spill:
        assert isinstance(spill.put(b"text"), Place)
        assert list(tmp_path.iterdir()) == []
