"""bench/testing/calibrate."""
