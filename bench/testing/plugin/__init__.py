"""`bench check`, `bench try` and `bench new`: for authors of plugins."""
