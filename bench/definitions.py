"""What the numbers of a run mean, in short: whether two runs mean the same is seen without reading formulas."""

from __future__ import annotations

from hashlib import sha256

from bench.analysis.metrics import METRICS

DIGITS = 8


def definitions() -> dict[str, str]:
    """By metric, a hash of its unit, its formula, and what it is taken over."""
    texts = {metric.name: "\n".join((metric.unit, metric.formula, metric.of)) for metric in METRICS}
    return {name: sha256(text.encode()).hexdigest()[:DIGITS] for name, text in texts.items()}
