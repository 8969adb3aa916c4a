"""Store a run, and find it again."""
