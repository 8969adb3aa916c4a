"""bench/simulator/store."""
