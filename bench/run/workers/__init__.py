"""bench/run/workers."""
