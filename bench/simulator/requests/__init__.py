"""bench/simulator/requests."""
