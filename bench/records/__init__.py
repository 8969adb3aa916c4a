"""Store runs, and find them again."""
