"""The ways of consuming an answer that the memory pass measures, and their lengths.

Their scenarios are in `bench.consumers`, which takes the SDK to import.
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
"""The scenarios of `bench.consumers`, ways of consuming an answer: what they are. No row of the report is theirs."""
LENGTHS = (1000, 2000, 3000, 4000, 5000, 6000)
TOKENS_PER_EVENT = 10
"""So many that the consumers are measured in a few seconds."""
LARGEST_READ = 4096
"""Bytes that asyncio asks for at once. By itself it asks for 256 KiB, and below that nothing shows in tracemalloc."""
