"""bench/analysis/load."""
