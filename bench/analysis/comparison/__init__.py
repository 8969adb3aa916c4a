"""bench/analysis/comparison."""
