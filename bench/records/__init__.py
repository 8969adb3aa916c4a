"""bench/records."""
