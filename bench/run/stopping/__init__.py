"""bench/run/stopping."""
