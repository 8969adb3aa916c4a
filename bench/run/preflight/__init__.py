"""bench/run/preflight."""
