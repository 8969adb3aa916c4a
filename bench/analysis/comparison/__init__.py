"""Compare runs, targets and models."""
