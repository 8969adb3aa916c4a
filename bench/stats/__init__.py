"""bench/stats."""
