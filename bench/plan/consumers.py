"""The ways of consuming an answer that the memory pass measures, and their lengths.

Their scenarios are in `bench.run.memory.consumers`, which imports the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping

DISCARD, JOIN, KEEP, HELPER, CHAT, NOTHING = "(discard)", "(join)", "(keep)", "(helper)", "(chat)", "(nothing)"
CONSUMERS: Mapping[str, str] = {
    DISCARD: "each text delta is passed on, nothing is kept",
    JOIN: "the text deltas are kept, and joined in the end",
    KEEP: "every event is kept",
    HELPER: "responses.stream(), its events dropped, its final response taken",
    CHAT: "Chat Completions: each text delta is passed on, nothing is kept",
    NOTHING: "the bytes of the stream are read and dropped",
}
"""By scenario of `bench.run.memory.consumers`, what it does with an answer. Reports have no row for them."""
LENGTHS = (1000, 2000, 3000, 4000, 5000, 6000)
TOKENS_PER_EVENT = 10
"""Few enough that all consumers are measured in a few seconds."""
LARGEST_READ = 4096
"""Bytes that asyncio asks for at once. By itself it asks for 256 KiB, and below that nothing shows in tracemalloc."""
