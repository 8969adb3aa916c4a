"""bench/run/outcome."""
