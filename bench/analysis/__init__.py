"""From the records of a run to its Summary: pure functions on tables."""
