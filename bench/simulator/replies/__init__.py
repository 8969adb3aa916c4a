"""bench/simulator/replies."""
