"""Turn the records of a run into a Summary, with pandas; pure functions."""
