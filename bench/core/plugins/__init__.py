"""Plugins: the hooks, loading and checking."""
