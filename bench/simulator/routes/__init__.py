"""bench/simulator/routes."""
