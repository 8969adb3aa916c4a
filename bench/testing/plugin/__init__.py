"""bench/testing/plugin."""
