"""A decision of the gate, made by hand."""

from __future__ import annotations

from hypothesis import strategies as st

from bench.gate.condition import Decision

TEXTS = st.text(max_size=30)


def judged(verdict: str, number: int = 0, excess: float = 0.0, said: str = "why") -> Decision:
    return Decision(f"ttft > {number}ms", "text", "text ttft p50 streamed", verdict, said, excess)  # type: ignore[arg-type]
