"""Let answers go wrong: which ones, and how."""
