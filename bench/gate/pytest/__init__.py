"""bench/gate/pytest."""
