"""bench/analysis/checks."""
