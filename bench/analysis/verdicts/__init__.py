"""bench/analysis/verdicts."""
