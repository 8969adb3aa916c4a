"""bench/analysis/cell."""
