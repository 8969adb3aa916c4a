"""bench/plan."""
