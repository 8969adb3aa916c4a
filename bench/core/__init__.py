"""bench/core."""
